"""Growth rates of a surface over a run, with their standard deviations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.series.growth.course import Course, bent_growth, course_at
from lee.series.growth.error_covariance import ErrorCovariance, error_covariance
from lee.series.growth.line_fit import MIN_SCANS, fit_lines
from lee.series.growth.trend import Trend, mean_stated, neighbours, refined, run_trend, weighed

Maps = Sequence[NDArray[np.float32]] | NDArray[np.float32]

_NM = 1000.0
# Rows fitted at once, so that the data stay in the cache.
_STRIP_ROWS = 32
_THREADS = 2
# A pixel that scatters up to so many times as much as the others, in variance, does so by chance.
_USUAL_EXCESS = 3.0
# Regions are where growth is fastest and slowest: there the doubt is so many times its rms over the field.
_EXTREME = 3.0
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
    shared_sigma_nm_per_s : (T,) float64, nm/s
        The part of it that no mean over a region lessens.
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
    shared_sigma_nm_per_s: NDArray[np.float64]
    times_s: NDArray[np.float64]
    window: int
    first: int
    scan_weight: NDArray[np.float64]
    left_out_share: NDArray[np.float64]


class Rate(NamedTuple):
    """Rate at one scan, its standard deviation, (H, W) nm/s, and the share of fits without each scan.

    `shared_sigma_nm_per_s` is the part of that standard deviation that no mean over a region lessens, for
    regions where growth is fastest or slowest.
    """

    scan: int
    rate_nm_per_s: NDArray[np.float32]
    rate_sigma_nm_per_s: NDArray[np.float32]
    left_out: dict[int, float]
    shared_sigma_nm_per_s: float


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
    have less weight. How growth bends over time is measured on the whole field and on blocks of a few pixels
    over four more scans, and taken into account: so the rate is that at the time of the scan, also at the
    first and last scans, whose windows are one-sided. A rate needs three consistent heights.

    The standard deviation of a rate holds the errors of heights that are new in every scan, those that move
    slowly from scan to scan, both measured on the run itself, and what is not known of how growth bends. A
    constant error of a height cancels. What moves in proportion to time, as drift of the stage does, is not
    in it, and neither are features narrower than the focus window, which flattens their growth.

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
    trend = run_trend(heights_um, sigmas_um, times, groups)
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
    fits, dropped, shared = np.zeros(count), np.zeros(count), np.zeros(count)
    for one in rates(heights_um, sigmas_um, times, window=window, phases=phases, trend=trend):
        rate[one.scan], sigma[one.scan] = one.rate_nm_per_s, one.rate_sigma_nm_per_s
        shared[one.scan] = one.shared_sigma_nm_per_s
        for k, share in one.left_out.items():
            fits[k] += 1
            dropped[k] += share
    left_out = np.where(trend.scan_weight > 0, dropped / np.maximum(fits, 1), 1.0)
    return Growth(delta, adjacent, rate, sigma, shared, times, window, first, trend.scan_weight, left_out)


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
    trend = trend or run_trend(heights_um, sigmas_um, times, groups)
    loaded: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def read(k: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        sigma = None if sigmas_um is None else np.asarray(sigmas_um[k], dtype=np.float32)
        return weighed(np.asarray(heights_um[k], dtype=np.float32), sigma)

    with ThreadPoolExecutor(_THREADS) as pool:
        for group in groups:
            usable = [k for k in group if trend.scan_weight[k] > _MIN_WEIGHT]
            reliable = [k for k in usable if trend.scan_weight[k] == 1]
            for k in group:
                scans = neighbours(k, usable, window)
                if len(scans) < MIN_SCANS:
                    unknown = np.full(shape, np.nan, np.float32)
                    yield Rate(k, unknown, unknown.copy(), {}, np.nan)
                    continue
                loaded = {j: loaded.get(j) or read(j) for j in scans}
                around = reliable if len(reliable) >= MIN_SCANS else usable
                wider = neighbours(k, around, window + _MORE_SCANS)
                course = course_at(k, trend.coarse_um, times, wider)
                errors = _errors(wider, trend, course)
                yield _rate(k, scans, loaded, trend.scan_weight, times, course, errors, shape, pool)


def _rate(
    k: int,
    scans: list[int],
    loaded: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]],
    scan_weight: NDArray[np.float64],
    times: NDArray[np.float64],
    course: Course,
    errors: ErrorCovariance | None,
    shape: tuple[int, int],
    pool: ThreadPoolExecutor,
) -> Rate:
    t = times[scans]
    ratios = (
        np.ones(len(course.contrasts)) if errors is None else errors.ratio(course.contrasts, course.since_s)
    )
    bent = bent_growth(course, ratios)
    amounts = [refined(amount, shape) for amount in bent.amounts_um]
    shapes = [one(t - times[k]).astype(np.float32) for one in course.shapes]
    line = course.course(t - times[k])
    pace = float(course.course.deriv()(0.0))
    slopes = np.array([one.deriv()(0.0) for one in course.shapes])
    # Effect of a wrong amount on the slope at the scan: the difference to the slope of a line fitted to the
    # shape.
    lever = slopes - np.array([pace * np.polyfit(line, one, 1)[0] for one in shapes])
    bent_variance = float(np.sum((lever * bent.sigma_um) ** 2))
    # The stage's jitter also tilts the line.
    apart = line - line.mean()
    bent_variance += (
        float((pace * course.jitter_um[0]) ** 2 / (apart @ apart)) if len(course.rough_um) else 0.0
    )
    coarse_doubt = np.tensordot(lever.astype(np.float32), bent.doubt_um, 1)
    doubt = refined(np.square(coarse_doubt), shape)
    shared_variance = bent_variance + _EXTREME**2 * float(np.mean(np.square(coarse_doubt)))

    def gathered(part: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        heights = np.stack([loaded[j][0][part] for j in scans])
        weights = np.stack([loaded[j][1][part] * np.float32(scan_weight[j]) for j in scans])
        heights -= heights[len(scans) // 2].copy()
        for values, amount in zip(shapes, amounts, strict=True):
            heights -= values[:, None, None] * amount[part]
        return heights, weights

    heights, weights = gathered(np.s_[::4, ::4])
    misfit = fit_lines(heights, weights, line, t, np.inf).misfit
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
        heights, weights = gathered(part)
        stated = mean_stated(np.stack([loaded[j][1][part] for j in scans]))
        lines = fit_lines(heights, weights, line, t, max(scatter, min_scatter))
        slope[part] = np.float32(pace) * lines.slope
        for own, amount in zip(slopes, amounts, strict=True):
            slope[part] += np.float32(own) * amount[part]
        slope[part] *= np.float32(_NM)
        if errors is None:
            variance = lines.variance * np.float32(scatter)
        else:
            white, walk = errors.at(stated)
            variance = lines.variance * (white / np.maximum(stated, np.float32(1e-20))) + lines.walk * walk
        # A pixel that scatters more than the others has a larger variance.
        excess = np.maximum(np.nan_to_num(lines.misfit, nan=1.0) / np.float32(scatter * _USUAL_EXCESS), 1.0)
        variance = variance * (excess * np.float32(pace**2)) + np.float32(bent_variance) + doubt[part]
        sigma[part] = np.sqrt(variance) * np.float32(_NM)
        return lines.left_out

    for left_out in pool.map(fit, range(0, shape[0], _STRIP_ROWS)):
        dropped += left_out
    shares = dropped / (shape[0] * shape[1])
    left_out_of = dict(zip(scans, shares.tolist(), strict=True))
    return Rate(k, slope, sigma, left_out_of, _NM * float(np.sqrt(shared_variance)))


def _errors(scans: list[int], trend: Trend, course: Course) -> ErrorCovariance | None:
    stated = mean_stated(trend.parts_weight[scans])
    return error_covariance(trend.parts_um[scans], stated, course.since_s, course.course(course.since_s))


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
