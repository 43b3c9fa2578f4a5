"""Measured rates against computed ones: difference maps, statistics from blocks, curves of regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.statistics.block_bootstrap import correlation_length, interval
from lee.surfaces.curvature import curvature
from lee.surfaces.regions import Region, find_regions
from lee.surfaces.surface import Surface

if TYPE_CHECKING:
    import pandas as pd

    from lee.twin.comparison.window import WindowCurrent
    from lee.twin.results.folder import SolutionMaps
    from lee.twin.results.solution import Solution

# A block's side in the length over which the differences are correlated.
_BLOCK_LENGTHS = 3.0
_DRAWS = 2000
_TAILS = [2.5, 97.5]
_MIN_BLOCKS = 8
_MIN_PIXELS = 30

Maps = NDArray[np.float64]
_VERTICAL: Maps = np.ones(1)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Measured rates against computed ones, at the same current and along the same direction.

    Attributes
    ----------
    times_s : (T,) float64
    computed_nm_per_s, measured_nm_per_s, difference_nm_per_s : (T, H, W) float64
        Height rates; measured at the current under the anode; difference measured less computed. NaN where
        not measured.
    sigma_nm_per_s : (T, H, W) float64
        Standard deviation of the measured ones, scaled likewise; NaN where not known.
    pixel_um : float
    statistics : DataFrame
        A row per time: ``time_s n blocks computed_mean measured_mean ratio bias bias_low bias_high rms
        noise_rms chi2 correlation correlation_low correlation_high slope slope_low slope_high``. Rates in
        nm/s; the slope is of measured on computed; intervals hold 95 %, from blocks drawn with replacement,
        and are NaN where the field has fewer than 8 blocks.
    curves : DataFrame
        A row a region and time: ``region kind time_s computed_nm_per_s measured_nm_per_s measured_se_nm_per_s
        n``. The standard error is of the mean, from the scatter of the differences inside the region;
        correlated pixels count as one.
    height_um : (H, W) float64 or None
        The surface, where it is known.
    notes : tuple of str
    """

    times_s: NDArray[np.float64]
    computed_nm_per_s: Maps
    measured_nm_per_s: Maps
    difference_nm_per_s: Maps
    sigma_nm_per_s: Maps
    pixel_um: float
    statistics: pd.DataFrame
    curves: pd.DataFrame
    height_um: NDArray[np.float64] | None
    notes: tuple[str, ...]


