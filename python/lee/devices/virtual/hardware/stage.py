"""The virtual stage: open loop, with the backlash, the errors and the silences of a real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import floor, inf

import numpy as np
from numpy.typing import NDArray

from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.protocols import Identity, Reference, Stage, StageStatus
from lee.devices.reference import PositionReference, check_position
from lee.devices.scan_plan import ScanPlan
from lee.devices.virtual.hardware.carriage import Carriage, Leg, Mechanics
from lee.devices.virtual.hardware.fault_plan import At, Faults
from lee.errors import InputError

COUNTS_PER_UM = 2008.64563
LIMITS_UM = (0.0, 25000.0)
REPORT_INTERVAL_S = 1 / 94
SETTLED_S = 0.1
STALLED_S = 0.5
BACKLASH_UM = 5.0
_HOMING_SPEED_UM_PER_S = 500.0
_APPROACH_S = 60.0


class VirtualStage(Stage):
    """A stepper stage without an encoder: it reports the position it was sent to, not the true one.

    Parameters
    ----------
    counts_per_um : float
    limits_um : (low, high)
        Where it may be sent; its end stops are there too.
    position_um : float
        Where it is when it is switched on.
    scene_at_um : float
        Height of the stage at which height 0 of the scene under the objective is in focus.
    homed : bool
        False: it counts from where it was switched on, and moves only once it is homed, or its reference is
        confirmed.
    mechanics : Mechanics, optional
    backlash_um : float
        Assumed backlash: approaches are twice as long. The true one is in `mechanics`.
    faults : Faults, optional
        Faults to simulate; times count from now.
    counts_pulses : bool
        Whether it reports how many pulses it sent.
    watchdog_s : float
        A stage that is silent for so long is lost.
    clock, sleep : callables, s
        Time; tests give a `SimulatedClock` and its sleep.
    """

    def __init__(
        self,
        *,
        counts_per_um: float = COUNTS_PER_UM,
        limits_um: tuple[float, float] = LIMITS_UM,
        position_um: float = 0.0,
        scene_at_um: float = 0.0,
        homed: bool = True,
        mechanics: Mechanics | None = None,
        backlash_um: float = BACKLASH_UM,
        faults: Faults | None = None,
        counts_pulses: bool = True,
        watchdog_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not limits_um[0] <= position_um <= limits_um[1]:
            raise InputError(f"stage: position_um {position_um:g} must be within its limits {limits_um} µm")
        self._scene_at_um = scene_at_um
        self._scale, self._counts_pulses, self._watchdog_s = counts_per_um, counts_pulses, watchdog_s
        self._clock, self._sleep = clock, sleep
        self._lock = threading.RLock()
        motor = round(position_um * counts_per_um)
        self._carriage = Carriage(
            mechanics or Mechanics(),
            counts_per_um,
            (round(limits_um[0] * counts_per_um), round(limits_um[1] * counts_per_um)),
            motor=motor,
            zero=0 if homed else motor,
            homed=homed,
            born_s=clock(),
        )
        self._reference = PositionReference(counts_per_um)
        self._approach_counts = 2 * round(backlash_um * counts_per_um)
        self._taken_out = 0  # direction in which backlash was last taken out, 0 unknown
        self._unplugged_s, self._completed_s = inf, -inf
        self._closed = False
        self._scan: tuple[ScanPlan, Leg] | None = None
        self._stall_pulse = self._unplug_pulse = -1
        simulated = faults or Faults()
        self._completions_to_lose = simulated.lost_completions
        if simulated.stall is not None:
            self.stall(simulated.stall)
        if simulated.unplug_stage is not None:
            self.unplug(simulated.unplug_stage)

    # --- the contract ---

    @property
    def identity(self) -> Identity:
        """As the stage reports it."""
        return Identity("lee", "virtual stage", "V-STAGE")

    @property
    def counts_per_um(self) -> float:
        """Scale, from its calibration; its error is ``scale_ppm``."""
        return self._scale

    @property
    def limits_counts(self) -> tuple[int, int]:
        """Lowest and highest position to which it may be sent."""
        return self._carriage.stops

    @property
    def can_trigger(self) -> bool:
        """It sends a pulse at every step of a plan."""
        return True

    def status(self, timeout_s: float = 1.0) -> StageStatus:
        """Return the last status of the controller; `Stage.status`."""
        deadline = self._clock() + timeout_s
        while True:
            status = self._reported()
            if status.age_s <= timeout_s:
                return status
            if self._clock() >= deadline:
                raise DeviceLost(f"stage: no status within {timeout_s:g} s; check its cable and its power")
            self._sleep(min(REPORT_INTERVAL_S, deadline - self._clock()))

    def last_status(self) -> StageStatus:
        """Return the last status of the controller at once; `Stage.last_status`."""
        status = self._reported()
        self._check_age(status)
        return status

    @property
    def reference(self) -> Reference | None:
        """How its counter is known to be true; `Stage.reference`."""
        with self._lock:
            self._check_answers()
            self._reference.see(self._now())
            return self._reference.known

    def confirm_reference(self, counts: int) -> Reference:
        """Take the operator's word for where it stands; `Stage.confirm_reference`."""
        with self._lock:
            self._check_answers()
            before = self._now()
            must_set = self._reference.needs_setting(before, counts)
            if must_set:
                self._completed_s = self._clock()
                self._carriage.take_as(self._completed_s, counts, homed=False)
            return self._reference.confirm(counts, before, was_set=must_set)

    def home(self, *, consent: bool, timeout_s: float = 120.0) -> None:
        """Drive down to the reference, which is 0 from then on; `Stage.home`."""
        if not consent:
            raise InputError(
                "stage: homing drives it to its reference; clear the objective, then give consent=True"
            )
        with self._lock:
            self._check_answers()
            speed = min(self._carriage.mechanics.speed_um_per_s, _HOMING_SPEED_UM_PER_S)
            reference = round(-self._carriage.last.zero)
            self._taken_out = 0
            self._reference.begin_homing()
            leg = self._carriage.set_off(self._clock(), reference, speed)
        self._wait(leg, reference, timeout_s)
        with self._lock:
            self._completed_s = self._clock()
            self._carriage.take_as(self._completed_s, 0, homed=True)
            self._reference.see(self._now())

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        """Move there, arriving from below, and wait; `Stage.move_to`."""
        check_position(counts, self.limits_counts, self._scale)
        self._approach(counts, 1, timeout_s)

    def begin_scan(self, plan: ScanPlan) -> None:
        """Go to the start from the scan's side, then start; `Stage.begin_scan`.

        Raises
        ------
        InputError
            If the plan has another scale, leaves the limits, or is too fast for the stage or its lead.
        """
        self._check_plan(plan)
        self._approach(plan.start_counts, 1 if plan.step_counts > 0 else -1, _APPROACH_S)
        with self._lock:
            self._set_off_checks(plan.end_counts)
            now = self._clock()
            leg = self._carriage.set_off(now, plan.end_counts, plan.speed_um_per_s, plan.pulse_counts)
            self._scan = plan, leg
            stall, unplug = self._stall_pulse - leg.first_pulse, self._unplug_pulse - leg.first_pulse
            if 0 <= stall < plan.pulses:
                self._carriage.stuck_s = min(self._carriage.stuck_s, float(leg.pulses_s[stall]))
            if 0 <= unplug < plan.pulses:
                self._unplugged_s = min(self._unplugged_s, float(leg.pulses_s[unplug]))

    def end_scan(self, *, timeout_s: float) -> int:
        """Wait for the end and return the number of pulses; `Stage.end_scan`."""
        if self._scan is None:
            raise InputError("stage: no scan was begun")
        (plan, leg), self._scan = self._scan, None
        taken_out, self._taken_out = self._taken_out, 0
        self._wait(leg, plan.end_counts, timeout_s)
        self._taken_out = taken_out
        with self._lock:
            return self._carriage.sent(leg, self._clock()) if self._counts_pulses else -1

    def stop(self) -> None:
        """Brake; `Stage.stop`.  Raises ``DeviceLost`` where the command does not reach it."""
        self._taken_out = 0
        with self._lock:
            if not self._closed:
                self._check_answers()
                self._carriage.brake(self._clock())

    def close(self) -> None:
        """Brake it where the command still reaches it, and release it."""
        with suppress(DeviceLost):
            self.stop()
        self._closed = True

    # --- for tests and the rest of the virtual rig ---

    def true_um(self, time_s: float | None = None) -> float:
        """Return the true position now or at a time, µm: with backlash, microsteps, and drift until then."""
        with self._lock:
            return self._carriage.true_um(self._clock() if time_s is None else time_s)

    def focus_um(self, time_s: float) -> float:
        """Height of the scene that is truly in focus at a time, µm."""
        return self.true_um(time_s) - self._scene_at_um

    def pulses(self, after_s: float, until_s: float) -> tuple[int, NDArray[np.float64]]:
        """Return the pulses sent in (after, until]: number of the first since it was made, and times, s."""
        with self._lock:
            return self._carriage.pulses(after_s, until_s)

    def stall(self, at: At | None = None) -> None:
        """Stall the motor, now or at a moment; its controller does not notice."""
        with self._lock:
            if at is not None and at.pulse is not None:
                self._stall_pulse = at.pulse
            else:
                self._carriage.stuck_s = min(self._carriage.stuck_s, self._moment(at))

    def unplug(self, at: At | None = None) -> None:
        """Stop answering, now or at a moment; a motion still runs to its end, with its pulses."""
        with self._lock:
            if at is not None and at.pulse is not None:
                self._unplug_pulse = at.pulse
            else:
                self._unplugged_s = min(self._unplugged_s, self._moment(at))

    def switch_off_and_on(self) -> None:
        """Cut its power: it rests where it is, counts from 0 there, and is not homed."""
        with self._lock:
            self._carriage.take_as(self._clock(), 0, homed=False)

    def free(self) -> None:
        """Free the motor, which turns again from where it stands."""
        with self._lock:
            self._stall_pulse = -1
            self._carriage.free(self._clock())

    # --- inside ---

    def _moment(self, at: At | None) -> float:
        return self._clock() if at is None or at.time_s is None else self._carriage.born_s + at.time_s

    def _reported(self) -> StageStatus:
        with self._lock:
            now, born_s = self._clock(), self._carriage.born_s
            known_s = min(now, self._unplugged_s)
            report_s = born_s + floor((known_s - born_s) / REPORT_INTERVAL_S) * REPORT_INTERVAL_S
            report_s = max(report_s, self._completed_s)  # that message carries the position, too
            return StageStatus(
                position_counts=self._carriage.reported(report_s),
                moving=self._carriage.moving(report_s),
                homed=self._carriage.leg(report_s).homed,
                age_s=now - report_s,
            )

    def _wait(self, leg: Leg, target: int, timeout_s: float) -> None:
        """Wait for the message that it arrived, or for a status at rest, since messages can be lost."""
        begun_s = self._clock()
        with self._lock:
            received = self._completions_to_lose <= 0
            self._completions_to_lose = max(self._completions_to_lose - 1, 0)
        place, since_s = None, begun_s
        while True:
            now, status = self._clock(), self._reported()
            report_s = now - status.age_s
            self._check_age(status)
            with self._lock:
                arrived_s = self._carriage.arrived_s(leg)
                if received and arrived_s <= min(now, self._unplugged_s):
                    self._completed_s = arrived_s
                    self._reference.arrived(target)
                    return
            if status.position_counts != place:
                place, since_s = status.position_counts, max(report_s, begun_s)
            still_s = report_s - since_s
            if not status.moving and still_s >= SETTLED_S:
                if place == target:
                    self._reference.arrived(target)
                    return
                raise StageStalled(
                    f"stage: it rests at {self._um(place)} µm and was sent to {self._um(target)}; "
                    "was it stopped, or is it blocked?"
                )
            if still_s >= STALLED_S or now >= begun_s + timeout_s:
                self.stop()
                why = "does not turn" if still_s >= STALLED_S else f"did not arrive within {timeout_s:g} s"
                raise StageStalled(
                    f"stage: it {why}, at {self._um(place)} µm while moving to {self._um(target)}; "
                    "check what blocks it"
                )
            self._sleep(min(REPORT_INTERVAL_S, begun_s + timeout_s - now))

    def _um(self, counts: int) -> str:
        return f"{counts / self._scale:.2f}"

    def _check_age(self, status: StageStatus) -> None:
        if status.age_s > self._watchdog_s or self._closed:
            raise DeviceLost(
                f"stage: it has reported no status for {status.age_s:.1f} s; check its cable and its power"
            )

    def _check_answers(self) -> None:
        if self._closed:
            raise DeviceLost("stage: it is closed; open it again")
        if self._clock() >= self._unplugged_s:
            raise DeviceLost("stage: it accepts no command; check its cable and its power, and open it again")

    def _approach(self, target: int, sign: int, timeout_s: float) -> None:
        """Move to the target, arriving in the direction of the sign over twice the assumed backlash."""
        deadline = self._clock() + timeout_s
        with self._lock:
            now, (low, high) = self._clock(), self._carriage.stops
            here, moving = self._carriage.reported(now), self._carriage.moving(now)
        taken_out, self._taken_out = self._taken_out == sign and sign * (target - here) >= 0, 0
        before = min(max(target - sign * self._approach_counts, low), high)
        if not taken_out and before != target and sign * (before - here) < 0:
            self._go(before, deadline)
        if not (taken_out and here == target and not moving):
            self._go(target, deadline)
        self._taken_out = sign

    def _go(self, target: int, deadline: float) -> None:
        with self._lock:
            self._set_off_checks(target)
            now, speed = self._clock(), self._carriage.mechanics.speed_um_per_s
            leg = self._carriage.set_off(now, target, speed)
        self._wait(leg, target, deadline - now)

    def _set_off_checks(self, target: int) -> None:
        self._check_answers()
        now = self._now()
        self._reference.require(now)
        self._reference.sent(now, target)

    def _now(self) -> StageStatus:
        """Return its state at this moment, as the next report will have it."""
        now = self._clock()
        leg = self._carriage.leg(now)
        return StageStatus(self._carriage.reported(now), self._carriage.moving(now), leg.homed, 0.0)

    def _check_plan(self, plan: ScanPlan) -> None:
        plan.check_limits(self.limits_counts)
        can = self._carriage.mechanics
        plan.check_motion(
            counts_per_um=self._scale,
            speed_um_per_s=can.speed_um_per_s,
            acceleration_um_per_s2=can.acceleration_um_per_s2,
        )
