"""The scan window, the range of heights that a scan covers, tracks a surface that drifts or grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lee.devices.scan_plan import ScanPlan
from lee.surfaces.surface import Surface

# A smaller displacement moves nothing: noise at the ends of the heights is as large, and scans over the same
# window are compared more easily.
MIN_MOVE_UM = 1.0
# Largest move after one scan, as a share of the window: a wrong surface must not lose the sample.
MAX_MOVE_SHARE = 0.25
MIN_COVERAGE = 0.2
_PERCENTILES = (1.0, 99.0)


class ScanWindow:
    """Keeps the surface at the place in the window where the first scan found it.

    The place of a surface is the middle between the 1st and the 99th percentile of its heights. The stage
    keeps counting from the same zero, so that the heights of all scans can be compared.

    Parameters
    ----------
    plan : ScanPlan
        Plan of the first scan.
    limits_counts : (lowest, highest)
        Limits of the stage; the window stops there.

    Attributes
    ----------
    plan : ScanPlan
        Plan of the next scan.
    """

    def __init__(self, plan: ScanPlan, limits_counts: tuple[int, int]) -> None:
        self.plan = plan
        self._limits = limits_counts
        self._first_offset_um: float | None = None

    def track(self, surface: Surface | None) -> None:
        """Move the window with the surface of the last scan, if enough of that was measured."""
        if surface is None or surface.coverage < MIN_COVERAGE:
            return
        low, high = np.percentile(surface.height_um[surface.valid], _PERCENTILES)
        z_um = self.plan.z_um
        offset_um = float(low + high - z_um[0] - z_um[-1]) / 2
        if self._first_offset_um is None:
            self._first_offset_um = offset_um
            return
        displacement_um = offset_um - self._first_offset_um
        if abs(displacement_um) < MIN_MOVE_UM:
            return
        max_um = MAX_MOVE_SHARE * abs(float(z_um[-1] - z_um[0]))
        counts = round(float(np.clip(displacement_um, -max_um, max_um)) * self.plan.counts_per_um)
        ends = sorted((self.plan.start_counts, self.plan.end_counts))
        counts = max(min(counts, self._limits[1] - ends[1]), self._limits[0] - ends[0])
        self.plan = replace(self.plan, first_counts=self.plan.first_counts + counts)
