"""How large the demonstration is: whole, or in a fraction of the time."""

from collections.abc import Callable
from dataclasses import dataclass

from lee.devices.virtual import GrowingScene, Scene, demo_scene, electrode, growing_electrode


@dataclass(frozen=True)
class DemoSize:
    """The scenes of the demonstration and how finely they are scanned and solved.

    Parameters
    ----------
    scene : callable
        Scene of the single scan, from a seed.
    growing_scene : callable
        Electrode that is plated and stripped, from a seed.
    scans : int
        Of the growing electrode.
    interval_s : float, s
        From one of them to the next.
    walk_px : float, pixels
        By how much the stage wanders from scan to scan.
    nuclei_px, nuclei_relief_um : int, pixels; float, µm
        Side and relief of the electrode on which nuclei appear.
    known_particles : int
        Particles of known diameter, for the size calibration.
    twin_mesh, following_mesh : (columns, layers)
        Of the twin over the single surface, and over the growing one.
    tolerance : float
        Of the twin's c/c0 in a time step; the report states the errors of the balances.
    """

    scene: Callable[[int], Scene]
    growing_scene: Callable[[int], GrowingScene]
    scans: int
    interval_s: float
    walk_px: float
    nuclei_px: int
    nuclei_relief_um: float
    known_particles: int
    twin_mesh: tuple[int, int]
    following_mesh: tuple[int, int]
    tolerance: float


def _whole_growing(seed: int) -> GrowingScene:
    """Return an electrode 48 µm wide that is plated for half of its run and then stripped."""
    return growing_electrode((192, 192), 0.25, seed, relief_um=6.0, plating_s=90.0, stripping_s=90.0)


def _quick_scene(seed: int) -> Scene:
    scene = electrode((96, 96), 0.25, seed, relief_um=4.0)
    return scene.with_spikes(2, seed + 1).with_bubbles(1, seed + 2, (2.0, 3.0)).with_debris(1, seed + 3)


def _quick_growing(seed: int) -> GrowingScene:
    return growing_electrode((92, 164), 0.25, seed, relief_um=2.0, plating_s=60.0, stripping_s=60.0)


WHOLE = DemoSize(
    scene=demo_scene,
    growing_scene=_whole_growing,
    scans=12,
    interval_s=15.0,
    walk_px=0.5,
    nuclei_px=288,
    nuclei_relief_um=6.0,
    known_particles=160,
    twin_mesh=(16, 10),
    following_mesh=(24, 12),
    tolerance=1e-3,
)
QUICK = DemoSize(
    scene=_quick_scene,
    growing_scene=_quick_growing,
    scans=6,
    interval_s=20.0,
    walk_px=0.3,
    nuclei_px=144,
    nuclei_relief_um=3.0,
    known_particles=50,
    twin_mesh=(6, 5),
    following_mesh=(6, 5),
    tolerance=5e-3,
)
