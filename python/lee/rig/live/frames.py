"""The newest frame, drawn a few times a second on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import CameraFrame, CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.reconstruction.saturation import SATURATED_SHARE
from lee.rig.focus_sweep import contrast
from lee.rig.halting import CurrentScan
from lee.rig.live.pictures import Histogram, frame_picture, histogram_of

# Largest number of pictures a second, and the seconds over which rates of frames and bytes are averaged.
MAX_PICTURES_PER_S, _FRAMES_OVER_S, _BYTES_OVER_S = 5.0, 1.0, 5.0
# A frame that was exposed after a moment is the third to arrive: the first may have been exposed before, and
# the second may have waited beside it.
_FRESH = 3
# Share of saturated pixels that raises a warning: bubbles and specular spikes alone saturate fewer.
MIN_WARNED_SHARE = 0.01
FULL_SCALE = {"Mono8": 255, "Mono10": 1023, "Mono12": 4095, "Mono16": 65535}


class _Newest(NamedTuple):
    taken_s: float
    image: NDArray[np.integer]
    scan: int
    number: int
    of: int | None
    z_um: float | None
    of_pulse: bool


class _Picture(NamedTuple):
    newest: _Newest
    histogram: Histogram
    jpeg: bytes
    state: dict[str, object]


class _Count(NamedTuple):
    now_s: float
    frames: int
    bytes: int


class FrameWatch:
    """Draws the newest frame; older ones that it has no time for are skipped.

    Parameters
    ----------
    plan : ScanPlan
        Plan of the first scan.
    settings : CameraSettings
        For the full scale, and whether pulses trigger the frames.
    z_um : callable () -> float or None, µm
        Height reported by the stage, for frames that no pulse triggered.

    Attributes
    ----------
    current : CurrentScan
        The scan in progress.
    """

    def __init__(
        self, plan: ScanPlan, settings: CameraSettings, z_um: Callable[[], float | None] = lambda: None
    ) -> None:
        self.current = CurrentScan(plan)
        self._triggered, self._z_um = settings.triggered, z_um
        self.full_scale = FULL_SCALE[settings.pixel_format]
        self._saturated_from = SATURATED_SHARE * self.full_scale
        self.frames, self.bytes = 0, 0
        self._scan, self._pulse, self._id, self._time_s = -1, -1, -1, 0.0
        self._newest: _Newest | None = None
        self._drawn: _Picture | None = None
        self._stretched: tuple[_Picture, bytes] | None = None
        self._previewed, self._arrived = 0, threading.Condition()
        self._version = 0
        self._worst: dict[int, float] = {}
        self._counts: deque[_Count] = deque([_Count(time.monotonic(), 0, 0)])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lee-frame-pictures", daemon=True)
        self._thread.start()

    # --- on the thread that takes frames ---

    def begin_scan(self) -> None:
        """Count pulses from zero again at the next frame."""
        self._scan, self._pulse, self._id = self._scan + 1, -1, -1

    def take(self, frame: CameraFrame) -> None:
        """Take a frame of a scan; returns at once."""
        now, plan = time.monotonic(), self.current.plan
        step = frame.frame_id - self._id
        if self._id >= 0 and step == 1 and self._triggered:
            # A pulse that the camera missed leaves a gap in the timestamps alone.
            gap = (frame.timestamp_s - self._time_s) * plan.frames_per_s
            step = max(step, round(gap)) if gap < plan.pulses else step
        self._id, self._time_s = frame.frame_id, frame.timestamp_s
        self._pulse += step
        self.frames += 1
        self.bytes += frame.image.nbytes
        if self._triggered:
            pulse = min(max(self._pulse, 0), plan.pulses - 1)
            z_um = (plan.first_counts + plan.step_counts * pulse) / plan.counts_per_um
            self._newest = _Newest(now, frame.image, self._scan, pulse, plan.pulses, z_um, True)
        else:
            self._newest = _Newest(now, frame.image, self._scan, self._pulse, None, self._z_um(), False)

    def preview(self, frame: CameraFrame) -> None:
        """Take a frame that belongs to no scan."""
        with self._arrived:
            self._newest = _Newest(time.monotonic(), frame.image, -1, -1, None, self._z_um(), False)
            self._previewed += 1
            self._arrived.notify_all()

    # --- for the page ---

    def fresh(self, timeout_s: float) -> NDArray[np.integer] | None:
        """Wait for a frame, of no scan, that was exposed after the call; None where none came in time."""
        with self._arrived:
            wanted = self._previewed + _FRESH
            came = self._arrived.wait_for(lambda: self._previewed >= wanted, timeout_s)
            return self._newest.image if came and self._newest is not None else None

    def picture(self, *, stretched: bool = False) -> bytes | None:
        """Return the newest picture, JPEG; stretched from its dark to its bright pixels on request."""
        drawn, known = self._drawn, self._stretched
        if drawn is None or not stretched:
            return drawn.jpeg if drawn else None
        if known is None or known[0] is not drawn:
            limits = drawn.histogram.limits
            jpeg = frame_picture(drawn.newest.image, self.full_scale, self._saturated_from, limits).jpeg
            known = self._stretched = drawn, jpeg
        return known[1]

    def state(self) -> dict[str, object] | None:
        """Return what the page shows beside the newest picture; None before the first."""
        drawn = self._drawn
        return None if drawn is None else drawn.state | {"age_s": time.monotonic() - drawn.newest.taken_s}

    def rates(self) -> tuple[float, float]:
        """Return frames per second over the last second, and bytes per second over the last five."""
        counts = list(self._counts)
        newest = counts[-1]
        frames, bytes_ = (
            next(one for one in counts if newest.now_s - one.now_s <= span_s)
            for span_s in (_FRAMES_OVER_S, _BYTES_OVER_S)
        )
        return (
            _rate(newest.frames - frames.frames, newest.now_s - frames.now_s),
            _rate(newest.bytes - bytes_.bytes, newest.now_s - bytes_.now_s),
        )

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        done: _Newest | None = None
        while not self._closing.wait(1 / MAX_PICTURES_PER_S):
            now = time.monotonic()
            self._counts.append(_Count(now, self.frames, self.bytes))
            while now - self._counts[0].now_s > max(_FRAMES_OVER_S, _BYTES_OVER_S):
                self._counts.popleft()
            newest = self._newest
            if newest is not None and newest is not done:
                self._drawn = self._draw(newest)
                done = newest

    def _draw(self, newest: _Newest) -> _Picture:
        jpeg, share = frame_picture(newest.image, self.full_scale, self._saturated_from)
        histogram = histogram_of(newest.image, self.full_scale)
        scan = newest.scan
        # Largest of this scan and the one before: the warning must not vanish while the stage returns.
        self._worst = {k: worst for k, worst in self._worst.items() if scan - 1 <= k <= scan and scan >= 0}
        self._worst[scan] = max(self._worst.get(scan, 0.0), share)
        worst = max(self._worst.values())
        self._version += 1
        rows, columns = newest.image.shape
        state: dict[str, object] = {
            "version": self._version,
            "taken_s": newest.taken_s,
            "preview": scan < 0,
            "number": newest.number + 1 if scan >= 0 else None,
            "of": newest.of,
            "z_um": newest.z_um,
            "z_of_pulse": newest.of_pulse,
            "contrast": contrast(newest.image),
            "histogram": histogram.shares,
            "limits": histogram.limits,
            "shape_px": [rows, columns],
            "full_scale": self.full_scale,
            "saturated": share,
            "saturated_worst": worst,
            "saturation_warning": worst >= MIN_WARNED_SHARE,
        }
        return _Picture(newest, histogram, jpeg, state)


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
