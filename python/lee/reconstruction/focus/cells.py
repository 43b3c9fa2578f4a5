"""Cells of 8 by 8 pixels: what they showed over a scan, sample by sample, and the pixels they hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.focus.measure import Map

CELL_PX = 8

# Of a longer scan every second, fourth ... average is kept.
_MAX_SAMPLES = 128


class CellRecord(NamedTuple):
    """What cells of 8 by 8 pixels showed over a scan, in N samples.

    ``z_um`` (N,) float64 are the samples' heights, in the order of the scan; ``brightness`` (N, h, w) float32
    the cells' mean, counts; ``focus`` (N, h, w) float32 their focus, counts; ``saturated`` (h, w) float32 the
    largest share of saturated pixels, 0 to 1. Pixels beyond the last whole cell are in none; small frames
    have no cells.
    """

    z_um: NDArray[np.float64]
    brightness: Map
    focus: Map
    saturated: Map


class CellSamples:
    """Brightness and focus of cells of 8 by 8 pixels while a scan runs.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._cells = (shape[0] // CELL_PX, shape[1] // CELL_PX)
        self._samples: list[tuple[float, Map, Map]] = []
        self._saturated = np.zeros(self._cells, np.float32)
        self._count, self._stride = 0, 1

    def take(self, z_um: float, mean: Map, focus: Map, *, saturation: float) -> None:
        """Take an average of frames, counts, its height and its focus; `saturation`: counts, inf for none."""
        if self._count == self._stride * _MAX_SAMPLES:
            self._samples = self._samples[::2]
            self._stride *= 2
        if self._count % self._stride == 0:
            self._samples.append((z_um, self._means(mean), self._means(np.nan_to_num(focus))))
        if np.isfinite(saturation):
            np.maximum(self._saturated, self._means(mean >= saturation), out=self._saturated)
        self._count += 1

    def record(self) -> CellRecord:
        """Return the samples."""
        z_um = np.array([z for z, _, _ in self._samples])
        empty = np.zeros((0, *self._cells), np.float32)
        bright, focus = (np.stack([s[k] for s in self._samples]) if len(z_um) else empty for k in (1, 2))
        return CellRecord(z_um, bright, focus, self._saturated)

    def _means(self, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Map:
        rows, columns = self._cells
        whole = values[: rows * CELL_PX, : columns * CELL_PX]
        cells = whole.reshape(rows, CELL_PX, columns, CELL_PX)
        return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))


def at_pixels(cells: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a map of cells (h, w) at the pixels (H, W) of the field; its last cells reach to the edge."""
    rows, columns = (
        np.minimum(np.arange(n) // CELL_PX, max(m - 1, 0)) for n, m in zip(shape, cells.shape, strict=True)
    )
    return cells[rows][:, columns] if cells.size else np.zeros(shape, cells.dtype)


def cells_of(
    y: NDArray[np.intp], x: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of the cells, of (h, w) in all, that hold pixels at y, x."""
    return np.minimum(y // CELL_PX, shape[0] - 1), np.minimum(x // CELL_PX, shape[1] - 1)


def nearest_sample(z_um: NDArray[np.float64], height_um: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the sample nearest to each height, of samples whose heights rise or fall."""
    rising = z_um if z_um[-1] >= z_um[0] else z_um[::-1]
    place = np.searchsorted((rising[1:] + rising[:-1]) / 2, height_um)
    return place if rising is z_um else len(z_um) - 1 - place
