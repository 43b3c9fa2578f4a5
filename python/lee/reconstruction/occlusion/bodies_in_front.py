"""Bodies that stay in front of a surface from the first frame to the last, and come into focus as it does.

They change nothing in time. What tells them from a protrusion is that nothing joins them to the surface
around, and that the surface beneath comes into focus through them, too; or, where they let nothing pass, that
they are compact and that their texture is unlike that of the surface around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.measure import FocusMaxima
from lee.surfaces.filling import fill

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

# A slope joins heights if it is at most a little more than that of most of the surface, and within limits.
_STEEP_QUANTILE, _STEEPER, _SLOPE_LIMITS = 0.9, 1.3, (0.35, 3.0)
# All lengths below are in pixels of every second row and column.
_EVERY = 2
# Detached is what lies in a hole of the rest that is so wide at least, off the surface around by this share
# of the depth of field; the median of a body's is this one. So far off, fewer pixels than a window has mean
# nothing.
_OPENED_PX, _OFF, _MEDIAN_ABOVE, _MIN_PATCH_PX, _BESIDE_PX = 1, 0.5, 0.6, 7, 4
# The surface is seen through a body if in this share of its pixels a second maximum at the surface's height
# is this share of the focus that is usual around it, and so many times above the noise.
_SEEN_THROUGH, _OF_USUAL, _CLEAR_OF_NOISE = 0.2, 0.1, 3.0
# Compact is what has this much in common with a disk, parts narrower than a share of its radius aside; a
# texture is unlike the surface's if its focus is larger or smaller by this factor than that of so many pixels
# around.
_COMPACT, _NARROW, _UNLIKE, _AROUND_PX = 0.8, 0.25, 2.0, 12


def bodies_in_front(
    height: Map, valid: Mask, finest: FocusMaxima, *, noise: float, pixel_um: float, depth_um: float
) -> Mask:
    """Mask pixels (H, W) of bodies in front of the surface that never move.

    Parameters
    ----------
    height : (H, W) float32, µm
        Ignored where not `valid`.
    valid : (H, W) bool
    finest : FocusMaxima
        Of the finest window: one for each pixel.
    noise : float, counts
        Focus that noise alone gives.
    pixel_um, depth_um : float, µm
    """
    every = (slice(None, None, _EVERY),) * 2
    peak, z_um = (of[(slice(None), *every)] for of in (finest.peak, finest.z_um))
    coarse = _Coarse(height[every], valid[every], peak, z_um[1], noise, depth_um)
    found = coarse.bodies(_EVERY * pixel_um)
    rows, columns = (np.arange(n) // _EVERY for n in valid.shape)
    return found[rows][:, columns]


@dataclass(frozen=True, eq=False)
class _Coarse:
    """What `bodies_in_front` takes, on a coarser grid; ``second_um`` are the heights of the second maxima."""

    height: Map
    valid: Mask
    peak: Map
    second_um: Map
    noise: float
    depth_um: float

    def bodies(self, pixel_um: float) -> Mask:
        out = np.zeros(self.valid.shape, bool)
        if not self.valid.any():
            return out
        labels, _ = ndimage.label(_joined(self.height, self.valid, pixel_um))
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        surface = labels == areas.argmax()
        others = ndimage.binary_opening(~surface, np.ones((3, 3)), iterations=_OPENED_PX)
        holes, _ = ndimage.label(ndimage.binary_fill_holes(others))
        for number, box in enumerate(ndimage.find_objects(holes), 1):
            inner = holes[box] == number
            if (inner & self.valid[box]).any() and not _reaches_the_edge(box, out.shape):
                wide = tuple(slice(max(0, side.start - _AROUND_PX), side.stop + _AROUND_PX) for side in box)
                hole = holes[wide] == number
                out[wide] |= self._of_hole(wide, hole, surface[wide] & ~hole)
        return out

    def _of_hole(self, at: tuple[slice, ...], hole: Mask, around: Mask) -> Mask:
        """Return what of a hole in the surface is none of it: all of a body, or specks, or nothing."""
        height = self.height[at]
        measured = hole & self.valid[at]
        ground = fill(height, around)
        off = height - ground
        specks: Mask = _specks(measured, around) & (np.abs(off) > _OFF * self.depth_um)
        patch = measured & ~specks & (off > _OFF * self.depth_um)
        if patch.sum() < _MIN_PATCH_PX or np.median(off[patch]) < _MEDIAN_ABOVE * self.depth_um:
            return specks
        largest, second = (np.maximum(np.nan_to_num(peak[at]), 1e-12) for peak in self.peak)
        usual = float(np.exp(np.log(largest[around]).mean()))
        beneath = np.abs(self.second_um[at] - ground) < _OFF * self.depth_um
        beneath &= second > max(_OF_USUAL * usual, _CLEAR_OF_NOISE * self.noise)
        unlike = abs(np.log(np.median(largest[patch]) / usual)) > np.log(_UNLIKE)
        body = beneath[patch].mean() > _SEEN_THROUGH or (unlike and _compactness(hole) > _COMPACT)
        return hole if body else specks


def _specks(measured: Mask, surface: Mask) -> Mask:
    """Return the small parts of what is measured, all of them far from the surface."""
    labels, _ = ndimage.label(measured)
    small = np.bincount(labels.ravel()) < _MIN_PATCH_PX
    small[0] = False
    small[labels[ndimage.binary_dilation(surface, iterations=_BESIDE_PX)]] = False
    return np.asarray(small[labels])


def _joined(height: Map, valid: Mask, pixel_um: float) -> Mask:
    """Return the measured pixels that passable slopes join to those beside."""
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    smooth = ndimage.median_filter(height[tuple(nearest)], 3)
    slope = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / (8 * pixel_um)
    steepest = np.clip(_STEEPER * np.quantile(slope[valid], _STEEP_QUANTILE), *_SLOPE_LIMITS)
    return np.asarray(valid & (slope < steepest))


def _reaches_the_edge(box: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    return any(side.start == 0 or side.stop == n for side, n in zip(box, shape, strict=True))


def _compactness(region: Mask) -> float:
    """Return what a region, its narrow parts aside, has in common with the disk of its area: 1 for a disk."""
    inside = np.pad(region, 1)
    narrow = _NARROW * np.sqrt(region.sum() / np.pi)
    core = ndimage.distance_transform_edt(inside) > narrow
    if not core.any():
        return 0.0
    inside = ndimage.distance_transform_edt(~core) <= narrow
    y, x = np.nonzero(inside)
    rows, columns = np.indices(inside.shape)
    disk = np.hypot(rows - y.mean(), columns - x.mean()) < np.sqrt(y.size / np.pi)
    return float((disk & inside).sum() / (disk | inside).sum())
