"""The camera between runs: it runs freely, its frames are shown, and its exposure and gain can be set."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lee.devices.faults import DeviceLost
from lee.devices.protocols import Camera, CameraSettings
from lee.errors import InputError, LeeError
from lee.rig.live.frames import FrameWatch

_PER_S, _POLL_S = 20.0, 0.25
# Time for the camera to accept new settings, and for frames beyond their exposures.
_ANSWER_S, _FRAME_S = 10.0, 3.0
# The camera follows pulses at the scan's rate but for rounding.
_SAME_RATE = 1 - 1e-3


@dataclass
class _Change:
    settings: CameraSettings
    scan_per_s: float
    done: threading.Event = field(default_factory=threading.Event)
    error: LeeError | None = None


class CameraAtRest:
    """Shows what the camera sees between runs.

    Parameters
    ----------
    camera : Camera
    settings : CameraSettings
        For runs.
    frames : FrameWatch
        Takes the frames.
    wake : threading.Event
        Ends `show`, so that a run can have the camera.

    Attributes
    ----------
    settings : CameraSettings
        For runs, as they were set last.
    applied : CameraSettings
        As the camera applied them last.
    problem : str
        Why there are no frames; empty where there are.
    """

    def __init__(
        self, camera: Camera, settings: CameraSettings, frames: FrameWatch, wake: threading.Event
    ) -> None:
        self._camera, self._frames, self._wake = camera, frames, wake
        self._asked: _Change | None = None
        self.settings = self.applied = settings
        self.problem = ""

    # --- on the thread that holds the camera ---

    def show(self) -> None:
        """Show frames until `wake` is set; first make a change that was asked for."""
        camera, (asked, self._asked) = self._camera, (self._asked, None)
        if asked is not None:
            self._try(asked)
        if self._wake.is_set():
            return
        try:
            self.applied = camera.configure(replace(self.settings, triggered=False, frames_per_s=_PER_S))
            camera.start()
            try:
                self.problem = ""
                while not self._wake.is_set():
                    frame = camera.next_frame(_POLL_S)
                    if frame is not None:
                        self._frames.preview(frame)
            finally:
                camera.stop()
        except LeeError as error:
            self.problem = str(error)
            self._wake.wait()

    def _try(self, asked: _Change) -> None:
        """Try settings as a run would use them; where the camera can do them, they are in force."""
        try:
            applied = self._camera.configure(asked.settings)
            if asked.settings.triggered and applied.frames_per_s < asked.scan_per_s * _SAME_RATE:
                raise InputError(
                    f"camera: with an exposure of {1e3 * applied.exposure_s:g} ms it takes "
                    f"{applied.frames_per_s:.1f} frames/s, and the scan sends {asked.scan_per_s:g} pulses/s; "
                    "shorten the exposure"
                )
            self.settings, self.applied = asked.settings, applied
        except LeeError as error:
            asked.error = error
        asked.done.set()

    # --- on other threads ---

    def change(self, exposure_s: float, gain_db: float | None, *, scan_per_s: float) -> None:
        """Set exposure and gain for the preview and for runs; without a gain, it stays.

        Parameters
        ----------
        exposure_s : float
        gain_db : float, optional
        scan_per_s : float
            Pulses per second that the camera must follow where it is triggered.

        Raises
        ------
        InputError
            What the camera cannot do; the settings before remain.
        RigFault
            If it does not answer.
        """
        gain_db = self.settings.gain_db if gain_db is None else gain_db
        asked = _Change(replace(self.settings, exposure_s=exposure_s, gain_db=gain_db), scan_per_s)
        self._asked = asked
        self._wake.set()
        if not asked.done.wait(_ANSWER_S):
            self._asked = None  # so that it does not come true later, unasked
            raise DeviceLost("camera: it did not take the settings in time; check its cable")
        if asked.error is not None:
            raise asked.error

    def look(self) -> NDArray[np.integer]:
        """Return an image that was exposed after the call.

        Raises
        ------
        DeviceLost
            If none comes in time.
        """
        image = self._frames.fresh(_FRAME_S + 4 * self.applied.exposure_s)
        if image is None:
            raise DeviceLost(self.problem or "camera: no frame came in time; check its cable")
        return image
