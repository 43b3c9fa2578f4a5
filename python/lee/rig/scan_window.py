"""The window of scans that follow one another, moved with the surface when that drifts or grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lee.devices.scan_plan import ScanPlan
from lee.surfaces.surface import Surface

# Moves below this are left alone: noise at the ends of the heights is as large, and scans that begin alike
# are compared more easily.
_LEAST_UM = 1.0
# Of the window, the most that one scan moves it: a surface measured wrongly must not lose the sample.
_MOST_SHARE = 0.25
_LEAST_COVERAGE = 0.2
_ENDS = (1.0, 99.0)


class Window:
    """Keeps the surface where it lay in the window of the first scan.

    Its place is the middle between the 1st and the 99th percentile of its heights. The stage counts on, so
    that heights of all scans stay comparable.

    Parameters
    ----------
    plan : ScanPlan
        Of the first scan; ``plan`` is that of the next one.
    limits_counts : (lowest, highest)
        Where the stage may be sent; the window stops there.
    """

    def __init__(self, plan: ScanPlan, limits_counts: tuple[int, int]) -> None:
        self.plan = plan
        self._limits = limits_counts
        self._lies_um: float | None = None

    def follow(self, surface: Surface | None) -> None:
        """Move the plan with the surface of the last scan; one that was hardly measured moves nothing."""
        if surface is None or surface.coverage < _LEAST_COVERAGE:
            return
        low, high = np.percentile(surface.height_um[surface.valid], _ENDS)
        z_um = self.plan.z_um
        lies_um = float(low + high - z_um[0] - z_um[-1]) / 2
        if self._lies_um is None:
            self._lies_um = lies_um
            return
        moved_um = lies_um - self._lies_um
        if abs(moved_um) < _LEAST_UM:
            return
        most_um = _MOST_SHARE * abs(float(z_um[-1] - z_um[0]))
        counts = round(float(np.clip(moved_um, -most_um, most_um)) * self.plan.counts_per_um)
        ends = sorted((self.plan.start_counts, self.plan.end_counts))
        counts = max(min(counts, self._limits[1] - ends[1]), self._limits[0] - ends[0])
        self.plan = replace(self.plan, first_counts=self.plan.first_counts + counts)
