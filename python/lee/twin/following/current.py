"""The current of a run over time: from a protocol, the phases of its scans, or the recorded charge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lee.electrochemistry import Protocol
from lee.errors import InputError

_SIGNS = {"plating": 1.0, "stripping": -1.0, "rest": 0.0}
# Of a time: just before it, for the value that a step ends with where the current jumps.
_BEFORE_S = 1e-6
# Of the largest current: a smaller step is drift, as that of a recorded current from scan to scan.
_JUMP = 0.25


@dataclass(frozen=True)
class RunCurrent:
    """A protocol on the clock of a run.

    Attributes
    ----------
    protocol : Protocol
        `at`, `after` and `jumps_s` need one whose current is known throughout.
    begins_s : float
        When it begins.
    """

    protocol: Protocol
    begins_s: float

    @property
    def largest_ma_per_cm2(self) -> float:
        """The largest current density, without its sign."""
        return max(float(np.abs(step.values).max()) for step in self.protocol.steps)

    def at(self, time_s: float) -> float:
        """Return mA/cm² of a step that ends at this time: where it jumps, the value before."""
        return self.after(time_s - _BEFORE_S)

    def after(self, time_s: float) -> float:
        """Return mA/cm² just after a time."""
        return float(self.protocol.current_density_at(time_s - self.begins_s))

    def switches_s(self, begin_s: float, end_s: float) -> list[float]:
        """Return the times between two others at which it jumps or bends."""
        edges = self.protocol.edges_s + self.begins_s
        return [float(t) for t in edges if begin_s + _BEFORE_S < t < end_s - _BEFORE_S]

    def jumps_s(self, begin_s: float, end_s: float) -> list[float]:
        """Return the times between two others at which it jumps by a quarter of the largest or more.

        Where a potential is held or a limit ends a step these are the ends of its steps, as far as they are
        known beforehand.
        """
        if not self.protocol.is_known:
            first = next((k for k, step in enumerate(self.protocol.steps) if step.limit), None)
            edges = self.protocol.begins_s[: None if first is None else first + 1] + self.begins_s
            return [float(t) for t in edges if begin_s + _BEFORE_S < t < end_s - _BEFORE_S]
        least = _JUMP * self.largest_ma_per_cm2
        switches = self.switches_s(begin_s, end_s)
        return [t for t in switches if abs(self.after(t) - self.at(t)) >= least > 0]

    def from_rest(self, begin_s: float) -> Protocol:
        """Return the protocol from a time on at which it has not begun: the cell rests until then."""
        rest = self.begins_s - begin_s
        return Protocol((*(Protocol.constant(0.0, rest).steps if rest > 0 else ()), *self.protocol.steps))


def current_of_phases(times_s: ArrayLike, phases: Sequence[str], ma_per_cm2: float) -> Protocol:
    """Take the sign from what the cell did at each scan: plating (as where not known), stripping or rest.

    A phase begins halfway between its first scan and the one before. The protocol begins at the first scan.

    Raises
    ------
    InputError
        If a phase has another name.
    """
    times = np.asarray(times_s, np.float64)
    for phase in phases:
        if phase and phase not in _SIGNS:
            raise InputError(f"phase is {phase!r}; phases are {', '.join(_SIGNS)}")
    # A cell that strips without phases being told keeps its own sign.
    own = 1.0 if any(phases) else float(np.sign(ma_per_cm2) or 1.0)
    signs = [_SIGNS.get(phase, own) for phase in phases]
    changes = [k for k in range(1, len(times)) if signs[k] != signs[k - 1]]
    edges = [times[0], *(0.5 * (times[k - 1] + times[k]) for k in changes), max(times[-1], times[0] + 1.0)]
    values = [abs(ma_per_cm2) * signs[k] for k in (0, *changes)]
    return Protocol.sequence(list(zip(values, np.diff(edges).tolist(), strict=True)))


def current_of_charge(times_s: ArrayLike, charge_c_per_cm2: ArrayLike) -> Protocol:
    """Let the charge recorded at each scan pass evenly from scan to scan.

    Parameters
    ----------
    times_s, charge_c_per_cm2 : (T,) float
        Two scans or more; the protocol begins at the first.

    Raises
    ------
    InputError
        If a charge is missing.
    """
    times, charge = np.asarray(times_s, np.float64), np.asarray(charge_c_per_cm2, np.float64)
    if charge.shape != times.shape or len(times) < 2 or not np.isfinite(charge).all():
        raise InputError(
            f"follow: {int(np.isfinite(charge).sum())} recorded charges for {len(times)} scans; the record "
            "must cover them all"
        )
    current = 1e3 * np.diff(charge) / np.diff(times)
    return Protocol.sequence(list(zip(current.tolist(), np.diff(times).tolist(), strict=True)))
