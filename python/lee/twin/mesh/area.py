"""True area of the electrode at each column: as the mesh has it, and as the pixels do.

What is finer than the columns is smoothed away, but its area keeps reacting: where it is small against the
distances over which potential and concentration vary, it draws as much more current as it has more area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.surfaces.noise_correlation import noise_of, white_noise_of

# Area that errors of the heights may add before it is subtracted, as a share.
_MAX_NOISE_AREA = 0.02
_GAUSS = 0.5 - 0.5 / np.sqrt(3)
# Slope between two pixels from which it is a vertical wall, if before and behind them it is this share of it.
_WALL, _ALONE = 5.0, 0.2

Map = NDArray[np.float64]


def seen_areas(y_um: Map, x_um: Map) -> Map:
    """Return what each column stands for as seen from above, (ny, nx), µm²."""
    parts = []
    for places in (y_um, x_um):
        part = np.zeros(len(places))
        part[:-1] += 0.5 * np.diff(places)
        part[1:] += 0.5 * np.diff(places)
        parts.append(part)
    return np.asarray(parts[0][:, None] * parts[1])


def mesh_area_ratio(height_um: Map, y_um: Map, x_um: Map) -> Map:
    """Return true area over that seen from above at each column of bilinear cells.

    Parameters
    ----------
    height_um : (ny, nx) float64
        At the columns.
    y_um, x_um : (ny,), (nx,) float64

    Returns
    -------
    (ny, nx) float64
        Weighted with the columns' shape functions, so that its mean over the seen areas is the whole ratio.
    """
    dy, dx = np.diff(y_um)[:, None], np.diff(x_um)[None]
    total = np.zeros_like(height_um)
    a, b, c, d = height_um[:-1, :-1], height_um[:-1, 1:], height_um[1:, :-1], height_um[1:, 1:]
    for v in (_GAUSS, 1 - _GAUSS):
        for u in (_GAUSS, 1 - _GAUSS):
            along_x = ((1 - v) * (b - a) + v * (d - c)) / dx
            along_y = ((1 - u) * (c - a) + u * (d - b)) / dy
            part = 0.25 * dy * dx * np.sqrt(1 + along_x**2 + along_y**2)
            total[:-1, :-1] += (1 - v) * (1 - u) * part
            total[:-1, 1:] += (1 - v) * u * part
            total[1:, :-1] += v * (1 - u) * part
            total[1:, 1:] += v * u * part
    return total / seen_areas(y_um, x_um)


def pixel_area_ratio(
    height_um: Map,
    sigma_um: NDArray[np.floating] | None,
    pixel_um: float,
    y_um: Map,
    x_um: Map,
    smooth_um: tuple[float, float] = (0.0, 0.0),
) -> tuple[Map, float]:
    """Return the same for the surface as the pixels have it, without the area of their errors.

    The pixels are smoothed just so far that their errors add at most 2 % of area, and what they add is
    subtracted. Errors are as stated, their correlation estimated; without a statement, independent ones are
    estimated from the heights. A height that jumps between two pixels, level on either side, is a vertical
    wall there: it adds its height to the level pixels' area.

    Parameters
    ----------
    height_um : (H, W) float64
        Finite everywhere.
    sigma_um : (H, W) float64 or None
        Standard deviations.
    pixel_um : float
    y_um, x_um : (ny,), (nx,) float64
        The columns.
    smooth_um : (float, float)
        Standard deviations along y and x of the Gaussian that smoothed the heights of the mesh. The area is
        spread alike: on the mesh, a wall then has its area at the heights where it is.

    Returns
    -------
    (ny, nx) float64
    float
        Standard deviation of the smoothing, µm.
    """
    heights = height_um.astype(np.float32)
    if sigma_um is None:
        rms, apart = white_noise_of(heights) / pixel_um, 0.0
    else:
        noise = noise_of(heights, np.asarray(sigma_um, np.float32))
        rms, apart = (noise.rms_um or 0.0) / pixel_um, noise.correlation_px
    # Correlated errors are white ones smoothed before. Smoothed to a width w, they differ from pixel to pixel
    # with the variance white (1 − e^(−1/4w²)) / 2πw², and 2 rms² where nothing is smoothed.
    white = rms**2 * max(4 * np.pi * apart**2, 1.0)
    width = float(np.sqrt(max(np.sqrt(white / (8 * np.pi * _MAX_NOISE_AREA)) - apart**2, 0.0)))
    if apart == 0 and rms**2 < _MAX_NOISE_AREA / 2:
        width = 0.0
    whole = max(width**2 + apart**2, 1e-9)
    alike = float(np.exp(-0.25 / whole))
    slope = min(white * (1 - alike) / (2 * np.pi * whole), 2 * rms**2) * (1 + alike) / 2
    smooth = ndimage.gaussian_filter(height_um, width, mode="reflect") if width > 0.1 else height_um
    padded = np.pad(smooth, 1, mode="edge")
    along_x, along_y = np.diff(padded, axis=1) / pixel_um, np.diff(padded, axis=0) / pixel_um
    # Both slopes are means over the four pixels around a corner: a wall at an angle to the pixels' rows is a
    # staircase, and has too much area if each of its steps counts.
    square = 1 + _mean_of_two(along_x, 0) ** 2 + _mean_of_two(along_y, 1) ** 2
    ratio = np.sqrt(square) - 0.5 * slope * (1 + square) / square**1.5
    ratio += np.hypot(_mean_of_two(_cut_at_walls(along_x, 1), 0), _mean_of_two(_cut_at_walls(along_y, 0), 1))
    spread = [along / pixel_um for along in smooth_um]
    ratio = ndimage.gaussian_filter(ratio, spread, mode="reflect") if max(spread) > 0 else ratio
    rows = _shape_weights(y_um, pixel_um, ratio.shape[0])
    columns = _shape_weights(x_um, pixel_um, ratio.shape[1])
    return np.maximum(rows @ ratio @ columns.T, 1.0), width * pixel_um


def _mean_of_two(values: Map, axis: int) -> Map:
    lines = np.moveaxis(values, axis, 0)
    return np.moveaxis(0.5 * (lines[:-1] + lines[1:]), 0, axis)


def _cut_at_walls(slopes: Map, axis: int) -> Map:
    """Return what the slope across a vertical wall lacks of the wall's height and the level pixel."""
    steep = np.abs(np.moveaxis(slopes, axis, 0))
    beside = np.pad(steep, [(1, 1), (0, 0)])
    alone = np.maximum(beside[:-2], beside[2:]) < _ALONE * steep
    cut = np.where(alone & (steep > _WALL), 1 + steep - np.sqrt(1 + steep**2), 0.0)
    return np.moveaxis(cut, 0, axis)


def _shape_weights(places: Map, pixel_um: float, corners: int) -> Map:
    """Weights (columns, corners) of the pixels' corners in a column's shape function; each row adds to 1."""
    at = np.arange(corners) * pixel_um
    share = np.full(corners, pixel_um)
    share[[0, -1]] *= 0.5
    # Finer columns than pixels read the area between the pixels' corners.
    width = max(places[1] - places[0], pixel_um)
    weights = np.maximum(1 - np.abs(places[:, None] - at) / width, 0.0) * share
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
