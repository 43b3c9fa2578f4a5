"""The threads of a scan: one writes frames and has precedence, one reconstructs as many as it can."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lee.devices.faults import Backpressure
from lee.devices.protocols import CameraFrame
from lee.errors import LeeError, RigFault
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.refocuser import Refocuser
from lee.recording.segment import SegmentWriter
from lee.surfaces.surface import Surface

# Frames that may wait for the disk, and frames that may wait for the reconstruction.
_WRITE_QUEUE, _RECONSTRUCTION_QUEUE = 64, 48
# Seconds between two looks for room in a queue, and for which the disk may take no frame.
_POLL_S, _DISK_TIMEOUT_S = 0.25, 10.0
# Added to the niceness of the reconstruction.
_NICE = 5


class FrameWriter:
    """Writes frames in their order, on a thread of its own.

    Attributes
    ----------
    waited_s : float, s
        How long frames have waited for the disk.
    """

    def __init__(self, segment: SegmentWriter) -> None:
        self.waited_s = 0.0
        self._segment = segment
        self._queue: queue.Queue[CameraFrame | None] = queue.Queue(_WRITE_QUEUE)
        self._fault: RigFault | None = None
        self._thread = threading.Thread(target=self._work, name="lee-writer", daemon=True)
        self._thread.start()

    def take(self, frame: CameraFrame) -> None:
        """Hand a frame over; wait if the disk is slow.

        Raises
        ------
        RigFault
            What stopped the writing.
        Backpressure
            If the disk takes no frame any more.
        """
        if self._fault is not None:
            raise self._fault
        try:
            self._queue.put_nowait(frame)
            return
        except queue.Full:
            begun = time.perf_counter()
        try:
            self._queue.put(frame, timeout=_DISK_TIMEOUT_S)
        except queue.Full:
            raise Backpressure(
                f"{self._segment.path}: the disk accepted no frame for {_DISK_TIMEOUT_S:g} s; check it, or "
                "record elsewhere"
            ) from None
        finally:
            self.waited_s += time.perf_counter() - begun

    def finish(self) -> RigFault | None:
        """Wait until all frames are written; return the fault that stopped the writing, if there was one."""
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=_POLL_S)
                break
            except queue.Full:
                continue
        self._thread.join()
        return self._fault

    def _work(self) -> None:
        while (frame := self._queue.get()) is not None:
            if self._fault is not None or len(self._segment) >= self._segment.header.frames:
                continue  # taken from the queue all the same, so that nobody waits for room
            try:
                self._segment.append(
                    frame.image,
                    frame_id=frame.frame_id,
                    timestamp_s=frame.timestamp_s,
                    complete=frame.complete,
                )
            except RigFault as error:
                self._fault = error
            except (
                LeeError
            ) as error:  # such as an image not of the shape or type that the camera had announced
                self._fault = RigFault(str(error))


class ScanReconstruction:
    """Reconstructs a scan on a thread of its own; it skips frames for which it has no time."""

    def __init__(self, shape: tuple[int, int], pixel_um: float, params: ReconstructParams | None) -> None:
        self._skipped = 0
        self._reason = ""
        self._surface: Surface | None = None
        self._refocuser = Refocuser(shape, pixel_um=pixel_um, params=params)
        self._queue: queue.Queue[tuple[NDArray[np.generic], float] | None] = queue.Queue(
            _RECONSTRUCTION_QUEUE
        )
        self._thread = threading.Thread(target=self._work, name="lee-reconstruction", daemon=True)
        self._thread.start()

    def take(self, image: NDArray[np.generic], z_um: float) -> None:
        """Hand over a complete image and its height; never waits."""
        try:
            self._queue.put_nowait((image, z_um))
        except queue.Full:
            self._skipped += 1

    def finish(self, hurried: Callable[[], bool]) -> tuple[Surface | None, str, int]:
        """Wait for the surface; return it, the reason if there is none, and how many frames were skipped.

        Where `hurried` becomes true there is none.
        """
        self._queue.put(None)
        while self._thread.is_alive():
            self._thread.join(_POLL_S)
            if hurried():
                self._reason = "the run was ended before it was measured"
                return None, self._reason, self._skipped
        return self._surface, self._reason, self._skipped

    def _work(self) -> None:
        # Frames are taken and written first. The kernels' threads inherit the priority of this one.
        if sys.platform == "linux":  # elsewhere it would be that of the whole program
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (item := self._queue.get()) is not None:
            if self._reason:
                continue
            try:
                self._refocuser.push(item[0], item[1])
            except (LeeError, RuntimeError) as error:
                self._reason = str(error)
        if self._reason:
            return
        try:
            self._surface = self._refocuser.finish()
        except (LeeError, RuntimeError) as error:
            self._reason = str(error)
