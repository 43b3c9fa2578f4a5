"""The rig behind its page: frames shown at rest, runs started, ended and stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from lee.devices.protocols import CameraFrame, Identity, Rig
from lee.errors import InputError, LeeError, RigFault
from lee.recording.free_space import free_bytes
from lee.rig.acquire import ScanResult
from lee.rig.halting import StoppedByUser, haltable
from lee.rig.live.frames import FrameWatch
from lee.rig.live.surfaces import SurfaceWatch
from lee.rig.record import RunPlan, owned_folder, record_run

_PREVIEW_PER_S, _POLL_S = 10.0, 0.25
_LISTED_SCANS = 50


class Session:
    """A rig that is watched and controlled; a thread of its own holds the camera and the runs.

    At rest the camera runs freely and its frames are shown; nothing moves. `start` begins a run in the
    folder, or continues it. The folder is held from the beginning. Only `close` ends the threads.

    Parameters
    ----------
    rig : Rig
    run : RunPlan

    Raises
    ------
    InputError
        If another process works on the folder.
    """

    def __init__(self, rig: Rig, run: RunPlan) -> None:
        self._rig, self._run = rig, run
        self._owned = ExitStack()
        self._owned.enter_context(owned_folder(run.folder))
        self.frames = FrameWatch(run.scan, run.settings, self._z_um)
        self.surfaces = SurfaceWatch(run.folder)
        self._lock = threading.Lock()
        self._phase, self._message, self._no_preview = "idle", "", ""
        self._scans: deque[dict[str, object]] = deque(maxlen=_LISTED_SCANS)
        self._taken = self._complete = 0
        self._begun_s = self._ended_s = 0.0
        self._bytes_before = 0
        self._wake, self._enough = threading.Event(), threading.Event()
        self._halted, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="lee-rig", daemon=True)
        self._thread.start()

    # --- what the page asks for ---

    @property
    def running(self) -> bool:
        """Whether a run is in progress, from `start` until its last scan is accounted for."""
        return self._phase in ("starting", "scanning", "waiting", "stopping", "aborting")

    def start(self) -> None:
        """Begin a run.

        Raises
        ------
        InputError
            If one is in progress, or the session is being closed.
        """
        with self._lock:
            if self.running or self._closing.is_set():
                raise InputError("live: a run is in progress; stop it before you start another")
            self._phase, self._message = "starting", ""
            self._begun_s = time.monotonic()
            self._taken = self._complete = 0
            self._bytes_before = self.frames.bytes
            self._enough.clear()
            self._halted.clear()
            self._wake.set()

    def stop(self) -> None:
        """End the run after the scan in progress.

        Raises
        ------
        InputError
            If none is in progress.
        """
        with self._lock:
            if not self.running:
                raise InputError("live: no run is in progress; nothing was stopped")
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
                self._message = "a stop was sent to the stage"
        with suppress(RigFault):
            self._rig.stage.stop()
        if self._halted.is_set():
            # A stage that starts to move at this very moment would have missed it.
            threading.Thread(target=self._hold, name="lee-stop", daemon=True).start()

    def close(self, *, timeout_s: float | None = None) -> bool:
        """End the run after the scan in progress, then all threads; return whether they ended in time."""
        self._closing.set()
        self._enough.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self.frames.close()
        self.surfaces.close()
        self._owned.close()
        return True

    def picture(self, name: str) -> bytes | None:
        """Return ``frame`` as JPEG, or what `SurfaceWatch.picture` returns."""
        return self.frames.picture if name == "frame" else self.surfaces.picture(name)

    def state(self) -> dict[str, object]:
        """Return what the page shows: plain values, None for a number that is not known."""
        run, plan = self._run, self.frames.current.plan
        with self._lock:
            progress = {
                "phase": self._phase,
                "running": self.running,
                "said": self._message,
                "scans": list(self._scans),
                "scans_taken": self._taken,
                "scans_complete": self._complete,
            }
            elapsed = (time.monotonic() if self.running else self._ended_s) - self._begun_s
            run_bytes = self.frames.bytes - self._bytes_before
        frames_per_s, bytes_per_s = self.frames.rates()
        return progress | {
            "folder": str(run.folder),
            "camera": _named(self._rig.camera.identity),
            "stage": _named(self._rig.stage.identity),
            "no_preview": self._no_preview,
            "reconstruct": run.reconstruct,
            "plan": {
                "frames": plan.pulses,
                "step_um": plan.step_um,
                "from_um": float(plan.first_counts / plan.counts_per_um),
                "to_um": float(plan.z_um[-1]),
                "speed_um_per_s": plan.speed_um_per_s,
                "seconds": plan.seconds,
                "frames_per_s": plan.frames_per_s,
                "pixel_um": run.pixel_um,
            },
            "frame": self.frames.state(),
            "frames_taken": self.frames.frames,
            "frames_per_s": frames_per_s,
            "surfaces": self.surfaces.state(),
            "disk": self._disk(elapsed, run_bytes, bytes_per_s),
        }

    def _disk(self, elapsed: float, run_bytes: int, bytes_per_s: float) -> dict[str, object]:
        folder = self._run.folder.absolute()
        place = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            free: int | None = free_bytes(place)
        except OSError:
            free = None
        running = self.running
        # The mean over the run with its pauses: it decides how long the disk lasts.
        mean = run_bytes / elapsed if running and self._taken and elapsed > 0 else None
        return {
            "bytes_per_s": bytes_per_s,
            "mean_bytes_per_s": mean,
            "free_bytes": free,
            "full_in_s": free / mean if mean and free is not None else None,
            "run_ends_in_s": max(self._run.duration_s - elapsed, 0.0) if running else None,
            "duration_s": self._run.duration_s,
        }

    # --- the rig's own thread ---

    def _work(self) -> None:
        while True:
            self._preview()
            self._wake.clear()
            if self._closing.is_set():
                self._end("idle", "")
                return
            if self.running:
                self._record()

    def _preview(self) -> None:
        """Show what the camera sees at rest, until a run is wanted."""
        camera = self._rig.camera
        if self._wake.is_set():
            return
        try:
            camera.configure(replace(self._run.settings, triggered=False, frames_per_s=_PREVIEW_PER_S))
            camera.start()
            try:
                self._no_preview = ""
                while not self._wake.is_set():
                    frame = camera.next_frame(_POLL_S)
                    if frame is not None:
                        self.frames.preview(frame)
            finally:
                camera.stop()
        except LeeError as error:
            self._no_preview = str(error)
            self._wake.wait()

    def _record(self) -> None:
        rig = haltable(self._rig, self._halted, self.frames.current)
        try:
            self.frames.begin_scan()
            for result in record_run(
                rig, self._run, on_frame=self._frame, enough=self._enough.is_set, owned=True
            ):
                self._scan_done(result)
                self.frames.begin_scan()
            self._end("ended", f"{self._complete} of {self._taken} scans complete")
        except StoppedByUser as fault:
            self._end("aborted", str(fault))
        except LeeError as fault:
            self._end("aborted" if self._halted.is_set() else "fault", str(fault))
        except Exception as error:  # the page must stay up to report it
            self._end("fault", f"unexpected {type(error).__name__}: {error}; the run has ended")

    def _frame(self, frame: CameraFrame) -> None:
        self.frames.take(frame)
        if self._phase in ("starting", "waiting"):
            with self._lock:
                if self._phase in ("starting", "waiting"):
                    self._phase = "scanning"

    def _scan_done(self, result: ScanResult) -> None:
        row = _row(result)
        if result.surface is not None:
            self.surfaces.take(result.path.name, result.surface)
        with self._lock:
            self._scans.appendleft(row)
            self._taken += 1
            self._complete += result.ledger.complete
            if self._phase == "scanning":
                self._phase = "waiting"

    def _z_um(self) -> float | None:
        try:
            return self._rig.stage.last_status().position_counts / self._rig.stage.counts_per_um
        except RigFault:
            return None

    def _end(self, phase: str, message: str) -> None:
        with self._lock:
            self._phase, self._message = phase, " ".join(message.split())
            self._ended_s = time.monotonic()

    def _hold(self) -> None:
        while self.running and self._halted.is_set():
            with suppress(RigFault):
                self._rig.stage.stop()
            time.sleep(_POLL_S / 2)


def _row(result: ScanResult) -> dict[str, object]:
    """Return the outcome of a scan for the page's table."""
    ledger = result.ledger
    return {
        "scan": result.path.name,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": ledger.complete,
        "planned": ledger.pulses_planned,
        "frames": ledger.frames_written,
        "lost": ledger.lost_frames,
        "missed": ledger.missed_triggers,
        "incomplete": ledger.frames_incomplete,
        "dropped": ledger.dropped,
        "said": result.summary(),
        "disk_waited_s": result.disk_waited_s,
        "synchronised": result.synchronisation.method != "none",
        "coverage": None if result.surface is None else result.surface.coverage,
        "no_surface": result.no_surface,
        "missed_sample": result.missed_sample,
        "skipped": result.skipped,
        "surface_after_s": result.surface_after_s if np.isfinite(result.surface_after_s) else None,
        "fault": "" if result.fault is None else " ".join(str(result.fault).split()),
    }


def _named(identity: Identity) -> str:
    return " ".join(part for part in (identity.vendor, identity.model, identity.serial) if part)
