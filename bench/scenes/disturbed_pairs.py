"""Pairs of frames whose noise is not Gaussian, whose light has changed, or of other bit depths."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import lee
from lee.devices import virtual

Map = NDArray[np.float64]
Pair = tuple[NDArray[Any], NDArray[Any]]
# A frame with spots, in standard deviations of a pixel's difference, or with none, from a generator.
Noise = Callable[[Map, np.random.Generator], NDArray[Any]]

_LEVEL, _NOISE = 200.0, 3.0
_BLINKING, _JUMPING = 0.01, 0.3
_SCAN_PIXEL_UM, _Z_STEP_UM = 0.2, 0.25


def poisson(mean: float, contrast: float = 0.0) -> Noise:
    """Return frames of photons: `mean` counts a pixel, a surface of that contrast, grains of 1 px."""

    def taken(spots: Map, rng: np.random.Generator) -> NDArray[Any]:
        grain = gaussian_filter(np.random.default_rng(5).normal(size=spots.shape), 1.0)
        light = mean * np.clip(1 + contrast * grain / grain.std(), 0.05, None)
        return np.asarray(rng.poisson(light + np.sqrt(2 * mean) * spots).astype(np.uint16))

    return taken


def white(draw: Callable[[np.random.Generator, tuple[int, ...]], Map]) -> Noise:
    """Return frames of float32 whose pixels have independent noise, drawn with unit variance."""

    def taken(spots: Map, rng: np.random.Generator) -> NDArray[Any]:
        counts = _LEVEL + _NOISE * (draw(rng, spots.shape) + np.sqrt(2) * spots)
        return np.asarray(counts.astype(np.float32))

    return taken


def blinking(counts: float) -> Noise:
    """Return frames in which 1 % of the pixels, always the same ones, jump in 30 % of the frames."""

    def taken(spots: Map, rng: np.random.Generator) -> NDArray[Any]:
        seen = white(lambda r, shape: r.normal(size=shape))(spots, rng)
        jumps = blinking_pixels(spots.shape) & (rng.random(spots.shape) < _JUMPING)
        return np.asarray(np.rint(seen + counts * jumps).astype(np.uint16))

    return taken


def blinking_pixels(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels of a camera blink."""
    return np.asarray(np.random.default_rng(77).random(shape) < _BLINKING)


NOISES: dict[str, Noise] = {
    "Gaussian": white(lambda r, shape: r.normal(size=shape)),
    "Poisson, 10 counts": poisson(10),
    "Poisson, 3 counts": poisson(3),
    "Poisson, 1 count": poisson(1),
    "Poisson, 10 counts, textured": poisson(10, 0.15),
    "1 % blink by 10 counts": blinking(10),
    "1 % blink by 30 counts": blinking(30),
    "1 % blink by 100 counts": blinking(100),
    "Student, 3 degrees": white(lambda r, shape: r.standard_t(3, size=shape) / np.sqrt(3)),
    "Laplace": white(lambda r, shape: r.laplace(size=shape) / np.sqrt(2)),
    "cosmic rays, 0.1 %": white(lambda r, shape: r.normal(size=shape) + 30.0 * (r.random(shape) < 1e-3)),
}


def still_scans(side_px: int, seed: int, *, blink: float) -> tuple[lee.ZStack, lee.ZStack]:
    """Return two scans of one still electrode; 1 % of the pixels blink by so many counts."""
    scene = virtual.electrode((side_px, side_px), _SCAN_PIXEL_UM, seed, relief_um=2.0)
    z_um = scene.z_range(_Z_STEP_UM, 2.0)
    rng = np.random.default_rng([seed, 3])
    pair = []
    for which in (0, 1):
        drawn = virtual.render_scan(scene, z_um=z_um, seed=2 * seed + which)
        frames = np.stack(list(drawn.frames)).astype(np.float64)
        frames += blink * (blinking_pixels(scene.shape) & (rng.random(frames.shape) < _JUMPING))
        counts = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
        pair.append(lee.ZStack.from_array(counts, z_um, _SCAN_PIXEL_UM))
    return pair[0], pair[1]


def waves(side_px: int, seed: int, rms: float = 10.0, length_px: float = 256.0) -> Map:
    """Return a difference that varies in waves, rms as given."""
    rng = np.random.default_rng([seed, 4])
    y, x = np.mgrid[:side_px, :side_px]
    total = np.zeros((side_px, side_px))
    for turn, phase in rng.uniform(0, 2 * np.pi, (3, 2)):
        total += np.cos(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / length_px + phase)
    return np.asarray(rms * total / total.std())


def moved_lamp(side_px: int, seed: int, brightest: float = 12.0) -> Map:
    """Return the difference that a lamp's spot makes which has moved: brighter here, darker there."""
    rng = np.random.default_rng([seed, 5])
    y, x = np.mgrid[:side_px, :side_px] / side_px
    places = rng.uniform(0.2, 0.8, (2, 2))
    light, dark = (np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * 0.35**2)) for a, b in places)
    change = light - dark
    return np.asarray(brightest * change / np.abs(change).max())


SLOW: dict[str, Callable[[int, int], Map]] = {
    "the same light": lambda side_px, seed: np.zeros((side_px, side_px)),
    "waves of 256 px, 10 noises": waves,
    "a lamp that moved, 12 noises": moved_lamp,
}

SCALES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "8 of 12 bits": lambda counts: (counts // 16).astype(np.uint8),
    "10 of 12 bits": lambda counts: (counts // 4).astype(np.uint16),
    "12 bits left-aligned in 16": lambda counts: (counts * 16).astype(np.uint16),
    "shares of the full scale": lambda counts: (counts / 4095).astype(np.float32),
}
