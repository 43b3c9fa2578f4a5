"""One acquisition through Micro-Manager's core: frames taken out of its circular buffer, in their order."""

from __future__ import annotations

import time
from collections import deque
from math import nan
from typing import Any

import numpy as np

from lee.devices.faults import DeviceLost
from lee.devices.frame_ids import IdCounter
from lee.devices.mmcore.system import reason_of
from lee.devices.protocols import CameraFrame

_POLL_S = 0.001


class MmcoreStream:
    """The frames of one acquisition.

    The core counts frames as they arrive and gives their time of arrival; exposure began an exposure earlier.

    Parameters
    ----------
    module : module
        pymmcore.
    core : CMMCore
        Its acquisition runs.
    shape : (height, width), px
    dtype : dtype
    exposure_s : float
    ids : IdCounter
    """

    def __init__(
        self,
        module: Any,
        core: Any,
        *,
        shape: tuple[int, int],
        dtype: np.dtype[np.uint8] | np.dtype[np.uint16],
        exposure_s: float,
        ids: IdCounter,
    ) -> None:
        self._module, self._core = module, core
        self._shape, self._dtype = shape, dtype
        self._exposure_s, self._ids = exposure_s, ids
        self._kept: deque[CameraFrame] = deque()
        self._streams, self._told = True, False

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame; None where none came."""
        if self._kept:
            return self._kept.popleft()
        return self._taken(timeout_s) if self._streams else None

    def overrun(self) -> bool:
        """Whether frames found no buffer since this was last asked; the camera has then stopped."""
        if self._told or not self._streams or not self._core.isBufferOverflowed():
            return False
        self._told = True
        return True

    def settle(self, quiet_s: float, *, max_s: float) -> None:
        """Take the frames that wait or are on their way, before `finish`."""
        end = time.monotonic() + max_s
        while frame := self._taken(quiet_s if time.monotonic() < end else 0.0):
            self._kept.append(frame)

    def finish(self) -> None:
        """Take no more frames; those that were settled can still be had."""
        self._streams = False

    def close(self) -> None:
        """Take no more frames; the buffer is the core's."""
        self._streams = False

    def _taken(self, timeout_s: float) -> CameraFrame | None:
        deadline = time.monotonic() + timeout_s
        try:
            while not self._core.getRemainingImageCount():
                if time.monotonic() >= deadline:
                    return None
                time.sleep(_POLL_S)
            about = self._module.Metadata()
            seen = np.array(self._core.popNextImageMD(about))
        except (RuntimeError, IndexError) as error:
            raise DeviceLost(
                f"camera: it sends no more frames ({reason_of(error)}); check its cable and open it again"
            ) from error
        number, elapsed_ms = (number_of(about, key) for key in ("ImageNumber", "ElapsedTime-ms"))
        complete = seen.shape == self._shape and seen.dtype == self._dtype
        if not complete:
            seen = np.zeros(self._shape, self._dtype)
        frame_id = self._ids(-1 if number is None else int(number))
        time_s = nan if elapsed_ms is None else elapsed_ms * 1e-3 - self._exposure_s
        return CameraFrame(seen, frame_id, time_s, complete)


def number_of(about: Any, key: str) -> float | None:
    """Return a number that comes with a frame; None where it has none of that name."""
    if not about.HasTag(key):
        return None
    try:
        return float(about.GetSingleTag(key).GetValue())
    except ValueError:
        return None
