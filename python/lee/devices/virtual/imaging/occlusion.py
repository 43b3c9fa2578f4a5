"""Which pixels bodies cover while a scene is scanned, and of which they hide the focus: truth, not image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.devices.virtual.imaging.optics import Optics
from lee.devices.virtual.scene.bodies import is_present, place
from lee.devices.virtual.scene.scene import Scene

FOCUS_UM = 1.5  # half of the depth of field of the focus curve at NA 0.5


@dataclass(frozen=True)
class Occlusion:
    """``touched`` (H, W) bool and ``hidden_share`` (H, W) float32, as `occlusion` returns them."""

    touched: NDArray[np.bool_]
    hidden_share: NDArray[np.float32]


def occlusion(scene: Scene, z_um: NDArray[np.float64], optics: Optics) -> Occlusion:
    """Return what bubbles and debris cover over a scan, drift aside.

    Parameters
    ----------
    scene : Scene
    z_um : (Z,) float64, µm
        Heights in focus, frame by frame.
    optics : Optics
        Its cone of light from a pixel is what a body cuts.

    Returns
    -------
    Occlusion
        ``touched``: pixels that lie under a body's disk, as it is at its own height, in any frame.
        ``hidden_share``: of the frames focused within 1.5 µm of a pixel's height, or of the nearest one if
        there is none, the share in which one covered it: 0 where the focus is free, 1 where it is hidden.
        A frame counts half where less than half of the cone of light is cut: at a body's edge, and below
        one so small and so far above that the cone passes around it.

    Notes
    -----
    A disk of radius R at distance d from the axis cuts half of a cone that is c wide there if d = R for a
    narrow cone, and if d = 0 for c = sqrt(2) R; d² + c²/2 = R² in between.
    """
    touched = np.zeros(scene.shape, dtype=bool)
    near, hidden = np.zeros(scene.shape, np.int32), np.zeros(scene.shape, np.float32)
    if not scene.floating:
        return Occlusion(touched, hidden)
    cone = optics.blur_radius_um(1.0)
    distance = np.full(scene.shape, np.inf, dtype=np.float32)
    for z in z_um:
        distance = np.minimum(distance, np.abs(scene.height_um - np.float32(z)))
    reach = np.maximum(distance, FOCUS_UM)
    y = np.arange(scene.shape[0])[:, None] * scene.pixel_um
    x = np.arange(scene.shape[1])[None, :] * scene.pixel_um
    for z, time in zip(z_um, np.linspace(0, 1, len(z_um)).tolist(), strict=True):
        cut = np.zeros(scene.shape, dtype=np.float32)
        for body in scene.floating:
            if is_present(body.present, time):
                at = place(body, time)
                left = at.radius_um**2 - (y - at.y_um) ** 2 - (x - at.x_um) ** 2
                half = 0.5 * (cone * (at.z_um - scene.height_um)) ** 2
                cut = np.maximum(cut, np.where(left >= half, 1.0, np.where(left >= 0, 0.5, 0.0)))
        focused = np.abs(scene.height_um - np.float32(z)) <= reach
        touched |= cut > 0
        near += focused
        hidden += focused * cut
    return Occlusion(touched, (hidden / near).astype(np.float32))
