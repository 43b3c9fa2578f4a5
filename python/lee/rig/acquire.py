"""One scan at the rig: frames are taken, written and reconstructed at once, and every loss is reported.

Three threads share the work. The caller's thread takes frames from the camera. One writes them and has
precedence: if it falls behind, the caller's waits, until the camera's own buffers are full. One reconstructs:
if it falls behind, it skips frames, which are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lee.devices.faults import Backpressure, IncompleteFrame, TriggerMismatch
from lee.devices.protocols import CameraFrame, CameraSettings, Rig, Stage
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError, RigFault
from lee.reconstruction.parameters import ReconstructParams
from lee.recording.header import SegmentHeader
from lee.recording.ledger import Ledger
from lee.recording.moment import Moment, now, wall_clock
from lee.recording.segment import SegmentWriter
from lee.rig.frame_heights import BlackRows, FrameAccount, FrameHeights, Synchronisation, TriggerHeights
from lee.rig.scan_threads import FrameWriter, ScanReconstruction
from lee.rig.timestamp_heights import TimestampHeights, refuse_coarse_clock
from lee.surfaces.surface import Surface

# Longest wait for a frame before the end of the scan is checked, s.
_POLL_S = 0.25
# Smallest share of the field that a scan of the sample measures; noise alone gives a few percent.
MIN_COVERAGE = 0.05
# A focus needs so many frames.
_FOCUS_FRAMES = 3
# Frames that belong to no pulse and are written all the same.
_NO_PULSE = 4


class ScanResult(NamedTuple):
    """The outcome of one scan."""

    path: Path
    plan: ScanPlan
    ledger: Ledger
    synchronisation: Synchronisation
    surface: Surface | None
    """None if it was not requested, or could not be reconstructed."""
    no_surface: str
    """Why there is none although it was requested."""
    skipped: int
    """Frames that the reconstruction had no time for; they are written all the same."""
    surface_after_s: float
    """From the last frame to the surface."""
    disk_waited_s: float
    """How long frames waited because the disk fell behind; 0 if it did not."""
    fault: RigFault | None
    """What ended the scan early, or would spoil the next one too."""
    begun: Moment
    """When the stage set off."""
    late_s: float = 0.0
    """How much later than the interval of the run had it."""
    not_stored: str = ""
    """Why the surface is not in the run's store; it can be measured from the recording."""
    unawaited: bool = False
    """Whether there is no surface because it was not waited for."""

    @property
    def missed_sample(self) -> bool:
        """Whether a scan to its end measured so little that the sample was hardly in the scan window."""
        return self.fault is None and self.surface is not None and self.surface.coverage < MIN_COVERAGE

    def summary(self) -> str:
        """Return one line: frames written and missing, synchronisation, surface."""
        parts = [f"{self.path.name}: {self._account()}"]
        if self.late_s:
            parts.append(f"began {self.late_s:.2f} s late: the scan before took longer than the interval")
        parts += [self.synchronisation.summary()] if self.synchronisation.summary() else []
        if self.disk_waited_s:
            parts.append(f"the disk fell behind: frames waited {self.disk_waited_s:.1f} s for it")
        if self.surface is not None:
            measured = f"{100 * self.surface.coverage:.0f} % measured"
            parts.append(f"surface {measured}, {self.surface_after_s:.2f} s after the last frame")
            if self.skipped:
                parts[-1] += f", {self.skipped} frames skipped"
        elif self.no_surface:
            parts.append(f"no surface: {self.no_surface}")
        if self.not_stored:
            parts.append(f"its surface is not stored ({self.not_stored}); `lee series` measures it again")
        if self.missed_sample:
            parts.append(
                "WARNING: the scan window missed the sample; find the height at which it is sharp, and give "
                "--start-um below and --end-um above it"
            )
        return "; ".join(parts)

    def _account(self) -> str:
        """Return what became of the pulses; none is missing that a scan which ended early never sent."""
        whole = self.ledger
        if self.fault is None or whole.pulses_counted != -1:
            return whole.summary()
        sent = whole.frames_received - whole.unplaced + whole.lost_frames + whole.missed_triggers
        part = replace(whole, pulses_planned=sent)
        early = f"ended early, {whole.frames_written} of {whole.pulses_planned} frames written"
        return early if part.complete else f"{early}: {part.summary()}"


