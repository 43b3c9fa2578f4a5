"""Heights of the frames of a camera that runs freely, from timestamps and the stage's reported positions.

Arrival times of frames give the offset and the rate of the camera's clock against the computer's. Reported
positions give the stage's height against the computer's clock. Both are straight lines while the stage runs
at its speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import CameraFrame, CameraSettings, Stage
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.rig.frame_heights import FrameAccount, FrameLog, Synchronisation
from lee.statistics.straight_line import fit_line, line_below

# Uncertainty of the time at which a reported position was true, s.
_POSITION_TIME_SIGMA_S = 0.005
# Of the computer's clock: what a scan at 80 frames/s and 16 µm/s takes without harm, 0.03 µm.
_CLOCK_STEP_S = 0.002
# Fewer positions or frames, another speed of the stage, or a clock that does not run in seconds: no fit.
MIN_SAMPLES, SPEED_TOLERANCE, CLOCK_TOLERANCE = 12, 0.2, 0.01
# Residuals of the stage's positions, rms in steps of the scan, above which its motion was not even.
MAX_RESIDUAL_STEPS = 3.0


def refuse_coarse_clock(clock: Callable[[], float]) -> None:
    """Refuse a clock of this computer whose steps are too wide to tell frames and positions apart.

    Raises
    ------
    InputError
        If it is: before Python 3.13 that of Windows has steps of 16 ms, 0.25 µm at 16 µm/s.
    """
    if clock is time.monotonic and (step_s := time.get_clock_info("monotonic").resolution) > _CLOCK_STEP_S:
        raise InputError(
            f"take_scan: this Python's clock has steps of {1e3 * step_s:.0f} ms, too wide for heights by "
            "timestamps; use Python 3.13 or newer, or a camera that is triggered"
        )


class TimestampHeights:
    """Heights of frames taken while the stage is between the plan's first and last height.

    Parameters
    ----------
    plan : ScanPlan
    stage : Stage
        Asked at every frame for the position that it reported last.
    settings : CameraSettings
        As the camera applied them.
    clock : callable, s
        Clock of the devices.
    """

    def __init__(
        self, plan: ScanPlan, stage: Stage, settings: CameraSettings, clock: Callable[[], float]
    ) -> None:
        self._plan, self._stage, self._clock = plan, stage, clock
        self._period_s, self._exposure_s = 1 / settings.frames_per_s, settings.exposure_s
        self._sign = 1 if plan.step_counts > 0 else -1
        self._frames, self._first_s = FrameLog(), np.nan
        self._arrived_s: list[float] = []
        self._positions: dict[float, int] = {}  # counts by the computer's time, s
        self._entered_s, self._left_s = inf, inf
        self._latency_s = inf  # smallest difference of the arrival time and the camera's timestamp
        self._id, self._time_s = -1, np.nan

    def __call__(self, frame: CameraFrame) -> float | None:
        """Return the height by the planned speed; frames of the lead belong to no scan."""
        arrived_s = self._clock()
        self._read_position(arrived_s)
        if np.isfinite(frame.timestamp_s):
            self._latency_s = min(self._latency_s, arrived_s - frame.timestamp_s)
            self._id, self._time_s = frame.frame_id, frame.timestamp_s
        # A frame that lost its timestamp with a part of its image is timed from the last one that has one.
        began = self._time_s + (frame.frame_id - self._id) * self._period_s + self._latency_s
        began -= self._exposure_s + self._period_s / 2
        if not self._entered_s - self._period_s / 2 <= began <= self._left_s:
            return None
        self._frames.keep(frame)
        self._arrived_s.append(arrived_s)
        if np.isnan(self._first_s):
            self._first_s = frame.timestamp_s
        return float(self._planned_um(np.float64(frame.timestamp_s)))

    def _read_position(self, now_s: float) -> None:
        """Keep the reported position, and when the stage passed the plan's first and last height."""
        status, plan = self._stage.last_status(), self._plan
        if not status.moving:
            return
        reported_s = now_s - status.age_s
        self._positions.setdefault(reported_s, status.position_counts)
        counts_per_s = plan.speed_um_per_s * plan.counts_per_um
        since_s = self._sign * (status.position_counts - plan.pulse_counts) / counts_per_s
        if self._entered_s == inf and since_s[0] >= 0:
            self._entered_s = reported_s - float(since_s[0])
        if self._left_s == inf and since_s[-1] > 0:
            self._left_s = reported_s - float(since_s[-1])

    def _planned_um(self, times_s: np.float64 | NDArray[np.float64]) -> NDArray[np.float64]:
        since_s = times_s - self._first_s
        return np.asarray(self._plan.z_um[0] + self._sign * self._plan.speed_um_per_s * since_s)

    def seen(self) -> int:
        """Return how many frames of the scan have arrived."""
        return len(self._frames.ids)

    def finish(self, *, pulses: int, written: int) -> FrameAccount:
        """Fit the heights and account for all frames; see `FrameHeights.finish`. No pulse was sent."""
        plan = self._plan
        if not self._frames.ids:
            ledger, _ = self._frames.ledger(1 / self._period_s, written, planned=plan.pulses)
            return FrameAccount(ledger, np.empty(0), Synchronisation("none", "no frame arrived", -1.0, -1.0))
        arrived_s = np.where(np.isfinite(self._frames.times), self._arrived_s, np.nan)
        self._frames.times = self._times_s().tolist()
        times_s = np.array(self._frames.times)
        planned_um = self._planned_um(times_s)
        stretch, shift, synchronisation = self._fit(times_s, arrived_s, planned_um)
        z_um = shift + stretch * planned_um
        step = plan.speed_um_per_s * stretch * self._period_s
        before = self._missing(self._sign * (z_um[0] - plan.z_um[0]) / step)
        behind = self._missing(self._sign * (plan.z_um[-1] - z_um[-1]) / step)
        ledger, pulse = self._frames.ledger(
            1 / self._period_s, written, planned=2**31, first_id=self._frames.ids[0] - before
        )
        # Frames expected at the camera's own rate, from the plan's first height to its last.
        ledger = replace(ledger, pulses_planned=int(pulse.max()) + 1 + behind)
        z_um = np.where(pulse < 0, np.nan, z_um)[:written]
        return FrameAccount(ledger, z_um, synchronisation, stretch, shift)

    def _times_s(self) -> NDArray[np.float64]:
        """Return when frames began by the camera's clock; missing timestamps are interpolated."""
        ids, times = np.array(self._frames.ids, dtype=np.float64), np.array(self._frames.times)
        known = np.isfinite(times)
        if known.all() or not known.any():
            return times
        between = np.interp(ids, ids[known], times[known], left=np.nan, right=np.nan)
        return np.asarray(between, dtype=np.float64)

    def _missing(self, steps: float) -> int:
        """Return how many frames are missing at an end; less than one and a half steps is chance."""
        return int(steps) if np.isfinite(steps) and steps >= 1.5 else 0

    def _fit(
        self, camera_s: NDArray[np.float64], arrived_s: NDArray[np.float64], planned_um: NDArray[np.float64]
    ) -> tuple[float, float, Synchronisation]:
        """Return stretch and shift that turn planned heights into true ones, and how well these are known.

        Frames without a timestamp of their own have NaN in `arrived_s`.
        """
        plan, speed = self._plan, self._plan.speed_um_per_s
        own = np.isfinite(arrived_s)
        camera_s, arrived_s, planned_um = camera_s[own], arrived_s[own], planned_um[own]
        reported_s = np.array(list(self._positions))
        reported_um = np.array(list(self._positions.values())) / plan.counts_per_um
        low, high = sorted((float(plan.z_um[0]), float(plan.z_um[-1])))
        inside = (reported_um >= low) & (reported_um <= high)
        reported_s, reported_um = reported_s[inside], reported_um[inside]

        def none(why: str) -> tuple[float, float, Synchronisation]:
            return 1.0, 0.0, Synchronisation("none", why, -1.0, -1.0)

        if len(reported_s) < MIN_SAMPLES:
            return none(
                f"the stage reported {len(reported_s)} positions during the scan, {MIN_SAMPLES} are needed"
            )
        if len(camera_s) < MIN_SAMPLES or np.ptp(camera_s) <= 0:
            return none("the camera gives no timestamps")
        clock = line_below(camera_s, arrived_s)
        if abs(clock.slope - 1) > CLOCK_TOLERANCE:
            return none(f"the camera's clock runs {clock.slope:.3g} times as fast as the computer's")
        motion = fit_line(reported_s, reported_um)
        if abs(motion.slope / (self._sign * speed) - 1) > SPEED_TOLERANCE:
            return none(f"the stage ran at {abs(motion.slope):.3g} µm/s instead of {speed:.3g} µm/s")
        if motion.rms > MAX_RESIDUAL_STEPS * plan.step_um:
            return none(
                f"the stage did not run evenly: its positions scatter by {motion.rms:.2g} µm about a line"
            )
        # The earliest frame arrived after its exposure and at most a period of readout and transfer.
        middle_s = clock(camera_s) - self._exposure_s / 2 - self._period_s / 2
        stretch = motion.slope * clock.slope / (self._sign * speed)
        time_sigma_s = sqrt(self._period_s**2 / 12 + _POSITION_TIME_SIGMA_S**2)
        return (
            stretch,
            float(motion(middle_s[:1])[0] - stretch * planned_um[0]),
            Synchronisation(
                "timestamps",
                z_sigma_um=float(np.hypot(motion.rms, motion.sigma(middle_s).max())),
                z_offset_sigma_um=abs(motion.slope) * time_sigma_s,
            ),
        )
