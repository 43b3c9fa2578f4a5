"""Detail of an image, and what passes between grids whose cells are 1, 2, 4 ... pixels wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.floating]

# Reach of the Laplacian's kernel.
REACH_PX = 2


def laplacian(image: Image) -> Image:
    """Return the Laplacian of an image smoothed by 1-2-1 along both axes, less a rim of two pixels.

    The second derivative fades fastest out of focus, so what is blurred in from parts of the surface at
    other heights hardly disturbs it; smoothing by 0.7 px keeps the noise of single pixels out.
    """
    side, middle = np.float32(1 / 6), np.float32(2 / 3)
    rows = side * (image[:-2] + image[2:]) + middle * image[1:-1]
    mild = side * (rows[:, :-2] + rows[:, 2:]) + middle * rows[:, 1:-1]
    out: Image = mild[:-2, 1:-1] + mild[2:, 1:-1] + mild[1:-1, :-2] + mild[1:-1, 2:] - 4 * mild[1:-1, 1:-1]
    return out


def block_sum(image: Image, side: int) -> Image:
    """Sum over cells of `side` by `side` pixels; the extents are multiples of `side`."""
    if side == 1:
        return image
    high, wide = image.shape
    rows = np.add.reduce(image.reshape(high // side, side, wide), axis=1)
    return np.asarray(rows.reshape(high // side, wide // side, side).sum(axis=2), dtype=np.float32)


def block_mean(image: Image, side: int) -> Image:
    """Mean over cells of `side` by `side` pixels; the extents are multiples of `side`."""
    return image if side == 1 else block_sum(image, side) * np.float32(1 / side**2)


def spread(cells: Image, side: int) -> Image:
    """Interpolate cells of `side` by `side` pixels to single pixels, linearly between their centres."""
    if side == 1:
        return cells
    return np.asarray(ndimage.zoom(cells, side, order=1, mode="nearest", grid_mode=True), dtype=np.float32)


def smooth(image: Image, sd: float) -> Image:
    """Gaussian mean of standard deviation `sd`, px."""
    return np.asarray(ndimage.gaussian_filter(image, sd, truncate=3.0), dtype=np.float32)
