"""Artefact masks: pixels whose height is not that of the surface, by reason."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.kernels.footprint import disk
from lee.kernels.opening import opening
from lee.reconstruction.focus.cells import CellRecord, at_pixels, cells_of, nearest_sample
from lee.reconstruction.focus.measure import FocusMaxima, over_field

Mask = NDArray[np.bool_]

# A height is measured only if its standard deviation is below this share of the depth of field.
_MAX_RELATIVE_SIGMA = 0.35
# A specular spike: narrower than two windows in both directions, so that no window could have resolved it as
# surface, and out of its surroundings by this share of the depth of field.
_SPIKE_RADIUS_PX = 4
_SPIKE_HEIGHT = 0.25
# Bare patches: nothing in focus in most of such squares, and in all of some. Windows at their edge see the
# texture beside them.
_BARE_WINDOW_PX, _BARE_PX, _BARE_EDGE_PX = 7, 5, 4
# Texture is strong where its focus is so many times that of noise, on average over this distance.
_STRONG, _LEAK_PX = 12.0, 20
# Beside them a window's texture lies so far off the pixel, less where fewer of the pixels around are bare.
_BESIDE_BARE_PX, _OFFSET_PX, _WHOLE_SHARE = 15, 1.75, 0.25
# Two maxima, farther apart than the depth of field, of which either may be the surface's: the smaller is at
# least this share of the larger, and so many times above the noise.
_ALIKE, _CLEAR_OF_NOISE = 0.5, 3.0
# A surface beyond the scan's end: the focus of its cell at that end exceeds that at the height found by this
# factor. Cells whose focus at the ends stays below a share of its maximum are not looked at.
_BEYOND, _MIN_END_SHARE = 2.0, 0.3
# An end is two samples, of few one.
_FEW_SAMPLES = 10


def spikes(height: NDArray[np.float32], depth_um: float) -> Mask:
    """Mask specks narrower than the windows resolve that stand out of their surroundings, up or down."""
    opened = opening(height, footprint=disk(_SPIKE_RADIUS_PX), threshold=_SPIKE_HEIGHT * depth_um)
    return np.asarray(opened.removed != 0)


def uncertain(sigma: NDArray[np.float32], depth_um: float) -> Mask:
    """Mask heights whose standard deviation is too large to call them measured."""
    return ~(sigma <= _MAX_RELATIVE_SIGMA * depth_um)


def beside_stronger(maxima: FocusMaxima, level: int, shape: tuple[int, int], *, noise: float) -> Mask:
    """Mask pixels (H, W) around which texture is strong, so that its light may pass for theirs.

    Parameters
    ----------
    maxima : FocusMaxima
    level : int
        Of the maxima; its pixels cover 2^level by 2^level of the field's.
    shape : (H, W)
    noise : float, counts
        Focus that noise alone gives.
    """
    around = ndimage.gaussian_filter(maxima.peak[0], _LEAK_PX / 2**level, mode="nearest")
    return over_field(around > _STRONG * noise, level, shape)


def bare_patches(textured: Mask) -> Mask:
    """Mask patches without texture, (H, W), and their edges.

    Parameters
    ----------
    textured : (H, W) bool
        Where texture of a pixel's own came into focus.
    """
    blank = ~textured
    if not blank.any():
        return blank
    share = ndimage.uniform_filter(blank.astype(np.float32), _BARE_WINDOW_PX, mode="nearest")
    wide = ndimage.binary_opening(share > 0.5, np.ones((_BARE_PX, _BARE_PX)))
    return np.asarray(ndimage.binary_dilation(wide, iterations=_BARE_EDGE_PX)) | blank


def two_maxima(
    maxima: FocusMaxima, level: int, shape: tuple[int, int], *, noise: float, depth_um: float
) -> Mask:
    """Mask pixels (H, W) with two maxima nearly as good: a film and what lies beneath, or a second surface.

    Parameters
    ----------
    maxima : FocusMaxima
    level : int
        Of the maxima; its pixels cover 2^level by 2^level of the field's.
    shape : (H, W)
    noise : float, counts
        Focus that noise alone gives.
    depth_um : float, µm
    """
    largest, second = maxima.peak
    apart = np.abs(maxima.z_um[1] - maxima.z_um[0]) > depth_um
    alike = (second > _ALIKE * largest) & (second > _CLEAR_OF_NOISE * noise) & apart
    return over_field(alike, level, shape)


def sigma_beside_bare_patches(filled: NDArray[np.float32], bare: Mask) -> NDArray[np.float32]:
    """Return the standard deviation (H, W), µm, that windows at the edges of bare patches add.

    They see the texture beside a pixel, and so the height there.

    Parameters
    ----------
    filled : (H, W) float32, µm
        Heights, those of the bare patches filled.
    bare : (H, W) bool
    """
    if not bare.any():
        return np.zeros(filled.shape, np.float32)
    wide = ndimage.binary_opening(bare, np.ones((_BARE_PX, _BARE_PX)))
    share = ndimage.uniform_filter(wide.astype(np.float32), _BESIDE_BARE_PX, mode="nearest")
    smooth = ndimage.uniform_filter(filled, 5, mode="nearest")
    slope_um = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / 8
    return np.asarray(_OFFSET_PX * np.minimum(share / _WHOLE_SHARE, 1) * slope_um, dtype=np.float32)


def rising_to_an_end(record: CellRecord, shape: tuple[int, int]) -> Mask:
    """Mask pixels (H, W) of cells whose focus is largest in the first or the last samples."""
    if record.focus.size == 0:
        return np.zeros(shape, bool)
    largest, count = record.focus.argmax(axis=0), len(record.focus)
    end = 1 if count < _FEW_SAMPLES else 2
    return at_pixels((largest < end) | (largest >= count - end), shape)


def out_of_range(height: NDArray[np.float32], record: CellRecord, bare: Mask) -> Mask:
    """Mask pixels (H, W) of a surface beyond the scan's ends, whose focus rises toward one of them.

    Parameters
    ----------
    height : (H, W) float32, µm
    record : CellRecord
    bare : (H, W) bool
        Where nothing came into focus: because it is beyond, where the cell's focus is largest at an end.
    """
    if record.focus.size == 0:
        return np.zeros(height.shape, bool)
    beyond = bare & rising_to_an_end(record, height.shape)
    ends = np.maximum(record.focus[0], record.focus[-1])
    suspect = at_pixels(ends > _MIN_END_SHARE * record.focus.max(axis=0), height.shape)
    y, x = np.nonzero(suspect & np.isfinite(height))
    rows, columns = cells_of(y, x, ends.shape)
    found = record.focus[nearest_sample(record.z_um, height[y, x]), rows, columns]
    beyond[y, x] |= ends[rows, columns] > _BEYOND * found
    return beyond
