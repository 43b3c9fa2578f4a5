"""Heights near occlusions that may be an occlusion's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.cells import CellRecord, at_pixels, cells_of, nearest_sample
from lee.reconstruction.occlusion.detection import Cells, Occlusions, dilated

Mask = NDArray[np.bool_]

# Near an occlusion a height counts only if its maximum stands above the noise so far, or, where that is less,
# as far as this share of what is usual around; is near the largest focus that its cell showed unoccluded;
# and has a standard deviation below this share of the depth of field ...
_MIN_SIGNAL_TO_NOISE, _USUAL_SHARE, _AROUND_PX = 15.0, 0.2, 24
_MIN_CELL_FOCUS = 0.5
_MAX_SIGMA_NEAR_OCCLUSION = 0.25
# ... and it joins the surface outside: the slope between them is at most a little more than nearly all slopes
# outside, and within these limits.
_STEEP_QUANTILE = 0.98
_SLOPE_LIMITS = (0.35, 3.0)
_NECK_PX = 2
_AROUND_CELLS = 1


def near_occlusions(occlusions: Occlusions, shape: tuple[int, ...]) -> Mask:
    """Mask pixels (H, W) of cells that something occluded in any sample, and of those around."""
    return at_pixels(np.asarray(dilated(occlusions.occluded, _AROUND_CELLS, 0).any(axis=0)), shape)


def doubtful_near_occlusions(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    near: Mask,
    signal_to_noise: NDArray[np.float32],
    *,
    record: CellRecord,
    rejected: Cells,
    pixel_um: float,
    depth_um: float,
) -> Mask:
    """Mask pixels near an occlusion whose height is missing or may not be the surface's.

    Parameters
    ----------
    height, sigma : (H, W) float32, µm
        NaN where not measured.
    near : (H, W) bool
        From `near_occlusions`.
    signal_to_noise : (h, w) float32
        Of the maxima at a window size whose pixels cover H // h by W // w.
    record : CellRecord
        Of N samples.
    rejected : (N, rows, columns) bool
        Samples whose maxima were dropped.
    pixel_um, depth_um : float, µm
    """
    missing = ~np.isfinite(height)
    seen = np.where(rejected, 0, record.focus)
    y, x = np.nonzero(near & ~missing)
    rows, columns = cells_of(y, x, seen.shape[1:])
    found = seen[nearest_sample(record.z_um, height[y, x]), rows, columns]
    factor = height.shape[0] // signal_to_noise.shape[0]
    v, u = (np.minimum(at // factor, n - 1) for at, n in zip((y, x), signal_to_noise.shape, strict=True))
    enough = _enough(signal_to_noise, ~(near | missing), factor)
    sound = (
        (signal_to_noise[v, u] > enough[v, u])
        & (found > _MIN_CELL_FOCUS * seen.max(axis=0)[rows, columns])
        & (sigma[y, x] < _MAX_SIGMA_NEAR_OCCLUSION * depth_um)
    )
    doubtful = near & missing
    doubtful[y, x] = ~sound
    return doubtful | _detached(height, missing | doubtful, near, pixel_um)


def _enough(signal_to_noise: NDArray[np.float32], elsewhere: Mask, factor: int) -> NDArray[np.float32]:
    """Return the signal-to-noise ratio that a maximum near an occlusion must have, from those `elsewhere`."""
    rows, columns = (np.arange(n) * factor for n in signal_to_noise.shape)
    weight = elsewhere[rows][:, columns].astype(np.float32)
    level = np.where(weight > 0, np.log(np.maximum(signal_to_noise, 1e-3)), 0).astype(np.float32)
    total, share = (ndimage.gaussian_filter(of, _AROUND_PX / factor) for of in (level, weight))
    usual = np.exp(total / np.maximum(share, 1e-6))
    return np.where(
        share > 1e-3, np.minimum(_USUAL_SHARE * usual, _MIN_SIGNAL_TO_NOISE), _MIN_SIGNAL_TO_NOISE
    )


def _detached(height: NDArray[np.float32], out: Mask, near: Mask, pixel_um: float) -> Mask:
    """Mask pixels `near` occlusions that no passable slope joins to the surface outside."""
    smooth = ndimage.median_filter(np.nan_to_num(height), 3)
    slope = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / (8 * pixel_um)
    outside = slope[~near & ~out]
    steepest = np.clip(1.3 * np.quantile(outside, _STEEP_QUANTILE) if outside.size else 0, *_SLOPE_LIMITS)
    joined = (slope < steepest) & ~out
    firm = ndimage.binary_erosion(joined, iterations=_NECK_PX, border_value=1)
    labels, count = ndimage.label(firm | (joined & ~near))
    reaches_out = np.bincount(labels[~near & joined], minlength=count + 1)
    inside = np.bincount(labels[near], minlength=count + 1)
    # A piece of surface reaches out of the occluded cells; the face of a bubble at most touches their edge.
    surface = (reaches_out > 0.25 * inside)[labels] & (labels > 0)
    surface = ndimage.binary_dilation(surface, iterations=_NECK_PX) & joined
    return np.asarray(near & ~surface)
