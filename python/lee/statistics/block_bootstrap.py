"""Block bootstrap of a field: confidence intervals for the relation between two maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

# Ranks, and quantiles of the values, are kept in this many steps: a resample is then a sum of small tables.
_RANKS = 48
_VALUE_CELLS = 160
_CORRELATION_PX = 512

Interval = tuple[float, float]


def correlation_length(
    curved: NDArray[np.float64], mapped: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the length over which both maps are correlated, px, and the pixels of one independent place."""
    # No finer than needed.
    step = max(1, -(-max(curved.shape) // _CORRELATION_PX))
    known = known[::step, ::step]
    size = [fft.next_fast_len(2 * n, real=True) for n in known.shape]
    pairs = fft.irfft2(np.abs(fft.rfft2(known.astype(np.float32), size)) ** 2, size)
    product = np.ones(pairs.shape)
    for values in (curved[::step, ::step], mapped[::step, ::step]):
        centred = np.where(known, values - values[known].mean(), 0)
        # Single outliers would hide the correlation of the rest.
        limit = 5 * 1.4826 * np.median(np.abs(centred[known])) + 1e-300
        centred = np.clip(centred, -limit, limit).astype(np.float32)
        power = fft.irfft2(np.abs(fft.rfft2(centred, size)) ** 2, size) / np.maximum(pairs, 1)
        product *= power / max(float(power[0, 0]), 1e-30)
    y = np.abs(fft.fftfreq(size[0], 1 / size[0]))[:, None]
    x = np.abs(fft.fftfreq(size[1], 1 / size[1]))[None, :]
    radius = np.rint(np.hypot(y, x)).astype(int)
    reach = min(known.shape) // 2
    count = np.maximum(np.bincount(radius.ravel())[: reach + 1], 1)
    rings = np.bincount(radius.ravel(), product.ravel())[: reach + 1] / count
    below = np.nonzero(rings < 1 / np.e)[0]
    length = float(below[0]) if below.size else float(reach)
    uncorrelated = np.nonzero(rings <= 0.01)[0]
    last = int(uncorrelated[0]) if uncorrelated.size else reach
    return max(length, 1.0) * step, max(float(product[radius < last].sum()), 1.0) * step**2


def bin_of(x: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of each value; values outside all bins get one past the last."""
    place = np.searchsorted(edges, x, side="right") - 1
    place[x == edges[-1]] = len(edges) - 2
    place[(place < 0) | (place >= len(edges) - 1)] = len(edges) - 1
    return np.asarray(place)


def interval(values: NDArray[np.float64], tails: list[float]) -> Interval:
    """Take percentiles of resampled values; NaN where there is none."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.nan, np.nan
    low, high = np.percentile(values, tails)
    return float(low), float(high)


def _per_block(
    block: NDArray[np.intp], cell: NDArray[np.intp], blocks: int, cells: int
) -> NDArray[np.float32]:
    counts = np.bincount(block * cells + cell, minlength=blocks * cells)
    return counts.reshape(blocks, cells).astype(np.float32)


def resampled_spearman(
    rank_x: NDArray[np.float64],
    rank_y: NDArray[np.float64],
    block: NDArray[np.intp],
    draws: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Take the rank correlation of every resample, ranked anew."""
    cell_x, cell_y = (np.minimum((r * _RANKS).astype(np.intp), _RANKS - 1) for r in (rank_x, rank_y))
    table = draws @ _per_block(block, cell_x * _RANKS + cell_y, draws.shape[1], _RANKS**2)
    table = table.reshape(-1, _RANKS, _RANKS)
    n = table.sum(axis=(1, 2), dtype=np.float64)[:, None]
    scores = []
    for axis in (2, 1):
        share = table.sum(axis=axis, dtype=np.float64) / n
        middle = np.cumsum(share, axis=1) - share / 2
        centred = middle - 0.5
        spread = np.sqrt((share * centred**2).sum(axis=1, keepdims=True))
        scores.append(centred / np.where(spread > 0, spread, np.nan))
    return np.asarray(np.einsum("bi,bij,bj->b", scores[0], table, scores[1]) / n[:, 0])


def resampled_pearson(
    x: NDArray[np.float64], y: NDArray[np.float64], block: NDArray[np.intp], draws: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Take the linear correlation of every resample."""
    x, y = x - x.mean(), y - y.mean()
    sums = np.stack([np.bincount(block, w) for w in (np.ones_like(x), x, y, x * x, y * y, x * y)], axis=1)
    n, sx, sy, sxx, syy, sxy = (draws.astype(np.float64) @ sums).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((n * sxy - sx * sy) / np.sqrt((n * sxx - sx**2) * (n * syy - sy**2)))


def median_bounds(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    rank_y: NDArray[np.float64],
    block: NDArray[np.intp],
    draws: NDArray[np.float32],
    edges: NDArray[np.float64],
    tails: list[float],
) -> NDArray[np.float64]:
    """Find bounds (2, B) of the bins' medians, read between quantiles of the values."""
    bins = len(edges) - 1
    place = bin_of(x, edges)
    cell = np.minimum((rank_y * _VALUE_CELLS).astype(np.intp), _VALUE_CELLS - 1)
    quantiles = np.quantile(y, np.linspace(0, 1, _VALUE_CELLS + 1))
    bounds = np.full((2, bins), np.nan)
    for b in range(bins):
        here = place == b
        if not here.any():
            continue
        table = draws @ _per_block(block[here], cell[here], draws.shape[1], _VALUE_CELLS)
        table = table[table.sum(axis=1) > 0]
        reached = np.cumsum(table, axis=1)
        half = reached[:, -1:] / 2
        at = (reached < half).sum(axis=1)
        own = np.take_along_axis(table, at[:, None], axis=1)[:, 0]
        before = np.take_along_axis(reached, at[:, None], axis=1)[:, 0] - own
        share = (half[:, 0] - before) / np.maximum(own, 1)
        medians = quantiles[at] + share * (quantiles[at + 1] - quantiles[at])
        bounds[:, b] = np.percentile(medians, tails)
    return bounds
