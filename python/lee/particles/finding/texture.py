"""Removal of the surface texture that two scans share from their difference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Map = NDArray[np.float32]

_TILE_PX = 64
_SMOOTH_PX = 1.0
# In robust standard deviations: what stands out further is no texture.
_CLIP = 4.0
_ROUNDS = 2
# Every third pixel is fitted: enough for five coefficients.
_STRIDE = 3


def remove_texture(difference: Map, reference: Map, axial: Map) -> Map:
    """Subtract what moving, refocusing and brightening the reference explains of a difference.

    A least-squares fit in each tile of about 64 px, without the spots, as in `lee.detect_particles`.

    Parameters
    ----------
    difference, reference : (H, W) float32, counts
        NaN is ignored, and stays NaN.
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
    """Fit a tile's difference by regressors x (K, H * W), using some of its pixels."""
    some = slice(None, None, _STRIDE)
    part, y, use = x[:, some].astype(np.float64), difference.ravel()[some], known.ravel()[some]
    scale = np.sqrt((part**2).mean(axis=1)) + 1e-12
    part /= scale[:, None]
    coefficients: NDArray[np.floating] = np.zeros(len(x))
    for _ in range(_ROUNDS):
        count = int(use.sum())
        if count < 8 * len(x):
            break
        a, b = part[:, use], y[use]
        coefficients = np.linalg.solve(a @ a.T + 1e-9 * count * np.eye(len(x)), a @ b)
        residual = y - coefficients @ part
        limit = _CLIP * 1.4826 * np.median(np.abs(residual[use]))
        use = use & (np.abs(residual) <= limit)
    return np.asarray(((coefficients / scale) @ x).reshape(difference.shape), dtype=np.float32)


def _tiles(extent: int) -> list[slice]:
    count = max(round(extent / _TILE_PX), 1)
    cuts = [k * extent // count for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(cuts)]
