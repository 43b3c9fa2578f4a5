"""Lines through a few scans' heights at every pixel; heights that contradict the others are left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A height further off than this many standard deviations is left out of its pixel's line.
_OUTLIER = 4.0
LEAST_SCANS = 3

Maps = NDArray[np.float32]


class Lines(NamedTuple):
    """Lines fitted to every one of the pixels.

    ``slope`` um/s and ``variance`` of it, for sigmas taken as given; ``misfit``, chi-squared per degree of
    freedom; all NaN where fewer than three heights take part, or three of which one contradicts the others:
    which is wrong cannot be told. ``left_out`` (n,) counts pixels, scan by scan.
    """

    slope: Maps
    variance: Maps
    misfit: Maps
    left_out: NDArray[np.int64]


class _Fitted(NamedTuple):
    slope: Maps
    variance: Maps
    misfit: Maps
    heights: NDArray[np.int8]
    worst: Maps
    which: NDArray[np.int8]


def fit_lines(heights: Maps, weights: Maps, times_s: NDArray[np.float64], scatter: float) -> Lines:
    """Fit a line at every pixel, leaving out one scan after the other while one stands out.

    Which one stands out is told by its distance from the line through the others, so that a wrong height
    cannot hide by pulling the line; exact for one wrong height among the scans.

    Parameters
    ----------
    heights : (n, ...) float32, um
        0 where not measured.
    weights : (n, ...) float32, 1/um^2
        Inverse variances; 0 where not measured.
    times_s : (n,) s
    scatter : float
        Variance of the heights over that their weights promise.

    Returns
    -------
    Lines
    """
    t = (times_s - times_s.mean()).astype(np.float32)
    shape = heights.shape[1:]
    heights, weights = heights.reshape(len(t), -1), weights.reshape(len(t), -1)
    slope, variance, misfit, count, worst, which = _fitted(heights, weights, t)
    left_out = np.zeros(len(t), np.int64)
    limit = np.float32(_OUTLIER**2 * scatter)
    at = np.nonzero(worst > limit)[0]
    count, which = count[at], which[at]
    heights, weights = heights[:, at], weights[:, at]
    while at.size:
        for one in (slope, variance, misfit):
            one[at[count <= LEAST_SCANS]] = np.nan
        more = np.nonzero(count > LEAST_SCANS)[0]
        at, which = at[more], which[more]
        heights, weights = heights[:, more], weights[:, more]
        left_out += np.bincount(which, minlength=len(t))
        weights[which, np.arange(at.size)] = 0
        again = _fitted(heights, weights, t)
        slope[at], variance[at], misfit[at] = again[:3]
        more = np.nonzero(again.worst > limit)[0]
        at, which, count = at[more], again.which[more], again.heights[more]
        heights, weights = heights[:, more], weights[:, more]
    return Lines(slope.reshape(shape), variance.reshape(shape), misfit.reshape(shape), left_out)


def _fitted(heights: Maps, weights: Maps, t: Maps) -> _Fitted:
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
    for k, time in enumerate(t):
        weight = weights[k]
        apart = time - mean_t
        residual = heights[k] - mean_h - slope * apart
        distance = weight * residual * residual
        chi += distance
        count += weight > 0
        # What is left of the variance of this residual once the line has been pulled toward it.
        free = 1 - weight * (1 / safe + apart * apart / spread)
        distance /= np.maximum(free, np.float32(1e-3))
        larger = distance > worst
        np.copyto(worst, distance, where=larger)
        which[larger] = k
    few = count < LEAST_SCANS
    misfit = chi / np.maximum(count - 2, 1).astype(np.float32)
    variance = 1 / spread
    for one in (slope, variance, misfit):
        one[few] = np.nan
    return _Fitted(slope, variance, misfit, count, worst, which)
