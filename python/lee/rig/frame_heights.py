"""Which frames belong to a scan, and how high each of them lies: by the stage's pulses, or by time.

A camera that the stage triggers needs the plan alone. One that runs freely is held against what the stage
told of itself: its clock is laid on the computer's by when frames arrived, the stage's way on the computer's
by when it told its positions, and both are straight lines while the stage runs at its speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import inf, sqrt
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import CameraFrame, CameraSettings, Stage
from lee.devices.scan_plan import ScanPlan
from lee.recording.ledger import Ledger, account
from lee.statistics.straight_line import fit_line, line_below

# What is not known of when a position that the stage tells was true, s.
_STATUS_S = 0.005
# Fewer told positions, a pace that is another one, a clock that does not run in s: nothing can be laid on it.
_LEAST_SAMPLES, _PACE_TOLERANCE, _CLOCK_TOLERANCE = 12, 0.2, 0.01
# The way is no straight line where positions lie off it by so many steps, rms.
_UNEVEN_STEPS = 3.0


@dataclass(frozen=True)
class Synchronisation:
    """How the heights of a scan's frames are known.

    Parameters
    ----------
    method : {"position trigger", "timestamps", "none"}
        The stage's pulses; time; or the planned speed alone, where neither could be used.
    why : str
        What could not be used, where the method is "none".
    z_sigma_um : float, um
        Of one frame against the others of its scan, from what positions lie off a straight line; 0 where
        pulses tell, since the stage counts them itself, and -1 where nothing tells.
    z_offset_sigma_um : float, um
        Common to all frames of the scan: what is not known of when the camera exposes, and the stage tells.
    """

    method: str
    why: str = ""
    z_sigma_um: float = 0.0
    z_offset_sigma_um: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    def said(self) -> str:
        """Say it in one line; nothing where pulses tell."""
        if self.method == "position trigger":
            return ""
        if self.method == "none":
            return f"UNSYNCHRONISED: {self.why}"
        return f"heights by time, +-{self.z_sigma_um:.2g} um, all of them +-{self.z_offset_sigma_um:.2g} um"


class Placed(NamedTuple):
    """What came of a scan's frames: the ``ledger``, ``z_um`` of those written, and how that is known."""

    ledger: Ledger
    z_um: NDArray[np.float64]
    synchronisation: Synchronisation
    stretch: float = 1.0
    shift_um: float = 0.0
    """True heights are ``shift_um + stretch * z`` of those told while frames came."""


class Heights(Protocol):
    """Tells frames their heights while they come, and what came of them in the end."""

    def __call__(self, frame: CameraFrame) -> float | None:
        """Return its height so far, um; NaN where none is known, None where it is not of the scan."""

    def seen(self) -> int:
        """Return how many frames were of the scan."""

    def ended(self, *, pulses: int, written: int) -> Placed:
        """Account for all of them: `pulses` counted by the stage (-1 unknown), `written` frames on disk."""


class _Frames:
    """What is kept of every frame of a scan."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.times: list[float] = []
        self.complete: list[bool] = []

    def keep(self, frame: CameraFrame) -> None:
        self.ids.append(frame.frame_id)
        self.times.append(frame.timestamp_s)
        self.complete.append(frame.complete)

    def ledger(
        self, frames_per_s: float, written: int, *, planned: int, pulses: int = -1, first_id: int = 0
    ) -> tuple[Ledger, NDArray[np.int64]]:
        told = account(
            np.array(self.ids, dtype=np.int64) - first_id,
            np.array(self.times, dtype=np.float64),
            pulses_planned=planned,
            frames_per_s=frames_per_s,
            pulses_counted=pulses,
            complete=np.array(self.complete, dtype=np.bool_),
            dropped=len(self.ids) - written,
            frames_written=written,
        )
        return told.ledger, told.pulse


class PulseHeights:
    """Frames that the stage's pulses made."""

    def __init__(self, plan: ScanPlan) -> None:
        self._plan, self._frames = plan, _Frames()
        self._pulse, self._id, self._time_s = -1, -1, np.nan

    def __call__(self, frame: CameraFrame) -> float | None:
        """Count pulses on: a gap in ids is lost frames, and one in time alone pulses that were missed."""
        self._frames.keep(frame)
        step = frame.frame_id - self._id
        if self._id >= 0 and step == 1 and np.isfinite(self._time_s) and np.isfinite(frame.timestamp_s):
            step = max(step, round((frame.timestamp_s - self._time_s) * self._plan.frames_per_s))
        self._id, self._time_s = frame.frame_id, frame.timestamp_s
        self._pulse += step
        if step < 1 or self._pulse >= self._plan.pulses:
            return float("nan")
        return float(self._plan.z_um[self._pulse])

    def seen(self) -> int:
        """Return how many frames were of the scan."""
        return len(self._frames.ids)

    def ended(self, *, pulses: int, written: int) -> Placed:
        """Account for all of them; `Heights.ended`."""
        plan = self._plan
        ledger, pulse = self._frames.ledger(plan.frames_per_s, written, planned=plan.pulses, pulses=pulses)
        placed = pulse[:written]
        z_um = np.where(placed >= 0, plan.z_um[np.clip(placed, 0, plan.pulses - 1)], np.nan)
        return Placed(ledger, z_um, Synchronisation("position trigger"))


