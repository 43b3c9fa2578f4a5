"""Solve for the environment of an electrode at rest on several ranks of MPI, on one machine or many."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.columns import Columns, MeshSize, check_memory, make_columns
from lee.twin.mesh.layers import shares
from lee.twin.model import Model, assumed, make_problem, surface_maps
from lee.twin.mpi.newton import StripSolver
from lee.twin.mpi.ranks import agreed, failing_together
from lee.twin.mpi.strip import OVERLAP, Communicator, Strip, import_mpi
from lee.twin.protocol_run import ProtocolRun, controlled
from lee.twin.results.builder import SolutionBuilder
from lee.twin.results.solution import Balance, Solution
from lee.twin.solve import check_times, why_stopped
from lee.twin.solver.equations import Problem, State, Substep, Volume
from lee.twin.solver.secondary import check_start, secondary_state
from lee.twin.solver.stepping import Stepper
from lee.twin.solver.time_loop import StoppedEarly, advance

KINDS = ("secondary", "tertiary")
# The gap is meshed from both sides, so that fewer layers make no mesh.
_MIN_LAYERS = 4


def solve_parallel(
    height_um: ArrayLike | Surface,
    *,
    pixel_um: float | None = None,
    cell: Cell,
    times_s: ArrayLike = (0.0,),
    kind: str = "tertiary",
    exchange_current: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
    mesh: MeshSize | None = None,
    tolerance: float = 1e-4,
    step_s: float | None = None,
    comm: Communicator = None,
    report: Callable[[str], object] | None = print,
    progress: Callable[[Balance], object] | None = None,
) -> Solution | None:
    """Compute what `lee.twin.solve` computes, on all ranks of a communicator together.

    Every rank must call it with the same arguments. Each holds a strip of the mesh along y; the first rank
    holds the solution's fields on top.

    Parameters
    ----------
    height_um, pixel_um, cell, times_s, exchange_current, efficiency, mesh, tolerance, step_s
        As for `lee.twin.solve`.
    kind : str
        "secondary" or "tertiary".
    comm : communicator of mpi4py, optional
        All ranks without it.
    report, progress : callable, optional
        Called on the first rank only.

    Returns
    -------
    Solution or None
        On the first rank; None on the others.

    Raises
    ------
    InputError
        On all ranks alike: if what is given cannot be used, or NGSolve, mpi4py or petsc4py is not installed.
        Any other error of one of several ranks ends all of them (``MPI_Abort``), with a line on stderr.
    """
    if kind != "tertiary":
        cell.refuse_protocol(f"a {kind} distribution")
    mpi, _ = import_mpi()
    comm = comm or mpi.COMM_WORLD
    began = time.perf_counter()
    first = comm.rank == 0
    on_machine = comm.Split_type(mpi.COMM_TYPE_SHARED)
    here = on_machine.size
    on_machine.Free()
    size = mesh or MeshSize()
    with failing_together(comm):
        parts = agreed(
            comm,
            lambda: _prepare(
                height_um, pixel_um, cell, times_s, kind, exchange_current, efficiency, size, comm, here
            ),
        )
        model = parts.model
        for line in (cell.summary(), *model.notes) if report and first else ():
            report(line)  # type: ignore[misc]
        made = time.perf_counter()
        builder = SolutionBuilder(model)
        volume = parts.strip.volume()
        protocol = cell.protocol
        begin = parts.problem
        if protocol is not None:
            begin = controlled(begin, cell, protocol.steps[0], 0.0)
        start = _start(replace(parts, problem=begin), volume)
        gathered = _Gathered(parts, builder)
        assembled = time.perf_counter()
        if kind == "tertiary":
            run = _OverRanks(parts, gathered, volume, start, tolerance, step_s)
            if protocol is None:
                advance(run, parts.times_s, progress if first else None)
            else:
                under = ProtocolRun(protocol, cell, run.solver, run)
                advance(under, parts.times_s, progress if first else None)
                builder.notes = under.notes
                for line in under.notes if report and first else ():
                    report(line)  # type: ignore[misc]
            run.close()
        else:
            for moment in parts.times_s:
                gathered.add(moment, start)
        parts.strip.close()
        ended = time.perf_counter()
        timings = {"mesh": made - began, "assembly": assembled - made, "solver": ended - assembled,
                   "all": ended - began}  # fmt: skip
        if not first:
            return None
        if builder.stopped:
            warnings.warn(builder.stopped, RuntimeWarning, stacklevel=2)
        return builder.solution(timings)


@dataclass(frozen=True)
class _Parts:
    """The whole electrode, and the rank's strip of the electrolyte."""

    model: Model
    problem: Problem
    strip: Strip
    times_s: list[float]


