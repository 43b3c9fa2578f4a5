"""Detail of an image, and what passes between grids whose cells are 1, 2, 4 ... pixels wide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Image = NDArray[np.floating]

# Reach of the Laplacian's kernel.
REACH_PX = 2
_TILE_PX = (64, 256)


def tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Yield the parts of an image that are worked on at a time, the caches' size in mind."""
    high, wide = _TILE_PX
    for y in range(0, shape[0], high):
        for x in range(0, shape[1], wide):
            yield slice(y, min(y + high, shape[0])), slice(x, min(x + wide, shape[1]))


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


def spread_on(cells: Image, side: int) -> Image:
    """Interpolate as `spread` does, going on at the same slope from the outermost centres to the edge."""
    if side == 1 or min(cells.shape) < 2:
        return spread(cells, side)
    return spread(np.pad(cells, 1, mode="reflect", reflect_type="odd"), side)[side:-side, side:-side]


def smooth(image: Image, sd: float) -> Image:
    """Gaussian mean of standard deviation `sd`, px."""
    return np.asarray(ndimage.gaussian_filter(image, sd, truncate=3.0), dtype=np.float32)


def straightened(means: Image, sd: float, extent: tuple[float, float]) -> Image:
    """Correct Gaussian means beside the edges of the field, where they see one side only, for the slope.

    Beside an edge the mean of what rises by b per cell is off by b (m − x): x is the distance from the edge
    and m the mean distance of what the window sees. The slope is that of the means further in.

    Parameters
    ----------
    means : (h, w) float32
    sd : float, cells
        Standard deviation of the Gaussian.
    extent : (float, float), cells
        Height and width of the field, which begins at the first cell's outer corner.
    """
    out = means.copy()
    reach = int(np.ceil(2.5 * sd)) + 1
    for axis, length in enumerate(extent):
        lines = np.moveaxis(out, axis, 0)
        if length < 2 * reach + 2:
            continue
        last = int(np.ceil(length)) - 1
        for index, edge in ((np.arange(reach + 1), 0.0), (last - np.arange(reach + 1), length)):
            x = np.abs(index + 0.5 - edge)
            seen = sd * np.sqrt(2 / np.pi) * np.exp(-0.5 * (x / sd) ** 2) + x * special.erf(
                x / sd / np.sqrt(2)
            )
            near, far = np.abs(x - 0.75 * sd).argmin(), np.abs(x - 2.5 * sd).argmin()
            slope = (lines[index[far]] - lines[index[near]]) / (seen[far] - seen[near])
            lines[index] += ((x - seen)[:, None] * slope).astype(np.float32)
    return out
