"""A map with gaps moved by a fraction of a pixel: what was not measured stays not measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Pixels before and after that a value rests on.
_REACH_PX = 3
# A gap may hold this share of a pixel's bilinear weight: scans that moved by next to nothing lose no rim.
_GAP_SHARE = 0.03


def shift_map(values: NDArray[Any], dy: float, dx: float) -> NDArray[np.float32]:
    """Move the content of a map by (+dy, +dx) pixels; NaN marks what was not measured.

    Where the 6 x 6 pixels around were measured, through Lagrange polynomials: they are exact on slopes and
    bends, as the windowed sinc of `shift_frame` is not, and relief is far larger than what is
    looked for in it. Beside gaps and at the border bilinear, which needs the four nearest pixels only.

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
    out = _along_rows(_along_rows(clean, dy).T, dx).T.copy()
    whole = ndimage.minimum_filter(known, size=2 * _REACH_PX + 1, mode="constant", cval=0)
    near = np.zeros(known.shape, np.bool_)
    (to_y, from_y), (to_x, from_x) = (_moved(n, d) for n, d in zip(known.shape, (dy, dx), strict=True))
    near[to_y, to_x] = whole[from_y, from_x]
    rim = np.nonzero(~near)
    out[rim] = _bilinear(clean, known, rim[0] - dy, rim[1] - dx)
    return out


def _along_rows(values: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """Move rows down by `shift`; what comes in over the edge repeats the edge."""
    length = len(values)
    shift = float(np.clip(shift, -length, length))
    whole = int(np.floor(-shift))
    part = -shift - whole
    if part == 0:
        return values[np.clip(np.arange(length) + whole, 0, length - 1)]
    taps = np.arange(1 - _REACH_PX, 1 + _REACH_PX)
    others = [np.delete(taps, k) for k in range(len(taps))]
    weights = [float(np.prod((part - o) / (tap - o))) for tap, o in zip(taps, others, strict=True)]
    reach = abs(whole) + _REACH_PX
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    total = np.zeros(values.shape, np.float32)
    for tap, weight in zip(taps, weights, strict=True):
        start = reach + whole + int(tap)
        total += np.float32(weight) * padded[start : start + length]
    return total


def _moved(length: int, shift: float) -> tuple[slice, slice]:
    """Where indices come to lie after the nearest whole shift, and where they come from."""
    whole = int(np.clip(np.rint(shift), -length, length))
    return slice(max(whole, 0), length + min(whole, 0)), slice(max(-whole, 0), length - max(whole, 0))


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
