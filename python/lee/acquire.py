"""One scan at the rig: frames are taken, written and reconstructed at once, and none is lost unsaid.

Three threads share the work. The caller's takes frames from the camera; one writes them, and has precedence:
where it falls behind, the taking waits, and the camera's own buffers say when that is too much. One
reconstructs; where it falls behind, frames pass it by, counted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.devices.faults import Backpressure, RigFault
from lee.devices.plan import ScanPlan
from lee.devices.protocols import CameraFrame, CameraSettings, Rig
from lee.errors import InputError
from lee.recording.header import SegmentHeader
from lee.recording.ledger import Account, Ledger, account
from lee.recording.segment import SegmentWriter
from lee.refocuser import ReconstructParams, Refocuser
from lee.surface import Surface

# Frames that may wait for the disk, and for the reconstruction.
_RING, _WAITING = 64, 48
# How long one look for a frame lasts, and how long the disk may stand still, s.
_LOOK_S, _DISK_S = 0.25, 10.0
_DTYPES = {"Mono8": "uint8"}


class ScanTaken(NamedTuple):
    """What came of one scan."""

    path: Path
    ledger: Ledger
    surface: Surface | None
    """None where it was not asked for, or could not be made."""
    no_surface: str
    """Why there is none, where it was asked for."""
    skipped: int
    """Frames that the reconstruction could not keep up with; they are written all the same."""
    surface_after_s: float
    """From the last frame to the surface."""
    fault: RigFault | None
    """What ended the scan early."""


def take_scan(
    rig: Rig,
    plan: ScanPlan,
    path: str | Path,
    *,
    settings: CameraSettings,
    pixel_um: float,
    reconstruct: bool = True,
    params: ReconstructParams | None = None,
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
        As the camera applied them.
    pixel_um : float, um
    reconstruct : bool
        Measure the surface while frames arrive.
    params : ReconstructParams, optional
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
        If there is no room for the scan, or the camera does not tell its region.
    RigFault
        If the stage does not come to the start; nothing is written then.
    """
    if settings.region is None:
        raise InputError("take_scan: the camera tells no region; give the settings that it applied")
    header = SegmentHeader(
        shape=settings.region[2:],
        dtype=_DTYPES.get(settings.pixel_format, "uint16"),
        frames=plan.pulses,
        plan=plan,
        settings=settings,
        camera=rig.camera.identity,
        stage=rig.stage.identity,
        pixel_um=pixel_um,
    )
    rig.stage.move_to(plan.start_counts)
    with SegmentWriter(path, header) as segment:
        writing = _Writing(segment)
        building = _Building(header, plan, params) if reconstruct else None
        taken = _Taken()
        fault, pulses = None, -1
        takers = [writing.take, *([building.take] if building else []), *([on_frame] if on_frame else [])]
        try:
            pulses = _run(rig, plan, taken, takers, patience_s, clock)
        except RigFault as error:
            fault = error
            _stop(rig)
        ended = time.perf_counter()
        fault = writing.finish() or fault
        told = _accounted(taken, plan, pulses, len(segment))
        written = np.array(told.pulse[: len(segment)])
        heights = np.where(written >= 0, plan.z_um[np.clip(written, 0, plan.pulses - 1)], np.nan)
        segment.finish(told.ledger, z_um=heights)
    surface, reason, skipped = (None, "", 0) if building is None else building.finish()
    return ScanTaken(Path(path), told.ledger, surface, reason, skipped, time.perf_counter() - ended, fault)


