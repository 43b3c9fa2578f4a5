"""What a second look may find near occlusions: focus maxima among which the surface's is sought."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.focus.cells import CellRecord, cells_of, nearest_sample
from lee.reconstruction.focus.measure import over_field
from lee.reconstruction.occlusion.detection import Occlusions
from lee.reconstruction.occlusion.heights import SurfaceMaxima
from lee.reconstruction.occlusion.veils import Veils

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Heights near the occlusions of a scan, of which any may be the surface's.

    Parameters
    ----------
    zone : (H, W) bool
        Pixels of cells that something occluded, and of those around.
    heights : (3, H, W) float32, µm
        The first look's, and the two largest maxima of the finest window; NaN where there is none, or where
        an occlusion hid the cell at that height.
    masks : dict
        What the first look did not measure, (H, W) bool, by reason.
    guess : (H, W) bool
        Not measured, but better known than from the surroundings.
    maxima : SurfaceMaxima
    record : CellRecord
    occlusions : Occlusions
        Of the record's samples.
    """

    zone: Mask
    heights: NDArray[np.float32]
    masks: dict[str, Mask]
    guess: Mask
    maxima: SurfaceMaxima
    record: CellRecord
    occlusions: Occlusions

    def unveiled(self, veils: Veils, depth_um: float) -> Candidates:
        """Return those whose foci are where they would be without what dimmed them."""
        moved = np.stack([veils.moved_um(height, depth_um) for height in self.heights])
        return replace(self, heights=self.heights - moved)

    def without(self, beyond: Mask, lost: Mask) -> Candidates:
        """Return those outside what the frames had left; `lost` is what of it had been measured."""
        masks = {**self.masks, "left the field": self.masks["left the field"] | lost}
        return replace(self, zone=self.zone & ~beyond, masks=masks)


def candidate_heights(
    height: NDArray[np.float32], maxima: SurfaceMaxima, occlusions: Occlusions
) -> NDArray[np.float32]:
    """Return the heights of `Candidates` for the first look's, (H, W), µm."""
    finest = maxima.levels[0]
    out = np.stack([height, *(over_field(z, 0, height.shape) for z in finest.z_um)])
    opaque = occlusions.hidden()
    for candidate in out:
        y, x = np.nonzero(np.isfinite(candidate))
        sample = nearest_sample(maxima.z_um, candidate[y, x])
        rows, columns = cells_of(y, x, opaque.shape[1:])
        hidden = opaque[sample, rows, columns]
        candidate[y[hidden], x[hidden]] = np.nan
    return out
