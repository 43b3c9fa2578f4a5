"""Baseline focus measures to compare with: the height of the sharpest frame at every pixel."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def baseline_heights(
    frames: NDArray[np.generic], z_um: NDArray[np.float64], window_px: int
) -> dict[str, NDArray[np.float32]]:
    """Return at every pixel the height of the frame in which a focus measure is highest.

    Parameters
    ----------
    frames : (Z, H, W) counts
    z_um : (Z,) µm
    window_px : int
        Side of the square over which a measure is averaged.

    Returns
    -------
    dict of str to (H, W) float32, µm
        ``"variance"`` over mean, and ``"Tenengrad"``: the squared Sobel gradient. Ties take the lowest frame.
    """
    best = {name: np.full(frames.shape[1:], -np.inf, np.float32) for name in ("variance", "Tenengrad")}
    height = {name: np.zeros(frames.shape[1:], np.float32) for name in best}
    for frame, z in zip(frames, z_um, strict=True):
        grey = frame.astype(np.float32)
        mean = ndimage.uniform_filter(grey, window_px)
        variance = ndimage.uniform_filter(grey * grey, window_px) - mean * mean
        gradient = ndimage.sobel(grey, 0) ** 2 + ndimage.sobel(grey, 1) ** 2
        focus = {
            "variance": variance / np.maximum(mean, np.float32(1)),
            "Tenengrad": ndimage.uniform_filter(gradient, window_px),
        }
        for name, value in focus.items():
            sharper = value > best[name]
            best[name][sharper] = value[sharper]
            height[name][sharper] = z
    return height
