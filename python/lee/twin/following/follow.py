"""Compute the environment on the surfaces of a run, from scan to scan."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.electrochemistry import Protocol
from lee.errors import InputError
from lee.twin.cell import Cell
from lee.twin.following.boundary import Boundary, MapsOverTime, moving_boundary
from lee.twin.following.current import RunCurrent, current_of_phases
from lee.twin.following.intervals import interval_table
from lee.twin.mesh.columns import MeshSize
from lee.twin.mesh.moving import MeshPosition
from lee.twin.model import Model, model_over
from lee.twin.moving_electrode import MovingElectrode, position_of
from lee.twin.protocol_run import ENDED, ProtocolRun, controlled
from lee.twin.results.builder import SolutionBuilder
from lee.twin.results.checkpoints import Checkpoints, fingerprint
from lee.twin.results.solution import Balance, Solution
from lee.twin.solver.time_loop import advance

if TYPE_CHECKING:
    import pandas as pd

_STEEPEST = 20.0


@dataclass(frozen=True, eq=False)
class Followed:
    """A run in the twin.

    Attributes
    ----------
    solution : Solution
        At the times of the scans, on the run's clock; ``height_um`` is the moving boundary.
    intervals : DataFrame
        Accounts of charge and salt from scan to scan; see `lee.twin.following.intervals.interval_table`.
    scans : tuple of str
        Names.
    holes : tuple of int
        Scans without a surface.
    boundary : Boundary
        The electrode over time, at the columns.
    """

    solution: Solution
    intervals: pd.DataFrame
    scans: tuple[str, ...]
    holes: tuple[int, ...]
    boundary: Boundary

    @property
    def sigma_um(self) -> NDArray[np.float64]:
        """Median standard deviation of the boundary at a column, at each scan."""
        return np.asarray(np.median(self.boundary.path.sigma_um, axis=(1, 2)))

    def on_own_grid(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring a map of the run's pixels to the solution's, which are coarser on a large field."""
        return self.boundary.on_own_grid(values)


def follow(
    heights_um: MapsOverTime,
    *,
    times_s: ArrayLike,
    pixel_um: float,
    cell: Cell,
    sigmas_um: MapsOverTime | None = None,
    phases: Sequence[str] | None = None,
    protocol: Protocol | None = None,
    protocol_begins_s: float | None = None,
    scans: Sequence[str] | None = None,
    exchange_current: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
    mesh: MeshSize | None = None,
    tolerance: float = 3e-4,
    folder: str | Path | None = None,
    report: Callable[[str], object] | None = print,
    progress: Callable[[Balance], object] | None = None,
) -> Followed:
    """Compute concentration, potential, current and rates over the surfaces of a run.

    The measured surfaces are the boundary: they are interpolated in time, weighted by their standard
    deviations (`trajectory`), and the mesh moves with them as it does with the deposit in `lee.twin.grow`.
    Concentrations are carried from scan to scan. The computed rates do not move the surface; they are there
    to be compared with the measured ones.

    Parameters
    ----------
    heights_um : T of (H, W) float, µm
        Aligned height maps of the run, read one at a time; NaN where not measured, throughout where a scan
        has no surface.
    times_s : (T,) float, s
        Of the scans, rising.
    pixel_um : float, µm
    cell : Cell
    sigmas_um : T of (H, W) float, µm, optional
        Standard deviations of the heights.
    phases : T of str, optional
        plating, stripping or rest: the cell's current with that sign. All plating if not known.
    protocol : Protocol, optional
        What is applied over time, in place of the cell's current and `phases`; of `lee.electrochemistry`.
        By default the cell's own protocol, if it has one.
    protocol_begins_s : float, optional
        When it begins, on the clock of `times_s`; by default at the first scan. Not before that one where
        it holds a potential or a limit ends a step.
    scans : T of str, optional
        Names of the scans.
    exchange_current, efficiency, mesh, report, progress
        As for `lee.twin.solve`.
    tolerance : float
        Error of c/c₀ a step may add.
    folder : str or Path, optional
        A checkpoint is written there at each scan; a folder of the same run is resumed from its last one.

    Returns
    -------
    Followed

    Raises
    ------
    InputError
        If what is given cannot be used, or the folder holds another run.
    MissingDependency
        If NGSolve is not installed.
    """
    began = time.perf_counter()
    times = _checked_times(times_s, len(heights_um))
    names = tuple(scans) if scans is not None else tuple(f"scan {k}" for k in range(len(times)))
    for given, what in ((sigmas_um, "sigma maps"), (names, "names"), (phases, "phases")):
        if given is not None and len(given) != len(times):
            raise InputError(f"follow: {len(given)} {what} for {len(times)} scans; give one for each")
    if protocol is None and cell.protocol is not None:
        protocol = cell.protocol
    if protocol is None:
        known = phases or [""] * len(times)
        protocol = current_of_phases(times, known, cell.current_density_ma_per_cm2)
        protocol_begins_s = float(times[0])
    begins_s = float(times[0]) if protocol_begins_s is None else protocol_begins_s
    current = RunCurrent(protocol, begins_s)
    if protocol.is_known:
        cell = replace(cell, current_density_ma_per_cm2=current.largest_ma_per_cm2, protocol=None)
    else:
        if begins_s < times[0]:
            raise InputError(
                f"follow: the protocol begins {times[0] - begins_s:g} s before the first scan, and the cell "
                "decides on its current; let it begin at that scan or later"
            )
        cell = replace(cell, protocol=protocol)
    boundary = moving_boundary(
        heights_um, sigmas_um, times, pixel_um=pixel_um, cell=cell, size=mesh or MeshSize(),
        breaks_s=current.jumps_s(float(times[0]), float(times[-1])), names=names,
    )  # fmt: skip
    exchange_current, efficiency = (
        values
        if values is None or np.ndim(values) != 2
        else boundary.on_own_grid(np.asarray(values, np.float64))
        for values in (exchange_current, efficiency)
    )
    model = model_over(boundary.columns, cell, "tertiary", exchange_current, efficiency)
    if cell.protocol is None:
        model = _at_current(model, current.at)
    for line in (cell.summary(), *model.notes) if report else ():
        report(line)  # type: ignore[misc]
    made = time.perf_counter()
    builder = SolutionBuilder(model)
    checkpoints = None if folder is None else _checkpoints(folder, boundary, model, current, tolerance)
    saved = checkpoints.load() if checkpoints else None
    solved = None
    if saved is not None:
        builder.states, solved, builder.balances = saved
    run = _Following(model, builder, boundary, current, tolerance, checkpoints, solved)
    ahead = times[len(builder.states) :].tolist()
    if cell.protocol is None:
        advance(run, ahead, progress)
    else:
        ended = None if solved is None else solved.get(ENDED)
        steps = current.from_rest(float(times[0]))
        under = ProtocolRun(steps, cell, run.solver, run, begins_s=float(times[0]), ended=ended)
        advance(under, ahead, progress)
        builder.notes = under.notes
        for line in under.notes if report else ():
            report(line)  # type: ignore[misc]
    if builder.stopped:
        warnings.warn(builder.stopped, RuntimeWarning, stacklevel=2)
    ended = time.perf_counter()
    solution = builder.solution({"mesh": made - began, "solver": ended - made, "all": ended - began})
    return Followed(
        solution=solution,
        intervals=interval_table(solution, boundary, names),
        scans=names,
        holes=boundary.holes,
        boundary=boundary,
    )


