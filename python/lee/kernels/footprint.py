"""Footprints: the neighbourhood of a local operation, as disk, ellipse, rectangle, or any mask."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError


@dataclass(frozen=True, eq=False)
class Footprint:
    """A flat structuring element.

    Parameters
    ----------
    mask : (h, w) bool
        The pixels that belong to the shape; at least one. Even sizes and holes are allowed.
    centre : (int, int), optional
        Row and column in `mask` of the pixel that the result is for; the default is ``(h // 2, w // 2)``.

    Raises
    ------
    InputError
        If `mask` is not two-dimensional or holds no pixel, or `centre` is outside it.
    """

    mask: NDArray[np.bool_]
    centre: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        mask = np.array(self.mask, dtype=bool, order="C")
        if mask.ndim != 2:
            raise InputError(f"footprint: the mask has {mask.ndim} dimensions; give a two-dimensional one")
        if not mask.any():
            raise InputError(f"footprint: no pixel of the {mask.shape} mask is set; set at least one")
        h, w = mask.shape
        y, x = (h // 2, w // 2) if tuple(self.centre) == (-1, -1) else (int(v) for v in self.centre)
        if not (0 <= y < h and 0 <= x < w):
            raise InputError(f"footprint: the centre {(y, x)} is outside the mask of shape {(h, w)}")
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "centre", (y, x))

    @property
    def area_px(self) -> int:
        """Number of pixels that belong to the shape."""
        return int(self.mask.sum())


def ellipse(radius_y_px: float, radius_x_px: float, *, angle_rad: float = 0.0) -> Footprint:
    """Make an ellipse: every pixel whose centre lies within it.

    Parameters
    ----------
    radius_y_px, radius_x_px : float, px
        Semi-axes along y and x before turning; not negative.
    angle_rad : float, rad
        Turn of the ellipse from +x towards +y.

    Returns
    -------
    Footprint
        Odd height and width, symmetric about its centre.

    Raises
    ------
    InputError
        If a radius is negative or a value is not finite.
    """
    if (
        not all(map(math.isfinite, (radius_y_px, radius_x_px, angle_rad)))
        or min(radius_y_px, radius_x_px) < 0
    ):
        raise InputError(
            f"ellipse: radii {radius_y_px} and {radius_x_px} px turned by {angle_rad} rad; "
            "give finite radii >= 0"
        )
    # A hair above the radius: a pixel exactly on the rim belongs to the shape whatever the rounding.
    a, b = max(radius_x_px, 1e-3) * (1 + 1e-9), max(radius_y_px, 1e-3) * (1 + 1e-9)
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    half_w, half_h = int(math.hypot(a * cos, b * sin)), int(math.hypot(a * sin, b * cos))
    y, x = np.mgrid[-half_h : half_h + 1, -half_w : half_w + 1].astype(np.float64)
    along, across = x * cos + y * sin, y * cos - x * sin
    return Footprint((along / a) ** 2 + (across / b) ** 2 <= 1.0)


def disk(radius_px: float) -> Footprint:
    """Make a disk: every pixel whose centre lies within `radius_px` of the middle pixel.

    Parameters
    ----------
    radius_px : float, px
        Not negative; 0 is a single pixel, 1.5 the 3 by 3 square.

    Returns
    -------
    Footprint
        ``2 * int(radius_px) + 1`` pixels high and wide.

    Raises
    ------
    InputError
        If the radius is negative or not finite.
    """
    if not math.isfinite(radius_px) or radius_px < 0:
        raise InputError(f"disk: the radius is {radius_px} px; give a finite radius >= 0")
    return ellipse(radius_px, radius_px)


def rectangle(height_px: int, width_px: int) -> Footprint:
    """Make a filled rectangle.

    Parameters
    ----------
    height_px, width_px : int, px
        At least 1. The centre of an even extent n is pixel n // 2.

    Returns
    -------
    Footprint
        The rectangle.

    Raises
    ------
    InputError
        If an extent is smaller than 1.
    """
    if height_px < 1 or width_px < 1:
        raise InputError(f"rectangle: {height_px} by {width_px} px; both extents must be at least 1")
    return Footprint(np.ones((int(height_px), int(width_px)), dtype=bool))


def as_footprint(shape: "Footprint | ArrayLike") -> Footprint:
    """Take a Footprint as it is, anything else as a mask with the default centre."""
    return shape if isinstance(shape, Footprint) else Footprint(np.asarray(shape))
