"""A protocol as it is applied to the twin: what is held in each step, and when a limit ends one."""

from __future__ import annotations

from dataclasses import replace

from lee.electrochemistry import Protocol
from lee.electrochemistry.protocol import Step
from lee.twin.cell import Cell
from lee.twin.results.solution import Balance
from lee.twin.solver.equations import Problem, State
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.stepping import Stepper

# A limit is met to this share of its value.
_MET = 1e-5
_TRIES = 40
# Of the time step: a limit that is passed from the beginning ends it at once.
_SHORTEST = 1e-6
# Of a step's duration: a time at which the value jumps takes the one before.
_BEFORE = 1e-9


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


class ProtocolRun:
    """Makes the time steps of a protocol, each within one of its steps.

    A step that a limit ends is shortened to where the limit is met. After the last one the cell rests.

    Parameters
    ----------
    protocol : Protocol
    cell : Cell
    problem : Problem
    solver : SubstepSolver
        Gets the problem of each step.
    stepper : Stepper
    """

    def __init__(
        self, protocol: Protocol, cell: Cell, problem: Problem, solver: SubstepSolver, stepper: Stepper
    ) -> None:
        self._steps, self._cell, self._problem = list(protocol.steps), cell, problem
        self._solver, self._stepper = solver, stepper
        self._begins_s = stepper.time_s
        self.switches: list[str] = []
        self._hold()

    def step(self, until_s: float) -> list[Balance]:
        """Make a time step, at most to a time, or several where a limit is met; return their balances."""
        stepper, step = self._stepper, self._steps[0] if self._steps else None
        if step is None:
            return [stepper.step(until_s)]
        edges = [self._begins_s + since for since in step.times_s]
        ends = [edge for edge in edges if edge > stepper.time_s * (1 + 1e-12)]
        before = stepper.saved()
        made = [stepper.step(min([until_s, *ends]))]
        if self._past(made[-1], step) >= 0:
            made = self._meet(before, made[-1], step)
            self.switches.append(
                f"step {len(self.switches) + 1} of the protocol ended at {stepper.time_s:.6g} s: its limit"
            )
            self._next()
        elif stepper.time_s >= edges[-1] * (1 - 1e-12):
            self.switches.append(
                f"step {len(self.switches) + 1} of the protocol ended at {stepper.time_s:.6g} s"
            )
            self._next()
        elif stepper.time_s in edges:
            stepper.restart()
        return made

    def _next(self) -> None:
        self._steps.pop(0)
        self._begins_s = self._stepper.time_s
        self._hold()
        self._stepper.restart()

    def _hold(self) -> None:
        step = self._steps[0] if self._steps else None
        self._solver.problem = controlled(self._problem, self._cell, step, self._begins_s)

    def _past(self, balance: Balance, step: Step) -> float:
        """Return how far a limit is passed, in shares of it; below 0 where none is reached."""
        if step.limit is None:
            return -1.0
        current = balance.current_ma_per_cm2 * self._problem.scales.current_a_per_m2 / 10
        if step.control == "potential":
            value = abs(current)
        else:
            value = self._cell.voltage_v(balance.electrode_v * self._cell.thermal_voltage_v, current)
        above, below = step.limit.above, step.limit.below
        past = [] if above is None else [(value - above) / max(abs(above), 1e-9)]
        past += [] if below is None else [(below - value) / max(abs(below), 1e-9)]
        return max(past)

    def _meet(
        self, before: tuple[list[tuple[float, State]], float], beyond: Balance, step: Step
    ) -> list[Balance]:
        """Go back and end where the limit is met: false position, with bisection where that stalls."""
        stepper = self._stepper
        low, high = before[0][-1][0], beyond.time_s
        low_past, high_past = None, self._past(beyond, step)
        made: list[Balance] = []
        for tried in range(_TRIES):
            share = 0.5
            if low_past is not None and tried % 3:
                share = min(max(low_past / (low_past - high_past), 0.02), 0.98)
            middle = low + share * (high - low)
            stepper.go_back(before)
            made = []
            while stepper.time_s < middle:
                made.append(stepper.step(middle))
            past = self._past(made[-1], step)
            if abs(past) <= _MET or high - low <= _SHORTEST * (beyond.time_s - before[0][-1][0]):
                break
            if past > 0:
                high, high_past = middle, past
            else:
                low, low_past = middle, past
        return made
