"""The threads of a scan: one writes frames and has precedence, one reconstructs what it can keep up with."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from typing import Any

from numpy.typing import NDArray

from lee.devices.faults import Backpressure, RigFault
from lee.devices.protocols import CameraFrame
from lee.errors import InputError
from lee.reconstruction.refocuser import ReconstructParams, Refocuser
from lee.recording.segment import SegmentWriter
from lee.surfaces.surface import Surface

# Frames that may wait for the disk, and for the reconstruction.
_RING, _WAITING = 64, 48
# How long one look for room lasts, and how long the disk may stand still, s.
_LOOK_S, _DISK_S = 0.25, 10.0
# How far the reconstruction stands back.
_NICE = 5


class Writing:
    """Writes frames on its own thread, in their order; ``waited_s`` is how long the disk was waited for."""

    def __init__(self, segment: SegmentWriter) -> None:
        self.waited_s = 0.0
        self._segment = segment
        self._ring: queue.Queue[CameraFrame | None] = queue.Queue(_RING)
        self._fault: RigFault | None = None
        self._thread = threading.Thread(target=self._work, name="lee-writer", daemon=True)
        self._thread.start()

    def take(self, frame: CameraFrame) -> None:
        """Hand a frame over; waits where the disk is slow.

        Raises the fault that stopped the writing, or ``Backpressure`` where the disk stands still.
        """
        if self._fault is not None:
            raise self._fault
        try:
            self._ring.put_nowait(frame)
            return
        except queue.Full:
            begun = time.perf_counter()
        try:
            self._ring.put(frame, timeout=_DISK_S)
        except queue.Full:
            raise Backpressure(
                f"{self._segment.path}: the disk took no frame for {_DISK_S:g} s; check it, or record "
                "elsewhere"
            ) from None
        finally:
            self.waited_s += time.perf_counter() - begun

    def finish(self) -> RigFault | None:
        """Wait until all is written; return what stopped it, if anything did."""
        while self._thread.is_alive():
            try:
                self._ring.put(None, timeout=_LOOK_S)
                break
            except queue.Full:
                continue
        self._thread.join()
        return self._fault

    def _work(self) -> None:
        while (frame := self._ring.get()) is not None:
            if self._fault is not None or len(self._segment) >= self._segment.header.frames:
                continue  # taken out all the same, so that nobody waits for room
            try:
                self._segment.append(
                    frame.image,
                    frame_id=frame.frame_id,
                    timestamp_s=frame.timestamp_s,
                    complete=frame.complete,
                )
            except RigFault as error:
                self._fault = error
            except InputError as error:  # not of the shape or type that the camera said it would send
                self._fault = RigFault(str(error))


class Building:
    """Reconstructs on its own thread; what it cannot keep up with passes it by."""

    def __init__(self, shape: tuple[int, int], pixel_um: float, params: ReconstructParams | None) -> None:
        self._skipped = 0
        self._reason = ""
        self._surface: Surface | None = None
        self._refocuser = Refocuser(shape, pixel_um=pixel_um, params=params)
        self._waiting: queue.Queue[tuple[NDArray[Any], float] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="lee-reconstruction", daemon=True)
        self._thread.start()

    def take(self, image: NDArray[Any], z_um: float) -> None:
        """Hand a whole image over, at its height; never waits."""
        try:
            self._waiting.put_nowait((image, z_um))
        except queue.Full:
            self._skipped += 1

    def finish(self) -> tuple[Surface | None, str, int]:
        """Wait for the surface; return it, or why there is none, and the frames that passed by."""
        self._waiting.put(None)
        self._thread.join()
        return self._surface, self._reason, self._skipped

    def _work(self) -> None:
        # Frames are taken and written first; the threads of the kernels are as this one.
        if sys.platform == "linux":  # elsewhere it would be the whole program's
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (item := self._waiting.get()) is not None:
            if self._reason:
                continue
            try:
                self._refocuser.push(item[0], item[1])
            except (InputError, RuntimeError) as error:
                self._reason = str(error)
        if self._reason:
            return
        try:
            self._surface = self._refocuser.finish()
        except (InputError, RuntimeError) as error:
            self._reason = str(error)
