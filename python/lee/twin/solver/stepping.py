"""Time steps: two implicit substeps each (Alexander 1977, order 2, L-stable), as long as the error allows.

The substeps advance M c, mass matrix times concentration, also where the mesh moves. Nodes move in z only and
evenly in a step, so that M is linear in time and the drift's matrix constant: what the mesh sweeps over is
counted exactly, and a constant concentration stays one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lee.twin.results.solution import Balance
from lee.twin.solver.equations import State, Substep, Volume
from lee.twin.solver.newton import Solver
from lee.twin.solver.time_loop import StoppedEarly

GAMMA = 1 - 1 / np.sqrt(2)
# The method leaves _ERROR dt³ c''' a step; the state's distance from the parabola through the last three
# gives c'''.
_ERROR = abs(1 / 6 - 3 * GAMMA**2 + 2 * GAMMA**3)
# Of a step's length, from one to the next.
_SAFETY, _MIN_CHANGE, _MAX_CHANGE = 0.85, 0.3, 2.0
# c/c₀ the electrode may lose in the very first step: all later ones start from it.
_FIRST_CHANGE = 2e-3


class Unsolvable(StoppedEarly):
    """No step, however short, could be solved."""

    def __init__(self, time_s: float, residuals: tuple[float, ...]) -> None:
        super().__init__(f"no step from {time_s:.6g} s converges", time_s)
        self.residuals = residuals


Geometry = Callable[[float], Volume]
Move = Callable[[float, float], Geometry]
"""From start and length of a step to the matrices at any time within it."""


class Stepper:
    """Advances the state in time.

    Parameters
    ----------
    solver : Solver
    move : callable
        Where the mesh is; see `Move`.
    start : State
    time_s : float
    tolerance : float
        Error of c/c₀ a step may add at any node.
    step_s : float or None
        Length of constant steps, whose errors are not limited; without it steps follow `tolerance`.
    longest_s : float
        Longest step.
    """

    def __init__(
        self,
        solver: Solver,
        move: Move,
        start: State,
        *,
        time_s: float = 0.0,
        tolerance: float = 1e-4,
        step_s: float | None = None,
        longest_s: float = np.inf,
    ) -> None:
        self._solver, self._move = solver, move
        self._tolerance, self._constant, self.longest_s = tolerance, step_s, longest_s
        self.history: deque[tuple[float, State]] = deque([(time_s, start)], maxlen=3)
        self.next_s = step_s or min(self._first(), longest_s)

    def saved(self) -> tuple[list[tuple[float, State]], float]:
        """Return what `go_back` needs."""
        return list(self.history), self.next_s

    def go_back(self, saved: tuple[list[tuple[float, State]], float]) -> None:
        """Return to where `saved` was called."""
        self.history.clear()
        self.history.extend(saved[0])
        self.next_s = saved[1]

    @property
    def time_s(self) -> float:
        """End of the last step."""
        return self.history[-1][0]

    @property
    def state(self) -> State:
        """The last good state."""
        return self.history[-1][1]

    def step(self, until_s: float) -> Balance:
        """Make one step, at most to a time; steps just before it have even lengths, so that none is tiny.

        Returns
        -------
        Balance
            The electrode's potential in it is over RT/F; current and charge are in units of the cell's
            current.

        Raises
        ------
        Unsolvable
            If no step converges.
        """
        left = until_s - self.time_s
        while True:
            length = self._constant or min(self.next_s, self.longest_s)
            last = length >= left * (1 - 1e-9)
            if last:
                length = left
            elif length > 0.5 * left and not self._constant:
                length = 0.5 * left
            end = until_s if last else self.time_s + length
            substeps = self._try(length, end)
            if substeps[-1].converged:
                error = self._error(substeps[-1].state, length)
                if error <= 1 or self._constant or len(self.history) < 3:
                    break
                self.next_s = length * max(_MIN_CHANGE, _SAFETY * error ** (-1 / 3))
                continue
            self.next_s = length / 4
            if self._constant or self.next_s < max(1e-3 * self._first(), 1e-7 * self.time_s):
                raise Unsolvable(self.time_s, substeps[-1].residuals)
        # A step that is short only to end at a time does not shorten those after it.
        growth = float(np.clip(_SAFETY * max(error, 1e-12) ** (-1 / 3), _MIN_CHANGE, _MAX_CHANGE))
        grown = length * (growth if len(self.history) >= 3 else 1.5)
        self.next_s = max(grown, self.next_s) if last and error <= 1 else grown
        balance = self._balance(substeps, length, end)
        self.history.append((end, substeps[-1].state))
        return balance

    def restart(self) -> None:
        """Begin anew from the last state, where the current jumps: earlier ones predict nothing."""
        last = self.history[-1]
        self.history.clear()
        self.history.append(last)
        self.next_s = min(self._first(), self.longest_s)

    def _first(self) -> float:
        """Time in which a flat electrode takes the first share of the concentration (Sand)."""
        scales = self._solver.problem.scales
        speed = 2 * scales.uptake * max(abs(scales.total), 1e-3) / np.sqrt(np.pi * scales.diffusivity)
        return float((_FIRST_CHANGE / speed) ** 2)

    def _try(self, length: float, end: float) -> list[Substep]:
        geometry = self._move(self.time_s, length)
        begin, span = self.time_s, GAMMA * length
        held = self._content(geometry(begin), self.state)
        middle = geometry(begin + span)
        first = self._solver.solve(middle, held, span, begin + span, self._guess(begin + span))
        if not first.converged:
            return [first]
        gained = self._content(middle, first.state) - held
        closing = geometry(end)
        second = self._solver.solve(
            closing, held + (1 - GAMMA) / GAMMA * gained, span, end, self._guess(end, first)
        )
        self._gained = float(self._content(closing, second.state).sum() - held.sum())
        return [first, second]

    @staticmethod
    def _content(volume: Volume, state: State) -> NDArray[np.float64]:
        return np.asarray(volume.mass @ state.fields[0].ravel())

    def _guess(self, time_s: float, substep: Substep | None = None) -> State:
        """Guess the state: a parabola through what is known."""
        known = list(self.history)
        if len(known) < 3:
            return self.state if substep is None else substep.state
        return _parabola(known, time_s)

    def _error(self, state: State, length: float) -> float:
        """Estimate the step's error, over the tolerance."""
        if len(self.history) < 3:
            return 1.0
        times = [time for time, _ in self.history]
        extrapolated = _parabola(list(self.history), times[-1] + length)
        spread = np.prod([times[-1] + length - time for time in times]) / 6
        share = _ERROR * length**3 / (spread + _ERROR * length**3)
        return float(share * np.abs(state.fields[0] - extrapolated.fields[0]).max() / self._tolerance)

    def _balance(self, substeps: list[Substep], length: float, end: float) -> Balance:
        weights = (1 - GAMMA, GAMMA)
        gained = self._gained
        let_in = length * sum(w * s.salt_in for w, s in zip(weights, substeps, strict=True))
        taken = length * sum(w * s.salt_out for w, s in zip(weights, substeps, strict=True))
        problem = self._solver.problem
        asked = problem.seen_area * (abs(problem.scales.total) or 1.0)
        passed = max(abs(taken), length * problem.scales.uptake * asked)
        return Balance(
            time_s=end,
            step_s=length,
            charge_error=max(substep.charge_error for substep in substeps),
            mass_error=abs(gained - let_in + taken) / passed,
            residuals=tuple(r for substep in substeps for r in substep.residuals),
            linear_iterations=sum(substep.linear_iterations for substep in substeps),
            electrode_v=substeps[-1].state.metal,
            current_ma_per_cm2=substeps[-1].current / problem.seen_area,
            charge_c_per_cm2=taken / (problem.scales.uptake * problem.seen_area),
        )


def _parabola(known: list[tuple[float, State]], at: float) -> State:
    """Extrapolate three states (Lagrange); concentrations stay above a fraction of the last ones."""
    times = [time for time, _ in known]
    fields = np.zeros_like(known[0][1].fields)
    metal = 0.0
    for i, (time, state) in enumerate(known):
        others = [t for j, t in enumerate(times) if j != i]
        weight = float(np.prod([(at - t) / (time - t) for t in others]))
        fields += weight * state.fields
        metal += weight * state.metal
    np.maximum(fields[0], 0.2 * known[-1][1].fields[0], out=fields[0])
    return State(fields, metal)
