"""Height, curvature and growth rate along a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError

Line = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Profile:
    """Values along a line, at equal distances; all (N,) float64, NaN where not measured.

    Parameters
    ----------
    distance_um : (N,), µm
        From the start of the line.
    height_um : (N,), µm
    mean_per_um : (N,), 1/µm
        Mean curvature, a trench positive.
    rate_nm_per_s : (N,), nm/s
    """

    distance_um: NDArray[np.float64]
    height_um: NDArray[np.float64]
    mean_per_um: NDArray[np.float64]
    rate_nm_per_s: NDArray[np.float64]


def profile(
    height_um: ArrayLike,
    mean_per_um: ArrayLike,
    rate_nm_per_s: ArrayLike,
    line_um: Line,
    *,
    pixel_um: float,
    width_um: float = 0.0,
) -> Profile:
    """Read three maps along a line.

    Parameters
    ----------
    height_um, mean_per_um, rate_nm_per_s : (H, W) float32
        Maps on one grid; NaN where not measured.
    line_um : ((y0, x0), (y1, x1)), µm
        Ends of the line; the middle of pixel (0, 0) is at (0, 0).
    pixel_um : float, µm
        Size of a pixel.
    width_um : float, µm
        Average over a band this wide across the line; 0 reads the line itself.

    Returns
    -------
    Profile
        One point per pixel; bilinear, and NaN beside pixels that were not measured.

    Raises
    ------
    InputError
        If the maps differ in shape, the line has no length, or an end is outside the field.
    """
    maps = [np.asarray(one, dtype=np.float64) for one in (height_um, mean_per_um, rate_nm_per_s)]
    shape = maps[0].shape
    if len(shape) != 2 or any(one.shape != shape for one in maps):
        raise InputError(f"profile: maps are {[one.shape for one in maps]}; give three equal maps (H, W)")
    distance, at = _points(line_um, (shape[0], shape[1]), pixel_um, width_um)
    return Profile(distance, *(_read(one, at) for one in maps))


def read_line(
    values: ArrayLike, line_um: Line, *, pixel_um: float, width_um: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read one map along a line.

    Parameters
    ----------
    values : (H, W), any unit
        NaN where not measured.
    line_um, pixel_um, width_um
        As in `profile`.

    Returns
    -------
    distance_um, values : (N,) float64
        One point per pixel; bilinear, and NaN beside pixels that were not measured.

    Raises
    ------
    InputError
        As `profile`.
    """
    one = np.asarray(values, dtype=np.float64)
    if one.ndim != 2:
        raise InputError(f"profile: the map has shape {one.shape}; give (H, W)")
    distance, at = _points(line_um, (one.shape[0], one.shape[1]), pixel_um, width_um)
    return distance, _read(one, at)


def _points(
    line_um: Line, shape: tuple[int, int], pixel_um: float, width_um: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances along the line, (N,) µm, and the points to read, (2, across, N) pixels."""
    ends = np.asarray(line_um, dtype=np.float64)
    if ends.shape != (2, 2) or not np.isfinite(ends).all():
        raise InputError("profile: the line must be y0,x0,y1,x1 in µm")
    far = (np.array(shape) - 1) * pixel_um
    # Rounded coordinates of a border are as good as the border.
    if (ends < -0.5 * pixel_um).any() or (ends > far + 0.5 * pixel_um).any():
        raise InputError(
            f"profile: the line from {tuple(ends[0].tolist())} to {tuple(ends[1].tolist())} µm leaves the "
            f"field, which ends at ({far[0]:.6g}, {far[1]:.6g}) µm"
        )
    ends = np.clip(ends, 0, far)
    length = float(np.hypot(*(ends[1] - ends[0])))
    if length < pixel_um:
        raise InputError(
            f"profile: the line is {length:.3g} µm long, a pixel {pixel_um:.3g} µm: draw it longer"
        )
    distance = np.linspace(0, length, int(np.ceil(length / pixel_um)) + 1)
    along = (ends[1] - ends[0]) / length
    across = np.array([along[1], -along[0]])
    half = max(round(width_um / pixel_um / 2), 0)
    offsets = np.arange(-half, half + 1) * pixel_um
    middle = ends[0][:, None] + along[:, None] * distance
    return distance, (middle[:, None] + (across[:, None] * offsets)[:, :, None]) / pixel_um


def _read(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return _mean(ndimage.map_coordinates(values, at, order=1, cval=np.nan))


def _mean(band: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(band)
    count = known.sum(axis=0)
    total = np.where(known, band, 0).sum(axis=0)
    # At least half the band, or the mean would be taken beside the line where pixels are missing.
    return np.where(2 * count > len(band), total / np.maximum(count, 1), np.nan)
