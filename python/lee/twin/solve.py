"""Compute the environment of an electrode that is at rest."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.columns import MeshSize
from lee.twin.mesh_error import layers_note
from lee.twin.model import Model, make_model
from lee.twin.protocol_run import ProtocolRun, controlled
from lee.twin.results.builder import SolutionBuilder
from lee.twin.results.solution import Balance, Solution
from lee.twin.solver.equations import State
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.secondary import listed
from lee.twin.solver.stepping import Stepper, Unsolvable
from lee.twin.solver.time_loop import StoppedEarly, advance

# Below this share of the bulk's concentration an electrode where no step can be made has run out of ions.
_DEPLETED = 0.05


def solve(
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
    report: Callable[[str], object] | None = print,
    progress: Callable[[Balance], object] | None = None,
) -> Solution:
    """Compute concentration, potential, current and growth rate over a surface.

    The current is switched on at time 0, over an electrolyte at its bulk concentration; or the cell's
    protocol begins. Equations: `forms` and `kinetics`; sides are mirrors.

    Parameters
    ----------
    height_um : (H, W) float, µm, or Surface
        Grows toward the electrolyte. NaN where not measured; holes are filled. Of a surface its own filled
        heights are taken.
    pixel_um : float, µm
        That of the surface if not given.
    cell : Cell
    times_s : sequence of float, s
        Rising, from 0 on. Steps between them are chosen by `tolerance`.
    kind : str
        "primary" (no polarisation), "secondary" (kinetics, uniform concentration), "tertiary" (transient).
    exchange_current : float or (H, W) float, A/m² of true area, optional
        At the bulk concentration; the cell's without it.
    efficiency : float or (H, W) float, 0 to 1.5, optional
        Of growth; the cell's without it.
    mesh : MeshSize, optional
    tolerance : float
        Error of c/c₀ a step may add.
    step_s : float, s, optional
        Constant steps in place of chosen ones.
    report : callable, optional
        Takes lines to show before the solve: Sand time, limiting current, Wagner number, what is assumed, and
        the error of the layers, which is estimated for them.
    progress : callable, optional
        Takes the `Balance` of each step.

    Returns
    -------
    Solution
        ``stopped`` gives the reason if it ended early; the results so far are kept.

    Raises
    ------
    InputError
        If what is given cannot be used.
    MissingDependency
        If NGSolve is not installed.
    """
    began = time.perf_counter()
    times = check_times(times_s)
    if kind != "tertiary":
        cell.refuse_protocol(f"a {kind} distribution")
    model = make_model(
        height_um,
        pixel_um=pixel_um,
        cell=cell,
        kind=kind,
        exchange_current=exchange_current,
        efficiency=efficiency,
        mesh=mesh,
    )
    columns = model.columns
    if report:
        told = layers_note(cell, columns.share, times[-1]) if kind == "tertiary" else ""
        model = replace(model, notes=(*model.notes, told)) if told else model
        for line in (cell.summary(), *model.notes):
            report(line)
    z_um = columns.z_um(columns.height_um, columns.plane_um)
    made = time.perf_counter()
    volume = model.volume(z_um)
    assembled = time.perf_counter()
    builder = SolutionBuilder(model)
    protocol = cell.protocol
    if protocol is None:
        start = model.start(volume)
    else:
        first = controlled(model.problem, cell, protocol.steps[0], 0.0)
        start = replace(model, problem=first).start(volume)
    if kind == "tertiary":
        solver = SubstepSolver(model.problem, columns.shape)
        stepper = Stepper(solver, lambda *_: lambda _: volume, start, tolerance=tolerance, step_s=step_s)
        run = _AtRest(model, builder, stepper, z_um)
        if protocol is None:
            advance(run, times, progress)
        else:
            under = ProtocolRun(protocol, cell, solver, run)
            advance(under, times, progress)
            builder.notes = under.notes
            for line in builder.notes if report else ():
                report(line)  # type: ignore[misc]
        if builder.stopped:
            warnings.warn(builder.stopped, RuntimeWarning, stacklevel=2)
    else:
        for moment in times:
            builder.add(moment, start, volume, z_um, columns.pixels_um)
    ended = time.perf_counter()
    timings = {
        "mesh": made - began,
        "assembly": assembled - made,
        "solver": ended - assembled,
        "all": ended - began,
    }
    return builder.solution(timings)


class _AtRest:
    """A solution over a surface at rest, as it advances in time."""

    def __init__(
        self,
        model: Model,
        builder: SolutionBuilder,
        stepper: Stepper,
        z_um: NDArray[np.float64],
    ) -> None:
        self._model, self._builder, self._stepper, self._z_um = model, builder, stepper, z_um

    @property
    def time_s(self) -> float:
        return self._stepper.time_s

    def step(self, until_s: float) -> Balance:
        return self._builder.add_balance(self._stepper.step(until_s))

    def saved(self) -> Any:
        return self._stepper.saved(), len(self._builder.balances)

    def go_back(self, saved: Any) -> None:
        self._stepper.go_back(saved[0])
        del self._builder.balances[saved[1] :]

    def restart(self) -> None:
        self._stepper.restart()

    def record(self, more: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        pixels_um = self._model.columns.pixels_um
        self._builder.add(self.time_s, self._stepper.state, None, self._z_um, pixels_um)

    def stop(self, cause: StoppedEarly) -> None:
        self._builder.stopped = why_stopped(self._model.cell, self._stepper.state, cause)
        if self.time_s > self._builder.last_time_s:
            self.record()


def check_times(times_s: ArrayLike) -> list[float]:
    """Return the times to be reached.

    Raises
    ------
    InputError
        If there is none, or one is negative or out of order.
    """
    times = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    if times.ndim != 1 or not times.size or not np.isfinite(times).all() or times[0] < 0:
        raise InputError("times_s must be one or more times in s, the first at least 0")
    if (np.diff(times) <= 0).any():
        raise InputError("times_s must rise; sort them and give each once")
    return [float(t) for t in times]


def why_stopped(cell: Cell, state: State, cause: StoppedEarly) -> str:
    """Explain in one line why no later time was reached."""
    if not isinstance(cause, Unsolvable):
        return str(cause)
    lowest = float(state.fields[0][:, [0, -1]].min())
    if lowest < _DEPLETED:
        return (
            f"stopped at {cause.time_s:.4g} s: the electrolyte at an electrode has run out of ions "
            f"({100 * lowest:.1f} % of the bulk's left); Sand time {cell.sand_time_s:.4g} s, limiting "
            f"current {cell.limiting_current_ma_per_cm2:.4g} mA/cm²: give a lower current or shorter times"
        )
    return (
        f"stopped at {cause.time_s:.4g} s: Newton's method does not converge (residuals "
        f"{listed(cause.residuals)}); the last good state is kept"
    )
