"""The virtual rig: scans of known surfaces, drawn by wave optics.

It shares no code with the reconstruction, so that the two cannot share an error.
"""

from lee.devices.virtual.bodies import Bubble, Debris, Flash, Spike
from lee.devices.virtual.demo import DEMO_DRIFT_PX, demo_scene
from lee.devices.virtual.optics import Optics
from lee.devices.virtual.render import Scan, iter_frames, render_scan
from lee.devices.virtual.scene import Scene, electrode, flat, from_topography, gentle, rugged
from lee.devices.virtual.sensor import Camera

__all__ = [
    "DEMO_DRIFT_PX",
    "Bubble",
    "Camera",
    "Debris",
    "Flash",
    "Optics",
    "Scan",
    "Scene",
    "Spike",
    "demo_scene",
    "electrode",
    "flat",
    "from_topography",
    "gentle",
    "iter_frames",
    "render_scan",
    "rugged",
]
