"""Bubbles and debris above the surface, drawn over and into its image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.devices.virtual.imaging.layers import Grid, spike_height
from lee.devices.virtual.imaging.optics import OtfTable
from lee.devices.virtual.scene.bodies import Bubble, Debris, Placed, is_present, place
from lee.devices.virtual.scene.scene import Scene
from lee.devices.virtual.scene.texture import smooth_field

_RIM_UM = 0.35
# A convex mirror of radius R shows the lamp R/2 below its top, as wide as the pupil's share of the mirror.
_GLINT_HEIGHT = 0.5
_GLINT_RADIUS = 0.18
# The lamp stands a little aside: the shadow of a bubble on the surface, by its radius, along y and x.
_SHADOW_AT = 0.45
# What a bubble's curved wall does to the image behind it, standard deviation.
_REFRACTED_BLUR_UM = 0.3
_TEXTURE_UM = 1.5

Spectrum = NDArray[np.complex64]


class Overlay:
    """Bodies between surface and objective: they veil what is below and add light at their own height."""

    def __init__(self, scene: Scene, grid: Grid, table: OtfTable) -> None:
        self._scene = scene
        self._grid = grid
        self._table = table
        self._pixel = grid.pixel_aperture()
        self._moments = [spike for spike in scene.spikes if spike.present != (0.0, 1.0)]
        self._textures = [self._texture(k) if body.texture else None for k, body in enumerate(scene.bubbles)]

    def light(
        self, surface: Spectrum, z_um: float, time: float, drift_px: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the light (H, W) of one frame.

        Parameters
        ----------
        surface : (M,) complex64
            Sorted spectrum of the surface as this focus shows it.
        z_um : float
            Height in focus.
        time : float
            0 at the first frame, 1 at the last.
        drift_px : (2,) float64
            How far the whole image is moved, (dy, dx).
        """
        finish = self._pixel * self._grid.shift(*drift_px) if drift_px.any() else self._pixel
        below = surface
        for spike in self._moments:
            if is_present(spike.present, time):
                height = spike_height(spike, self._scene.height_um, self._grid.pixel_um)
                disk = self._disk(spike.y_um, spike.x_um, spike.radius_um, height - z_um)
                below = below + np.float32(spike.brightness) * disk
        light = self._image(below * finish)
        added: Spectrum | None = None
        for k, bubble in enumerate(self._scene.bubbles):
            at = place(bubble, time)
            if not self._is_seen(bubble, at, time):
                continue
            cover = self._disk(at.y_um, at.x_um, at.radius_um, at.z_um - z_um)
            covered = np.clip(self._image(cover * finish), 0, 1)
            if bubble.shadow:
                aside = _SHADOW_AT * at.radius_um
                foot = at.z_um - at.radius_um - z_um
                shade = self._disk(at.y_um + aside, at.x_um + aside, at.radius_um, foot)
                dark = np.clip(self._image(shade * finish), 0, 1) * (1 - covered)
                light *= 1 - np.float32(bubble.shadow) * dark
            through = light
            if bubble.refraction:
                through = self._refracted(light, at, bubble.refraction, drift_px)
            light = light * (1 - covered) + np.float32(bubble.veil) * through * covered
            own = self._own(k, bubble, at, cover, z_um)
            added = own if added is None else added + own
        for flake in self._scene.debris:
            at = place(flake, time)
            if not self._is_seen(flake, at, time):
                continue
            cover = self._disk(at.y_um, at.x_um, at.radius_um, at.z_um - z_um)
            light *= 1 - np.float32(1 - flake.veil) * np.clip(self._image(cover * finish), 0, 1)
            own = np.float32(flake.brightness) * cover
            added = own if added is None else added + own
        if added is not None:
            light += self._image(added * finish)
        return light

    def _is_seen(self, body: Bubble | Debris, at: Placed, time: float) -> bool:
        # Beyond the margin an image would come in again at the opposite side.
        held = self._grid.holds(np.array([at.y_um]), np.array([at.x_um]))
        return is_present(body.present, time) and bool(held[0])

    def _own(self, k: int, bubble: Bubble, at: Placed, cover: Spectrum, z_um: float) -> Spectrum:
        """Return the light that a bubble adds at its height."""
        inner = self._disk(at.y_um, at.x_um, max(at.radius_um - _RIM_UM, 0.0), at.z_um - z_um)
        lamp_z = at.z_um + _GLINT_HEIGHT * at.radius_um
        glint = self._disk(at.y_um, at.x_um, _GLINT_RADIUS * at.radius_um, lamp_z - z_um)
        own = np.float32(bubble.glint) * glint + np.float32(bubble.rim) * (cover - inner)
        if bubble.fill:
            own = own + np.float32(bubble.fill) * cover
            texture = self._textures[k]
            if texture is not None:
                grain = self._grain(texture, at)
                own = own + np.float32(bubble.fill * bubble.texture) * self._defocused(grain, at.z_um - z_um)
        return np.asarray(own, dtype=np.complex64)

    def _texture(self, k: int) -> NDArray[np.float32]:
        size = _TEXTURE_UM / self._grid.pixel_um
        return smooth_field(self._grid.shape, size, np.random.default_rng([k, 12]))

    def _grain(self, texture: NDArray[np.float32], at: Placed) -> Spectrum:
        """Return the spectrum of a bubble's texture, of mean 0 over its disk, which it keeps as it moves."""
        middle = [n // 2 for n in texture.shape]
        y, x = np.ogrid[: texture.shape[0], : texture.shape[1]]
        pixel = self._grid.pixel_um
        inside = np.clip(at.radius_um / pixel + 0.5 - np.hypot(y - middle[0], x - middle[1]), 0, 1)
        mean = float((texture * inside).sum() / max(inside.sum(), 1e-9))
        spectrum = self._grid.forward(np.asarray((texture - mean) * inside, dtype=np.float32))
        to = [u / pixel + pad - m for u, pad, m in zip(at[:2], self._grid.pad, middle, strict=True)]
        return np.asarray(spectrum * self._grid.shift(*to), dtype=np.complex64)

    def _refracted(
        self, light: NDArray[np.float32], at: Placed, refraction: float, drift_px: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the light (H, W) from below as a bubble at a place shows it."""
        lines = []
        for centre_um, drift, n in zip(at[:2], drift_px, light.shape, strict=True):
            centre = centre_um / self._grid.pixel_um + drift
            lines.append(centre + (1 + refraction) * (np.arange(n) - centre))
        seen = ndimage.map_coordinates(light, np.meshgrid(*lines, indexing="ij"), order=1, mode="reflect")
        blur = _REFRACTED_BLUR_UM / self._grid.pixel_um
        return np.asarray(ndimage.gaussian_filter(seen, blur), dtype=np.float32)

    def _disk(self, y_um: float, x_um: float, radius_um: float, defocus_um: float) -> Spectrum:
        return self._defocused(self._grid.disk(y_um, x_um, radius_um), defocus_um)

    def _defocused(self, spectrum: Spectrum, defocus_um: float) -> Spectrum:
        otf = self._table(np.array([defocus_um]))[:, 0]
        return np.asarray(spectrum * otf[self._grid.ring_of], dtype=np.complex64)

    def _image(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        return self._grid.backward(spectrum, self._scene.shape)
