"""The field in which particles were looked for: its true area, and what lies in it, pixel by pixel."""

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

# At one pixel noise adds area: 0.2 % for 0.05 um of it, pixels of 0.25 um. At four it adds none.
_SLOPE_SCALE_PX = 4.0


@dataclass(frozen=True, eq=False)
class Field:
    """Area in which particles were looked for.

    Parameters
    ----------
    area_um2 : (H, W) float32, um^2
        Area of each pixel; 0 where the surface was not measured, or no particle could have been seen.
    pixel_um : float, um
    slope_scale_um : float, um
        Scale the slopes were taken at; NaN where there is no surface, so that the area is seen from above.
    """

    area_um2: NDArray[np.float32]
    pixel_um: float
    slope_scale_um: float

    @property
    def is_true_area(self) -> bool:
        """Whether slopes are in the area, or it is the one seen from above."""
        return bool(np.isfinite(self.slope_scale_um))

    @property
    def total_um2(self) -> float:
        """All of it, um^2."""
        return float(self.area_um2.sum(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Counts:
    """Particles by pixel.

    Parameters
    ----------
    per_pixel : (H, W) int64
    count : int
        Particles in the field.
    left_out : int
        Those that lie beyond its border, where nothing was measured or seen, or nowhere (NaN).
    """

    per_pixel: NDArray[np.int64]
    count: int
    left_out: int


def field_of(
    *,
    pixel_um: float,
    surface: Surface | None = None,
    shape: Sequence[int] | None = None,
    seen: ArrayLike | None = None,
    slope_scale_um: float | None = None,
) -> Field:
    """Measure the area of every pixel: pixel^2 sqrt(1 + |grad h|^2), or pixel^2 without a surface.

    Parameters
    ----------
    pixel_um : float, um
        Size of a pixel.
    surface : Surface, optional
        On the grid of the particles. Only what was measured counts.
    shape : (H, W), optional
        Of the field; needed where neither `surface` nor `seen` tells it.
    seen : (H, W) bool, optional
        Where a particle could have been found; by default wherever there is a surface.
    slope_scale_um : float, um, optional
        Scale of the slopes, as in `lee.curvature`; by default four pixels. Too fine a scale takes noise for
        slope, and so too much area. Where a height was measured, but too little around it for a slope, the
        mean of all other pixels' area is taken.

    Raises
    ------
    InputError
        If shapes or pixel sizes contradict each other, none tells the shape, or a number is out of range.
    """
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"particles: pixel_um is {pixel_um}; give um above 0")
    mask = None if seen is None else np.asarray(seen, dtype=np.bool_)
    told = {
        "the surface": None if surface is None else surface.shape,
        "the mask of what was seen": None if mask is None else mask.shape,
        "the shape given": None if shape is None else tuple(int(n) for n in shape),
    }
    known = {name: size for name, size in told.items() if size is not None}
    if not known:
        raise InputError("particles: the shape of the field is unknown; give surface, seen or shape")
    size = next(iter(known.values()))
    if len(set(known.values())) > 1 or len(size) != 2 or min(size) < 1:
        said = ", ".join(f"{name} is {one}" for name, one in known.items())
        raise InputError(f"particles: {said}; give one field (H, W)")
    scale = np.nan
    area = np.full(size, pixel_um**2, np.float32)
    if surface is not None:
        if not np.isclose(surface.pixel_um, pixel_um, rtol=1e-3):
            raise InputError(
                f"particles: pixels of {pixel_um:g} um, but of {surface.pixel_um:g} um in the surface; "
                "give both on one grid"
            )
        scale = _SLOPE_SCALE_PX * pixel_um if slope_scale_um is None else float(slope_scale_um)
        area *= _stretch(surface.height_um, pixel_um, scale)
    if mask is not None:
        area[~mask] = 0
    return Field(area, float(pixel_um), scale)


def _stretch(height: NDArray[np.float32], pixel_um: float, scale_um: float) -> NDArray[np.float32]:
    """Tell how much larger than seen from above each pixel is; 0 where not measured."""
    slopes = height_derivatives(height, pixel_um=pixel_um, scale_um=scale_um)
    stretch = np.sqrt(1 + slopes.x * slopes.x + slopes.y * slopes.y)
    told, measured = np.isfinite(stretch), np.isfinite(height)
    usual = float(stretch[told].mean(dtype=np.float64)) if told.any() else 1.0
    return np.where(told & measured, stretch, np.where(measured, usual, 0)).astype(np.float32)


def counts_in(particles: pd.DataFrame, field: Field) -> Counts:
    """Count the particles of every pixel.

    Particles outside of what was measured are left out, and counted: there is no area to hold them against.

    Parameters
    ----------
    particles : DataFrame
        With ``x_um`` and ``y_um``, the middle of pixel (0, 0) at (0, 0).
    field : Field

    Raises
    ------
    InputError
        If there are particles and all of them lie beyond the border: their positions are of another grid.
    """
    shape = field.area_um2.shape
    y, x = (particles[name].to_numpy(np.float64) / field.pixel_um for name in ("y_um", "x_um"))
    with np.errstate(invalid="ignore"):
        inside = (y >= -0.5) & (y < shape[0] - 0.5) & (x >= -0.5) & (x < shape[1] - 0.5)
    known = np.isfinite(y) & np.isfinite(x)
    if known.any() and not inside.any():
        reach = ", ".join(f"{n} {np.nanmin(v):.3g} to {np.nanmax(v):.3g}" for n, v in (("x", x), ("y", y)))
        raise InputError(
            f"particles: all {len(particles)} lie beyond the field of {shape[1]} x {shape[0]} pixels "
            f"(found at {reach}); give positions in um on the grid of the map"
        )
    place = np.floor(y[inside] + 0.5).astype(np.intp) * shape[1] + np.floor(x[inside] + 0.5).astype(np.intp)
    place = place[field.area_um2.ravel()[place] > 0]
    per_pixel = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
    return Counts(per_pixel, len(place), len(particles) - len(place))
