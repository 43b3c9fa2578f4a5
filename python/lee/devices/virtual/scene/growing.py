"""A scene whose surface grows by a known law, its texture slowly replaced."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from lee.devices.virtual.scene.growth_law import GrowthLaw, plating, stripping
from lee.devices.virtual.scene.nuclei import Nucleus, grown
from lee.devices.virtual.scene.scene import Scene, electrode
from lee.devices.virtual.scene.texture import mixed_field
from lee.errors import InputError

Map = NDArray[np.float32]
_GRAINS_UM = (0.4, 0.7, 1.3, 3.0)
_SHADE_UM = 4.0  # brightness wider than this is light and slope, not grains


@dataclass(frozen=True)
class GrowingScene:
    """A scene and the law by which its surface grows; truth is known at any time.

    Parameters
    ----------
    scene : Scene
        At time 0. Bodies that float over it do so in every scan alike. Its nuclei are those of all times.
    law : GrowthLaw
    texture_s : float
        Time after which none of the grains of brightness is left as it was; until then they blend into
        others. Their place and contrast on the field stay; they do not move sideways.
    seed : int
        Of the grains to come.
    """

    scene: Scene
    law: GrowthLaw
    texture_s: float = 1000.0
    seed: int = 0
    _grains: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.texture_s > 0:
            raise InputError(f"growing scene: texture_s {self.texture_s} must be above 0; inf keeps it")

    @property
    def pixel_um(self) -> float:
        """Size of a pixel."""
        return self.scene.pixel_um

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.scene.shape

    @property
    def nuclei(self) -> tuple[Nucleus, ...]:
        """The nuclei of all times, as large as each becomes."""
        return tuple(self.scene.nuclei)

    def height_um(self, time_s: float) -> Map:
        """Return the surface at a time, (H, W) µm."""
        fading = np.expm1(-self._decay * self.law.levelling_um2(time_s))
        change = fft.idctn(self._spectrum * fading, norm="ortho") + self.law.uniform_um(time_s)
        return np.asarray(self.scene.height_um + change, dtype=np.float32)

    def curvature_per_um(self, time_s: float) -> Map:
        """Return what drives growth, (H, W) 1/µm: half the Laplacian of the smoothed surface."""
        left = np.exp(-self._decay * self.law.levelling_um2(time_s))
        return np.asarray(fft.idctn(-self._decay * left * self._spectrum, norm="ortho"), dtype=np.float32)

    def rate_nm_per_s(self, time_s: float) -> Map:
        """Return how fast the surface rises at a time, (H, W) nm/s."""
        uniform, per_curvature = self.law.coefficients(time_s)
        return np.asarray(1e3 * (uniform + per_curvature * self.curvature_per_um(time_s)), dtype=np.float32)

    def mean_rate_nm_per_s(self, begin_s: float, end_s: float) -> Map:
        """Return the rate (H, W) nm/s averaged between two times."""
        if not end_s > begin_s:
            raise InputError(f"growing scene: end_s {end_s} must be after begin_s {begin_s}")
        fading = np.exp(-self._decay * self.law.levelling_um2(end_s))
        fading -= np.exp(-self._decay * self.law.levelling_um2(begin_s))
        change = fft.idctn(self._spectrum * fading, norm="ortho")
        change += self.law.uniform_um(end_s) - self.law.uniform_um(begin_s)
        return np.asarray(1e3 * change / (end_s - begin_s), dtype=np.float32)

    def reflectance(self, time_s: float) -> Map:
        """Return the surface's brightness at a time, (H, W)."""
        if np.isinf(self.texture_s):
            return self.scene.reflectance
        shade, first, contrast = self._light
        passed = max(time_s, 0.0) / self.texture_s
        knot = int(passed)
        turn = 0.5 * np.pi * (passed - knot)
        now = first if knot == 0 else contrast * self._grain(knot)
        grain = np.cos(turn) * now + np.sin(turn) * contrast * self._grain(knot + 1)
        return np.asarray(np.exp(shade + grain), dtype=np.float32)

    def at(self, time_s: float) -> Scene:
        """Return the scene at a time, with the nuclei that are there and as large as they are then."""
        return replace(
            self.scene,
            height_um=self.height_um(time_s),
            reflectance=self.reflectance(time_s),
            nuclei=grown(self.nuclei, time_s),
        )

    def trenches(self, share: float = 0.1) -> NDArray[np.bool_]:
        """Return the most hollow `share` of the field at time 0, (H, W) bool."""
        curvature = self.curvature_per_um(0.0)
        return np.asarray(curvature >= np.quantile(curvature, 1 - share))

    def protrusions(self, share: float = 0.1) -> NDArray[np.bool_]:
        """Return the most bulging `share` of the field at time 0, (H, W) bool."""
        curvature = self.curvature_per_um(0.0)
        return np.asarray(curvature <= np.quantile(curvature, share))

    @cached_property
    def _spectrum(self) -> NDArray[np.float64]:
        return np.asarray(fft.dctn(self.scene.height_um.astype(np.float64), norm="ortho"))

    @cached_property
    def _decay(self) -> NDArray[np.float64]:
        ky, kx = (np.pi * np.arange(n) / (n * self.pixel_um) for n in self.shape)
        square = ky[:, None] ** 2 + kx[None, :] ** 2
        return np.asarray(0.5 * square * np.exp(-0.5 * square * self.law.smoothing_um**2))

    @cached_property
    def _light(self) -> tuple[Map, Map, Map]:
        """Log brightness as shade, the first grains, and the grains' local deviation."""
        light = np.log(np.maximum(self.scene.reflectance, np.float32(1e-3)))
        wide = _SHADE_UM / self.pixel_um
        shade = ndimage.gaussian_filter(light, wide, mode="reflect")
        first = light - shade
        return shade, first, np.sqrt(ndimage.gaussian_filter(first**2, wide, mode="reflect"))

    def _grain(self, knot: int) -> Map:
        if knot not in self._grains:
            sizes = [max(size / self.pixel_um, 0.5) for size in _GRAINS_UM]
            rng = np.random.default_rng([self.seed, 6, knot])
            self._grains[knot] = mixed_field(self.shape, sizes, 0.0, rng)
        return self._grains[knot]


def growing_electrode(
    shape: tuple[int, int],
    pixel_um: float,
    seed: int,
    *,
    relief_um: float = 8.0,
    plating_s: float = 600.0,
    stripping_s: float = 600.0,
    fade: float = 0.4,
) -> GrowingScene:
    """Return an electrode that is plated and then stripped.

    Trenches begin near 80 nm/s and protrusions near 30 nm/s; both approach 38 nm/s while trenches fill.
    """
    # Curvature grows with the relief: so the lead of the trenches is that of 8 µm at any relief.
    curvature = 0.25 * 8.0 / relief_um
    law = GrowthLaw((plating(plating_s, curvature), stripping(stripping_s, curvature)))
    return GrowingScene(electrode(shape, pixel_um, seed, relief_um=relief_um, fade=fade), law, seed=seed)
