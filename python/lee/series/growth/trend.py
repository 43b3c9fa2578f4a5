"""Coarse growth over a run: its change over time, and the outlier scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import fft, ndimage

from lee.errors import InputError
from lee.statistics.nan_median import median_over_scans

BLOCK_PX = 8
# A scan whose offset is this many times the typical one of the run is excluded.
_MAX_OFFSET = 6.0
_MIN_OFFSET_UM = 0.005
# A scan this many times as rough as typical has less weight.
_MAX_ROUGHNESS = 2.0
_GAP_BLOCKS = 1.5
_RINGS = 24
_CLIP = 6.0
_OUTLIER_SIGMAS = 4.0
# Of the polynomial in time: the rate that decays as trenches fill changes differently from scan to scan.
_DEGREE = 3


class NonlinearGrowth(NamedTuple):
    """Deviation of growth from a straight line around one scan, as a sum of polynomials in time.

    ``amounts_um`` (d, h, w) on the coarse grid, ``sigma_um`` (d,) their standard deviations, ``shapes`` the d
    polynomials, of the time in s since the scan.
    """

    amounts_um: NDArray[np.float32]
    sigma_um: NDArray[np.float64]
    shapes: list[Polynomial]


def coarse_changes(heights_um: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return block means, (T, h, w) µm, of the height of each scan above the first measured one.

    The means are of changes, not of heights: the relief within a block is large, and the mean height of the
    pixels that a scan happened to measure would vary.
    """
    first: NDArray[np.float32] | None = None
    changes = []
    for k in range(len(heights_um)):
        height = np.asarray(heights_um[k], dtype=np.float32)
        if first is None and np.isfinite(height).any():
            first = height.copy()
        if first is not None and height.shape != first.shape:
            raise InputError(
                f"growth: height map {k} is {height.shape}, the first {first.shape}; give maps of one shape"
            )
        changes.append(_blocks(height - first if first is not None else height))
        if first is None:
            continue
        # Pixels that the first scan lacks start with a later scan, as if they had changed like their
        # surroundings.
        late = ~np.isfinite(first) & np.isfinite(height)
        if late.any():
            middle = np.nanmedian(changes[-1]) if np.isfinite(changes[-1]).any() else np.nan
            change = refined(np.where(np.isfinite(changes[-1]), changes[-1], middle), first.shape)
            first[late] = height[late] - change[late]
    return np.stack(changes)


