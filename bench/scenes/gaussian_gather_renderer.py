"""A second renderer, based on rays where the virtual rig uses waves, so that they share no errors.

The scene is viewed along each of many directions inside the objective's cone; the first surface along a
direction occludes those behind. A frame is the mean of these views, each displaced according to its direction
and the distance to the plane in focus (refocusing a light field), blurred by a Gaussian for diffraction.
Nothing here comes from `lee`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.scenes.gaussian_gather_specimens import Image, Specimen

_DIRECTIONS = 160
_MARCH_UM = 0.4


@dataclass(frozen=True)
class Lens:
    """An objective: ``cone`` µm sideways for each µm of height at its rim, ``spot_um`` by diffraction."""

    na: float = 0.5
    refractive_index: float = 1.36
    wavelength_um: float = 0.55

    @property
    def cone(self) -> float:
        return float(np.tan(np.arcsin(self.na / self.refractive_index)))

    @property
    def spot_um(self) -> float:
        return 0.21 * self.wavelength_um / self.na


@dataclass(frozen=True)
class Sensor:
    """A camera: electrons at the highest count, read noise, share of the full well that the scene fills."""

    bits: int = 8
    full_well_e: float = 9000.0
    read_noise_e: float = 4.0
    mean_share: float = 0.33

    def record(self, light: Image, rng: np.random.Generator) -> NDArray[np.generic]:
        electrons = rng.poisson(np.maximum(light, 0) * self.mean_share * self.full_well_e)
        counts = electrons + rng.normal(0, self.read_noise_e, light.shape)
        most = 2**self.bits - 1
        kind = np.uint8 if self.bits == 8 else np.uint16
        return np.asarray(np.clip(np.round(counts * most / self.full_well_e), 0, most), dtype=kind)


@dataclass(frozen=True)
class Ring:
    """A bubble from above: a bright rim at its own height, light lost inside, the lamp's image in its middle.

    Positions are in µm from pixel (0, 0), times 0 at the first frame and 1 at the last; light is against the
    scene's mean.
    """

    y_um: float
    x_um: float
    z_um: float
    radius_um: float
    rim: float = 6.0
    rim_width_um: float = 0.7
    passes: float = 0.6
    motion_um: tuple[float, float] = (0.0, 0.0)
    present: tuple[float, float] = (0.0, 1.0)

    def distance_um(self, shape: tuple[int, int], pixel_um: float, time: float) -> Image:
        y = np.arange(shape[0])[:, None] * pixel_um - self.y_um - time * self.motion_um[0]
        x = np.arange(shape[1])[None, :] * pixel_um - self.x_um - time * self.motion_um[1]
        return np.asarray(np.hypot(y, x), dtype=np.float32)

    def is_there(self, time: float) -> bool:
        return self.present[0] <= time <= self.present[1]


@dataclass(frozen=True)
class Recording:
    """The images and the truth: ``touched`` (H, W) marks pixels inside any ring at any time."""

    frames: NDArray[np.generic]
    z_um: NDArray[np.float64]
    pixel_um: float
    truth_um: Image
    touched: NDArray[np.bool_]


def record(
    specimen: Specimen,
    z_um: NDArray[np.float64],
    *,
    lens: Lens | None = None,
    sensor: Sensor | None = None,
    rings: Sequence[Ring] = (),
    drift_px: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
) -> Recording:
    """Scan a specimen at heights z_um (Z,); it drifts by drift_px (dy, dx) over the scan, 0 in the middle."""
    lens, sensor = lens or Lens(), sensor or Sensor()
    rng = np.random.default_rng([seed, 77])
    shape, pixel = specimen.height_um.shape, specimen.pixel_um
    times = np.linspace(0, 1, len(z_um))
    light = np.zeros((len(z_um), *shape), dtype=np.float32)
    moved = np.empty(shape, dtype=np.float32)
    for lean, offset, pad, view in views(
        specimen, lens, float(np.abs(z_um).max()), max(map(abs, drift_px)), rng
    ):
        for k, (z, time) in enumerate(zip(z_um, times, strict=True)):
            dy, dx = (pad - lean * z / pixel - offset) - (time - 0.5) * np.asarray(drift_px)
            by = np.array([[1, 0, dx], [0, 1, dy]])
            cv2.warpAffine(view, by, shape[::-1], dst=moved, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            cv2.add(light[k], moved, dst=light[k])
    touched = np.zeros(shape, dtype=bool)
    frames = np.empty(light.shape, dtype=np.uint8 if sensor.bits == 8 else np.uint16)
    mean = float(light.mean())
    for k, (z, time) in enumerate(zip(z_um, times, strict=True)):
        image = (
            cv2.GaussianBlur(light[k], (0, 0), lens.spot_um / pixel, borderType=cv2.BORDER_REFLECT_101) / mean
        )
        for ring in rings:
            if ring.is_there(time):
                image = veiled(image, ring, float(z), float(time), pixel, lens)
                touched |= ring.distance_um(shape, pixel, time) <= ring.radius_um
        frames[k] = sensor.record(image, rng)
    return Recording(frames, z_um, pixel, specimen.height_um, touched)


def views(
    specimen: Specimen, lens: Lens, farthest_um: float, drift_px: float, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], int, Image]]:
    """Yield (lean, offset, pad, view): what is seen along a direction, by where it crosses height 0.

    ``lean`` (2,) is the sideways displacement for each µm of height. The grid of ``view`` begins ``pad``
    pixels outside the specimen and lies ``offset`` (2,) pixels beside it, another for each direction: what
    resampling blurs is then the same at every focus.
    """
    pixel = specimen.pixel_um
    pad = (
        int(np.ceil(lens.cone * (farthest_um + float(np.abs(specimen.height_um).max())) / pixel + drift_px))
        + 4
    )
    height = np.pad(specimen.height_um, pad, mode="reflect")
    bright = np.pad(specimen.reflectance, pad, mode="reflect")
    rows, columns = np.indices(height.shape, dtype=np.float32)
    levels = np.arange(float(height.max()) + 0.01, float(height.min()) - _MARCH_UM, -_MARCH_UM)
    turn = np.pi * (3 - np.sqrt(5))
    for n in range(_DIRECTIONS):
        # A sunflower's seeds: every direction stands for the same share of the cone.
        size = lens.cone * np.sqrt((n + rng.random()) / _DIRECTIONS)
        lean = size * np.array([np.sin(n * turn), np.cos(n * turn)])
        offset = rng.random(2)
        hit = np.full(height.shape, np.float32(levels[-1]))
        gap_above = np.full(height.shape, np.float32(_MARCH_UM))
        seen = np.zeros(height.shape, dtype=bool)
        for level in levels:
            dy, dx = lean * level / pixel + offset
            below = shifted(height, dy, dx)
            gap = np.float32(level) - below
            new = (gap <= 0) & ~seen
            share = gap_above / np.maximum(gap_above - gap, np.float32(1e-6))
            hit[new] = (level + _MARCH_UM * (1 - share))[new]
            seen |= new
            gap_above = gap
        at_x = columns + np.float32(offset[1]) + np.float32(lean[1] / pixel) * hit
        at_y = rows + np.float32(offset[0]) + np.float32(lean[0] / pixel) * hit
        view = cv2.remap(bright, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        yield lean, offset, pad, np.asarray(view, dtype=np.float32)


def shifted(image: Image, dy: float, dx: float) -> Image:
    by = np.array([[1, 0, dx], [0, 1, dy]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, by, image.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    )


def veiled(image: Image, ring: Ring, z_um: float, time: float, pixel_um: float, lens: Lens) -> Image:
    """Return an image with a ring in front, out of focus by its distance from z_um."""
    distance = ring.distance_um(image.shape, pixel_um, time)
    inside = np.clip((ring.radius_um - distance) / pixel_um + 0.5, 0, 1)
    rim = np.clip((ring.rim_width_um / 2 - np.abs(distance - ring.radius_um)) / pixel_um + 0.5, 0, 1)
    glint = (distance < 0.9).astype(np.float32) * 2 * ring.rim
    radius = lens.cone * abs(z_um - ring.z_um) / pixel_um
    reach = int(np.ceil(radius)) + 1
    grid = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    disk = np.clip(radius + 0.5 - grid, 0, 1).astype(np.float32)
    disk /= disk.sum()
    spot = lens.spot_um / pixel_um
    through, added = (
        cv2.GaussianBlur(cv2.filter2D(part, -1, disk, borderType=cv2.BORDER_REPLICATE), (0, 0), spot)
        for part in (1 - (1 - ring.passes) * inside, ring.rim * rim + glint)
    )
    return np.asarray(image * through + added, dtype=np.float32)
