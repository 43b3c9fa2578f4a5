"""The standard deviation of the second look's heights."""

from __future__ import annotations

import numpy as np

from lee.reconstruction.second_look.detail import Image, smooth
from lee.reconstruction.second_look.window_choice import Refined

# What the parts of the variance count for: errors of neighbouring windows are more alike than their noise.
# Fitted once, over scenes of three renderers, to two thirds of the errors within one standard deviation.
_OF_NOISE, _OF_BLUR, _OF_UNRESOLVED, _OF_FINEST = 1.65, 5.3, 1.45, 2.6
# Where the two looks differ by more than the first one's standard deviation, one of them is wrong.
_OF_DISAGREEMENT = 0.4
_NEIGHBOURS_PX = 2.0
# At the edge of the frame windows see one side only: there the variance is larger by this, falling off over
# two pixels.
_OF_EDGE, _EDGE_PX = 1.0, 2.0
# No height is better than this share of the focus curve's standard deviation.
_LEAST = 0.003


def standard_deviation(
    refined: Refined,
    first_um: Image,
    first_variance: Image,
    *,
    shape: tuple[int, int],
    width_um: float,
) -> Image:
    """Return the standard deviation of refined heights.

    Parameters
    ----------
    refined : Refined
    first_um, first_variance : (H, W) float32, µm and µm²
        Heights of the first look; infinite variance where not measured.
    shape : (int, int)
        Of the frames (h, w): h <= H and w <= W.
    width_um : float, µm
        Standard deviation of the focus curve.

    Returns
    -------
    (h, w) float32, µm
    """
    variance = _OF_NOISE * refined.noise_um2 + _OF_BLUR * refined.blur_um2
    variance += _OF_UNRESOLVED * refined.unresolved_um2 + _OF_FINEST * refined.finest_um2
    beyond = np.where(np.isfinite(first_variance), (first_um - refined.height_um) ** 2 - first_variance, 0)
    variance += _OF_DISAGREEMENT * np.maximum(smooth(beyond, _NEIGHBOURS_PX), 0)
    here = tuple(slice(n) for n in shape)
    variance = variance[here] * (1 + _OF_EDGE * _near_the_edge(shape)) + (_LEAST * width_um) ** 2
    return np.asarray(np.sqrt(variance), dtype=np.float32)


def _near_the_edge(shape: tuple[int, int]) -> Image:
    away = [np.minimum(np.arange(n), np.arange(n)[::-1]) for n in shape]
    nearest = np.minimum(away[0][:, None], away[1][None])
    return np.asarray(np.exp(-((nearest / _EDGE_PX) ** 2)), dtype=np.float32)
