"""Surfaces of known height and brightness, to be scanned by the virtual rig."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.devices.virtual.imaging.optics import Optics
from lee.devices.virtual.scene.bodies import Bubble, Debris, Flash, Spike
from lee.devices.virtual.scene.nuclei import Nucleus, Scattering, scattered
from lee.devices.virtual.scene.texture import facing, grains, mixed_field, smooth_field
from lee.errors import InputError

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A surface under the objective, with what floats above it.

    Parameters
    ----------
    height_um : (H, W) float32, µm
        The surface, growing toward the objective.
    reflectance : (H, W) float32
        Brightness of the surface, 0 and up, 1 is white.
    pixel_um : float
        Sampling of both.
    bubbles, spikes, debris, flashes : sequences
        What disturbs the scan.
    nuclei : sequence of Nucleus
        Grains that scatter light, on top of the surface's own and outside its share of the exposure.
    scattering : Scattering
        How much light they scatter.
    """

    height_um: Field
    reflectance: Field
    pixel_um: float
    bubbles: Sequence[Bubble] = field(default=())
    spikes: Sequence[Spike] = field(default=())
    debris: Sequence[Debris] = field(default=())
    flashes: Sequence[Flash] = field(default=())
    nuclei: Sequence[Nucleus] = field(default=())
    scattering: Scattering = field(default=Scattering())

    def __post_init__(self) -> None:
        height = np.ascontiguousarray(self.height_um, dtype=np.float32)
        reflectance = np.ascontiguousarray(self.reflectance, dtype=np.float32)
        if height.ndim != 2 or height.shape != reflectance.shape or height.size == 0:
            raise InputError(
                f"scene: height_um {height.shape} and reflectance {reflectance.shape} must be (H, W) alike"
            )
        if not (np.isfinite(height).all() and np.isfinite(reflectance).all() and reflectance.min() >= 0):
            raise InputError("scene: height_um and reflectance must be finite and reflectance 0 or above")
        if not (np.isfinite(self.pixel_um) and self.pixel_um > 0):
            raise InputError(f"scene: pixel_um {self.pixel_um} must be above 0")
        object.__setattr__(self, "height_um", height)
        object.__setattr__(self, "reflectance", reflectance)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height_um.shape[0], self.height_um.shape[1]

    @property
    def floating(self) -> tuple[Bubble | Debris, ...]:
        """What floats above the surface and may cover it."""
        return *self.bubbles, *self.debris

    def z_range(self, step_um: float = 0.2, margin_um: float = 3.0) -> NDArray[np.float64]:
        """Return stage positions, (Z,) µm, that scan the whole relief with a margin at both ends."""
        low = float(self.height_um.min()) - margin_um
        count = int(np.ceil((float(self.height_um.max()) + margin_um - low) / step_um)) + 1
        return np.asarray(low + step_um * np.arange(count), dtype=np.float64)

    def with_spikes(self, count: int, seed: int, brightness: float = 6.0) -> "Scene":
        """Return this scene with `count` specular facets more, some glinting for a moment only."""
        rng = np.random.default_rng(seed)
        high, wide = (n * self.pixel_um for n in self.shape)
        spikes = list(self.spikes)
        for _ in range(count):
            start = rng.uniform(0, 0.9) if rng.random() < 0.2 else 0.0
            spikes.append(
                Spike(
                    y_um=rng.uniform(0, high),
                    x_um=rng.uniform(0, wide),
                    radius_um=rng.uniform(0.25, 0.6),
                    brightness=brightness * rng.uniform(0.5, 2),
                    offset_um=float(rng.normal(0, 1.5)) if rng.random() < 0.4 else 0.0,
                    present=(start, start + 0.1) if start else (0.0, 1.0),
                )
            )
        return replace(self, spikes=tuple(spikes))

    def with_bubbles(self, count: int, seed: int, radius_um: tuple[float, float] = (5.0, 12.0)) -> "Scene":
        """Return this scene with `count` bubbles more, floating above it and drifting sideways."""
        rng = np.random.default_rng(seed)
        high, wide = (n * self.pixel_um for n in self.shape)
        bubbles = list(self.bubbles)
        for _ in range(count):
            radius = rng.uniform(*radius_um)
            y, x = rng.uniform(0.15, 0.85, 2) * (high, wide)
            under = float(self.height_um[int(y / self.pixel_um), int(x / self.pixel_um)])
            start = rng.uniform(0, 0.4) if rng.random() < 0.5 else 0.0
            end = rng.uniform(0.6, 1) if rng.random() < 0.5 else 1.0
            bubbles.append(
                Bubble(
                    y_um=float(y),
                    x_um=float(x),
                    z_um=under + radius * rng.uniform(1.0, 1.4),
                    radius_um=radius,
                    glint=rng.uniform(5, 12),
                    rim=rng.uniform(2, 6),
                    veil=rng.uniform(0.3, 0.6),
                    motion_um=(float(rng.normal(0, 0.4 * radius)), float(rng.normal(0, 0.4 * radius))),
                    present=(start, end),
                )
            )
        return replace(self, bubbles=tuple(bubbles))

    def with_debris(self, count: int, seed: int) -> "Scene":
        """Return this scene with `count` flakes crossing far from focus, and one flash."""
        rng = np.random.default_rng(seed)
        high, wide = (n * self.pixel_um for n in self.shape)
        top = float(self.height_um.max())
        debris = list(self.debris)
        for _ in range(count):
            start = rng.uniform(0, 0.9)
            length = rng.uniform(0.03, 0.1)
            distance = 1.5 * wide / length
            debris.append(
                Debris(
                    y_um=rng.uniform(0, high),
                    x_um=-0.25 * wide - start * distance,
                    z_um=top + rng.uniform(15, 30),
                    radius_um=rng.uniform(3, 10),
                    brightness=float(rng.choice([0.0, 1.5])),
                    veil=rng.uniform(0.1, 0.5),
                    motion_um=(float(rng.normal(0, high)), distance),
                    present=(start, start + length),
                )
            )
        flash = Flash(at=rng.uniform(0.1, 0.9))
        return replace(self, debris=tuple(debris), flashes=(*self.flashes, flash))

    def with_nuclei(
        self,
        count: int,
        seed: int,
        diameter_nm: tuple[float, float] = (60.0, 350.0),
        *,
        clustered: float = 0.0,
        cluster_size: int = 5,
        cluster_um: float = 0.6,
    ) -> "Scene":
        """Return this scene with `count` nuclei more, anywhere on the field.

        Parameters
        ----------
        count, seed : int
        diameter_nm : (smallest, largest)
            Their logarithms are uniform between; equal for nuclei all alike.
        clustered : float
            Fraction of them that form groups.
        cluster_size : int
            Nuclei in a group.
        cluster_um : float
            Standard deviation, in y and in x, of a member's distance from its group's first.

        Raises
        ------
        InputError
            If an argument cannot be used.
        """
        added = scattered(
            self.shape,
            self.pixel_um,
            count,
            seed,
            diameter_nm=diameter_nm,
            clustered=clustered,
            cluster_size=cluster_size,
            cluster_um=cluster_um,
        )
        return replace(self, nuclei=(*self.nuclei, *added))


