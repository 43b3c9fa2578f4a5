"""Solve for the environment of an electrode at rest on several ranks of MPI, on one machine or many."""

from __future__ import annotations

import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, LeeError
from lee.twin.cell import Cell
from lee.twin.electrode.kinetics import Kinetics, Scales
from lee.twin.mesh.columns import Columns, MeshSize, check_memory, make_columns, shares
from lee.twin.model import Model, assumed, surface_maps
from lee.twin.mpi.newton import StripSolver
from lee.twin.mpi.strip import OVERLAP, Strip, import_mpi
from lee.twin.results.recorder import Record
from lee.twin.results.solution import Balance, Solution
from lee.twin.solve import check_times, listed, why_stopped
from lee.twin.solver.newton import TOLERANCE, Problem, Stage, State
from lee.twin.solver.stepping import Stepper, Unsolvable

KINDS = ("secondary", "tertiary")
# The gap is meshed from both sides, so that fewer layers make no mesh.
_FEWEST_LAYERS = 4


def solve_parallel(
    height_um: ArrayLike,
    *,
    pixel_um: float,
    cell: Cell,
    times_s: ArrayLike = (0.0,),
    kind: str = "tertiary",
    exchange_current: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
    mesh: MeshSize | None = None,
    tolerance: float = 1e-4,
    step_s: float | None = None,
    comm: Any = None,
    tell: Callable[[str], Any] | None = print,
    progress: Callable[[Balance], Any] | None = None,
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
    tell, progress : callable, optional
        Called on the first rank only.

    Returns
    -------
    Solution or None
        On the first rank; None on the others.

    Raises
    ------
    InputError
        On all ranks alike: if what is given cannot be used, or NGSolve, mpi4py or petsc4py is not installed.
        Anything else that ends one of several ranks ends all of them (``MPI_Abort``), told on stderr.
    """
    mpi, _ = import_mpi()
    comm = comm or mpi.COMM_WORLD
    began = time.perf_counter()
    first = comm.rank == 0
    on_machine = comm.Split_type(mpi.COMM_TYPE_SHARED)
    here = on_machine.size
    on_machine.Free()
    size = mesh or MeshSize()
    with Together(comm):
        model, problem, strip, times = agreed(
            comm,
            lambda: _lay(
                height_um, pixel_um, cell, times_s, kind, exchange_current, efficiency, size, comm, here
            ),
        )
        for line in (cell.summary(), *model.notes) if tell and first else ():
            tell(line)  # type: ignore[misc]
        made = time.perf_counter()
        run = _Run(model, problem, strip, tolerance, step_s)
        assembled = time.perf_counter()
        run.to(times, progress if first else None)
        run.close()
        ended = time.perf_counter()
        timings = {"mesh": made - began, "assembly": assembled - made, "solver": ended - assembled,
                   "all": ended - began}  # fmt: skip
        if not first:
            return None
        if run.record.stopped:
            warnings.warn(run.record.stopped, RuntimeWarning, stacklevel=2)
        return run.record.solution(timings)


class Together:
    """A block that a rank leaves by an error only with all others: they would wait for it without end."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        # All ranks agree on wrong input before they go on.
        if error is None or isinstance(error, InputError) or self._comm.size == 1:
            return
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"
        said = " ".join(f"{type(error).__name__} at {place}: {error}".split())
        print(f"lee: rank {self._comm.rank} failed, which ends all: {said}", file=sys.stderr, flush=True)
        self._comm.Abort(1)


def agreed(comm: Any, make: Callable[[], Any]) -> Any:
    """Make something on each rank; where it fails for one, raise on all.

    Raises
    ------
    InputError
        The first rank's whose input cannot be used.
    """
    made, failure = None, None
    try:
        made = make()
    except LeeError as error:
        failure = str(error)
    failures = [f for f in comm.allgather(failure) if f is not None]
    if failures:
        raise InputError(failures[0])
    return made


class _Run:
    """A solve under way."""

    def __init__(
        self, model: Model, problem: Problem, strip: Strip, tolerance: float, step_s: float | None
    ) -> None:
        self._model, self._strip = model, strip
        self.record = Record(model)
        volume = strip.volume()
        rows = model.columns.shape[0]
        start = _uniform(problem, strip, rows, volume, model.cell)
        move: Any = lambda *_: lambda _: volume  # noqa: E731
        solver: Any = StripSolver(problem, strip, rows) if model.kind == "tertiary" else None
        self._start, self._solver = start, solver
        self._stepper = (
            _StripStepper(strip.comm, solver, move, start, tolerance=tolerance, step_s=step_s)
            if solver
            else None
        )

    def close(self) -> None:
        """Give PETSc's objects back."""
        if self._solver:
            self._solver.close()
        self._strip.close()

    def to(self, times: list[float], progress: Callable[[Balance], Any] | None) -> None:
        """Go through all times and record them."""
        stepper = self._stepper
        if stepper is None:
            for moment in times:
                self._add(moment, self._start)
            return
        try:
            for moment in times:
                while stepper.time_s < moment:
                    balance = self.record.book(stepper.step(moment).balance)
                    if progress:
                        progress(balance)
                self._add(moment, stepper.state)
        except Unsolvable as stop:
            self._add(stepper.time_s, stepper.state, stop)

    def _add(self, time_s: float, own: State, stop: Unsolvable | None = None) -> None:
        """Record a state on the first rank."""
        c, psi = (self._strip.gather(field) for field in own.fields)
        if c is None or psi is None:
            return
        state, columns = State(np.stack([c, psi]), own.electrode), self._model.columns
        if stop is not None:
            self.record.stopped = why_stopped(self._model, state, stop)
        if stop is None or time_s > self.record.last_time_s:
            z_um = columns.z_um(columns.height_um, columns.plane_um)
            self.record.add(time_s, state, None, z_um, columns.pixels_um)


class _StripStepper(Stepper):
    """Steps that all ranks find equally good."""

    def __init__(self, comm: Any, *given: Any, **more: Any) -> None:
        self._comm = comm
        super().__init__(*given, **more)

    def _try(self, length: float, end: float) -> list[Stage]:
        stages = super()._try(length, end)
        if stages[-1].converged:
            self._gained = float(self._comm.allreduce(self._gained))
        return stages

    def _error(self, state: State, length: float) -> float:
        return float(self._comm.allreduce(super()._error(state, length), import_mpi()[0].MAX))


def _lay(
    height_um: ArrayLike,
    pixel_um: float,
    cell: Cell,
    times_s: ArrayLike,
    kind: str,
    exchange_current: ArrayLike | None,
    efficiency: ArrayLike | None,
    size: MeshSize,
    comm: Any,
    here: int,
) -> tuple[Model, Problem, Strip, list[float]]:
    """Lay the cell over the surface: the whole electrode, and the rank's strip of the electrolyte."""
    times = check_times(times_s)
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; kinds on several ranks are {', '.join(KINDS)}")
    columns = _columns(height_um, pixel_um, cell, size)
    ny, nx, nz = columns.shape
    check_memory((ny // comm.size + 2 * (OVERLAP + 1)) * here * nx * nz)
    exchange, yields, notes = surface_maps(cell, columns, exchange_current, efficiency)
    strip = Strip(columns, comm)
    scales = Scales.of(cell)
    at_nodes = columns.to_nodes(exchange) / scales.current_a_per_m2
    flat = np.full(at_nodes.shape, cell.exchange_current_a_per_m2 / scales.current_a_per_m2)

    def problem(part: slice, plane_area: NDArray[np.float64]) -> Problem:
        electrode, anode = (
            Kinetics(values[part].ravel(), cell.alpha_c, cell.alpha_a, cell.gamma, scales.diffusion_potential)
            for values in (at_nodes, flat)
        )
        free = np.ones((2, columns.shape[2]), bool)
        free[:, -1] = cell.gap_um is not None
        seen = columns.seen_area_um2
        return Problem(scales, electrode, None if cell.gap_um is None else anode, free, seen, plane_area)

    notes = (*columns.notes, *notes, *assumed(cell, kind), f"solved over MPI, ranks: {comm.size}")
    whole = problem(slice(None), np.zeros(0))
    model = Model(cell, kind, columns, strip.forms, whole, yields, notes)
    return model, problem(strip.rows.own, strip.plane_area), strip, times


def _columns(height_um: ArrayLike, pixel_um: float, cell: Cell, size: MeshSize) -> Columns:
    """Lay the columns, though not all of them may fit in this machine's memory."""
    share = shares(cell, size)
    few = min(size.layers, _FEWEST_LAYERS)
    columns = make_columns(height_um, pixel_um=pixel_um, cell=cell, size=replace(size, layers=few))
    notes = (note.replace(f" {few} layers", f" {size.layers} layers") for note in columns.notes)
    return replace(columns, share=share, notes=tuple(notes))


def _uniform(problem: Problem, strip: Strip, rows: int, volume: Any, cell: Cell) -> State:
    """Solve for the potential at the bulk concentration; see `Model.uniform`."""
    free = problem.free.copy()
    free[0] = False
    columns, nz = strip.shape[0] * strip.shape[1], strip.shape[2]
    fields = np.stack([np.ones((columns, nz)), np.zeros((columns, nz))])
    guess = State(fields, cell.overpotential_v / cell.thermal_voltage_v)
    solver = StripSolver(replace(problem, free=free), strip, rows)
    stage = solver.solve(volume, np.zeros(columns * nz), 1.0, 0.0, guess)
    solver.close()
    if not stage.residuals[-1] <= TOLERANCE:
        raise InputError(
            f"the potential at the bulk concentration is not found (residuals {listed(stage.residuals)}); "
            "give a smoother surface, or check the cell's kinetics"
        )
    return stage.state
