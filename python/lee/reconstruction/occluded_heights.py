"""Heights recovered beneath occlusions: focus maxima that agree with the surroundings, for the fill only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.measure import FocusMaxima

# A maximum this many times above the noise, as wide in z as the depth of field demands, may be the surface.
_MIN_SIGNAL_TO_NOISE = 10.0
_WIDTH_LIMITS = (0.85, 1.4)
_LAGS_PX = (2, 4, 8, 16, 32, 64, 128)
# The error of a filled height is about half the difference of two heights at the distance of the edge.
_FILL_SHARE = 0.5
_SMOOTH_PX = 7


def recover_heights(
    filled: NDArray[np.float32],
    valid: NDArray[np.bool_],
    maxima: list[FocusMaxima],
    *,
    noise: float,
    depth_um: float,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find the focus maxima in the holes of a surface that agree with its surroundings.

    Parameters
    ----------
    filled : (H, W) float32, µm
        Surface with its holes filled from their surroundings.
    valid : (H, W) bool
        False in the holes.
    maxima : list of FocusMaxima
        Level k has a pixel for 2^k by 2^k pixels.
    noise : float, counts
        Focus that noise alone gives.
    depth_um : float, µm
        Full width at half maximum of the focus curve.

    Returns
    -------
    height : (H, W) float32, µm
    recovered : (H, W) bool
        Where `height` is that of a maximum, within twice the error expected of the fill; False where
        `valid`.
    """
    holes = ~valid
    best = np.full(filled.shape, np.inf, np.float32)
    height = filled.copy()
    for level, found in enumerate(maxima):
        width = found.width_um / (depth_um / 2.355)
        fits = (
            (found.peak > _MIN_SIGNAL_TO_NOISE * noise)
            & (width > _WIDTH_LIMITS[0])
            & (width < _WIDTH_LIMITS[1])
        )
        for z in np.where(fits, found.z_um, np.inf):
            candidate = _spread(z, level, filled.shape)
            distance = np.abs(candidate - filled)
            nearer = distance < best
            best[nearer] = distance[nearer]
            height[nearer] = candidate[nearer]
    far = ndimage.distance_transform_edt(holes)
    expected = _FILL_SHARE * np.interp(far, _LAGS_PX, _roughness(filled, valid))
    recovered = holes & (best < 2 * expected)
    smooth = ndimage.median_filter(np.where(recovered, height, filled), _SMOOTH_PX)
    return np.where(recovered, smooth, filled).astype(np.float32), recovered


def _spread(values: NDArray[np.float32], level: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Repeat a level's pixels to the full image; its last row and column are repeated to the edge."""
    rows = np.minimum(np.arange(shape[0]) >> level, values.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) >> level, values.shape[1] - 1)
    return np.asarray(values[rows][:, columns], dtype=np.float32)


def _roughness(height: NDArray[np.float32], valid: NDArray[np.bool_]) -> list[float]:
    """Rms difference of valid heights at each lag, along both axes; without pairs, that of the lag before."""
    out = [0.0]
    for lag in _LAGS_PX:
        squares = [
            ((b - a) ** 2)[u & v]
            for a, b, u, v in (
                (height[:-lag], height[lag:], valid[:-lag], valid[lag:]),
                (height[:, :-lag], height[:, lag:], valid[:, :-lag], valid[:, lag:]),
            )
        ]
        both = np.concatenate([s.ravel() for s in squares])
        out.append(float(np.sqrt(both.mean())) if both.size else out[-1])
    return out[1:]
