"""A gentle surface scanned under slow drift, and how far a measured surface is from it."""

from functools import cache

import numpy as np

from lee.devices.virtual import RenderedScan, gentle, render_scan
from lee.surfaces.surface import Surface

SHAPE, PIXEL_UM = (160, 176), 0.25
INSIDE = np.s_[16:-16, 16:-16]


@cache
def drifting_scan() -> RenderedScan:
    """Rendered once; not to be written to."""
    return render_scan(gentle(SHAPE, PIXEL_UM, 3), drift_px=(2, -1), seed=1)


def rms_error_um(surface: Surface, scan: RenderedScan) -> float:
    """Of the heights that were measured, away from the edges."""
    error = (surface.height_um - scan.truth_seen_in(0))[INSIDE]
    return float(np.sqrt(np.nanmean(error**2)))
