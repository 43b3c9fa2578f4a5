"""What the refocuser found becomes a surface: without what hid it, and without holes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.fill import fill
from lee.glimpses import Maxima, glimpses
from lee.hidden import hidden
from lee.surface import Surface


def complete(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    sharp: NDArray[np.float32],
    *,
    brightness: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
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
        See `lee.hidden.hidden`.
    maxima : callable
        Returns what `lee.glimpses.glimpses` takes; called only where a bubble hid something.
    noise : float, counts
    depth_um, pixel_um : float, um
    metadata : dict
        Of the surface; what was not measured and why is added.
    """
    masks = hidden(height, sigma, brightness=brightness, pixel_um=pixel_um, depth_um=depth_um)
    valid = ~np.logical_or.reduce(list(masks.values()))
    metadata["not_measured_px"] = {reason: int(mask.sum()) for reason, mask in masks.items()}
    filled = fill(height, valid)
    if masks["bubble"].any():
        seen_height, seen = glimpses(
            filled, valid, [Maxima(*level) for level in maxima()], noise=noise, depth_um=depth_um
        )
        filled = fill(np.where(seen, seen_height, height), valid | seen)
    height = np.where(valid, height, np.nan)
    sigma = np.where(valid, sigma, np.nan)
    return Surface(height, filled, sigma, valid, sharp, pixel_um, metadata)
