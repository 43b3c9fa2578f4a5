"""Surfaces of the second renderer: caps, trenches, terraces, rough slopes and measured topographies.

Their brightness is that of polygonal grains, bright or dark, and of scratches: hard edges and two modes,
where the virtual rig has soft log-normal grains.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Image = NDArray[np.float32]
Shape = tuple[int, int]


@dataclass(frozen=True)
class Specimen:
    """A surface: ``height_um`` (H, W), 0 in its middle, and ``reflectance`` (H, W), both float32."""

    height_um: Image
    reflectance: Image
    pixel_um: float


def caps(shape: Shape, pixel_um: float, rng: np.random.Generator) -> Image:
    """Return spherical caps of 2 to 5 µm on a plane that is tilted by 1 µm."""
    y, x = coordinates(shape, pixel_um)
    wide = shape[1] * pixel_um
    height = np.zeros(shape)
    for _ in range(9):
        top, radius = rng.uniform(2, 5), rng.uniform(25, 60)
        at_y, at_x = rng.uniform(0, shape[0] * pixel_um), rng.uniform(0, wide)
        square = np.maximum(radius**2 - (y - at_y) ** 2 - (x - at_x) ** 2, 0)
        height = np.maximum(height, np.sqrt(square) - radius + top)
    return centred(cv2.GaussianBlur(height, (0, 0), 1.0 / pixel_um) + x / wide)


def trenches(shape: Shape, pixel_um: float, rng: np.random.Generator) -> Image:
    """Return winding trenches 8 µm deep and 26 µm apart, with bumps of 3 to 8 µm."""
    y, x = coordinates(shape, pixel_um)
    angle = rng.uniform(0, np.pi)
    along, across = np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y
    bend = 3 * np.sin(2 * np.pi * along / rng.uniform(35, 50) + rng.uniform(0, 6))
    height = 4 * np.sin(2 * np.pi * (across + bend) / 26)
    return centred(height + waves(shape, pixel_um, rng, (3, 8), 24, 0.6))


def terraces(shape: Shape, pixel_um: float, rng: np.random.Generator) -> Image:
    """Return four flat levels 2.5 µm apart with walls of one pixel between them."""
    plan = waves(shape, pixel_um, rng, (30, 70), 12, 1.0)
    edges = np.quantile(plan, [0.25, 0.5, 0.75])
    return centred(2.5 * np.digitize(plan, edges).astype(float))


def rough_slope(shape: Shape, pixel_um: float, rng: np.random.Generator) -> Image:
    """Return a plane that rises by 8 µm over the field, rough at every scale from 2 to 40 µm."""
    y, x = coordinates(shape, pixel_um)
    angle = rng.uniform(0, 2 * np.pi)
    plane = 8 * (np.cos(angle) * y + np.sin(angle) * x) / (shape[1] * pixel_um)
    octaves = [(low, 2 * low, 0.08 * low**0.7) for low in (2, 4, 8, 16)]
    return centred(plane + sum(waves(shape, pixel_um, rng, (a, b), 16, rms) for a, b, rms in octaves))


def topography(folder: Path, name: str, relief_um: float, shape: Shape, pixel_um: float) -> Image:
    """Return a measured surface stretched to the field, its central 99 % scaled to a height difference."""
    source = np.load(folder / f"{name}.npy").astype(np.float64)
    json.loads((folder / f"{name}.json").read_text())  # a surface without its origin is not used
    side = min(source.shape) // 2 if min(source.shape) > 500 else min(source.shape)
    part = np.nan_to_num(source[:side, :side], nan=float(np.nanmedian(source)))
    large = cv2.GaussianBlur(
        cv2.resize(part, shape[::-1], interpolation=cv2.INTER_CUBIC), (0, 0), 0.4 / pixel_um
    )
    y, x = coordinates(shape, 1.0)
    plane = np.stack([np.ones(large.size), y.ravel(), x.ravel()], axis=1)
    large -= (plane @ np.linalg.lstsq(plane, large.ravel(), rcond=None)[0]).reshape(shape)
    low, high = np.quantile(large, [0.005, 0.995])
    return centred(np.clip(large, low, high) * relief_um / (high - low))


def dressed(height_um: Image, pixel_um: float, rng: np.random.Generator, *, fade: float = 1.0) -> Specimen:
    """Give a surface grains, scratches and darker slopes; where they fade, `fade` of the contrast is left."""
    bright = grains(height_um.shape, pixel_um, rng) * scratches(height_um.shape, pixel_um, rng)
    slope_y, slope_x = np.gradient(height_um, pixel_um)
    bright *= 0.4 + 0.6 / (1 + 2 * (slope_y**2 + slope_x**2))
    if fade < 1:
        plan = waves(height_um.shape, pixel_um, rng, (40, 80), 10, 1.0)
        low, high = np.quantile(plan, [0.15, 0.5])
        contrast = fade ** (1 - np.clip((plan - low) / (high - low), 0, 1))
        bright = bright.mean() + contrast * (bright - bright.mean())
    return Specimen(height_um, bright.astype(np.float32), pixel_um)


def grains(shape: Shape, pixel_um: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return polygonal grains about 1.2 µm wide, each of uniform brightness: a third of them bright."""
    fine = 2
    high, wide = shape[0] * pixel_um, shape[1] * pixel_um
    seeds = rng.uniform((0, 0), (high, wide), (int(high * wide / 1.4), 2))
    shining = rng.random(len(seeds)) < 1 / 3
    tone = np.where(shining, rng.uniform(0.7, 1.1, len(seeds)), rng.uniform(0.3, 0.55, len(seeds)))
    y, x = coordinates((fine * shape[0], fine * shape[1]), pixel_um / fine)
    _, nearest = cKDTree(seeds).query(np.stack([y.ravel(), x.ravel()], axis=1))
    return np.asarray(cv2.resize(tone[nearest].reshape(y.shape), shape[::-1], interpolation=cv2.INTER_AREA))


