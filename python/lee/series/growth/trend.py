"""What a run looks like when seen coarsely: how growth bends over time, and which scans do not fit in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import fft, ndimage

from lee.errors import InputError
from lee.statistics.nan_median import median_over_scans

BLOCK_PX = 8
# A scan off by this many times what is usual in the run is left out.
_OFF = 6.0
_LEAST_OFF_UM = 0.005
# A scan this many times as rough as usual counts less.
_ROUGH = 2.0
_GAP_BLOCKS = 1.5
_RINGS = 24
_CLIP = 6.0
_WILD = 4.0
# Of the polynomial in time: a rate that decays as trenches fill bends differently from scan to scan.
_DEGREE = 3


class Bend(NamedTuple):
    """How growth departs from a straight line around one scan, as a sum of polynomials in time.

    ``amounts_um`` (d, h, w) on the coarse grid, ``sigma_um`` (d,) their standard deviations, ``shapes`` the d
    polynomials, of the time in s since the scan.
    """

    amounts_um: NDArray[np.float32]
    sigma_um: NDArray[np.float64]
    shapes: list[Polynomial]


def coarse_changes(heights_um: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[np.float32]:
    """Take means of blocks, (T, h, w) um, of how far each scan lies above the first that was measured.

    Of changes, not of heights: inside a block the relief is large, and the mean of what a scan happens to
    have measured of it would wander.
    """
    first: NDArray[np.float32] | None = None
    found = []
    for k in range(len(heights_um)):
        height = np.asarray(heights_um[k], dtype=np.float32)
        if first is None and np.isfinite(height).any():
            first = height.copy()
        if first is not None and height.shape != first.shape:
            raise InputError(
                f"growth: height map {k} is {height.shape}, the first {first.shape}; give equal maps"
            )
        found.append(_blocks(height - first if first is not None else height))
        if first is None:
            continue
        # What the first scan lacks begins with a later one, as if it had changed like its surroundings.
        late = ~np.isfinite(first) & np.isfinite(height)
        if late.any():
            middle = np.nanmedian(found[-1]) if np.isfinite(found[-1]).any() else np.nan
            change = refined(np.where(np.isfinite(found[-1]), found[-1], middle), first.shape)
            first[late] = height[late] - change[late]
    return np.stack(found)


def _blocks(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take means of blocks, wild pixels drawn in; NaN where half is unknown."""
    parts = _in_blocks(change)
    rows, tall, columns, wide = parts.shape
    looked = parts[:, 1::2, :, 1::2] if min(tall, wide) > 1 else parts
    looked = looked.transpose(1, 3, 0, 2).reshape(-1, rows, columns)
    middle = median_over_scans(looked)
    middle[2 * np.isfinite(looked).sum(axis=0) < len(looked)] = np.nan
    known = np.isfinite(middle)
    if not known.any():
        return np.asarray(middle)
    # The median of a quarter of the pixels says what is wild; the mean of all the others is less noisy.
    base = refined(np.where(known, middle, np.median(middle[known])), change.shape)
    left = _in_blocks(change - base)
    some = left[:, 1::4, :, 1::4]
    some = some[np.isfinite(some)]
    limit = np.float32(_WILD * 1.4826 * np.median(np.abs(some))) if some.size else np.float32(0)
    told = np.abs(left) <= limit
    count = told.sum(axis=(1, 3))
    mean = np.where(told, left, 0).sum(axis=(1, 3)) / np.maximum(count, 1)
    return np.asarray(_in_blocks(base).mean(axis=(1, 3)) + mean + 0 * middle, dtype=np.float32)