class _Gathered:
    """Puts the ranks' states together on the first, which records them."""

    def __init__(self, parts: _Parts, builder: SolutionBuilder) -> None:
        self.builder, self._model, self._strip = builder, parts.model, parts.strip

    def add(self, time_s: float, own: State, cause: StoppedEarly | None = None) -> None:
        """Record a state, and why it is the last; every rank must call it."""
        c, psi = (self._strip.gather(field) for field in own.fields)
        if c is None or psi is None:
            return
        state, columns = State(np.stack([c, psi]), own.metal), self._model.columns
        if cause is not None:
            self.builder.stopped = why_stopped(self._model.cell, state, cause)
        if cause is None or time_s > self.builder.last_time_s:
            z_um = columns.z_um(columns.height_um, columns.plane_um)
            self.builder.add(time_s, state, None, z_um, columns.pixels_um)


class _OverRanks:
    """A solution on several ranks, as it advances in time."""

    def __init__(
        self,
        parts: _Parts,
        gathered: _Gathered,
        volume: Volume,
        start: State,
        tolerance: float,
        step_s: float | None,
    ) -> None:
        self._gathered = gathered
        self.solver = StripSolver(parts.problem, parts.strip, parts.model.columns.shape[0])
        self._stepper = _StripStepper(
            parts.strip.comm,
            self.solver,
            lambda *_: lambda _: volume,
            start,
            tolerance=tolerance,
            step_s=step_s,
        )

    @property
    def time_s(self) -> float:
        return self._stepper.time_s

    def step(self, until_s: float) -> Balance:
        return self._gathered.builder.add_balance(self._stepper.step(until_s))

    def saved(self) -> Any:
        return self._stepper.saved(), len(self._gathered.builder.balances)

    def go_back(self, saved: Any) -> None:
        self._stepper.go_back(saved[0])
        del self._gathered.builder.balances[saved[1] :]

    def restart(self) -> None:
        self._stepper.restart()

    def record(self, more: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        self._gathered.add(self.time_s, self._stepper.state)

    def stop(self, cause: StoppedEarly) -> None:
        self._gathered.add(self.time_s, self._stepper.state, cause)

    def close(self) -> None:
        """Release PETSc's objects; every rank must call it."""
        self.solver.close()


class _StripStepper(Stepper):
    """Steps that all ranks find equally good."""

    def __init__(self, comm: Communicator, *given: Any, **more: Any) -> None:
        self._comm = comm
        super().__init__(*given, **more)

    def _try(self, length: float, end: float) -> list[Substep]:
        substeps = super()._try(length, end)
        if substeps[-1].converged:
            self._gained = float(self._comm.allreduce(self._gained))
        return substeps

    def _error(self, state: State, length: float) -> float:
        return float(self._comm.allreduce(super()._error(state, length), import_mpi()[0].MAX))


def _prepare(
    height_um: ArrayLike | Surface,
    pixel_um: float | None,
    cell: Cell,
    times_s: ArrayLike,
    kind: str,
    exchange_current: ArrayLike | None,
    efficiency: ArrayLike | None,
    size: MeshSize,
    comm: Communicator,
    here: int,
) -> _Parts:
    """Put the cell over the surface."""
    times = check_times(times_s)
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; kinds on several ranks are {', '.join(KINDS)}")
    columns = _columns(height_um, pixel_um, cell, size)
    ny, nx, nz = columns.shape
    check_memory((ny // comm.size + 2 * (OVERLAP + 1)) * here * nx * nz)
    exchange, yields, notes = surface_maps(cell, columns, exchange_current, efficiency)
    strip = Strip(columns, comm)
    notes = (*columns.notes, *notes, *assumed(cell, kind), f"solved over MPI, ranks: {comm.size}")
    whole = make_problem(cell, columns, exchange, np.zeros(0))
    own = make_problem(cell, columns, exchange, strip.plane_area, strip.rows.own)
    return _Parts(Model(cell, kind, columns, strip.forms, whole, yields, notes), own, strip, times)


def _columns(height_um: ArrayLike | Surface, pixel_um: float | None, cell: Cell, size: MeshSize) -> Columns:
    """Make the columns, though not all of them may fit in this machine's memory."""
    share = shares(cell, layers=size.layers, first_um=size.first_um)
    count = len(share) - 1
    few = min(count, _MIN_LAYERS)
    # The first layer of so few would not fit them.
    coarse = replace(size, layers=few, first_um=cell.distance_um / few)
    columns = make_columns(height_um, pixel_um=pixel_um, cell=cell, size=coarse)
    notes = (note.replace(f" {few} layers", f" {count} layers") for note in columns.notes)
    return replace(columns, share=share, notes=tuple(notes))


def _start(parts: _Parts, volume: Volume) -> State:
    """Solve for the potential at the bulk concentration, as `Model.start` does on one machine."""
    strip, rows = parts.strip, parts.model.columns.shape[0]
    made: list[StripSolver] = []

    def make_solver(problem: Problem) -> StripSolver:
        made.append(StripSolver(problem, strip, rows))
        return made[0]

    columns = strip.shape[0] * strip.shape[1]
    substep = secondary_state(parts.model.cell, parts.problem, volume, columns, make_solver)
    made[0].close()
    check_start(substep.residuals, converged=substep.converged)
    return substep.state
