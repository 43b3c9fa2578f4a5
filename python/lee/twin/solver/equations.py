"""The equations of one implicit substep: what is missing in them, their derivatives, and their balances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lee.twin.electrode.electrode import Electrode, Plating
from lee.twin.solver.coupling import Coupling
from lee.twin.solver.matrix import Matrix, absolute_sum, weighted_sum
from lee.twin.solver.scales import Scales

Load = Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64]]]
Plane = Callable[[float], NDArray[np.float64]]
Residual = tuple[NDArray[np.float64], float]


@dataclass(frozen=True)
class State:
    """The unknowns.

    Attributes
    ----------
    fields : (2, columns, nz) float64
        c/c₀, and ψ over RT/F.
    metal : float
        Potential of the electrode's metal, over RT/F.
    """

    fields: NDArray[np.float64]
    metal: float


@dataclass(frozen=True)
class Problem:
    """What is solved, apart from where the mesh is.

    Attributes
    ----------
    scales : Scales
    electrode, anode : Electrode
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
        Current at a time; ``scales.total * seen_area`` without it.
    held : callable or None
        Potential of the cell at a time, over RT/F, where that is held: the current follows.
    resistance : float
        In series with the electrode, RT/F by unit of current density: counts in a held potential.
    """

    scales: Scales
    electrode: Electrode
    anode: Electrode | None
    free: NDArray[np.bool_]
    seen_area: float
    plane_area: NDArray[np.float64]
    load: Load | None = None
    plane: Plane | None = None
    total: Callable[[float], float] | None = None
    held: Callable[[float], float] | None = None
    resistance: float = 0.0


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

    mass: Matrix
    laplace: Matrix
    drift: Matrix | None
    area: NDArray[np.float64]


@dataclass(frozen=True)
class Substep:
    """A solved implicit substep of the Runge–Kutta method.

    Attributes
    ----------
    state : State
    residuals : tuple of float
        First to last; current that is missing, in shares of the total.
    linear_iterations : int
    converged : bool
    current : float
        Of the electrode, µm² of the unit of current density.
    salt_in, salt_out : float
        c/c₀ µm³/s that enter over the bulk plane (or the anode), and that the electrode takes.
    charge_error : float
    """

    state: State
    residuals: tuple[float, ...]
    linear_iterations: int
    converged: bool
    current: float = 0.0
    salt_in: float = 0.0
    salt_out: float = 0.0
    charge_error: float = 0.0


@dataclass(frozen=True)
class Border:
    """The row and the column that the electrode's potential adds to the Jacobian."""

    by_metal: NDArray[np.float64]
    of_fields: NDArray[np.float64]
    metal_by_metal: float


