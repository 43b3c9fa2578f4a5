"""The newest frame, drawn a few times a second beside the thread that takes frames."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from lee.devices.protocols import CameraFrame, CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.reconstruction.full_scale import SATURATED_SHARE
from lee.rig.live.pictures import frame_picture

# Pictures a second at most, and how long the pace of frames and of bytes is taken over, s.
PICTURES_PER_S, _PACE_S = 5.0, (1.0, 5.0)
# A frame with this share of saturated pixels is warned of: bubbles and spikes alone are fewer.
WARNED_SHARE = 0.01
FULL_SCALE = {"Mono8": 255, "Mono10": 1023, "Mono12": 4095, "Mono16": 65535}


class _Newest(NamedTuple):
    taken_s: float
    image: NDArray[Any]
    scan: int
    number: int
    of: int | None
    z_um: float | None


class FrameWatch:
    """Draws the newest frame on a thread of its own; the others pass it by.

    Parameters
    ----------
    plan : ScanPlan
        Of the first scan.
    settings : CameraSettings
        Tell the full scale, and whether a pulse made a frame.
    z_um : callable () -> float or None, um
        Where the stage says that it is, for frames that no pulse made.

    Attributes
    ----------
    begun : list of ScanPlan
        The plan of the scan that goes on.
    """

    def __init__(
        self, plan: ScanPlan, settings: CameraSettings, z_um: Callable[[], float | None] = lambda: None
    ) -> None:
        self.begun = [plan]
        self._triggered, self._z_um = settings.triggered, z_um
        self.full_scale = FULL_SCALE[settings.pixel_format]
        self.frames, self.bytes = 0, 0
        self._scan, self._pulse, self._id, self._time_s = -1, -1, -1, 0.0
        self._newest: _Newest | None = None
        self._drawn: tuple[bytes, dict[str, Any]] | None = None
        self._version = 0
        self._worst: dict[int, float] = {}
        self._paces: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lee-frame-pictures", daemon=True)
        self._thread.start()

    # --- on the thread that takes frames ---

    def begin_scan(self) -> None:
        """Count pulses from the next frame on anew."""
        self._scan, self._pulse, self._id = self._scan + 1, -1, -1

    def take(self, frame: CameraFrame) -> None:
        """Take a frame of a scan; returns at once."""
        now, (plan,) = time.monotonic(), self.begun
        step = frame.frame_id - self._id
        if self._id >= 0 and step == 1 and self._triggered:
            # A pulse that the camera missed leaves a gap in time alone.
            gap = (frame.timestamp_s - self._time_s) * plan.frames_per_s
            step = max(step, round(gap)) if gap < plan.pulses else step
        self._id, self._time_s = frame.frame_id, frame.timestamp_s
        self._pulse += step
        self.frames += 1
        self.bytes += frame.image.nbytes
        if self._triggered:
            pulse = min(max(self._pulse, 0), plan.pulses - 1)
            z_um = (plan.first_counts + plan.step_counts * pulse) / plan.counts_per_um
            self._newest = _Newest(now, frame.image, self._scan, pulse, plan.pulses, z_um)
        else:
            self._newest = _Newest(now, frame.image, self._scan, self._pulse, None, None)

    def preview(self, frame: CameraFrame) -> None:
        """Take a frame that belongs to no scan."""
        self._newest = _Newest(time.monotonic(), frame.image, -1, -1, None, None)

    # --- for the page ---

    @property
    def picture(self) -> bytes | None:
        """The newest picture, JPEG."""
        return self._drawn[0] if self._drawn else None

    def state(self) -> dict[str, Any] | None:
        """Tell about the newest picture; None before the first."""
        if self._drawn is None:
            return None
        told = self._drawn[1]
        return told | {"age_s": time.monotonic() - told["taken_s"]}

    def pace(self) -> tuple[float, float]:
        """Frames a second over the last second, and bytes a second over the last five."""
        told = list(self._paces)
        now, frames, bytes_ = told[-1]
        found = []
        for span_s, count, which in zip(_PACE_S, (frames, bytes_), (1, 2), strict=True):
            since = next(one for one in told if now - one[0] <= span_s)
            found.append((count - since[which]) / (now - since[0]) if now > since[0] else 0.0)
        return found[0], found[1]

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        done: _Newest | None = None
        while not self._closing.wait(1 / PICTURES_PER_S):
            now = time.monotonic()
            self._paces.append((now, self.frames, self.bytes))
            while now - self._paces[0][0] > max(_PACE_S):
                self._paces.popleft()
            newest = self._newest
            if newest is not None and newest is not done:
                self._drawn = self._draw(newest)
                done = newest

    def _draw(self, newest: _Newest) -> tuple[bytes, dict[str, Any]]:
        jpeg, share = frame_picture(newest.image, self.full_scale, SATURATED_SHARE * self.full_scale)
        scan = newest.scan
        # Of this scan and the one before: the warning must not go out while the stage returns.
        self._worst = {k: worst for k, worst in self._worst.items() if scan - 1 <= k <= scan and scan >= 0}
        self._worst[scan] = max(self._worst.get(scan, 0.0), share)
        worst = max(self._worst.values())
        self._version += 1
        rows, columns = newest.image.shape
        return jpeg, {
            "version": self._version,
            "taken_s": newest.taken_s,
            "preview": scan < 0,
            "number": newest.number + 1 if scan >= 0 else None,
            "of": newest.of,
            "z_um": self._z_um() if newest.z_um is None else newest.z_um,
            "z_of_pulse": newest.z_um is not None,
            "shape_px": [rows, columns],
            "full_scale": self.full_scale,
            "saturated": share,
            "saturated_worst": worst,
            "saturation_warning": worst >= WARNED_SHARE,
        }