def _blocks(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return block means without outlier pixels; NaN where more than half is unknown."""
    parts = _in_blocks(change)
    rows, tall, columns, wide = parts.shape
    sampled = parts[:, 1::2, :, 1::2] if min(tall, wide) > 1 else parts
    sampled = sampled.transpose(1, 3, 0, 2).reshape(-1, rows, columns)
    middle = median_over_scans(sampled)
    middle[2 * np.isfinite(sampled).sum(axis=0) < len(sampled)] = np.nan
    known = np.isfinite(middle)
    if not known.any():
        return np.asarray(middle)
    # The median of a quarter of the pixels defines outliers; the mean of all others is less noisy.
    base = refined(np.where(known, middle, np.median(middle[known])), change.shape)
    residual = _in_blocks(change - base)
    some = residual[:, 1::4, :, 1::4]
    some = some[np.isfinite(some)]
    limit = np.float32(_OUTLIER_SIGMAS * 1.4826 * np.median(np.abs(some))) if some.size else np.float32(0)
    inlier = np.abs(residual) <= limit
    count = inlier.sum(axis=(1, 3))
    mean = np.where(inlier, residual, 0).sum(axis=(1, 3)) / np.maximum(count, 1)
    return np.asarray(_in_blocks(base).mean(axis=(1, 3)) + mean + 0 * middle, dtype=np.float32)


def _in_blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide into (h, rows, w, columns) blocks, without the incomplete ones at the end."""
    rows, columns = (max(n // BLOCK_PX, 1) for n in values.shape)
    tall, wide = (min(BLOCK_PX, n) for n in values.shape)
    return values[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)


def refined(coarse: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate a coarse map bilinearly to (H, W)."""
    low, share = _between(shape[0], coarse.shape[0])
    tall = coarse[low] + share[:, None] * (coarse[np.minimum(low + 1, coarse.shape[0] - 1)] - coarse[low])
    low, share = _between(shape[1], coarse.shape[1])
    left = tall[:, low]
    return np.asarray(left + share * (tall[:, np.minimum(low + 1, coarse.shape[1] - 1)] - left))


def _between(length: int, blocks: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the block before each pixel, and the pixel's fractional position between it and the next."""
    side = min(BLOCK_PX, length)
    at = np.clip((np.arange(length) - (side - 1) / 2) / side, 0, blocks - 1)
    low = np.floor(at).astype(np.intp)
    return low, (at - low).astype(np.float32)


def neighbours(k: int, usable: Sequence[int] | NDArray[np.intp], count: int) -> list[int]:
    """Return the `count` usable scans closest to scan k in the run's order, in order."""
    return sorted(sorted(usable, key=lambda j: (abs(j - k), j))[:count])


def scan_weights(
    coarse: NDArray[np.float32], times_s: NDArray[np.float64], groups: list[list[int]]
) -> NDArray[np.float64]:
    """Return the weight of every scan, (T,): 1 typically, less for rough scans, 0 for outlier or empty scans.

    Each scan is compared with the parabola through its four closest neighbours. A common offset of one scan
    is due to a stage that slipped or a failed scan: growth does not jump and return.
    """
    weight: NDArray[np.float64] = np.asarray(np.isfinite(coarse).any(axis=(1, 2)), dtype=np.float64)
    for group in groups:
        kept = [k for k in group if weight[k] > 0]
        while len(kept) >= 5:
            offset, rough = _compared_with_neighbours(coarse, times_s, kept)
            typical_offset = max(_typical(np.abs(offset)), _MIN_OFFSET_UM)
            typical_rough = max(_typical(rough), 1e-6)
            off, roughness = (
                np.abs(offset) / (_MAX_OFFSET * typical_offset),
                rough / (_MAX_ROUGHNESS * typical_rough),
            )
            worst = int(np.argmax(np.maximum(off, roughness)))
            if max(off[worst], roughness[worst]) <= 1:
                break
            # Weigh it, and exclude it from the comparison of its neighbours.
            weight[kept[worst]] = 0 if off[worst] > 1 else (typical_rough / rough[worst]) ** 2
            kept.pop(worst)
    return weight


def _typical(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) * 1.4826 if known.size else 0.0


def _compared_with_neighbours(
    coarse: NDArray[np.float32], times_s: NDArray[np.float64], kept: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    offset, rough = np.zeros(len(kept)), np.zeros(len(kept))
    for place, k in enumerate(kept):
        others = neighbours(k, [j for j in kept if j != k], 4)
        t = times_s[others] - times_s[k]
        weights = np.linalg.pinv(np.stack([np.ones_like(t), t, t * t], axis=1))[0]
        difference = coarse[k] - np.einsum("n,nij->ij", weights.astype(np.float32), coarse[others])
        known = difference[np.isfinite(difference)]
        if known.size:
            # At the ends of a run the prediction extrapolates, and is less precise.
            scale = np.sqrt(1 + float(weights @ weights))
            offset[place] = float(np.median(known)) / scale
            rough[place] = float(np.median(np.abs(known - np.median(known)))) / scale
    return offset, rough


def nonlinear_growth_at(
    k: int, coarse: NDArray[np.float32], times_s: NDArray[np.float64], scans: list[int]
) -> NonlinearGrowth:
    """Measure the non-linear part of growth around scan k; blocks without data take that of the field."""
    shape = coarse.shape[1:]
    degree = min(len(scans) - 2, _DEGREE)
    if degree < 2:
        return NonlinearGrowth(np.zeros((0, *shape), np.float32), np.zeros(0), [])
    t = times_s[scans] - times_s[k]
    unit = float(np.ptp(t))
    # Orthogonal on these scans: the amounts are independent of each other.
    orthogonal, mixed = np.linalg.qr(np.vander(t / unit, degree + 1, increasing=True))
    inverse = np.linalg.inv(mixed)
    powers = unit ** -np.arange(degree + 1.0)
    shapes = [Polynomial(inverse[:, j] * powers) for j in range(2, degree + 1)]
    changes = coarse[scans] - coarse[scans[0]]
    residual_of = np.eye(len(t)) - orthogonal @ orthogonal.T
    freedom = np.sqrt(len(t) / (len(t) - degree - 1))
    residual = np.abs(np.tensordot(residual_of.astype(np.float32), changes, 1))
    known_residual = np.isfinite(residual)
    noise = 1.4826 * float(np.median(residual[known_residual])) * freedom if known_residual.any() else 0.0
    # A block with an outlier scan is ignored.
    changes[:, (residual > _CLIP * max(noise, 1e-6)).any(axis=0)] = np.nan
    # The common part of all blocks is the field's median; its residual shows the jitter of the stage.
    known = np.isfinite(changes).all(axis=0)
    middle = np.median(changes[:, known], axis=1) if known.any() else np.zeros(len(t))
    jitter = float(np.sqrt(np.mean(np.square(residual_of @ middle)))) * freedom
    # Where growth is faster it also changes faster: this proportional part is measured on the whole field.
    faster = np.tensordot(orthogonal[:, 1].astype(np.float32), changes, 1)
    faster -= np.float32(orthogonal[:, 1] @ middle)
    faster = np.where(np.isfinite(faster), faster, np.float32(0))
    strength = float(np.sum(np.square(faster, dtype=np.float64)))
    amounts, sigmas = [], []
    for base in orthogonal[:, 2:].T:
        common = float(base @ middle)
        own = np.tensordot(base.astype(np.float32), changes, 1) - np.float32(common)
        share = float(np.nansum(own * faster, dtype=np.float64)) / max(strength, 1e-30)
        share *= _shrinkage(share, noise / np.sqrt(max(strength, 1e-30)))
        own, sigma = _denoised((own - np.float32(share) * faster).astype(np.float32), noise)
        factor = _shrinkage(common, jitter)
        amounts.append(own + np.float32(share) * faster + np.float32(factor * common))
        sigmas.append(np.hypot(sigma, np.sqrt(factor) * jitter))
    return NonlinearGrowth(np.stack(amounts), np.array(sigmas), shapes)


def _shrinkage(value: float, noise: float) -> float:
    """Return the factor, 0 to 1, that shrinks a value according to its noise."""
    return max(0.0, 1 - noise**2 / value**2) if value != 0 else 0.0


def _denoised(amount: NDArray[np.float32], noise: float) -> tuple[NDArray[np.float32], float]:
    """Filter a coarse map by a Wiener filter; return it with its remaining standard deviation."""
    known = np.isfinite(amount)
    if not known.any():
        return np.zeros(amount.shape, np.float32), 0.0
    values = np.where(known, amount, np.float32(0))
    limit = _CLIP * 1.4826 * float(np.median(np.abs(values[known])))
    values = np.clip(values, -limit, limit)
    if not known.all():
        share = ndimage.gaussian_filter(known.astype(np.float32), _GAP_BLOCKS, mode="nearest")
        around = ndimage.gaussian_filter(values, _GAP_BLOCKS, mode="nearest")
        values = np.where(known, values, around / np.maximum(share, np.float32(0.05)))
    waves = fft.dctn(values, norm="ortho")
    y, x = (np.arange(n) / n for n in waves.shape)
    ring = np.rint(np.hypot(y[:, None], x[None, :]) * _RINGS).astype(np.intp)
    power = np.bincount(ring.ravel(), np.square(waves).ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    gain = np.maximum(1 - noise**2 / np.maximum(power, 1e-30), 0)[ring].astype(np.float32)
    filtered = fft.idctn(gain * waves, norm="ortho")
    return np.asarray(filtered, dtype=np.float32), noise * float(np.sqrt(gain.mean()))
