"""Growth: the electrode moves with its deposit, and mesh and solution with it."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.columns import MeshSize
from lee.twin.mesh.front import height_rate
from lee.twin.mesh.moving import MeshPosition
from lee.twin.model import Model, make_model
from lee.twin.moving_electrode import MovingElectrode, position_of
from lee.twin.protocol_run import ENDED, ProtocolRun, controlled
from lee.twin.results.builder import SolutionBuilder
from lee.twin.results.checkpoints import Checkpoints, fingerprint
from lee.twin.results.solution import Balance, Solution
from lee.twin.solve import check_times
from lee.twin.solver.time_loop import advance

# Share of a column's width that the surface may move in a step.
_MAX_MOVED = 0.25


def grow(
    height_um: ArrayLike | Surface,
    *,
    pixel_um: float | None = None,
    cell: Cell,
    times_s: ArrayLike,
    exchange_current: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
    mesh: MeshSize | None = None,
    tolerance: float = 1e-4,
    folder: str | Path | None = None,
    report: Callable[[str], object] | None = print,
    progress: Callable[[Balance], object] | None = None,
) -> Solution:
    """Compute a tertiary distribution while the electrode grows, or is stripped.

    The current is constant, or the cell's protocol is followed. The surface moves along its normal at the
    rate of its own current (`front`), second order in time. The bulk plane follows the highest point; an
    anode dissolves at the mean rate. The electrolyte is lifted with the electrode (`moving`).

    Parameters
    ----------
    height_um, pixel_um, cell, times_s, exchange_current, efficiency, mesh, tolerance, report, progress
        As for `lee.twin.solve`. A cell with a negative current is stripped.
    folder : str or Path, optional
        A checkpoint is written there at each of the times. A folder of the same growth is resumed from its
        last one, with the result of a growth that was not interrupted.

    Returns
    -------
    Solution
        ``height_um`` and ``fields.z_um`` change with time.

    Raises
    ------
    InputError
        If what is given cannot be used, or the folder holds another growth.
    MissingDependency
        If NGSolve is not installed.
    """
    began = time.perf_counter()
    times = check_times(times_s)
    model = make_model(
        height_um,
        pixel_um=pixel_um,
        cell=cell,
        kind="tertiary",
        exchange_current=exchange_current,
        efficiency=efficiency,
        mesh=mesh,
    )
    for line in (cell.summary(), *model.notes) if report else ():
        report(line)  # type: ignore[misc]
    made = time.perf_counter()
    builder = SolutionBuilder(model)
    checkpoints = None if folder is None else _checkpoints(folder, model, tolerance)
    saved = checkpoints.load() if checkpoints else None
    known, ended, protocol = None, None, cell.protocol
    if saved is not None:
        builder.states, known, builder.balances = saved
        ended = known.get(ENDED)
    run = _Growth(model, builder, tolerance, checkpoints, known)
    done = len(builder.states)
    if [float(state["time_s"]) for state in builder.states] != times[:done]:
        raise InputError(
            f"{folder}: holds checkpoints at other times; give the same times_s, or a new folder"
        )
    if protocol is None:
        advance(run, times[done:], progress)
    else:
        under = ProtocolRun(protocol, cell, run.solver, run, ended=ended)
        advance(under, times[done:], progress)
        builder.notes = under.notes
        for line in under.notes if report else ():
            report(line)  # type: ignore[misc]
    if builder.stopped:
        warnings.warn(builder.stopped, RuntimeWarning, stacklevel=2)
    ended = time.perf_counter()
    return builder.solution({"mesh": made - began, "solver": ended - made, "all": ended - began})


class _Growth(MovingElectrode):
    """A growth, as it advances in time."""

    def __init__(
        self,
        model: Model,
        builder: SolutionBuilder,
        tolerance: float,
        checkpoints: Checkpoints | None,
        saved: dict[str, NDArray[Any]] | None,
    ) -> None:
        self._rates: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=2)
        self._jumped = False
        columns = model.columns
        if saved is not None:
            super().__init__(model, builder, tolerance, checkpoints, position_of(saved), None)
            self.restore(saved)
            return
        begin = MeshPosition(columns.height_um, columns.plane_um)
        protocol = model.cell.protocol
        problem = model.problem
        if protocol is not None:
            problem = controlled(problem, model.cell, protocol.steps[0], 0.0)
        start = replace(model, problem=problem).start(
            model.volume(columns.z_um(begin.height_um, begin.plane_um))
        )
        super().__init__(model, builder, tolerance, checkpoints, begin, start)
        self.moved()

    def end_of_step(self, begin_s: float, length_s: float) -> NDArray[np.float64]:
        """Move by the last two rates (Adams and Bashforth)."""
        (_, rate), height = self._rates[-1], self.mesh.position.height_um
        change = length_s * rate
        if len(self._rates) == 2:
            (before_s, before), (now_s, _) = self._rates
            change = change + 0.5 * length_s**2 * (rate - before) / (now_s - before_s)
        return np.asarray(height + change)

    def step(self, until_s: float) -> Balance:
        """Make one step; the first after a jump twice, for the rate it begins with is known only then."""
        if self._jumped:
            before = self.saved()
            super().step(until_s)
            rate = self._rates[-1][1]
            self.go_back(before)
            self._rates.clear()
            self._rates.append((self.time_s, rate))
            self._jumped = False
        return super().step(until_s)

    def saved(self) -> Any:
        """Return what `go_back` needs."""
        return super().saved(), list(self._rates), self._jumped

    def go_back(self, saved: Any) -> None:
        """Return to where `saved` was called."""
        before, rates, self._jumped = saved
        super().go_back(before)
        self._rates.clear()
        self._rates.extend(rates)

    def restart(self) -> None:
        """Begin anew from the last state: the current jumps, and the rate with it."""
        super().restart()
        self._jumped = True

    def moved(self) -> None:
        """Find how fast heights change now, and how long the next step may be."""
        columns, stepper = self.model.columns, self.stepper
        state = stepper.state
        metal = self.model.current_density(state, None) - self.model.hydrogen_current_density(state)
        # Of the mesh's own surface, which is smoother than the true one.
        normal = self.builder.normal_rate_nm_per_s(metal) * columns.area_factor * 1e-3
        dy, dx = columns.y_um[1], columns.x_um[1]
        rate = height_rate(self.mesh.position.height_um, normal, dy, dx)
        self._rates.append((stepper.time_s, rate))
        # A single row of cells, or a single column, has no slopes.
        narrow = [step for step, n in ((dx, len(columns.x_um)), (dy, len(columns.y_um))) if n > 2]
        width = float(min(narrow, default=self.model.cell.distance_um))
        stepper.longest_s = _MAX_MOVED * width / max(float(np.abs(rate).max()), 1e-12)

    def checkpoint(self) -> dict[str, NDArray[np.float64]]:
        """Return all that a resumed growth needs."""
        rates = list(self._rates)
        return {
            **super().checkpoint(),
            "rate_times_s": np.array([moment for moment, _ in rates]),
            "rates": np.stack([rate for _, rate in rates]),
            "jumped": np.array(float(self._jumped)),
        }

    def restore(self, known: dict[str, NDArray[Any]]) -> None:
        """Continue from the checkpoint of an interrupted growth."""
        super().restore(known)
        self._rates.extend(zip(known["rate_times_s"].tolist(), known["rates"], strict=True))
        self._jumped = bool(known.get("jumped", False))


def _checkpoints(folder: str | Path, model: Model, tolerance: float) -> Checkpoints:
    columns, problem = model.columns, model.problem
    of = fingerprint(
        columns.pixels_um,
        columns.height_um,
        columns.share,
        columns.pixel_um,
        model.cell,
        model.efficiency,
        problem.electrode.exchange,
        tolerance,
    )
    about = {"cell": model.cell.to_dict(), "pixel_um": columns.pixel_um, "mesh": columns.shape}
    return Checkpoints(folder, of, about)
