"""Artefact masks: pixels that bubbles, specular spikes or low texture spoil."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.kernels.footprint import disk
from lee.kernels.opening import opening
from lee.reconstruction.focus.measure import CELL_PX

# A bubble brings light of its own and takes it away again, and its rim and glint saturate. How far a cell's
# brightness ranges over a scan depends on the relief too, so the limit is set against the scan's own cells.
_LEAST_RANGE = 1.3
_RANGE_SIGMAS = 2.5
_SATURATED = 0.15
_SPREADING = 0.6
# Cells from the core that a bubble's blurred light may reach.
_REACH_CELLS = 3
# Inside such cells only what joins the trusted surface is surface: no step steeper than nearly all of that,
# nor than a bubble's face meets it.
_STEEP_QUANTILE = 0.98
_STEEPEST = (0.35, 3.0)
_NECK_PX = 2
# The blurred edge of a bubble bends the surface beside it.
_EDGE_PX = 6
# What lies in a bay or a gap this narrow between rejected pixels is under the bubble too.
_GAP_PX = 16
# Two windows that meet: what is narrower in both directions, and stands out by this share of the depth of
# field, is no surface that the windows could have seen.
_SPIKE_RADIUS_PX = 4
_SPIKE_HEIGHT = 0.25
# A height whose uncertainty exceeds this share of the depth of field says nothing.
_LEAST_SURE = 0.35


def mask_artefacts(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    *,
    brightness: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    pixel_um: float,
    depth_um: float,
) -> dict[str, NDArray[np.bool_]]:
    """Find the pixels whose height is not the surface's, by reason.

    Parameters
    ----------
    height, sigma : (H, W) float32, um
    brightness : three (ceil(H / 16), ceil(W / 16)) float32
        Of cells of 16 by 16 pixels over the scan: least and largest mean, counts, and largest share of
        saturated pixels.
    pixel_um : float, um
    depth_um : float, um
        Full width at half maximum of the focus curve.

    Returns
    -------
    dict
        Masks (H, W) bool under "no focus", "uncertain", "bubble" and "spike"; a pixel is in one at most.
    """
    none = ~np.isfinite(height)
    uncertain = ~none & ~(sigma <= _LEAST_SURE * depth_um)
    bubble = _bubbles(height, none | uncertain, brightness, pixel_um) & ~none & ~uncertain
    spike = _spikes(np.where(none | uncertain | bubble, np.nan, height).astype(np.float32), depth_um)
    return {"no focus": none, "uncertain": uncertain, "bubble": bubble, "spike": spike}


def _spikes(height: NDArray[np.float32], depth_um: float) -> NDArray[np.bool_]:
    """Specks narrower than the windows can see, that stand out of their surroundings either way."""
    opened = opening(height, footprint=disk(_SPIKE_RADIUS_PX), threshold=_SPIKE_HEIGHT * depth_um)
    return np.asarray(opened.removed != 0)


def _bubbles(
    height: NDArray[np.float32],
    unknown: NDArray[np.bool_],
    brightness: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    pixel_um: float,
) -> NDArray[np.bool_]:
    cells = _restless(*brightness)
    if not cells.any():
        return np.zeros(height.shape, bool)
    suspect = np.kron(cells, np.ones((CELL_PX, CELL_PX), bool))[: height.shape[0], : height.shape[1]]
    smooth = ndimage.median_filter(np.nan_to_num(height), 3)
    slope = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / (8 * pixel_um)
    sure = slope[~suspect & ~unknown]
    steepest = np.clip(1.3 * np.quantile(sure, _STEEP_QUANTILE) if sure.size else 0, *_STEEPEST)
    joined = (slope < steepest) & ~unknown
    firm = ndimage.binary_erosion(joined, iterations=_NECK_PX, border_value=1)
    labels, count = ndimage.label(firm | (joined & ~suspect))
    trusted = np.bincount(labels[~suspect & joined], minlength=count + 1)
    inside = np.bincount(labels[suspect], minlength=count + 1)
    # A piece of surface reaches out of the suspect cells; a bubble's face at most touches their edge.
    surface = (trusted > 0.25 * inside)[labels] & (labels > 0)
    surface = ndimage.binary_dilation(surface, iterations=_NECK_PX) & joined
    # What little inside a bubble happens to join is closed over, and its edge given up.
    return np.asarray(_closed(suspect & ~surface, _GAP_PX, _EDGE_PX))


def _closed(mask: NDArray[np.bool_], gap: int, seam: int) -> NDArray[np.bool_]:
    """`mask` without its holes and the gaps up to twice `gap` wide, and a seam around it."""
    border = gap + seam + 1
    wide = ndimage.distance_transform_edt(~np.pad(mask, border)) <= gap + seam
    closed = ndimage.binary_fill_holes(ndimage.distance_transform_edt(wide) > gap)
    return np.asarray(closed[border:-border, border:-border])


def _restless(
    least: NDArray[np.float32], most: NDArray[np.float32], saturated: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Cells whose brightness ranges wider than the scan's relief explains, around saturated ones."""
    spread = np.log(np.maximum(most, 1e-6) / np.maximum(least, 1e-6))
    usual, low = np.quantile(spread, [0.5, 0.16])
    limit = max(np.log(_LEAST_RANGE), float(usual + _RANGE_SIGMAS * (usual - low)))
    touched = spread > usual + _SPREADING * (limit - usual)
    core = (spread > limit) & (saturated > _SATURATED)
    bubbles = ndimage.binary_dilation(core, np.ones((3, 3)), iterations=_REACH_CELLS, mask=touched)
    return np.asarray(ndimage.binary_dilation(bubbles))
