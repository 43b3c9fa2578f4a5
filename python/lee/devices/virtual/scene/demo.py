"""The scene that `lee demo` scans: a bit of everything that makes a real scan hard."""

from lee.devices.virtual.scene.scene import Scene, electrode

DEMO_SHAPE = (400, 400)
DEMO_PIXEL_UM = 0.25
DEMO_DRIFT_PX = (3.0, -2.0)


def demo_scene(seed: int = 0) -> Scene:
    """Return an electrode 100 µm wide with 20 µm relief, fading texture, glints, two bubbles and a flake.

    Scanned over ``demo_scene().z_range(0.2)`` it gives 131 frames.
    """
    scene = electrode(DEMO_SHAPE, DEMO_PIXEL_UM, seed, relief_um=20.0, fade=0.2)
    return scene.with_spikes(20, seed + 1).with_bubbles(2, seed + 2, (5.0, 9.0)).with_debris(1, seed + 3)
