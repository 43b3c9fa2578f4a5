"""Newton's method for one implicit substep: c, ψ and the electrode's potential, at a current or potential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lee.twin.solver.equations import Border, Equations, Problem, Residual, State, Substep, Volume
from lee.twin.solver.gmres import gmres
from lee.twin.solver.multigrid import Multigrid

TOLERANCE = 1e-8
ITERATIONS = 20
LINEAR_ITERATIONS = 60
_HALVINGS = 6
# Share of a concentration that an iteration must leave, and largest change of a potential, in RT/F.
_MIN_LEFT, _MAX_CHANGE = 0.1, 8.0


class Solver(Protocol):
    """Solves implicit substeps of a problem: `SubstepSolver`, or one over ranks."""

    @property
    def problem(self) -> Problem:
        """What is solved."""
        ...

    def solve(
        self, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float, guess: State
    ) -> Substep:
        """Solve ``mass u − span_s f(u) = right`` with the potential's equation and the total current."""
        ...


def newton(
    equations: Equations, guess: State, linear_step: Callable[[Residual, float], tuple[State, int]]
) -> Substep:
    """Solve the equations of a substep.

    Parameters
    ----------
    equations : Equations
    guess : State
    linear_step : callable
        Takes the residual and its size; returns the change that would remove it, and iterations made.

    Returns
    -------
    Substep
        The last state tried where Newton did not converge.
    """
    state = equations.hold(guess)
    enough = max(TOLERANCE, equations.rounding)
    residual = equations.residual(state)
    history = [equations.size(residual)]
    linear = 0
    for _ in range(ITERATIONS):
        if history[-1] <= enough or not np.isfinite(history[-1]):
            break
        change, count = linear_step(residual, history[-1])
        linear += count
        found = _damped(equations, state, change, history[-1], enough)
        if found is None:
            break
        state, residual = found
        history.append(equations.size(residual))
    return equations.substep(state, tuple(history), linear, converged=history[-1] <= enough)


def linear_tolerance(size: float) -> float:
    """Relative residual to which a linear system is solved, by the size of the nonlinear one."""
    return float(np.clip(0.1 * TOLERANCE / size, 1e-5, 1e-2))


def _damped(
    equations: Equations, state: State, change: State, size: float, enough: float
) -> tuple[State, Residual] | None:
    """Follow the change as far as concentrations stay positive and the residual falls."""
    share = equations.least(_longest(state, change))
    if share == 0:
        return None
    for _ in range(_HALVINGS):
        tried = replace(
            state,
            fields=state.fields + share * change.fields,
            metal=state.metal + share * change.metal,
        )
        residual = equations.residual(tried)
        # A shortened step need not reach the residual it aims at; it must not make it worse.
        if equations.size(residual) < size or equations.size(residual) <= enough:
            return tried, residual
        share /= 2
    return None


def _longest(state: State, change: State) -> float:
    """Return the share of a change that may be made; 0 where it is not finite."""
    if not (np.isfinite(change.fields).all() and np.isfinite(change.metal)):
        return 0.0
    fall = -change.fields[0] / state.fields[0]
    swing = max(float(np.abs(change.fields[1]).max()), abs(change.metal))
    return min(1.0, (1 - _MIN_LEFT) / max(float(fall.max()), 1e-300), _MAX_CHANGE / max(swing, 1e-300))


class Bordered:
    """The Jacobian of the fields, bordered by the electrode's potential, and an approximate inverse of it.

    Parameters
    ----------
    equations : Equations
    cycle : callable
        An approximate inverse for the fields alone.
    """

    def __init__(
        self, equations: Equations, cycle: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> None:
        self._equations, self._cycle = equations, cycle
        self._border: Border = equations.border
        self._answer = cycle(self._border.by_metal)
        self._response = self._border.metal_by_metal - equations.dot(self._border.of_fields, self._answer)

    def times(self, fields: NDArray[np.float64], metal: float) -> Residual:
        """Multiply with the Jacobian."""
        border = self._border
        rows = self._equations.times(fields) + border.by_metal * metal
        return rows, self._equations.dot(border.of_fields, fields) + border.metal_by_metal * metal

    def inverse(self, rows: NDArray[np.float64], last: float) -> Residual:
        """Multiply with the approximate inverse."""
        fields = self._cycle(rows)
        metal = (last - self._equations.dot(self._border.of_fields, fields)) / self._response
        return fields - metal * self._answer, metal


class SubstepSolver:
    """Newton's method on one machine; keeps the multigrid between substeps.

    Parameters
    ----------
    problem : Problem
    shape : (ny, nx, nz)
    """

    def __init__(self, problem: Problem, shape: tuple[int, int, int]) -> None:
        self.problem = problem
        self._shape = shape
        self._multigrid: Multigrid | None = None
        self._weights: tuple[float, float, float] | None = None

    def forget(self) -> None:
        """Build the multigrid anew at the next substep: the mesh has moved."""
        self._multigrid = self._weights = None

    def solve(
        self, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float, guess: State
    ) -> Substep:
        """Solve ``mass u − span_s f(u) = right`` with the potential's equation and the total current.

        Parameters
        ----------
        volume, right, span_s, time_s
            See `Equations`.
        guess : State

        Returns
        -------
        Substep
            The last state tried where Newton did not converge.
        """
        equations = Equations(self.problem, volume, right, span_s, time_s)

        def linear_step(residual: Residual, size: float) -> tuple[State, int]:
            return self._linear_step(equations, residual, size)

        return newton(equations, guess, linear_step)

    def _prepare(self, equations: Equations) -> Multigrid:
        if self._multigrid is None:
            volume = equations.volume
            self._multigrid = Multigrid(volume.mass, volume.laplace, self._shape, self.problem.free)
        if self._weights != equations.weights:
            self._multigrid.set_volume(equations.weights)
            self._weights = equations.weights
        self._multigrid.set_coupling(*equations.couplings())
        return self._multigrid

    def _linear_step(self, equations: Equations, residual: Residual, size: float) -> tuple[State, int]:
        bordered = Bordered(equations, self._prepare(equations).cycle)
        shape = residual[0].shape

        def joined(both: Residual) -> NDArray[np.float64]:
            return np.append(both[0].ravel(), both[1])

        def split(vector: NDArray[np.float64]) -> Residual:
            return vector[:-1].reshape(shape), float(vector[-1])

        change, count, _ = gmres(
            lambda vector: joined(bordered.times(*split(vector))),
            -joined(residual),
            lambda vector: joined(bordered.inverse(*split(vector))),
            tolerance=linear_tolerance(size),
            iterations=LINEAR_ITERATIONS,
        )
        return State(*split(change)), count
