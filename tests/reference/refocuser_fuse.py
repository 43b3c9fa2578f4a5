"""How the refocuser weighs its window sizes: from its maxima to height and sigma, in float64."""

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
COARSEST, NEIGHBOURS, GAUSSIAN_MEAN = 2, 5, 0.798
FAR, SURE, MAX_MISFIT, DOMINANCE = 3.0, 15.0, 12.0, 8.0
# Times the noise of one pixel over the root of a window's pixels: above it a maximum is no noise.
SIGNIFICANT = 6.0
# Of texture above that beside stronger texture, finest window first, and the share of a window's focus that
# one half as large sees.
CLEAR, OWN_SHARE = (2.5, 4.25, 6.75), 0.35
# Shares in the variance of the result: the filter's, detail, coarse detail, slope, curvature, scatter.
SHARES = (0.343, 0.296, 0.107, 0.0116, 0.0025, 0.415)


def variance_of(ratio: Map, level: int, width: float) -> Map:
    """Variance of a maximum's height, by how far it stands above the noise."""
    s = np.maximum(ratio, 0.05)
    chance = 8.0 / 2.0**level / s
    one, two = width**2 * 0.15 / 4.0**level, width**2 * 3.0 / 7.0**level
    return (one + two / s) / s * (1 + chance**4) + 4e-5 * width**2


def box_sums(values: Map, reach: int) -> Map:
    """Sums over squares clipped to the map."""
    H, W = values.shape
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    y, x = np.arange(H), np.arange(W)
    low_y, high_y = np.maximum(y - reach, 0), np.minimum(y + reach + 1, H)
    low_x, high_x = np.maximum(x - reach, 0), np.minimum(x + reach + 1, W)
    rows = sums[high_y] - sums[low_y]
    return rows[:, high_x] - rows[:, low_x]


