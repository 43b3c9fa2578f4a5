"""Newton's method over ranks: the equations of the serial twin on each strip, PETSc's FGMRES over all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.twin.mpi.schwarz import Schwarz
from lee.twin.mpi.strip import Communicator, PetscObject, Strip, import_mpi
from lee.twin.solver.equations import Equations, Problem, Residual, State, Substep, Volume
from lee.twin.solver.newton import LINEAR_ITERATIONS, Bordered, linear_tolerance, newton


class _StripEquations(Equations):
    """The equations of a rank's own nodes; what is summed over nodes is summed over ranks."""

    def __init__(
        self,
        comm: Communicator,
        problem: Problem,
        volume: Volume,
        right: NDArray[np.float64],
        span_s: float,
        time_s: float,
    ) -> None:
        super().__init__(problem, volume, right, span_s, time_s)
        self._comm = comm

    def sum(self, *values: float) -> list[float]:
        total = np.empty(len(values))
        self._comm.Allreduce(np.array(values, dtype=np.float64), total)
        return [float(t) for t in total]

    def least(self, value: float) -> float:
        return float(self._comm.allreduce(value, import_mpi()[0].MIN))


class StripSolver:
    """Solves a substep over all ranks, as `SubstepSolver` does on one machine.

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
        self._system = _DistributedSystem(strip)
        size = (self._system.unknowns, None)
        self._matrix = petsc.Mat().createPython((size, size), _Jacobian(self._system), comm=comm)
        self._matrix.setUp()
        self._vectors = self._matrix.createVecs()
        self._ksp = petsc.KSP().create(comm)
        self._ksp.setOptionsPrefix("lee_")
        self._ksp.setOperators(self._matrix)
        self._ksp.setType("fgmres")
        self._ksp.setGMRESRestart(LINEAR_ITERATIONS)
        preconditioner = self._ksp.getPC()
        preconditioner.setType("python")
        preconditioner.setPythonContext(_Inverse(self._system))
        self._ksp.setFromOptions()

    def solve(
        self, volume: Volume, right: NDArray[np.float64], span_s: float, time_s: float, guess: State
    ) -> Substep:
        """Solve a substep, as `SubstepSolver` does; every rank must call it, and gets the same balance."""
        equations = _StripEquations(self._strip.comm, self.problem, volume, right, span_s, time_s)

        def linear_step(residual: Residual, size: float) -> tuple[State, int]:
            return self._linear_step(equations, residual, size)

        return newton(equations, guess, linear_step)

    def close(self) -> None:
        """Release PETSc's objects, which would hold the preconditioner; every rank must call it."""
        for held in (self._ksp, self._matrix, *self._vectors):
            held.destroy()

    def _linear_step(self, equations: _StripEquations, residual: Residual, size: float) -> tuple[State, int]:
        preconditioner = self._preconditioner
        if self._weights != equations.weights:
            preconditioner.set_volume(equations.weights)
            self._weights = equations.weights
        preconditioner.set_coupling(equations.slopes(), equations.held)
        self._system.bordered = Bordered(equations, lambda rows: preconditioner.cycle(rows, equations.times))
        answer, right = self._vectors
        right.setArray(-self._system.join(*residual))
        self._ksp.setTolerances(rtol=linear_tolerance(size), max_it=LINEAR_ITERATIONS)
        self._matrix.assemble()
        self._ksp.solve(right, answer)
        change = State(*self._system.split(answer.getArray(readonly=True).copy()))
        return change, self._ksp.getIterationNumber()


class _DistributedSystem:
    """The linear system as PETSc numbers it: fields of each rank, the electrode's potential on the last."""

    bordered: Bordered

    def __init__(self, strip: Strip) -> None:
        self._comm = strip.comm
        self._shape = (2, strip.shape[0] * strip.shape[1], strip.shape[2])
        self._last = strip.comm.rank == strip.comm.size - 1
        self.unknowns = int(np.prod(self._shape)) + self._last

    def split(self, vector: NDArray[np.float64]) -> Residual:
        fields = vector[:-1] if self._last else vector
        metal = self._comm.bcast(float(vector[-1]) if self._last else 0.0, self._comm.size - 1)
        return fields.reshape(self._shape), metal

    def join(self, fields: NDArray[np.float64], metal: float) -> NDArray[np.float64]:
        return np.append(fields.ravel(), metal) if self._last else fields.ravel()


class _Jacobian:
    """Called by PETSc to multiply."""

    def __init__(self, system: _DistributedSystem) -> None:
        self._system = system

    def mult(self, _matrix: PetscObject, x: PetscObject, y: PetscObject) -> None:
        system = self._system
        y.setArray(system.join(*system.bordered.times(*system.split(x.getArray(readonly=True)))))


class _Inverse:
    """Called by PETSc to precondition."""

    def __init__(self, system: _DistributedSystem) -> None:
        self._system = system

    def apply(self, _preconditioner: PetscObject, x: PetscObject, y: PetscObject) -> None:
        system = self._system
        y.setArray(system.join(*system.bordered.inverse(*system.split(x.getArray(readonly=True)))))
