"""The scans of the accuracy table: name, renderer, and how to render one for a seed.

The texture of "rugged" and "trenches" fades to a tenth over regions.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.scenes import gaussian_gather_renderer as rays
from bench.scenes import gaussian_gather_specimens as specimens
from lee.devices import virtual

Frames = NDArray[np.generic]
Shape = tuple[int, int]
PIXEL_UM = 0.25
STEP_UM = 0.2
MARGIN_UM = 3.0
DRIFT_PX = (6.4, -4.8)  # 8 px


@dataclass(frozen=True)
class Taken:
    """A scan with its truth.

    ``truth_um`` (H, W) is the surface where the first frame shows it, NaN outside the scene, as `lee`
    reports it; ``mean_truth_um`` where the scan shows it on average: the fairest to a method that corrects
    no drift.
    """

    frames: Frames
    z_um: NDArray[np.float64]
    truth_um: NDArray[np.float32]
    mean_truth_um: NDArray[np.float32]
    touched: NDArray[np.bool_]
    drift_px: tuple[float, float] = (0.0, 0.0)
    pixel_um: float = PIXEL_UM

    def seen_throughout(self) -> NDArray[np.bool_]:
        """Return which pixels (H, W) of the first frame show something that no frame of the scan has lost."""
        inside = np.ones(self.truth_um.shape, dtype=bool)
        for axis, drift in enumerate(self.drift_px):
            at = np.arange(inside.shape[axis])
            kept = (at + drift >= 0) & (at + drift <= inside.shape[axis] - 1)
            inside &= kept[:, None] if axis == 0 else kept[None, :]
        return inside


@dataclass(frozen=True)
class Case:
    """One row of the table; ``draw(shape, seed)`` takes the scan."""

    renderer: str
    name: str
    draw: Callable[[Shape, int], Taken]


def data_folder(name: str) -> Path | None:
    """Return a folder of the shared data, found through LEE_SHARED_DATA; None where it is not there."""
    root = os.environ.get("LEE_SHARED_DATA")
    folder = Path(root) / name if root else None
    return folder if folder is not None and folder.is_dir() else None


def heights(truth: NDArray[np.float32], seed: int, *, uneven: bool) -> NDArray[np.float64]:
    """Return stage positions over a surface: every 0.2 µm, or between 0.1 and 0.35 µm apart."""
    low, high = float(truth.min()) - MARGIN_UM, float(truth.max()) + MARGIN_UM
    if not uneven:
        return np.arange(low, high, STEP_UM)
    steps = np.random.default_rng([seed, 5]).uniform(0.1, 0.35, int((high - low) / 0.1))
    z = low + np.cumsum(steps)
    return z[z < high]


def virtual_rig(
    shape: Shape,
    seed: int,
    *,
    scene: Callable[..., virtual.Scene],
    bubbles: int = 0,
    sensor: virtual.Sensor | None = None,
    drift_px: tuple[float, float] = (0.0, 0.0),
    uneven: bool = False,
) -> Taken:
    drawn = scene(shape, PIXEL_UM, seed)
    if bubbles:
        drawn = drawn.with_bubbles(bubbles, seed + 1, (4.0, 9.0))
    z = heights(drawn.height_um, seed, uneven=uneven)
    scan = virtual.render_scan(drawn, z_um=z, sensor=sensor, drift_px=drift_px, seed=seed)
    return Taken(scan.frames, z, scan.truth_seen_in(0), scan.truth_um, scan.touched, drift_px)


def renderer_b(
    shape: Shape,
    seed: int,
    *,
    surface: Callable[..., specimens.Image],
    fade: float = 1.0,
    rings: int = 0,
    sensor: rays.Sensor | None = None,
    drift_px: tuple[float, float] = (0.0, 0.0),
    uneven: bool = False,
) -> Taken:
    rng = np.random.default_rng([seed, 9])
    height = surface(shape, PIXEL_UM, rng)
    specimen = specimens.dressed(height, PIXEL_UM, rng, fade=fade)
    z = heights(height, seed, uneven=uneven)
    floating = [drawn_ring(height, rng) for _ in range(rings)]
    scan = rays.record(specimen, z, sensor=sensor, rings=floating, drift_px=drift_px, seed=seed)
    first = height
    if any(drift_px):
        by = np.array([[1, 0, -drift_px[1] / 2], [0, 1, -drift_px[0] / 2]])
        outside = float("nan")
        moved = cv2.warpAffine(height, by, shape[::-1], borderMode=cv2.BORDER_CONSTANT, borderValue=outside)
        first = np.asarray(moved, dtype=np.float32)
    return Taken(scan.frames, z, first, height, scan.touched, drift_px)


def drawn_ring(height: specimens.Image, rng: np.random.Generator) -> rays.Ring:
    """Return a bubble that floats low over a surface, there for most of the scan or for part of it."""
    y, x = rng.uniform(0.2, 0.8, 2) * height.shape
    radius = rng.uniform(4, 8)
    start, stop = rng.uniform(0, 0.4), rng.uniform(0.6, 1)
    return rays.Ring(
        y_um=y * PIXEL_UM,
        x_um=x * PIXEL_UM,
        z_um=float(height[int(y), int(x)]) + radius * rng.uniform(0.5, 1.2),
        radius_um=radius,
        rim=rng.uniform(3, 8),
        passes=rng.uniform(0.4, 0.8),
        motion_um=(float(rng.normal(0, 2.5)), float(rng.normal(0, 2.5))),
        present=(start, stop) if rng.random() < 0.5 else (0.0, 1.0),
    )


def all_cases() -> list[Case]:
    """Return the rows that can be drawn here: measured topographies need LEE_SHARED_DATA."""
    electrode = partial(virtual.electrode, relief_um=20.0)
    deep = virtual.Sensor(bit_depth=16, full_well_e=30000)
    dim = virtual.Sensor(full_well_e=4000, mean_share=20 / 255)
    rig = {
        "gentle": partial(virtual_rig, scene=virtual.gentle),
        "rugged": partial(virtual_rig, scene=virtual.rugged),
        "electrode 20 µm": partial(virtual_rig, scene=electrode),
        "gentle, bubbles": partial(virtual_rig, scene=virtual.gentle, bubbles=3),
        "rugged, bubbles": partial(virtual_rig, scene=virtual.rugged, bubbles=3),
        "gentle, drift 8 px": partial(virtual_rig, scene=virtual.gentle, drift_px=DRIFT_PX),
        "rugged, drift 8 px": partial(virtual_rig, scene=virtual.rugged, drift_px=DRIFT_PX),
        "rugged, uneven z": partial(virtual_rig, scene=virtual.rugged, uneven=True),
        "rugged, 16 bit": partial(virtual_rig, scene=virtual.rugged, sensor=deep),
        "gentle, low light": partial(virtual_rig, scene=virtual.gentle, sensor=dim),
    }
    caps, trenches = specimens.caps, specimens.trenches
    deep_b = rays.Sensor(bits=12, full_well_e=15000)
    dim_b = rays.Sensor(full_well_e=3000, mean_share=0.08)
    ray = {
        "caps": partial(renderer_b, surface=caps),
        "trenches": partial(renderer_b, surface=trenches, fade=0.1),
        "terraces": partial(renderer_b, surface=specimens.terraces),
        "rough slope": partial(renderer_b, surface=specimens.rough_slope),
        "caps, bubbles": partial(renderer_b, surface=caps, rings=3),
        "trenches, bubbles": partial(renderer_b, surface=trenches, fade=0.1, rings=3),
        "caps, drift 8 px": partial(renderer_b, surface=caps, drift_px=DRIFT_PX),
        "trenches, uneven z": partial(renderer_b, surface=trenches, fade=0.1, uneven=True),
        "trenches, 12 bit": partial(renderer_b, surface=trenches, fade=0.1, sensor=deep_b),
        "caps, low light": partial(renderer_b, surface=caps, sensor=dim_b),
    }
    measured = data_folder("topography")
    if measured is not None:
        for name, title, relief in (
            ("matrix2_trench_lines", "measured lines 8 µm", 8.0),
            ("afm_di3_grains", "measured grains 6 µm", 6.0),
            ("plu_ground_lines", "measured ground 5 µm", 5.0),
        ):
            surface = partial(stretched, folder=measured, name=name, relief_um=relief)
            ray[title] = partial(renderer_b, surface=surface)
    return [Case("virtual rig", name, draw) for name, draw in rig.items()] + [
        Case("Gaussian gather", name, draw) for name, draw in ray.items()
    ]


def stretched(
    shape: Shape, pixel_um: float, rng: np.random.Generator, *, folder: Path, name: str, relief_um: float
) -> specimens.Image:
    """Return a measured topography, mirrored at random, so that seeds differ in more than brightness."""
    height = specimens.topography(folder, name, relief_um, shape, pixel_um)
    return np.ascontiguousarray(np.flip(height, axis=int(rng.integers(0, 2))))
