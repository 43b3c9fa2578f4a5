"""The settings of a K-Cube stepper controller: each is written, and read back before the stage moves."""

from __future__ import annotations

from collections.abc import Callable

from lee.devices.protocols import Identity
from lee.devices.scan_plan import ScanPlan
from lee.devices.thorlabs.apt import CHANNEL, HOST, USB, AptConnection, messages
from lee.devices.thorlabs.settings import ThorlabsSettings
from lee.errors import RigFault

# In units of the controller's own clock: the values for one count/s and for one count/s².
VELOCITY_PER_COUNT = 53.68
ACCELERATION_PER_COUNT = 1 / 90.9
AT_POSITION_STEPS, TRIGGER_OFF = 0x0D, 0x00
HIGH, LOW = 1, 2
STOP_NOW = 1
ENABLE = 1
# What the controller does at a soft limit: go on, or stop at once.
SOFT_LIMIT_IGNORED, SOFT_LIMIT_STOPS = 1, 2
TRIES = 4


class Controller:
    """What the stage asks of its controller, in the stage's counts.

    Parameters
    ----------
    connection : AptConnection
    settings : ThorlabsSettings
    """

    def __init__(self, connection: AptConnection, settings: ThorlabsSettings) -> None:
        self.connection = connection
        self._settings = settings
        self._apt = messages()

    def identity(self) -> Identity:
        """Ask for vendor, model and serial number."""
        info = self.connection.ask(self._apt.hw_req_info(dest=USB, source=HOST), "hw_get_info")
        return Identity(
            vendor="Thorlabs",
            model=info.model_number.rstrip(b"\0 ").decode("ascii", "replace"),
            serial=str(info.serial_number),
            firmware=".".join(str(part) for part in info.firmware_version),
        )

    # --- motion ---

    def move(self, target: int) -> None:
        """Start a move; every status from then on belongs to it, since answers come in order."""
        self.connection.send(self._to(self._apt.mot_move_absolute, position=target))
        self.connection.ask(self._to(self._apt.mot_req_velparams), "mot_get_velparams")

    def home(self) -> None:
        """Start homing, at the controller's own speed."""
        self.connection.forget("mot_move_homed")
        self.connection.send(self._to(self._apt.mot_move_home))

    def stop(self) -> None:
        """Stop at once."""
        self.connection.send(self._to(self._apt.mot_move_stop, stop_mode=STOP_NOW))

    def enable(self) -> None:
        """Put power on the motor."""
        self.connection.send(self._to(self._apt.mod_set_chanenablestate, enable_state=ENABLE))

    # --- settings ---

    def set_speed(self, um_per_s: float) -> None:
        """Set the speed of the next move, and the acceleration."""
        scale = self._settings.counts_per_um
        self._set(
            "velparams",
            min_velocity=0,
            acceleration=round(self._settings.acceleration_um_per_s2 * scale * ACCELERATION_PER_COUNT),
            max_velocity=round(um_per_s * scale * VELOCITY_PER_COUNT),
        )

    def take_no_backlash_out(self) -> None:
        """Have it not overshoot by itself: the stage takes backlash out."""
        self._set("genmoveparams", backlash_distance=0)

    def set_limits(self, here: int) -> None:
        """Have it stop at the stage's limits by itself; a stage beyond them can come back."""
        lowest, highest = self._settings.limits_counts
        self._set_soft_limits(max(min(lowest, here), 0), max(highest, here), SOFT_LIMIT_STOPS)

    def ignore_limits(self) -> None:
        """Have it know no limits but the switches of the stage."""
        self._set_soft_limits(*self._settings.limits_counts, SOFT_LIMIT_IGNORED)

    def _set_soft_limits(self, lowest: int, highest: int, mode: int) -> None:
        now = self.connection.ask(self._to(self._apt.mot_req_limswitchparams), "mot_get_limswitchparams")
        self._set(
            "limswitchparams",
            cw_hardlimit=now.cw_hardlimit,
            ccw_hardlimit=now.ccw_hardlimit,
            cw_softlimit=highest,
            ccw_softlimit=lowest,
            soft_limit_mode=mode,
        )

    def set_counter(self, counts: int) -> None:
        """Have it call the place where it is so many counts."""
        self._set("poscounter", position=counts)

    def set_trigger(self, mode: int) -> None:
        """Set the mode of the port that pulses; the other port stays as it is."""
        now = self.connection.ask(self._to(self._apt.mot_req_kcubetrigconfig), "mot_get_kcubetrigconfig")
        both = {name: getattr(now, name) for port in (1, 2) for name in _trigger_names(port)}
        names = _trigger_names(self._settings.trigger_port)
        ours = dict(zip(names, (mode, HIGH if self._settings.pulse_high else LOW), strict=True))
        self._set("kcubetrigconfig", **{**both, **ours})

    def arm(self, plan: ScanPlan) -> None:
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
            pulse_width=self._settings.pulse_us,
            num_cycles=1,
        )
        self.set_trigger(AT_POSITION_STEPS)

    def _set(self, settings: str, **wanted: int) -> None:
        """Set, and read back; ``RigFault`` where the controller keeps other values (speeds: by over 0.1 %).

        Tried a few times: a late answer to an earlier request may be read instead.
        """
        # The library's two names for the trigger ports differ.
        setter = {"kcubetrigconfig": "kcubetrigioconfig"}.get(settings, settings)
        allowed = 1e-3 if settings == "velparams" else 0.0
        for _ in range(TRIES):
            self.connection.send(self._to(getattr(self._apt, f"mot_set_{setter}"), **wanted))
            answer = self.connection.ask(
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


def _trigger_names(port: int) -> tuple[str, str]:
    return f"trig{port}_mode", f"trig{port}_polarity"
