"""A map moved by a fraction of a pixel; what was not measured stays not measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

# Pixels before and after a value that are interpolated.
_REACH_PX = 3
# Pixels that were not measured may have this share of the bilinear weight: tiny shifts lose no rim.
_MAX_MISSING = 0.03


def shift_map(values: ArrayLike, dy: float, dx: float) -> NDArray[np.float32]:
    """Move the content of a map by (+dy, +dx) pixels; NaN marks what was not measured.

    Where the surrounding 6 × 6 pixels were measured, Lagrange polynomials interpolate: they are exact on
    slopes and bends, as the windowed sinc of `shift_frame` is not, and relief is far larger than the
    differences sought in it. Elsewhere the interpolation is bilinear, which needs the four nearest pixels.

    Parameters
    ----------
    values : (H, W) float32, any unit
    dy, dx : float, pixels
        The point at (y, x) goes to (y + dy, x + dx).

    Returns
    -------
    (H, W) float32
        NaN where a nearest pixel was not measured or is outside the map; all NaN if dy or dx is not finite.
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
    y, x = (np.asarray(at - shift, np.float64) for at, shift in zip(rim, (dy, dx), strict=True))
    out[rim] = _bilinear(clean, known, y, x)
    return out


def _along_rows(values: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """Move rows down by `shift`; beyond the edge the edge is repeated."""
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
    """Return indices after the nearest whole shift, and those they come from."""
    whole = int(np.clip(np.rint(shift), -length, length))
    return slice(max(whole, 0), length + min(whole, 0)), slice(max(-whole, 0), length - max(whole, 0))


def _bilinear(
    clean: NDArray[np.float32], known: NDArray[np.bool_], y: NDArray[np.float64], x: NDArray[np.float64]
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
    complete = weight >= 1 - _MAX_MISSING
    return np.where(complete, total / np.where(complete, weight, 1), np.nan).astype(np.float32)
