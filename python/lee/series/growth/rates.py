"""Growth rates of a surface over a run, with their standard deviations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.series.growth.line_fit import MIN_SCANS, fit_lines
from lee.series.growth.trend import (
    NonlinearGrowth,
    coarse_changes,
    neighbours,
    nonlinear_growth_at,
    refined,
    scan_weights,
)

Maps = Sequence[NDArray[np.float32]] | NDArray[np.float32]

_NM = 1000.0
# Rows fitted at once, so that the data stay in the cache.
_STRIP_ROWS = 32
_THREADS = 2
# Added to every sigma, as a share of the median one: a few pixels with tiny sigmas must not dominate.
_SIGMA_FLOOR = 0.3
# Median of chi-squared per degree of freedom.
_MEDIAN_CHI = {1: 0.4549, 2: 0.6931, 3: 0.7887, 4: 0.8392, 5: 0.8703, 6: 0.8914, 7: 0.9066, 8: 0.9180}
_MORE_SCANS = 4  # used for the non-linear part of growth
# A scan of lower weight would only take the place of a better one.
_MIN_WEIGHT = 0.1
# Heights closer to the others than a few of these are never outliers.
_MIN_SIGMA_UM = 0.005


@dataclass(frozen=True, eq=False)
class Growth:
    """Growth of an aligned run; NaN where not measured.

    Parameters
    ----------
    delta_um : (T, H, W) float32, µm
        Height above the first measured scan.
    adjacent_nm_per_s : (T - 1, H, W) float32, nm/s
        Height difference of consecutive scans over the time between them.
    rate_nm_per_s : (T, H, W) float32, nm/s
        Rate at the time of each scan, from a robust fit to the scans around it.
    rate_sigma_nm_per_s : (T, H, W) float32, nm/s
        Standard deviation of `rate_nm_per_s`.
    times_s : (T,) float64, s
    window : int
        Number of scans of a fit.
    first : int
        The first measured scan.
    scan_weight : (T,) float64
        Weight of each scan: 1 by default, 0 for an excluded scan.
    left_out_share : (T,) float64
        Share of the fits that excluded the height of each scan as an outlier.
    """

    delta_um: NDArray[np.float32]
    adjacent_nm_per_s: NDArray[np.float32]
    rate_nm_per_s: NDArray[np.float32]
    rate_sigma_nm_per_s: NDArray[np.float32]
    times_s: NDArray[np.float64]
    window: int
    first: int
    scan_weight: NDArray[np.float64]
    left_out_share: NDArray[np.float64]


class Rate(NamedTuple):
    """Rate at one scan, its standard deviation, (H, W) nm/s, and the share of fits without each scan."""

    scan: int
    rate_nm_per_s: NDArray[np.float32]
    rate_sigma_nm_per_s: NDArray[np.float32]
    left_out: dict[int, float]


class Trend(NamedTuple):
    """Coarse changes of height over the whole run, and the weight of each scan."""

    coarse_um: NDArray[np.float32]
    scan_weight: NDArray[np.float64]


def growth(
    heights_um: Maps,
    sigmas_um: Maps | None,
    times_s: ArrayLike,
    *,
    window: int = 5,
    phases: Sequence[str] | None = None,
) -> Growth:
    """Measure how fast a surface grows or dissolves, at every pixel and scan.

    At every pixel a line is fitted to the heights of the `window` scans around each scan, weighted by their
    uncertainty. Outliers among the heights of a pixel are excluded, and so are outlier scans; rougher scans
    have less weight. The change of the rate over time is measured coarsely, on blocks of 8 pixels and four
    more scans, and subtracted first: so the first and last scans, whose windows are one-sided, are not
    biased, and the slope is that at the time of the scan. A rate needs three consistent heights.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Aligned height maps, NaN where not measured; a failed scan NaN throughout. Any sequence: only a
        window of them is in memory at a time.
    sigmas_um : T of (H, W) float32, µm, or None
        Standard deviation of the heights; with None all are equal. Only ratios matter: the scale follows
        from the scatter of the heights about the fits.
    times_s : (T,) s
        Times of the scans, ascending.
    window : int
        Number of scans of a fit, 3 or more.
    phases : T of str, optional
        Phase of each scan: windows do not reach from plating into stripping.

    Returns
    -------
    Growth

    Raises
    ------
    InputError
        If times are out of order, there are fewer scans than `window`, or shapes differ.
    """
    times, groups, shape = _checked(heights_um, sigmas_um, times_s, window, phases)
    count = len(times)
    trend = run_trend(heights_um, times, groups)
    measured = np.isfinite(trend.coarse_um).any(axis=(1, 2))
    first = int(np.argmax(measured))
    delta = np.empty((count, *shape), np.float32)
    adjacent = np.empty((count - 1, *shape), np.float32)
    rate, sigma = np.empty_like(delta), np.empty_like(delta)
    start = before = np.asarray(heights_um[first], dtype=np.float32)
    for k in range(count):
        now = np.asarray(heights_um[k], dtype=np.float32)
        np.subtract(now, start, out=delta[k])
        if k:
            np.subtract(now, before, out=adjacent[k - 1])
            adjacent[k - 1] *= np.float32(_NM / (times[k] - times[k - 1]))
        before = now
    fits, dropped = np.zeros(count), np.zeros(count)
    for one in rates(heights_um, sigmas_um, times, window=window, phases=phases, trend=trend):
        rate[one.scan], sigma[one.scan] = one.rate_nm_per_s, one.rate_sigma_nm_per_s
        for k, share in one.left_out.items():
            fits[k] += 1
            dropped[k] += share
    left_out = np.where(trend.scan_weight > 0, dropped / np.maximum(fits, 1), 1.0)
    return Growth(delta, adjacent, rate, sigma, times, window, first, trend.scan_weight, left_out)


def run_trend(heights_um: Maps, times_s: NDArray[np.float64], groups: list[list[int]]) -> Trend:
    """Measure the coarse changes and scan weights of a run, one scan after the other."""
    coarse = coarse_changes(heights_um)
    return Trend(coarse, scan_weights(coarse, times_s, groups))


def rates(
    heights_um: Maps,
    sigmas_um: Maps | None,
    times_s: ArrayLike,
    *,
    window: int = 5,
    phases: Sequence[str] | None = None,
    trend: Trend | None = None,
) -> Iterator[Rate]:
    """Yield the rate at each scan in turn, as in `growth`, with only a window of scans in memory.

    Parameters and errors as in `growth`; give `trend` if it is already known.
    """
    times, groups, shape = _checked(heights_um, sigmas_um, times_s, window, phases)
    trend = trend or run_trend(heights_um, times, groups)
    loaded: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for group in groups:
            usable = [k for k in group if trend.scan_weight[k] > _MIN_WEIGHT]
            reliable = [k for k in usable if trend.scan_weight[k] == 1]
            for k in group:
                scans = neighbours(k, usable, window)
                loaded = {j: loaded.get(j) or _weighed(heights_um, sigmas_um, j) for j in scans}
                wider = neighbours(k, reliable, window + _MORE_SCANS)
                nonlinear = nonlinear_growth_at(k, trend.coarse_um, times, wider)
                yield _rate(k, scans, loaded, trend.scan_weight, times, nonlinear, shape, pool)


def _rate(
    k: int,
    scans: list[int],
    loaded: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]],
    scan_weight: NDArray[np.float64],
    times: NDArray[np.float64],
    nonlinear: NonlinearGrowth,
    shape: tuple[int, int],
    pool: ThreadPoolExecutor,
) -> Rate:
    if len(scans) < MIN_SCANS:
        unknown = np.full(shape, np.nan, np.float32)
        return Rate(k, unknown, unknown.copy(), {})
    t = times[scans]
    amounts = [refined(amount, shape) for amount in nonlinear.amounts_um]
    shapes = [one(t - times[k]).astype(np.float32) for one in nonlinear.shapes]
    slopes = np.array([one.deriv()(0.0) for one in nonlinear.shapes])
    # Effect of a wrong amount on the slope at the scan: the difference to the slope of a line fitted to the
    # shape.
    lever = slopes - np.array([np.polyfit(t, one, 1)[0] for one in shapes])
    nonlinear_variance = float(np.sum((lever * nonlinear.sigma_um) ** 2))

    def gathered(part: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        heights = np.stack([loaded[j][0][part] for j in scans])
        weights = np.stack([loaded[j][1][part] * np.float32(scan_weight[j]) for j in scans])
        heights -= heights[len(scans) // 2].copy()
        for values, amount in zip(shapes, amounts, strict=True):
            heights -= values[:, None, None] * amount[part]
        return heights, weights

    heights, weights = gathered(np.s_[::4, ::4])
    misfit = fit_lines(heights, weights, t, np.inf).misfit
    known = misfit[np.isfinite(misfit)]
    expected = _MEDIAN_CHI.get(len(scans) - 2, 1 - 2 / (9 * max(len(scans) - 2, 1)))
    scatter = max(float(np.median(known)) / expected, 1e-6) if known.size else 1.0
    inside = weights[weights > 0]
    min_scatter = _MIN_SIGMA_UM**2 * float(np.median(inside)) if inside.size else 1.0
    slope = np.empty(shape, np.float32)
    sigma = np.empty(shape, np.float32)
    dropped = np.zeros(len(scans))

    def fit(top: int) -> NDArray[np.int64]:
        part = np.s_[top : top + _STRIP_ROWS, :]
        lines = fit_lines(*gathered(part), t, max(scatter, min_scatter))
        slope[part] = lines.slope
        for own, amount in zip(slopes, amounts, strict=True):
            slope[part] += np.float32(own) * amount[part]
        slope[part] *= np.float32(_NM)
        # A pixel that scatters more than the others has a larger variance.
        excess = np.maximum(np.nan_to_num(lines.misfit, nan=1.0) / scatter, 1.0)
        variance = lines.variance * np.float32(scatter) * excess + np.float32(nonlinear_variance)
        sigma[part] = np.sqrt(variance) * np.float32(_NM)
        return lines.left_out

    for left_out in pool.map(fit, range(0, shape[0], _STRIP_ROWS)):
        dropped += left_out
    shares = dropped / (shape[0] * shape[1])
    return Rate(k, slope, sigma, dict(zip(scans, shares.tolist(), strict=True)))


def _weighed(heights: Maps, sigmas: Maps | None, k: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return heights and their weights, both 0 where not measured."""
    height = np.asarray(heights[k], dtype=np.float32)
    known = np.isfinite(height)
    if sigmas is None:
        return np.where(known, height, np.float32(0)), known.astype(np.float32)
    sigma = np.asarray(sigmas[k], dtype=np.float32)
    has_sigma = known & np.isfinite(sigma)
    median = float(np.median(sigma[has_sigma][::7])) if has_sigma.any() else 0.0
    if median <= 0:
        median = 1.0
    sigma = np.where(has_sigma, sigma, np.float32(median))
    weight = known / (sigma * sigma + np.float32((_SIGMA_FLOOR * median) ** 2))
    return np.where(known, height, np.float32(0)), weight.astype(np.float32)


