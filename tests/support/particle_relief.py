"""A relief with trenches, an image of it, and particles that lie where curvature draws them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

import lee
from lee.devices.virtual.scene.texture import smooth_field
from lee.particles.table import empty_table
from lee.surfaces.surface import Surface

PIXEL_UM = 0.4
SHAPE = (150, 190)


class Nucleated(NamedTuple):
    """What detection hands on, and the density (H, W), 1/µm², that it was drawn from."""

    surface: Surface
    image: np.ndarray
    curvature_per_um: np.ndarray
    particles: pd.DataFrame
    density_per_um2: np.ndarray


def surface_of(height_um: np.ndarray, pixel_um: float = PIXEL_UM, image: np.ndarray | None = None) -> Surface:
    height = np.asarray(height_um, np.float32)
    valid = np.isfinite(height)
    usual = np.float32(np.median(height[valid])) if valid.any() else np.float32(0)
    refocused = np.full(height.shape, np.nan, np.float32) if image is None else image
    sigma = np.where(valid, np.float32(0.05), np.float32(np.nan))
    return Surface(height, np.where(valid, height, usual), sigma, valid, refocused, pixel_um)


def table(
    y_um: np.ndarray, x_um: np.ndarray, *, time_s: float = np.nan, diameter_nm: object = np.nan
) -> pd.DataFrame:
    """Particles at given places, all else of their columns unknown or plain."""
    found = empty_table().reindex(range(len(np.atleast_1d(y_um))))
    found["y_um"], found["x_um"], found["time_s"] = y_um, x_um, time_s
    found["diameter_nm"] = diameter_nm
    found["intensity_counts"], found["planes"], found["flag"] = 1000.0, 3, ""
    return found.astype({"planes": "int64", "flag": "object"})


def drawn_from(
    density_per_um2: np.ndarray, area_um2: np.ndarray, rng: np.random.Generator, pixel_um: float = PIXEL_UM
) -> pd.DataFrame:
    """Particles of a Poisson process; NaN density holds none."""
    expected = np.nan_to_num(density_per_um2 * area_um2)
    number = rng.poisson(expected)
    rows, columns = np.nonzero(number)
    rows, columns = (np.repeat(one, number[rows, columns]) for one in (rows, columns))
    within = rng.uniform(-0.5, 0.5, (2, len(rows)))
    return table((rows + within[0]) * pixel_um, (columns + within[1]) * pixel_um)


def nucleated(
    seed: int, *, count: float = 300, strength: float = 1.0, time_s: float = 10.0, diameter_nm: float = 220.0,
    gaps: bool = True,
) -> Nucleated:  # fmt: skip
    """About `count` particles on a relief of 60 x 76 um, more of them the more a place is a trench."""
    rng = np.random.default_rng(seed)
    height = 3.0 * smooth_field(SHAPE, 40, np.random.default_rng(7)) + 8
    rough = 0.05 * smooth_field(SHAPE, 6, rng)
    curved = lee.curvature(height, pixel_um=PIXEL_UM, scale_um=2.0).mean_per_um
    slope_y, slope_x = np.gradient(height, PIXEL_UM)
    area = PIXEL_UM**2 * np.sqrt(1 + slope_y**2 + slope_x**2)
    density = np.exp(strength * curved / curved.std())
    density *= count / (density * area).sum()
    particles = drawn_from(density, area, rng)
    n = len(particles)
    size = rng.normal(diameter_nm, 0.2 * diameter_nm, n).clip(60)
    particles["time_s"] = time_s
    particles["intensity_counts"] = 4000 * (size / 200) ** 3
    particles["intensity_sigma_counts"] = 90.0
    particles["snr"] = particles["intensity_counts"] / 90
    particles["diameter_nm"], particles["diameter_sigma_nm"] = size, 12.0
    rows, columns = ((particles[c] / PIXEL_UM).round().astype(int) for c in ("y_um", "x_um"))
    particles["z_um"] = particles["z_surface_um"] = height[rows.clip(0), columns.clip(0)]
    particles["flag"] = rng.choice(["", "crowded", "wide", "edge masked"], n, p=[0.85, 0.07, 0.05, 0.03])
    faint, bright = size < 0.7 * diameter_nm, size > 1.45 * diameter_nm
    particles.loc[faint, ["diameter_nm", "diameter_sigma_nm"]] = np.nan
    particles.loc[faint, "flag"] = "below_range"
    particles.loc[bright, ["diameter_nm", "diameter_sigma_nm"]] = np.nan
    particles.loc[bright, "flag"] = "above_range"
    image = (1200 + 350 * smooth_field(SHAPE, 4, rng) - 60 * (height - 8)).astype(np.float32)
    for y, x, spot in zip(rows, columns, particles["intensity_counts"], strict=True):
        image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] += spot / 9
    shown = height + rough
    if gaps:
        shown = shown.copy()
        shown[20:45, 150:185] = np.nan
    return Nucleated(surface_of(shown, image=image), image, curved, particles, density)
