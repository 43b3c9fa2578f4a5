"""Settings of a Thorlabs stage: scale, limits, speeds and pulses; positions and plans that it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError


@dataclass(frozen=True)
class ThorlabsSettings:
    """Settings of a stage.

    ``counts_per_um`` is a calibration and ``calibrated_by`` states whose: sources for the ZST225B disagree by
    11 ppm. No position beyond ``limits_counts`` (lowest, highest) is ever commanded. ``travel_um_per_s`` is
    the speed of moves that are not scans. Every approach takes ``backlash_um`` out over twice that distance.
    ``trigger_port`` 1 or 2 pulses for ``pulse_us``, high where ``pulse_high``. A move has arrived where the
    position has not changed for ``settle_s`` within ``tolerance_counts`` of its target, and has stalled where
    it has not for ``stall_s`` elsewhere. A controller that is silent for ``watchdog_s`` is lost.
    """

    counts_per_um: float = 2008.64563
    calibrated_by: str = "nominal scale of the ZST225B, 2008645.63 microsteps/mm; not calibrated"
    limits_counts: tuple[int, int] = (0, 50_216_140)
    travel_um_per_s: float = 500.0
    acceleration_um_per_s2: float = 1000.0
    backlash_um: float = 5.0
    trigger_port: int = 1
    pulse_us: int = 1000
    pulse_high: bool = True
    settle_s: float = 0.05
    stall_s: float = 0.5
    tolerance_counts: int = 4
    watchdog_s: float = 0.4

    def __post_init__(self) -> None:
        positive = (
            "counts_per_um",
            "travel_um_per_s",
            "acceleration_um_per_s2",
            "pulse_us",
            "settle_s",
            "stall_s",
        )
        for name in (*positive, "watchdog_s"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InputError(f"stage: {name} is {value}; give a number above 0")
        for name in ("backlash_um", "tolerance_counts"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"stage: {name} is {getattr(self, name)}; give 0 or more")
        if not self.limits_counts[0] < self.limits_counts[1]:
            raise InputError(
                f"stage: limits_counts is {self.limits_counts}; give the lowest, then the highest"
            )
        if self.trigger_port not in (1, 2):
            raise InputError(f"stage: trigger_port is {self.trigger_port}; a K-Cube has 1 and 2")

    def check_plan(self, plan: ScanPlan) -> None:
        """Raise ``InputError`` where a plan has another scale, leaves the limits, or is too fast."""
        plan.check_motion(
            counts_per_um=self.counts_per_um,
            speed_um_per_s=self.travel_um_per_s,
            acceleration_um_per_s2=self.acceleration_um_per_s2,
        )
        plan.check_limits(self.limits_counts)
        if self.pulse_us * 1e-6 > 0.5 / plan.frames_per_s:
            raise InputError(
                f"stage: pulse_us is {self.pulse_us}, more than half of a frame's time; shorten it"
            )
