"""Focal stacks of known surfaces by plain Gaussian defocus, quick enough for many in a test."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Map = NDArray[np.float64]


def hill(shape: tuple[int, int]) -> Map:
    """Heights between 4 and 9 µm, without any symmetry."""
    y, x = np.indices(shape)
    bump = np.exp(-(((y - 0.35 * shape[0]) / 22) ** 2) - ((x - 0.65 * shape[1]) / 27) ** 2)
    return 4 + 3 * bump + 2 * x / shape[1]


def texture(shape: tuple[int, int], *, contrast: float = 0.25, seed: int = 0) -> Map:
    """Brightness of fine texture, mean 120 counts."""
    fine = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 0.8)
    return 120 * (1 + contrast * fine / fine.std())


def frame_at(z_um: float, heights: Map, bright: Map, blur_px_per_um: float) -> Map:
    """What a camera sees with the focus at a height, without noise."""
    widths = np.concatenate([[0.0], np.geomspace(0.3, 12, 14)])
    blurred = np.stack([ndimage.gaussian_filter(bright, s) if s else bright for s in widths])
    width = np.clip(np.hypot(blur_px_per_um * (z_um - heights), 0.3), 0, 12)
    low = np.clip(np.searchsorted(widths, width) - 1, 0, len(widths) - 2)
    share = (width - widths[low]) / (widths[low + 1] - widths[low])
    below, above = (np.take_along_axis(blurred, k[None], 0)[0] for k in (low, low + 1))
    return (1 - share) * below + share * above


def focal_stack(
    shape: tuple[int, int],
    count: int,
    *,
    heights: Map | None = None,
    bright: Map | None = None,
    z_um: tuple[float, float] = (0.0, 12.0),
    blur_px_per_um: float = 1.6,
    noise: float = 1.0,
    seed: int = 0,
) -> tuple[Map, NDArray[np.uint8], Map]:
    """Return heights (H, W), frames (Z, H, W) uint8 and their z_um (Z,)."""
    heights = hill(shape) if heights is None else heights
    bright = texture(shape, seed=seed) if bright is None else bright
    at = np.linspace(*z_um, count)
    rng = np.random.default_rng(seed + 1)
    frames = [frame_at(z, heights, bright, blur_px_per_um) + rng.normal(0, noise, shape) for z in at]
    return heights, np.clip(np.round(frames), 0, 255).astype(np.uint8), at
