"""A second renderer, based on rays where the virtual rig uses waves, so that they share no errors.

The scene is viewed along each of many directions inside the objective's cone; the first surface along a
direction occludes those behind. A frame is the mean of these views, each displaced according to its direction
and the distance to the plane in focus (refocusing a light field), blurred by a Gaussian for diffraction.
Bodies are put in front of the light of a specimen, which several scans can share. Nothing here comes from
`lee`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.scenes.gaussian_gather_bodies import Body, in_front, occluded
from bench.scenes.gaussian_gather_camera import Lens, Sensor
from bench.scenes.gaussian_gather_specimens import Image, Specimen

_DIRECTIONS = 160
_MARCH_UM = 0.4


@dataclass(frozen=True)
class Recording:
    """The images and the truth.

    ``touched`` (H, W) marks pixels inside any body at any time, ``hidden_share`` (H, W) is the share of their
    focus that one hides.
    """

    frames: NDArray[np.generic]
    z_um: NDArray[np.float64]
    pixel_um: float
    truth_um: Image
    touched: NDArray[np.bool_]
    hidden_share: Image


def record(
    specimen: Specimen,
    z_um: NDArray[np.float64],
    *,
    lens: Lens | None = None,
    sensor: Sensor | None = None,
    bodies: Sequence[Body] = (),
    drift_px: ArrayLike = (0.0, 0.0),
    seed: int = 0,
) -> Recording:
    """Scan a specimen at heights z_um (Z,), as `lit` and `exposed` do."""
    light = lit(specimen, z_um, lens=lens, drift_px=drift_px, seed=seed)
    return exposed(light, specimen, z_um, lens=lens, sensor=sensor, bodies=bodies, seed=seed)


def lit(
    specimen: Specimen,
    z_um: NDArray[np.float64],
    *,
    lens: Lens | None = None,
    drift_px: ArrayLike = (0.0, 0.0),
    seed: int = 0,
) -> Image:
    """Return the light (Z, H, W) of a specimen against its mean.

    It drifts by drift_px (dy, dx) over the scan, 0 in the middle, or (Z, 2) by frame.
    """
    lens = lens or Lens()
    rng = np.random.default_rng([seed, 77])
    shape, pixel = specimen.height_um.shape, specimen.pixel_um
    path = np.asarray(drift_px, dtype=np.float64)
    if path.ndim == 1:
        path = (np.linspace(0, 1, len(z_um))[:, None] - 0.5) * path
    light = np.zeros((len(z_um), *shape), dtype=np.float32)
    moved = np.empty(shape, dtype=np.float32)
    farthest = float(np.abs(path).max())
    for lean, offset, pad, view in views(specimen, lens, float(np.abs(z_um).max()), farthest, rng):
        for k, (z, by_px) in enumerate(zip(z_um, path, strict=True)):
            dy, dx = (pad - lean * z / pixel - offset) - by_px
            by = np.array([[1, 0, dx], [0, 1, dy]])
            cv2.warpAffine(view, by, shape[::-1], dst=moved, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            cv2.add(light[k], moved, dst=light[k])
    spot = lens.spot_um / pixel
    light /= light.mean()
    for image in light:
        cv2.GaussianBlur(image, (0, 0), spot, dst=image, borderType=cv2.BORDER_REFLECT_101)
    return light


def exposed(
    light: Image,
    specimen: Specimen,
    z_um: NDArray[np.float64],
    *,
    lens: Lens | None = None,
    sensor: Sensor | None = None,
    bodies: Sequence[Body] = (),
    lamp: ArrayLike = 1.0,
    seed: int = 0,
) -> Recording:
    """Record the light (Z, H, W) of a specimen, bodies in front of it, under a lamp: one factor or (Z,)."""
    lens, sensor = lens or Lens(), sensor or Sensor()
    rng = np.random.default_rng([seed, 78])
    pixel = specimen.pixel_um
    frames = np.empty(light.shape, dtype=np.uint8 if sensor.bits == 8 else np.uint16)
    factors = np.broadcast_to(lamp, len(z_um))
    for k, (z, time) in enumerate(zip(z_um.tolist(), np.linspace(0, 1, len(z_um)).tolist(), strict=True)):
        image = light[k]
        for body in bodies:
            if body.is_there(time):
                image = in_front(image, body, z, time, pixel, lens)
        frames[k] = sensor.record(image * factors[k], rng)
    truth = occluded(bodies, specimen.height_um, z_um, pixel, lens)
    return Recording(frames, z_um, pixel, specimen.height_um, *truth)


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
