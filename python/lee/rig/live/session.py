"""The rig behind its page: frames shown at rest, runs started, ended and stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace

from lee.devices.protocols import CameraFrame, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError, LeeError, RigFault
from lee.rig.acquire import ScanResult
from lee.rig.halting import StoppedByUser, haltable
from lee.rig.live.camera_at_rest import CameraAtRest
from lee.rig.live.doing import Doing
from lee.rig.live.frames import FrameWatch
from lee.rig.live.moves import Moves
from lee.rig.live.progress import device_name, disk_facts, scan_row
from lee.rig.live.surfaces import SurfaceWatch
from lee.rig.record import RunPlan, catching_up, next_number, owned_folder, record_run

_POLL_S = 0.25
_LISTED_SCANS = 50


class Session:
    """A rig that is watched and controlled; a thread of its own holds the camera and the runs.

    At rest the camera runs freely and its frames are shown; nothing moves unless `moves` is asked to, which
    it never does during a run. `start` begins a run in the folder, or continues it. The folder is held from
    the beginning. Only `close` ends the threads.

    Parameters
    ----------
    rig : Rig
    run : RunPlan

    Attributes
    ----------
    moves : Moves

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
        self._doing = Doing()
        self._lock = self._doing.lock
        self._scans: deque[dict[str, object]] = deque(maxlen=_LISTED_SCANS)
        self._taken = self._complete = 0
        self._before = next_number(run.folder)
        self._begun_s = 0.0
        self._bytes_before = 0
        self._wake, self._enough = threading.Event(), threading.Event()
        self._camera = CameraAtRest(rig.camera, run.settings, self.frames, self._wake)
        self.moves = Moves(rig, self._doing, self._camera.look)
        self._thread = threading.Thread(target=self._work, name="lee-rig", daemon=True)
        self._thread.start()

    # --- what the page asks for ---

    @property
    def running(self) -> bool:
        """Whether a run is in progress, from `start` until its last scan is accounted for."""
        return self._doing.running

    def start(self) -> None:
        """Begin a run.

        Raises
        ------
        InputError
            If one is in progress, the stage moves, or the session is being closed.
        """
        with self._lock:
            self._doing.begin("starting")
            self._begun_s = time.monotonic()
            self._taken = self._complete = 0
            self._before = next_number(self._run.folder)
            self._bytes_before = self.frames.bytes
            self._enough.clear()
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
            if self._doing.phase != "aborting":
                self._doing.phase = "stopping"
            self._enough.set()

    def abort(self) -> None:
        """Stop the stage at once, run or no run; the scan in progress ends there and is accounted for.

        Raises
        ------
        RigFault
            If the stop does not reach the stage.
        """
        busy = self._doing.halt()
        if busy:
            self._enough.set()
            # A stage that starts to move at this very moment would have missed it.
            threading.Thread(target=self._hold, name="lee-stop", daemon=True).start()
        try:
            self._rig.stage.stop()
        except RigFault as fault:
            raise RigFault(f"the stop did not reach the stage: {fault}") from fault
        if not busy:
            self._doing.message = "a stop was sent to the stage"

    def set_window(self, start_um: float, end_um: float) -> None:
        """Set where the next run begins and ends its first scan; nothing moves.

        Raises
        ------
        InputError
            If the scan with its lead leaves the limits, or a run is in progress.
        """
        with self._lock:
            self._doing.require_rest()
            before = self._run.scan
            plan = ScanPlan.of_um(
                start_um,
                end_um,
                step_um=before.step_um,
                counts_per_um=before.counts_per_um,
                frames_per_s=before.frames_per_s,
                lead_um=before.lead_counts / before.counts_per_um,
            )
            plan.check_limits(self._rig.stage.limits_counts)
            at_once = self._run.interval_s <= before.seconds
            interval_s = min(plan.seconds if at_once else self._run.interval_s, self._run.duration_s)
            self._run = replace(self._run, scan=plan, interval_s=interval_s)
            self.frames.current.plan = plan

    def set_camera(self, exposure_s: float, gain_db: float | None = None) -> None:
        """Set exposure and gain for the preview and the next run; see `CameraAtRest.change`."""
        self._doing.require_rest()
        self._camera.change(exposure_s, gain_db, scan_per_s=self._run.scan.frames_per_s)

    def close(self, *, timeout_s: float | None = None) -> bool:
        """End the run after the scan in progress, then all threads; return whether they ended in time.

        A move outside a run is stopped at once.
        """
        self._doing.closing.set()
        if self._doing.moving:
            with suppress(RigFault):
                self.abort()
        self._enough.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if not self.moves.join(timeout_s) or self._thread.is_alive():
            return False
        self.frames.close()
        self.surfaces.close()
        self._owned.close()
        return True

    def picture(self, name: str) -> bytes | None:
        """Return ``frame`` or ``frame-contrast`` as JPEG, or what `SurfaceWatch.picture` returns."""
        if name.startswith("frame"):
            return self.frames.picture(stretched=name == "frame-contrast")
        return self.surfaces.picture(name)

    def state(self) -> dict[str, object]:
        """Return what the page shows: plain values, None for a number that is not known."""
        run, plan = self._run, self.frames.current.plan
        with self._lock:
            progress = {
                "phase": self._doing.phase,
                "running": self.running,
                "moving": self._doing.moving,
                "said": self._doing.message,
                "scans": list(self._scans),
                "scans_before": self._before,
                "scans_taken": self._taken,
                "scans_complete": self._complete,
            }
            elapsed_s = time.monotonic() - self._begun_s if self.running else None
            run_bytes = self.frames.bytes - self._bytes_before if self._taken else 0
        frames_per_s, bytes_per_s = self.frames.rates()
        return progress | {
            "folder": str(run.folder),
            "camera": device_name(self._rig.camera.identity),
            "stage": device_name(self._rig.stage.identity),
            "no_preview": self._camera.problem,
            "z_um": self._z_um(),
            "limits_um": [counts / plan.counts_per_um for counts in self._rig.stage.limits_counts],
            "exposure_s": self._camera.applied.exposure_s,
            "gain_db": self._camera.applied.gain_db,
            "sweep": None if self.moves.found is None else asdict(self.moves.found),
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
            "disk": disk_facts(
                run.folder,
                duration_s=run.duration_s,
                elapsed_s=elapsed_s,
                run_bytes=run_bytes,
                bytes_per_s=bytes_per_s,
            ),
        }

    # --- the rig's own thread ---

    def _work(self) -> None:
        while True:
            self._camera.show()
            self._wake.clear()
            if self._doing.closing.is_set():
                self._doing.end("idle", "")
                return
            if self.running:
                self._record()

    def _record(self) -> None:
        halted = self._doing.halted
        rig = haltable(self._rig, halted, self.frames.current)
        run = replace(self._run, settings=self._camera.settings)
        try:
            self.frames.begin_scan()
            results = record_run(
                rig,
                run,
                on_frame=self._frame,
                enough=self._enough.is_set,
                on_catch_up=self._catching_up,
                owned=True,
            )
            for result in results:
                self._scan_done(result)
                self.frames.begin_scan()
            ended = f"{self._complete} of {self._taken} scans complete"
            if halted.is_set():  # between two scans
                self._doing.end("aborted", f"stopped at once by the user, between scans; {ended}")
            else:
                self._doing.end("ended", ended)
        except StoppedByUser as fault:
            self._doing.end("aborted", str(fault))
        except LeeError as fault:
            self._doing.end("aborted" if halted.is_set() else "fault", str(fault))
        except Exception as error:  # the page must stay up to report it
            self._doing.end("fault", f"unexpected {type(error).__name__}: {error}; the run has ended")

    def _frame(self, frame: CameraFrame) -> None:
        self.frames.take(frame)
        if self._doing.phase in ("starting", "waiting"):
            with self._lock:
                if self._doing.phase in ("starting", "waiting"):
                    self._doing.phase = "scanning"

    def _catching_up(self, name: str, number: int, count: int) -> None:
        with self._lock:
            self._doing.message = catching_up(name, number, count)

    def _scan_done(self, result: ScanResult) -> None:
        row = scan_row(result)
        if result.surface is not None:
            self.surfaces.take(result.path.name, result.surface)
        with self._lock:
            self._scans.appendleft(row)
            self._taken += 1
            self._complete += result.ledger.complete
            if self._doing.phase == "scanning":
                self._doing.phase = "waiting"

    def _z_um(self) -> float | None:
        try:
            return self._rig.stage.last_status().position_counts / self._rig.stage.counts_per_um
        except RigFault:
            return None

    def _hold(self) -> None:
        doing = self._doing
        while (doing.running or doing.moving) and doing.halted.is_set():
            with suppress(RigFault):
                self._rig.stage.stop()
            time.sleep(_POLL_S / 2)
