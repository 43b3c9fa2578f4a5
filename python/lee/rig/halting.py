"""A rig that can be halted from another thread at any moment of a run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import cast

from lee.devices.protocols import Camera, CameraFrame, Rig, Stage
from lee.devices.scan_plan import ScanPlan
from lee.errors import RigFault


class StoppedByUser(RigFault):
    """The stage was stopped from the page, or by a signal."""


@dataclass
class CurrentScan:
    """The plan of the scan that was begun last; of the first scan before that."""

    plan: ScanPlan


def haltable(rig: Rig, halted: threading.Event, current: CurrentScan | None = None) -> Rig:
    """Return the rig as a run uses it: once `halted` is set, it gives no frame and starts no motion.

    Parameters
    ----------
    rig : Rig
    halted : threading.Event
    current : CurrentScan, optional
        Receives the plan of every scan that begins.

    Raises
    ------
    StoppedByUser
        From the next call of the run to the camera or the stage.
    """
    # Everything else is passed to the devices.
    return Rig(
        cast(Camera, _HaltableCamera(rig.camera, halted)),
        cast(Stage, _HaltableStage(rig.stage, halted, current)),
    )


class _HaltableCamera:
    def __init__(self, camera: Camera, halted: threading.Event) -> None:
        self._device, self._halted = camera, halted

    def __getattr__(self, name: str) -> object:
        return getattr(self._device, name)

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        _check(self._halted)
        return self._device.next_frame(timeout_s)


class _HaltableStage:
    def __init__(self, stage: Stage, halted: threading.Event, current: CurrentScan | None) -> None:
        self._device, self._halted, self._current = stage, halted, current

    def __getattr__(self, name: str) -> object:
        return getattr(self._device, name)

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        _check(self._halted)
        self._device.move_to(counts, timeout_s=timeout_s)

    def begin_scan(self, plan: ScanPlan) -> None:
        _check(self._halted)
        if self._current is not None:
            self._current.plan = plan
        self._device.begin_scan(plan)


def _check(halted: threading.Event) -> None:
    if halted.is_set():
        raise StoppedByUser("stopped at once by the user; check where the stage is before you start again")
