"""A scan taken by either renderer under stated conditions, with its truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bench.scenes import gaussian_gather_renderer as rays
from bench.scenes import gaussian_gather_specimens as specimens
from bench.scenes.gaussian_gather_bodies import Body
from bench.scenes.occlusion_kinds import as_virtual
from lee.devices import virtual

Frames = NDArray[np.generic]
Image = specimens.Image
Mask = NDArray[np.bool_]
Shape = tuple[int, int]
Floating = Callable[[Image, NDArray[np.float64], int], Sequence[Body]]
PIXEL_UM = 0.25
MARGIN_UM = 3.0
# Those drawn that would overlap an earlier one are left out.
_PATCHES = 12
# As far as the light of the texture around a patch reaches into it in focus, and a small window after it.
_PATCH_RIM_PX = 5
# Of a lamp on the mains, seen by short exposures.
_FLICKER_TURN = 2.3


@dataclass(frozen=True)
class Conditions:
    """How a surface is scanned.

    ``step_um`` between frames, or at random between 0.1 and 0.35 µm where ``uneven``; ``scanned`` the share
    of the pixels whose height is below the last frame, all of them with a margin where it is 1;
    ``drift_px`` (dy, dx) over the scan, ``vibration_px`` the standard deviation of each frame's place along
    either axis, ``flicker`` the amplitude of the lamp's brightness. ``patches`` takes the texture from some.
    """

    step_um: float = 0.2
    uneven: bool = False
    scanned: float = 1.0
    drift_px: tuple[float, float] = (0.0, 0.0)
    vibration_px: float = 0.0
    flicker: float = 0.0
    patches: bool = False

    def heights(self, truth: Image, seed: int) -> NDArray[np.float64]:
        """Return stage positions (Z,) over a surface."""
        low, high = float(truth.min()) - MARGIN_UM, float(truth.max()) + MARGIN_UM
        if self.scanned < 1:
            high = float(np.quantile(truth, self.scanned))
        if not self.uneven:
            return np.arange(low, high, self.step_um)
        steps = np.random.default_rng([seed, 5]).uniform(0.1, 0.35, int((high - low) / 0.1))
        z = low + np.cumsum(steps)
        return z[z < high]

    def path_px(self, count: int, seed: int) -> NDArray[np.float64]:
        """Return how far each frame shows the scene moved, (Z, 2)."""
        drift = np.linspace(-0.5, 0.5, count)[:, None] * np.asarray(self.drift_px)
        return drift + np.random.default_rng([seed, 6]).normal(0, self.vibration_px, (count, 2))

    def lamp(self, count: int) -> NDArray[np.float64]:
        """Return the lamp's brightness in each frame, (Z,)."""
        return 1 + self.flicker * np.sin(_FLICKER_TURN * np.arange(count))


@dataclass(frozen=True)
class Taken:
    """A scan with its truth.

    ``truth_um`` (H, W) is the surface where the first frame shows it, NaN outside the scene, as `lee`
    reports it; ``mean_truth_um`` where the scan shows it on average: the fairest to a method that corrects
    no drift. ``touched`` (H, W) marks what a body covered in any frame, ``hidden_share`` (H, W) is the share
    of a pixel's focus that one hid, ``blank`` (H, W) marks patches without texture. ``path_px`` (Z, 2) is
    how far each frame shows the scene moved. ``quiet`` draws the frames (Z, H, W) of the surface
    alone, without noise.
    """

    frames: Frames
    z_um: NDArray[np.float64]
    truth_um: Image
    mean_truth_um: Image
    touched: Mask
    hidden_share: Image
    blank: Mask
    path_px: NDArray[np.float64]
    quiet: Callable[[], NDArray[np.floating]]
    pixel_um: float = PIXEL_UM

    def seen_throughout(self) -> Mask:
        """Return which pixels (H, W) of the first frame show something that no frame of the scan has lost."""
        inside = np.ones(self.truth_um.shape, dtype=bool)
        moved = self.path_px - self.path_px[0]
        for axis, (least, most) in enumerate(zip(moved.min(axis=0), moved.max(axis=0), strict=True)):
            at = np.arange(inside.shape[axis])
            kept = (at + least >= 0) & (at + most <= inside.shape[axis] - 1)
            inside &= kept[:, None] if axis == 0 else kept[None, :]
        return inside

    def outside(self) -> Mask:
        """Return which pixels (H, W) lie above or below all frames."""
        return (self.truth_um > self.z_um.max()) | (self.truth_um < self.z_um.min())


