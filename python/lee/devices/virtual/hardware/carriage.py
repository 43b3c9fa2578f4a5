"""A stage's motor and the true position of its carriage: backlash, microsteps, drift, stalls, end stops."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf, pi, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.devices.virtual.hardware.motion import MotionProfile

_REMEMBERED = 1000


def _no_pulses() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True)
class Mechanics:
    """Speeds of a stage, and how its true position differs from its counts.

    Parameters
    ----------
    speed_um_per_s, acceleration_um_per_s2 : float
        The highest that the stage reaches.
    backlash_um : float
        Backlash of the nut: falling, the carriage is higher than its counts by this much.
    microstep_um : float
        Amplitude of the error that repeats with every full step of the motor.
    full_step_counts : int
        Counts of a full step.
    drift_um_per_s : float
        How fast the whole stand rises.
    scale_ppm : float
        Relative error of the calibration: how much longer a count truly is.
    """

    speed_um_per_s: float = 1000.0
    acceleration_um_per_s2: float = 1000.0
    backlash_um: float = 1.5
    microstep_um: float = 0.03
    full_step_counts: int = 2048
    drift_um_per_s: float = 0.0005
    scale_ppm: float = 0.0


PERFECT = Mechanics(backlash_um=0.0, microstep_um=0.0, drift_um_per_s=0.0)


@dataclass
class Leg:
    """One motion; it lasts until the next one begins.

    ``nut`` is where the carriage was when it began, ``zero`` the motor's position that is reported as 0.
    """

    profile: MotionProfile
    nut: float
    zero: float
    homed: bool
    pulses_s: NDArray[np.float64] = field(default_factory=_no_pulses)
    first_pulse: int = 0
    stuck_s: float = inf
    ended_s: float = inf

    @property
    def moves(self) -> bool:
        """Whether it is a motion, not a rest."""
        return self.profile.begin_s < self.profile.end_s

    @property
    def distance(self) -> float:
        """Distance, counts, negative down."""
        return self.profile.end - self.profile.position(self.profile.begin_s)


class Carriage:
    """A motor and its carriage; its state can be asked for any time since it was switched on.

    Parameters
    ----------
    mechanics : Mechanics
    counts_per_um : float
    stops : (low, high)
        End stops, counts of the motor.
    motor : float
        Where the motor is at first, counts.
    zero : float
        Position of the motor that is reported as 0 at first.
    homed : bool
    born_s : float
        When it is switched on.
    """

    def __init__(
        self,
        mechanics: Mechanics,
        counts_per_um: float,
        stops: tuple[int, int],
        *,
        motor: float,
        zero: float,
        homed: bool,
        born_s: float,
    ) -> None:
        self.mechanics, self.counts_per_um, self.stops, self.born_s = mechanics, counts_per_um, stops, born_s
        self.stuck_s = inf
        self._legs = deque(
            [Leg(MotionProfile(born_s, motor, 0.0, []), motor, zero, homed)], maxlen=_REMEMBERED
        )

    @property
    def last(self) -> Leg:
        """The motion begun last."""
        return self._legs[-1]

    def leg(self, time_s: float) -> Leg:
        """Return the motion, or the rest after it, of a time."""
        for leg in reversed(self._legs):
            if leg.profile.begin_s <= time_s:
                return leg
        return self._legs[0]

    def motor(self, time_s: float) -> float:
        """Where the motor is, counts."""
        leg = self.leg(time_s)
        return leg.profile.position(min(time_s, self._stuck(leg)))

    def reported(self, time_s: float) -> int:
        """Position that the controller reports, counts."""
        return round(self.motor(time_s) - self.leg(time_s).zero)

    def moving(self, time_s: float) -> bool:
        """Whether the controller believes that it moves: it does not notice a motor that stands still."""
        leg = self.leg(time_s)
        return leg.moves and (time_s < leg.profile.end_s or self._stuck(leg) < leg.profile.end_s)

    def arrived_s(self, leg: Leg) -> float:
        """When a motion arrived, inf where it did not."""
        end_s = leg.profile.end_s
        return end_s if end_s <= min(self._stuck(leg), leg.ended_s) else inf

    def true_um(self, time_s: float) -> float:
        """Where the carriage truly is, µm."""
        how = self.mechanics
        leg, motor = self.leg(time_s), self.motor(time_s)
        counts = self._nut(leg, motor)
        wobble = how.microstep_um * sin(2 * pi * motor / how.full_step_counts)
        drift = how.drift_um_per_s * (time_s - self.born_s)
        return counts / self.counts_per_um * (1 + how.scale_ppm * 1e-6) + wobble + drift

    def set_off(self, now: float, target: float, speed_um_per_s: float, pulses: ArrayLike = ()) -> Leg:
        """Begin to move to a position by the controller's count, with a pulse at each of these places."""
        zero = self.last.zero
        profile = MotionProfile.trapezoid(
            now,
            self.motor(now),
            target + zero,
            speed=speed_um_per_s * self.counts_per_um,
            acceleration=self.mechanics.acceleration_um_per_s2 * self.counts_per_um,
        )
        leg = self._push(profile, zero, self.last.homed)
        leg.pulses_s = profile.crossing_times(np.asarray(pulses, dtype=np.float64) + zero)
        low, high = self.stops
        # A stage that was never homed can be sent against its end stop.
        hit = [stop for stop, beyond in ((low, target + zero < low), (high, target + zero > high)) if beyond]
        if hit:
            leg.stuck_s = float(profile.crossing_times(hit)[0])
        return leg

    def brake(self, now: float) -> None:
        """Come to rest as fast as possible."""
        leg = self.leg(now)
        speed = 0.0 if now >= self._stuck(leg) else leg.profile.velocity(now)
        pushed = self.mechanics.acceleration_um_per_s2 * self.counts_per_um
        self._push(
            MotionProfile.braking(now, self.motor(now), speed, acceleration=pushed), leg.zero, leg.homed
        )

    def take_as(self, now: float, counts: int, *, homed: bool) -> None:
        """Rest here, and report this place as so many counts from now on."""
        motor = self.motor(now)
        self._push(MotionProfile(now, motor, 0.0, []), motor - counts, homed)

    def free(self, now: float) -> None:
        """Let the motor turn again, from where it stands."""
        leg = self.leg(now)
        self._push(MotionProfile(now, self.motor(now), 0.0, []), leg.zero, leg.homed)
        self.stuck_s = inf

    def sent(self, leg: Leg, time_s: float) -> int:
        """How many pulses of a motion were sent up to a time."""
        until_s = min(time_s, self._stuck(leg), leg.ended_s)
        return int(np.searchsorted(leg.pulses_s, until_s, side="right"))

    def pulses(self, after_s: float, until_s: float) -> tuple[int, NDArray[np.float64]]:
        """Return the pulses sent in (after, until]: number of the first, and their times, s."""
        first, found = 0, [_no_pulses()]
        for leg in reversed(self._legs):
            low, high = self.sent(leg, after_s), self.sent(leg, until_s)
            if high > low:
                first = leg.first_pulse + low
                found.insert(0, leg.pulses_s[low:high])
            if leg.profile.begin_s <= after_s:
                break
        return first, np.concatenate(found)

    def _stuck(self, leg: Leg) -> float:
        return min(self.stuck_s, leg.stuck_s)

    def _nut(self, leg: Leg, motor: float) -> float:
        return min(max(leg.nut, motor), motor + self.mechanics.backlash_um * self.counts_per_um)

    def _push(self, profile: MotionProfile, zero: float, homed: bool) -> Leg:
        last, now = self.last, profile.begin_s
        nut, first = self._nut(last, self.motor(now)), last.first_pulse + self.sent(last, now)
        leg = Leg(profile, nut, zero, homed, first_pulse=first)
        last.stuck_s, last.ended_s = self._stuck(last), now
        self._legs.append(leg)
        return leg
