"""Slices through a stack at constant distances from a surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


class SurfaceSlices:
    """Slices at equal distances from a surface, added up plane by plane; memory does not grow with planes.

    Slices are interpolated linearly between planes, so that two scans sliced along one surface are compared,
    pixel for pixel, at equal true height.

    Parameters
    ----------
    height_um : (H, W) float32, µm
        Finite everywhere.
    heights_um : (P,) float64, µm
        Of the planes: rising, evenly spaced.
    step_um : float, µm
        Spacing of planes, and of slices.
    reach : int
        Slices on each side of the surface.
    """

    def __init__(self, height_um: Map, heights_um: NDArray[np.float64], step_um: float, reach: int) -> None:
        self.heights_um = heights_um
        self.offsets_um = np.arange(-reach, reach + 1, dtype=np.float64) * step_um
        self._shape = height_um.shape
        self._reach = reach
        # Clipped: beyond the planes nothing is seen, at whatever distance.
        place = np.clip(
            (height_um.ravel() - heights_um[0]) / step_um, -reach - 2, len(heights_um) + reach + 1
        )
        below = np.floor(place).astype(np.int32)
        # Pixels in the order of the plane below them: those that one plane adds to are then contiguous.
        self._order = np.argsort(below, kind="stable")
        self._below = below[self._order]
        self._low = int(below.min())
        self._starts = np.searchsorted(self._below, np.arange(self._low, int(below.max()) + 2))
        self._share = (place[self._order] - self._below).astype(np.float32)
        self._sums = np.zeros((2 * reach + 1, height_um.size), np.float32)
        self._seen = np.zeros(len(heights_um), np.bool_)

    def add(self, number: int, plane: Map) -> None:
        """Take plane `number`, (H, W) float32."""
        self._seen[number] = True
        flat = plane.ravel()
        for slice_number, offset in enumerate(range(-self._reach, self._reach + 1)):
            for below, upper in ((number - offset, False), (number - offset - 1, True)):
                group = below - self._low
                if not 0 <= group < len(self._starts) - 1:
                    continue
                begin, end = self._starts[group : group + 2]
                share = self._share[begin:end]
                weight = share if upper else 1 - share
                self._sums[slice_number, begin:end] += weight * flat[self._order[begin:end]]

    def finish(self) -> Map:
        """Return the slices, (2 reach + 1, H, W) float32; NaN where a plane is missing."""
        seen = np.concatenate([self._seen, [False]])
        count = len(self._seen)
        out = np.empty((len(self._sums), self._order.size), np.float32)
        for slice_number, offset in enumerate(range(-self._reach, self._reach + 1)):
            below = self._below + offset
            here = seen[np.where((below >= 0) & (below < count), below, count)]
            above = seen[np.where((below >= -1) & (below < count - 1), below + 1, count)]
            known = (here | (self._share == 1)) & (above | (self._share == 0))
            out[slice_number, self._order] = np.where(known, self._sums[slice_number], np.nan)
        return out.reshape(-1, *self._shape)
