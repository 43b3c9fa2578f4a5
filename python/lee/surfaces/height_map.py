"""A height map as the functions that measure on one take it: an array and its pixel size, or a `Surface`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.surface import Surface


@dataclass(frozen=True, eq=False)
class HeightMap:
    """A height map with what is known about it.

    Parameters
    ----------
    height_um : (H, W) array, µm
        As it was given, or that of the surface.
    pixel_um : float, µm
        Size of a pixel; pixels are square.
    height_sigma_um : (H, W) float32, µm, optional
        Standard deviation of the heights; None where it is not known.
    measured : (H, W) bool, optional
        True where a surface was measured, also where `height_um` is filled; None for an array, which is
        measured where it is finite.
    """

    height_um: ArrayLike
    pixel_um: float
    height_sigma_um: NDArray[np.float32] | None = None
    measured: NDArray[np.bool_] | None = None


def height_map(
    given: ArrayLike | Surface, pixel_um: float | None = None, *, operation: str, filled: bool = False
) -> HeightMap:
    """Return the height map of what was given: an array, or a surface that brings pixel size and uncertainty.

    Parameters
    ----------
    given : (H, W) array, µm, or Surface
    pixel_um : float, µm, optional
        Size of a pixel. An array needs it; over that of a surface it wins.
    operation : str
        Who asks; the message of an error begins with it.
    filled : bool
        Take a surface's `height_filled_um`, which has a height everywhere, in place of `height_um`. An array
        stays as it is.

    Raises
    ------
    InputError
        If an array comes without the size of a pixel.
    """
    if isinstance(given, Surface):
        known = np.isfinite(given.height_sigma_um).any()
        return HeightMap(
            given.height_filled_um if filled else given.height_um,
            given.pixel_um if pixel_um is None else pixel_um,
            given.height_sigma_um if known else None,
            given.valid,
        )
    if pixel_um is None:
        raise InputError(f"{operation}: the size of a pixel is missing; give pixel_um in µm, or a Surface")
    return HeightMap(given, pixel_um)