def flat(
    shape: tuple[int, int], pixel_um: float, seed: int, *, tilt_um: tuple[float, float] = (0.0, 0.0)
) -> Scene:
    """Return a textured plane that rises by `tilt_um` (along y, along x) over the field, 0 in its middle."""
    y = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[None, :]
    return dress(tilt_um[0] * y + tilt_um[1] * x, pixel_um, seed)


def gentle(shape: tuple[int, int], pixel_um: float, seed: int, *, relief_um: float = 5.0) -> Scene:
    """Return smooth relief, tens of µm wide and `relief_um` high, with texture everywhere."""
    rng = np.random.default_rng([seed, 1])
    relief = mixed_field(shape, [25 / pixel_um, 45 / pixel_um], 1.0, rng)
    return dress(_scaled(relief, relief_um), pixel_um, seed)


def rugged(
    shape: tuple[int, int],
    pixel_um: float,
    seed: int,
    *,
    relief_um: float = 12.0,
    feature_um: tuple[float, float] = (3.0, 10.0),
    fade: float = 0.1,
) -> Scene:
    """Return rough relief with bumps of `feature_um`, its texture fading over regions to a share `fade`."""
    rng = np.random.default_rng([seed, 2])
    sizes = [float(size) / pixel_um for size in np.geomspace(*feature_um, 4)]
    return dress(_scaled(mixed_field(shape, sizes, 1.0, rng), relief_um), pixel_um, seed, fade=fade)


def electrode(
    shape: tuple[int, int], pixel_um: float, seed: int, *, relief_um: float = 40.0, fade: float = 0.4
) -> Scene:
    """Return an electrode during plating: flat-topped protrusions and trenches, 10 to 40 µm wide."""
    rng = np.random.default_rng([seed, 3])
    plan = mixed_field(shape, [18 / pixel_um, 40 / pixel_um], 0.5, rng)
    # A soft step parts plateaus from trenches and keeps their flanks passable for the light.
    levels = np.tanh(1.5 * plan) + 0.25 * smooth_field(shape, 30 / pixel_um, rng)
    rough = mixed_field(shape, [3 / pixel_um, 7 / pixel_um], 1.0, rng)
    return dress(_scaled(levels + 0.05 * rough, relief_um), pixel_um, seed, fade=fade)


