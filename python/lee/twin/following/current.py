"""The current of a run over time, in steps: on, off, or reversed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError

_SIGNS = {"plating": 1.0, "stripping": -1.0, "rest": 0.0}


@dataclass(frozen=True, eq=False)
class CurrentSteps:
    """Current density in steps.

    Attributes
    ----------
    from_s : (N,) float64
        When each value begins, rising; the first also holds before.
    ma_per_cm2 : (N,) float64
        Over the area as seen from above; positive plates, negative strips.
    """

    from_s: NDArray[np.float64]
    ma_per_cm2: NDArray[np.float64]

    def __post_init__(self) -> None:
        times, values = (np.atleast_1d(np.asarray(v, np.float64)) for v in (self.from_s, self.ma_per_cm2))
        if times.shape != values.shape or times.ndim != 1 or not times.size:
            raise InputError(f"current: {times.size} times for {values.size} values; give one for each")
        if not (np.isfinite(times).all() and np.isfinite(values).all()) or (np.diff(times) <= 0).any():
            raise InputError("current: times must rise, and all numbers be finite")
        object.__setattr__(self, "from_s", times)
        object.__setattr__(self, "ma_per_cm2", values)

    @classmethod
    def of_phases(cls, times_s: ArrayLike, phases: Sequence[str], ma_per_cm2: float) -> CurrentSteps:
        """Take the sign from what the cell did at each scan: plating (as where not known), stripping or rest.

        A phase begins halfway between its first scan and the one before.

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
        signs = np.array([_SIGNS.get(phase, own) for phase in phases])
        changes = [0, *(k for k in range(1, len(times)) if signs[k] != signs[k - 1])]
        begins = [times[0] if k == 0 else 0.5 * (times[k - 1] + times[k]) for k in changes]
        return cls(np.array(begins), abs(ma_per_cm2) * signs[changes])

    def at(self, time_s: float) -> float:
        """Return mA/cm² of a step that ends at this time: where it is switched, the value before."""
        return float(self.ma_per_cm2[max(int(np.searchsorted(self.from_s, time_s, side="left")) - 1, 0)])

    def after(self, time_s: float) -> float:
        """Return mA/cm² just after a time."""
        return float(self.ma_per_cm2[max(int(np.searchsorted(self.from_s, time_s, side="right")) - 1, 0)])

    def charge_c_per_cm2(self, begin_s: float, end_s: float) -> float:
        """Return the charge that passes between two times."""
        inner = self.from_s[(self.from_s > begin_s) & (self.from_s < end_s)]
        edges = np.concatenate([[begin_s], inner, [end_s]])
        return float(sum(self.after(a) * (b - a) for a, b in pairwise(edges)) * 1e-3)

    def switches_s(self, begin_s: float, end_s: float) -> list[float]:
        """Return the times between two others at which it is switched."""
        return [float(t) for t in self.from_s[1:] if begin_s < t < end_s]
