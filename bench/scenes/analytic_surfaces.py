"""Surfaces whose mean curvature and area are known in closed form, their sizes and places drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
FIELD_UM = 100.0
_FINER = 4


@dataclass(frozen=True)
class Derivatives:
    """Height, slopes along y and x, and second derivatives, each (H, W)."""

    height: Map
    y: Map
    x: Map
    yy: Map
    xy: Map
    xx: Map

    @property
    def mean_per_um(self) -> Map:
        """Mean curvature, trenches positive."""
        curved = (1 + self.y**2) * self.xx - 2 * self.x * self.y * self.xy + (1 + self.x**2) * self.yy
        return np.asarray(curved / (2 * (1 + self.x**2 + self.y**2) ** 1.5))

    @property
    def stretch(self) -> Map:
        """Area for each projected area."""
        return np.asarray(np.sqrt(1 + self.x**2 + self.y**2))


Surface = Callable[[Map, Map], Derivatives]


def sphere(rng: np.random.Generator) -> Surface:
    radius, y0, x0 = rng.uniform(85, 110), *rng.uniform(-5, 5, 2)

    def at(y: Map, x: Map) -> Derivatives:
        v, u = y - y0, x - x0
        z = np.sqrt(radius**2 - v**2 - u**2)
        # The bowl: a hollow one, positive everywhere.
        return Derivatives(-z, v / z, u / z, 1 / z + v**2 / z**3, u * v / z**3, 1 / z + u**2 / z**3)

    return at


def sinusoid(rng: np.random.Generator) -> Surface:
    high, long_y, long_x = rng.uniform(2.5, 6), *rng.uniform(35, 55, 2)
    phase_y, phase_x = rng.uniform(0, 2 * np.pi, 2)

    def at(y: Map, x: Map) -> Derivatives:
        ky, kx = 2 * np.pi / long_y, 2 * np.pi / long_x
        sy, cy = np.sin(ky * y + phase_y), np.cos(ky * y + phase_y)
        sx, cx = np.sin(kx * x + phase_x), np.cos(kx * x + phase_x)
        z = high * sy * sx
        return Derivatives(
            z, high * ky * cy * sx, high * kx * sy * cx, -(ky**2) * z, high * ky * kx * cy * cx, -(kx**2) * z
        )

    return at


def torus(rng: np.random.Generator) -> Surface:
    """The upper outer part of a flat ring, its axis outside the field."""
    tube, ring = rng.uniform(80, 95), rng.uniform(110, 140)
    turn = rng.uniform(0, 2 * np.pi)

    def at(y: Map, x: Map) -> Derivatives:
        v, u = y - ring * np.sin(turn), x - ring * np.cos(turn)
        far = np.hypot(v, u)
        out = far - ring
        z = np.sqrt(tube**2 - out**2)
        slope, bend = -out / z, -1 / z - out**2 / z**3
        ey, ex = v / far, u / far
        across = slope / far
        return Derivatives(
            z,
            slope * ey,
            slope * ex,
            bend * ey**2 + across * ex**2,
            (bend - across) * ey * ex,
            bend * ex**2 + across * ey**2,
        )

    return at


def saddle(rng: np.random.Generator) -> Surface:
    bend, turn = 1 / rng.uniform(80, 120), rng.uniform(0, np.pi)
    c, s = np.cos(2 * turn) * bend, np.sin(2 * turn) * bend

    def at(y: Map, x: Map) -> Derivatives:
        one = np.ones_like(x)
        z = 0.5 * c * (x**2 - y**2) + s * x * y
        return Derivatives(z, -c * y + s * x, c * x + s * y, -c * one, s * one, c * one)

    return at


SURFACES: dict[str, Callable[[np.random.Generator], Surface]] = {
    "sphere": sphere,
    "sinusoid": sinusoid,
    "torus": torus,
    "saddle": saddle,
}


def sampled(surface: Surface, side_px: int) -> tuple[Derivatives, float]:
    """Return a surface at the centres of side_px x side_px pixels of the field, and the pixel size, µm."""
    pixel = FIELD_UM / side_px
    along = (np.arange(side_px) + 0.5) * pixel - FIELD_UM / 2
    return surface(*np.meshgrid(along, along, indexing="ij")), pixel


def area_um2(surface: Surface, side_px: int) -> float:
    """Return the area over the whole field, by the midpoint rule on a finer grid than side_px a side."""
    exact, fine = sampled(surface, _FINER * side_px)
    return float(exact.stretch.sum() * fine**2)
