"""A rig that somebody may halt from another thread, at any moment of a run."""

from __future__ import annotations

import threading
from typing import Any, cast

from lee.devices.faults import RigFault
from lee.devices.protocols import Camera, CameraFrame, Rig, Stage
from lee.devices.scan_plan import ScanPlan


class StoppedByHand(RigFault):
    """Somebody stopped the stage from the page."""


def haltable(rig: Rig, halted: threading.Event, begun: list[ScanPlan]) -> Rig:
    """Return the rig as a run uses it: once `halted` is set, it gives no frame and sets off no more.

    Parameters
    ----------
    rig : Rig
    halted : threading.Event
    begun : list of ScanPlan
        The plan of the scan that was begun last is its only entry.

    Raises
    ------
    StoppedByHand
        From what the run does next with the camera or the stage.
    """
    # All else is the device's own.
    return Rig(
        cast(Camera, _HaltableCamera(rig.camera, halted)),
        cast(Stage, _HaltableStage(rig.stage, halted, begun)),
    )


class _HaltableCamera:
    def __init__(self, camera: Camera, halted: threading.Event) -> None:
        self._device, self._halted = camera, halted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        _go_on(self._halted)
        return self._device.next_frame(timeout_s)


class _HaltableStage:
    def __init__(self, stage: Stage, halted: threading.Event, begun: list[ScanPlan]) -> None:
        self._device, self._halted, self._begun = stage, halted, begun

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        _go_on(self._halted)
        self._device.move_to(counts, timeout_s=timeout_s)

    def begin_scan(self, plan: ScanPlan) -> None:
        _go_on(self._halted)
        self._begun[:] = [plan]
        self._device.begin_scan(plan)


def _go_on(halted: threading.Event) -> None:
    if halted.is_set():
        raise StoppedByHand("stopped at once, by hand; see where the stage is before it is started again")