class Equations:
    """The equations of one substep, all in units of current: µm² of the cell's current density.

    Where the nodes are spread over ranks, a subclass replaces `sum` and `least`; nothing else looks beyond
    the nodes at hand.

    Parameters
    ----------
    problem : Problem
    volume : Volume
        At the substep's time.
    right : (nodes,) float64
        µm³ c/c₀. Not used where no concentration is unknown.
    span_s : float
        Time step times the diagonal coefficient of the Runge–Kutta method.
    time_s : float
    """

    def __init__(
        self, problem: Problem, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float
    ) -> None:
        self.problem, self.volume = problem, volume
        self._time_s, self._right = time_s, right
        scales = problem.scales
        self.weights = (
            1 / (span_s * scales.uptake),
            scales.diffusivity / scales.uptake,
            scales.conductance,
        )
        self._held_potential = None if problem.held is None else problem.held(time_s)
        self._c_free = bool(problem.free[0].any())
        self._largest_psi = 1.0
        self._total = scales.total * problem.seen_area if problem.total is None else problem.total(time_s)
        if self._c_free:
            parts = [(self.weights[0], volume.mass), (self.weights[1], volume.laplace)]
            if volume.drift is not None:
                parts.append((-1 / scales.uptake, volume.drift))
            self._salt = weighted_sum(*parts)
        self._load = None if problem.load is None else problem.load(time_s)
        # Whether c and ψ are held, on the electrode and on the plane.
        self.held = (
            (not problem.free[0, 0], not problem.free[1, 0]),
            (not problem.free[0, -1], not problem.free[1, -1]),
        )

    def sum(self, *values: float) -> list[float]:
        """Add up each value over all nodes that are solved for together."""
        return [float(value) for value in values]

    def least(self, value: float) -> float:
        """Return the smallest value among all that solve together."""
        return value

    def dot(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        """Multiply two vectors of all nodes."""
        return self.sum(float(np.vdot(a, b)))[0]

    def hold(self, guess: State) -> State:
        """Set the values that are given."""
        fields = guess.fields.copy()
        self._largest_psi = float(np.abs(fields[1]).max())
        plane = self.problem.plane
        given = np.array([[1.0], [0.0]]) if plane is None else plane(self._time_s)
        for field, held in enumerate(self.held[1]):
            if held:
                fields[field, :, -1] = given[field]
        return State(fields, guess.metal)

    def residual(self, state: State) -> Residual:
        """Return what is missing in the equations of the unknowns, and in the total current.

        Where a potential is held, that is missing in place of the current: over RT/F, times the seen area.
        """
        rows, plating = self._rows(state)
        (current,) = self.sum(float(self.volume.area @ plating.current))
        missing = current - self._total
        if self._held_potential is not None:
            missing = self.problem.seen_area * (state.metal - self._held_potential)
            missing -= self.problem.resistance * current
        return rows * self.problem.free[:, None, :], missing

    @cached_property
    def rounding(self) -> float:
        """Size of the residual that rounding leaves, like `size`: at small currents it is what decides."""
        conducted = self.weights[2] * absolute_sum(self.volume.laplace) * self._largest_psi
        salt = absolute_sum(self._salt) if self._c_free else 0.0
        return float(max(self.sum(conducted, salt))) * float(np.finfo(float).eps) / self.problem.seen_area

    def size(self, residual: Residual) -> float:
        """Return the largest of the three equations' missing current, in shares of the seen area's."""
        missing = self.sum(*np.abs(residual[0]).sum(axis=(1, 2)))
        return float(max(*missing, abs(residual[1]))) / self.problem.seen_area

    def times(self, fields: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply the fields with their Jacobian."""
        shape = fields.shape[1:]
        psi = self.weights[2] * (self.volume.laplace @ fields[1].ravel())
        c = self._salt @ fields[0].ravel() if self._c_free else np.zeros_like(psi)
        out = np.stack([c.reshape(shape), psi.reshape(shape)])
        for k, plating, area in self._platings:
            rate = area * (
                plating.by_concentration * fields[0, :, k] + plating.by_potential * fields[1, :, k]
            )
            out[:, :, k] += rate
        out *= self.problem.free[:, None, :]
        return out

    def slopes(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return current by concentration and by potential, on the electrode and on the anode if any."""
        return [(area * p.by_concentration, area * p.by_potential) for _, p, area in self._platings]

    def couplings(self) -> tuple[Coupling, Coupling | None]:
        """Return the reaction's derivatives for the multigrid."""
        made = [Coupling.of(*pair, held=at) for pair, at in zip(self.slopes(), self.held, strict=False)]
        return made[0], made[1] if len(made) > 1 else None

    @property
    def border(self) -> Border:
        """The derivatives by the electrode's potential, and those of the equation of the total current."""
        _, plating, area = self._platings[0]
        free = self.problem.free[:, None, :]
        shape = (2, len(area), free.shape[2])
        column, row = np.zeros(shape), np.zeros(shape)
        column[:, :, 0] = -area * plating.by_potential
        row[0, :, 0] = area * plating.by_concentration
        row[1, :, 0] = area * plating.by_potential
        (last,) = self.sum(-float(area @ plating.by_potential))
        if self._held_potential is not None:
            row *= -self.problem.resistance
            last = self.problem.seen_area - self.problem.resistance * last
        return Border(column * free, row * free, last)

    def substep(self, state: State, residuals: tuple[float, ...], linear: int, *, converged: bool) -> Substep:
        """Balance charge and salt of a state."""
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
        current, through, inflow = self.sum(current, through, inflow)
        missing = abs(current - through)
        if self._held_potential is None:
            missing = max(missing, abs(current - self._total))
        return Substep(
            state=state,
            residuals=residuals,
            linear_iterations=linear,
            converged=converged,
            current=current,
            salt_in=inflow,
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
        plating = problem.electrode.plating(u[:, 0], psi[:, 0], state.metal)
        self._platings = [(0, plating, self.volume.area)]
        rows[:, :, 0] += self.volume.area * plating.current
        if problem.anode is not None:
            there = problem.anode.plating(u[:, -1], psi[:, -1], 0.0)
            self._platings.append((-1, there, problem.plane_area))
            rows[:, :, -1] += problem.plane_area * there.current
        return rows, plating
