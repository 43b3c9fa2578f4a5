"""`lee demo` on small electrodes: all that it does, in a tenth of the time."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lee.demo import demo, following, growing, nucleation
from lee.demo import twin as demo_twin
from lee.devices.virtual import GrowingScene, Scene, electrode, growing_electrode


def small_scene(seed: int) -> Scene:
    scene = electrode((96, 96), 0.25, seed, relief_um=4.0)
    return scene.with_spikes(2, seed + 1).with_bubbles(1, seed + 2, (2.0, 3.0)).with_debris(1, seed + 3)


def small_growing(seed: int) -> GrowingScene:
    # Wide enough for the line that the README draws.
    return growing_electrode((92, 164), 0.25, seed, relief_um=2.0, plating_s=60.0, stripping_s=60.0)


@contextmanager
def small_demo() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "demo_scene", small_scene)
        patch.setattr(growing, "growing_demo_scene", small_growing)
        patch.setattr(growing, "SCANS", 6)
        patch.setattr(growing, "INTERVAL_S", 20.0)
        patch.setattr(growing, "WALK_PX", 0.3)
        patch.setattr(nucleation, "SIDE_PX", 144)
        patch.setattr(nucleation, "STEPS", 9)
        patch.setattr(nucleation, "KNOWN", 50)
        patch.setattr(demo_twin, "COLUMNS", 6)
        patch.setattr(demo_twin, "LAYERS", 6)
        patch.setattr(following, "COLUMNS", 8)
        patch.setattr(following, "LAYERS", 6)
        yield patch