def virtual_rig(
    shape: Shape,
    seed: int,
    *,
    scene: Callable[..., virtual.Scene],
    floating: Floating | None = None,
    bubbles: int = 0,
    sensor: virtual.Sensor | None = None,
    how: Conditions = Conditions(),
) -> Taken:
    """Scan a scene of the virtual rig, bodies over it: as drawn for it, or `bubbles` of the rig's own."""
    drawn = scene(shape, PIXEL_UM, seed)
    blank = np.zeros(shape, dtype=bool)
    if how.patches:
        reflectance, blank = without_texture(drawn.reflectance, seed)
        drawn = replace(drawn, reflectance=reflectance)
    z = how.heights(drawn.height_um, seed)
    sparks = np.zeros(shape, dtype=bool)
    if bubbles:
        drawn = drawn.with_bubbles(bubbles, seed + 1, (4.0, 9.0))
    if floating:
        bodies = floating(drawn.height_um, z, seed)
        drawn = as_virtual(drawn, list(bodies))
        # The rig counts what lies on the surface to it.
        shining = [body for body in bodies if not body.hides]
        sparks, _ = rays.occluded(shining, drawn.height_um, z, PIXEL_UM)
    if how.flicker:
        at = np.linspace(0, 1, len(z)).tolist()
        lamp = [virtual.Flash(t, gain=gain, added=0.0) for t, gain in zip(at, how.lamp(len(z)), strict=True)]
        drawn = replace(drawn, flashes=lamp)
    path = how.path_px(len(z), seed)
    camera = sensor or virtual.Sensor()
    scan = virtual.render_scan(drawn, z_um=z, sensor=camera, drift_px=path, seed=seed)

    def quiet() -> NDArray[np.floating]:
        deep = replace(camera, noise=False, bit_depth=16)
        bare = replace(drawn, bubbles=(), spikes=(), flashes=())
        without = virtual.render_scan(bare, z_um=z, sensor=deep, drift_px=path, seed=seed).frames
        return np.asarray(without * np.float32(camera.max_count / deep.max_count))

    return Taken(
        scan.frames,
        z,
        scan.truth_seen_in(0),
        scan.truth_um,
        scan.touched | sparks,
        scan.hidden_share,
        blank,
        path,
        quiet,
    )


def renderer_b(
    shape: Shape,
    seed: int,
    *,
    surface: Callable[..., Image],
    fade: float = 1.0,
    floating: Floating | None = None,
    sensor: rays.Sensor | None = None,
    how: Conditions = Conditions(),
) -> Taken:
    """Scan a surface with the second renderer, bodies over it."""
    specimen, blank, z, path, light = _lit(shape, seed, surface, fade, how)
    bodies = floating(specimen.height_um, z, seed) if floating else ()
    camera = sensor or rays.Sensor()
    scan = rays.exposed(light, specimen, z, sensor=camera, bodies=bodies, lamp=how.lamp(len(z)), seed=seed)
    first = specimen.height_um
    if path[0].any():
        by = np.array([[1, 0, path[0, 1]], [0, 1, path[0, 0]]])
        outside = float("nan")
        moved = cv2.warpAffine(first, by, shape[::-1], borderMode=cv2.BORDER_CONSTANT, borderValue=outside)
        first = np.asarray(moved, dtype=np.float32)
    return Taken(
        scan.frames,
        z,
        first,
        specimen.height_um,
        scan.touched,
        scan.hidden_share,
        blank,
        path,
        lambda: np.asarray(light * np.float32(camera.mean_share * camera.max_count)),
    )


@lru_cache(maxsize=3)
def _lit(
    shape: Shape, seed: int, surface: Callable[..., Image], fade: float, how: Conditions
) -> tuple[specimens.Specimen, Mask, NDArray[np.float64], NDArray[np.float64], Image]:
    """Return specimen, patches, heights, path and light; scans that differ in bodies share them."""
    rng = np.random.default_rng([seed, 9])
    specimen = specimens.dressed(surface(shape, PIXEL_UM, rng), PIXEL_UM, rng, fade=fade)
    blank = np.zeros(shape, dtype=bool)
    if how.patches:
        reflectance, blank = without_texture(specimen.reflectance, seed)
        specimen = replace(specimen, reflectance=reflectance)
    z = how.heights(specimen.height_um, seed)
    path = how.path_px(len(z), seed)
    return specimen, blank, z, path, rays.lit(specimen, z, drift_px=path, seed=seed)


def without_texture(reflectance: Image, seed: int) -> tuple[Image, Mask]:
    """Return a brightness with patches 30 to 60 px wide that have none of it, and the patches' inner parts.

    Each has the mean brightness of what it replaces. Some are squares, some are round.
    """
    rng = np.random.default_rng([seed, 31])
    out, blank = reflectance.copy(), np.zeros(reflectance.shape, dtype=bool)
    taken = blank.copy()
    rows, columns = np.indices(reflectance.shape)
    for k in range(_PATCHES):
        half = rng.uniform(15, 30)
        centre = [rng.uniform(half, n - half) for n in reflectance.shape]
        away = np.abs(rows - centre[0]), np.abs(columns - centre[1])
        patch = (np.hypot(*away) if k % 2 else np.maximum(*away)) <= half
        if not taken[patch].any():
            out[patch] = reflectance[patch].mean()
            blank |= ndimage.binary_erosion(patch, iterations=_PATCH_RIM_PX)
            # Texture remains between two patches.
            taken |= ndimage.binary_dilation(patch, iterations=2 * _PATCH_RIM_PX)
    return out, blank