def compare(
    computed: Solution | SolutionMaps | ArrayLike,
    measured_nm_per_s: ArrayLike,
    *,
    pixel_um: float | None = None,
    sigma_nm_per_s: ArrayLike | None = None,
    valid: ArrayLike | None = None,
    times_s: ArrayLike | None = None,
    height_um: ArrayLike | Surface | None = None,
    regions: Sequence[Region] = (),
    window: WindowCurrent | float = 1.0,
    seed: int = 0,
) -> Comparison:
    """Compare measured growth rates with computed ones.

    Height rates are compared: the change of height with time, as measured. A solution has its own; normal
    rates given as maps are multiplied by the root of 1 + slope², that of `height_um`.
    Measured rates are divided by the share of the cell's current density that reaches the microscope's
    window.

    Parameters
    ----------
    computed : Solution, SolutionMaps, or (H, W) or (T, H, W) float, nm/s
        A solution, interpolated to the measured times; or normal rates.
    measured_nm_per_s : (H, W) or (T, H, W) float, nm/s
        Height rates on the same pixels; NaN where not measured.
    pixel_um : float, µm
        Needed unless `computed` is a solution.
    sigma_nm_per_s : as measured, or float, nm/s, optional
    valid : (H, W) or (T, H, W) bool, optional
        Pixels to be used; by default all that were measured.
    times_s : (T,) float, s, optional
        Of the measured maps. Needed where there are several; a single one is compared with the solution's
        last.
    height_um : (H, W) float, µm, or Surface, optional
        For computed maps without a solution; without it the normal is taken to be vertical.
    regions : sequence of Region
        Whose curves are computed, such as those of `lee.surfaces.regions.find_regions`.
    window : WindowCurrent or float
        Or its share; 1 where the microscope sees the current density the solution was computed for.
    seed : int
        Of the blocks that are drawn.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If shapes or times do not fit, or fewer than 30 pixels can be compared.
    """
    # Not at the top: a solve alone need not wait for it.
    import pandas as pd

    if isinstance(height_um, Surface):
        pixel_um = height_um.pixel_um if pixel_um is None else pixel_um
        height_um = height_um.height_filled_um

    measured = _as_maps(measured_nm_per_s, "measured rates")
    ratio = float(window) if isinstance(window, (int, float)) else window.share
    if not (np.isfinite(ratio) and ratio > 0):
        raise InputError(f"compare: the window's share of the current is {ratio}; give a number above 0")
    times, model, slope, surface, size = _computed(computed, measured, times_s, height_um, pixel_um)
    if model.shape != measured.shape:
        raise InputError(
            f"compare: computed rates are {model.shape}, measured ones {measured.shape}; give one grid"
        )
    sigma = np.full(measured.shape, np.nan)
    if sigma_nm_per_s is not None:
        sigma = _fitting(sigma_nm_per_s, measured.shape, "sigma") / ratio
    measured = measured / ratio
    if valid is not None:
        measured = np.where(_fitting(valid, measured.shape, "valid").astype(bool), measured, np.nan)
    model = model * slope
    difference = measured - model
    for region in regions:
        if region.mask.shape != measured.shape[1:]:
            raise InputError(f"compare: region {region.name} is {region.mask.shape}, not on the maps' grid")
    rng = np.random.default_rng(seed)
    rows = [_statistics(float(time), model[k], measured[k], sigma[k], rng) for k, time in enumerate(times)]
    notes = [
        f"measured rates are divided by {ratio:.4g}, the share of the current that reaches the window",
        "height rates are compared, the change of height with time",
        *(["no surface was given: the normal is taken to be vertical"] if slope is _VERTICAL else []),
    ]
    if not np.isfinite(sigma).any():
        notes.append("no standard deviations were given: misfits cannot be distinguished from noise")
    return Comparison(
        times_s=times,
        computed_nm_per_s=model,
        measured_nm_per_s=measured,
        difference_nm_per_s=difference,
        sigma_nm_per_s=sigma,
        pixel_um=size,
        statistics=pd.DataFrame(rows),
        curves=pd.DataFrame(
            _curves(regions, times, model, measured), columns=list(_CurveRow.__annotations__)
        ),
        height_um=surface,
        notes=tuple(notes),
    )


class _CurveRow(TypedDict):
    region: str
    kind: str
    time_s: float
    computed_nm_per_s: float
    measured_nm_per_s: float
    measured_se_nm_per_s: float
    n: int


def height_rate(normal_rate_nm_per_s: ArrayLike, height_um: ArrayLike, pixel_um: float) -> Maps:
    """Turn rates along the surface's normal, (..., H, W), into rates of height."""
    return np.asarray(normal_rate_nm_per_s, np.float64) * _steepness(
        np.asarray(height_um, np.float64), pixel_um
    )


def _as_maps(values: ArrayLike, what: str) -> Maps:
    maps = np.asarray(values, np.float64)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or maps.size == 0:
        raise InputError(f"compare: {what} have shape {np.shape(values)}; give (H, W) or (T, H, W)")
    return maps


