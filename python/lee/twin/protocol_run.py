"""A protocol as it is applied to the twin: what is held in each step, and when a limit ends one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from lee.electrochemistry import Protocol
from lee.electrochemistry.protocol import Step
from lee.twin.cell import Cell
from lee.twin.results.solution import Balance
from lee.twin.solver.equations import Problem
from lee.twin.solver.time_loop import StoppedEarly, Transient

# A limit is met to this share of its value.
_MET = 1e-5
_TRIES = 40
# Of the time step: a limit that is passed from the beginning ends it at once.
_SHORTEST = 1e-6
# Of a step's duration: a time at which the value jumps takes the one before.
_BEFORE = 1e-9
ENDED = "protocol_steps_ended"


def controlled(problem: Problem, cell: Cell, step: Step | None, begins_s: float) -> Problem:
    """Hold what a step of a protocol holds; without a step the cell rests.

    Parameters
    ----------
    problem : Problem
    cell : Cell
        Of the problem; its current density is the unit of current.
    step : Step or None
    begins_s : float
        When the step begins.
    """
    if step is None:
        return replace(problem, total=lambda _: 0.0, held=None)
    before = _BEFORE * step.duration_s

    def value(time_s: float) -> float:
        return float(step.value_at(max(time_s - begins_s - before, 0.0)))

    if step.control == "potential":
        return replace(problem, total=None, held=lambda time_s: value(time_s) / cell.thermal_voltage_v)
    unit = problem.seen_area * 10 / problem.scales.current_a_per_m2
    return replace(problem, total=lambda time_s: value(time_s) * unit, held=None)


class Controlled(Interface):
    """A solver whose problem can be exchanged."""

    problem: Problem


class Reversible(Transient, Interface):
    """A transient that can go back to a state that was saved, and begin anew where the current jumps."""

    def saved(self) -> Any:
        """Return what `go_back` needs."""
        ...

    def go_back(self, saved: Any) -> None:
        """Return to where `saved` was called."""
        ...

    def restart(self) -> None:
        """Begin anew from the last state: the current jumps, and earlier states predict nothing."""
        ...


class ProtocolRun:
    """Lets a transient follow a protocol: each of its time steps lies within one step of the protocol.

    A step that a limit ends is shortened to where the limit is met. After the last one the cell rests.

    Parameters
    ----------
    protocol : Protocol
    cell : Cell
    solver : Controlled
        Gets the problem of each step.
    transient : Reversible
        At the beginning of the protocol, or where `ended` has brought it.
    ended : sequence of (float, float)
        Steps that have ended before, as `checkpoint` gives them.
    """

    def __init__(
        self,
        protocol: Protocol,
        cell: Cell,
        solver: Controlled,
        transient: Reversible,
        *,
        begins_s: float = 0.0,
        ended: NDArray[np.float64] | None = None,
    ) -> None:
        self._cell, self._problem, self._solver = cell, solver.problem, solver
        self._transient = transient
        self._ended: list[tuple[float, float]] = (
            [] if ended is None else [(t, by) for t, by in ended.tolist()]
        )
        self._steps = list(protocol.steps)[len(self._ended) :]
        self._begins_s = self._ended[-1][0] if self._ended else begins_s
        self._hold()

    @property
    def time_s(self) -> float:
        """Of the transient."""
        return self._transient.time_s

    @property
    def notes(self) -> tuple[str, ...]:
        """When each step ended, and whether by its limit; a line each."""
        return tuple(
            f"step {k} of the protocol ended at {moment:.6g} s{': its limit' if by_limit else ''}"
            for k, (moment, by_limit) in enumerate(self._ended, 1)
        )

    def step(self, until_s: float) -> Balance:
        """Make a time step, at most to a time, or several where a limit is met; return the last's balance."""
        transient, step = self._transient, self._steps[0] if self._steps else None
        if step is None:
            return transient.step(until_s)
        edges = [self._begins_s + since for since in step.times_s]
        ends = [edge for edge in edges if edge > transient.time_s * (1 + 1e-12)]
        before, begin_s = transient.saved() if step.limit else None, transient.time_s
        made = transient.step(min([until_s, *ends]))
        if self._past(made, step) >= 0:
            made = self._meet(before, begin_s, made, step)
            self._next(by_limit=True)
        elif transient.time_s >= edges[-1] * (1 - 1e-12):
            self._next(by_limit=False)
        elif transient.time_s in edges:
            transient.restart()
        return made

    def record(self, more: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        """Record the state, and which steps have ended."""
        ended = np.array(self._ended, np.float64).reshape(-1, 2)
        self._transient.record({**(more or {}), ENDED: ended})

    def stop(self, cause: StoppedEarly) -> None:
        """Record why it ended."""
        self._transient.stop(cause)

    def _next(self, *, by_limit: bool) -> None:
        self._steps.pop(0)
        self._begins_s = self._transient.time_s
        self._ended.append((self._begins_s, float(by_limit)))
        self._hold()
        self._transient.restart()

    def _hold(self) -> None:
        step = self._steps[0] if self._steps else None
        self._solver.problem = controlled(self._problem, self._cell, step, self._begins_s)

    def _past(self, balance: Balance, step: Step) -> float:
        """Return how far a limit is passed, in shares of it; below 0 where none is reached."""
        if step.limit is None:
            return -1.0
        value = abs(balance.current_ma_per_cm2)
        if step.control == "current":
            value = self._cell.voltage_v(balance.electrode_v, balance.current_ma_per_cm2)
        above, below = step.limit.above, step.limit.below
        past = [] if above is None else [(value - above) / max(abs(above), 1e-9)]
        past += [] if below is None else [(below - value) / max(abs(below), 1e-9)]
        return max(past)

    def _meet(self, before: Any, begin_s: float, beyond: Balance, step: Step) -> Balance:
        """Go back and end where the limit is met: false position, with bisection where that stalls."""
        transient = self._transient
        low, high = begin_s, beyond.time_s
        low_past, high_past = None, self._past(beyond, step)
        made = beyond
        for tried in range(_TRIES):
            share = 0.5
            if low_past is not None and tried % 3:
                share = min(max(low_past / (low_past - high_past), 0.02), 0.98)
            middle = low + share * (high - low)
            transient.go_back(before)
            while transient.time_s < middle:
                made = transient.step(middle)
            past = self._past(made, step)
            if abs(past) <= _MET or high - low <= _SHORTEST * (beyond.time_s - begin_s):
                break
            if past > 0:
                high, high_past = middle, past
            else:
                low, low_past = middle, past
        return made
