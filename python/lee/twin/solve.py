"""Solve for the environment of an electrode that is at rest."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lee.errors import InputError
from lee.twin.cell import Cell
from lee.twin.mesh.columns import MeshSize
from lee.twin.model import Model, make_model
from lee.twin.results.recorder import Record
from lee.twin.results.solution import Balance, Solution
from lee.twin.solver.newton import TOLERANCE, StageSolver, State, Volume
from lee.twin.solver.stepping import Stepper, Unsolvable

# Below this share of the bulk's concentration an electrode that cannot go on has run out of ions.
_DEPLETED = 0.05


def solve(
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
    tell: Callable[[str], Any] | None = print,
    progress: Callable[[Balance], Any] | None = None,
) -> Solution:
    """Compute concentration, potential, current and growth rate over a surface.

    The current is switched on at time 0, over an electrolyte at its bulk concentration. Equations: `forms`
    and `kinetics`; sides are mirrors.

    Parameters
    ----------
    height_um : (H, W) float, µm
        Larger is farther out, toward the electrolyte. NaN where not measured; holes are filled.
    pixel_um : float, µm
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
    tell : callable, optional
        Takes lines to show before the solve: Sand time, limiting current, Wagner number, and what is assumed.
    progress : callable, optional
        Takes the `Balance` of each step.

    Returns
    -------
    Solution
        ``stopped`` tells why it ended early, if it did; what was reached is kept.

    Raises
    ------
    InputError
        If what is given cannot be used.
    MissingDependency
        If NGSolve is not installed.
    """
    began = time.perf_counter()
    times = check_times(times_s)
    model = make_model(
        height_um,
        pixel_um=pixel_um,
        cell=cell,
        kind=kind,
        exchange_current=exchange_current,
        efficiency=efficiency,
        mesh=mesh,
    )
    for line in (cell.summary(), *model.notes) if tell else ():
        tell(line)  # type: ignore[misc]
    columns = model.columns
    z_um = columns.z_um(columns.height_um, columns.plane_um)
    made = time.perf_counter()
    volume = model.volume(z_um)
    assembled = time.perf_counter()
    record = Record(model)
    start = start_state(model, volume)
    if kind == "tertiary":
        solver = StageSolver(model.problem, columns.shape)
        stepper = Stepper(solver, lambda *_: lambda _: volume, start, tolerance=tolerance, step_s=step_s)
        try:
            for moment in times:
                while stepper.time_s < moment:
                    balance = record.book(stepper.step(moment).balance)
                    if progress:
                        progress(balance)
                record.add(moment, stepper.state, volume, z_um, columns.pixels_um)
        except Unsolvable as stop:
            record.stopped = why_stopped(model, stepper.state, stop)
            if stepper.time_s > record.last_time_s:
                record.add(stepper.time_s, stepper.state, volume, z_um, columns.pixels_um)
            warnings.warn(record.stopped, RuntimeWarning, stacklevel=2)
    else:
        for moment in times:
            record.add(moment, start, volume, z_um, columns.pixels_um)
    ended = time.perf_counter()
    timings = {
        "mesh": made - began,
        "assembly": assembled - made,
        "solver": ended - assembled,
        "all": ended - began,
    }
    return record.solution(timings)


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


def start_state(model: Model, volume: Volume) -> State:
    """Find the potential at the bulk concentration.

    Raises
    ------
    InputError
        If it is not found.
    """
    start, residuals = model.uniform(volume)
    if not residuals[-1] <= TOLERANCE:
        raise InputError(
            f"the potential at the bulk concentration is not found (residuals {listed(residuals)}); give a "
            "smoother surface, or check the cell's kinetics"
        )
    return start


def why_stopped(model: Model, state: State, stop: Unsolvable) -> str:
    """Say in one line why no step could be solved."""
    cell = model.cell
    least = float(state.fields[0][:, [0, -1]].min())
    if least < _DEPLETED:
        return (
            f"stopped at {stop.time_s:.4g} s: the electrolyte at an electrode has run out of ions "
            f"({least:.1%} of the bulk's left); Sand time {cell.sand_time_s:.4g} s, limiting current "
            f"{cell.limiting_current_ma_per_cm2:.4g} mA/cm2: give a lower current or shorter times"
        )
    return (
        f"stopped at {stop.time_s:.4g} s: Newton's method does not converge (residuals "
        f"{listed(stop.residuals)}); the last good state is kept"
    )


def listed(residuals: Sequence[float]) -> str:
    """Write residuals in one line."""
    return ", ".join(f"{r:.1e}" for r in residuals)
