"""Shifting a frame by fractions of a pixel."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", bound=np.generic)

_TAPS = 8
_KAISER_BETA = 5.0
_STRIP_ROWS = 64


def shift_frame(frame: NDArray[Pixel], dy: float, dx: float) -> NDArray[Pixel]:
    """Shift the content of a frame by (+dy, +dx) pixels.

    An eight-point Kaiser-windowed sinc along each axis, so that a frame moved by half a pixel keeps its
    sharpness. Whole pixels are shifted exactly. Pixels beyond the edge repeat the edge.

    Parameters
    ----------
    frame : (H, W) uint8, uint16 or float32
    dy, dx : float, pixels
        The point at (y, x) goes to (y + dy, x + dx).

    Returns
    -------
    (H, W) of the same dtype; integers rounded and kept in range.

    Raises
    ------
    ValueError
        If dy or dx is not finite.
    """
    if not (np.isfinite(dy) and np.isfinite(dx)):
        raise ValueError(f"shift_frame: ({dy}, {dx}) is not a finite displacement")
    rows, row_weights = _taps(frame.shape[0], dy)
    columns, column_weights = _taps(frame.shape[1], dx)
    out = np.empty(frame.shape, dtype=frame.dtype)
    # In strips, so that what is between the two passes stays in the cache.
    for first in range(0, frame.shape[0], _STRIP_ROWS):
        strip = slice(first, min(first + _STRIP_ROWS, frame.shape[0]))
        moved = _weighted([frame[index[strip]] for index in rows], row_weights)
        moved = moved[:, columns[0]] if len(columns) == 1 else _along_x(moved, columns, column_weights)
        out[strip] = _as(moved, frame.dtype)
    return out


def _taps(length: int, shift: float) -> tuple[list[NDArray[np.intp]], NDArray[np.float32]]:
    """Return the source indices of every output index, tap by tap, and the weights of the taps."""
    whole = int(np.floor(shift))
    part = shift - whole
    if part < 1e-6 or part > 1 - 1e-6:
        offsets, weights = np.array([-round(shift)]), np.ones(1)
    else:
        offsets = np.arange(-_TAPS // 2, _TAPS // 2) - whole
        distance = offsets + shift
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(1 - (distance / (_TAPS / 2)) ** 2, 0)))
        weights = np.sinc(distance) * window
        weights = weights / weights.sum()
    index = np.arange(length)
    return [np.clip(index + offset, 0, length - 1) for offset in offsets], weights.astype(np.float32)


def _weighted(parts: list[NDArray[Pixel]], weights: NDArray[np.float32]) -> NDArray[Pixel | np.float32]:
    if len(parts) == 1:
        return parts[0]
    total: NDArray[np.float32] = parts[0].astype(np.float32) * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total += part * weight
    return total


def _along_x(
    strip: NDArray[np.generic], columns: list[NDArray[np.intp]], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    # Slices of a row padded by its edge values are far faster than gathering columns by index.
    width = strip.shape[1]
    unclipped = columns[0][width // 2] - width // 2
    left = max(0, -min(unclipped, 0))
    right = max(0, unclipped + len(columns) - 1)
    padded = np.pad(strip.astype(np.float32), ((0, 0), (left, right)), mode="edge")
    first = unclipped + left
    total: NDArray[np.float32] = padded[:, first : first + width] * weights[0]
    for tap in range(1, len(columns)):
        total += padded[:, first + tap : first + tap + width] * weights[tap]
    return total


def _as(values: NDArray[np.generic], dtype: np.dtype[Pixel]) -> NDArray[Pixel]:
    if values.dtype == dtype or dtype.kind not in "iu":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(str(dtype))
    whole: NDArray[np.float32] = np.clip(np.rint(values.astype(np.float32)), limits.min, limits.max)
    return whole.astype(dtype)
