"""Hills of a surface: watershed segmentation and Wolf pruning after ISO 25178-2."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import minimum_spanning_tree

_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]

Heights = NDArray[np.float64]
Indices = NDArray[np.intp]


class Hills(NamedTuple):
    """Peaks of the significant hills.

    ``y, x``: (N,) pixels; ``prominence_um``: (N,) height over the saddle to a higher hill, infinite for the
    highest of what is connected; ``inside``: (N,) True where all eight neighbours of the peak were measured.
    """

    y: Indices
    x: Indices
    prominence_um: Heights
    inside: NDArray[np.bool_]


def hills(height_um: Heights, least_um: float) -> Hills:
    """Find the hills that rise at least `least_um` over the saddle to a higher one.

    Every pixel belongs to the peak that the steepest way up leads to, over eight neighbours. Wolf pruning
    joins the lowest hills first, each over its highest saddle; what remains are the hills whose prominence is
    not below the threshold.

    Parameters
    ----------
    height_um : (H, W) float64, µm
        NaN where not measured; hills do not connect over such pixels.
    least_um : float, µm
        Height discrimination, by ISO 25178-3 5 % of Sz.
    """
    known = np.isfinite(height_um)
    level = np.where(known, height_um, -np.inf)
    peak_of = _peak_of(level)
    flat = level.ravel()
    peaks = np.unique(peak_of[known.ravel()])
    number = np.full(flat.size, -1, np.intp)
    number[peaks] = np.arange(len(peaks))
    owner = np.where(known.ravel(), number[peak_of], -1).reshape(level.shape)
    low, high, saddle = _saddles(owner, level)
    prominence = _prominence(flat[peaks], low, high, saddle)
    kept = peaks[prominence >= least_um]
    y, x = np.unravel_index(kept, level.shape)
    whole = ndimage.minimum_filter(known, size=3, mode="constant", cval=0)
    return Hills(y, x, prominence[prominence >= least_um], whole[y, x])


def _peak_of(level: Heights) -> Indices:
    """Return for every pixel the peak that the steepest way up ends at, (H * W,).

    Equal heights are ordered by their place, so that a plateau has one peak where its pixels touch in order.
    """
    rows, columns = level.shape
    place = np.arange(level.size, dtype=np.intp).reshape(level.shape)
    best, up = level.copy(), place.copy()
    for dy, dx in _NEIGHBOURS:
        here = slice(max(-dy, 0), rows - max(dy, 0)), slice(max(-dx, 0), columns - max(dx, 0))
        there = slice(max(dy, 0), rows - max(-dy, 0)), slice(max(dx, 0), columns - max(-dx, 0))
        value, index = level[there], place[there]
        higher = (value > best[here]) | ((value == best[here]) & (index > up[here]))
        best[here] = np.where(higher, value, best[here])
        up[here] = np.where(higher, index, up[here])
    way = up.ravel()
    while True:
        further = way[way]
        if np.array_equal(further, way):
            return way
        way = further


def _saddles(owner: Indices, level: Heights) -> tuple[Indices, Indices, Heights]:
    """Return pairs of touching hills and the highest pass between them."""
    found = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        rows, columns = owner.shape
        here = slice(0, rows - dy), slice(max(-dx, 0), columns - max(dx, 0))
        there = slice(dy, rows), slice(max(dx, 0), columns - max(-dx, 0))
        a, b = owner[here], owner[there]
        touch = (a != b) & (a >= 0) & (b >= 0)
        found.append((a[touch], b[touch], np.minimum(level[here][touch], level[there][touch])))
    a, b, saddle = (np.concatenate(part) for part in zip(*found, strict=True))
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((-saddle, high, low))
    low, high, saddle = low[order], high[order], saddle[order]
    first = np.ones(len(low), np.bool_)
    first[1:] = (np.diff(low) != 0) | (np.diff(high) != 0)
    return low[first], high[first], saddle[first]


def _prominence(peak_um: Heights, low: Indices, high: Indices, saddle: Heights) -> Heights:
    """Return the height of each peak over the highest saddle that leads to a higher peak."""
    count = len(peak_um)
    out = np.full(count, np.inf)
    if len(saddle) == 0:
        return out
    # Only passes of the tree of highest passes ever join two hills; its weights must be above 0.
    cost = saddle.max() - saddle + 1.0
    tree = minimum_spanning_tree(sparse.csr_array((cost, (low, high)), shape=(count, count))).tocoo()
    order = np.argsort(tree.data, kind="stable")
    heights = saddle.max() + 1.0 - tree.data[order]
    top = list(range(count))

    def root(k: int) -> int:
        while top[k] != k:
            top[k] = top[top[k]]
            k = top[k]
        return k

    for a, b, pass_um in zip(
        tree.row[order].tolist(), tree.col[order].tolist(), heights.tolist(), strict=True
    ):
        one, other = root(a), root(b)
        if (peak_um[one], one) < (peak_um[other], other):
            one, other = other, one
        out[other] = peak_um[other] - pass_um
        top[other] = one
    return out
