"""Mean thickness gained by the field: as measured, with its shared error, and against that by the charge."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Maps = Sequence[NDArray[np.float32]]

_TAIL = 2.5
# Of the median standard deviation of a height: how much of its error the whole field may share, as bias.
_SHARED_BIAS = 1 / 3


def mean_heights(heights_um: Maps, sigmas_um: Maps) -> tuple[Floats, Floats]:
    """Return the field's mean height change since the first measured scan, and its shared error.

    Far outliers are clipped. Pixels that were not measured are taken to have grown like the mean, which errs
    by about their share times the variation over the field. Of the standard deviation of the heights, a third
    is taken as bias that the whole field shares: beside steep edges it does not average out.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Aligned, NaN where not measured; read one after the other.
    sigmas_um : T of (H, W) float32, µm
        Their standard deviations.

    Returns
    -------
    mean_um, shared_um : (T,) float64, µm
        NaN where a scan was not measured.
    """
    first: NDArray[np.float32] | None = None
    found, shared = np.full(len(heights_um), np.nan), np.full(len(heights_um), np.nan)
    for k in range(len(heights_um)):
        height = np.asarray(heights_um[k], np.float32)
        if first is None:
            if not np.isfinite(height).any():
                continue
            first = height
        change = height - first
        known = change[np.isfinite(change)].astype(np.float64)
        if known.size:
            low, high = np.percentile(known, [_TAIL, 100 - _TAIL])
            clipped = np.clip(known, 2 * low - high, 2 * high - low)
            found[k] = clipped.mean()
            sigma = float(np.nanmedian(np.asarray(sigmas_um[k], np.float32)[::2, ::2]))
            missing = (1 - known.size / change.size) * clipped.std()
            shared[k] = hypot(missing, _SHARED_BIAS * np.nan_to_num(sigma))
    return found, shared


def add_thickness(
    table: pd.DataFrame,
    expected: Floats,
    height: Floats,
    phases: Sequence[str],
    pixel_um: float,
    heights_um: Maps,
    relative: float,
    sigma_um: Floats,
) -> None:
    """Add expected and measured thickness and volume, and the efficiency since each phase began."""
    rows, columns = np.shape(heights_um[0])
    field_um2 = rows * columns * pixel_um**2
    efficiency, error = np.full(height.size, np.nan), np.full(height.size, np.nan)
    start = 0
    for k in range(height.size):
        if k and phases[k] != phases[k - 1]:
            start = k
        gained, charged = height[k] - height[start], expected[k] - expected[start]
        if k > start and charged != 0:
            efficiency[k] = gained / charged
            both = hypot(float(sigma_um[k]), float(sigma_um[start])) / abs(charged)
            error[k] = hypot(both, relative * efficiency[k])
    first = int(np.argmax(np.isfinite(expected))) if np.isfinite(expected).any() else 0
    measured = height - height[first]
    table["expected_um"], table["expected_sigma_um"] = expected, np.abs(expected) * relative
    table["measured_um"] = measured
    table["expected_volume_um3"], table["measured_volume_um3"] = expected * field_um2, measured * field_um2
    table["efficiency_since_phase_began"], table["efficiency_sigma"] = efficiency, error
