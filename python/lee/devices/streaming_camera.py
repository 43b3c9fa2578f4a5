"""A camera whose frames stream in through a vendor's library: the part that all such drivers share."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from lee.devices.faults import Backpressure, DeviceLost
from lee.devices.frame_ids import IdCounter
from lee.devices.protocols import Camera, CameraFrame, CameraSettings, Identity
from lee.devices.watchdog import ANSWER_S, LOST_AFTER_S, SILENT, Watchdog
from lee.errors import InputError

Result = TypeVar("Result")

_LOOK_S = 0.05
_RELEASE_LOST_S = 0.2
_releases: list[threading.Thread] = []


class FrameStream(Protocol):
    """The frames of one acquisition, in their order."""

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; None where none came."""

    def overrun(self) -> bool:
        """Whether frames found no buffer since this was last asked."""

    def settle(self, quiet_s: float, *, max_s: float) -> None:
        """Wait for frames that are on their way when the camera stops."""

    def finish(self) -> None:
        """Take no more frames than have come; those can still be had."""

    def close(self) -> None:
        """Release the stream and its buffers."""


class StreamingCamera(Camera):
    """A camera behind a vendor's library.

    One that does not answer is known as lost within `LOST_AFTER_S`, by whatever call. A driver opens the
    device, sets it up, and gives a stream of frames for each acquisition.
    """

    # Whether frames that came before the camera was lost can still be had from the library.
    _reads_when_lost = False

    def __init__(self) -> None:
        while _releases:  # of a camera that was lost; this may be the same one
            _releases.pop().join()
        self._guard = threading.Lock()
        self._watchdog = Watchdog(self._ask)
        self._stream: FrameStream | None = None
        self._settings: CameraSettings | None = None
        self._running = self._closed = False
        self._last_raw: int | None = None
        self._identity = Identity("", "", "")
        self._late: list[threading.Thread] = []  # that wait for a lost camera

    # --- for each driver to implement ---

    @abstractmethod
    def _ask(self) -> str | None:
        """Ask the camera whether it answers; see `Watchdog`."""

    @abstractmethod
    def _configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up; `Camera.configure`."""

    @abstractmethod
    def _new_ids(self) -> IdCounter:
        """Return the counter of frame ids for an acquisition."""

    @abstractmethod
    def _begin_stream(
        self, settings: CameraSettings, region: tuple[int, int, int, int], ids: IdCounter
    ) -> FrameStream:
        """Begin an acquisition."""

    @abstractmethod
    def _end_stream(self) -> None:
        """End the acquisition; frames on their way are waited for. A lost camera is not asked."""

    @abstractmethod
    def _release(self) -> None:
        """Release the device; may take long where it is lost."""

    # --- the contract ---

    @property
    def identity(self) -> Identity:
        """As the camera reports it."""
        return self._identity

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up and return what was applied; `Camera.configure`."""
        self._check_answers()
        if self._running:
            raise InputError("camera: it is taking frames; stop it before it is set up anew")
        return self._in_time(lambda: self._configure(settings))

    def start(self) -> None:
        """Take frames, ids from 0; `Camera.start`."""
        self._check_answers()
        if self._settings is None or self._settings.region is None:
            raise InputError("camera: it is not set up; configure it before it is started")
        self.stop()
        self._check_answers()
        settings, region = self._settings, self._settings.region

        def begin() -> tuple[FrameStream, IdCounter]:
            self._watchdog.end()
            self._drop_stream()
            ids = self._new_ids()
            return self._begin_stream(settings, region, ids), ids

        self._stream, self._ids = self._in_time(begin)
        self._running = True
        self._watchdog.start()

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; `Camera.next_frame`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._closed:
                self._check_answers()
            with self._guard:
                frame = self._look(deadline)
            if frame is not None:
                return frame
            self._check_answers()
            if not self._running or time.monotonic() >= deadline:
                return None

    def stop(self) -> None:
        """Take no more frames; `Camera.stop`. A lost camera is not asked."""
        if self._running:
            self._watchdog.rest()
            with suppress(DeviceLost):  # whoever asks it next is told
                self._in_time(self._end_stream)
            self._running = False

    def close(self) -> None:
        """Release the device; harmless when repeated."""
        if self._closed:
            return
        with suppress(InputError):
            self.stop()
        self._closed = True

        def finish() -> None:
            for thread in self._late:  # it may still use the device
                thread.join()
            self._release()

        release = threading.Thread(target=finish, name="camera release", daemon=True)
        release.start()
        release.join(_RELEASE_LOST_S if self._watchdog.lost else LOST_AFTER_S)
        if release.is_alive():  # libraries wait for answers to what they asked last
            _releases.append(release)

    # --- for drivers ---

    def _in_time(self, call: Callable[[], Result]) -> Result:
        """Ask something of the camera; one that does not answer within the deadline is lost.

        A library may ask several times and wait for each answer, so that a few calls last longer.
        """
        done: list[Result] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                done.append(call())
            except BaseException as error:  # raised where it was asked
                failed.append(error)

        thread = threading.Thread(target=work, name="camera call", daemon=True)
        deadline = time.monotonic() + ANSWER_S
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_S)
            silent = self._watchdog.overdue() or time.monotonic() > deadline
            if thread.is_alive() and (silent or self._watchdog.lost):
                self._late.append(thread)
                if not self._watchdog.lost:
                    self._watchdog.lose(SILENT)
                self._watchdog.check()
        if failed:
            if isinstance(failed[0], DeviceLost):
                self._watchdog.lose(str(failed[0]))
            raise failed[0]
        return done[0]

    def _check_answers(self) -> None:
        if self._closed:
            raise DeviceLost("camera: it is closed; open it again")
        self._watchdog.check()

    def _drop_stream(self) -> None:
        with self._guard:
            stream, self._stream = self._stream, None
            if stream is not None:
                self._last_raw = self._ids.last_raw
                stream.close()

    def _look(self, deadline: float) -> CameraFrame | None:
        """Return a frame, or None after a moment: the lock of the stream is never held for long."""
        stream = self._stream
        if stream is None:
            return None
        if stream.overrun():
            buffers = self._settings.buffers if self._settings else 0
            raise Backpressure(
                f"camera: frames found none of its {buffers} buffers free; "
                "take frames sooner, or give it more buffers"
            )
        waits = self._running
        if self._watchdog.lost and self._running:
            if not self._reads_when_lost:
                return None
            waits = False
        left = deadline - time.monotonic() if waits else 0.0
        try:
            return stream.next_frame(min(max(left, 0.0), _LOOK_S))
        except DeviceLost as error:
            self._watchdog.lose(str(error))
            return None


def refused_exposure(asked_s: float, lowest_s: float, highest_s: float) -> InputError:
    """Return the error for an exposure that a camera cannot do."""
    return InputError(f"camera: exposure_s {asked_s:g} must be in {lowest_s:g} to {highest_s:g}")


def refused_gain(asked_db: float, lowest_db: float, highest_db: float) -> InputError:
    """Return the error for a gain that a camera cannot do."""
    return InputError(f"camera: gain_db {asked_db:g} must be in {lowest_db:g} to {highest_db:g}")
