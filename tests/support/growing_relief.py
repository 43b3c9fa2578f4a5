"""Reliefs that grow by a known law, and what a microscope would make of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from lee.devices.virtual.scene.texture import smooth_field

PIXEL_UM = 0.25


class Grown(NamedTuple):
    """Height (T, H, W) µm and rate (T, H, W) nm/s, exact, at ``times_s``; ``trench`` (H, W): 1 in one."""

    height_um: np.ndarray
    rate_nm_per_s: np.ndarray
    times_s: np.ndarray
    trench: np.ndarray


def grown(
    seed: int,
    *,
    shape: tuple[int, int] = (192, 208),
    scans: int = 12,
    interval_s: float = 10.0,
    plating: int | None = None,
    decay_s: float = 90.0,
) -> Grown:
    """Trenches grow faster, and less so as they fill; after `plating` scans all dissolves at half the rate.

    rate = 25 + (30 + 30 trench) exp(-t / decay) nm/s, integrated exactly.
    """
    rng = np.random.default_rng(seed)
    relief = smooth_field(shape, 60, rng)
    trench = np.tanh(-2 * relief)
    times = interval_s * np.arange(scans)
    start = 6.0 * relief + 1.5 * smooth_field(shape, 15, rng)
    early = 30.0 + 30.0 * trench[None]
    faded = np.exp(-times / decay_s)[:, None, None]
    rate = 25.0 + early * faded
    change = 25.0 * times[:, None, None] + early * decay_s * (1 - faded)
    if plating is not None:
        # The interval before the first stripping scan belongs to stripping.
        since = times[plating:, None, None] - times[plating - 1]
        change[plating:] = change[plating - 1] - 0.5 * (25.0 + early * faded[plating - 1]) * since
        rate[plating:] = -0.5 * (25.0 + early * faded[plating - 1])
    return Grown(start + change / 1000, rate, times, trench)


def measured(
    truth: Grown, seed: int, *, sigma_um: float = 0.05, gaps: float = 0.02, outliers: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """Heights with errors alike over some pixels, gaps small and large, and wild pixels; and sigmas."""
    rng = np.random.default_rng(1000 + seed)
    shape = truth.height_um.shape
    errors = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 1.2, 1.2))
    errors /= errors.std()
    sigma = sigma_um * np.exp(0.3 * rng.standard_normal(shape))
    height = truth.height_um + sigma * errors
    wild = rng.random(shape) < outliers
    height[wild] += rng.normal(0, 3, int(wild.sum()))
    height[rng.random(shape) < gaps] = np.nan
    if gaps:
        for one in height:
            y, x = rng.integers(0, shape[1] - 20), rng.integers(0, shape[2] - 20)
            one[y : y + 20, x : x + 20] = np.nan
    return height.astype(np.float32), sigma.astype(np.float32)


def rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(error, dtype=np.float64))))
