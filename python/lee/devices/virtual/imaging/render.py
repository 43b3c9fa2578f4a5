"""Scans of a scene: one frame at each position of the stage, as the camera records it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.devices.protocols import Counts
from lee.devices.virtual.imaging.layers import Grid, LayeredScene, spike_height
from lee.devices.virtual.imaging.occlusion import occlusion
from lee.devices.virtual.imaging.optics import Optics, OtfTable
from lee.devices.virtual.imaging.overlay import Overlay
from lee.devices.virtual.imaging.sensor import Sensor
from lee.devices.virtual.scene.bodies import place
from lee.devices.virtual.scene.nuclei import PointLights, lights
from lee.devices.virtual.scene.scene import Scene
from lee.errors import InputError

_FRAMES_AT_ONCE = 16
_WIDEST_MARGIN_UM = 12.0


@dataclass(frozen=True)
class RenderedScan:
    """A rendered scan and its truth.

    ``frames`` (Z, H, W) uint8 or uint16 counts; ``z_um`` (Z,) float64; ``truth_um`` (H, W) float32, the
    surface of the undrifted scene; ``touched`` (H, W) bool, pixels that a bubble or flake covered in any
    frame; ``hidden_share`` (H, W) float32, the share of the frames around a pixel's focus in which it was
    covered, as `occlusion` says; ``drift_px`` (Z, 2) float64, how far frame k shows the scene moved,
    (dy, dx); ``flashed`` (Z,) bool, frames with a flash.
    """

    frames: Counts
    z_um: NDArray[np.float64]
    pixel_um: float
    truth_um: NDArray[np.float32]
    touched: NDArray[np.bool_]
    hidden_share: NDArray[np.float32]
    drift_px: NDArray[np.float64]
    flashed: NDArray[np.bool_]

    def truth_seen_in(self, frame: int) -> NDArray[np.float32]:
        """Return the surface (H, W) where frame `frame` shows it; NaN where that is outside the scene."""
        moved = ndimage.shift(self.truth_um, self.drift_px[frame], order=1, mode="constant", cval=np.nan)
        return np.asarray(moved, dtype=np.float32)


def render_scan(
    scene: Scene,
    optics: Optics | None = None,
    z_um: ArrayLike | None = None,
    *,
    sensor: Sensor | None = None,
    drift_px: ArrayLike = (0.0, 0.0),
    layer_um: float = 0.2,
    seed: int = 0,
) -> RenderedScan:
    """Render a scan into memory.

    Parameters
    ----------
    scene : Scene
    optics : Optics, optional
    z_um : (Z,) float, µm, optional
        Heights in focus, in any order and spacing; by default the whole relief in steps of 0.2 µm.
    sensor : Sensor, optional
    drift_px : (2,) or (Z, 2) float, pixels
        Lateral drift: its total (dy, dx), linear in time and 0 in the middle of the scan, or (dy, dx) by
        frame.
    layer_um : float
        Thickness of the layers into which the scene is cut.
    seed : int
        Of the camera's noise; equal seeds give equal frames.

    Returns
    -------
    RenderedScan

    Raises
    ------
    InputError
        If `z_um`, `drift_px` or `layer_um` cannot be used.
    """
    z = scene.z_range() if z_um is None else _checked_z(z_um)
    drift = drift_path(drift_px, len(z))
    chosen = sensor or Sensor()
    frames: Counts = np.empty((len(z), *scene.shape), np.uint8 if chosen.bit_depth == 8 else np.uint16)
    made = iter_frames(scene, optics, z, sensor=chosen, drift_px=drift, layer_um=layer_um, seed=seed)
    for k, frame in enumerate(made):
        frames[k] = frame
    flashed = np.zeros(len(z), dtype=bool)
    flashed[[_flash_frame(flash.at, len(z)) for flash in scene.flashes]] = True
    occluded = occlusion(scene, z, optics or Optics())
    return RenderedScan(
        frames,
        z,
        scene.pixel_um,
        scene.height_um,
        occluded.touched,
        occluded.hidden_share,
        drift,
        flashed,
    )


def iter_frames(
    scene: Scene,
    optics: Optics | None = None,
    z_um: ArrayLike | None = None,
    *,
    sensor: Sensor | None = None,
    drift_px: ArrayLike = (0.0, 0.0),
    layer_um: float = 0.2,
    seed: int = 0,
) -> Iterator[Counts]:
    """Yield the frames of `render_scan` one by one; memory does not grow with their number."""
    lens, sensor = optics or Optics(), sensor or Sensor()
    z = scene.z_range() if z_um is None else _checked_z(z_um)
    drift = drift_path(drift_px, len(z))
    if not layer_um > 0:
        raise InputError(f"render: layer_um {layer_um} must be above 0")
    points = lights(scene.nuclei, scene.height_um, scene.pixel_um, scene.scattering)
    farthest = _farthest_um(scene, points, z)
    spread = float(np.ptp(scene.height_um)) + float(np.ptp(z))
    margin = (
        min(lens.blur_radius_um(spread), _WIDEST_MARGIN_UM)
        + float(np.abs(drift).max()) * scene.pixel_um
        + 1.0
    )
    grid = Grid.around(scene.shape, scene.pixel_um, margin, lens)
    table = OtfTable(lens, grid.radius, farthest)
    lasting = [spike for spike in scene.spikes if spike.present == (0.0, 1.0)]
    layered = LayeredScene(grid, scene.height_um, scene.reflectance, lasting, layer_um, points)
    lamp = sensor.lamp(scene.shape)
    brightness = exposure(scene, sensor)
    overlay = Overlay(scene, grid, table)
    for first in range(0, len(z), _FRAMES_AT_ONCE):
        spectra = layered.spectra(z[first : first + _FRAMES_AT_ONCE], table)
        for k, spectrum in enumerate(spectra, start=first):
            time = k / max(len(z) - 1, 1)
            light = overlay.light(spectrum, float(z[k]), time, drift[k])
            gain, added = 1.0, 0.0
            for flash in scene.flashes:
                if _flash_frame(flash.at, len(z)) == k:
                    gain, added = gain * flash.gain, added + flash.added
            light = (light * np.float32(gain) + np.float32(added)) * lamp
            # One generator per frame: neither chunks nor earlier frames change a frame's noise.
            yield sensor.expose(light * np.float32(brightness), np.random.default_rng([seed, k]))


def exposure(scene: Scene, sensor: Sensor) -> float:
    """Return the share of the full well that 1, white under the middle of the lamp, reaches.

    The surface alone sets it: bodies on it or above it do not change that.
    """
    lit = float((scene.reflectance * sensor.lamp(scene.shape)).mean())
    return sensor.mean_share / max(lit, 1e-6)


def drift_path(drift_px: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return the drift of each frame, (Z, 2) pixels, from its total or as given."""
    drift = np.asarray(drift_px, dtype=np.float64)
    if drift.shape == (2,):
        drift = np.linspace(-0.5, 0.5, count)[:, None] * drift if count > 1 else np.zeros((1, 2))
    if drift.shape != (count, 2) or not np.isfinite(drift).all():
        raise InputError(f"render: drift_px {drift.shape} must be finite, (2,) or ({count}, 2)")
    return drift


def _checked_z(z_um: ArrayLike) -> NDArray[np.float64]:
    z = np.asarray(z_um, dtype=np.float64)
    if z.ndim != 1 or z.size == 0 or not np.isfinite(z).all():
        raise InputError(f"render: z_um {z.shape} must be a list of finite heights")
    return z


def _flash_frame(at: float, count: int) -> int:
    return int(np.clip(round(at * (count - 1)), 0, count - 1))


def _farthest_um(scene: Scene, points: PointLights, z: NDArray[np.float64]) -> float:
    heights = [float(scene.height_um.min()), float(scene.height_um.max())]
    for body in scene.floating:
        for time in body.present:
            at = place(body, time)
            heights += [at.z_um - at.radius_um, at.z_um + at.radius_um]
    heights += [spike_height(spike, scene.height_um, scene.pixel_um) for spike in scene.spikes]
    heights += points.z_um.tolist()
    return max(float(np.abs(z - height).max()) for height in (min(heights), max(heights)))
