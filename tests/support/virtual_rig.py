"""A virtual rig on a simulated clock, over numbered planes."""

import numpy as np

from lee.devices.protocols import CameraSettings
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import PERFECT
from lee.devices.virtual.hardware.clock import SimulatedClock
from lee.devices.virtual.hardware.frame_bank import FrameBank
from lee.devices.virtual.hardware.rig import virtual_rig
from lee.devices.virtual.hardware.stage import COUNTS_PER_UM

SCENE_UM = 1000.0
TRIGGERED = CameraSettings(exposure_s=0.003)
FREE = CameraSettings(exposure_s=0.003, triggered=False)


def numbered_bank(planes=500, shape=(16, 24), step_um=0.2):
    """Planes with their number in the first pixel."""
    frames = np.zeros((planes, *shape), dtype=np.uint16)
    frames[:] = np.arange(planes)[:, None, None]
    frames += np.arange(shape[0], dtype=np.uint16)[:, None] * 1000
    return FrameBank(frames, step_um * np.arange(planes), bit_depth=16, between=False)


def rest_of(camera, timeout_s=0.1):
    frames = []
    while (frame := camera.next_frame(timeout_s)) is not None:
        frames.append(frame)
    return frames


def plan_of(pulses=400, **options):
    return ScanPlan(
        first_counts=round(SCENE_UM * COUNTS_PER_UM),
        step_counts=402,
        pulses=pulses,
        counts_per_um=COUNTS_PER_UM,
        frames_per_s=80.0,
        lead_counts=round(2 * COUNTS_PER_UM),
        **options,
    )


def rig_of(faults=None, mechanics=PERFECT, bank=None, settings=TRIGGERED, **options):
    clock = SimulatedClock(100.0)
    rig = virtual_rig(
        bank or numbered_bank(),
        faults=faults,
        mechanics=mechanics,
        scene_at_um=SCENE_UM,
        position_um=SCENE_UM - 10,
        clock=clock,
        sleep=clock.sleep,
        **options,
    )
    rig.camera.configure(settings)
    return rig, clock


def scan(rig, plan):
    """Take frames while the stage scans, as a rig's loop does; return frames and pulses."""
    rig.stage.move_to(plan.start_counts)
    rig.camera.start()
    rig.stage.begin_scan(plan)
    frames = rest_of(rig.camera, 0.5)
    pulses = rig.stage.end_scan(timeout_s=10.0)
    rig.camera.stop()
    return frames, pulses


def ids(frames):
    return [frame.frame_id for frame in frames]