def _fitting(values: ArrayLike, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    try:
        return np.broadcast_to(np.asarray(values, np.float64), shape)
    except ValueError as error:
        raise InputError(
            f"compare: {what} has shape {np.shape(values)}, the rates {shape}; give one grid"
        ) from error


def _computed(
    computed: Solution | SolutionMaps | ArrayLike,
    measured: Maps,
    times_s: ArrayLike | None,
    height_um: ArrayLike | None,
    pixel_um: float | None,
) -> tuple[NDArray[np.float64], Maps, Maps, NDArray[np.float64] | None, float]:
    """Return times, rates at them, true area over seen area, the surface if known, and the pixel's size."""
    count = len(measured)
    given = None if times_s is None else np.atleast_1d(np.asarray(times_s, np.float64))
    if given is not None and (given.shape != (count,) or not np.isfinite(given).all()):
        raise InputError(f"compare: {given.size} times for {count} measured maps; give one for each, in s")
    if not _is_solution(computed):
        if pixel_um is None or not (np.isfinite(pixel_um) and pixel_um > 0):
            raise InputError(f"compare: pixel_um is {pixel_um}; give the size of a pixel in µm, above 0")
        surface = None if height_um is None else np.asarray(height_um, np.float64)
        if surface is not None and surface.shape != measured.shape[1:]:
            raise InputError(
                f"compare: height_um is {surface.shape}, the rates {measured.shape[1:]}; give one grid"
            )
        times = given if given is not None else np.arange(count, dtype=np.float64)
        steep = _VERTICAL if surface is None else _steepness(surface, float(pixel_um))
        return times, _as_maps(cast("ArrayLike", computed), "computed rates"), steep, surface, float(pixel_um)
    held = np.asarray(computed.times_s, np.float64)
    rates = np.asarray(computed.height_rate_nm_per_s, np.float64)
    if len(held) == 0:
        raise InputError("compare: the solution holds no time; solve again with a lower current")
    if given is None:
        if count > 1:
            raise InputError(f"compare: {count} measured maps without times; give times_s")
        given = held[-1:]
    reach = 1e-6 * max(1.0, float(np.abs(held).max()))
    if (given < held[0] - reach).any() or (given > held[-1] + reach).any():
        raise InputError(
            f"compare: measured from {given.min():g} to {given.max():g} s, computed from {held[0]:g} to "
            f"{held[-1]:g} s; solve for these times, too"
        )
    surface = np.asarray(computed.height_um[-1], np.float64)
    return given, _at_times(held, rates, given), np.ones_like(surface), surface, float(computed.pixel_um)


def _is_solution(computed: object) -> TypeGuard[Solution | SolutionMaps]:
    return hasattr(computed, "height_rate_nm_per_s")


def height_rates(computed: Solution | SolutionMaps, times_s: NDArray[np.float64]) -> Maps:
    """Return a solution's rates of height at some times, (T, H, W)."""
    held = np.asarray(computed.times_s, np.float64)
    return _at_times(held, np.asarray(computed.height_rate_nm_per_s, np.float64), times_s)


def _at_times(held: NDArray[np.float64], maps: Maps, wanted: NDArray[np.float64]) -> Maps:
    if len(held) == 1:
        return np.repeat(maps, len(wanted), axis=0)
    after = np.clip(np.searchsorted(held, wanted), 1, len(held) - 1)
    share = np.clip((wanted - held[after - 1]) / (held[after] - held[after - 1]), 0, 1)[:, None, None]
    return (1 - share) * maps[after - 1] + share * maps[after]


def _steepness(height_um: NDArray[np.float64], pixel_um: float) -> NDArray[np.float64]:
    """Root of 1 + slope², the true area over that seen from above."""
    slopes = [
        np.gradient(height_um, pixel_um, axis=axis) if height_um.shape[axis] > 1 else 0.0 for axis in (0, 1)
    ]
    return np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2) * np.ones(height_um.shape)


def _statistics(
    time_s: float,
    model: NDArray[np.float64],
    measured: NDArray[np.float64],
    sigma: NDArray[np.float64],
    rng: np.random.Generator,
) -> dict[str, float]:
    known = np.isfinite(model) & np.isfinite(measured)
    if known.sum() < _MIN_PIXELS:
        raise InputError(
            f"compare: only {known.sum()} pixels at {time_s:g} s have both rates; "
            f"at least {_MIN_PIXELS} are needed"
        )
    x, y = model[known], measured[known]
    difference = np.where(known, measured - model, 0.0)
    length, area = correlation_length(difference, difference, known)
    side = int(np.ceil(_BLOCK_LENGTHS * max(length, np.sqrt(area))))
    rows, columns = (index // side for index in np.nonzero(known))
    _, block = np.unique(rows * (columns.max() + 1) + columns, return_inverse=True)
    blocks = int(block.max()) + 1
    sums = np.stack([np.bincount(block, w) for w in (np.ones_like(x), x, y, x * x, y * y, x * y)], axis=1)
    draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=_DRAWS)
    enough = blocks >= _MIN_BLOCKS
    bounds = {
        name: interval(values, _TAILS) if enough else (np.nan, np.nan)
        for name, values in _moments((draws.astype(np.float64) @ sums).T).items()
    }
    value = {name: float(found[0]) for name, found in _moments(sums.sum(axis=0)[:, None]).items()}
    noise = sigma[known]
    stated = np.isfinite(noise) & (noise > 0)
    return {
        "time_s": time_s,
        "n": int(known.sum()),
        "blocks": blocks,
        "computed_mean": float(x.mean()),
        "measured_mean": float(y.mean()),
        "ratio": float(y.mean() / x.mean()) if x.mean() else np.nan,
        **_row("bias", value, bounds),
        "rms": float(np.sqrt(np.mean((y - x) ** 2))),
        "noise_rms": float(np.sqrt(np.mean(noise[stated] ** 2))) if stated.any() else np.nan,
        "chi2": float(np.mean(((y - x)[stated] / noise[stated]) ** 2)) if stated.any() else np.nan,
        **_row("correlation", value, bounds),
        **_row("slope", value, bounds),
    }


