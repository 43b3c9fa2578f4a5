"""Warning of dendrites: whether a surface gains area as they do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_RISE_SIGMAS = 3.0
_MIN_RISE = 0.01


def area_warning(
    table: pd.DataFrame, *, phases: Sequence[str] | None = None, window: int = 5
) -> tuple[bool, str]:
    """Return whether the area grows as with mossy deposits and dendrites.

    Growth that levels a surface gains volume and loses area; moss and dendrites gain area, in the end faster
    than volume. Stripping roughens the surface and loses volume, so only plating is evaluated.

    Parameters
    ----------
    table : DataFrame
        From `lee.surfaces.areal.areal_over_time`, at a scale: without one, changing noise counts as area.
    phases : T of str, optional
        Phase of each scan; by default all are plating.
    window : int
        Number of plating scans evaluated together.

    Returns
    -------
    warned : bool
        True if, over any `window` scans, the ratio of area to volume or the area itself rises by more than
        three of its standard errors and by 1 % or more.
    why : str
        A sentence for the report.
    """
    ratio = table["area_per_volume_per_um"].to_numpy(dtype=np.float64)
    area = table["area_um2"].to_numpy(dtype=np.float64)
    times = table["time_s"].to_numpy(dtype=np.float64)
    plating = np.isfinite(ratio)
    if phases is not None:
        plating &= np.asarray(phases) == "plating"
    ratio, area, times = ratio[plating], area[plating], times[plating]
    if len(ratio) < window:
        return False, f"fewer than {window} scans of plating: too few to evaluate area over volume"
    for values, what in (
        (
            ratio,
            "area over volume rises by {} from {} to {} s: area grows faster than volume, as with dendrites",
        ),
        (
            area,
            "area rises by {} from {} to {} s, although levelling lowers it: an early sign of dendrites",
        ),
    ):
        for first in range(len(values) - window + 1):
            part = slice(first, first + window)
            rise = _rise(values[part], times[part])
            if rise is not None:
                start, end = (f"{time:.6g}" for time in times[part][[0, -1]])
                return True, what.format(f"{100 * rise:.1f} %", start, end)
    change = 100 * (ratio[-1] / ratio[0] - 1)
    trend = f"falls by {-change:.1f} %" if change < 0 else f"changes by {change:.1f} %"
    return False, f"area over volume {trend} during plating: no sign of dendrites"


def _rise(values: NDArray[np.float64], times: NDArray[np.float64]) -> float | None:
    """Return the rise over the window, relative to its mean, if it is significant."""
    t = times - times.mean()
    slope = float(t @ values / (t @ t))
    residual = values - values.mean() - slope * t
    error = float(np.sqrt(residual @ residual / max(len(t) - 2, 1) / (t @ t)))
    rise = slope * float(np.ptp(t)) / float(values.mean())
    return rise if slope > _RISE_SIGMAS * error and rise > _MIN_RISE else None