def from_topography(
    height: ArrayLike,
    pixel_um_src: float,
    shape: tuple[int, int],
    pixel_um: float,
    *,
    relief_um: float | None = None,
    field_um: float | None = None,
    level: bool = True,
    seed: int = 0,
    fade: float = 1.0,
) -> Scene:
    """Return a measured surface, resampled and scaled to the rig.

    Parameters
    ----------
    height : (H0, W0) float, µm
        Measured topography; NaN is filled from the nearest measured point.
    pixel_um_src : float
        Its sampling, µm.
    shape, pixel_um
        Of the scene.
    relief_um : float, optional
        Difference between the 0.5th and 99.5th percentile after scaling; None keeps the heights.
    field_um : float, optional
        Side of the measured area (µm, as measured) that the scene's longer side shows; None keeps the scale.
    level : bool
        Take the mean plane off first: the mounting's tilt often exceeds the relief.
    seed, fade
        As in `rugged`, for the reflectance.

    Raises
    ------
    InputError
        If the topography is not (H, W) or nothing of it is measured.
    """
    source = np.asarray(height, dtype=np.float64)
    if source.ndim != 2 or not np.isfinite(source).any():
        raise InputError(f"topography: shape {source.shape} must be (H, W) with measured points")
    hole = ~np.isfinite(source)
    if hole.any():
        nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
        source = source[tuple(nearest)]
    shown = field_um if field_um is not None else max(shape) * pixel_um
    step = shown / max(shape) / pixel_um_src
    # Band limit before thinning out, or fine relief would alias into coarse.
    if step > 1:
        source = ndimage.gaussian_filter(source, 0.4 * step)
    start = [(n - 1) / 2 - step * (m - 1) / 2 for n, m in zip(source.shape, shape, strict=True)]
    sampled = ndimage.affine_transform(
        source, [step, step], offset=start, output_shape=shape, order=3, mode="mirror"
    )
    if level:
        y, x = np.indices(shape, dtype=np.float64).reshape(2, -1)
        plane = np.stack([y, x, np.ones_like(y)], axis=1)
        sampled -= (plane @ np.linalg.lstsq(plane, sampled.ravel(), rcond=None)[0]).reshape(shape)
    sampled -= np.median(sampled)
    if relief_um is not None:
        low, high = np.percentile(sampled, [0.5, 99.5])
        sampled *= relief_um / max(high - low, 1e-12)
    return dress(sampled.astype(np.float32), pixel_um, seed, fade=fade)


def dress(
    height_um: ArrayLike,
    pixel_um: float,
    seed: int,
    *,
    fade: float = 1.0,
    slope_shading: float = 0.6,
    optics: Optics | None = None,
) -> Scene:
    """Give a surface its brightness: grains, darker slopes, and regions where the grains fade.

    Parameters
    ----------
    height_um : (H, W) float, µm
    pixel_um : float
    seed : int
    fade : float
        Contrast of the grains where they are faintest, against 1 where they are full.
    slope_shading : float
        0 ignores slope, 1 darkens it as a mirror-like metal would.
    optics : Optics, optional
        The objective that lights the surface.
    """
    height = np.ascontiguousarray(height_um, dtype=np.float32)
    rng = np.random.default_rng([seed, 4])
    grain = grains(height.shape, pixel_um, rng)
    shade = 1 - slope_shading + slope_shading * facing(height, pixel_um, optics or Optics())
    if fade < 1:
        region = smooth_field(height.shape, min(30 / pixel_um, max(height.shape) / 3), rng)
        low, high = np.percentile(region, [10, 50])
        ramp = np.clip((region - low) / (high - low), 0, 1)
        contrast = fade + (1 - fade) * ramp**2 * (3 - 2 * ramp)
        # Where the grains fade the surface is matt as well, or its slopes would still give the contrast away.
        grain = 1 + contrast * (grain - 1)
        shade = shade.mean() + contrast * (shade - shade.mean())
    return Scene(height, np.asarray(0.45 * grain * shade, dtype=np.float32), pixel_um)


def _scaled(relief: Field, relief_um: float) -> Field:
    low, high = float(relief.min()), float(relief.max())
    return np.asarray((relief - (low + high) / 2) * (relief_um / (high - low)), dtype=np.float32)