def _checked_times(times_s: ArrayLike, scans: int) -> NDArray[np.float64]:
    times = np.atleast_1d(np.asarray(times_s, np.float64))
    if times.shape != (scans,) or not scans:
        raise InputError(f"follow: {times.size} times for {scans} scans; give one for each")
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise InputError("follow: the times of the scans must be finite and rise")
    return times


def _at_current(model: Model, ma_per_cm2: Callable[[float], float]) -> Model:
    """Let the current density be one that follows the time."""
    unit = model.columns.seen_area_um2 * 10 / model.problem.scales.current_a_per_m2
    return replace(model, problem=replace(model.problem, total=lambda time_s: unit * ma_per_cm2(time_s)))


class _Following(MovingElectrode):
    """A run, as it advances in time."""

    def __init__(
        self,
        model: Model,
        builder: SolutionBuilder,
        boundary: Boundary,
        current: RunCurrent,
        tolerance: float,
        checkpoints: Checkpoints | None,
        saved: dict[str, NDArray[Any]] | None,
    ) -> None:
        self._boundary, self._current = boundary, current
        columns = model.columns
        if saved is not None:
            super().__init__(model, builder, tolerance, checkpoints, position_of(saved), None)
            self.restore(saved)
            return
        begin = MeshPosition(columns.height_um, columns.plane_um)
        begins_s = float(boundary.path.times_s[0])
        # The first scan is recorded as the current has been switched on.
        if model.cell.protocol is None:
            first = _at_current(model, lambda _: current.after(begins_s))
        else:
            step = current.from_rest(begins_s).steps[0]
            first = replace(model, problem=controlled(model.problem, model.cell, step, begins_s))
        start = first.start(model.volume(columns.z_um(begin.height_um, begin.plane_um)))
        super().__init__(model, builder, tolerance, checkpoints, begin, start, begins_s)

    @property
    def steepest(self) -> float:
        """What was measured is followed to 87 degrees: it does not run away as a growing wall does."""
        return _STEEPEST

    def end_of_step(self, begin_s: float, length_s: float) -> NDArray[np.float64]:
        """Move to where the electrode was measured."""
        return self._boundary.path.at(begin_s + length_s)

    def step(self, until_s: float) -> Balance:
        """Make one step, at most to the next time at which the current is switched."""
        switches = self._switches_s(until_s)
        balance = super().step(min([until_s, *switches]))
        if self.time_s in switches:
            self.stepper.restart()
        return balance

    def _switches_s(self, until_s: float) -> list[float]:
        """Return when a current that is known is switched; else the protocol's run makes the steps."""
        if self.model.cell.protocol is not None:
            return []
        return self._current.switches_s(self.time_s, until_s)


def _checkpoints(
    folder: str | Path, boundary: Boundary, model: Model, current: RunCurrent, tolerance: float
) -> Checkpoints:
    columns, path = boundary.columns, boundary.path
    of = fingerprint(
        path.times_s, path.height_um, columns.share, columns.pixel_um, model.cell, model.efficiency,
        model.problem.electrode.exchange, current, tolerance,
    )  # fmt: skip
    about = {"cell": model.cell.to_dict(), "pixel_um": columns.pixel_um, "mesh": columns.shape}
    return Checkpoints(folder, of, about)