def _checked(
    heights: Maps, sigmas: Maps | None, times_s: ArrayLike, window: int, phases: Sequence[str] | None
) -> tuple[NDArray[np.float64], list[list[int]], tuple[int, int]]:
    """Return times, scans grouped by phase, and the shape of a map."""
    times = np.asarray(times_s, dtype=np.float64)
    count = len(heights)
    if times.shape != (count,):
        raise InputError(f"growth: {times.size} times for {count} scans; give one each")
    if not np.isfinite(times).all():
        raise InputError(f"growth: the time of scan {int(np.argmin(np.isfinite(times)))} is missing")
    back = np.nonzero(np.diff(times) <= 0)[0]
    if back.size:
        k = int(back[0])
        raise InputError(
            f"growth: times are out of order: scan {k + 1} at {times[k + 1]:.6g} s does not come after scan "
            f"{k} at {times[k]:.6g} s"
        )
    if window < 3:
        raise InputError(f"growth: the window is {window} scans; a rate needs 3 or more")
    if count < window:
        raise InputError(
            f"growth: {count} scans are fewer than the window of {window}: give a smaller window"
        )
    if sigmas is not None and len(sigmas) != count:
        raise InputError(f"growth: {len(sigmas)} maps of uncertainty for {count} scans; give one each")
    if phases is not None and len(phases) != count:
        raise InputError(f"growth: {len(phases)} phases for {count} scans; give one each")
    shape = np.shape(heights[0])
    if len(shape) != 2:
        raise InputError(f"growth: a height map has shape {shape}; give (H, W)")
    groups: list[list[int]] = []
    for k in range(count):
        if k and (phases is None or phases[k] == phases[k - 1]):
            groups[-1].append(k)
        else:
            groups.append([k])
    return times, groups, (shape[0], shape[1])
