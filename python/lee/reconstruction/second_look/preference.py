"""Which of two looks to believe: beside steep steps the first errs less, since it takes light in squares.

Light blurred in from a step's other side is foreign texture. To the second look, which is linear, it is noise
over many pixels around; the first look squares it, so that it is small. Both know how well they do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.second_look.detail import Image, smooth

# The standard deviations of both are compared over a neighbourhood of so many pixels, and the first look must
# be better by so much (logarithm), more or less.
_NEIGHBOURS_PX = 12.0
_BETTER_BY, _TRANSITION = 0.2, 0.1


def first_share(first_sigma_um: Image, second_sigma_um: Image, valid: NDArray[np.bool_]) -> Image:
    """Return the share (H, W) of the first look in the result, from 0 to 1.

    Parameters
    ----------
    first_sigma_um, second_sigma_um : (H, W) float32, µm
        Above 0 where `valid`.
    valid : (H, W) bool
    """
    log_ratio = np.zeros(valid.shape, np.float32)
    log_ratio[valid] = np.log(first_sigma_um[valid] / second_sigma_um[valid])
    measured = smooth(valid.astype(np.float32), _NEIGHBOURS_PX)
    around = smooth(log_ratio, _NEIGHBOURS_PX) / np.maximum(measured, np.float32(1e-3))
    beyond = np.clip((around + _BETTER_BY) / _TRANSITION, -30, 30)
    return np.asarray(1 / (1 + np.exp(beyond)), dtype=np.float32)
