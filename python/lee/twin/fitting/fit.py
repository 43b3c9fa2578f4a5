"""Find parameters of a cell from rates and voltages that were measured over a surface."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.fitting.log_fit import FARTHEST, LogFit, Observed, log_fit
from lee.twin.mesh.columns import MeshSize
from lee.twin.results.solution import Solution
from lee.twin.solve import check_times, solve

_FIXED = {"reaction", "protocol", "charge", "current_density_ma_per_cm2", "gap_um", "temperature_k",
          "molar_mass_g_per_mol", "density_kg_per_m3", "hydrogen_potential_v", "transference"}  # fmt: skip
FITTED = tuple(parameter.name for parameter in fields(Cell) if parameter.name not in _FIXED)
# Cells along the longer side: a fit solves the twin some twenty times.
COLUMNS = 24
_MIN_PIXELS = 30

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters of a cell that measured rates and voltages determine.

    Attributes
    ----------
    names : tuple of str
        Parameters of `Cell`.
    values : (N,) float64
        In the units of the cell.
    low, high : (N,) float64
        Ends of the interval of one standard deviation of the logarithm.
    correlation : (N, N) float64
        Of the logarithms.
    cell : Cell
        With the values found.
    solution : Solution
        Of that cell, at all times measured.
    chi2 : dict of float
        Squared misfit per observation in variances, of "rates" and "voltages".
    rates_nm_per_s, sigma_nm_per_s : (T, H, W) float64
        As given; none where T is 0.
    rate_times_s : (T,) float64
    voltages_v, voltage_sigma_v, voltage_times_s : (M,) float64
    result : LogFit
    notes : tuple of str
        What is not determined, or not explained.
    """

    names: tuple[str, ...]
    values: Floats
    low: Floats
    high: Floats
    correlation: Floats
    cell: Cell
    solution: Solution
    chi2: dict[str, float]
    rates_nm_per_s: Floats
    sigma_nm_per_s: Floats
    rate_times_s: Floats
    voltages_v: Floats
    voltage_sigma_v: Floats
    voltage_times_s: Floats
    result: LogFit
    notes: tuple[str, ...]


def fit(
    height_um: ArrayLike | Surface,
    names: Sequence[str],
    *,
    cell: Cell,
    pixel_um: float | None = None,
    rates_nm_per_s: ArrayLike | None = None,
    sigma_nm_per_s: ArrayLike | None = None,
    rate_times_s: ArrayLike = (),
    voltages_v: ArrayLike | None = None,
    voltage_sigma_v: float = 1e-3,
    voltage_times_s: ArrayLike = (),
    kind: str = "tertiary",
    mesh: MeshSize | None = None,
    tolerance: float = 3e-4,
    progress: Callable[[int, float], object] | None = None,
) -> Fit:
    """Find parameters of a cell by solving the twin over a surface at rest, again and again.

    Least squares in the logarithms of the parameters, and a Gaussian around the best (Laplace). Misfits that
    are alike count as one; where they are larger than their standard deviations say, errors are widened.

    Parameters
    ----------
    height_um : (H, W) float, µm, or Surface
        It must hardly change until the last of the times.
    names : sequence of str
        Parameters of `Cell`, one or more of `FITTED`. Each begins at the cell's value, above 0, and may move
        by a factor of a thousand within its limits.
    cell : Cell
        All that is known, and where the fit begins.
    pixel_um : float, µm
        That of the surface if not given.
    rates_nm_per_s, sigma_nm_per_s : (H, W) or (T, H, W) float, nm/s
        Height rates and their standard deviations, one of them or a map; NaN where not measured.
    rate_times_s : (T,) float, s
        When they were measured, since the current was switched on.
    voltages_v : (M,) float, V
        Of the cell: against the reference or the anode, negative where metal is plated.
    voltage_sigma_v : float, V
    voltage_times_s : (M,) float, s
        Rising.
    kind : str
        "tertiary", or "secondary" where the concentration is the bulk's.
    mesh : MeshSize, optional
        By default at most 24 cells along the longer side.
    tolerance : float
        As of `lee.twin.solve`.
    progress : callable, optional
        Called with the number of solutions and the squared misfit per observation.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If what is given cannot be used, or says nothing about one of the parameters.
    MissingDependency
        If NGSolve is not installed.
    """
    chosen, start, bounds = _start(names, cell)
    heights = height_um.height_um if isinstance(height_um, Surface) else np.asarray(height_um)
    if heights.ndim != 2:
        raise InputError(f"fit: the surface has the shape {heights.shape}; give a map")
    rates, sigma, rate_times = _rates(rates_nm_per_s, sigma_nm_per_s, rate_times_s, heights.shape)
    voltages, voltage_times = _voltages(voltages_v, voltage_sigma_v, voltage_times_s)
    times = np.unique(np.concatenate([rate_times, voltage_times]))
    if not times.size:
        raise InputError("fit: nothing was measured; give rates with their times, voltages, or both")
    check_times(times)
    at_rates, at_voltages = np.searchsorted(times, rate_times), np.searchsorted(times, voltage_times)
    deviations = np.full(voltages.shape, float(voltage_sigma_v))
    observed = [Observed("rates", rates, sigma), Observed("voltages", voltages, deviations)]
    observed = [one for one in observed if one.values.size]
    size = mesh or MeshSize.of((heights.shape[0], heights.shape[1]), min(COLUMNS, max(heights.shape)))

    @lru_cache(maxsize=len(chosen) + 2)
    def solved_for(*values: float) -> Solution:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that it stopped early; told below
            return solve(
                height_um,
                pixel_um=pixel_um,
                cell=_with(cell, chosen, np.array(values)),
                times_s=times,
                kind=kind,
                mesh=size,
                tolerance=tolerance,
                report=None,
            )

    def solved(values: Floats) -> Solution:
        return solved_for(*values.tolist())

    def predict(values: Floats) -> list[Floats]:
        solution = solved(values)
        if solution.stopped:
            return [np.full(one.values.shape, np.nan) for one in observed]
        both = (solution.height_rate_nm_per_s[at_rates], solution.cell_voltage_v[at_voltages])
        return [np.asarray(one, np.float64) for one in both if one.size]

    begun = solved(start)
    if begun.stopped:
        raise InputError(f"fit: the cell to begin with does not reach the times measured: {begun.stopped}")
    result = log_fit(chosen, start, bounds, observed, predict, progress=progress)
    spread = np.exp(result.sigma_log)
    return Fit(
        names=chosen,
        values=result.values,
        low=result.values / spread,
        high=result.values * spread,
        correlation=result.correlation,
        cell=_with(cell, chosen, result.values),
        solution=solved(result.values),
        chi2={one.name: chi2 for one, chi2 in zip(observed, result.chi2, strict=True)},
        rates_nm_per_s=rates,
        sigma_nm_per_s=sigma,
        rate_times_s=rate_times,
        voltages_v=voltages,
        voltage_sigma_v=deviations,
        voltage_times_s=voltage_times,
        result=result,
        notes=result.notes,
    )


