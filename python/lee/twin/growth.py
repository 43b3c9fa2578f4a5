"""The electrode moves with its deposit; mesh and solution follow."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.twin.cell import Cell
from lee.twin.mesh.columns import STEEPEST, MeshSize
from lee.twin.mesh.front import height_rate
from lee.twin.mesh.moving import MovingMesh, Place
from lee.twin.model import Model, make_model
from lee.twin.results.recorder import Record
from lee.twin.results.snapshots import Snapshots, fingerprint
from lee.twin.results.solution import Balance, Solution
from lee.twin.solve import check_times, start_state, why_stopped
from lee.twin.solver.newton import StageSolver, State
from lee.twin.solver.stepping import Geometry, Stepper, Unsolvable

# Share of a column's width that the surface may move in a step.
_MOST_MOVED = 0.25


def grow(
    height_um: ArrayLike,
    *,
    pixel_um: float,
    cell: Cell,
    times_s: ArrayLike,
    exchange_current: ArrayLike | None = None,
    efficiency: ArrayLike | None = None,
    mesh: MeshSize | None = None,
    tolerance: float = 1e-4,
    folder: str | Path | None = None,
    tell: Callable[[str], Any] | None = print,
    progress: Callable[[Balance], Any] | None = None,
) -> Solution:
    """Compute a tertiary distribution while the electrode grows, or is stripped.

    The surface moves along its normal at the rate of its own current (`front`), second order in time. The
    bulk plane follows the highest point; an anode dissolves at the mean rate. The electrolyte is lifted with
    the electrode (`moving`).

    Parameters
    ----------
    height_um, pixel_um, cell, times_s, exchange_current, efficiency, mesh, tolerance, tell, progress
        As for `lee.twin.solve`. A cell with a negative current is stripped.
    folder : str or Path, optional
        A snapshot is written there at each of the times. A folder of the same growth is gone on with from
        its last one; the outcome is that of a run that was not interrupted.

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
    for line in (cell.summary(), *model.notes) if tell else ():
        tell(line)  # type: ignore[misc]
    made = time.perf_counter()
    record = Record(model)
    snapshots = None if folder is None else _snapshots(folder, model, tolerance)
    saved = snapshots.load() if snapshots else None
    run = _Growing(model, record, tolerance) if saved is None else _resumed(model, record, tolerance, saved)
    done = len(record.states)
    if [float(state["time_s"]) for state in record.states] != times[:done]:
        raise InputError(f"{folder}: holds snapshots at other times; give the same times_s, or a new folder")
    try:
        for moment in times[done:]:
            while run.stepper.time_s < moment:
                balance = record.book(run.step(moment))
                if progress:
                    progress(balance)
            run.record_state()
            if snapshots:
                snapshots.save(record.states[-1], run.known(), record.balances, len(record.states))
    except (Unsolvable, _Unmeshable) as stop:
        if isinstance(stop, Unsolvable):
            record.stopped = why_stopped(model, run.stepper.state, stop)
        else:
            record.stopped = str(stop)
        if run.stepper.time_s > record.last_time_s:
            run.record_state()
        warnings.warn(record.stopped, RuntimeWarning, stacklevel=2)
    ended = time.perf_counter()
    return record.solution({"mesh": made - began, "solver": ended - made, "all": ended - began})


class _Unmeshable(Exception):  # noqa: N818  no misuse: what was reached stands
    """The grown surface has no mesh of columns."""


