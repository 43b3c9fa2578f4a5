"""What errors do to a surface, judged by doing it once more: the focus window flattens, noise roughens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# The true effect on means over regions lies between nothing and that of smoothing once more; over runs of
# known truth by two renderers its rms was this share of it.
FLATTENED_SHARE = 0.7


def flattening(values: NDArray[np.float32], noise_area_px: float) -> NDArray[np.float32]:
    """Return by how much a map changes if it is smoothed as far as its errors are alike.

    Parameters
    ----------
    values : (H, W) float32, any unit
        NaN where not measured.
    noise_area_px : float
        Pixels that share one error: the focus window smooths errors and surface alike.

    Returns
    -------
    (H, W) float32, the same unit
        NaN where not measured.
    """
    known = np.isfinite(values)
    width = _width_px(noise_area_px)
    smooth = ndimage.gaussian_filter(np.where(known, values, np.float32(0)), width)
    share = ndimage.gaussian_filter(known.astype(np.float32), width)
    return np.asarray(smooth / np.maximum(share, np.float32(1e-3)) - values, dtype=np.float32)


def noise_like(sigma: NDArray[np.float32], noise_area_px: float, *, seed: int = 0) -> NDArray[np.float32]:
    """Draw errors of this standard deviation, (H, W), of which so many neighbours share one."""
    drawn = np.random.default_rng([seed, 14]).standard_normal(sigma.shape, dtype=np.float32)
    drawn = ndimage.gaussian_filter(drawn, _width_px(noise_area_px), mode="wrap")
    return np.asarray(sigma * (drawn / max(float(drawn.std()), 1e-12)), dtype=np.float32)


def _width_px(noise_area_px: float) -> float:
    # The autocorrelation of what a Gaussian has smoothed covers 4 pi times its variance.
    return float(np.sqrt(max(noise_area_px, 1.0) / (4 * np.pi)))
