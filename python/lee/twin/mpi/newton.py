"""Newton's method over ranks: the equations of the serial twin on each strip, PETSc's FGMRES over all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.twin.mpi.schwarz import Schwarz
from lee.twin.mpi.strip import Strip, import_mpi
from lee.twin.solver.newton import (
    ITERATIONS,
    LEAST_LEFT,
    LINEAR_ITERATIONS,
    MOST_CHANGE,
    TOLERANCE,
    Border,
    Equations,
    Problem,
    Stage,
    State,
    Volume,
    damped,
)

Residual = tuple[NDArray[np.float64], float]


class _StripEquations(Equations):
    """The equations of a rank's own nodes; what is summed over nodes is summed over ranks."""

    def __init__(self, comm: Any, *given: Any) -> None:
        super().__init__(*given)
        self._comm = comm

    def residual(self, state: State) -> Residual:
        rows, plating = self._rows(state)
        free = self.problem.free[:, None, :]
        return rows * free, self.total(float(self.volume.area @ plating.current))[0] - self._total

    def size(self, residual: Residual) -> float:
        missing = self.total(*np.abs(residual[0]).sum(axis=(1, 2)))
        return float(max(*missing, abs(residual[1]))) / self.problem.seen_area

    @property
    def border(self) -> Border:
        own = super().border
        return replace(own, electrode_by_electrode=self.total(own.electrode_by_electrode)[0])

    @property
    def slopes(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Current by concentration and by potential, on the electrode and on the anode."""
        return [(area * p.by_concentration, area * p.by_potential) for _, p, area in self._slopes]

    @property
    def held(self) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
        """Whether c and ψ are held, on the electrode and on the plane."""
        return self._held_on_electrode, self._held_on_plane

    def stage(self, state: State, residuals: tuple[float, ...], linear: int) -> Stage:
        own = super().stage(state, residuals, linear)
        problem, scales = self.problem, self.problem.scales
        rows, plating = self._rows(state)
        if problem.anode is None:
            through = float(rows[1, :, -1].sum())
        else:
            there = problem.anode.plating(state.fields[0, :, -1], state.fields[1, :, -1], 0.0)
            through = -float(problem.plane_area @ there.current)
        current, through, salt_in, salt_out = self.total(
            float(self.volume.area @ plating.current), through, own.salt_in, own.salt_out
        )
        missing = max(abs(current - through), abs(current - self._total))
        asked = problem.seen_area * (abs(scales.total) or 1.0)
        return replace(
            own, salt_in=salt_in, salt_out=salt_out, charge_error=missing / max(abs(current), asked)
        )

    def total(self, *values: float) -> list[float]:
        """Add up each value over the ranks."""
        total = np.empty(len(values))
        self._comm.Allreduce(np.array(values, dtype=np.float64), total)
        return [float(t) for t in total]


class StripSolver:
    """Solves a stage over all ranks, as `StageSolver` does on one machine.

    Parameters
    ----------
    problem : Problem
        Of the rank's own columns, and the whole mesh's seen area.
    strip : Strip
    rows : int
        Rows of nodes in the whole mesh.
    """

    def __init__(self, problem: Problem, strip: Strip, rows: int) -> None:
        self.problem, self._strip = problem, strip
        self._preconditioner = Schwarz(strip, rows, problem.free)
        self._weights: tuple[float, float, float] | None = None
        _, petsc = import_mpi()
        comm = strip.comm
        self._bordered = _Bordered(self._preconditioner, strip)
        size = (self._bordered.unknowns, None)
        self._matrix = petsc.Mat().createPython((size, size), _Jacobian(self._bordered), comm=comm)
        self._matrix.setUp()
        self._vectors = self._matrix.createVecs()
        self._ksp = petsc.KSP().create(comm)
        self._ksp.setOptionsPrefix("lee_")
        self._ksp.setOperators(self._matrix)
        self._ksp.setType("fgmres")
        self._ksp.setGMRESRestart(LINEAR_ITERATIONS)
        preconditioner = self._ksp.getPC()
        preconditioner.setType("python")
        preconditioner.setPythonContext(_Inverse(self._bordered))
        self._ksp.setFromOptions()

    def solve(
        self, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float, guess: State
    ) -> Stage:
        """Solve a stage; see `StageSolver.solve`. Every rank must call it, and all get the same books."""
        equations = _StripEquations(self._strip.comm, self.problem, volume, right, span_s, time_s)
        state = equations.hold(guess)
        residual = equations.residual(state)
        history = [equations.size(residual)]
        linear = 0
        for _ in range(ITERATIONS):
            if history[-1] <= TOLERANCE or not np.isfinite(history[-1]):
                break
            if self._weights != equations.weights:
                self._preconditioner.set_volume(equations.weights)
                self._weights = equations.weights
            self._preconditioner.set_coupling(equations.slopes, equations.held)
            found, count = self._linear_step(equations, residual, history[-1])
            linear += count
            change = _bounded(self._strip.comm, state, found)
            tried = None if change is None else damped(equations, state, change, history[-1])
            if tried is None:
                break
            state, residual = tried
            history.append(equations.size(residual))
        return equations.stage(state, tuple(history), linear)

    def close(self) -> None:
        """Give PETSc's objects back, which would hold the preconditioner; every rank must call it."""
        for held in (self._ksp, self._matrix, *self._vectors):
            held.destroy()

    def _linear_step(self, equations: _StripEquations, residual: Residual, size: float) -> tuple[State, int]:
        self._bordered.set(equations)
        answer, right = self._vectors
        right.setArray(-self._bordered.join(*residual))
        self._ksp.setTolerances(
            rtol=float(np.clip(0.1 * TOLERANCE / size, 1e-5, 1e-2)), max_it=LINEAR_ITERATIONS
        )
        self._matrix.assemble()
        self._ksp.solve(right, answer)
        change = State(*self._bordered.split(answer.getArray(readonly=True).copy()))
        return change, self._ksp.getIterationNumber()


def _bounded(comm: Any, state: State, change: State) -> State | None:
    """Shorten the change to what `damped` would allow on the rank that allows least."""
    share = 0.0
    if np.isfinite(change.fields).all() and np.isfinite(change.electrode):
        fall = float((-change.fields[0] / state.fields[0]).max())
        swing = max(float(np.abs(change.fields[1]).max()), abs(change.electrode))
        share = min(1.0, (1 - LEAST_LEFT) / max(fall, 1e-300), MOST_CHANGE / max(swing, 1e-300))
    least = -float(_most(comm, -share))
    if least == 0:
        return None
    # A little less, so that no rank finds it too long by the last digit.
    share = least if least == 1 else least * (1 - 1e-12)
    return State(share * change.fields, share * change.electrode)


def _most(comm: Any, value: float) -> float:
    total = np.empty(1)
    comm.Allreduce(np.array([value]), total, op=import_mpi()[0].MAX)
    return float(total[0])


class _Bordered:
    """The Jacobian of the fields with the electrode's potential, which the last rank keeps."""

    def __init__(self, preconditioner: Schwarz, strip: Strip) -> None:
        self._preconditioner, self._comm = preconditioner, strip.comm
        self._shape = (2, strip.shape[0] * strip.shape[1], strip.shape[2])
        self._last = strip.comm.rank == strip.comm.size - 1
        self.unknowns = int(np.prod(self._shape)) + self._last

    def set(self, equations: _StripEquations) -> None:
        self._times, self._sum, self._border = equations.times, equations.total, equations.border
        self._answer = self._preconditioner.cycle(self._border.by_electrode, self._times)
        self._response = self._border.electrode_by_electrode - self._seen(self._answer)

    def split(self, vector: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        fields = vector[:-1] if self._last else vector
        electrode = self._comm.bcast(float(vector[-1]) if self._last else 0.0, self._comm.size - 1)
        return fields.reshape(self._shape), electrode

    def join(self, fields: NDArray[np.float64], electrode: float) -> NDArray[np.float64]:
        return np.append(fields.ravel(), electrode) if self._last else fields.ravel()

    def times(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        fields, electrode = self.split(vector)
        rows = self._times(fields) + self._border.by_electrode * electrode
        return self.join(rows, self._seen(fields) + self._border.electrode_by_electrode * electrode)

    def inverse(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        rows, last = self.split(vector)
        fields = self._preconditioner.cycle(rows, self._times)
        electrode = (last - self._seen(fields)) / self._response
        return self.join(fields - electrode * self._answer, electrode)

    def _seen(self, fields: NDArray[np.float64]) -> float:
        return self._sum(float(np.vdot(self._border.of_fields, fields)))[0]


class _Jacobian:
    """What PETSc calls to multiply."""

    def __init__(self, bordered: _Bordered) -> None:
        self._bordered = bordered

    def mult(self, _matrix: Any, x: Any, y: Any) -> None:
        y.setArray(self._bordered.times(x.getArray(readonly=True)))


class _Inverse:
    """What PETSc calls to precondition."""

    def __init__(self, bordered: _Bordered) -> None:
        self._bordered = bordered

    def apply(self, _preconditioner: Any, x: Any, y: Any) -> None:
        y.setArray(self._bordered.inverse(x.getArray(readonly=True)))