def scratches(shape: Shape, pixel_um: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return straight scratches, most of them dark, one for each 60 µm²."""
    fine = 4
    plate = np.ones((fine * shape[0], fine * shape[1]), dtype=np.float32)
    for _ in range(int(shape[0] * shape[1] * pixel_um**2 / 60)):
        length, angle = rng.uniform(5, 30) / pixel_um * fine, rng.normal(0.6, 0.5)
        start = rng.uniform((0, 0), plate.shape[::-1])
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        tone = float(rng.choice([0.55, 0.7, 1.4]))
        thick = max(1, round(rng.uniform(0.2, 0.5) / pixel_um * fine))
        cv2.line(plate, tuple(map(int, start)), tuple(map(int, end)), tone, thick)
    return np.asarray(cv2.resize(plate, shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.float64)


def waves(
    shape: Shape,
    pixel_um: float,
    rng: np.random.Generator,
    sizes_um: tuple[float, float],
    count: int,
    rms: float,
) -> NDArray[np.float64]:
    """Return plane waves with half wavelengths between two sizes, added up to a root mean square height."""
    y, x = coordinates(shape, pixel_um)
    total = np.zeros(shape)
    for _ in range(count):
        k = np.pi / rng.uniform(*sizes_um)
        angle = rng.uniform(0, 2 * np.pi)
        total += np.sin(k * (np.cos(angle) * x + np.sin(angle) * y) + rng.uniform(0, 2 * np.pi))
    return np.asarray(total * (rms / np.sqrt(count / 2)))


def coordinates(shape: Shape, pixel_um: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[: shape[0], : shape[1]] * pixel_um
    return y, x


def centred(height_um: NDArray[np.floating]) -> Image:
    middle = (float(height_um.min()) + float(height_um.max())) / 2
    return np.asarray(height_um - middle, dtype=np.float32)
