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
from collections.abc import Callable
from contextlib import suppress

from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.protocols import Identity, Stage, StageStatus
from lee.devices.scan_plan import ScanPlan
from lee.devices.thorlabs.apt import (
    CHANNEL,
    HOST,
    USB,
    AptConnection,
    StatusReport,
    messages,
    port_of,
)
from lee.devices.thorlabs.settings import ThorlabsSettings
from lee.errors import InputError, RigFault

# In units of the controller's own clock: the values for one count/s and for one count/s².
VELOCITY_PER_COUNT = 53.68
ACCELERATION_PER_COUNT = 1 / 90.9
AT_POSITION_STEPS, TRIGGER_OFF = 0x0D, 0x00
HIGH, LOW = 1, 2
STOP_NOW = 1
ENABLE = 1
HOMING_BEGINS_WITHIN_S = 2.0
TRIES = 4


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
        self._apt = messages()
        self._connection = AptConnection(port or port_of(str(serial)), watchdog_s=self.settings.watchdog_s)
        self._closed = False
        self._stop_asked = threading.Event()
        self._scan: ScanPlan | None = None
        self._approached_from = 0  # direction in which backlash was last taken out, 0 unknown
        try:
            self._identity = self._ask_identity()
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

    def home(self, *, consent: bool, timeout_s: float = 120.0) -> None:
        """Drive to the reference switch and wait; the controller's own homing speed is kept."""
        if not consent:
            raise InputError(
                "stage: homing drives through the whole travel; clear the objective, then give consent=True"
            )
        self._ready()
        self._approached_from = 0
        self._connection.forget("mot_move_homed")
        with _StopOnFailure(self):
            self._connection.send(self._to(self._apt.mot_move_home))
            self._wait_homed(timeout_s)

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        """Move there, arriving from below, and wait; `Stage.move_to`."""
        self.settings.check_limits("counts", counts)
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
            self._set_speed(plan.speed_um_per_s)
            self._arm(plan)
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
        self._set_trigger(TRIGGER_OFF)
        return -1

    def stop(self) -> None:
        """Stop at once; a move that waits in another thread ends with ``StageStalled``."""
        self._stop_asked.set()
        self._scan = None
        if not self._closed:
            self._connection.send(self._to(self._apt.mot_move_stop, stop_mode=STOP_NOW))

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
        self._set_speed(self.settings.travel_um_per_s)
        if not taken_out and before != target and sign * (before - here) < 0:
            self._approached_from = 0
            self._move(before, deadline)
        self._move(target, deadline)
        self._approached_from = sign

    def _move(self, target: int, deadline: float) -> None:
        self._send_to(target)
        self._wait_rest(target, deadline)

    def _send_to(self, target: int) -> None:
        """Start a move; every status from then on belongs to it, since answers come in order."""
        self._connection.send(self._to(self._apt.mot_move_absolute, position=target))
        self._connection.ask(self._to(self._apt.mot_req_velparams), "mot_get_velparams")

    def _wait_rest(self, target: int, deadline: float) -> None:
        """Wait for the position to stay on the target; completion messages can be lost and are not needed."""
        report = self._last()
        position, since = report.position_counts, time.monotonic()
        while True:
            report = self._next(report)
            if report.position_counts != position:
                position, since = report.position_counts, report.received_s
            still_s = report.received_s - since
            arrived = abs(position - target) <= self.settings.tolerance_counts
            if arrived and not report.moving and still_s >= self.settings.settle_s:
                return
            where = f"it is at {position} counts and should be at {target}"
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
                    f"stage: rests at {position} counts without being homed; check what blocks it"
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

    # --- settings of the controller ---

    def _ready(self) -> None:
        """Prepare for a move: no pulses, no backlash taken out by the controller, power on the motor."""
        self._stop_asked.clear()
        self._scan = None
        self._set_trigger(TRIGGER_OFF)
        self._set("genmoveparams", backlash_distance=0)
        if not self._last().enabled:
            self._connection.send(self._to(self._apt.mod_set_chanenablestate, enable_state=ENABLE))

    def _set_speed(self, um_per_s: float) -> None:
        velocity = round(um_per_s * self.counts_per_um * VELOCITY_PER_COUNT)
        acceleration = round(
            self.settings.acceleration_um_per_s2 * self.counts_per_um * ACCELERATION_PER_COUNT
        )
        self._set("velparams", min_velocity=0, acceleration=acceleration, max_velocity=velocity)

    def _set_trigger(self, mode: int) -> None:
        """Set the mode of the port that pulses; the other port stays as it is."""
        now = self._connection.ask(self._to(self._apt.mot_req_kcubetrigconfig), "mot_get_kcubetrigconfig")
        both = {name: getattr(now, name) for port in (1, 2) for name in _trigger_names(port)}
        names = _trigger_names(self.settings.trigger_port)
        ours = dict(zip(names, (mode, HIGH if self.settings.pulse_high else LOW), strict=True))
        self._set("kcubetrigconfig", **{**both, **ours})

    def _arm(self, plan: ScanPlan) -> None:
        """Set the positions of the pulses, then switch them on; a move back would pulse there too."""
        first, last = sorted((int(plan.pulse_counts[0]), int(plan.pulse_counts[-1])))
        step = abs(plan.step_counts)
        self._set(
            "kcubeposttrigparams",
            start_pos_fwd=first,
            interval_fwd=step,
            num_pulses_fwd=plan.pulses,
            start_pos_rev=last,
            interval_rev=step,
            num_pulses_rev=plan.pulses,
            pulse_width=self.settings.pulse_us,
            num_cycles=1,
        )
        self._set_trigger(AT_POSITION_STEPS)

    def _set(self, settings: str, **wanted: int) -> None:
        """Set, and read back; ``RigFault`` where the controller keeps other values (speeds: by over 0.1 %).

        Tried a few times: a late answer to an earlier request may be read instead.
        """
        # The library's two names for the trigger ports differ.
        setter = {"kcubetrigconfig": "kcubetrigioconfig"}.get(settings, settings)
        allowed = 1e-3 if settings == "velparams" else 0.0
        for _ in range(TRIES):
            self._connection.send(self._to(getattr(self._apt, f"mot_set_{setter}"), **wanted))
            answer = self._connection.ask(
                self._to(getattr(self._apt, f"mot_req_{settings}")), f"mot_get_{settings}"
            )
            got = {name: getattr(answer, name) for name in wanted}
            if all(abs(got[name] - value) <= allowed * abs(value) for name, value in wanted.items()):
                return
        raise RigFault(
            f"stage: the controller keeps {got} where {wanted} was set; "
            "check that this model and its firmware know these settings"
        )

    def _to(self, message: Callable[..., bytes], **content: int) -> bytes:
        return bytes(message(dest=USB, source=HOST, chan_ident=CHANNEL, **content))

    def _ask_identity(self) -> Identity:
        info = self._connection.ask(self._apt.hw_req_info(dest=USB, source=HOST), "hw_get_info")
        return Identity(
            vendor="Thorlabs",
            model=info.model_number.rstrip(b"\0 ").decode("ascii", "replace"),
            serial=str(info.serial_number),
            firmware=".".join(str(part) for part in info.firmware_version),
        )


def _status(report: StatusReport) -> StageStatus:
    return StageStatus(
        position_counts=report.position_counts,
        moving=report.moving,
        homed=report.homed,
        age_s=time.monotonic() - report.received_s,
    )


def _trigger_names(port: int) -> tuple[str, str]:
    return f"trig{port}_mode", f"trig{port}_polarity"


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
                    self.stage._set_trigger(TRIGGER_OFF)
