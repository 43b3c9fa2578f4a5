"""One scan in the stage's own counts: positions of its pulses, speed, start and end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError


@dataclass(frozen=True)
class ScanPlan:
    """A scan in one direction: lead-in, pulses at equal distances, run-out.

    Positions are whole counts of the stage: with fractions, heights would drift away from the pulses. Heights
    follow from the counts.

    Parameters
    ----------
    first_counts : int
        Position of the first pulse.
    step_counts : int
        From pulse to pulse: positive rises, negative falls.
    pulses : int
        Pulses, one per frame.
    counts_per_um : float
        Scale of the stage, from its calibration.
    frames_per_s : float
        Pulses per second while the stage runs at its speed.
    lead_counts : int
        Distance before the first pulse and after the last, for acceleration and braking.
    """

    first_counts: int
    step_counts: int
    pulses: int
    counts_per_um: float
    frames_per_s: float
    lead_counts: int

    def __post_init__(self) -> None:
        for name in ("first_counts", "step_counts", "pulses", "lead_counts"):
            if not isinstance(getattr(self, name), int):
                raise InputError(f"scan plan: {name} is {getattr(self, name)!r}; give whole counts")
        if self.step_counts == 0:
            raise InputError("scan plan: step_counts is 0; give counts from frame to frame")
        if self.pulses < 3:
            raise InputError(f"scan plan: pulses is {self.pulses}; a focus needs 3 frames or more")
        if self.lead_counts < 0:
            raise InputError(f"scan plan: lead_counts is {self.lead_counts}; give 0 or more")
        for name in ("counts_per_um", "frames_per_s"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"scan plan: {name} is {value}; give a number above 0")

    @classmethod
    def of_um(
        cls,
        start_um: float,
        end_um: float,
        *,
        step_um: float,
        counts_per_um: float,
        frames_per_s: float,
        lead_um: float = 2.0,
    ) -> ScanPlan:
        """Plan a scan given in µm: the step is rounded to whole counts, and the end is never passed.

        Raises
        ------
        InputError
            If a length is not finite, or the step is less than a count.
        """
        lengths = {"start_um": start_um, "end_um": end_um, "step_um": step_um, "lead_um": lead_um}
        for name, value in lengths.items():
            if not np.isfinite(value) or (name in ("step_um", "lead_um") and value < 0):
                raise InputError(f"scan plan: {name} is {value}; give a length in µm")
        step = round(step_um * counts_per_um)
        if step < 1:
            raise InputError(
                f"scan plan: step_um is {step_um:g}, less than one count of the stage "
                f"({1 / counts_per_um:g} µm); give a longer step"
            )
        distance = (end_um - start_um) * counts_per_um
        return cls(
            first_counts=round(start_um * counts_per_um),
            step_counts=step if distance >= 0 else -step,
            pulses=int(abs(distance) / step + 1e-9) + 1,
            counts_per_um=counts_per_um,
            frames_per_s=frames_per_s,
            lead_counts=round(lead_um * counts_per_um),
        )

    @property
    def pulse_counts(self) -> NDArray[np.int64]:
        """Position of every pulse, (pulses,)."""
        return self.first_counts + self.step_counts * np.arange(self.pulses, dtype=np.int64)

    @property
    def z_um(self) -> NDArray[np.float64]:
        """Height of every frame, (pulses,) µm."""
        return np.asarray(self.pulse_counts / self.counts_per_um, dtype=np.float64)

    @property
    def step_um(self) -> float:
        """Distance from frame to frame, in whole counts, µm, positive."""
        return abs(self.step_counts) / self.counts_per_um

    @property
    def speed_um_per_s(self) -> float:
        """Speed between the first and the last pulse, µm/s."""
        return self.step_um * self.frames_per_s

    @property
    def start_counts(self) -> int:
        """Position at which the stage waits before the scan."""
        return self.first_counts - self._sign * self.lead_counts

    @property
    def end_counts(self) -> int:
        """Position at which the stage comes to rest after it."""
        last = self.first_counts + self.step_counts * (self.pulses - 1)
        return last + self._sign * self.lead_counts

    @property
    def seconds(self) -> float:
        """Time from the first pulse to the last, s."""
        return (self.pulses - 1) / self.frames_per_s

    def check_motion(
        self, *, counts_per_um: float, speed_um_per_s: float, acceleration_um_per_s2: float
    ) -> None:
        """Raise ``InputError`` where a stage has another scale, is too slow, or needs a longer lead.

        Parameters
        ----------
        counts_per_um : float
            Scale of the stage.
        speed_um_per_s, acceleration_um_per_s2 : float
            The highest that it reaches.
        """
        if abs(self.counts_per_um / counts_per_um - 1) > 1e-9:
            raise InputError(
                f"stage: the plan has {self.counts_per_um:g} counts/µm and the stage {counts_per_um:g}; "
                "plan with the stage's scale"
            )
        speed = self.speed_um_per_s
        if speed > speed_um_per_s:
            raise InputError(
                f"stage: the scan runs at {speed:g} µm/s, the stage at most at {speed_um_per_s:g}; "
                "take fewer frames/s or shorter steps"
            )
        lead, needed = self.lead_counts / counts_per_um, speed**2 / (2 * acceleration_um_per_s2)
        if lead < needed:
            raise InputError(
                f"stage: the scan's lead is {lead:g} µm, but its speed is reached after {needed:g}; "
                "give a longer lead"
            )

    def check_limits(self, limits_counts: tuple[int, int]) -> None:
        """Raise ``InputError`` where the scan with its lead leaves a stage's limits, (lowest, highest)."""
        lowest, highest = limits_counts
        for reached in (self.start_counts, self.end_counts):
            if not lowest <= reached <= highest:
                first, last, lead, lies, low, high = (
                    f"{counts / self.counts_per_um:.2f}"
                    for counts in (
                        *(self.first_counts, self.first_counts + self.step_counts * (self.pulses - 1)),
                        *(self.lead_counts, reached, lowest, highest),
                    )
                )
                raise InputError(
                    f"stage: the scan from {first} to {last} µm with its lead of {lead} µm reaches {lies} "
                    f"µm, beyond the stage's limits, {low} to {high} µm; move it, or correct lowest_um and "
                    "highest_um"
                )

    @property
    def _sign(self) -> int:
        return 1 if self.step_counts > 0 else -1
