"""Lines fitted to the heights of a few scans at every pixel, without outliers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A height farther from its pixel's line than this many standard deviations is an outlier.
_OUTLIER_SIGMAS = 4.0
MIN_SCANS = 3  # for a rate

Maps = NDArray[np.float32]


class Lines(NamedTuple):
    """Lines fitted at every pixel.

    ``slope`` µm/s and its ``variance``, for independent errors of the sigmas as given; ``walk`` 1/s, its
    variance for errors whose mean square difference is 2 µm² per second; ``misfit``, chi-squared per degree
    of freedom. All are NaN for fewer than three heights, and for three of which one contradicts the others:
    which one is wrong is then unknown. ``left_out`` (n,) counts the outlier pixels of every scan.
    """

    slope: Maps
    variance: Maps
    walk: Maps
    misfit: Maps
    left_out: NDArray[np.int64]


class _Fitted(NamedTuple):
    slope: Maps
    variance: Maps
    walk: Maps
    misfit: Maps
    heights: NDArray[np.int8]
    worst: Maps
    which: NDArray[np.int8]


def fit_lines(
    heights: Maps,
    weights: Maps,
    course_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    scatter: float,
) -> Lines:
    """Fit a line at every pixel, excluding one scan after the other while there is an outlier.

    Outliers are judged by their distance from the line through the other heights, so that a wrong height
    cannot mask itself by pulling the line; exact for one wrong height among the scans.

    Parameters
    ----------
    heights : (n, ...) float32, µm
        0 where not measured.
    weights : (n, ...) float32, 1/µm²
        Inverse variances; 0 where not measured.
    course_s : (n,) s
        What the lines are straight over: the times, or how far growth had come by then.
    times_s : (n,) s
        Times of the scans, ascending.
    scatter : float
        Variance of the heights over the one that their weights imply.

    Returns
    -------
    Lines
    """
    t = (course_s - course_s.mean()).astype(np.float32)
    steps = np.diff(times_s).astype(np.float32)
    shape = heights.shape[1:]
    heights, weights = heights.reshape(len(t), -1), weights.reshape(len(t), -1)
    slope, variance, walk, misfit, count, worst, which = _fitted(heights, weights, t, steps)
    left_out = np.zeros(len(t), np.int64)
    limit = np.float32(_OUTLIER_SIGMAS**2 * scatter)
    at = np.nonzero(worst > limit)[0]
    count, which = count[at], which[at]
    heights, weights = heights[:, at], weights[:, at]
    while at.size:
        for one in (slope, variance, walk, misfit):
            one[at[count <= MIN_SCANS]] = np.nan
        more = np.nonzero(count > MIN_SCANS)[0]
        at, which = at[more], which[more]
        heights, weights = heights[:, more], weights[:, more]
        left_out += np.bincount(which, minlength=len(t))
        weights[which, np.arange(at.size)] = 0
        again = _fitted(heights, weights, t, steps)
        slope[at], variance[at], walk[at], misfit[at] = again[:4]
        more = np.nonzero(again.worst > limit)[0]
        at, which, count = at[more], again.which[more], again.heights[more]
        heights, weights = heights[:, more], weights[:, more]
    slope, variance, walk, misfit = (one.reshape(shape) for one in (slope, variance, walk, misfit))
    return Lines(slope, variance, walk, misfit, left_out)


def _fitted(heights: Maps, weights: Maps, t: Maps, steps: Maps) -> _Fitted:
    total = weights.sum(axis=0)
    safe = np.maximum(total, np.float32(1e-20))
    mean_t = (t @ weights) / safe
    mean_h = np.einsum("ni,ni->i", weights, heights) / safe
    spread = (t * t) @ weights - mean_t * mean_t * safe
    spread = np.maximum(spread, safe * np.float32(1e-6))
    slope = (np.einsum("n,ni,ni->i", t, weights, heights) - mean_t * mean_h * safe) / spread
    count = np.zeros(slope.shape, np.int8)
    chi = np.zeros(slope.shape, np.float32)
    worst = np.full(slope.shape, -1, np.float32)
    which = np.zeros(slope.shape, np.int8)
    walk = np.zeros(slope.shape, np.float32)
    before = np.zeros(slope.shape, np.float32)
    for k, time in enumerate(t):
        weight = weights[k]
        apart = time - mean_t
        # What the errors gain after this scan reaches the slope through all later scans together.
        before += weight * apart
        if k < len(steps):
            walk += 2 * steps[k] * before * before
        residual = heights[k] - mean_h - slope * apart
        distance = weight * residual * residual
        chi += distance
        count += weight > 0
        # The share of this residual's variance that remains after it has pulled the line towards itself.
        free = 1 - weight * (1 / safe + apart * apart / spread)
        distance /= np.maximum(free, np.float32(1e-3))
        larger = distance > worst
        np.copyto(worst, distance, where=larger)
        which[larger] = k
    few = count < MIN_SCANS
    misfit = chi / np.maximum(count - 2, 1).astype(np.float32)
    variance = 1 / spread
    # Twice: the square of what nothing was measured for is below float32.
    walk /= spread
    walk /= spread
    for one in (slope, variance, walk, misfit):
        one[few] = np.nan
    return _Fitted(slope, variance, walk, misfit, count, worst, which)
