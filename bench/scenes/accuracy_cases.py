"""The scans of the accuracy tables: table, renderer, name, and how to render one for a seed.

The texture of "rugged", of "trenches" among the clean scans, and of what is under random bubbles fades to a
tenth over regions.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.scenes import gaussian_gather_renderer as rays
from bench.scenes import gaussian_gather_specimens as specimens
from bench.scenes.gaussian_gather_bodies import Body
from bench.scenes.occlusion_kinds import KINDS, drawn
from bench.scenes.taken_scans import PIXEL_UM, Conditions, Image, Shape, Taken, renderer_b, virtual_rig
from lee.devices import virtual

Draw = Callable[[Shape, int], Taken]
Rows = dict[str, Draw]
RIG, RAYS = "virtual rig", "Gaussian gather"
DRIFT = Conditions(drift_px=(6.4, -4.8))  # 8 px
UNEVEN = Conditions(uneven=True)
DISTURBED = {
    "drift 8 px": DRIFT,
    "vibration 0.7 px": Conditions(vibration_px=0.7),
    "flicker 20 %": Conditions(flicker=0.2),
    "steps 2 µm": Conditions(step_um=2.0),
    "steps 3 µm": Conditions(step_um=3.0),
}
UNSEEN = {
    "no texture": Conditions(patches=True),
    "scan ends early": Conditions(scanned=0.7),
}


@dataclass(frozen=True)
class Case:
    """One row of a table; ``draw(shape, seed)`` takes the scan."""

    table: str
    renderer: str
    name: str
    draw: Draw


def data_folder(name: str) -> Path | None:
    """Return a folder of the shared data, found through LEE_SHARED_DATA; None where it is not there."""
    root = os.environ.get("LEE_SHARED_DATA")
    folder = Path(root) / name if root else None
    return folder if folder is not None and folder.is_dir() else None


def all_cases() -> list[Case]:
    """Return the rows that can be drawn here: measured topographies need LEE_SHARED_DATA."""
    found = []
    for table, by_renderer in (
        ("clean", {RIG: clean_rig(), RAYS: clean_rays()}),
        ("occluded", {RIG: occluded_rig(), RAYS: occluded_rays()}),
        ("unseen", under(UNSEEN)),
        ("disturbed", under(DISTURBED)),
    ):
        for renderer, rows in by_renderer.items():
            found += [Case(table, renderer, name, draw) for name, draw in rows.items()]
    return found


def clean_rig() -> Rows:
    deep = virtual.Sensor(bit_depth=16, full_well_e=30000)
    dim = virtual.Sensor(full_well_e=4000, mean_share=20 / 255)
    return {
        "gentle": partial(virtual_rig, scene=virtual.gentle),
        "rugged": partial(virtual_rig, scene=virtual.rugged),
        "electrode 20 µm": partial(virtual_rig, scene=partial(virtual.electrode, relief_um=20.0)),
        "rugged, uneven z": partial(virtual_rig, scene=virtual.rugged, how=UNEVEN),
        "rugged, 16 bit": partial(virtual_rig, scene=virtual.rugged, sensor=deep),
        "gentle, low light": partial(virtual_rig, scene=virtual.gentle, sensor=dim),
    }


def clean_rays() -> Rows:
    caps, trenches = specimens.caps, specimens.trenches
    deep = rays.Sensor(bits=12, full_well_e=15000)
    dim = rays.Sensor(full_well_e=3000, mean_share=0.08)
    rows: Rows = {
        "caps": partial(renderer_b, surface=caps),
        "trenches": partial(renderer_b, surface=trenches, fade=0.1),
        "terraces": partial(renderer_b, surface=specimens.terraces),
        "rough slope": partial(renderer_b, surface=specimens.rough_slope),
        "trenches, uneven z": partial(renderer_b, surface=trenches, fade=0.1, how=UNEVEN),
        "trenches, 12 bit": partial(renderer_b, surface=trenches, fade=0.1, sensor=deep),
        "caps, low light": partial(renderer_b, surface=caps, sensor=dim),
    }
    measured = data_folder("topography")
    if measured is not None:
        for name, title, relief in (
            ("matrix2_trench_lines", "measured lines 8 µm", 8.0),
            ("afm_di3_grains", "measured grains 6 µm", 6.0),
            ("plu_ground_lines", "measured ground 5 µm", 5.0),
        ):
            surface = partial(stretched, folder=measured, name=name, relief_um=relief)
            rows[title] = partial(renderer_b, surface=surface)
    return rows


def occluded_rig() -> Rows:
    gentle = partial(virtual.gentle, relief_um=10.0)
    rows: Rows = {
        kind: partial(virtual_rig, scene=gentle, floating=partial(kind_over, kind=kind)) for kind in KINDS
    }
    rows["random, gentle"] = partial(virtual_rig, scene=virtual.gentle, bubbles=3)
    rows["random, rugged"] = partial(virtual_rig, scene=virtual.rugged, bubbles=3)
    return rows


def occluded_rays() -> Rows:
    # One function object for all rows, so that they share their light.
    trenches, slope = specimens.trenches, specimens.rough_slope
    rows: Rows = {
        kind: partial(renderer_b, surface=slope, floating=partial(kind_over, kind=kind)) for kind in KINDS
    }
    rows["random, caps"] = partial(renderer_b, surface=specimens.caps, floating=random_rings)
    rows["random, trenches"] = partial(renderer_b, surface=trenches, fade=0.1, floating=random_rings)
    return rows


def under(conditions: dict[str, Conditions]) -> dict[str, Rows]:
    """Return rows of one smooth and one rough surface of each renderer under conditions."""
    rig: Rows = {}
    ray: Rows = {}
    for name, how in conditions.items():
        for title, scene in (("gentle", virtual.gentle), ("rugged", virtual.rugged)):
            rig[f"{title}, {name}"] = partial(virtual_rig, scene=scene, how=how)
        for title, surface in (("caps", specimens.caps), ("rough slope", specimens.rough_slope)):
            ray[f"{title}, {name}"] = partial(renderer_b, surface=surface, how=how)
    return {RIG: rig, RAYS: ray}


def kind_over(height_um: Image, z_um: NDArray[np.float64], seed: int, *, kind: str) -> Sequence[Body]:
    """Return the bodies of a kind over a surface."""
    return drawn(kind, height_um, z_um, PIXEL_UM, seed)


def random_rings(height_um: Image, _: NDArray[np.float64], seed: int) -> Sequence[Body]:
    """Return three rings that float low over a surface, there for most of the scan or for part of it."""
    rng = np.random.default_rng([seed, 10])
    return [_ring(height_um, rng) for _ in range(3)]


def _ring(height_um: Image, rng: np.random.Generator) -> Body:
    y, x = rng.uniform(0.2, 0.8, 2) * height_um.shape
    radius, rim = rng.uniform(4, 8), rng.uniform(3, 8)
    start, stop = rng.uniform(0, 0.4), rng.uniform(0.6, 1)
    return Body(
        y_um=y * PIXEL_UM,
        x_um=x * PIXEL_UM,
        z_um=float(height_um[int(y), int(x)]) + radius * rng.uniform(0.5, 1.2),
        radius_um=radius,
        rim=rim,
        glint=2 * rim,
        passes=rng.uniform(0.4, 0.8),
        motion_um=(float(rng.normal(0, 2.5)), float(rng.normal(0, 2.5))),
        present=(start, stop) if rng.random() < 0.5 else (0.0, 1.0),
    )


def stretched(
    shape: Shape, pixel_um: float, rng: np.random.Generator, *, folder: Path, name: str, relief_um: float
) -> Image:
    """Return a measured topography, mirrored at random, so that seeds differ in more than brightness."""
    height = specimens.topography(folder, name, relief_um, shape, pixel_um)
    return np.ascontiguousarray(np.flip(height, axis=int(rng.integers(0, 2))))
