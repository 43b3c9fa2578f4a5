"""Random errors of a height map: as large as stated, correlated as stated or estimated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.surfaces.height_map import HeightMap
from lee.surfaces.noise_correlation import Noise, bounded_sigma, correlated_noise, noise_of

Heights = NDArray[np.float64]


def height_errors(
    given: HeightMap, height: Heights, noise_um: float | None, correlation_px: float | None
) -> tuple[Noise | None, NDArray[np.float32] | None]:
    """Return the errors of the heights and their standard deviation at every pixel; None if not known.

    Parameters
    ----------
    given : HeightMap
        A standard deviation that it states is bounded to three medians.
    height : (H, W) float64, µm
        Its heights; NaN where not measured.
    noise_um, correlation_px
        As in `roughness`.

    Raises
    ------
    InputError
        If one is out of range.
    """
    if correlation_px is not None and not (np.isfinite(correlation_px) and correlation_px >= 0):
        raise InputError(f"roughness: noise_correlation_px is {correlation_px}; give px >= 0, or None")
    if noise_um is not None:
        if not (np.isfinite(noise_um) and noise_um > 0):
            raise InputError(f"roughness: noise_um is {noise_um}; give µm above 0, or None")
        sigma = np.full(height.shape, noise_um, np.float32)
    elif given.height_sigma_um is not None:
        sigma = bounded_sigma(np.asarray(given.height_sigma_um, np.float32))
    else:
        return None, None
    stated = np.where(np.isfinite(height), sigma, np.nan).astype(np.float32)
    return noise_of(height.astype(np.float32), stated, correlation_px=correlation_px), sigma


def drawn_errors(
    sigma_um: NDArray[np.float32], correlation_px: float, draws: int, seed: int
) -> Iterator[Heights]:
    """Draw random errors of a standard deviation, (H, W) µm, correlated over so many pixels."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        white = rng.standard_normal(sigma_um.shape, dtype=np.float32)
        yield (sigma_um * correlated_noise(white, correlation_px)).astype(np.float64)
