"""A map with gaps moved by a fraction of a pixel: what was not measured stays not measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.shift import shift_frame

# The sinc of `shift_frame` reaches four pixels to each side.
_REACH_PX = 4
# A gap may hold this share of a pixel's bilinear weight: scans that moved by next to nothing lose no rim.
_GAP_SHARE = 0.03


def shift_map(values: NDArray[Any], dy: float, dx: float) -> NDArray[np.float32]:
    """Move the content of a map by (+dy, +dx) pixels; NaN marks what was not measured.

    Where all that it rests on was measured, a windowed sinc that keeps detail; beside gaps and at the border
    bilinear interpolation, which needs the four nearest pixels only.

    Parameters
    ----------
    values : (H, W) float32, any unit
    dy, dx : float, pixels
        The point at (y, x) goes to (y + dy, x + dx).

    Returns
    -------
    (H, W) float32
        NaN where a nearest pixel lies in a gap or outside the map; throughout if dy or dx is not finite.
    """
    values = np.asarray(values, dtype=np.float32)
    if not (np.isfinite(dy) and np.isfinite(dx)):
        return np.full(values.shape, np.nan, np.float32)
    if dy == 0 and dx == 0:
        return values.copy()
    known = np.isfinite(values)
    clean = values if known.all() else np.where(known, values, np.float32(0))
    out = np.asarray(shift_frame(clean, dy, dx), dtype=np.float32)
    near = ndimage.minimum_filter(
        known, size=2 * _REACH_PX + 1, mode="constant", cval=0, origin=_origin(dy, dx)
    )
    rim = np.nonzero(~near)
    out[rim] = _bilinear(clean, known, rim[0] - dy, rim[1] - dx)
    return out


def _origin(dy: float, dx: float) -> tuple[int, int]:
    """Where the window of a pixel lies; a shift too large for the filter's origin leaves it centred."""
    whole = int(np.rint(dy)), int(np.rint(dx))
    return whole if max(map(abs, whole)) <= _REACH_PX else (0, 0)


def _bilinear(
    clean: NDArray[np.float32], known: NDArray[np.bool_], y: NDArray[Any], x: NDArray[Any]
) -> NDArray[np.float32]:
    height, width = clean.shape
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    fy, fx = y - top, x - left
    total = np.zeros(y.shape)
    weight = np.zeros(y.shape)
    for row, wy in ((top, 1 - fy), (top + 1, fy)):
        for column, wx in ((left, 1 - fx), (left + 1, fx)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            at = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
            share = wy * wx * (inside & known[at])
            weight += share
            total += share * clean[at]
    complete = weight >= 1 - _GAP_SHARE
    return np.where(complete, total / np.where(complete, weight, 1), np.nan).astype(np.float32)
