"""Differences of slices, freed of the texture that both scans share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Map = NDArray[np.float32]

_TILE_PX = 64
_SMOOTH_PX = 1.0
# What stands out further is no texture, in robust standard deviations.
_CLIP = 4.0
_ROUNDS = 2


def freed(difference: Map, reference: Map, axial: Map) -> Map:
    """Take from a difference what moving, refocusing and brightening the reference explains.

    A least-squares fit in each tile of about 64 px, spots left out, as `lee.detect_particles` does it between
    tiles' middles.

    Parameters
    ----------
    difference, reference : (H, W) float32, counts
        NaN takes no part, and stays.
    axial : (H, W) float32
        How `reference` changes with height.
    """
    known = np.isfinite(difference) & np.isfinite(reference) & np.isfinite(axial)
    if not known.any():
        return difference
    usual = np.float32(np.median(reference[known]))
    smooth = ndimage.gaussian_filter(np.where(known, reference, usual), _SMOOTH_PX, mode="nearest")
    change = ndimage.gaussian_filter(np.where(known, axial, 0), _SMOOTH_PX, mode="nearest")
    slopes = [
        np.gradient(smooth, axis=k) if n > 1 else np.zeros_like(smooth) for k, n in enumerate(smooth.shape)
    ]
    out = difference.copy()
    for rows in _tiles(difference.shape[0]):
        for columns in _tiles(difference.shape[1]):
            tile = (rows, columns)
            x = np.stack([np.ones_like(smooth[tile]), *(s[tile] for s in (*slopes, change, smooth))])
            out[tile] -= _explained(difference[tile], x.reshape(len(x), -1), known[tile])
    return out


def _explained(difference: Map, x: Map, known: NDArray[np.bool_]) -> Map:
    y, use = difference.ravel(), known.ravel().copy()
    fitted = np.zeros(y.shape, np.float32)
    for _ in range(_ROUNDS):
        if use.sum() < 8 * len(x):
            break
        part = x[:, use].astype(np.float64)
        scale = np.sqrt((part**2).mean(axis=1)) + 1e-12
        part /= scale[:, None]
        normal = part @ part.T + 1e-9 * use.sum() * np.eye(len(x))
        fitted = ((np.linalg.solve(normal, part @ y[use]) / scale) @ x).astype(np.float32)
        left = y - fitted
        sample = left[use]
        limit = _CLIP * 1.4826 * np.median(np.abs(sample - np.median(sample)))
        use = known.ravel() & (np.abs(left) <= limit)
    return fitted.reshape(difference.shape)


def _tiles(extent: int) -> list[slice]:
    count = max(round(extent / _TILE_PX), 1)
    cuts = [k * extent // count for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(cuts)]
