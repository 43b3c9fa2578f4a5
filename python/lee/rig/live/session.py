"""The rig at work behind its page: frames shown at rest, runs started, ended and stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lee.devices.faults import RigFault
from lee.devices.protocols import CameraFrame, CameraSettings, Identity, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.recording.room import free_bytes
from lee.rig.acquire import ScanTaken
from lee.rig.live.frames import FrameWatch
from lee.rig.live.halting import StoppedByHand, haltable
from lee.rig.live.surfaces import SurfaceWatch
from lee.rig.record import record_run

_PREVIEW_PER_S, _LOOK_S = 10.0, 0.25
_LISTED_SCANS = 50


@dataclass(frozen=True)
class RunPlan:
    """What a run does: arguments of `lee.rig.record.record_run`."""

    folder: Path
    plan: ScanPlan
    settings: CameraSettings
    pixel_um: float
    duration_s: float
    interval_s: float
    reconstruct: bool = True
    follow: bool = True
    notes: Mapping[str, Any] | None = None


class Session:
    """A rig that is watched and steered; one thread of its own has the camera and the runs.

    At rest the camera runs freely and its frames are shown; nothing moves. `start` begins a run into the
    folder, or goes on with it. Only `close` ends the threads.

    Parameters
    ----------
    rig : Rig
    asked : RunPlan
    """

    def __init__(self, rig: Rig, asked: RunPlan) -> None:
        self._rig, self._asked = rig, asked
        self.frames = FrameWatch(asked.plan, asked.settings, self._z_um)
        self.surfaces = SurfaceWatch(asked.folder)
        self._lock = threading.Lock()
        self._phase, self._said, self._no_preview = "idle", "", ""
        self._scans: deque[dict[str, Any]] = deque(maxlen=_LISTED_SCANS)
        self._taken = self._complete = 0
        self._begun_s = self._ended_s = 0.0
        self._bytes_before = 0
        self._wanted, self._enough = threading.Event(), threading.Event()
        self._halted, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="lee-rig", daemon=True)
        self._thread.start()

    # --- what the page asks for ---

    @property
    def running(self) -> bool:
        """Whether a run is on, from `start` until its last scan is accounted for."""
        return self._phase in ("starting", "scanning", "waiting", "stopping", "aborting")

    def start(self) -> None:
        """Begin a run.

        Raises
        ------
        InputError
            If one is on, or the session is being closed.
        """
        with self._lock:
            if self.running or self._closing.is_set():
                raise InputError("live: a run is on; stop it before another is started")
            self._phase, self._said = "starting", ""
            self._begun_s = time.monotonic()
            self._taken = self._complete = 0
            self._bytes_before = self.frames.bytes
            self._enough.clear()
            self._halted.clear()
            self._wanted.set()

    def stop(self) -> None:
        """End the run after the scan in progress.

        Raises
        ------
        InputError
            If none is on.
        """
        with self._lock:
            if not self.running:
                raise InputError("live: no run is on; nothing was stopped")
            if self._phase != "aborting":
                self._phase = "stopping"
            self._enough.set()

    def abort(self) -> None:
        """Stop the stage at once, run or no run; the scan in progress ends there and is accounted for."""
        with self._lock:
            if self.running:
                self._phase = "aborting"
                self._enough.set()
                self._halted.set()
            else:
                self._said = "the stage was told to stop"
        with suppress(RigFault):
            self._rig.stage.stop()
        if self._halted.is_set():
            # A stage that sets off just now would not have heard it.
            threading.Thread(target=self._hold, name="lee-stop", daemon=True).start()

    def close(self, *, timeout_s: float | None = None) -> bool:
        """End the run after the scan in progress, and all threads; return whether that was done in time."""
        self._closing.set()
        self._enough.set()
        self._wanted.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self.frames.close()
        self.surfaces.close()
        return True

    def picture(self, name: str) -> bytes | None:
        """Return ``frame`` as JPEG, or what `SurfaceWatch.picture` returns."""
        return self.frames.picture if name == "frame" else self.surfaces.picture(name)

    def state(self) -> dict[str, Any]:
        """Tell what the page shows; plain values, None where a number is not known."""
        asked, (plan,) = self._asked, self.frames.begun
        with self._lock:
            told = {
                "phase": self._phase,
                "running": self.running,
                "said": self._said,
                "scans": list(self._scans),
                "scans_taken": self._taken,
                "scans_complete": self._complete,
            }
            elapsed = (time.monotonic() if self.running else self._ended_s) - self._begun_s
            run_bytes = self.frames.bytes - self._bytes_before
        frames_per_s, bytes_per_s = self.frames.pace()
        return told | {
            "folder": str(asked.folder),
            "camera": _named(self._rig.camera.identity),
            "stage": _named(self._rig.stage.identity),
            "no_preview": self._no_preview,
            "reconstruct": asked.reconstruct,
            "plan": {
                "frames": plan.pulses,
                "step_um": plan.step_um,
                "from_um": float(plan.first_counts / plan.counts_per_um),
                "to_um": float(plan.z_um[-1]),
                "speed_um_per_s": plan.speed_um_per_s,
                "seconds": plan.seconds,
                "frames_per_s": plan.frames_per_s,
                "pixel_um": asked.pixel_um,
            },
            "frame": self.frames.state(),
            "frames_taken": self.frames.frames,
            "frames_per_s": frames_per_s,
            "surfaces": self.surfaces.state(),
            "disk": self._disk(elapsed, run_bytes, bytes_per_s),
        }

    def _disk(self, elapsed: float, run_bytes: int, bytes_per_s: float) -> dict[str, Any]:
        folder = self._asked.folder.absolute()
        place = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            free: int | None = free_bytes(place)
        except OSError:
            free = None
        running = self.running
        # Over the run with its pauses: what the disk must hold, not what a scan needs while it lasts.
        mean = run_bytes / elapsed if running and self._taken and elapsed > 0 else None
        return {
            "bytes_per_s": bytes_per_s,
            "mean_bytes_per_s": mean,
            "free_bytes": free,
            "full_in_s": free / mean if mean and free is not None else None,
            "run_ends_in_s": max(self._asked.duration_s - elapsed, 0.0) if running else None,
            "duration_s": self._asked.duration_s,
        }

    # --- the rig's own thread ---

    def _work(self) -> None:
        while True:
            self._preview()
            self._wanted.clear()
            if self._closing.is_set():
                self._ended("idle", "")
                return
            if self.running:
                self._record()

    def _preview(self) -> None:
        """Show what the camera sees at rest, until a run is wanted."""
        camera = self._rig.camera
        if self._wanted.is_set():
            return
        try:
            camera.configure(replace(self._asked.settings, triggered=False, frames_per_s=_PREVIEW_PER_S))
            camera.start()
            try:
                self._no_preview = ""
                while not self._wanted.is_set():
                    frame = camera.next_frame(_LOOK_S)
                    if frame is not None:
                        self.frames.preview(frame)
            finally:
                camera.stop()
        except (RigFault, InputError) as error:
            self._no_preview = str(error)
            self._wanted.wait()

    def _record(self) -> None:
        asked = self._asked
        rig = haltable(self._rig, self._halted, self.frames.begun)
        try:
            self.frames.begin_scan()
            for taken in record_run(
                rig,
                asked.folder,
                asked.plan,
                settings=asked.settings,
                pixel_um=asked.pixel_um,
                duration_s=asked.duration_s,
                interval_s=asked.interval_s,
                reconstruct=asked.reconstruct,
                follow=asked.follow,
                notes=asked.notes,
                on_frame=self._frame,
                enough=self._enough.is_set,
            ):
                self._scan_done(taken)
                self.frames.begin_scan()
            self._ended("ended", f"{self._complete} of {self._taken} scans complete")
        except StoppedByHand as fault:
            self._ended("aborted", str(fault))
        except (RigFault, InputError) as fault:
            self._ended("aborted" if self._halted.is_set() else "fault", str(fault))
        except Exception as error:  # the page must live to tell it
            self._ended("fault", f"unexpected {type(error).__name__}: {error}; the run has ended")

    def _frame(self, frame: CameraFrame) -> None:
        self.frames.take(frame)
        if self._phase in ("starting", "waiting"):
            with self._lock:
                if self._phase in ("starting", "waiting"):
                    self._phase = "scanning"

    def _scan_done(self, taken: ScanTaken) -> None:
        row = _row(taken)
        if taken.surface is not None:
            self.surfaces.take(taken.path.name, taken.surface)
        with self._lock:
            self._scans.appendleft(row)
            self._taken += 1
            self._complete += taken.ledger.complete
            if self._phase == "scanning":
                self._phase = "waiting"

    def _z_um(self) -> float | None:
        try:
            return self._rig.stage.last_status().position_counts / self._rig.stage.counts_per_um
        except RigFault:
            return None

    def _ended(self, phase: str, said: str) -> None:
        with self._lock:
            self._phase, self._said = phase, " ".join(said.split())
            self._ended_s = time.monotonic()

    def _hold(self) -> None:
        while self.running and self._halted.is_set():
            with suppress(RigFault):
                self._rig.stage.stop()
            time.sleep(_LOOK_S / 2)


def _row(taken: ScanTaken) -> dict[str, Any]:
    """Tell what came of a scan, for the page's table."""
    ledger = taken.ledger
    return {
        "scan": taken.path.name,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": ledger.complete,
        "planned": ledger.pulses_planned,
        "frames": ledger.frames_written,
        "lost": ledger.lost_frames,
        "missed": ledger.missed_triggers,
        "incomplete": ledger.frames_incomplete,
        "dropped": ledger.dropped,
        "said": taken.said(),
        "disk_waited_s": taken.disk_waited_s,
        "synchronised": taken.synchronisation.method != "none",
        "coverage": None if taken.surface is None else taken.surface.coverage,
        "no_surface": taken.no_surface,
        "skipped": taken.skipped,
        "surface_after_s": taken.surface_after_s if np.isfinite(taken.surface_after_s) else None,
        "fault": "" if taken.fault is None else " ".join(str(taken.fault).split()),
    }


def _named(identity: Identity) -> str:
    return " ".join(part for part in (identity.vendor, identity.model, identity.serial) if part)