def _moments(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    n, sx, sy, sxx, syy, sxy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = n * sxy - sx * sy
        spread_x = np.maximum(n * sxx - sx**2, 0)
        # A uniform rate has no spread beyond rounding, and nothing to correlate with.
        spread_x = np.where(spread_x > 1e-12 * n * sxx, spread_x, np.nan)
        return {
            "bias": (sy - sx) / n,
            "correlation": covariance / np.sqrt(spread_x * np.maximum(n * syy - sy**2, 0)),
            "slope": covariance / spread_x,
        }


def _row(name: str, value: dict[str, float], bounds: dict[str, tuple[float, float]]) -> dict[str, float]:
    return {name: value[name], f"{name}_low": bounds[name][0], f"{name}_high": bounds[name][1]}


def _curves(
    regions: Sequence[Region], times: NDArray[np.float64], model: Maps, measured: Maps
) -> list[_CurveRow]:
    if not regions:
        return []
    rows: list[_CurveRow] = []
    for k, time in enumerate(times):
        both = np.isfinite(measured[k]) & np.isfinite(model[k])
        for region in regions:
            known = region.mask & both
            n = int(known.sum())
            values = measured[k][known]
            # Pixels whose differences are correlated count as one.
            error = np.where(known, measured[k] - model[k], 0.0)
            shared = correlation_length(error, error, known)[1] if n > 1 else 1.0
            rows.append(
                {
                    "region": region.name,
                    "kind": region.kind,
                    "time_s": float(time),
                    "computed_nm_per_s": float(model[k][known].mean()) if n else np.nan,
                    "measured_nm_per_s": float(values.mean()) if n else np.nan,
                    "measured_se_nm_per_s": float(error[known].std() * np.sqrt(min(shared / n, 1)))
                    if n
                    else np.nan,
                    "n": n,
                }
            )
    order = {region.name: place for place, region in enumerate(regions)}
    return sorted(rows, key=lambda row: (order[row["region"]], row["time_s"]))


def regions_by_relief(computed: SolutionMaps, count: int = 6) -> list[Region]:
    """Find the trenches and protrusions of a solution's last surface, by its curvature.

    Parameters
    ----------
    computed : SolutionMaps
    count : int
        Of each kind, at most.
    """
    mean_per_um = curvature(computed.height_um[-1], pixel_um=computed.pixel_um).mean_per_um
    return find_regions(mean_per_um, pixel_um=computed.pixel_um, most=count)


Computed = TypeVar("Computed", "Solution", "SolutionMaps")


def at_full_efficiency(computed: Computed) -> Computed:
    """Return a solution, or its maps, with the rates of a dense deposit that takes all of the current.

    Parameters
    ----------
    computed : Solution or SolutionMaps

    Returns
    -------
    Solution or SolutionMaps
        Faraday's rates; `lee.twin.efficiency_map` compares measured rates with it.
    """
    one = np.float32(computed.cell.faraday_nm_per_s)
    rate = np.asarray(computed.current_density_ma_per_cm2, np.float32) * one
    return replace(computed, normal_rate_nm_per_s=rate, height_rate_nm_per_s=rate * computed.area_ratio)
