"""A virtual camera and a virtual stage, with the trigger line between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from lee.devices.protocols import Rig
from lee.devices.virtual.hardware.camera import SensorTiming, VirtualCamera
from lee.devices.virtual.hardware.carriage import Mechanics
from lee.devices.virtual.hardware.fault_plan import Faults
from lee.devices.virtual.hardware.frame_bank import Bank, quick_bank
from lee.devices.virtual.hardware.stage import BACKLASH_UM, COUNTS_PER_UM, LIMITS_UM, VirtualStage


def virtual_rig(
    bank: Bank | None = None,
    *,
    faults: Faults | None = None,
    scene_at_um: float = 1000.0,
    position_um: float | None = None,
    counts_per_um: float = COUNTS_PER_UM,
    limits_um: tuple[float, float] = LIMITS_UM,
    homed: bool = True,
    mechanics: Mechanics | None = None,
    backlash_um: float = BACKLASH_UM,
    timing: SensorTiming | None = None,
    counts_pulses: bool = True,
    watchdog_s: float = 1.0,
    after_highest_id: int = 1,
    first_id: int | None = None,
    lit_for_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Rig:
    """Put a virtual camera and a virtual stage together; the stage's pulses reach the camera.

    Parameters
    ----------
    bank : Bank, optional
        What the objective shows; by default from `quick_bank`.
    faults : Faults, optional
        Faults to simulate.
    scene_at_um : float
        Height of the stage at which the bank's height 0 is in focus.
    position_um : float, optional
        Where the stage is when it is switched on; by default at the scene.
    counts_per_um, limits_um, homed, mechanics, backlash_um, counts_pulses, watchdog_s
        As in `VirtualStage`.
    timing, after_highest_id, first_id, lit_for_s
        As in `VirtualCamera`.
    clock, sleep : callables, s
        Time of both.
    """
    stage = VirtualStage(
        counts_per_um=counts_per_um,
        limits_um=limits_um,
        position_um=scene_at_um if position_um is None else position_um,
        scene_at_um=scene_at_um,
        homed=homed,
        mechanics=mechanics,
        backlash_um=backlash_um,
        faults=faults,
        counts_pulses=counts_pulses,
        watchdog_s=watchdog_s,
        clock=clock,
        sleep=sleep,
    )
    camera = VirtualCamera(
        bank or quick_bank(),
        line=stage,
        z_um=stage.focus_um,
        timing=timing,
        after_highest_id=after_highest_id,
        first_id=first_id,
        lit_for_s=lit_for_s,
        faults=faults,
        clock=clock,
        sleep=sleep,
    )
    return Rig(camera, stage)


def parts_of(rig: Rig) -> tuple[VirtualCamera, VirtualStage]:
    """Return both with their own types, for what only virtual ones can do."""
    return cast(VirtualCamera, rig.camera), cast(VirtualStage, rig.stage)