def max_frames(plan: ScanPlan, settings: CameraSettings) -> int:
    """Return how many frames a scan can have: one a pulse and a few of none, or what a free camera gives."""
    if settings.triggered:
        return plan.pulses + _NO_PULSE
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
    notes: Mapping[str, object] | None = None,
    patience_s: float = 2.0,
    on_frame: Callable[[CameraFrame], None] | None = None,
    hurried: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> ScanResult:
    """Scan once.

    Parameters
    ----------
    rig : Rig
        With its camera configured.
    plan : ScanPlan
    path : str or Path
        File of the recording to write, ``.raw``.
    settings : CameraSettings
        As the camera applied them. If it is not triggered, heights come from timestamps; see
        `lee.rig.timestamp_heights`.
    pixel_um : float, µm
    reconstruct : bool
        Measure the surface while frames arrive.
    params : ReconstructParams, optional
    notes : mapping, optional
        What else the recording stores from its beginning on, such as the rig's file. Must fit into JSON.
    patience_s : float, s
        How long to wait for the scan beyond its planned end.
    on_frame : callable, optional
        Called with every frame after it was handed to the disk, on the thread that takes frames. It must
        return at once.
    hurried : callable
        Asked while the surface is awaited after the last frame; True: it is not.
    clock : callable, s
        Clock of the devices.

    Returns
    -------
    ScanResult
        Also if a fault ended the scan: its frames are written and accounted for, the stage is stopped.

    Raises
    ------
    InputError
        If the settings hold no region, the camera waits for pulses that the stage cannot send, or runs freely
        and the computer's clock has wide steps.
    StorageError
        If there is no room for the scan.
    RigFault
        If the stage does not reach the start, or its counter may be wrong; then nothing is written.
    """
    if settings.region is None:
        raise InputError("take_scan: the camera settings hold no region; give those that the camera applied")
    if settings.triggered and not rig.stage.can_trigger:
        raise InputError("take_scan: this stage sends no pulses; set triggered = false for the camera")
    if not settings.triggered:
        refuse_coarse_clock(clock)
    header = SegmentHeader(
        shape=settings.region[2:],
        dtype=settings.dtype.name,
        frames=max_frames(plan, settings),
        plan=plan,
        settings=settings,
        camera=rig.camera.identity,
        stage=rig.stage.identity,
        pixel_um=pixel_um,
        notes={**(notes or {}), **_reference_note(rig.stage)},
    )
    rig.stage.move_to(plan.start_counts)
    begun = now() if clock is time.monotonic else Moment(wall_clock())
    header = replace(
        header, started=begun.wall.isoformat(), monotonic_s=begun.monotonic_s, session=begun.session
    )
    heights: FrameHeights = (
        TriggerHeights(plan) if settings.triggered else TimestampHeights(plan, rig.stage, settings, clock)
    )
    with SegmentWriter(path, header) as segment:
        writer, whole = FrameWriter(segment), BlackRows()
        reconstruction = ScanReconstruction(header.shape, pixel_um, params) if reconstruct else None

        def hand_on(received: CameraFrame) -> None:
            frame = whole(received)
            z_um = heights(frame)
            if z_um is not None:
                writer.take(frame)
                if reconstruction is not None and frame.complete and np.isfinite(z_um):
                    reconstruction.take(frame.image, z_um)
            if on_frame is not None:
                on_frame(frame)

        fault, pulses = None, -1
        try:
            run = _run_triggered if settings.triggered else _run_freely
            pulses = run(rig, plan, heights, hand_on, patience_s, clock)
        except (RigFault, KeyboardInterrupt) as error:
            interrupted = RigFault("the scan was interrupted; its frames until then are written")
            fault = error if isinstance(error, RigFault) else interrupted
            with suppress(RigFault):  # a stage that no longer answers; the first fault is the better report
                rig.stage.stop()
        ended = time.perf_counter()
        fault = writer.finish() or fault
        frames = heights.finish(pulses=pulses, written=len(segment))
        fault = fault or _lasting_fault(frames.ledger, settings)
        outcome = {
            "synchronisation": frames.synchronisation.to_json(),
            "disk_waited_s": writer.waited_s,
            "fault": "" if fault is None else f"{type(fault).__name__}: {fault}",
        }
        segment.finish(frames.ledger, z_um=frames.z_um, notes=outcome)
    surface, reason, skipped = (None, "", 0) if reconstruction is None else reconstruction.finish(hurried)
    if surface is None and reason and fault is not None and frames.ledger.frames_written < _FOCUS_FRAMES:
        reason = "too few frames"
    unawaited = reconstruction is not None and surface is None and hurried()
    if surface is not None and not np.isfinite([frames.stretch, frames.shift_um]).all():
        surface, reason = None, "too few frames for their true heights"
    return ScanResult(
        path=Path(path),
        plan=plan,
        ledger=frames.ledger,
        synchronisation=frames.synchronisation,
        surface=None if surface is None else _at_true_height(surface, frames),
        no_surface=reason,
        skipped=skipped,
        surface_after_s=time.perf_counter() - ended,
        disk_waited_s=writer.waited_s,
        fault=fault,
        begun=begun,
        unawaited=unawaited,
    )


