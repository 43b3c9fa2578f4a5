"""Coarse growth over a run: its change over time, and the outlier scans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.statistics.nan_median import median_over_scans

Maps = Sequence[NDArray[np.float32]] | NDArray[np.float32]

# Side of a block: growth is hardly narrower. Blocks of large fields are larger, for memory.
_BLOCK_PX, _LARGE_BLOCK_PX = 4, 8
_LARGE_FIELD_PX = 2_000_000
# Added to every sigma, as a share of the median one: a few pixels with tiny sigmas must not dominate.
_SIGMA_FLOOR = 0.3
# Side of the parts of the field on which errors are measured.
_PART_PX = 48
# A scan whose offset is this many times the typical one of the run is excluded.
_MAX_OFFSET = 6.0
_MIN_OFFSET_UM = 0.005
# A scan this many times as rough as typical has less weight.
_MAX_ROUGHNESS = 2.0
_OUTLIER_SIGMAS = 4.0


class Trend(NamedTuple):
    """Coarse changes of height over the whole run, the weight of each scan, and parts of the maps.

    ``parts_um`` and ``parts_weight`` (T, P, h, w): heights, NaN where not measured, and their weights.
    """

    coarse_um: NDArray[np.float32]
    scan_weight: NDArray[np.float64]
    parts_um: NDArray[np.float32]
    parts_weight: NDArray[np.float32]


def run_trend(
    heights_um: Maps, sigmas_um: Maps | None, times_s: NDArray[np.float64], groups: list[list[int]]
) -> Trend:
    """Measure the coarse changes and scan weights of a run, one scan after the other."""
    parts = _parts(*np.shape(heights_um[0]))
    heights, weights = [], []

    def scans() -> Iterator[NDArray[np.float32]]:
        for k in range(len(heights_um)):
            height = np.asarray(heights_um[k], dtype=np.float32)
            sigma = None if sigmas_um is None else np.asarray(sigmas_um[k], dtype=np.float32)
            weight = weighed(height, sigma)[1]
            weights.append(np.stack([weight[part] for part in parts]))
            heights.append(np.stack([height[part] for part in parts]))
            yield height

    coarse = coarse_changes(scans())
    weight = scan_weights(coarse, times_s, groups)
    return Trend(coarse, weight, np.stack(heights), np.stack(weights))


def _parts(rows: int, columns: int) -> list[tuple[slice, slice]]:
    """Return up to 3 × 3 parts of the field."""
    starts = []
    for length in (rows, columns):
        side = min(_PART_PX, length)
        starts.append(np.linspace(0, length - side, min(length // side, 3)).astype(int).tolist())
    return [np.s_[y : y + _PART_PX, x : x + _PART_PX] for y in starts[0] for x in starts[1]]


def weighed(
    height: NDArray[np.float32], sigma: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return heights and their weights, both 0 where not measured."""
    known = np.isfinite(height)
    if sigma is None:
        return np.where(known, height, np.float32(0)), known.astype(np.float32)
    has_sigma = known & np.isfinite(sigma)
    median = float(np.median(sigma[has_sigma][::7])) if has_sigma.any() else 0.0
    if median <= 0:
        median = 1.0
    sigma = np.where(has_sigma, sigma, np.float32(median))
    weight = known / (sigma * sigma + np.float32((_SIGMA_FLOOR * median) ** 2))
    return np.where(known, height, np.float32(0)), weight.astype(np.float32)


def mean_stated(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean variance that the weights (n, ...) of a pixel's measured heights state."""
    known = weights > 0
    variance = np.divide(1, weights, out=np.zeros_like(weights), where=known)
    return np.asarray(variance.sum(axis=0) / np.maximum(known.sum(axis=0), 1), dtype=np.float32)


def coarse_changes(heights_um: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return block means, (T, h, w) µm, of the height of each scan above the first measured one.

    The means are of changes, not of heights: the relief within a block is large, and the mean height of the
    pixels that a scan happened to measure would vary.
    """
    first: NDArray[np.float32] | None = None
    changes = []
    for k, height in enumerate(heights_um):
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
    side = _block_px(values.shape)
    rows, columns = (max(n // side, 1) for n in values.shape)
    tall, wide = (min(side, n) for n in values.shape)
    return values[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)


def refined(coarse: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate a coarse map bilinearly to (H, W)."""
    side = _block_px(shape)
    low, share = _between(shape[0], coarse.shape[0], side)
    tall = coarse[low] + share[:, None] * (coarse[np.minimum(low + 1, coarse.shape[0] - 1)] - coarse[low])
    low, share = _between(shape[1], coarse.shape[1], side)
    left = tall[:, low]
    return np.asarray(left + share * (tall[:, np.minimum(low + 1, coarse.shape[1] - 1)] - left))


def _block_px(shape: tuple[int, ...]) -> int:
    return _LARGE_BLOCK_PX if shape[0] * shape[1] > _LARGE_FIELD_PX else _BLOCK_PX


def _between(length: int, blocks: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the block before each pixel, and the pixel's fractional position between it and the next."""
    side = min(side, length)
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
            typical_rough = max(_typical(rough), _MIN_OFFSET_UM)
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