class FreeHeights:
    """Frames of a camera that runs freely, while the stage is between the plan's first and last height.

    Parameters
    ----------
    plan : ScanPlan
    stage : Stage
        Asked at every frame for what it told last.
    settings : CameraSettings
        As the camera applied them.
    clock : callable, s
        That of the devices.
    """

    def __init__(
        self, plan: ScanPlan, stage: Stage, settings: CameraSettings, clock: Callable[[], float]
    ) -> None:
        self._plan, self._stage, self._clock = plan, stage, clock
        self._period_s, self._exposure_s = 1 / settings.frames_per_s, settings.exposure_s
        self._sign = 1 if plan.step_counts > 0 else -1
        self._frames, self._first_s = _Frames(), np.nan
        self._arrived_s: list[float] = []
        self._told: dict[float, int] = {}
        self._entered_s, self._left_s = inf, inf
        self._way_s = inf  # from a frame's own time to the computer's when it came, at the least
        self._id, self._time_s = -1, np.nan

    def __call__(self, frame: CameraFrame) -> float | None:
        """Tell it the height that the planned speed gives; the frames of the lead are none of the scan."""
        arrived_s = self._clock()
        self._look(arrived_s)
        if np.isfinite(frame.timestamp_s):
            self._way_s = min(self._way_s, arrived_s - frame.timestamp_s)
            self._id, self._time_s = frame.frame_id, frame.timestamp_s
        # One that lost its time with a part of its image follows the last one that told it.
        began = self._time_s + (frame.frame_id - self._id) * self._period_s + self._way_s
        began -= self._exposure_s + self._period_s / 2
        if not self._entered_s - self._period_s / 2 <= began <= self._left_s:
            return None
        self._frames.keep(frame)
        self._arrived_s.append(arrived_s)
        if np.isnan(self._first_s):
            self._first_s = frame.timestamp_s
        return float(self._planned(np.float64(frame.timestamp_s)))

    def _look(self, now_s: float) -> None:
        """Keep what the stage told, and when it came to the plan's first and to its last height."""
        told, plan = self._stage.last_status(), self._plan
        if not told.moving:
            return
        told_s = now_s - told.age_s
        self._told.setdefault(told_s, told.position_counts)
        counts_per_s = plan.speed_um_per_s * plan.counts_per_um
        since_s = self._sign * (told.position_counts - plan.pulse_counts) / counts_per_s
        if self._entered_s == inf and since_s[0] >= 0:
            self._entered_s = told_s - float(since_s[0])
        if self._left_s == inf and since_s[-1] > 0:
            self._left_s = told_s - float(since_s[-1])

    def _planned(self, times_s: Any) -> Any:
        since_s = times_s - self._first_s
        return self._plan.z_um[0] + self._sign * self._plan.speed_um_per_s * since_s

    def seen(self) -> int:
        """Return how many frames were of the scan."""
        return len(self._frames.ids)

    def ended(self, *, pulses: int, written: int) -> Placed:
        """Lay the frames on the stage's way; `Heights.ended`. No pulse was sent."""
        plan = self._plan
        if not self._frames.ids:
            ledger, _ = self._frames.ledger(1 / self._period_s, written, planned=plan.pulses)
            return Placed(ledger, np.empty(0), Synchronisation("none", "no frame came", -1.0, -1.0))
        arrived_s = np.where(np.isfinite(self._frames.times), self._arrived_s, np.nan)
        self._frames.times = self._times_s().tolist()
        times_s = np.array(self._frames.times)
        planned = self._planned(times_s)
        stretch, shift, told = self._laid(times_s, arrived_s, planned)
        z_um = shift + stretch * planned
        step = plan.speed_um_per_s * stretch * self._period_s
        before = self._missing(self._sign * (z_um[0] - plan.z_um[0]) / step)
        behind = self._missing(self._sign * (plan.z_um[-1] - z_um[-1]) / step)
        ledger, pulse = self._frames.ledger(
            1 / self._period_s, written, planned=2**31, first_id=self._frames.ids[0] - before
        )
        # Frames that there should be by the camera's own pace, from the plan's first height to its last.
        ledger = replace(ledger, pulses_planned=int(pulse.max()) + 1 + behind)
        return Placed(ledger, np.where(pulse < 0, np.nan, z_um)[:written], told, stretch, shift)

    def _times_s(self) -> NDArray[np.float64]:
        """Return when frames began by the camera's clock; one that does not tell lies between the others."""
        ids, times = np.array(self._frames.ids, dtype=np.float64), np.array(self._frames.times)
        known = np.isfinite(times)
        if known.all() or not known.any():
            return times
        between = np.interp(ids, ids[known], times[known], left=np.nan, right=np.nan)
        return np.asarray(between, dtype=np.float64)

    def _missing(self, steps: float) -> int:
        """Return how many frames are missing at an end; one that falls short by chance is none."""
        return int(steps) if np.isfinite(steps) and steps >= 1.5 else 0

    def _laid(
        self, camera_s: NDArray[np.float64], arrived_s: NDArray[np.float64], planned: NDArray[np.float64]
    ) -> tuple[float, float, Synchronisation]:
        """Return stretch and shift that make planned heights true, and what is known of them.

        Frames that told no time of their own have no `arrived_s`.
        """
        plan, speed = self._plan, self._plan.speed_um_per_s
        own = np.isfinite(arrived_s)
        camera_s, arrived_s, planned = camera_s[own], arrived_s[own], planned[own]
        told_s = np.array(list(self._told))
        told_um = np.array(list(self._told.values())) / plan.counts_per_um
        low, high = sorted((float(plan.z_um[0]), float(plan.z_um[-1])))
        inside = (told_um >= low) & (told_um <= high)
        told_s, told_um = told_s[inside], told_um[inside]

        def none(why: str) -> tuple[float, float, Synchronisation]:
            return 1.0, 0.0, Synchronisation("none", why, -1.0, -1.0)

        if len(told_s) < _LEAST_SAMPLES:
            return none(f"the stage told {len(told_s)} positions in the scan, {_LEAST_SAMPLES} are needed")
        if len(camera_s) < _LEAST_SAMPLES or np.ptp(camera_s) <= 0:
            return none("the camera tells no times")
        clock = line_below(camera_s, arrived_s)
        if abs(clock.slope - 1) > _CLOCK_TOLERANCE:
            return none(f"the camera's clock runs {clock.slope:.3g} times as fast as the computer's")
        way = fit_line(told_s, told_um)
        if abs(way.slope / (self._sign * speed) - 1) > _PACE_TOLERANCE:
            return none(f"the stage ran at {abs(way.slope):.3g} um/s, planned were {speed:.3g}")
        if way.rms > _UNEVEN_STEPS * plan.step_um:
            return none(f"the stage did not run evenly: {way.rms:.2g} um off a straight way")
        # The earliest frame came after its exposure, and at most a period of reading and sending.
        middle_s = clock(camera_s) - self._exposure_s / 2 - self._period_s / 2
        stretch = way.slope * clock.slope / (self._sign * speed)
        offset_s = sqrt(self._period_s**2 / 12 + _STATUS_S**2)
        return (
            stretch,
            float(way(middle_s[:1])[0] - stretch * planned[0]),
            Synchronisation(
                "timestamps",
                z_sigma_um=float(np.hypot(way.rms, way.sigma(middle_s).max())),
                z_offset_sigma_um=abs(way.slope) * offset_s,
            ),
        )
