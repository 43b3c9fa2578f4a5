"""What floats over a specimen of the second renderer: how it looks, and what it hides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.scenes.gaussian_gather_camera import Lens
from bench.scenes.gaussian_gather_specimens import Image

FOCUS_UM = 1.5
_GLINT_UM = 0.9
# The shadow of a bubble falls to one side, by this share of its radius.
_ASIDE = 0.6
_WAVES = 8


class Placed(NamedTuple):
    y_um: float
    x_um: float
    z_um: float
    radius_um: float


@dataclass(frozen=True)
class Body:
    """A round body between specimen and lens.

    Positions are in µm from pixel (0, 0), times 0 at the first frame and 1 at the last; light is against the
    scene's mean. ``rim`` and ``glint`` are light at its edge and in its middle, ``fill`` that of its whole
    disk with a contrast ``texture``, ``passes`` the share of the light from below that is left. Through one
    that bends light, what lies below shows displaced, at its edge by the share ``bend`` of its radius, and
    blurred; ``shadow`` is the share of light lost beside it. Displacements are over the whole scan.
    """

    y_um: float
    x_um: float
    z_um: float
    radius_um: float
    rim: float = 6.0
    rim_width_um: float = 0.7
    glint: float = 12.0
    passes: float = 0.6
    fill: float = 0.0
    texture: float = 0.0
    bend: float = 0.0
    shadow: float = 0.0
    motion_um: tuple[float, float] = (0.0, 0.0)
    rise_um: float = 0.0
    growth_um: float = 0.0
    present: tuple[float, float] = (0.0, 1.0)

    def at(self, time: float) -> Placed:
        return Placed(
            self.y_um + time * self.motion_um[0],
            self.x_um + time * self.motion_um[1],
            self.z_um + time * self.rise_um,
            max(self.radius_um + time * self.growth_um, 0.0),
        )

    def is_there(self, time: float) -> bool:
        return self.present[0] <= time <= self.present[1]

    @property
    def hides(self) -> bool:
        """Whether it changes what is seen of the surface, as a spark does not."""
        return self.passes < 1 or self.bend > 0 or self.shadow > 0


def in_front(image: Image, body: Body, z_um: float, time: float, pixel_um: float, lens: Lens) -> Image:
    """Return an image (H, W) with a body in front, out of focus by its distance from z_um."""
    at = body.at(time)
    blur_px = lens.cone * abs(z_um - at.z_um) / pixel_um
    reach = int(np.ceil(((1 + _ASIDE) * at.radius_um + body.rim_width_um) / pixel_um + blur_px)) + 3
    part, inner = [], []
    for centre, n in zip(at[:2], image.shape, strict=True):
        low, high = int(centre / pixel_um) - reach, int(centre / pixel_um) + reach + 1
        if high <= 0 or low >= n:
            return image
        part.append(np.arange(low, high))
        inner.append(slice(max(-low, 0), min(n, high) - low))
    y = (part[0] * pixel_um - at.y_um).astype(np.float32)[:, None]
    x = (part[1] * pixel_um - at.x_um).astype(np.float32)[None, :]
    distance = np.hypot(y, x)
    here = np.ix_(*(lines[cut] for lines, cut in zip(part, inner, strict=True)))

    def seen(light: Image, defocus_um: float) -> Image:
        return defocused(light, defocus_um, pixel_um, lens)[inner[0], inner[1]]

    disk = np.clip((at.radius_um - distance) / pixel_um + 0.5, 0, 1)
    cover = seen(disk, z_um - at.z_um)
    below = image[here]
    if body.shadow:
        beside = np.hypot(y, x - np.float32(_ASIDE * at.radius_um))
        shade = np.clip((at.radius_um - beside) / pixel_um + 0.5, 0, 1)
        below = below * (1 - body.shadow * seen(shade, z_um - at.z_um + at.radius_um) * (1 - cover))
    through = below
    if body.bend:
        # As by a ball: hardly at all in the middle, most at the edge.
        by = 1 + body.bend * np.minimum(distance / max(at.radius_um, pixel_um), 1) ** 2
        from_y, from_x = (
            ((centre + away * by) / pixel_um).astype(np.float32)
            for centre, away in zip(at[:2], (y, x), strict=True)
        )
        bent = cv2.remap(image, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        through = cv2.GaussianBlur(bent, (0, 0), 0.35 / pixel_um)[inner[0], inner[1]]
    edge = (body.rim_width_um / 2 - np.abs(distance - at.radius_um)) / pixel_um
    own = body.rim * np.clip(edge + 0.5, 0, 1) + body.glint * (distance < _GLINT_UM)
    if body.fill:
        own = own + body.fill * disk * (1 + body.texture * pattern(y, x))
    out = image.copy()
    out[here] = (
        below * (1 - cover)
        + body.passes * through * cover
        + seen(np.asarray(own, dtype=np.float32), z_um - at.z_um)
    )
    return out


def defocused(light: Image, defocus_um: float, pixel_um: float, lens: Lens) -> Image:
    """Return light (H, W) blurred by the cone at a distance from focus and by diffraction."""
    radius = lens.cone * abs(defocus_um) / pixel_um
    reach = int(np.ceil(radius)) + 1
    grid = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    disk = np.clip(radius + 0.5 - grid, 0, 1).astype(np.float32)
    blurred = cv2.filter2D(light, -1, disk / disk.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(blurred, (0, 0), lens.spot_um / pixel_um), dtype=np.float32)


def pattern(y_um: Image, x_um: Image) -> Image:
    """Return a texture of deviation 1 fixed to a body's centre: waves 1.5 to 4 µm long."""
    rng = np.random.default_rng(7)
    total = np.zeros(np.broadcast_shapes(y_um.shape, x_um.shape), dtype=np.float32)
    for _ in range(_WAVES):
        k, angle, phase = 2 * np.pi / rng.uniform(1.5, 4), *rng.uniform(0, 2 * np.pi, 2)
        total += np.sin(k * (np.cos(angle) * x_um + np.sin(angle) * y_um) + phase)
    return np.asarray(total / np.sqrt(_WAVES / 2), dtype=np.float32)


