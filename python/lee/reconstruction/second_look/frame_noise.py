"""Noise of the detail of frames, from what neighbouring ones differ by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.second_look.detail import Image, smooth

# Noise is averaged over so many cells of 16 by 16 pixels.
_CELL_PX, _CELLS = 16, 1.0
# Where none of them counted, it is that of the whole field, which elsewhere weighs so much.
_FAR = 1e-4


class FrameNoise:
    """Variance of the detail of single frames by noise, over the field.

    Parameters
    ----------
    shape : (H, W)
        Of the detail.
    tiles : int
        Number of tiles in which groups of frames are added, each in its own order.
    """

    def __init__(self, shape: tuple[int, ...], tiles: int) -> None:
        self._shape = shape
        self._sums = np.zeros((2, *(-(-n // _CELL_PX) for n in shape)), dtype=np.float32)
        self._recent: list[list[tuple[int, int, Image]]] = [[] for _ in range(tiles)]

    def add(
        self, number: int, tile: tuple[slice, slice], detail: Image, weight: Image, at: int, frames: int
    ) -> None:
        """Add the detail of a tile in the group number `at`, the mean of `frames`; it counts by `weight`."""
        recent = self._recent[number]
        recent.append((at, frames, detail))
        if len(recent) < 3:
            return
        if recent[0][0] == at - 2:
            (_, n0, d0), (_, n1, d1), (_, n2, d2) = recent
            # Three neighbouring groups differ by noise, but for their slope in z. Every second row is enough.
            bend = (d0[::2] - 2 * d1[::2] + d2[::2]) ** 2 * np.float32(1 / (1 / n0 + 4 / n1 + 1 / n2))
            squared = weight[::2] ** 2
            for k, values in enumerate((bend * squared, squared)):
                self._sums[k][_cells(tile)] += _cell_sums(values)
        recent.pop(0)

    def at_pixels(self) -> Image:
        """Return the variance (H, W) of a single frame's detail."""
        summed, weight = (smooth(cells, _CELLS) + _FAR * float(cells.mean()) for cells in self._sums)
        of_cells = summed / np.maximum(weight, 1e-9)
        of_pixels = of_cells.repeat(_CELL_PX, axis=0).repeat(_CELL_PX, axis=1)
        return np.asarray(of_pixels[: self._shape[0], : self._shape[1]], dtype=np.float32)


def _cells(tile: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, columns = (slice(s.start // _CELL_PX, -(-s.stop // _CELL_PX)) for s in tile)
    return rows, columns


def _cell_sums(half: Image) -> NDArray[np.float32]:
    """Sum over the noise's cells of every second row of a tile."""
    rows = np.add.reduceat(half, np.arange(0, half.shape[0], _CELL_PX // 2), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, half.shape[1], _CELL_PX), axis=1))
