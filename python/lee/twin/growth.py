"""Growth: the electrode moves with its deposit, and mesh and solution with it."""

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
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.columns import MAX_SLOPE, MeshSize
from lee.twin.mesh.front import height_rate
from lee.twin.mesh.moving import MeshPosition, MovingMesh
from lee.twin.model import Model, make_model
from lee.twin.results.builder import SolutionBuilder
from lee.twin.results.checkpoints import Checkpoints, fingerprint
from lee.twin.results.solution import Balance, Solution
from lee.twin.solve import check_times, why_stopped
from lee.twin.solver.equations import State
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.stepping import Geometry, Stepper
from lee.twin.solver.time_loop import StoppedEarly, advance

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

    The surface moves along its normal at the rate of its own current (`front`), second order in time. The
    bulk plane follows the highest point; an anode dissolves at the mean rate. The electrolyte is lifted with
    the electrode (`moving`).

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
    if saved is None:
        run = _Growth(model, builder, tolerance, checkpoints)
    else:
        run = _resumed(model, builder, tolerance, checkpoints, saved)
    done = len(builder.states)
    if [float(state["time_s"]) for state in builder.states] != times[:done]:
        raise InputError(
            f"{folder}: holds checkpoints at other times; give the same times_s, or a new folder"
        )
    advance(run, times[done:], progress)
    if builder.stopped:
        warnings.warn(builder.stopped, RuntimeWarning, stacklevel=2)
    ended = time.perf_counter()
    return builder.solution({"mesh": made - began, "solver": ended - made, "all": ended - began})


class _Growth:
    """A growth, as it advances in time."""

    def __init__(
        self,
        model: Model,
        builder: SolutionBuilder,
        tolerance: float,
        checkpoints: Checkpoints | None,
        position: MeshPosition | None = None,
    ) -> None:
        self._model, self._builder, self._checkpoints = model, builder, checkpoints
        columns = model.columns
        self._solver = SubstepSolver(model.problem, columns.shape)
        self._rates: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=2)
        begin = position or MeshPosition(columns.height_um, columns.plane_um)
        self._mesh = MovingMesh(model.forms, columns.share, begin)
        fields = np.empty((2, columns.shape[0] * columns.shape[1], columns.shape[2]))
        state = State(fields, 0.0)
        if position is None:
            state = model.start(model.volume(self._mesh.z_um(begin)))
        self._stepper = Stepper(self._solver, self._toward, state, tolerance=tolerance)
        if position is None:
            self._find_rate()

    @property
    def time_s(self) -> float:
        """End of the last step."""
        return self._stepper.time_s

    def step(self, until_s: float) -> Balance:
        """Make one step and move the electrode by it."""
        balance = self._stepper.step(until_s)
        self._mesh.accept()
        self._check_mesh()
        self._find_rate()
        # The mesh is another one now.
        self._solver.forget()
        return self._builder.add_balance(balance)

    def record(self) -> None:
        """Record the state at the end of the last step, and save it."""
        self._add_state()
        if self._checkpoints:
            states = self._builder.states
            self._checkpoints.save(states[-1], self.checkpoint(), self._builder.balances, len(states))

    def stop(self, cause: StoppedEarly) -> None:
        """Record why the growth ended; the last state is not saved, for no time asked for was reached."""
        self._builder.stopped = why_stopped(self._model.cell, self._stepper.state, cause)
        if self.time_s > self._builder.last_time_s:
            self._add_state()

    def _add_state(self) -> None:
        position, columns = self._mesh.position, self._model.columns
        moved = columns.to_pixels(position.height_um - columns.height_um)
        self._builder.add(
            self.time_s, self._stepper.state, None, self._mesh.z_um(position), columns.pixels_um + moved
        )

    def checkpoint(self) -> dict[str, NDArray[np.float64]]:
        """Return all that a resumed growth needs."""
        history, rates = list(self._stepper.history), list(self._rates)
        return {
            "times_s": np.array([moment for moment, _ in history]),
            "fields": np.stack([state.fields for _, state in history]),
            "electrodes": np.array([state.metal for _, state in history]),
            "next_s": np.array([self._stepper.next_s, self._stepper.longest_s]),
            "rate_times_s": np.array([moment for moment, _ in rates]),
            "rates": np.stack([rate for _, rate in rates]),
            "height_um": self._mesh.position.height_um,
            "plane_um": np.array(self._mesh.position.plane_um),
        }

    def restore(self, known: dict[str, NDArray[Any]]) -> None:
        """Continue from the checkpoint of an interrupted growth."""
        stepper = self._stepper
        states = [State(f, float(e)) for f, e in zip(known["fields"], known["electrodes"], strict=True)]
        times = [float(moment) for moment in known["times_s"]]
        stepper.history = deque(zip(times, states, strict=True), maxlen=3)
        stepper.next_s, stepper.longest_s = (float(value) for value in known["next_s"])
        self._rates.extend(zip(known["rate_times_s"].tolist(), known["rates"], strict=True))

    def _toward(self, begin_s: float, length_s: float) -> Geometry:
        """Move the mesh through a step, by the last two rates (Adams and Bashforth)."""
        (_, rate), height = self._rates[-1], self._mesh.position.height_um
        moved = length_s * rate
        if len(self._rates) == 2:
            (before_s, before), (now_s, _) = self._rates
            moved = moved + 0.5 * length_s**2 * (rate - before) / (now_s - before_s)
        end = height + moved
        return self._mesh.toward(MeshPosition(end, self._model.plane_um(end)), begin_s, length_s)

    def _find_rate(self) -> None:
        """Find how fast heights change now, and how long the next step may be."""
        columns, stepper = self._model.columns, self._stepper
        current = self._model.current_density(stepper.state, None)
        normal = self._builder.rate_nm_per_s(current) * 1e-3
        dy, dx = columns.y_um[1], columns.x_um[1]
        rate = height_rate(self._mesh.position.height_um, normal, dy, dx)
        self._rates.append((stepper.time_s, rate))
        # A single row of cells, or a single column, has no slopes.
        narrow = [step for step, n in ((dx, len(columns.x_um)), (dy, len(columns.y_um))) if n > 2]
        width = float(min(narrow, default=self._model.cell.distance_um))
        stepper.longest_s = _MAX_MOVED * width / max(float(np.abs(rate).max()), 1e-12)

    def _check_mesh(self) -> None:
        columns, height = self._model.columns, self._mesh.position.height_um
        steep = max(
            float(np.abs(np.diff(height, axis=axis)).max() / places[1])
            for axis, places in ((0, columns.y_um), (1, columns.x_um))
        )
        if steep > MAX_SLOPE:
            raise StoppedEarly(
                f"stopped at {self.time_s:.4g} s: a wall has grown to "
                f"{np.degrees(np.arctan(steep)):.0f} degrees, too steep for a height map; "
                "the results so far are kept",
                self.time_s,
            )
        if self._mesh.position.plane_um <= height.max():
            raise StoppedEarly(
                f"stopped at {self.time_s:.4g} s: the deposit has reached the anode", self.time_s
            )


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


def _resumed(
    model: Model,
    builder: SolutionBuilder,
    tolerance: float,
    checkpoints: Checkpoints | None,
    saved: tuple[Any, Any, Any],
) -> _Growth:
    builder.states, known, builder.balances = saved
    position = MeshPosition(known["height_um"], float(known["plane_um"]))
    run = _Growth(model, builder, tolerance, checkpoints, position)
    run.restore(known)
    return run
