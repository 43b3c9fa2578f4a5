"""The searched field: its true area, and the particles in it, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.kernels.curvature import height_derivatives

if TYPE_CHECKING:
    import pandas as pd

    from lee.surfaces.surface import Surface

# With slopes over one pixel, noise adds area: 0.2 % for 0.05 µm of noise and pixels of 0.25 µm. Over four
# pixels it adds none.
_SLOPE_SCALE_PX = 4.0


@dataclass(frozen=True, eq=False)
class Field:
    """Area in which particles were searched for.

    Parameters
    ----------
    area_um2 : (H, W) float32, µm²
        Area of each pixel; 0 where the surface was not measured, or no particle could have been seen.
    pixel_um : float, µm
    slope_scale_um : float, µm
        Scale of the slopes; NaN without a surface, when the area is the projected one.
    """

    area_um2: NDArray[np.float32]
    pixel_um: float
    slope_scale_um: float

    @property
    def is_true_area(self) -> bool:
        """Whether the area includes slopes, or is the projected one."""
        return bool(np.isfinite(self.slope_scale_um))

    @property
    def total_um2(self) -> float:
        """Area of the whole field, µm²."""
        return float(self.area_um2.sum(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Counts:
    """Number of particles in every pixel.

    Parameters
    ----------
    per_pixel : (H, W) int64
    count : int
        Particles in the field.
    left_out : int
        Particles beyond its border, at unmeasured or unsearched pixels, or without a position (NaN).
    """

    per_pixel: NDArray[np.int64]
    count: int
    left_out: int


def field_of(
    *,
    pixel_um: float,
    surface: Surface | None = None,
    shape: Sequence[int] | None = None,
    searched: ArrayLike | None = None,
    slope_scale_um: float | None = None,
) -> Field:
    """Measure the area of every pixel: pixel^2 sqrt(1 + |grad h|^2), or pixel^2 without a surface.

    Parameters
    ----------
    pixel_um : float, µm
        Size of a pixel.
    surface : Surface, optional
        On the grid of the particles. Unmeasured pixels have no area.
    shape : (H, W), optional
        Of the field; needed if neither `surface` nor `searched` is given.
    searched : (H, W) bool, optional
        Where a particle could have been found; by default wherever the surface was measured.
    slope_scale_um : float, µm, optional
        Scale of the slopes, as in `lee.curvature`; by default four pixels. Too fine a scale counts noise as
        slope and overestimates the area. Where a height was measured, but too little around it for a slope,
        the mean area of all other pixels is taken.

    Raises
    ------
    InputError
        If shapes or pixel sizes differ, the shape is unknown, or a number is out of range.
    """
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"particles: pixel_um is {pixel_um}; give µm above 0")
    mask = None if searched is None else np.asarray(searched, dtype=np.bool_)
    given = {
        "the surface": None if surface is None else surface.shape,
        "the mask of the searched area": None if mask is None else mask.shape,
        "the given shape": None if shape is None else tuple(int(n) for n in shape),
    }
    known = {name: size for name, size in given.items() if size is not None}
    if not known:
        raise InputError("particles: the shape of the field is unknown; give surface, searched or shape")
    size = next(iter(known.values()))
    if len(set(known.values())) > 1 or len(size) != 2 or min(size) < 1:
        listed = ", ".join(f"{name} is {one}" for name, one in known.items())
        raise InputError(f"particles: {listed}; give all of one field (H, W)")
    scale = np.nan
    area = np.full(size, pixel_um**2, np.float32)
    if surface is not None:
        if not np.isclose(surface.pixel_um, pixel_um, rtol=1e-3):
            raise InputError(
                f"particles: pixels are {pixel_um:g} µm, but {surface.pixel_um:g} µm in the surface; "
                "give both on one grid"
            )
        scale = _SLOPE_SCALE_PX * pixel_um if slope_scale_um is None else float(slope_scale_um)
        area *= _area_ratio(surface.height_um, pixel_um, scale)
    if mask is not None:
        area[~mask] = 0
    return Field(area, float(pixel_um), scale)


def _area_ratio(height: NDArray[np.float32], pixel_um: float, scale_um: float) -> NDArray[np.float32]:
    """Return the true over the projected area of every pixel; 0 where not measured."""
    slopes = height_derivatives(height, pixel_um=pixel_um, scale_um=scale_um)
    ratio = np.sqrt(1 + slopes.x * slopes.x + slopes.y * slopes.y)
    known, measured = np.isfinite(ratio), np.isfinite(height)
    mean = float(ratio[known].mean(dtype=np.float64)) if known.any() else 1.0
    return np.where(known & measured, ratio, np.where(measured, mean, 0)).astype(np.float32)


def counts_in(particles: pd.DataFrame, field: Field) -> Counts:
    """Count the particles of every pixel.

    Particles outside the measured area are excluded, and counted: there is no area to divide them by.

    Parameters
    ----------
    particles : DataFrame
        With ``x_um`` and ``y_um``, measured from the middle of pixel (0, 0).
    field : Field

    Raises
    ------
    InputError
        If all particles are beyond the border: their positions are then of another grid.
    """
    shape = field.area_um2.shape
    y, x = (particles[name].to_numpy(np.float64) / field.pixel_um for name in ("y_um", "x_um"))
    with np.errstate(invalid="ignore"):
        inside = (y >= -0.5) & (y < shape[0] - 0.5) & (x >= -0.5) & (x < shape[1] - 0.5)
    known = np.isfinite(y) & np.isfinite(x)
    if known.any() and not inside.any():
        reach = ", ".join(f"{n} {np.nanmin(v):.3g} to {np.nanmax(v):.3g}" for n, v in (("x", x), ("y", y)))
        raise InputError(
            f"particles: all {len(particles)} are beyond the field of {shape[1]} × {shape[0]} pixels "
            f"(found at {reach}); give positions in µm on the grid of the map"
        )
    place = np.floor(y[inside] + 0.5).astype(np.intp) * shape[1] + np.floor(x[inside] + 0.5).astype(np.intp)
    place = place[field.area_um2.ravel()[place] > 0]
    per_pixel = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
    return Counts(per_pixel, len(place), len(particles) - len(place))