class _Taken:
    """What is kept of every frame received."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.times: list[float] = []
        self.complete: list[bool] = []

    def __call__(self, frame: CameraFrame) -> None:
        self.ids.append(frame.frame_id)
        self.times.append(frame.timestamp_s)
        self.complete.append(frame.complete)


def _run(
    rig: Rig,
    plan: ScanPlan,
    taken: _Taken,
    takers: list[Callable[[CameraFrame], None]],
    patience_s: float,
    clock: Callable[[], float],
) -> int:
    """Let the stage run and hand every frame on; return the pulses the stage counted."""

    def hand_on(frame: CameraFrame) -> None:
        taken(frame)
        for take in takers:
            take(frame)

    way_s = abs(plan.end_counts - plan.start_counts) / plan.counts_per_um / plan.speed_um_per_s
    rig.camera.start()
    try:
        rig.stage.begin_scan(plan)
        deadline = clock() + way_s + patience_s
        while len(taken.ids) < plan.pulses and clock() < deadline:
            frame = rig.camera.next_frame(min(_LOOK_S, max(deadline - clock(), 0.0)))
            if frame is not None:
                hand_on(frame)
        pulses = rig.stage.end_scan(timeout_s=max(deadline - clock(), patience_s))
    finally:
        rig.camera.stop()
    while len(taken.ids) < 2 * plan.pulses and (frame := rig.camera.next_frame(0.0)) is not None:
        hand_on(frame)
    return pulses


def _stop(rig: Rig) -> None:
    try:
        rig.stage.stop()
    except RigFault:
        # It no longer answers: the fault at hand says more.
        return


def _accounted(taken: _Taken, plan: ScanPlan, pulses: int, written: int) -> Account:
    return account(
        np.array(taken.ids, dtype=np.int64),
        np.array(taken.times, dtype=np.float64),
        pulses_planned=plan.pulses,
        frames_per_s=plan.frames_per_s,
        pulses_counted=pulses,
        complete=np.array(taken.complete, dtype=np.bool_),
        dropped=len(taken.ids) - written,
        frames_written=written,
    )


class _Writing:
    """Writes frames on its own thread, in their order."""

    def __init__(self, segment: SegmentWriter) -> None:
        self._segment = segment
        self._ring: queue.Queue[CameraFrame | None] = queue.Queue(_RING)
        self._fault: RigFault | None = None
        self._thread = threading.Thread(target=self._work, name="lee-writer", daemon=True)
        self._thread.start()

    def take(self, frame: CameraFrame) -> None:
        """Hand a frame over; waits where the disk is slow.

        Raises the fault that stopped the writing, or ``Backpressure`` where the disk stands still.
        """
        if self._fault is not None:
            raise self._fault
        try:
            self._ring.put(frame, timeout=_DISK_S)
        except queue.Full:
            raise Backpressure(
                f"{self._segment.path}: the disk took no frame for {_DISK_S:g} s; check it, or record "
                "elsewhere"
            ) from None

    def finish(self) -> RigFault | None:
        """Wait until all is written; return what stopped it, if anything did."""
        while self._thread.is_alive():
            try:
                self._ring.put(None, timeout=_LOOK_S)
                break
            except queue.Full:
                continue
        self._thread.join()
        return self._fault

    def _work(self) -> None:
        while (frame := self._ring.get()) is not None:
            if self._fault is not None or len(self._segment) >= self._segment.header.frames:
                continue  # taken out all the same, so that nobody waits for room
            try:
                self._segment.append(
                    frame.image,
                    frame_id=frame.frame_id,
                    timestamp_s=frame.timestamp_s,
                    complete=frame.complete,
                )
            except RigFault as error:
                self._fault = error


class _Building:
    """Reconstructs on its own thread; what it cannot keep up with passes it by."""

    def __init__(self, header: SegmentHeader, plan: ScanPlan, params: ReconstructParams | None) -> None:
        self._plan = plan
        self._pulse = -1
        self._id, self._time = -1, np.nan
        self._skipped = 0
        self._reason = ""
        self._surface: Surface | None = None
        assert header.pixel_um is not None
        self._refocuser = Refocuser(header.shape, pixel_um=header.pixel_um, params=params)
        self._waiting: queue.Queue[tuple[NDArray[Any], float] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="lee-reconstruction", daemon=True)
        self._thread.start()

    def take(self, frame: CameraFrame) -> None:
        """Hand a frame over, at the height of its pulse; never waits."""
        step = frame.frame_id - self._id
        if self._id >= 0 and step == 1 and np.isfinite(self._time):
            # A pulse that the camera missed leaves a gap in time alone.
            step = max(step, round((frame.timestamp_s - self._time) * self._plan.frames_per_s))
        self._id, self._time = frame.frame_id, frame.timestamp_s
        self._pulse += step
        if step < 1 or self._pulse >= self._plan.pulses or not frame.complete:
            return
        try:
            self._waiting.put_nowait((frame.image, float(self._plan.z_um[self._pulse])))
        except queue.Full:
            self._skipped += 1

    def finish(self) -> tuple[Surface | None, str, int]:
        """Wait for the surface; return it, or why there is none, and the frames that passed by."""
        self._waiting.put(None)
        self._thread.join()
        return self._surface, self._reason, self._skipped

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._reason:
                continue
            try:
                self._refocuser.push(item[0], item[1])
            except (InputError, RuntimeError) as error:
                self._reason = str(error)
        if self._reason:
            return
        try:
            self._surface = self._refocuser.finish()
        except (InputError, RuntimeError) as error:
            self._reason = str(error)
