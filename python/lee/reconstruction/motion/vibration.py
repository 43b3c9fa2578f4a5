"""Vibration: how far frames are displaced at random from the slow path of the drift, and whether at all.

From frame to frame, drift changes its course by hundredths of a pixel. What a frame is displaced by beside
that shows twice in a row: in the step to it, and reversed in the step from it. All parts of the field show it
alike, while noise differs from part to part, and so does the apparent motion of steep relief. So the variance
is that of the changes of course which two parts of the field have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Less does not matter: a frame keeps its sharpness.
_MIN_VIBRATION_PX = 0.1
_MIN_SIGMAS = 8.0
# What the parts must show together, pairs of them times changes of course.
_MIN_CHANGES = 6
# Steps less certain than this, in pixels as compared, are ignored: they may be a wrong maximum.
_MAX_SIGMA_PX = 0.2
# Error of a step beside its stated one.
_FLOOR_PX = 0.05
# Variance of a change of course, p(k + 1) - 2 p(k) + p(k - 1), over that of p.
_OF_CHANGE = 6.0


class Steps(NamedTuple):
    """Displacement of each frame against the one before in a part of the field.

    ``shift_px`` (N, 2) float64; ``variance_px2`` (N,) float64, per axis; NaN where it is not known.
    """

    shift_px: NDArray[np.float64]
    variance_px2: NDArray[np.float64]


def vibration_px(parts: Sequence[Steps], *, binning: int = 1) -> float:
    """Return the vibration per axis, root mean square in pixels; 0 where none is significant.

    Parameters
    ----------
    parts : sequence of Steps
        Of the parts of the field.
    binning : int
        Pixels that were averaged along each axis before frames were compared.
    """
    changes = []
    for shift, variance in parts:
        certain = np.where(variance < (binning * _MAX_SIGMA_PX) ** 2, variance, np.nan)
        changes.append((np.diff(shift, axis=0), certain[1:] + certain[:-1] + (binning * _FLOOR_PX) ** 2))
    products, weights = [np.zeros(0)], [np.zeros(0)]
    for (one, one_variance), (other, other_variance) in combinations(changes, 2):
        expected = one_variance * other_variance
        known = np.isfinite(expected) & np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
        products.append((one * other)[known].mean(axis=1))
        weights.append(1 / expected[known])
    product, weight = np.concatenate(products), np.concatenate(weights)
    if len(product) < _MIN_CHANGES:
        return 0.0
    total = float(weight.sum())
    shared = float(weight @ product) / total / _OF_CHANGE
    # Two axes; changes that follow each other share a step.
    sigma = (3.0 / (2.0 * total)) ** 0.5 / _OF_CHANGE
    significant = shared > max(_MIN_VIBRATION_PX**2, _MIN_SIGMAS * sigma)
    return float(np.sqrt(shared)) if significant else 0.0


def vibration_warning(vibration_px: float) -> str:
    """Say in one line that vibration was found, but not followed."""
    return (
        f"the frames are displaced by {vibration_px:.1f} px rms from frame to frame, which was not followed: "
        "heights and standard deviations suffer; reconstruct the recorded scan (lee reconstruct), and look "
        "at the stand"
    )
