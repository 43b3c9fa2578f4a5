"""Artefact masks: pixels that bubbles, specular spikes or low texture spoil."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.kernels.footprint import disk
from lee.kernels.opening import opening
from lee.reconstruction.focus.measure import CELL_PX

# A bubble reflects light while it is there, and its rim and glint saturate. The range of a cell's brightness
# over a scan depends on the relief too, so the limit is set from the scan's own cells.
_MIN_RANGE = 1.3
_RANGE_SIGMAS = 2.5
_MIN_SATURATED_SHARE = 0.15
_SPREADING = 0.6
# Cells from the core that a bubble's blurred light may reach.
_REACH_CELLS = 3
# Inside such cells only pixels that join the surface outside are surface: the slope between them is at most a
# little more than nearly all slopes outside, and within these limits.
_STEEP_QUANTILE = 0.98
_SLOPE_LIMITS = (0.35, 3.0)
_NECK_PX = 2
# The blurred edge of a bubble distorts the surface beside it.
_EDGE_PX = 6
# A bay or gap this narrow between masked pixels is beneath the bubble too.
_GAP_PX = 16
# A specular spike: narrower than two windows in both directions, so that no window could have resolved it as
# surface, and out of its surroundings by this share of the depth of field.
_SPIKE_RADIUS_PX = 4
_SPIKE_HEIGHT = 0.25
# A height is measured only if its standard deviation is below this share of the depth of field.
_MAX_RELATIVE_SIGMA = 0.35


def mask_artefacts(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    *,
    brightness: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    pixel_um: float,
    depth_um: float,
) -> dict[str, NDArray[np.bool_]]:
    """Find the pixels whose height is not that of the surface, by reason.

    Parameters
    ----------
    height, sigma : (H, W) float32, µm
    brightness : three (ceil(H / 16), ceil(W / 16)) float32
        Of cells of 16 by 16 pixels over the scan: lowest and highest mean, counts, and largest share of
        saturated pixels.
    pixel_um : float, µm
    depth_um : float, µm
        Full width at half maximum of the focus curve.

    Returns
    -------
    dict
        Masks (H, W) bool under "no focus", "uncertain", "bubble" and "spike"; a pixel is in one at most.
    """
    none = ~np.isfinite(height)
    uncertain = ~none & ~(sigma <= _MAX_RELATIVE_SIGMA * depth_um)
    bubble = _bubbles(height, none | uncertain, brightness, pixel_um) & ~none & ~uncertain
    spike = _spikes(np.where(none | uncertain | bubble, np.nan, height).astype(np.float32), depth_um)
    return {"no focus": none, "uncertain": uncertain, "bubble": bubble, "spike": spike}


def _spikes(height: NDArray[np.float32], depth_um: float) -> NDArray[np.bool_]:
    """Mask specks narrower than the windows resolve that stand out of their surroundings, up or down."""
    opened = opening(height, footprint=disk(_SPIKE_RADIUS_PX), threshold=_SPIKE_HEIGHT * depth_um)
    return np.asarray(opened.removed != 0)


def _bubbles(
    height: NDArray[np.float32],
    not_measured: NDArray[np.bool_],
    brightness: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    pixel_um: float,
) -> NDArray[np.bool_]:
    cells = _unsteady_cells(*brightness)
    if not cells.any():
        return np.zeros(height.shape, bool)
    suspect = np.kron(cells, np.ones((CELL_PX, CELL_PX), bool))[: height.shape[0], : height.shape[1]]
    smooth = ndimage.median_filter(np.nan_to_num(height), 3)
    slope = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / (8 * pixel_um)
    outside = slope[~suspect & ~not_measured]
    steepest = np.clip(1.3 * np.quantile(outside, _STEEP_QUANTILE) if outside.size else 0, *_SLOPE_LIMITS)
    joined = (slope < steepest) & ~not_measured
    firm = ndimage.binary_erosion(joined, iterations=_NECK_PX, border_value=1)
    labels, count = ndimage.label(firm | (joined & ~suspect))
    reaches_out = np.bincount(labels[~suspect & joined], minlength=count + 1)
    inside = np.bincount(labels[suspect], minlength=count + 1)
    # A piece of surface reaches out of the suspect cells; the face of a bubble at most touches their edge.
    surface = (reaches_out > 0.25 * inside)[labels] & (labels > 0)
    surface = ndimage.binary_dilation(surface, iterations=_NECK_PX) & joined
    # Small pieces inside a bubble that happen to join are masked too, and so is its edge.
    return np.asarray(_closed(suspect & ~surface, _GAP_PX, _EDGE_PX))


def _closed(mask: NDArray[np.bool_], gap: int, seam: int) -> NDArray[np.bool_]:
    """Close the holes of `mask` and the gaps up to twice `gap` wide, and add a seam around it."""
    border = gap + seam + 1
    wide = ndimage.distance_transform_edt(~np.pad(mask, border)) <= gap + seam
    closed = ndimage.binary_fill_holes(ndimage.distance_transform_edt(wide) > gap)
    return np.asarray(closed[border:-border, border:-border])


def _unsteady_cells(
    lowest: NDArray[np.float32], highest: NDArray[np.float32], saturated: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Find cells whose brightness ranges wider than the relief explains, around saturated ones."""
    spread = np.log(np.maximum(highest, 1e-6) / np.maximum(lowest, 1e-6))
    usual, low = np.quantile(spread, [0.5, 0.16])
    limit = max(np.log(_MIN_RANGE), float(usual + _RANGE_SIGMAS * (usual - low)))
    touched = spread > usual + _SPREADING * (limit - usual)
    core = (spread > limit) & (saturated > _MIN_SATURATED_SHARE)
    bubbles = ndimage.binary_dilation(core, np.ones((3, 3)), iterations=_REACH_CELLS, mask=touched)
    return np.asarray(ndimage.binary_dilation(bubbles))