class _Growing:
    """A growth under way."""

    def __init__(self, model: Model, record: Record, tolerance: float, place: Place | None = None) -> None:
        self._model, self._record = model, record
        columns = model.columns
        self._solver = StageSolver(model.problem, columns.shape)
        self._rates: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=2)
        start = place or Place(columns.height_um, columns.plane_um)
        self.mesh = MovingMesh(model.forms, columns.share, start)
        fields = np.empty((2, columns.shape[0] * columns.shape[1], columns.shape[2]))
        state = State(fields, 0.0)
        if place is None:
            state = start_state(model, model.volume(self.mesh.z_um(start)))
        self.stepper = Stepper(self._solver, self._toward, state, tolerance=tolerance)
        if place is None:
            self._rate()

    def step(self, until_s: float) -> Balance:
        """Make one step and move the electrode by it."""
        step = self.stepper.step(until_s)
        self.mesh.accept()
        self._check_walls()
        self._rate()
        # The mesh is another one now.
        self._solver.forget()
        return step.balance

    def record_state(self) -> None:
        """Record the state at the end of the last step."""
        place, columns = self.mesh.place, self._model.columns
        moved = columns.to_pixels(place.height_um - columns.height_um)
        stepper = self.stepper
        self._record.add(
            stepper.time_s, stepper.state, None, self.mesh.z_um(place), columns.pixels_um + moved
        )

    def known(self) -> dict[str, NDArray[Any]]:
        """All a resumed run must know."""
        history, rates = list(self.stepper.history), list(self._rates)
        return {
            "times_s": np.array([moment for moment, _ in history]),
            "fields": np.stack([state.fields for _, state in history]),
            "electrodes": np.array([state.electrode for _, state in history]),
            "next_s": np.array([self.stepper.next_s, self.stepper.most_s]),
            "rate_times_s": np.array([moment for moment, _ in rates]),
            "rates": np.stack([rate for _, rate in rates]),
            "height_um": self.mesh.place.height_um,
            "plane_um": np.array(self.mesh.place.plane_um),
        }

    def recall(self, known: dict[str, Any]) -> None:
        """Take over what an interrupted run knew."""
        stepper = self.stepper
        states = [State(f, float(e)) for f, e in zip(known["fields"], known["electrodes"], strict=True)]
        times = [float(moment) for moment in known["times_s"]]
        stepper.history = deque(zip(times, states, strict=True), maxlen=3)
        stepper.next_s, stepper.most_s = (float(value) for value in known["next_s"])
        self._rates.extend(zip(known["rate_times_s"].tolist(), known["rates"], strict=True))

    def _toward(self, begin_s: float, length_s: float) -> Geometry:
        """Move the mesh through a step, by the last two rates (Adams and Bashforth)."""
        (_, rate), height = self._rates[-1], self.mesh.place.height_um
        moved = length_s * rate
        if len(self._rates) == 2:
            (before_s, before), (now_s, _) = self._rates
            moved = moved + 0.5 * length_s**2 * (rate - before) / (now_s - before_s)
        end = height + moved
        return self.mesh.toward(Place(end, self._model.plane_um(end)), begin_s, length_s)

    def _rate(self) -> None:
        """Find how fast heights change now, and how long the next step may be."""
        columns, stepper = self._model.columns, self.stepper
        current = self._model.current_density(stepper.state, None)
        normal = self._record.rate_nm_per_s(current) * 1e-3
        dy, dx = columns.y_um[1], columns.x_um[1]
        rate = height_rate(self.mesh.place.height_um, normal, dy, dx)
        self._rates.append((stepper.time_s, rate))
        # A single row of cells, or a single column, has no slopes.
        narrow = [step for step, n in ((dx, len(columns.x_um)), (dy, len(columns.y_um))) if n > 2]
        width = float(min(narrow, default=self._model.cell.distance_um))
        stepper.most_s = _MOST_MOVED * width / max(float(np.abs(rate).max()), 1e-12)

    def _check_walls(self) -> None:
        columns, height = self._model.columns, self.mesh.place.height_um
        steep = max(
            float(np.abs(np.diff(height, axis=axis)).max() / places[1])
            for axis, places in ((0, columns.y_um), (1, columns.x_um))
        )
        if steep > STEEPEST:
            raise _Unmeshable(
                f"stopped at {self.stepper.time_s:.4g} s: a wall has grown to "
                f"{np.degrees(np.arctan(steep)):.0f} degrees, too steep for a height map; "
                "what was reached is kept"
            )
        if self.mesh.place.plane_um <= height.max():
            raise _Unmeshable(f"stopped at {self.stepper.time_s:.4g} s: the deposit has reached the anode")


def _snapshots(folder: str | Path, model: Model, tolerance: float) -> Snapshots:
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
    return Snapshots(folder, of, about)


def _resumed(model: Model, record: Record, tolerance: float, saved: tuple[Any, Any, Any]) -> _Growing:
    record.states, known, record.balances = saved
    place = Place(known["height_um"], float(known["plane_um"]))
    run = _Growing(model, record, tolerance, place)
    run.recall(known)
    return run
