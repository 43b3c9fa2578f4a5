"""Bubbles and debris above the surface, drawn over and into its image."""

import numpy as np
from numpy.typing import NDArray

from lee.devices.virtual.imaging.layers import Grid, spike_height
from lee.devices.virtual.imaging.optics import OtfTable
from lee.devices.virtual.scene.bodies import Bubble, Debris, is_present, place
from lee.devices.virtual.scene.scene import Scene

_RIM_UM = 0.35
# A convex mirror of radius R shows the lamp R/2 below its top, as wide as the pupil's share of the mirror.
_GLINT_HEIGHT = 0.5
_GLINT_RADIUS = 0.18

Spectrum = NDArray[np.complex64]


class Overlay:
    """Bodies between surface and objective: they veil what is below and add light at their own height."""

    def __init__(self, scene: Scene, grid: Grid, table: OtfTable) -> None:
        self._scene = scene
        self._grid = grid
        self._table = table
        self._pixel = grid.pixel_aperture()
        self._moments = [spike for spike in scene.spikes if spike.present != (0.0, 1.0)]

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
        floating: list[Bubble | Debris] = [*self._scene.bubbles, *self._scene.debris]
        for body in floating:
            if not is_present(body.present, time):
                continue
            y, x = place(body, time)
            cover = self._disk(y, x, body.radius_um, body.z_um - z_um)
            light *= 1 - np.float32(1 - body.veil) * np.clip(self._image(cover * finish), 0, 1)
            if isinstance(body, Bubble):
                inner = self._disk(y, x, max(body.radius_um - _RIM_UM, 0.0), body.z_um - z_um)
                lamp_z = body.z_um + _GLINT_HEIGHT * body.radius_um
                glint = self._disk(y, x, _GLINT_RADIUS * body.radius_um, lamp_z - z_um)
                own = np.float32(body.glint) * glint + np.float32(body.rim) * (cover - inner)
            else:
                own = np.float32(body.brightness) * cover
            added = own if added is None else added + own
        if added is not None:
            light += self._image(added * finish)
        return light

    def _disk(self, y_um: float, x_um: float, radius_um: float, defocus_um: float) -> Spectrum:
        otf = self._table(np.array([defocus_um]))[:, 0]
        return np.asarray(
            self._grid.disk(y_um, x_um, radius_um) * otf[self._grid.ring_of], dtype=np.complex64
        )

    def _image(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        return self._grid.backward(spectrum, self._scene.shape)
