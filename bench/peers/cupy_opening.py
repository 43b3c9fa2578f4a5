"""The opening composed from calls of scipy.ndimage, or of its twin in CuPy."""

from typing import Any

import numpy as np

from lee.kernels.footprint import Footprint


def extremes(nd: Any, height: Any, mask: Any, first: str) -> Any:
    """Flat opening (first "erosion") or closing ("dilation"); outside the image there is nothing."""
    outside = {"erosion": np.inf, "dilation": -np.inf}
    second = "dilation" if first == "erosion" else "erosion"
    for operation in (first, second):
        apply = getattr(nd, f"grey_{operation}")
        height = apply(height, footprint=mask, mode="constant", cval=outside[operation])
    return height


def opening(xp: Any, nd: Any, height: Any, footprint: Footprint, threshold: float) -> tuple[Any, Any]:
    """Peaks, then pits of what is left, as `lee.opening` with a threshold; all of `height` is measured."""
    mask = xp.asarray(footprint.mask)
    opened = extremes(nd, height, mask, "erosion")
    peak = height - opened > threshold
    out = xp.where(peak, opened, height)
    closed = extremes(nd, out, mask, "dilation")
    touched, above = closed - out > threshold, height - closed
    high, low = above > threshold, above < -threshold
    out = xp.where(touched, xp.where(high | low, closed, height), out)
    removed = xp.where(touched, high.view(np.int8) - low.view(np.int8), peak.view(np.int8))
    return out, removed