def _with(cell: Cell, names: Sequence[str], values: Floats) -> Cell:
    changed: dict[str, Any] = dict(zip(names, values.tolist(), strict=True))
    return replace(cell, **changed)


def _start(names: Sequence[str], cell: Cell) -> tuple[tuple[str, ...], Floats, tuple[Floats, Floats]]:
    """Return the parameters, where they begin, and how far they may go."""
    chosen = tuple(names)
    if not chosen or len(set(chosen)) != len(chosen):
        raise InputError(f"fit: give one or more parameters, each once, of {', '.join(FITTED)}")
    limits = {one.name: one.metadata["limits"] for one in fields(Cell) if one.name in FITTED}
    start, low, high = [], [], []
    for name in chosen:
        if name not in FITTED:
            raise InputError(f"fit: {name!r} cannot be fitted; parameters are {', '.join(FITTED)}")
        value, limit = getattr(cell, name), limits[name]
        if value is None:
            raise InputError(f"fit: the cell has no {name}; fit another parameter")
        if value <= 0:
            raise InputError(f"fit: {name} is {value:g} in the cell; give a value above 0 to begin with")
        start.append(value)
        low.append(max(value / FARTHEST, (limit.above or limit.minimum or 0.0) * (1 + 1e-9)))
        high.append(min(value * FARTHEST, limit.maximum * (1 - 1e-9)))
    return chosen, np.array(start), (np.array(low), np.array(high))


def _rates(
    rates: ArrayLike | None, sigma: ArrayLike | None, times_s: ArrayLike, shape: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    times = np.atleast_1d(np.asarray(times_s, np.float64))
    if rates is None:
        return np.empty((0, *shape)), np.empty((0, *shape)), np.empty(0)
    maps = np.array(rates, np.float64)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or maps.shape[1:] != shape or times.shape != maps.shape[:1]:
        raise InputError(
            f"fit: rates are {maps.shape} with {times.size} time(s), the surface {shape}; give a map on its "
            "pixels for each time"
        )
    if sigma is None:
        raise InputError("fit: rates have no standard deviation; give sigma in nm/s")
    try:
        deviations = np.broadcast_to(np.asarray(sigma, np.float64), maps.shape)
    except ValueError as error:
        raise InputError(f"fit: sigma is {np.shape(sigma)}, the rates {maps.shape}; give one grid") from error
    known = np.isfinite(maps) & np.isfinite(deviations)
    if known.sum() < _MIN_PIXELS:
        raise InputError(
            f"fit: {known.sum()} pixel(s) have a rate and its standard deviation; give 30 or more"
        )
    if (deviations[known] <= 0).any():
        raise InputError("fit: a standard deviation of a rate is not above 0")
    return maps, np.array(deviations), times


def _voltages(voltages: ArrayLike | None, sigma_v: float, times_s: ArrayLike) -> tuple[Floats, Floats]:
    times = np.atleast_1d(np.asarray(times_s, np.float64))
    if voltages is None:
        return np.empty(0), np.empty(0)
    values = np.atleast_1d(np.asarray(voltages, np.float64))
    if values.ndim != 1 or values.shape != times.shape or not np.isfinite(values).any():
        raise InputError(f"fit: {values.size} voltage(s) for {times.size} time(s); give one each, in V")
    if not (np.isfinite(sigma_v) and sigma_v > 0):
        raise InputError(f"fit: the standard deviation of a voltage is {sigma_v:g} V; it must be above 0")
    check_times(times)
    return values, times