def _run_triggered(
    rig: Rig,
    plan: ScanPlan,
    heights: FrameHeights,
    hand_on: Callable[[CameraFrame], None],
    patience_s: float,
    clock: Callable[[], float],
) -> int:
    """Run the scan and hand every frame on; return the number of pulses that the stage counted."""
    rig.camera.start()
    try:
        rig.stage.begin_scan(plan)
        deadline = clock() + _travel_s(plan) + patience_s
        while heights.seen() < plan.pulses and clock() < deadline:
            frame = rig.camera.next_frame(min(_POLL_S, max(deadline - clock(), 0.0)))
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
    heights: FrameHeights,
    hand_on: Callable[[CameraFrame], None],
    patience_s: float,
    clock: Callable[[], float],
) -> int:
    """Run the scan and hand on what a free camera takes meanwhile; return -1, since no pulse counts."""
    rig.camera.start()
    try:
        rig.stage.begin_scan(plan)
        deadline = clock() + _travel_s(plan) + patience_s
        while clock() < deadline:
            try:
                frame = rig.camera.next_frame(min(_POLL_S, max(deadline - clock(), 0.0)))
            except Backpressure:
                if heights.seen():
                    raise
                continue  # frames of the move to the start, which nobody took
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


def _reference_note(stage: Stage) -> dict[str, object]:
    """Return how the stage's counter is known to be true, for the header."""
    known = stage.reference
    return {} if known is None else {"reference": asdict(known)}


def _travel_s(plan: ScanPlan) -> float:
    return abs(plan.end_counts - plan.start_counts) / plan.counts_per_um / plan.speed_um_per_s


def _lasting_fault(ledger: Ledger, settings: CameraSettings) -> RigFault | None:
    """Return the fault that would make the next scan as useless as this one, if there is one."""
    if settings.triggered and ledger.frames_received == 0:
        sent = ledger.pulses_planned if ledger.pulses_counted == -1 else ledger.pulses_counted
        return TriggerMismatch(
            f"camera: no frame for {sent} pulses; check the cable from the stage and the trigger line"
        )
    if 0 < ledger.frames_received == ledger.frames_incomplete:
        return IncompleteFrame(
            f"camera: all {ledger.frames_received} frames lack a part of their image; check its cable, and "
            "what else uses the bus"
        )
    return None


def _at_true_height(surface: Surface, frames: FrameAccount) -> Surface:
    """Correct a surface that was reconstructed from planned heights to the true heights of its frames."""
    synchronisation = frames.synchronisation
    provenance = replace(surface.provenance, synchronisation=synchronisation.to_json())
    if (frames.stretch, frames.shift_um) == (1.0, 0.0):
        return replace(surface, provenance=provenance)
    return replace(
        surface,
        height_um=frames.shift_um + frames.stretch * surface.height_um,
        height_filled_um=frames.shift_um + frames.stretch * surface.height_filled_um,
        height_sigma_um=frames.stretch * surface.height_sigma_um,
        provenance=provenance,
    )
