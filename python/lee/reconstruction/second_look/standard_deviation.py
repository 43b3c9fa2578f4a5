"""The standard deviation of the second look's heights."""

from __future__ import annotations

import numpy as np

from lee.reconstruction.second_look.detail import Image
from lee.reconstruction.second_look.window_choice import Refined

# What the parts of the variance count for: errors of neighbouring windows are more alike than their noise.
# Fitted once, over scenes of three renderers, to two thirds of the errors within one standard deviation.
_OF_NOISE, _OF_BLUR, _OF_UNRESOLVED = 1.8, 5.5, 1.8
# No height is better than this share of the focus curve's standard deviation.
_LEAST = 0.003


def standard_deviation(refined: Refined, *, width_um: float) -> Image:
    """Return the standard deviation (H, W) of refined heights, µm."""
    variance = _OF_NOISE * refined.noise_um2 + _OF_BLUR * refined.blur_um2
    variance += _OF_UNRESOLVED * refined.unresolved_um2
    return np.asarray(np.sqrt(variance + np.float32((_LEAST * width_um) ** 2)), dtype=np.float32)
