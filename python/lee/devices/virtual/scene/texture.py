"""Random fields: relief, grains of brightness, and what slope does to reflected light."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lee.devices.virtual.imaging.optics import Optics

Field = NDArray[np.float32]


def smooth_field(shape: tuple[int, int], size_px: float, rng: np.random.Generator) -> Field:
    """Return a Gaussian random field of unit variance; its correlation is `size_px` wide at half height."""
    # Drawn larger than asked, so that opposite edges are not the same.
    margin = int(np.ceil(2 * size_px)) + 1
    grid = tuple(fft.next_fast_len(n + margin, real=True) for n in shape)
    fy = fft.fftfreq(grid[0])[:, None]
    fx = fft.rfftfreq(grid[1])[None, :]
    sigma = size_px / 2.355 / np.sqrt(2)
    spectrum = fft.rfft2(rng.standard_normal(grid, dtype=np.float32))
    spectrum *= np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2)).astype(np.float32)
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum, grid)
    field /= field.std()
    return np.ascontiguousarray(field[: shape[0], : shape[1]], dtype=np.float32)


def mixed_field(
    shape: tuple[int, int], sizes_px: Sequence[float], power: float, rng: np.random.Generator
) -> Field:
    """Return fields of several sizes added with amplitude size**power, of unit variance."""
    total = np.zeros(shape, dtype=np.float32)
    for size in sizes_px:
        total += np.float32(size**power) * smooth_field(shape, size, rng)
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


def grains(shape: tuple[int, int], pixel_um: float, rng: np.random.Generator, spread: float = 0.45) -> Field:
    """Return log-normal brightness around 1 from grains of 0.4 to 3 µm, with `spread` its log's deviation."""
    sizes = [max(size / pixel_um, 0.5) for size in (0.4, 0.7, 1.3, 3.0)]
    field = mixed_field(shape, sizes, 0.0, rng)
    return np.asarray(np.exp(spread * field - spread**2 / 2), dtype=np.float32)


def facing(height_um: Field, pixel_um: float, optics: Optics, floor: float = 0.3) -> Field:
    """Return how bright a surface shows through the objective that also lights it, by slope.

    A mirror tilted by theta turns the light by 2 theta: what returns is the overlap of the pupil with
    itself so shifted. A share `floor` is scattered in all directions and stays.
    """
    gy, gx = np.gradient(height_um.astype(np.float32), pixel_um)
    tilt = np.arctan(np.hypot(gy, gx))
    shift = np.minimum(np.sin(2 * tilt) * optics.refractive_index / (2 * optics.na), 1.0)
    shift[tilt > np.pi / 4] = 1.0
    overlap = (2 / np.pi) * (np.arccos(shift) - shift * np.sqrt(1 - shift**2))
    return np.asarray(floor + (1 - floor) * overlap, dtype=np.float32)
