"""Heights of the electrode at every pixel, from a height map or a surface, and where they were measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.filling import fill
from lee.surfaces.height_map import height_map
from lee.surfaces.surface import Surface


@dataclass(frozen=True)
class Heights:
    """A height map without holes.

    Attributes
    ----------
    height_um : (H, W) float64
        Finite everywhere.
    filled : (H, W) bool
        Where the height was not measured.
    pixel_um : float
    notes : tuple of str
        What was filled, and how.
    sigma_um : (H, W) float32 or None
        Standard deviation of the heights, where it is known.
    """

    height_um: NDArray[np.float64]
    filled: NDArray[np.bool_]
    pixel_um: float
    notes: tuple[str, ...]
    sigma_um: NDArray[np.float32] | None = None


def whole_heights(height_um: ArrayLike | Surface, pixel_um: float | None = None) -> Heights:
    """Take the heights of a surface, or of a height map whose holes are filled.

    Parameters
    ----------
    height_um : (H, W) float, µm, or Surface
        A map is NaN where not measured; its holes are filled smoothly from around. Of a surface the filled
        heights are taken.
    pixel_um : float, µm, optional
        Needed for a map; that of a surface if not given.

    Raises
    ------
    InputError
        If the map holds nothing or infinite heights, or the size of a pixel is unknown.
    """
    given = height_map(height_um, pixel_um, operation="twin")
    pixel_um, measured = given.pixel_um, np.asarray(given.height_um, dtype=np.float64)
    if measured.ndim != 2 or not measured.size:
        raise InputError(f"height_um has the shape {measured.shape}; give a map (H, W)")
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"pixel_um is {pixel_um}; give the size of a pixel in µm, above 0")
    if np.isinf(measured).any():
        raise InputError("height_um holds infinite heights; mark what was not measured with NaN")
    filled = np.isnan(measured)
    if filled.all():
        raise InputError("height_um is NaN throughout; there is no surface to solve on")
    if not filled.any():
        return Heights(measured, filled, float(pixel_um), (), given.height_sigma_um)
    if isinstance(height_um, Surface):
        substitute, how = height_um.height_filled_um, "has the surface's own filled heights there"
    else:
        substitute, how = fill(measured.astype(np.float32), ~filled), "is filled in"
    note = f"{100 * filled.mean():.1f} % of the surface was not measured and {how}; the maps show where"
    return Heights(
        np.where(filled, substitute.astype(np.float64), measured),
        filled,
        float(pixel_um),
        (note,),
        given.height_sigma_um,
    )