def twice(values: Map, shape: tuple[int, int]) -> Map:
    """Bilinear, at pixels half as large, edges repeated."""
    for axis, extent in enumerate(shape):
        place = np.clip((np.arange(extent) + 0.5) / 2 - 0.5, 0, values.shape[axis] - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        part = (place - low).reshape((-1, 1) if axis == 0 else (1, -1))
        values = (1 - part) * np.take(values, low, axis) + part * np.take(values, high, axis)
    return values


def fuse(levels, noise: float, depth_um: float, window: tuple[int, int]) -> tuple[Map, Map]:
    """Fuse maxima, (z_um, peak) each (2, h, w), finest first, into height and sigma; NaN: no focus."""
    width, per_noise = depth_um / 2.355, 1 / max(noise, 1e-12)
    levels = [(np.asarray(z, np.float64), np.asarray(peak, np.float64) * per_noise) for z, peak, *_ in levels]
    top = min(COARSEST, len(levels) - 1)
    z, ratio = levels[top]
    known = np.sort(z[0][np.isfinite(z[0])])
    height = np.where(np.isfinite(z[0]), z[0], known[len(known) // 2] if known.size else 0.0)
    variance, detail = variance_of(ratio[0], top, width), np.full(height.shape, 7 * width**2)
    coarse = detail
    for k in range(top - 1, -1, -1):
        shape = levels[k][0].shape[1:]
        height, variance, detail = (twice(part, shape) for part in (height, variance, detail))
        coarse = detail if k == 0 else coarse
        height, variance, detail = refine(height, variance, detail, levels[k], k, width)
    sigma = np.sqrt(total_variance(height, variance, detail, coarse, levels[0][0][0], width, window))
    blind = ~in_focus([ratio[0] for _, ratio in levels[: top + 1]], window)
    return np.where(blind, np.nan, height), np.where(blind, np.nan, sigma)


def at_pixels(ratios: list[Map]) -> list[Map]:
    """Repeat each level to the finest."""
    H, W = ratios[0].shape
    peaks = []
    for k, ratio in enumerate(ratios):
        y, x = (np.minimum(np.arange(n) >> k, m - 1) for n, m in zip((H, W), ratio.shape, strict=True))
        peaks.append(ratio[y][:, x])
    return peaks


def in_focus(ratios: list[Map], window: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether any window size has a maximum that noise alone does not make."""
    least = SIGNIFICANT / np.sqrt(window[0] * window[1])
    return np.any([peak > least / 2**k for k, peak in enumerate(at_pixels(ratios))], axis=0)


def textured(levels, noise: float, window: tuple[int, int], *, beside: bool) -> NDArray[np.bool_]:
    """Whether a maximum is clear of noise and the smaller windows see their share of it."""
    peaks = at_pixels([np.asarray(peak[0], np.float64) for _, peak, *_ in levels[: COARSEST + 1]])
    noise *= SIGNIFICANT / np.sqrt(window[0] * window[1])
    finest, middle, coarse = CLEAR if beside else (1, 1, 1)
    out = peaks[0] > finest * noise
    if len(peaks) > 1:
        out |= (peaks[1] > middle * noise / 2) & (peaks[0] > 0.5 * OWN_SHARE * peaks[1])
    if len(peaks) > 2:
        beside = (peaks[1] <= OWN_SHARE * peaks[2]) | (peaks[0] <= 0.3 * OWN_SHARE * peaks[2])
        out |= (peaks[2] > coarse * noise / 4) & ~beside
    return out


def refine(height: Map, variance: Map, detail: Map, level, k: int, width: float) -> tuple[Map, Map, Map]:
    z, ratio = level
    own = np.stack([variance_of(r, k, width) for r in ratio])
    known = np.isfinite(z)
    weight = np.where(known[0], 1 / (own[0] + 0.044 * width**2), 0.0)
    offset = np.where(known[0], weight * np.minimum(np.abs(z[0] - height), 2.67 * width), 0.0)
    expected = weight * np.minimum(own[0], 7 * width**2)
    total = np.maximum(box_sums(weight, NEIGHBOURS), 1e-20)
    spread = box_sums(offset, NEIGHBOURS) / (total * GAUSSIAN_MEAN)
    found = np.maximum(spread**2 - box_sums(expected, NEIGHBOURS) / total, 4e-5 * width**2)
    surface = np.minimum(found, detail)

    misfit = np.minimum((z - height) ** 2 / (surface + own), MAX_MISFIT)
    cost = misfit + np.log(surface + own) + DOMINANCE * np.log((ratio[0] + 2) / (ratio + 2))
    pick = np.argmin(np.where(known, cost, np.inf), axis=0)[None]
    d, s2, r = (np.take_along_axis(part, pick, 0)[0] for part in (z - height, own, ratio))
    share = surface / (surface + s2)
    outlying = d**2 > FAR**2 * (surface + s2)
    share = np.where(outlying, np.where(r > SURE / 1.5**k, 1.0, 0.0), share)
    none = ~known.any(axis=0)
    return (
        np.where(none, height, height + share * d),
        np.where(none, variance, share * s2 + (1 - share) * surface),
        surface,
    )


def total_variance(height, variance, detail, coarse, finest: Map, width: float, window) -> Map:
    side = (window[0] + window[1]) // 2
    reach = side // 2
    most = 1.78 * width**2
    squared = np.where(np.isfinite(finest), np.minimum((finest - height) ** 2, most), most)
    scatter = box_sums(squared, reach) / side**2
    smooth = np.pad(box_sums(height, reach) / box_sums(np.ones_like(height), reach), 1, mode="edge")
    north, south, west, east = smooth[:-2, 1:-1], smooth[2:, 1:-1], smooth[1:-1, :-2], smooth[1:-1, 2:]
    slope = (0.5 * side) ** 2 * ((south - north) ** 2 + (east - west) ** 2)
    bend = side**2 * (north + south + east + west - 4 * smooth[1:-1, 1:-1])
    parts = (variance, detail, coarse, slope, bend**2, scatter)
    return sum(share * part for share, part in zip(SHARES, parts, strict=True))