def occluded(
    bodies: Sequence[Body],
    height_um: Image,
    z_um: NDArray[np.float64],
    pixel_um: float,
    lens: Lens | None = None,
) -> tuple[NDArray[np.bool_], Image]:
    """Return the pixels (H, W) that any body touches, and the share of their focus that one hides.

    The share is of the frames within 1.5 µm of a pixel's height, or of the nearest one. A body touches what
    lies inside its edge; it hides a pixel in such a frame, or half of it where it cuts less than half of the
    cone of light from there: near its edge, or everywhere if the cone is wider than it.
    """
    cone = (lens or Lens()).cone
    touched = np.zeros(height_um.shape, dtype=bool)
    focused, hidden = (np.zeros(height_um.shape, dtype=np.float32) for _ in range(2))
    nearest = np.min([np.abs(height_um - np.float32(z)) for z in z_um], axis=0)
    y, x = (np.arange(n) * pixel_um for n in height_um.shape)
    for z, time in zip(z_um, np.linspace(0, 1, len(z_um)).tolist(), strict=True):
        near = np.abs(height_um - np.float32(z)) <= np.maximum(nearest, FOCUS_UM)
        behind = np.zeros(height_um.shape, dtype=np.float32)
        for body in bodies:
            if body.is_there(time):
                at = body.at(time)
                away = np.hypot(y[:, None] - at.y_um, x[None, :] - at.x_um)
                inside = away <= at.radius_um
                touched |= inside
                if body.hides:
                    # Between a narrow cone, cut in half at the edge, and one too wide for the whole body.
                    wide = cone * (at.z_um - height_um) / np.sqrt(2)
                    whole = np.hypot(away, wide) <= at.radius_um
                    behind = np.maximum(behind, np.where(whole, 1.0, 0.5 * inside))
        focused += near
        hidden += near * behind
    return touched, np.asarray(hidden / focused, dtype=np.float32)
