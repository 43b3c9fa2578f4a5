"""Laws by which a surface grows, in closed form: height and rate are exact at any time.

The surface rises by dh/dt = u(t) + c(t) K h, where K h is half the Laplacian of the surface smoothed by a
Gaussian: its mean curvature where slopes are small, positive in trenches. Under c > 0 trenches grow faster
and fill, so that their lead decays; under c < 0 they are dug deeper. Cosines are the eigenfunctions of K
under mirror borders, so each of them only fades or grows by exp(-lambda G(t)), G the integral of c.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lee.errors import InputError

Kind = Literal["plating", "stripping", "rest"]


@dataclass(frozen=True)
class Phase:
    """One stretch of a run.

    Both coefficients go from their first value to their last as exp(-t / settling_s).

    Parameters
    ----------
    kind : {"plating", "stripping", "rest"}
    duration_s : float
    uniform_nm_per_s : (start, end)
        Rate where the surface is not curved; below 0 where it dissolves.
    curvature_um2_per_s : (start, end)
        Rate (µm/s) for each 1/µm of mean curvature; above 0 trenches rise relative to the rest.
    settling_s : float
    """

    kind: Kind
    duration_s: float
    uniform_nm_per_s: tuple[float, float] = (0.0, 0.0)
    curvature_um2_per_s: tuple[float, float] = (0.0, 0.0)
    settling_s: float = 200.0

    def __post_init__(self) -> None:
        values = (*self.uniform_nm_per_s, *self.curvature_um2_per_s)
        if not (0 < self.duration_s < np.inf and 0 < self.settling_s < np.inf and np.isfinite(values).all()):
            raise InputError(
                f"growth: phase {self.kind!r} has duration_s {self.duration_s}, settling_s {self.settling_s} "
                f"and coefficients {values}; give times above 0 and finite numbers"
            )

    def _course(self, ends: tuple[float, float], time_s: float) -> float:
        return ends[1] + (ends[0] - ends[1]) * float(np.exp(-time_s / self.settling_s))

    def _area(self, ends: tuple[float, float], time_s: float) -> float:
        settled = self.settling_s * -float(np.expm1(-time_s / self.settling_s))
        return ends[1] * time_s + (ends[0] - ends[1]) * settled


@dataclass(frozen=True)
class GrowthLaw:
    """Phases one after another; before the first and after the last nothing moves.

    Parameters
    ----------
    phases : sequence of Phase
    smoothing_um : float
        Standard deviation of the Gaussian in K: finer relief neither drives growth nor is levelled by it.
    """

    phases: Sequence[Phase]
    smoothing_um: float = 2.0

    def __post_init__(self) -> None:
        if not self.phases:
            raise InputError("growth: a law needs at least one phase")
        if not 0 < self.smoothing_um < np.inf:
            raise InputError(f"growth: smoothing_um {self.smoothing_um} must be above 0")

    @property
    def duration_s(self) -> float:
        """All phases together."""
        return float(sum(phase.duration_s for phase in self.phases))

    def phase_at(self, time_s: float) -> Kind:
        """Return the kind of phase at a time; "rest" outside the law."""
        begin = 0.0
        for phase in self.phases:
            if begin <= time_s < begin + phase.duration_s:
                return phase.kind
            begin += phase.duration_s
        return "rest"

    def uniform_um(self, time_s: float) -> float:
        """Return how far an uncurved surface has risen since time 0."""
        return 1e-3 * sum(phase._area(phase.uniform_nm_per_s, at) for phase, at in self._passed(time_s))

    def levelling_um2(self, time_s: float) -> float:
        """Return the integral of c since time 0, µm²."""
        return sum(phase._area(phase.curvature_um2_per_s, at) for phase, at in self._passed(time_s))

    def coefficients(self, time_s: float) -> tuple[float, float]:
        """Return (u in µm/s, c in µm²/s) at a time; at a border of phases those of the later one."""
        begin = 0.0
        for phase in self.phases:
            at = time_s - begin
            if 0 <= at < phase.duration_s:
                u = phase._course(phase.uniform_nm_per_s, at)
                return 1e-3 * u, phase._course(phase.curvature_um2_per_s, at)
            begin += phase.duration_s
        return 0.0, 0.0

    def _passed(self, time_s: float) -> list[tuple[Phase, float]]:
        passed, left = [], time_s
        for phase in self.phases:
            if left <= 0:
                break
            passed.append((phase, min(left, phase.duration_s)))
            left -= phase.duration_s
        return passed


def plating(duration_s: float, curvature_um2_per_s: float = 0.25) -> Phase:
    """Return plating: it slows down, and trenches lead by what their curvature gives them."""
    return Phase("plating", duration_s, (55.0, 36.0), (curvature_um2_per_s,) * 2, 300.0)


def stripping(duration_s: float, curvature_um2_per_s: float = 0.25) -> Phase:
    """Return stripping: uniform first, faster in trenches later."""
    return Phase("stripping", duration_s, (-40.0, -40.0), (0.0, -curvature_um2_per_s), 0.5 * duration_s)
