"""Growth of a surface over a run: height changes, and rates with their uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.series.growth.line_fit import LEAST_SCANS, fit_lines
from lee.series.growth.trend import Bend, bend_at, coarse_changes, neighbours, refined, trust

Maps = Sequence[NDArray[Any]] | NDArray[Any]

_NM = 1000.0
# Rows fitted at once: what is worked on stays in the cache.
_STRIP_ROWS = 32
_THREADS = 2
# The usual error of a height counts at least this much: a few pixels that claim to be exact must not rule.
_SIGMA_FLOOR = 0.3
# Median of chi-squared per degree of freedom.
_MEDIAN_CHI = {1: 0.4549, 2: 0.6931, 3: 0.7887, 4: 0.8392, 5: 0.8703, 6: 0.8914, 7: 0.9066, 8: 0.9180}
_BEND_SCANS = 4
# A scan trusted less than this would only take the place of a better one.
_LEAST_WEIGHT = 0.1
# No height is wild that lies nearer to the others than some of these.
_LEAST_SIGMA_UM = 0.005


@dataclass(frozen=True, eq=False)
class Growth:
    """Growth of an aligned run; NaN where not measured.

    Parameters
    ----------
    delta_um : (T, H, W) float32, µm
        Height above the first scan that was measured at all.
    adjacent_nm_per_s : (T - 1, H, W) float32, nm/s
        Difference of neighbouring scans over the time between them.
    rate_nm_per_s : (T, H, W) float32, nm/s
        Rate at the time of each scan, from a robust fit to the scans around it.
    rate_sigma_nm_per_s : (T, H, W) float32, nm/s
        Standard deviation of `rate_nm_per_s`.
    times_s : (T,) float64, s
    window : int
        Scans a fit rests on.
    first : int
        The scan heights are held against.
    scan_weight : (T,) float64
        How much each scan was trusted: 1 as usual, 0 left out as a whole.
    left_out_share : (T,) float64
        Share of the fits around each scan that left its height out as an outlier.
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
    """Rate at the time of one scan, its standard deviation, (H, W) nm/s, and how many fits left scans out."""

    scan: int
    rate_nm_per_s: NDArray[np.float32]
    rate_sigma_nm_per_s: NDArray[np.float32]
    left_out: dict[int, float]


class Trend(NamedTuple):
    """What `rates` must know of the whole run: coarse heights, and how far each scan is trusted."""

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
    uncertainty. Heights that contradict the others of their pixel are left out, and so are scans that are off
    as a whole; rougher scans count less. How the rate changes over time is found coarsely, from blocks of 8
    pixels and four more scans, and taken out before: so the first and last scans, whose windows lie to one
    side, are not biased, and the slope is that at the time of the scan. A rate needs three heights that do
    not contradict each other.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Aligned height maps, NaN where not measured; a scan that failed NaN throughout. Any sequence: only a
        window of them is held at a time.
    sigmas_um : T of (H, W) float32, µm, or None
        Standard deviation of the heights; None takes all as equally exact. Only ratios matter: the scale is
        that of the heights' scatter about the fits.
    times_s : (T,) s
        When the scans were taken, ascending.
    window : int
        Scans a fit rests on, 3 or more.
    phases : T of str, optional
        What was done during each scan: windows do not reach from plating into stripping.

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
    """Look at the whole run coarsely, one scan after the other."""
    coarse = coarse_changes(heights_um)
    return Trend(coarse, trust(coarse, times_s, groups))


def rates(
    heights_um: Maps,
    sigmas_um: Maps | None,
    times_s: ArrayLike,
    *,
    window: int = 5,
    phases: Sequence[str] | None = None,
    trend: Trend | None = None,
) -> Iterator[Rate]:
    """Yield the rate at each scan in turn, as `growth` does, holding only a window of scans.

    Parameters and errors as in `growth`; `trend` saves finding it again.
    """
    times, groups, shape = _checked(heights_um, sigmas_um, times_s, window, phases)
    trend = trend or run_trend(heights_um, times, groups)
    held: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for group in groups:
            usable = [k for k in group if trend.scan_weight[k] > _LEAST_WEIGHT]
            sound = [k for k in usable if trend.scan_weight[k] == 1]
            for k in group:
                scans = neighbours(k, usable, window)
                held = {j: held.get(j) or _weighed(heights_um, sigmas_um, j) for j in scans}
                wider = neighbours(k, sound, window + _BEND_SCANS)
                bend = bend_at(k, trend.coarse_um, times, wider)
                yield _rate(k, scans, held, trend.scan_weight, times, bend, shape, pool)


