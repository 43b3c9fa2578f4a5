"""What the refocuser found becomes a surface: without what hid it, and without holes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.artefact_masks import hidden
from lee.reconstruction.occluded_heights import Maxima, glimpses
from lee.surfaces.filling import fill
from lee.surfaces.surface import Surface

# What a pixel's finest window and detail reach.
_EDGE_PX = 4
# Less of a pixel is not worth resampling for.
_LEAST_REST_PX = 0.02
# Less drift than this toward an edge costs nothing.
_LEAST_PX = 0.5


def complete(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    sharp: NDArray[np.float32],
    *,
    brightness: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    drift: tuple[NDArray[np.float64], NDArray[np.float64]],
    rests: NDArray[np.float64],
    maxima: Callable[[], list[Any]],
    noise: float,
    depth_um: float,
    pixel_um: float,
    metadata: dict[str, Any],
) -> Surface:
    """Find what is not the surface, fill it, and gather everything into a `Surface`.

    Parameters
    ----------
    height, sigma, sharp : (H, W) float32; um, um, counts
        From the refocuser.
    brightness : three (ceil(H / 16), ceil(W / 16)) float32
        See `lee.reconstruction.artefact_masks.hidden`.
    drift : (N,) float64, um, and (N, 2) float64, pixels
        Heights of the frames used, and where each shows the sample displaced by, (dy, dx).
    rests : (G, 3) float64, um, pixels, pixels
        Height of each group of frames, and where `sharp` shows it displaced by against the heights, (dy, dx):
        images are taken back by whole pixels only.
    maxima : callable
        Returns what `glimpses` takes; called only where a bubble hid something.
    noise : float, counts
    depth_um, pixel_um : float, um
    metadata : dict
        Of the surface; what was not measured and why is added.
    """
    masks = hidden(height, sigma, brightness=brightness, pixel_um=pixel_um, depth_um=depth_um)
    masks["left the field"] = _left_the_field(height, *drift) & ~np.logical_or.reduce(list(masks.values()))
    valid = ~np.logical_or.reduce(list(masks.values()))
    metadata["not_measured_px"] = {reason: int(mask.sum()) for reason, mask in masks.items()}
    filled = fill(height, valid)
    if masks["bubble"].any():
        seen_height, seen = glimpses(
            filled, valid, [Maxima(*level) for level in maxima()], noise=noise, depth_um=depth_um
        )
        filled = fill(np.where(seen, seen_height, height), valid | seen)
    sharp = _placed(sharp, filled, rests)
    height = np.where(valid, height, np.nan)
    sigma = np.where(valid, sigma, np.nan)
    return Surface(height, filled, sigma, valid, sharp, pixel_um, metadata)


def _placed(
    sharp: NDArray[np.float32], height: NDArray[np.float32], rests: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Move each pixel's image to where its height lies."""
    if np.abs(rests[:, 1:]).max() < _LEAST_REST_PX:
        return sharp
    groups = rests[np.argsort(rests[:, 0])]
    # A pixel's image is of one group: what lies between two groups belongs to the nearer one.
    borders = (groups[1:, 0] + groups[:-1, 0]) / 2
    _, dy, dx = groups[np.searchsorted(borders, height)].transpose(2, 0, 1).astype(np.float32)
    y, x = np.indices(sharp.shape, dtype=np.float32)
    # Splines would spread what is not a number over the whole image.
    order = 3 if np.isfinite(sharp).all() else 1
    moved = ndimage.map_coordinates(sharp, (y + dy, x + dx), order=order, mode="nearest")
    return np.asarray(moved, dtype=np.float32).clip(np.nanmin(sharp), np.nanmax(sharp))


def _left_the_field(
    height: NDArray[np.float32], z_um: NDArray[np.float64], drift_px: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Pixels that had drifted beyond the frame, or so near its edge that it was repeated, when in focus."""
    order = np.argsort(z_um)
    left = np.zeros(height.shape, bool)
    for axis in (0, 1):
        size = height.shape[axis]
        at = np.arange(size, dtype=np.float64)
        at = at[:, None] if axis == 0 else at[None, :]
        there = at + np.interp(height, z_um[order], drift_px[order, axis])
        left |= there < np.minimum(at, _EDGE_PX) - _LEAST_PX
        left |= there > np.maximum(at, size - 1 - _EDGE_PX) + _LEAST_PX
    return left & np.isfinite(height)
