"""Frames of any size for timing: a rendered electrode repeated over the field, or noise."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lee.devices import virtual

STEP_UM = 0.2
_TILE_PX = 320
_PIXEL_UM = 0.25
Frame = NDArray[np.uint8]


def scan(shape: tuple[int, int], frames: int, relief_um: float = 20.0) -> Iterator[tuple[Frame, float]]:
    """Yield (frame, z_um) of a scan centred on an electrode's relief, mirrored over the field."""
    scene = virtual.electrode((_TILE_PX, _TILE_PX), _PIXEL_UM, 1, relief_um=relief_um)
    middle = (float(scene.height_um.min()) + float(scene.height_um.max())) / 2
    z_um = middle + STEP_UM * (np.arange(frames) - (frames - 1) / 2)
    missing = [(0, max(n - _TILE_PX, 0)) for n in shape]
    for image, z in zip(virtual.iter_frames(scene, z_um=z_um, seed=1), z_um, strict=True):
        tiled = np.pad(image, missing, mode="symmetric")[: shape[0], : shape[1]]
        yield np.ascontiguousarray(tiled, dtype=np.uint8), float(z)


def noise(shape: tuple[int, int], frames: int) -> Iterator[tuple[Frame, float]]:
    """Yield (frame, z_um) of frames that have nothing to do with each other: focus jumps about everywhere."""
    rng = np.random.default_rng(0)
    for k in range(frames):
        yield rng.integers(0, 256, shape, dtype=np.uint8), STEP_UM * k
