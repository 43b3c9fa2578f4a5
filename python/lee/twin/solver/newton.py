"""One implicit stage of the twin: c, ψ and the electrode's potential at given total current, by Newton."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.twin.electrode.coupling import Coupling
from lee.twin.electrode.kinetics import Kinetics, Plating, Scales
from lee.twin.solver.gmres import gmres
from lee.twin.solver.multigrid import Multigrid

TOLERANCE = 1e-8
ITERATIONS = 20
LINEAR_ITERATIONS = 60
_HALVINGS = 6
# Shares of a concentration that one iteration may take away, and most change of a potential, in RT/F.
LEAST_LEFT = 0.1
MOST_CHANGE = 8.0
Load = Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64]]]
Plane = Callable[[float], NDArray[np.float64]]


@dataclass(frozen=True)
class State:
    """What is unknown.

    Attributes
    ----------
    fields : (2, columns, nz) float64
        c/c₀, and ψ over RT/F.
    electrode : float
        Potential of the electrode's metal, over RT/F.
    """

    fields: NDArray[np.float64]
    electrode: float


@dataclass(frozen=True)
class Problem:
    """What is solved, apart from where the mesh is.

    Attributes
    ----------
    scales : Scales
    electrode, anode : Kinetics
        No anode where the bulk is held.
    free : (2, nz) bool
        Which nodes of a column are unknown, for c and for ψ.
    seen_area : float
        Area of the electrode as seen from above, µm².
    plane_area : (columns,) float64
        µm² each column stands for on the bulk plane or the anode.
    load : callable or None
        Right sides of both equations at a time, (nodes,), for manufactured solutions.
    plane : callable or None
        Held values on the bulk plane at a time, (2, columns); c₀ and no potential without it.
    total : callable or None
        Current at a time, for manufactured solutions; ``scales.total * seen_area`` without it.
    """

    scales: Scales
    electrode: Kinetics
    anode: Kinetics | None
    free: NDArray[np.bool_]
    seen_area: float
    plane_area: NDArray[np.float64]
    load: Load | None = None
    plane: Plane | None = None
    total: Callable[[float], float] | None = None


@dataclass(frozen=True)
class Volume:
    """Matrices of the mesh at one moment.

    Attributes
    ----------
    mass, laplace : sparse (nodes, nodes)
    drift : sparse (nodes, nodes) or None
        Of a mesh that moves.
    area : (columns,) float64
        True area each column stands for on the electrode, µm².
    """

    mass: Any
    laplace: Any
    drift: Any
    area: NDArray[np.float64]


@dataclass(frozen=True)
class Stage:
    """A solved stage.

    Attributes
    ----------
    state : State
    residuals : tuple of float
        First to last; current that is missing, in shares of the total.
    linear_iterations : int
    converged : bool
    salt_in, salt_out : float
        c/c₀ µm³/s that enter over the bulk plane (or the anode), and that the electrode takes.
    charge_error : float
    """

    state: State
    residuals: tuple[float, ...]
    linear_iterations: int
    converged: bool
    salt_in: float = 0.0
    salt_out: float = 0.0
    charge_error: float = 0.0


class StageSolver:
    """Newton's method on one stage; keeps the multigrid between stages.

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
        """Build the multigrid anew at the next stage: the mesh has moved."""
        self._multigrid = self._weights = None

    def solve(
        self, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float, guess: State
    ) -> Stage:
        """Solve ``mass u − span_s f(u) = right`` with the potential's equation and the total current.

        Parameters
        ----------
        volume : Volume
            At the stage's time.
        right : (nodes,) float64
            µm³ c/c₀. Not looked at where no concentration is unknown.
        span_s : float
            Time step times the diagonal coefficient of the Runge–Kutta method.
        time_s : float
        guess : State

        Returns
        -------
        Stage
            The last state tried where Newton did not converge.
        """
        problem = self.problem
        equations = Equations(problem, volume, right, span_s, time_s)
        state = equations.hold(guess)
        residual = equations.residual(state)
        history = [equations.size(residual)]
        linear = 0
        for _ in range(ITERATIONS):
            if history[-1] <= TOLERANCE or not np.isfinite(history[-1]):
                break
            self._prepare(equations)
            change, count = self._linear_step(equations, residual, history[-1])
            linear += count
            found = damped(equations, state, change, history[-1])
            if found is None:
                break
            state, residual = found
            history.append(equations.size(residual))
        return equations.stage(state, tuple(history), linear)

    def _prepare(self, equations: Equations) -> None:
        if self._multigrid is None:
            volume = equations.volume
            self._multigrid = Multigrid(volume.mass, volume.laplace, self._shape, self.problem.free)
        if self._weights != equations.weights:
            self._multigrid.set_volume(equations.weights)
            self._weights = equations.weights
        self._multigrid.set_coupling(*equations.couplings())

    def _linear_step(
        self, equations: Equations, residual: tuple[NDArray[np.float64], float], size: float
    ) -> tuple[State, int]:
        multigrid = self._multigrid
        assert multigrid is not None
        shape = residual[0].shape
        border = equations.border
        answer = multigrid.cycle(border.by_electrode)
        response = border.electrode_by_electrode - float(np.vdot(border.of_fields, answer))

        def precondition(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            fields = multigrid.cycle(vector[:-1].reshape(shape))
            electrode = (vector[-1] - float(np.vdot(border.of_fields, fields))) / response
            return np.append((fields - electrode * answer).ravel(), electrode)

        def jacobian(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            fields, electrode = vector[:-1].reshape(shape), float(vector[-1])
            rows = equations.times(fields) + border.by_electrode * electrode
            last = float(np.vdot(border.of_fields, fields)) + border.electrode_by_electrode * electrode
            return np.append(rows.ravel(), last)

        change, count, _ = gmres(
            jacobian,
            -np.append(residual[0].ravel(), residual[1]),
            precondition,
            tolerance=float(np.clip(0.1 * TOLERANCE / size, 1e-5, 1e-2)),
            iterations=LINEAR_ITERATIONS,
        )
        return State(change[:-1].reshape(shape), float(change[-1])), count


@dataclass(frozen=True)
class Border:
    """The row and the column that the electrode's potential adds to the Jacobian."""

    by_electrode: NDArray[np.float64]
    of_fields: NDArray[np.float64]
    electrode_by_electrode: float


class Equations:
    """The equations of one stage, all in units of current: µm² of the cell's current density."""

    def __init__(
        self, problem: Problem, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float
    ) -> None:
        self.problem, self.volume = problem, volume
        self._time_s, self._span_s, self._right = time_s, span_s, right
        scales = problem.scales
        self.weights = (
            1 / (span_s * scales.uptake),
            scales.diffusivity / scales.uptake,
            scales.conductance,
        )
        self._c_free = bool(problem.free[0].any())
        self._total = scales.total * problem.seen_area if problem.total is None else problem.total(time_s)
        if self._c_free:
            self._salt = self.weights[0] * volume.mass + self.weights[1] * volume.laplace
            if volume.drift is not None:
                self._salt = self._salt - volume.drift / scales.uptake
        self._load = None if problem.load is None else problem.load(time_s)
        self._held_on_electrode = (not problem.free[0, 0], not problem.free[1, 0])
        self._held_on_plane = (not problem.free[0, -1], not problem.free[1, -1])

    def hold(self, guess: State) -> State:
        """Set the values that are given."""
        fields = guess.fields.copy()
        plane = self.problem.plane
        given = np.array([[1.0], [0.0]]) if plane is None else plane(self._time_s)
        for field, held in enumerate(self._held_on_plane):
            if held:
                fields[field, :, -1] = given[field]
        return State(fields, guess.electrode)

    def residual(self, state: State) -> tuple[NDArray[np.float64], float]:
        """Return what is missing in the equations of the unknowns, and in the total current."""
        rows, plating = self._rows(state)
        return rows * self.problem.free[:, None, :], float(self.volume.area @ plating.current) - self._total

    def size(self, residual: tuple[NDArray[np.float64], float]) -> float:
        """Return the largest of the three equations' missing current, in shares of the seen area's."""
        missing = np.abs(residual[0]).sum(axis=(1, 2))
        return float(max(missing[0], missing[1], abs(residual[1]))) / self.problem.seen_area

    def times(self, fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply the fields with their Jacobian."""
        shape = fields.shape[1:]
        psi = self.weights[2] * (self.volume.laplace @ fields[1].ravel())
        c = self._salt @ fields[0].ravel() if self._c_free else np.zeros_like(psi)
        out = np.stack([c.reshape(shape), psi.reshape(shape)])
        for k, plating, area in self._slopes:
            rate = area * (
                plating.by_concentration * fields[0, :, k] + plating.by_potential * fields[1, :, k]
            )
            out[:, :, k] += rate
        out *= self.problem.free[:, None, :]
        return out

    def couplings(self) -> tuple[Coupling, Coupling | None]:
        """Return the reaction's derivatives for the multigrid."""
        held = (self._held_on_electrode, self._held_on_plane)
        made = [
            Coupling.of(area * plating.by_concentration, area * plating.by_potential, held=at)
            for (_, plating, area), at in zip(self._slopes, held, strict=False)
        ]
        return made[0], made[1] if len(made) > 1 else None

    @property
    def border(self) -> Border:
        """The derivatives by, and of, the equation of the total current."""
        _, plating, area = self._slopes[0]
        free = self.problem.free[:, None, :]
        shape = (2, len(area), free.shape[2])
        column, row = np.zeros(shape), np.zeros(shape)
        column[:, :, 0] = -area * plating.by_potential
        row[0, :, 0] = area * plating.by_concentration
        row[1, :, 0] = area * plating.by_potential
        return Border(column * free, row * free, -float(area @ plating.by_potential))

    def stage(self, state: State, residuals: tuple[float, ...], linear: int) -> Stage:
        """Close the books."""
        rows, plating = self._rows(state)
        problem, scales = self.problem, self.problem.scales
        current = float(self.volume.area @ plating.current)
        if problem.anode is None:
            # What is missing on the held plane is what the plane must give.
            inflow = float(rows[0, :, -1].sum()) * scales.uptake
            through = float(rows[1, :, -1].sum())
        else:
            there = problem.anode.plating(state.fields[0, :, -1], state.fields[1, :, -1], 0.0)
            through = -float(problem.plane_area @ there.current)
            inflow = through * scales.uptake
        if self._c_free and self.volume.drift is not None:
            # What the plane takes in where it moves against the electrolyte.
            inflow += float((self.volume.drift @ state.fields[0].ravel()).sum())
        missing = max(abs(current - through), abs(current - self._total))
        return Stage(
            state=state,
            residuals=residuals,
            linear_iterations=linear,
            converged=residuals[-1] <= TOLERANCE,
            salt_in=float(inflow),
            salt_out=current * scales.uptake,
            charge_error=missing / max(abs(current), problem.seen_area * (abs(scales.total) or 1.0)),
        )

    def _rows(self, state: State) -> tuple[NDArray[np.float64], Plating]:
        """Evaluate all rows, held ones included."""
        problem, (u, psi) = self.problem, state.fields
        rows = np.zeros_like(state.fields)
        rows[1] = (self.weights[2] * (self.volume.laplace @ psi.ravel())).reshape(psi.shape)
        if self._c_free:
            kept = self._salt @ u.ravel() - self.weights[0] * self._right
            rows[0] = kept.reshape(u.shape)
        if self._load is not None:
            rows[0] -= self._load[0].reshape(u.shape)
            rows[1] -= self._load[1].reshape(u.shape)
        plating = problem.electrode.plating(u[:, 0], psi[:, 0], state.electrode)
        self._slopes = [(0, plating, self.volume.area)]
        rows[:, :, 0] += self.volume.area * plating.current
        if problem.anode is not None:
            there = problem.anode.plating(u[:, -1], psi[:, -1], 0.0)
            self._slopes.append((-1, there, problem.plane_area))
            rows[:, :, -1] += problem.plane_area * there.current
        return rows, plating


def damped(
    equations: Equations, state: State, change: State, size: float
) -> tuple[State, tuple[NDArray[np.float64], float]] | None:
    """Go along the change as far as concentrations stay positive and the residual falls."""
    if not (np.isfinite(change.fields).all() and np.isfinite(change.electrode)):
        return None
    fall = -change.fields[0] / state.fields[0]
    swing = max(float(np.abs(change.fields[1]).max()), abs(change.electrode))
    share = min(1.0, (1 - LEAST_LEFT) / max(float(fall.max()), 1e-300), MOST_CHANGE / max(swing, 1e-300))
    for _ in range(_HALVINGS):
        tried = replace(
            state,
            fields=state.fields + share * change.fields,
            electrode=state.electrode + share * change.electrode,
        )
        residual = equations.residual(tried)
        # A cut step need not reach the residual it aims at; it must not make it worse.
        if equations.size(residual) < size or equations.size(residual) <= TOLERANCE:
            return tried, residual
        share /= 2
    return None
