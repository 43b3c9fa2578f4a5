"""Motion profiles of a stage: intervals of constant acceleration, in its counts."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray


class MotionProfile:
    """A motion in one direction that ends at rest.

    Parameters
    ----------
    begin_s : float
        Start time.
    begin : float
        Start position, counts.
    velocity : float
        Velocity at the start, counts/s.
    stretches : sequence of (seconds, acceleration)
        One after the other; counts/s².
    """

    def __init__(
        self, begin_s: float, begin: float, velocity: float, stretches: list[tuple[float, float]]
    ) -> None:
        self._times, self._places, self._velocities = [begin_s], [begin], [velocity]
        self._accelerations = [acceleration for _, acceleration in stretches]
        for seconds, acceleration in stretches:
            speed = self._velocities[-1]
            self._times.append(self._times[-1] + seconds)
            self._places.append(self._places[-1] + speed * seconds + acceleration * seconds**2 / 2)
            self._velocities.append(speed + acceleration * seconds)

    @classmethod
    def trapezoid(
        cls, begin_s: float, begin: float, end: float, *, speed: float, acceleration: float
    ) -> MotionProfile:
        """From rest to rest: at `speed` where the distance is long enough."""
        distance = abs(end - begin)
        sign = 1.0 if end >= begin else -1.0
        top = min(speed, sqrt(distance * acceleration))
        if distance == 0:
            return cls(begin_s, begin, 0.0, [])
        ramp, steady = top / acceleration, (distance - top**2 / acceleration) / top
        pushed = sign * acceleration
        made = cls(begin_s, begin, 0.0, [(ramp, pushed), (max(steady, 0.0), 0.0), (ramp, -pushed)])
        made._places[-1] = end  # rounding could leave it a count away at rest
        return made

    @classmethod
    def braking(cls, begin_s: float, begin: float, velocity: float, *, acceleration: float) -> MotionProfile:
        """Come to rest as fast as possible."""
        if velocity == 0:
            return cls(begin_s, begin, 0.0, [])
        slowed = -acceleration if velocity > 0 else acceleration
        return cls(begin_s, begin, velocity, [(abs(velocity) / acceleration, slowed)])

    @property
    def begin_s(self) -> float:
        """When it begins."""
        return self._times[0]

    @property
    def end_s(self) -> float:
        """When it rests."""
        return self._times[-1]

    @property
    def end(self) -> float:
        """Where it rests, counts."""
        return self._places[-1]

    def position(self, time_s: float) -> float:
        """Where it is, counts; before it begins and after it ends it rests."""
        if time_s <= self.begin_s:
            return self._places[0]
        if time_s >= self.end_s:
            return self.end
        k = bisect_right(self._times, time_s) - 1
        passed = time_s - self._times[k]
        return self._places[k] + self._velocities[k] * passed + self._accelerations[k] * passed**2 / 2

    def velocity(self, time_s: float) -> float:
        """How fast it is, counts/s."""
        if not self.begin_s <= time_s < self.end_s:
            return 0.0
        k = bisect_right(self._times, time_s) - 1
        return self._velocities[k] + self._accelerations[k] * (time_s - self._times[k])

    def crossing_times(self, places: ArrayLike) -> NDArray[np.float64]:
        """Return when it passes these places, (N,) s; NaN where it does not."""
        asked = np.asarray(places, dtype=np.float64)
        times = np.full(asked.shape, np.nan)
        sign = 1.0 if self.end >= self._places[0] else -1.0
        for k, (low, high) in enumerate(pairwise(self._places)):
            along = sign * (asked - low)
            inside = (along >= 0) & (along <= sign * (high - low)) & np.isnan(times)
            speed, pushed = sign * self._velocities[k], sign * self._accelerations[k]
            there = np.maximum(along[inside], 0.0)
            # The form that loses no digits where the speed is much larger than what the push adds.
            under = speed + np.sqrt(np.maximum(speed**2 + 2 * pushed * there, 0.0))
            passed = np.divide(2 * there, under, out=np.zeros_like(there), where=under > 0)
            times[inside] = self._times[k] + passed
        return times
