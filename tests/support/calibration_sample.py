"""Samples to calibrate a stage with: a step standard and a rough surface, seen by a camera with noise."""

import numpy as np

from lee.devices.virtual.scene.texture import smooth_field

SHAPE = (60, 60)  # below the size at which lateral drift is looked for


class Sample:
    """Grains that are sharp where the height in focus is the surface's, at any height; noise is ever new."""

    bit_depth = 8

    def __init__(self, surface_um, seed, *, depth_um=2.0, noise=2.0):
        self.shape, self._surface, self._depth, self._noise = surface_um.shape, surface_um, depth_um, noise
        self._grain = smooth_field(self.shape, 2.0, np.random.default_rng([seed, 7]))
        self._rng = np.random.default_rng([seed, 3])

    def image(self, z_um, region=None):
        contrast = np.exp(-(((self._surface - z_um) / self._depth) ** 2))
        seen = 100 + 35 * self._grain * contrast + self._noise * self._rng.standard_normal(self.shape)
        return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def rough(seed, relief_um=4.0):
    """A surface whose relief spans several full steps of the motor."""
    field = smooth_field(SHAPE, 12.0, np.random.default_rng([seed, 11]))
    return relief_um * (field - field.min()) / np.ptp(field)


def step_standard(height_um, tilt_um=2.5):
    """Two levels side by side, the right one higher, both tilted along the edge between them."""
    surface = np.zeros(SHAPE) + np.linspace(0, tilt_um, SHAPE[0])[:, None]
    surface[:, SHAPE[1] // 2 :] += height_um
    return surface
