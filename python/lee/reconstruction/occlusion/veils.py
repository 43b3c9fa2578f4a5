"""Veils: how much of a surface's light gets past what is in front, bright and out of focus.

What covers a part of the cone of light from a pixel takes that share of its contrast, and changes the
brightness by as much of the change that it makes where it covers all. So the one tells the other where
something much brighter than the surface, and wide, crosses; of what is about as bright, or never covers a
cell, brightness does not tell how much it covers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.cells import CELL_PX, CellRecord
from lee.reconstruction.occlusion.detection import Occlusions, dilated, relative, seen_level

# Wide is what makes so many cells squared this much brighter at once, as a share of the surface's own
# brightness. Where it covers all is where, of so many cells around, it changes one most.
_WIDE_CELLS, _BRIGHT, _AROUND_CELLS = 3, 0.8, 7
# At most this share is taken for covered.
_MOST_COVERED = 0.9
# Contrast is restored where at least this share of the light was left.
_MIN_PASSED = 0.3
# The change of the light that moves a focus is taken between so many standard deviations of the focus curve
# below and above it; it moves it by as many at most.
_BETWEEN, _MOST_MOVED = 0.8, 1.0


@dataclass(frozen=True, eq=False)
class Veils:
    """Shares of the light from a surface that what crosses it leaves.

    Parameters
    ----------
    z_um : (N,) float64, µm
        Heights of the samples, rising.
    passed : (N, h, w) float32
        The share, for cells; 1 where nothing is in front, or it is not known.
    bright : (h, w) bool
        Cells near something bright and wide: where the shares are known.
    """

    z_um: NDArray[np.float64]
    passed: NDArray[np.float32]
    bright: NDArray[np.bool_]

    @classmethod
    def of(cls, record: CellRecord, occlusions: Occlusions) -> Veils:
        """Estimate them from what cells showed, with the occlusions found in it."""
        level = relative(np.log(np.maximum(record.brightness.astype(np.float64), 1e-6)))
        near = dilated(occlusions.occluded, 1, 1)
        seen = seen_level(level, near)
        unseen = np.isnan(seen).any(axis=0)
        if unseen.any() and not unseen.all():
            # Never without something in front: as bright as what is beside.
            at = ndimage.distance_transform_edt(unseen, return_distances=False, return_indices=True)
            beside = np.nanmedian(np.where(near, np.nan, level)[:, at[0], at[1]], axis=0)
            seen = np.where(unseen, beside, seen)
        change = np.exp(level) / np.exp(np.nan_to_num(seen)) - 1
        change = np.where(dilated(occlusions.occluded, 1, 2), change, 0)
        occluding = np.where(occlusions.occluded, change, 0)
        most = ndimage.maximum_filter(occluding.max(axis=0), _AROUND_CELLS)
        wide = ndimage.grey_opening(occluding, (1, _WIDE_CELLS, _WIDE_CELLS)).max(axis=0)
        bright = ndimage.maximum_filter(wide, _AROUND_CELLS) > _BRIGHT
        covered = np.where(bright, np.clip(change / np.maximum(most, _BRIGHT), 0, _MOST_COVERED), 0)
        order = np.argsort(record.z_um)
        return cls(record.z_um[order], (1 - covered[order]).astype(np.float32), bright)

    def gain(self, z_um: float, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Return what restores the contrast (H, W) of a frame at a height; None where it needs nothing.

        0 where too little light is left for that.
        """
        place = float(np.interp(z_um, self.z_um, np.arange(len(self.z_um))))
        before = int(place)
        after = min(before + 1, len(self.z_um) - 1)
        cells = self.passed[before] + (place - before) * (self.passed[after] - self.passed[before])
        if cells.min() == 1:
            return None
        passed = _at_pixels(cells, shape)
        return np.where(passed > _MIN_PASSED, 1 / passed, 0).astype(np.float32)

    def moved_um(self, height_um: NDArray[np.float32], depth_um: float) -> NDArray[np.float32]:
        """Return by how much (H, W), µm, a veil moved the foci at heights; 0 where there are none.

        A Gaussian focus curve of standard deviation s, dimmed at a rate r of the logarithm of the light, is
        still a Gaussian, but moved by s² r.
        """
        sd = depth_um / 2.355
        out = np.zeros(height_um.shape, np.float32)
        y, x = np.nonzero(np.isfinite(height_um))
        cell = [(at + 0.5) / CELL_PX - 0.5 for at in (y, x)]
        log = np.log(self.passed)
        below, above = (
            ndimage.map_coordinates(
                log,
                [np.interp(height_um[y, x] + way * sd, self.z_um, np.arange(len(self.z_um))), *cell],
                order=1,
                mode="nearest",
            )
            for way in (-_BETWEEN, _BETWEEN)
        )
        most = _MOST_MOVED * sd
        out[y, x] = np.clip(sd * (above - below) / (2 * _BETWEEN), -most, most)
        return out


def _at_pixels(cells: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate cells to pixels (H, W), linearly between their centres."""
    rows, columns = (_between(n, m) for n, m in zip(shape, cells.shape, strict=True))
    return np.asarray(rows @ cells @ columns.T, dtype=np.float32)


def _between(pixels: int, cells: int) -> NDArray[np.float32]:
    """Return the weights (pixels, cells) of linear interpolation along an axis."""
    at = np.clip((np.arange(pixels) + 0.5) / CELL_PX - 0.5, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))
    return np.asarray(weights, dtype=np.float32)
