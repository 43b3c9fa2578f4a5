"""Stages of Micro-Manager through its core, without triggers."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lee.devices.faults import DeviceLost, StageStalled
from lee.devices.mmcore.system import core_errors, device_system, loaded_core, reason_of
from lee.devices.protocols import Identity, Reference, Stage, StageStatus
from lee.devices.reference import PositionReference, check_position
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError

# Times, s: between two looks at the position, of rest at the target, without motion, and without an answer.
_LOOK_S, _SETTLE_S, _STALL_S, _LOST_S = 0.01, 0.05, 2.0, 1.0
# A stage has arrived where it reports a position so near.
_TOLERANCE_UM = 0.5


class MmcoreStage(Stage):
    """A Z stage behind an adapter of Micro-Manager; `Stage`.

    Of the configuration only the stage is loaded, with the hub and port that it is connected by. Adapters
    share no setting for the speed: during a scan the stage is sent, again and again, where it should be by
    now, and its own reports tell where it was. Whether its zero is true, no adapter tells: the operator
    states where it stands.

    Parameters
    ----------
    system_file : Path
        A Micro-Manager configuration, ``.cfg``.
    label : str
        The stage's in it; "" for the one that it has as the core's focus device.
    adapters : str
        Folder of the device adapters; "" for the one that pymmcore-plus finds.
    counts_per_um : float
        Its positions are rounded to these counts.
    limits_um : (lowest, highest)
    backlash_um : float
        Moves arrive from below over twice this distance.

    Raises
    ------
    MissingDependency, InputError
        As `lee.devices.mmcore.camera.MmcoreCamera`.
    """

    def __init__(
        self,
        system_file: Path,
        *,
        label: str = "",
        adapters: str = "",
        counts_per_um: float = 1000.0,
        limits_um: tuple[float, float],
        backlash_um: float = 0.0,
    ) -> None:
        system = device_system(system_file, label, role="Focus")
        self._label, self._scale = system.label, counts_per_um
        low, high = (round(um * counts_per_um) for um in limits_um)
        self._limits = low, high
        self._approach_counts = 2 * round(backlash_um * counts_per_um)
        self._reference = PositionReference(counts_per_um)
        self._lock = threading.RLock()
        self._stopped, self._closing = threading.Event(), threading.Event()
        self._arrived_from_below = False
        self._plan: tuple[ScanPlan, float] | None = None
        self._sent: ScanPlan | None = None
        self._module, self._core = loaded_core(system, adapters)
        try:
            with core_errors(f"{self._label} as focus device", "stage"):
                self._core.setFocusDevice(self._label)
                self._identity = Identity(
                    self._core.getDeviceLibrary(self._label),
                    self._core.getDeviceName(self._label),
                    self._label,
                )
                self._last = self._asked()
        except InputError:
            self._core.unloadAllDevices()
            raise
        self._thread = threading.Thread(target=self._work, name="lee-mmcore-stage", daemon=True)
        self._thread.start()

    # --- the contract ---

    @property
    def identity(self) -> Identity:
        """Adapter, device and label."""
        return self._identity

    @property
    def counts_per_um(self) -> float:
        """Counts to which positions are rounded."""
        return self._scale

    @property
    def limits_counts(self) -> tuple[int, int]:
        """Lowest and highest position, from the rig's file."""
        return self._limits

    @property
    def can_trigger(self) -> bool:
        """Never: adapters share no trigger."""
        return False

    def status(self, timeout_s: float = 1.0) -> StageStatus:
        """Return its position as it was after the call; `Stage.status`."""
        asked_s, deadline = time.monotonic(), time.monotonic() + timeout_s
        while self._last[0] < asked_s:
            if time.monotonic() > deadline or self._closing.is_set():
                raise DeviceLost(f"stage: no status within {timeout_s:g} s; check its cable and its power")
            time.sleep(_LOOK_S / 4)
        return self.last_status()

    def last_status(self) -> StageStatus:
        """Return the newest position at once; `Stage.last_status`."""
        reported_s, um, busy = self._last
        age_s = time.monotonic() - reported_s
        if age_s > _LOST_S or self._closing.is_set():
            raise DeviceLost(
                f"stage: it has reported no status for {age_s:.1f} s; check its cable and its power"
            )
        return StageStatus(round(um * self._scale), busy or self._plan is not None, False, age_s)

    @property
    def reference(self) -> Reference | None:
        """Where the operator stated that it stands; `Stage.reference`."""
        self._reference.see(self.status())
        return self._reference.known

    def confirm_reference(self, counts: int) -> Reference:
        """Take the operator's word that the position it reports is true; `Stage.confirm_reference`."""
        before = self.status()
        if before.moving:
            raise InputError("stage: it moves; state where it stands (--reference-um) when it rests")
        if self._reference.needs_setting(before, counts):
            here_um, stated_um = before.position_counts / self._scale, counts / self._scale
            raise InputError(
                f"stage: it reports {here_um:.2f} µm, and the stated reference is {stated_um:.2f} µm; "
                "a stage of Micro-Manager keeps its own zero: state the height that it reports, or set its "
                "zero there"
            )
        return self._reference.confirm(counts, before, was_set=False)

    def home(self, *, consent: bool, timeout_s: float = 120.0) -> None:
        """Refuse: adapters do not share where it would drive to."""
        raise InputError(
            "stage: home it in Micro-Manager, which knows how it does; then state where it stands "
            "(--reference-um)"
        )

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        """Move there, arriving from below, and wait; `Stage.move_to`."""
        check_position(counts, self._limits, self._scale)
        deadline = time.monotonic() + timeout_s
        self._begin()
        here = self.status().position_counts
        taken_out, self._arrived_from_below = self._arrived_from_below and counts >= here, False
        before = max(counts - self._approach_counts, self._limits[0])
        if not taken_out and before < min(counts, here):
            self._go(before, deadline)
        self._go(counts, deadline)
        self._arrived_from_below = True

    def begin_scan(self, plan: ScanPlan) -> None:
        """Go to the plan's start, then follow its speed; `Stage.begin_scan`."""
        plan.check_limits(self._limits)
        if abs(plan.counts_per_um / self._scale - 1) > 1e-9:
            raise InputError("stage: the plan has another scale; plan with the stage's")
        side = -self._approach_counts if plan.step_counts > 0 else self._approach_counts
        before = min(max(plan.start_counts + side, self._limits[0]), self._limits[1])
        self._begin()
        if not (self._arrived_from_below and self._near(plan.start_counts) and plan.step_counts > 0):
            self._go(before, time.monotonic() + 60.0)
            self._go(plan.start_counts, time.monotonic() + 60.0)
        self._arrived_from_below = False
        with self._lock:
            self._reference.require(self.last_status())
            self._reference.sent(self.last_status(), plan.end_counts)
            self._sent, self._plan = plan, (plan, time.monotonic())

    def end_scan(self, *, timeout_s: float) -> int:
        """Wait for the end; return -1, since there are no pulses; `Stage.end_scan`."""
        plan, self._sent = self._sent, None
        if plan is None:
            raise InputError("stage: no scan was begun; call begin_scan first")
        deadline = time.monotonic() + timeout_s
        while self._plan is not None:
            self._check_stopped()
            self.last_status()
            if time.monotonic() > deadline:
                self.stop()
                raise StageStalled("stage: the scan did not end in time; check what blocks it")
            time.sleep(_LOOK_S)
        self._wait_at(plan.end_counts, deadline)
        self._arrived_from_below = plan.step_counts > 0
        return -1

    def stop(self) -> None:
        """Stop at once; one whose adapter has no stop is sent where it is."""
        self._stopped.set()
        self._arrived_from_below = False
        with self._lock:
            self._plan = None
            if self._closing.is_set():
                return
            try:
                self._core.stop(self._label)
            except RuntimeError:
                try:
                    self._core.setPosition(self._label, self._core.getPosition(self._label))
                except RuntimeError as error:
                    raise DeviceLost(
                        f"stage: it accepts no stop ({reason_of(error)}); check its cable and its power"
                    ) from error

    def close(self) -> None:
        """Stop it and unload its devices."""
        if self._closing.is_set():
            return
        with suppress(DeviceLost):
            self.stop()
        self._closing.set()
        self._thread.join(_LOST_S)
        with suppress(RuntimeError):
            self._core.unloadAllDevices()

    # --- inside ---

    def _asked(self) -> tuple[float, float, bool]:
        """Ask where it is and whether it moves; the position was true at the time, by `time.monotonic`."""
        core: Any = self._core
        busy = core.deviceBusy(self._label)
        before_s = time.monotonic()
        um = core.getPosition(self._label)
        return (before_s + time.monotonic()) / 2, um, busy

    def _work(self) -> None:
        """Report where it is and, during a scan, send it on; one that fails is lost, as its reports age."""
        while not self._closing.wait(_LOOK_S):
            with suppress(RuntimeError), self._lock:
                self._follow_plan()
                self._last = self._asked()

    def _follow_plan(self) -> None:
        if self._plan is None:
            return
        plan, begun_s = self._plan
        way = (time.monotonic() - begun_s) * plan.speed_um_per_s * self._scale
        length = abs(plan.end_counts - plan.start_counts)
        sign = 1 if plan.step_counts > 0 else -1
        if not self._core.deviceBusy(self._label):
            self._core.setPosition(self._label, (plan.start_counts + sign * min(way, length)) / self._scale)
            if way >= length:
                self._plan = None

    def _begin(self) -> None:
        self._stopped.clear()
        self._reference.require(self.status())

    def _go(self, counts: int, deadline: float) -> None:
        with self._lock:
            self._check_stopped()
            now = self.last_status()
            self._reference.require(now)
            self._reference.sent(now, counts)
            try:
                self._core.setPosition(self._label, counts / self._scale)
            except RuntimeError as error:
                raise StageStalled(
                    f"stage: {counts / self._scale:.2f} µm was refused ({reason_of(error)})"
                ) from error
        self._wait_at(counts, deadline)

    def _wait_at(self, counts: int, deadline: float) -> None:
        place, since_s = None, time.monotonic()
        while True:
            status, now = self.status(), time.monotonic()
            self._check_stopped()
            if status.position_counts != place:
                place, since_s = status.position_counts, now
            if self._near(counts) and not status.moving and now - since_s >= _SETTLE_S:
                self._reference.arrived(status.position_counts)
                return
            if now > deadline or (now - since_s > _STALL_S and not status.moving):
                self.stop()
                raise StageStalled(
                    f"stage: it rests at {status.position_counts / self._scale:.2f} µm and was sent to "
                    f"{counts / self._scale:.2f}; check what blocks it, and the limits of its adapter"
                )
            time.sleep(_LOOK_S)

    def _near(self, counts: int) -> bool:
        return abs(self.last_status().position_counts - counts) <= _TOLERANCE_UM * self._scale

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise StageStalled("stage: was stopped during the move; move it again when it is safe")
