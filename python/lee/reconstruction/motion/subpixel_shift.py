"""Shifting a frame by fractions of a pixel, and taking a change of magnification back."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Pixel = TypeVar("Pixel", bound=np.generic)

# Pixels along an axis that a shifted one is taken from.
SHIFT_TAPS = 8
_KAISER_BETA = 5.0


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
    return steady_frame(frame, (-dy, -dx))


def steady_frame(
    frame: NDArray[Pixel], displacement_px: tuple[float, float], magnification: float = 1.0
) -> NDArray[Pixel]:
    """Take back by how much a frame shows the scene displaced and magnified; resampled as by `shift_frame`.

    Parameters
    ----------
    frame : (H, W) uint8, uint16 or float32
    displacement_px : (dy, dx), pixels
    magnification : float
        The point that belongs at r from the middle of the frame is at magnification · r + displacement.

    Returns
    -------
    (H, W) of the same dtype; integers rounded and kept in range.
    """
    down, across = (
        _resampling(size, by, magnification) for size, by in zip(frame.shape, displacement_px, strict=True)
    )
    moved = down @ frame.astype(np.float32)
    # The rows of a sparse product are what is fast.
    moved = (across @ np.ascontiguousarray(moved.T)).T
    return _as(moved, frame.dtype)


def _resampling(length: int, displacement_px: float, magnification: float) -> sparse.csr_array:
    """Matrix (length, length) that takes samples between pixels."""
    middle = (length - 1) / 2
    at = middle + magnification * (np.arange(length) - middle) + displacement_px
    source = np.floor(at).astype(np.intp)[:, None] + np.arange(1 - SHIFT_TAPS // 2, SHIFT_TAPS // 2 + 1)
    distance = at[:, None] - source
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(1 - (distance / (SHIFT_TAPS / 2)) ** 2, 0)))
    weights = np.sinc(distance) * window
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(length), SHIFT_TAPS)
    entries = (weights.astype(np.float32).ravel(), (rows, np.clip(source, 0, length - 1).ravel()))
    matrix = sparse.csr_array(entries, shape=(length, length))
    # Whole pixels are taken as they are, also beside NaN.
    matrix.data[np.abs(matrix.data) < 1e-6] = 0
    matrix.eliminate_zeros()
    return matrix


def _as(values: NDArray[np.float32], dtype: np.dtype[Pixel]) -> NDArray[Pixel]:
    if dtype.kind not in "iu":
        return np.ascontiguousarray(values.astype(dtype, copy=False))
    limits = np.iinfo(str(dtype))
    whole: NDArray[np.float32] = np.clip(np.rint(values), limits.min, limits.max)
    return np.ascontiguousarray(whole.astype(dtype))
