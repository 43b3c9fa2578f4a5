"""What is applied to a cell over time: constant current, steps, pulses, a measured current, potentials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError

Control = Literal["current", "potential"]
Floats = NDArray[np.float64]

_UNITS = {"current": "mA/cm²", "potential": "V"}


@dataclass(frozen=True)
class Limit:
    """Ends a step early, once the quantity that is not controlled passes a value.

    Parameters
    ----------
    above, below : float, optional
        mA/cm² of a held potential, V of a controlled current. The step ends when the quantity is at or above
        `above`, or at or below `below`. For currents the magnitude counts.
    """

    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.above, self.below) if value is not None]
        if not given or not all(math.isfinite(value) for value in given):
            raise InputError("protocol: a limit needs a finite value, above or below")

    def reached(self, value: float) -> bool:
        """Return whether the step ends at this value."""
        return (self.above is not None and value >= self.above) or (
            self.below is not None and value <= self.below
        )


@dataclass(frozen=True)
class Step:
    """A part of a protocol in which one quantity is controlled.

    Parameters
    ----------
    control : {"current", "potential"}
        Current density over the electrode's area as seen from above, mA/cm², positive plates; or the
        potential of the cell or of the electrode, V.
    times_s, values : tuple of float
        The controlled quantity at times since the step began, linear between them; the first time is 0, and
        the last one the step's duration.
    limit : Limit, optional
        Of the quantity that is not controlled.
    """

    control: Control
    times_s: tuple[float, ...]
    values: tuple[float, ...]
    limit: Limit | None = None

    def __post_init__(self) -> None:
        if self.control not in _UNITS:
            raise InputError(f"protocol: control is {self.control!r}; give current or potential")
        times, values = np.array(self.times_s, np.float64), np.array(self.values, np.float64)
        if times.size < 2 or values.shape != times.shape:
            raise InputError(
                f"protocol: a step has {times.size} times and {values.size} values; give two or more of each"
            )
        if not np.isfinite(values).all():
            k = int(np.argmin(np.isfinite(values)))
            raise InputError(f"protocol: a {self.control} is {values[k]:g}; give {_UNITS[self.control]}")
        if times[0] != 0 or not np.isfinite(times).all() or (np.diff(times) < 0).any() or times[-1] <= 0:
            raise InputError(
                f"protocol: the times of a step go from {times[0]:g} to {times[-1]:g} s; they begin at 0 "
                "and increase"
            )

    @property
    def duration_s(self) -> float:
        """How long the step lasts if no limit ends it."""
        return self.times_s[-1]

    def value_at(self, times_s: ArrayLike) -> Floats:
        """Return the controlled quantity at times since the step began; at a jump, the value after it."""
        times, values = np.array(self.times_s), np.array(self.values)
        wanted = np.asarray(times_s, dtype=np.float64)
        right = np.clip(np.searchsorted(times, wanted, side="right"), 1, times.size - 1)
        span = times[right] - times[right - 1]
        share = np.clip((wanted - times[right - 1]) / np.where(span > 0, span, 1.0), 0.0, 1.0)
        return np.asarray(values[right - 1] + share * (values[right] - values[right - 1]), dtype=np.float64)


@dataclass(frozen=True)
class Protocol:
    """Steps that are applied to a cell one after another; made by one of the class methods.

    A program that follows it takes one step after the other: `Step.control` says what is held, `value_at`
    its value, and a step ends with its duration or, before that, where its limit is reached. Without limits
    the whole protocol is known beforehand: `current_density_at` and `edges_s`.

    Parameters
    ----------
    steps : tuple of Step
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise InputError("protocol: has no step; give one or more")

    @classmethod
    def constant(cls, current_ma_per_cm2: float, duration_s: float) -> Protocol:
        """Plate (positive) or strip (negative) at one current density."""
        return cls((_held("current", current_ma_per_cm2, duration_s),))

    @classmethod
    def sequence(cls, steps: Sequence[tuple[float, float]]) -> Protocol:
        """Apply current densities one after another: pairs of mA/cm² and s."""
        return cls(tuple(_held("current", current, duration) for current, duration in steps))

    @classmethod
    def pulses(
        cls,
        on_ma_per_cm2: float,
        on_s: float,
        off_s: float,
        count: int,
        *,
        off_ma_per_cm2: float = 0.0,
    ) -> Protocol:
        """Repeat a pulse and a pause, or a reverse pulse, `count` times."""
        if count < 1:
            raise InputError(f"protocol: {count} pulses; give one or more")
        pair = (_held("current", on_ma_per_cm2, on_s), _held("current", off_ma_per_cm2, off_s))
        return cls(pair * int(count))

    @classmethod
    def measured(cls, times_s: ArrayLike, current_ma_per_cm2: ArrayLike) -> Protocol:
        """Follow a current density that was measured, linear between its times; jumps are two equal times.

        Parameters
        ----------
        times_s : (N,) float, s
            Not decreasing; counted from the first one on.
        current_ma_per_cm2 : (N,) float, mA/cm²
            Positive plates.
        """
        times = np.asarray(times_s, dtype=np.float64)
        values = np.asarray(current_ma_per_cm2, dtype=np.float64)
        since = tuple((times - times[0]).tolist()) if times.size else ()
        return cls((Step("current", since, tuple(values.ravel().tolist())),))

    @classmethod
    def held_potential(
        cls, potential_v: float, duration_s: float, *, until_ma_per_cm2: float | None = None
    ) -> Protocol:
        """Hold a potential, until the current density falls to `until_ma_per_cm2` where that is given."""
        limit = None if until_ma_per_cm2 is None else Limit(below=abs(until_ma_per_cm2))
        return cls((_held("potential", potential_v, duration_s, limit),))

    @classmethod
    def cc_cv(
        cls,
        current_ma_per_cm2: float,
        potential_v: float,
        *,
        until_ma_per_cm2: float,
        duration_s: float,
    ) -> Protocol:
        """Apply a current until a potential is reached, then hold that until the current has fallen.

        Parameters
        ----------
        current_ma_per_cm2 : float
            Positive plates.
        potential_v : float, V
            Where the current step ends: reached from above if it lies below the open-circuit potential of 0,
            else from below.
        until_ma_per_cm2 : float
            Magnitude of the current density at which the potential is given up.
        duration_s : float, s
            Longest duration of each of the two steps.
        """
        limit = Limit(below=potential_v) if potential_v < 0 else Limit(above=potential_v)
        return cls(
            (
                _held("current", current_ma_per_cm2, duration_s, limit),
                _held("potential", potential_v, duration_s, Limit(below=abs(until_ma_per_cm2))),
            )
        )

    @property
    def duration_s(self) -> float:
        """How long the protocol lasts if no limit ends a step."""
        return math.fsum(step.duration_s for step in self.steps)

    @property
    def is_known(self) -> bool:
        """Whether the current is controlled throughout and no step can end early."""
        return all(step.control == "current" and step.limit is None for step in self.steps)

    @property
    def largest_ma_per_cm2(self) -> float:
        """The largest current density that is applied, without its sign; 0 where only potentials are held."""
        applied = [value for step in self.steps if step.control == "current" for value in step.values]
        return max((abs(value) for value in applied), default=0.0)

    @property
    def begins_s(self) -> Floats:
        """When each step begins, if no limit ends one."""
        return np.concatenate([[0.0], np.cumsum([step.duration_s for step in self.steps])[:-1]])

    def current_density_at(self, times_s: ArrayLike) -> Floats:
        """Return the current density at times since the start, mA/cm²; at a jump, the one after it.

        Before the first step and after the last it is 0.

        Raises
        ------
        InputError
            If a potential is held, or a step may end early: then the cell decides on the current.
        """
        if not self.is_known:
            raise InputError(
                "protocol: the current is not known beforehand, since a potential is held or a limit ends "
                "a step"
            )
        times = np.asarray(times_s, dtype=np.float64)
        begins = self.begins_s
        found = np.zeros(times.shape)
        at = np.searchsorted(begins, times, side="right") - 1
        for k, step in enumerate(self.steps):
            inside = (at == k) & (times >= 0) & (times <= self.duration_s)
            found[inside] = step.value_at(times[inside] - begins[k])
        return found

    def charge_density_at(self, times_s: ArrayLike) -> Floats:
        """Return the charge passed since the start, C/cm²; exact between the protocol's points.

        Raises
        ------
        InputError
            As `current_density_at`.
        """
        if not self.is_known:
            self.current_density_at(0.0)
        times = np.concatenate(
            [b + np.array(s.times_s) for b, s in zip(self.begins_s, self.steps, strict=True)]
        )
        values = np.concatenate([np.array(step.values) for step in self.steps])
        steps = 0.5 * (values[1:] + values[:-1]) * np.diff(times)
        passed = np.concatenate([[0.0], np.cumsum(steps)])
        wanted = np.clip(np.asarray(times_s, dtype=np.float64), 0.0, self.duration_s)
        before = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, times.size - 2)
        part = wanted - times[before]
        span = times[before + 1] - times[before]
        slope = np.where(span > 0, (values[before + 1] - values[before]) / np.where(span > 0, span, 1.0), 0.0)
        charge = passed[before] + part * (values[before] + 0.5 * slope * part)
        return np.asarray(charge * 1e-3, dtype=np.float64)

    @property
    def edges_s(self) -> Floats:
        """Times at which the controlled quantity jumps or bends: a time step should end there."""
        found = [b + np.array(step.times_s) for b, step in zip(self.begins_s, self.steps, strict=True)]
        return np.unique(np.concatenate(found))


def _held(control: Control, value: float, duration_s: float, limit: Limit | None = None) -> Step:
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"protocol: a step lasts {duration_s:g} s; give seconds above 0")
    return Step(control, (0.0, float(duration_s)), (float(value), float(value)), limit)
