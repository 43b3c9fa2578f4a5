"""Frames rendered beforehand, so that the virtual camera keeps up with a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from lee.devices.protocols import Counts
from lee.devices.sensor_region import Region
from lee.devices.virtual.imaging.optics import Optics
from lee.devices.virtual.imaging.render import render_scan
from lee.devices.virtual.imaging.sensor import Sensor
from lee.devices.virtual.scene.scene import Scene
from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError

_PARTS = 256  # of a count, in which images are summed
_NOISE_LIMIT = 2.9  # standard deviations, of a normal law in 256 steps
_QUICK_COUNTS = 8, 247  # so that noise stays within 8 bit


class Bank(Protocol):
    """What the virtual camera takes its images from."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the sensor, px."""

    @property
    def bit_depth(self) -> int:
        """Of its counts."""

    def image(self, z_um: float, region: Region | None = None) -> Counts:
        """Return what is seen at a height in focus, (H, W), the caller's own; a region is a part of it."""


class FrameBank:
    """Planes of one scene; beyond the first and the last the nearest is seen.

    Parameters
    ----------
    frames : (Z, H, W) uint8 or uint16, counts
    z_um : (Z,) float, µm
        Heights in focus, rising.
    bit_depth : int
        Of the counts.
    between : bool
        Blend the two planes around a height, so that what is seen moves with the stage; otherwise show the
        nearest, which is faster but lets a still sample jump by as much as planes lie apart.
    noise_counts : float
        Standard deviation of noise that every image has anew. Without it the frames keep theirs: the same
        height seen twice is the same to the count.
    seed : int
        Of that noise.

    Raises
    ------
    InputError
        If the two do not belong together.
    """

    def __init__(
        self,
        frames: Counts,
        z_um: ArrayLike,
        *,
        bit_depth: int = 8,
        between: bool = True,
        noise_counts: float = 0.0,
        seed: int = 0,
    ) -> None:
        z = np.asarray(z_um, dtype=np.float64)
        if frames.ndim != 3 or z.shape != frames.shape[:1] or not (np.diff(z) > 0).all():
            raise InputError(
                f"frame bank: frames {frames.shape} and z_um {z.shape} must be (Z, H, W) and rising"
            )
        if frames.dtype != (np.uint8 if bit_depth == 8 else np.uint16):
            raise InputError(f"frame bank: frames are {frames.dtype}, which is not {bit_depth} bit")
        self._frames, self._z, self._depth, self._between = frames, z, bit_depth, between
        self._rng = np.random.default_rng([seed, 12])
        self._noise: NDArray[np.integer] | None = None
        self._dtype: type[np.uint16] | type[np.int32] = np.uint16 if bit_depth == 8 else np.int32
        if noise_counts > 0:
            room = int(np.ceil(_NOISE_LIMIT * noise_counts))
            if int(frames.min()) < room or int(frames.max()) > (1 << bit_depth) - 1 - room:
                self._dtype = np.int32  # where counts are cut off at their limits
            # Drawing bytes is much faster than drawing from the normal law itself.
            steps = ndtri((np.arange(256) + 0.5) / 256)
            steps *= _PARTS * noise_counts / steps.std()
            self._noise = np.rint(steps).astype(np.int32).astype(self._dtype)

    @classmethod
    def of_scene(
        cls,
        scene: Scene,
        z_um: ArrayLike | None = None,
        *,
        optics: Optics | None = None,
        sensor: Sensor | None = None,
        between: bool = True,
        seed: int = 0,
    ) -> FrameBank:
        """Render a scene as `render_scan` does, by default over its whole relief in steps of 0.2 µm.

        The noise of the images, new in each, is that of the sensor at its mean light.
        """
        sensor = sensor or Sensor()
        z = scene.z_range() if z_um is None else z_um
        scan = render_scan(scene, optics, z, sensor=replace(sensor, noise=False), seed=seed)
        noise = 0.0
        if sensor.noise:
            electrons = sensor.mean_share * sensor.full_well_e + sensor.read_noise_e**2
            noise = sensor.max_count / sensor.full_well_e * float(np.sqrt(electrons))
        return cls(
            scan.frames, scan.z_um, bit_depth=sensor.bit_depth, between=between, noise_counts=noise, seed=seed
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the sensor, px."""
        return self._frames.shape[1], self._frames.shape[2]

    @property
    def bit_depth(self) -> int:
        """Of its counts."""
        return self._depth

    @property
    def z_um(self) -> NDArray[np.float64]:
        """Heights of the planes, (Z,) µm."""
        return self._z

    def nearest(self, z_um: float) -> int:
        """Which plane is nearest to a height; of two the lower."""
        k = int(np.clip(np.searchsorted(self._z, z_um), 1, max(len(self._z) - 1, 1)))
        if len(self._z) == 1 or z_um - self._z[k - 1] <= self._z[k] - z_um:
            return k - 1
        return k

    def image(self, z_um: float, region: Region | None = None) -> Counts:
        """Return what is seen at a height in focus, (H, W), the caller's own; a region is a part of it."""
        top, left, high, wide = region or (0, 0, *self.shape)
        part = self._frames[:, top : top + high, left : left + wide]
        k, share = self.nearest(z_um), 0
        if self._between and self._z[0] < z_um < self._z[-1]:
            k = int(np.searchsorted(self._z, z_um)) - 1
            share = round(_PARTS * (z_um - self._z[k]) / (self._z[k + 1] - self._z[k]))
        if share == 0 and self._noise is None:
            return np.array(part[k])
        blended = part[k].astype(self._dtype)
        blended *= self._dtype(_PARTS - share)
        if share:
            upper = part[k + 1].astype(self._dtype)
            upper *= self._dtype(share)
            blended += upper
        if self._noise is not None:
            drawn = np.frombuffer(self._rng.bytes(high * wide), dtype=np.uint8)
            blended += np.take(self._noise, drawn).reshape(high, wide)
        blended += self._dtype(_PARTS // 2)
        if self._dtype is np.int32:
            np.clip(blended, 0, _PARTS * ((1 << self._depth) - 1), out=blended)
        blended >>= 8
        return np.asarray(blended, dtype=self._frames.dtype)


def quick_bank(
    shape: tuple[int, int] = (400, 400),
    *,
    relief_um: float = 20.0,
    step_um: float = 0.5,
    depth_um: float = 2.0,
    margin_um: float = 3.0,
    noise_counts: float = 0.0,
    seed: int = 0,
) -> FrameBank:
    """Make planes in moments: grains that are sharp where the height in focus is the surface's.

    There is no optics in it, only contrast that fades with the distance from focus, so it tests
    speed and frame accounting, not measurement.

    Parameters
    ----------
    shape : (H, W)
    relief_um : float
        Height of the surface, from 0 up to it.
    step_um : float
        Between planes.
    depth_um : float
        Distance from focus at which the contrast has fallen to 1/e.
    margin_um : float
        How far the planes go below and above the surface.
    noise_counts : float
        As in `FrameBank`.
    seed : int
        Of surface and grains.
    """
    rng = np.random.default_rng([seed, 7])
    grain = smooth_field(shape, 3.0, rng)
    surface = smooth_field(shape, max(min(shape) / 4, 2.0), rng)
    surface = (surface - surface.min()) * np.float32(relief_um / max(float(np.ptp(surface)), 1e-6))
    count = int(np.ceil((relief_um + 2 * margin_um) / step_um)) + 1
    z = -margin_um + step_um * np.arange(count)
    frames = np.empty((count, *shape), dtype=np.uint8)
    for k, height in enumerate(z):
        off = (surface - np.float32(height)) / np.float32(depth_um)
        frames[k] = np.clip(100 + 35 * grain * np.exp(-(off**2)), *_QUICK_COUNTS)
    return FrameBank(frames, z, noise_counts=noise_counts, seed=seed)
