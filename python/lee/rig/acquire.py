"""One scan at the rig: frames are taken, written and reconstructed at once, and none is lost unsaid.

Three threads share the work. The caller's takes frames from the camera; one writes them, and has precedence:
where it falls behind, the taking waits, and the camera's own buffers say when that is too much. One
reconstructs; where it falls behind, frames pass it by, counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lee.devices.faults import Backpressure, IncompleteFrame, RigFault, TriggerMismatch
from lee.devices.protocols import CameraFrame, CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.reconstruction.refocuser import ReconstructParams
from lee.recording.header import SegmentHeader
from lee.recording.ledger import Ledger
from lee.recording.segment import SegmentWriter
from lee.rig.frame_heights import FreeHeights, Heights, Placed, PulseHeights, Synchronisation
from lee.rig.scan_threads import Building, Writing
from lee.surfaces.surface import Surface

# How long one look for a frame lasts, s.
_LOOK_S = 0.25
_DTYPES = {"Mono8": "uint8"}


class ScanTaken(NamedTuple):
    """What came of one scan."""

    path: Path
    plan: ScanPlan
    ledger: Ledger
    synchronisation: Synchronisation
    surface: Surface | None
    """None where it was not asked for, or could not be made."""
    no_surface: str
    """Why there is none, where it was asked for."""
    skipped: int
    """Frames that the reconstruction could not keep up with; they are written all the same."""
    surface_after_s: float
    """From the last frame to the surface."""
    disk_waited_s: float
    """How long frames waited since the disk fell behind; 0 where it did not."""
    fault: RigFault | None
    """What ended the scan early, or makes the next one useless."""

    def said(self) -> str:
        """Say in one line what came of it."""
        told = [f"{self.path.name}: {self.ledger.said()}"]
        told += [self.synchronisation.said()] if self.synchronisation.said() else []
        if self.disk_waited_s:
            told.append(f"the disk fell behind: frames waited {self.disk_waited_s:.1f} s for it")
        if self.surface is not None:
            told.append(f"surface {self.surface.coverage:.0%} measured, {self.surface_after_s:.2f} s later")
            if self.skipped:
                told[-1] += f", {self.skipped} frames passed it by"
        elif self.no_surface:
            told.append(f"no surface: {self.no_surface}")
        return "; ".join(told)


def frames_most(plan: ScanPlan, settings: CameraSettings) -> int:
    """Return how many frames a scan can have: as many as pulses, or, of a free camera, as its pace gives."""
    if settings.triggered:
        return plan.pulses
    return ceil(1.05 * plan.pulses * settings.frames_per_s / plan.frames_per_s) + 8


def take_scan(
    rig: Rig,
    plan: ScanPlan,
    path: str | Path,
    *,
    settings: CameraSettings,
    pixel_um: float,
    reconstruct: bool = True,
    params: ReconstructParams | None = None,
    notes: Mapping[str, Any] | None = None,
    patience_s: float = 2.0,
    on_frame: Callable[[CameraFrame], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ScanTaken:
    """Scan once.

    Parameters
    ----------
    rig : Rig
        Its camera configured.
    plan : ScanPlan
    path : str or Path
        Of the segment to write, ``.raw``.
    settings : CameraSettings
        As the camera applied them. Where it is not triggered, heights come from time; see
        `lee.rig.frame_heights`.
    pixel_um : float, um
    reconstruct : bool
        Measure the surface while frames arrive.
    params : ReconstructParams, optional
    notes : mapping, optional
        What else the recording should tell from its beginning on, such as the rig's file; fits into JSON.
    patience_s : float, s
        How long beyond its end the scan is waited for.
    on_frame : callable, optional
        Called with every frame after it was handed to the disk, on the thread that takes frames: it must
        return at once.
    clock : callable, s
        That of the devices.

    Returns
    -------
    ScanTaken
        Also where a fault ended the scan: what was taken is written and accounted for, the stage is stopped.

    Raises
    ------
    InputError
        If there is no room for the scan, the camera does not tell its region, or waits for pulses that the
        stage cannot send.
    RigFault
        If the stage does not come to the start; nothing is written then.
    """
    if settings.region is None:
        raise InputError("take_scan: the camera tells no region; give the settings that it applied")
    if settings.triggered and not rig.stage.can_trigger:
        raise InputError("take_scan: this stage sends no pulses; set triggered = false for the camera")
    header = SegmentHeader(
        shape=settings.region[2:],
        dtype=_DTYPES.get(settings.pixel_format, "uint16"),
        frames=frames_most(plan, settings),
        plan=plan,
        settings=settings,
        camera=rig.camera.identity,
        stage=rig.stage.identity,
        pixel_um=pixel_um,
        notes=notes or {},
    )
    rig.stage.move_to(plan.start_counts)
    heights: Heights = (
        PulseHeights(plan) if settings.triggered else FreeHeights(plan, rig.stage, settings, clock)
    )
    with SegmentWriter(path, header) as segment:
        writing = Writing(segment)
        building = Building(header.shape, pixel_um, params) if reconstruct else None

        def hand_on(frame: CameraFrame) -> None:
            z_um = heights(frame)
            if z_um is not None:
                writing.take(frame)
                if building is not None and frame.complete and np.isfinite(z_um):
                    building.take(frame.image, z_um)
            if on_frame is not None:
                on_frame(frame)

        fault, pulses = None, -1
        try:
            run = _run_triggered if settings.triggered else _run_freely
            pulses = run(rig, plan, heights, hand_on, patience_s, clock)
        except (RigFault, KeyboardInterrupt) as error:
            stopped = RigFault("the scan was interrupted; what was taken of it is written")
            fault = error if isinstance(error, RigFault) else stopped
            with suppress(RigFault):  # one that no longer answers; the fault at hand says more
                rig.stage.stop()
        ended = time.perf_counter()
        fault = writing.finish() or fault
        placed = heights.ended(pulses=pulses, written=len(segment))
        fault = fault or _useless(placed.ledger, settings)
        known = {
            "synchronisation": placed.synchronisation.to_json(),
            "disk_waited_s": writing.waited_s,
            "fault": "" if fault is None else f"{type(fault).__name__}: {fault}",
        }
        segment.finish(placed.ledger, z_um=placed.z_um, notes=known)
    surface, reason, skipped = (None, "", 0) if building is None else building.finish()
    return ScanTaken(
        path=Path(path),
        plan=plan,
        ledger=placed.ledger,
        synchronisation=placed.synchronisation,
        surface=None if surface is None else _at_its_height(surface, placed),
        no_surface=reason,
        skipped=skipped,
        surface_after_s=time.perf_counter() - ended,
        disk_waited_s=writing.waited_s,
        fault=fault,
    )


def _run_triggered(
    rig: Rig,
    plan: ScanPlan,
    heights: Heights,
    hand_on: Callable[[CameraFrame], None],
    patience_s: float,
    clock: Callable[[], float],
) -> int:
    """Let the stage run and hand every frame on; return the pulses the stage counted."""
    rig.camera.start()
    try:
        rig.stage.begin_scan(plan)
        deadline = clock() + _way_s(plan) + patience_s
        while heights.seen() < plan.pulses and clock() < deadline:
            frame = rig.camera.next_frame(min(_LOOK_S, max(deadline - clock(), 0.0)))
            if frame is not None:
                hand_on(frame)
        pulses = rig.stage.end_scan(timeout_s=max(deadline - clock(), patience_s))
    finally:
        rig.camera.stop()
    while heights.seen() < 2 * plan.pulses and (frame := rig.camera.next_frame(0.0)) is not None:
        hand_on(frame)
    return pulses


def _run_freely(
    rig: Rig,
    plan: ScanPlan,
    heights: Heights,
    hand_on: Callable[[CameraFrame], None],
    patience_s: float,
    clock: Callable[[], float],
) -> int:
    """Hand on what the camera takes while the stage runs; no pulse counts."""
    rig.camera.start()
    try:
        rig.stage.begin_scan(plan)
        deadline = clock() + _way_s(plan) + patience_s
        while clock() < deadline:
            try:
                frame = rig.camera.next_frame(min(_LOOK_S, max(deadline - clock(), 0.0)))
            except Backpressure:
                if heights.seen():
                    raise
                continue  # frames of the way to the start, which nobody took
            if frame is not None:
                hand_on(frame)
            if not rig.stage.last_status().moving and heights.seen():
                break
        rig.stage.end_scan(timeout_s=max(deadline - clock(), patience_s))
    finally:
        rig.camera.stop()
    while (frame := rig.camera.next_frame(0.0)) is not None:
        hand_on(frame)
    return -1


def _way_s(plan: ScanPlan) -> float:
    return abs(plan.end_counts - plan.start_counts) / plan.counts_per_um / plan.speed_um_per_s


def _useless(ledger: Ledger, settings: CameraSettings) -> RigFault | None:
    """Return what makes the next scan as useless as this one."""
    if settings.triggered and ledger.frames_received == 0:
        sent = ledger.pulses_planned if ledger.pulses_counted == -1 else ledger.pulses_counted
        return TriggerMismatch(
            f"camera: made no frame of {sent} pulses; check the wire from the stage, and the trigger's line"
        )
    if 0 < ledger.frames_received == ledger.frames_incomplete:
        return IncompleteFrame(
            f"camera: all {ledger.frames_received} frames lack a part of their image; check its cable, and "
            "what else uses the bus"
        )
    return None


def _at_its_height(surface: Surface, placed: Placed) -> Surface:
    """Put a surface whose frames were told planned heights where the frames truly were."""
    known = placed.synchronisation
    metadata = {**surface.metadata, "synchronisation": known.to_json()}
    if known.method != "timestamps":
        return replace(surface, metadata=metadata)
    return replace(
        surface,
        height_um=placed.shift_um + placed.stretch * surface.height_um,
        height_filled_um=placed.shift_um + placed.stretch * surface.height_filled_um,
        height_sigma_um=placed.stretch * surface.height_sigma_um,
        metadata=metadata,
    )
