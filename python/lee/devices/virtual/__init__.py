"""The virtual rig: scans of known surfaces by wave optics, a camera and a stage with the faults of real ones.

It shares no code with the reconstruction, so that the two cannot share an error.
"""

from lee.devices.virtual.hardware.camera import SensorTiming, VirtualCamera
from lee.devices.virtual.hardware.carriage import PERFECT, Mechanics
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.devices.virtual.hardware.frame_bank import Bank, FrameBank, quick_bank
from lee.devices.virtual.hardware.rig import parts_of, virtual_rig
from lee.devices.virtual.hardware.stage import VirtualStage
from lee.devices.virtual.imaging.optics import Optics
from lee.devices.virtual.imaging.render import RenderedScan, iter_frames, render_scan
from lee.devices.virtual.imaging.sensor import Sensor
from lee.devices.virtual.runs.nuclei_truth import Appeared, NucleiSeen, appeared, intensity_counts
from lee.devices.virtual.runs.run import (
    GrowingScene,
    GrownScan,
    GrowthLaw,
    Phase,
    RunTruth,
    growing_electrode,
    iter_scans,
    render_run,
    stage_walk,
)
from lee.devices.virtual.scene.bodies import Bubble, Debris, Flash, Spike
from lee.devices.virtual.scene.demo import DEMO_DRIFT_PX, demo_scene
from lee.devices.virtual.scene.nucleation import nucleate, nucleation_rate
from lee.devices.virtual.scene.nuclei import Nucleus, Scattering
from lee.devices.virtual.scene.scene import Scene, electrode, flat, from_topography, gentle, rugged

__all__ = [
    "DEMO_DRIFT_PX",
    "PERFECT",
    "Appeared",
    "At",
    "Bank",
    "Bubble",
    "Sensor",
    "Debris",
    "Faults",
    "Flash",
    "FrameBank",
    "GrowingScene",
    "GrownScan",
    "GrowthLaw",
    "Mechanics",
    "NucleiSeen",
    "Nucleus",
    "Optics",
    "Phase",
    "RunTruth",
    "RenderedScan",
    "Scattering",
    "Scene",
    "SensorTiming",
    "SimulatedClock",
    "Spike",
    "VirtualCamera",
    "VirtualStage",
    "appeared",
    "demo_scene",
    "electrode",
    "flat",
    "from_topography",
    "gentle",
    "growing_electrode",
    "intensity_counts",
    "iter_frames",
    "iter_scans",
    "nucleate",
    "nucleation_rate",
    "parts_of",
    "quick_bank",
    "render_run",
    "render_scan",
    "rugged",
    "stage_walk",
    "virtual_rig",
]
