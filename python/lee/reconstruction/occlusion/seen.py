"""What was seen of a surface that occlusions crossed: its brightness, and how much of its focus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.cells import CELL_PX, CellRecord, at_pixels, cells_of, nearest_sample
from lee.reconstruction.occlusion.detection import Occlusions, dilated, mean_of_cells


def seen_brightness(
    record: CellRecord, occlusions: Occlusions, zone: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the brightness (H, W) of the cells without what occluded them, smooth; counts.

    Parameters
    ----------
    record : CellRecord
    occlusions : Occlusions
        Of the same samples.
    zone : (H, W) bool
        Where it is wanted; elsewhere it is 0.
    """
    weight = np.where(dilated(occlusions.occluded, 1, 0), 0.0, 1.0)
    total = (weight * record.brightness).sum(axis=0)
    known = weight.sum(axis=0)
    while not known.all():  # cells never seen: from those around
        total, known = (mean_of_cells(of[None], 3)[0] for of in (total, known))
    out = np.zeros(zone.shape, np.float32)
    y, x = np.nonzero(zone)
    at = [(y + 0.5) / CELL_PX - 0.5, (x + 0.5) / CELL_PX - 0.5]
    out[y, x] = ndimage.map_coordinates(total / known, at, order=1, mode="nearest")
    return out


def veil_sigma_um(height_um: NDArray[np.float32], record: CellRecord, depth_um: float) -> NDArray[np.float32]:
    """Return the standard deviation (H, W), µm, that a veil adds which dims a surface while it is in focus.

    A Gaussian focus curve of standard deviation s, dimmed at a rate r of the logarithm of the light, is still
    a Gaussian, but moved by s² r. How much of the light that a cell lost or gained was the surface's is not
    known; all of it is taken for it.

    Parameters
    ----------
    height_um : (H, W) float32
        Heights everywhere.
    record : CellRecord
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    """
    level = np.log(np.maximum(record.brightness, 1e-6))
    level -= np.median(level, axis=(1, 2), keepdims=True)
    sd = depth_um / 2.355
    y, x = np.ogrid[: height_um.shape[0], : height_um.shape[1]]
    rows, columns = cells_of(y, x, level.shape[1:])
    below, above = (nearest_sample(record.z_um, height_um + way * sd) for way in (-1, 1))
    far = np.abs(record.z_um[above] - record.z_um[below])
    change = np.abs(level[above, rows, columns] - level[below, rows, columns])
    return np.asarray(sd**2 * change / np.maximum(far, sd), dtype=np.float32)


def occluded_classes(
    height_um: NDArray[np.float32], record: CellRecord, occlusions: Occlusions, depth_um: float
) -> dict[str, int]:
    """Count the pixels that something crossed, by how much of their focus it hid.

    Parameters
    ----------
    height_um : (H, W) float32
        Heights everywhere, filled where not measured.
    record : CellRecord
    occlusions : Occlusions
    depth_um : float, µm
        Full width at half maximum of the focus curve: samples within half of it are in focus.

    Returns
    -------
    dict
        Pixels occluded only "while out of focus", in "part of their focus" and in "most of their focus".
    """
    y, x = np.nonzero(at_pixels(np.asarray(occlusions.occluded.any(axis=0)), height_um.shape))
    rows, columns = cells_of(y, x, record.saturated.shape)
    order = np.argsort(record.z_um)
    ends = np.searchsorted(record.z_um[order], height_um[y, x] + np.array([[-0.5], [0.5]]) * depth_um)
    before = np.concatenate([np.zeros((1, *record.saturated.shape), int), occlusions.occluded[order]])
    before = before.cumsum(axis=0)
    hidden = before[ends[1], rows, columns] - before[ends[0], rows, columns]
    share = hidden / np.maximum(ends[1] - ends[0], 1)
    return {
        "while out of focus": int((hidden == 0).sum()),
        "in part of their focus": int(((hidden > 0) & (share <= 0.5)).sum()),
        "in most of their focus": int((share > 0.5).sum()),
    }