def _rate(
    k: int,
    scans: list[int],
    held: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]],
    scan_weight: NDArray[np.float64],
    times: NDArray[np.float64],
    bend: Bend,
    shape: tuple[int, int],
    pool: ThreadPoolExecutor,
) -> Rate:
    if len(scans) < LEAST_SCANS:
        unknown = np.full(shape, np.nan, np.float32)
        return Rate(k, unknown, unknown.copy(), {})
    t = times[scans]
    bent = [refined(amount, shape) for amount in bend.amounts_um]
    shapes = [one(t - times[k]).astype(np.float32) for one in bend.shapes]
    slopes = np.array([one.deriv()(0.0) for one in bend.shapes])
    # What a wrong bend does to the slope at the scan: nothing where the line through the bend has its slope.
    lever = slopes - np.array([np.polyfit(t, one, 1)[0] for one in shapes])
    bend_variance = float(np.sum((lever * bend.sigma_um) ** 2))

    def gathered(part: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        heights = np.stack([held[j][0][part] for j in scans])
        weights = np.stack([held[j][1][part] * np.float32(scan_weight[j]) for j in scans])
        heights -= heights[len(scans) // 2].copy()
        for values, amount in zip(shapes, bent, strict=True):
            heights -= values[:, None, None] * amount[part]
        return heights, weights

    heights, weights = gathered(np.s_[::4, ::4])
    misfit = fit_lines(heights, weights, t, np.inf).misfit
    known = misfit[np.isfinite(misfit)]
    usual = _MEDIAN_CHI.get(len(scans) - 2, 1 - 2 / (9 * max(len(scans) - 2, 1)))
    scatter = max(float(np.median(known)) / usual, 1e-6) if known.size else 1.0
    inside = weights[weights > 0]
    least = _LEAST_SIGMA_UM**2 * float(np.median(inside)) if inside.size else 1.0
    slope = np.empty(shape, np.float32)
    sigma = np.empty(shape, np.float32)
    dropped = np.zeros(len(scans))

    def fit(top: int) -> NDArray[np.int64]:
        part = np.s_[top : top + _STRIP_ROWS, :]
        lines = fit_lines(*gathered(part), t, max(scatter, least))
        slope[part] = lines.slope
        for own, amount in zip(slopes, bent, strict=True):
            slope[part] += np.float32(own) * amount[part]
        slope[part] *= np.float32(_NM)
        # Where a pixel scatters more than the rest, its own scatter counts.
        excess = np.maximum(np.nan_to_num(lines.misfit, nan=1.0) / scatter, 1.0)
        variance = lines.variance * np.float32(scatter) * excess + np.float32(bend_variance)
        sigma[part] = np.sqrt(variance) * np.float32(_NM)
        return lines.left_out

    for found in pool.map(fit, range(0, shape[0], _STRIP_ROWS)):
        dropped += found
    shares = dropped / (shape[0] * shape[1])
    return Rate(k, slope, sigma, dict(zip(scans, shares.tolist(), strict=True)))


def _weighed(heights: Maps, sigmas: Maps | None, k: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heights with 0 in gaps, and their weights, 0 in gaps."""
    height = np.asarray(heights[k], dtype=np.float32)
    known = np.isfinite(height)
    if sigmas is None:
        return np.where(known, height, np.float32(0)), known.astype(np.float32)
    sigma = np.asarray(sigmas[k], dtype=np.float32)
    told = known & np.isfinite(sigma)
    usual = float(np.median(sigma[told][::7])) if told.any() else 0.0
    if usual <= 0:
        usual = 1.0
    sigma = np.where(told, sigma, np.float32(usual))
    weight = known / (sigma * sigma + np.float32((_SIGMA_FLOOR * usual) ** 2))
    return np.where(known, height, np.float32(0)), weight.astype(np.float32)


def _checked(
    heights: Maps, sigmas: Maps | None, times_s: ArrayLike, window: int, phases: Sequence[str] | None
) -> tuple[NDArray[np.float64], list[list[int]], tuple[int, int]]:
    """Return times, scans grouped by what was done, and the shape of a map."""
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