def _in_blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut into (h, rows, w, columns) blocks; what is left over at the end is left out."""
    rows, columns = (max(n // BLOCK_PX, 1) for n in values.shape)
    tall, wide = (min(BLOCK_PX, n) for n in values.shape)
    return values[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)


def refined(coarse: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Bring a coarse map back to (H, W) bilinearly."""
    low, share = _between(shape[0], coarse.shape[0])
    tall = coarse[low] + share[:, None] * (coarse[np.minimum(low + 1, coarse.shape[0] - 1)] - coarse[low])
    low, share = _between(shape[1], coarse.shape[1])
    left = tall[:, low]
    return np.asarray(left + share * (tall[:, np.minimum(low + 1, coarse.shape[1] - 1)] - left))


def _between(length: int, blocks: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Which block lies before each pixel, and how far the pixel lies toward the next."""
    side = min(BLOCK_PX, length)
    at = np.clip((np.arange(length) - (side - 1) / 2) / side, 0, blocks - 1)
    low = np.floor(at).astype(np.intp)
    return low, (at - low).astype(np.float32)


def neighbours(k: int, usable: Sequence[int] | NDArray[np.intp], count: int) -> list[int]:
    """Choose the `count` usable scans nearest to scan k in the run's order, in order."""
    return sorted(sorted(usable, key=lambda j: (abs(j - k), j))[:count])


def trust(
    coarse: NDArray[np.float32], times_s: NDArray[np.float64], groups: list[list[int]]
) -> NDArray[np.float64]:
    """Weigh every scan, (T,): 1 usual, less the rougher it is, 0 if it is off as a whole or empty.

    Each scan is held against the parabola through its four nearest neighbours. A common offset of one scan
    is a stage that slipped or a scan gone wrong: growth does not jump and come back.
    """
    weight: NDArray[np.float64] = np.asarray(np.isfinite(coarse).any(axis=(1, 2)), dtype=np.float64)
    for group in groups:
        kept = [k for k in group if weight[k] > 0]
        while len(kept) >= 5:
            offset, rough = _held_against_neighbours(coarse, times_s, kept)
            usual_offset = max(_usual(np.abs(offset)), _LEAST_OFF_UM)
            usual_rough = max(_usual(rough), 1e-6)
            off, roughness = np.abs(offset) / (_OFF * usual_offset), rough / (_ROUGH * usual_rough)
            worst = int(np.argmax(np.maximum(off, roughness)))
            if max(off[worst], roughness[worst]) <= 1:
                break
            # What it was, and then it no longer spoils how its neighbours look.
            weight[kept[worst]] = 0 if off[worst] > 1 else (usual_rough / rough[worst]) ** 2
            kept.pop(worst)
    return weight


def _usual(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) * 1.4826 if known.size else 0.0


def _held_against_neighbours(
    coarse: NDArray[np.float32], times_s: NDArray[np.float64], kept: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    offset, rough = np.zeros(len(kept)), np.zeros(len(kept))
    for place, k in enumerate(kept):
        others = neighbours(k, [j for j in kept if j != k], 4)
        t = times_s[others] - times_s[k]
        weights = np.linalg.pinv(np.stack([np.ones_like(t), t, t * t], axis=1))[0]
        apart = coarse[k] - np.einsum("n,nij->ij", weights.astype(np.float32), coarse[others])
        known = apart[np.isfinite(apart)]
        if known.size:
            # The further it reaches, the less exact a prediction is: ends of a run.
            scale = np.sqrt(1 + float(weights @ weights))
            offset[place] = float(np.median(known)) / scale
            rough[place] = float(np.median(np.abs(known - np.median(known)))) / scale
    return offset, rough


def bend_at(k: int, coarse: NDArray[np.float32], times_s: NDArray[np.float64], scans: list[int]) -> Bend:
    """Find how growth bends around scan k; where a block does not tell, the field does."""
    shape = coarse.shape[1:]
    degree = min(len(scans) - 2, _DEGREE)
    if degree < 2:
        return Bend(np.zeros((0, *shape), np.float32), np.zeros(0), [])
    t = times_s[scans] - times_s[k]
    unit = float(np.ptp(t))
    # Orthogonal on these scans: each amount is told independently of the others.
    orthogonal, mixed = np.linalg.qr(np.vander(t / unit, degree + 1, increasing=True))
    inverse = np.linalg.inv(mixed)
    powers = unit ** -np.arange(degree + 1.0)
    shapes = [Polynomial(inverse[:, j] * powers) for j in range(2, degree + 1)]
    seen = coarse[scans] - coarse[scans[0]]
    beside = np.eye(len(t)) - orthogonal @ orthogonal.T
    freedom = np.sqrt(len(t) / (len(t) - degree - 1))
    left = np.abs(np.tensordot(beside.astype(np.float32), seen, 1))
    told = np.isfinite(left)
    noise = 1.4826 * float(np.median(left[told])) * freedom if told.any() else 0.0
    # A block in which one scan is wild says nothing about how growth bends there.
    seen[:, (left > _CLIP * max(noise, 1e-6)).any(axis=0)] = np.nan
    # What all blocks share is told by the field's middle; a stage that jitters shows in what it leaves.
    known = np.isfinite(seen).all(axis=0)
    middle = np.median(seen[:, known], axis=1) if known.any() else np.zeros(len(t))
    jitter = float(np.sqrt(np.mean(np.square(beside @ middle)))) * freedom
    # Where growth is faster it also changes faster: that share of the bend the whole field tells.
    faster = np.tensordot(orthogonal[:, 1].astype(np.float32), seen, 1)
    faster -= np.float32(orthogonal[:, 1] @ middle)
    faster = np.where(np.isfinite(faster), faster, np.float32(0))
    strength = float(np.sum(np.square(faster, dtype=np.float64)))
    amounts, sigmas = [], []
    for base in orthogonal[:, 2:].T:
        common = float(base @ middle)
        own = np.tensordot(base.astype(np.float32), seen, 1) - np.float32(common)
        share = float(np.nansum(own * faster, dtype=np.float64)) / max(strength, 1e-30)
        share *= _above(share, noise / np.sqrt(max(strength, 1e-30)))
        own, sigma = _told((own - np.float32(share) * faster).astype(np.float32), noise)
        sure = _above(common, jitter)
        amounts.append(own + np.float32(share) * faster + np.float32(sure * common))
        sigmas.append(np.hypot(sigma, np.sqrt(sure) * jitter))
    return Bend(np.stack(amounts), np.array(sigmas), shapes)


def _above(value: float, noise: float) -> float:
    """How much of a value to believe, 0 to 1."""
    return max(0.0, 1 - noise**2 / value**2) if value != 0 else 0.0


def _told(amount: NDArray[np.float32], noise: float) -> tuple[NDArray[np.float32], float]:
    """Take from a coarse map what stands above noise, wave by wave (Wiener); and what error is left."""
    known = np.isfinite(amount)
    if not known.any():
        return np.zeros(amount.shape, np.float32), 0.0
    apart = np.where(known, amount, np.float32(0))
    most = _CLIP * 1.4826 * float(np.median(np.abs(apart[known])))
    apart = np.clip(apart, -most, most)
    if not known.all():
        share = ndimage.gaussian_filter(known.astype(np.float32), _GAP_BLOCKS, mode="nearest")
        around = ndimage.gaussian_filter(apart, _GAP_BLOCKS, mode="nearest")
        apart = np.where(known, apart, around / np.maximum(share, np.float32(0.05)))
    waves = fft.dctn(apart, norm="ortho")
    y, x = (np.arange(n) / n for n in waves.shape)
    ring = np.rint(np.hypot(y[:, None], x[None, :]) * _RINGS).astype(np.intp)
    power = np.bincount(ring.ravel(), np.square(waves).ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    gain = np.maximum(1 - noise**2 / np.maximum(power, 1e-30), 0)[ring].astype(np.float32)
    found = fft.idctn(gain * waves, norm="ortho")
    return np.asarray(found, dtype=np.float32), noise * float(np.sqrt(gain.mean()))
