"""Scans for the refocuser's kernel, and the refocuser of the backend under test."""

from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from lee import _core

DEPTH_UM = 3.0
TYPES = (np.uint8, np.uint16, np.float32)


def scan_of(shape, count, dtype=np.uint8, *, seed=0, noise=1.0, uneven=True):
    """Frames of a tilted, textured plane in focus around the middle of the scan, and their heights."""
    rng = np.random.default_rng(seed)
    z = np.cumsum(rng.uniform(0.1, 1.4, count) if uneven else np.full(count, 0.7))
    texture = rng.normal(size=shape)
    tilt = np.add.outer(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]))
    off = (z - z.mean())[:, None, None] - tilt
    frames = 100 + 30 * texture * np.exp(-(off**2) / 4) + noise * rng.normal(size=off.shape)
    return frames.clip(0, 255).astype(dtype), z


def contrasts(of_frames, shape=(20, 30)):
    """One texture after the other in contrasts of so many counts."""
    texture = np.random.default_rng(4).normal(size=shape)
    return [(100 + counts * texture).clip(0, 255).astype(np.uint8) for counts in of_frames]


def drift_of(count, kind, seed=0):
    if kind == "none":
        return np.zeros((count, 2))
    path = np.cumsum(np.random.default_rng(seed).normal(0, 0.7, (count, 2)), axis=0)
    return np.round(path) if kind == "whole" else path


class _Made:
    on = "cpu"


@contextmanager
def of_backend(name):
    """Let `core_of` make the refocuser of a backend."""
    before, _Made.on = _Made.on, name
    yield
    _Made.on = before


def of_the_processor_alone():
    if _Made.on != "cpu":
        pytest.skip("of the processor alone")


def core_of(shape, *, window=(5, 5), detail_px=5, threads=1, depth_um=DEPTH_UM):
    made = _core.Refocuser if _Made.on == "cpu" else partial(_core.DeviceRefocuser, stream=0)
    return made(
        *shape,
        depth_of_field_um=depth_um,
        window_y_px=window[0],
        window_x_px=window[1],
        detail_px=detail_px,
        threads=threads,
    )


def pushed(frames, z_um, drift=None, *, saturation=np.inf, **options):
    core = core_of(frames[0].shape, **options)
    core.saturate_at(saturation)
    for k, frame in enumerate(frames):
        core.push(frame, z_um[k], *((0.0, 0.0) if drift is None else drift[k]))
    core.close()
    return core
