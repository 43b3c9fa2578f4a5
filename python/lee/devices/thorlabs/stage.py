"""A Thorlabs stepper stage on a K-Cube, such as the ZST225B on a KST101, that pulses at every step of a scan.

Only the hardware can show the following, so nothing here relies on it:

- The stage has no encoder: the controller counts the steps it sends, and a motor that slips is not seen. What
  is seen is a controller that stops counting, stops short, or ends elsewhere.
- The layouts of MOT_SET_KCUBETRIGIOCONFIG and MOT_SET_KCUBEPOSTRIGPARAMS are the library's; that the pulse
  width is in µs, that sending the parameters again begins a new cycle, and that a falling scan may take the
  second half of a cycle (its "reverse" pulses) first are assumptions.
- A K-Cube does not report the number of pulses sent: `ThorlabsStage.end_scan` returns -1, and frames are
  compared with the plan.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.protocols import Identity, Reference, Stage, StageStatus
from lee.devices.reference import PositionReference, check_position
from lee.devices.scan_plan import ScanPlan
from lee.devices.thorlabs.apt import AptConnection, StatusReport, port_of
from lee.devices.thorlabs.controller import TRIGGER_OFF, Controller
from lee.devices.thorlabs.settings import ThorlabsSettings
from lee.errors import InputError, RigFault

HOMING_BEGINS_WITHIN_S = 2.0


class ThorlabsStage(Stage):
    """A stepper stage on a Thorlabs K-Cube; opening it moves nothing, and it is homed only on request.

    Parameters
    ----------
    port : str, optional
        Serial port; without it the one whose USB device has the `serial` number.
    serial : str, optional
        Serial number that the controller must have; at a named port, any one without it.
    model : str
        Model that the controller must report.
    settings : ThorlabsSettings, optional
        Scale, limits, speeds, trigger.

    Raises
    ------
    InputError
        If neither port nor serial number is given, or another controller answers.
    MissingDependency
        If the library is not installed.
    DeviceLost
        If nothing answers.
    """

    def __init__(
        self,
        port: str | None = None,
        *,
        serial: str | None = None,
        model: str = "KST101",
        settings: ThorlabsSettings | None = None,
    ) -> None:
        if port is None and serial is None:
            raise InputError("stage: give its port, or its serial number")
        self.settings = settings or ThorlabsSettings()
        self._connection = AptConnection(port or port_of(str(serial)), watchdog_s=self.settings.watchdog_s)
        self._controller = Controller(self._connection, self.settings)
        self._reference = PositionReference(self.settings.counts_per_um)
        self._closed = self._prepared = False
        self._stop_asked = threading.Event()
        self._scan: ScanPlan | None = None
        self._approached_from = 0  # direction in which backlash was last taken out, 0 unknown
        try:
            self._identity = self._controller.identity()
            for name, wanted, found in (
                ("serial number", serial, self._identity.serial),
                ("model", model, self._identity.model),
            ):
                if wanted is not None and wanted != found:
                    raise InputError(
                        f"stage: the controller at {self._connection.port} has the {name} {found}, "
                        f"not {wanted}; give the right port"
                    )
            self.status()
        except BaseException:
            self._connection.close()
            raise

    @property
    def identity(self) -> Identity:
        """As the controller reports it; it knows nothing of the stage behind it."""
        return self._identity

    @property
    def counts_per_um(self) -> float:
        """Scale, from the settings."""
        return self.settings.counts_per_um

    @property
    def limits_counts(self) -> tuple[int, int]:
        """Lowest and highest position, from the settings."""
        return self.settings.limits_counts

    @property
    def can_trigger(self) -> bool:
        """Always: a K-Cube pulses at position steps."""
        return True

    def status(self, timeout_s: float = 1.0) -> StageStatus:
        """Return its position from a status that arrives after the call."""
        last = self._connection.last()
        return _status(self._connection.next_report(last.number if last else 0, timeout_s=timeout_s))

    def last_status(self) -> StageStatus:
        """Return the newest status that arrived; `Stage.last_status`."""
        self._connection.check()
        return _status(self._connection.last() or self._last())

    @property
    def reference(self) -> Reference | None:
        """How its counter is known to be true; `Stage.reference`."""
        self._reference.see(self.status())
        return self._reference.known

    def confirm_reference(self, counts: int) -> Reference:
        """Take the operator's word for where it stands; `Stage.confirm_reference`."""
        before = self.status()
        if before.moving:
            raise InputError("stage: it moves; state where it stands (--reference-um) when it rests")
        must_set = self._reference.needs_setting(before, counts)
        self._prepared = False
        if must_set:
            self._controller.set_counter(counts)
        return self._reference.confirm(counts, before, was_set=must_set)

    def home(self, *, consent: bool, timeout_s: float = 120.0) -> None:
        """Drive to the reference switch and wait; the controller's own homing speed is kept."""
        if not consent:
            raise InputError(
                "stage: homing drives through the whole travel; clear the objective, then give consent=True"
            )
        self._stop_asked.clear()
        self._scan, self._approached_from, self._prepared = None, 0, False
        self._reference.begin_homing()
        with _StopOnFailure(self):
            self._controller.ignore_limits()  # the reference switch may lie beyond them
            self._prepare(self._last())
            self._controller.home()
            self._wait_homed(timeout_s)
        self._reference.see(self.status())

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        """Move there, arriving from below, and wait; `Stage.move_to`."""
        check_position(counts, self.limits_counts, self.counts_per_um)
        self._ready()
        with _StopOnFailure(self):
            self._approach(counts, 1, time.monotonic() + timeout_s)

    def begin_scan(self, plan: ScanPlan) -> None:
        """Approach the plan's start in the direction of the scan, then start; returns as soon as it moves.

        A falling scan is approached from above, by twice ``backlash_um`` but never beyond the limits.

        Raises
        ------
        InputError
            If the plan has another scale, leaves the limits, or is too fast for the stage or its lead.
        """
        self.settings.check_plan(plan)
        self._ready()
        with _StopOnFailure(self):
            self._approach(plan.start_counts, 1 if plan.step_counts > 0 else -1, time.monotonic() + 60.0)
            self._controller.set_speed(plan.speed_um_per_s)
            self._controller.arm(plan)
            self._scan = plan
            self._send_to(plan.end_counts)

    def end_scan(self, *, timeout_s: float) -> int:
        """Wait for the end of the scan; return -1, since a K-Cube does not report how many pulses it sent."""
        if self._scan is None and self._stop_asked.is_set():
            raise StageStalled("stage: the scan was stopped; begin it again when it is safe")
        if self._scan is None:
            raise InputError("stage: no scan was begun; call begin_scan first")
        try:
            with _StopOnFailure(self):
                self._wait_rest(self._scan.end_counts, time.monotonic() + timeout_s)
        finally:
            self._scan = None
        self._controller.set_trigger(TRIGGER_OFF)
        return -1

    def stop(self) -> None:
        """Stop at once; a move that waits in another thread ends with ``StageStalled``."""
        self._stop_asked.set()
        self._scan = None
        if not self._closed:
            self._controller.stop()

    def close(self) -> None:
        """Stop it and release the port."""
        self._closed = True
        self._connection.close()

    # --- moves ---

    def _approach(self, target: int, sign: int, deadline: float) -> None:
        """Move to the target, arriving in the direction of the sign over twice the backlash."""
        here = self._last().position_counts
        lowest, highest = self.settings.limits_counts
        margin = 2 * round(self.settings.backlash_um * self.counts_per_um)
        before = min(max(target - sign * margin, lowest), highest)
        taken_out = self._approached_from == sign and sign * (target - here) >= 0
        self._controller.set_speed(self.settings.travel_um_per_s)
        if not taken_out and before != target and sign * (before - here) < 0:
            self._approached_from = 0
            self._move(before, deadline)
        self._move(target, deadline)
        self._approached_from = sign

    def _move(self, target: int, deadline: float) -> None:
        self._send_to(target)
        self._wait_rest(target, deadline)

    def _send_to(self, target: int) -> None:
        now = _status(self._last())
        self._reference.require(now)
        self._reference.sent(now, target)
        self._controller.move(target)

    def _wait_rest(self, target: int, deadline: float) -> None:
        """Wait for the position to stay on the target; completion messages can be lost and are not needed."""
        report = self._last()
        position, since = report.position_counts, time.monotonic()
        while True:
            report = self._next(report)
            self._reference.require(_status(report))
            if report.position_counts != position:
                position, since = report.position_counts, report.received_s
            still_s = report.received_s - since
            arrived = abs(position - target) <= self.settings.tolerance_counts
            if arrived and not report.moving and still_s >= self.settings.settle_s:
                self._reference.arrived(position)
                return
            where = f"it is at {self._um(position)} µm and should be at {self._um(target)}"
            if still_s >= self.settings.stall_s and not arrived:
                raise StageStalled(f"stage: does not move; {where}; check what blocks it")
            if time.monotonic() > deadline:
                raise StageStalled(f"stage: did not arrive in time; {where}; give it more time")

    def _wait_homed(self, timeout_s: float) -> None:
        begun = time.monotonic()
        report = self._last()
        position, since = report.position_counts, begun
        set_off = False
        while True:
            report = self._next(report)
            now = report.received_s
            set_off = set_off or report.homing or report.moving or self._connection.answered("mot_move_homed")
            if report.position_counts != position:
                position, since = report.position_counts, now
            still_s = now - since
            resting = not (report.homing or report.moving) and still_s >= self.settings.settle_s
            if set_off and report.homed and resting:
                return
            if not set_off and now - begun > HOMING_BEGINS_WITHIN_S:
                raise StageStalled("stage: did not begin to home; check that its motor is connected")
            if set_off and still_s > max(self.settings.stall_s, HOMING_BEGINS_WITHIN_S):
                raise StageStalled(
                    f"stage: rests at {self._um(position)} µm without being homed; check what blocks it"
                )
            if time.monotonic() - begun > timeout_s:
                raise StageStalled(f"stage: not homed within {timeout_s:g} s; give it more time")

    def _next(self, report: StatusReport) -> StatusReport:
        report = self._connection.next_report(report.number, timeout_s=5.0)
        if self._stop_asked.is_set():
            raise StageStalled("stage: was stopped during the move; move it again when it is safe")
        return report

    def _last(self) -> StatusReport:
        """Return a status that arrives after the call."""
        last = self._connection.last()
        return self._connection.next_report(last.number if last else 0, timeout_s=5.0)

    def _um(self, counts: int) -> str:
        return f"{counts / self.counts_per_um:.2f}"

    def _ready(self) -> None:
        """Prepare for a move: ask for a reference, and write what a controller forgets without power."""
        self._stop_asked.clear()
        self._scan = None
        report = self._last()
        self._reference.require(_status(report))
        if not self._prepared:
            here, (lowest, highest) = report.position_counts, self.settings.limits_counts
            self._controller.set_limits(here)
            self._prepared = lowest <= here <= highest
        self._prepare(report)

    def _prepare(self, report: StatusReport) -> None:
        """Write what may not be left to chance, and read it back; then put power on the motor."""
        self._controller.set_trigger(TRIGGER_OFF)
        self._controller.take_no_backlash_out()
        self._controller.set_speed(self.settings.travel_um_per_s)
        if not report.enabled:
            self._controller.enable()


def _status(report: StatusReport) -> StageStatus:
    return StageStatus(
        position_counts=report.position_counts,
        moving=report.moving,
        homed=report.homed,
        age_s=time.monotonic() - report.received_s,
    )


class _StopOnFailure:
    """Stop the stage and its pulses where a move ends by any exception, an interrupt too."""

    def __init__(self, stage: ThorlabsStage) -> None:
        self.stage = stage

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.stage._approached_from = 0
            with suppress(RigFault):
                self.stage.stop()
                if not issubclass(kind, DeviceLost):
                    self.stage._controller.set_trigger(TRIGGER_OFF)
