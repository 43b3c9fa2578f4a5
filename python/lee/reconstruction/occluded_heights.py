"""What can still be made out of the surface beneath a bubble, to fill its hole better."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# A maximum this many times above the noise, as wide in z as the depth of field asks for, may be the surface.
_LEAST_RATIO = 10.0
_WIDTHS = (0.85, 1.4)
_LAGS_PX = (2, 4, 8, 16, 32, 64, 128)
# Between two edges a fill is about half as far off as one height is from another at that distance.
_FILL_SHARE = 0.5
_SMOOTH_PX = 7


class Maxima(NamedTuple):
    """Largest maxima of the focus curves at one window size; every field (2, h, w)."""

    z_um: NDArray[np.float32]
    peak: NDArray[np.float32]
    width_um: NDArray[np.float32]


def glimpses(
    filled: NDArray[np.float32],
    valid: NDArray[np.bool_],
    maxima: list[Maxima],
    *,
    noise: float,
    depth_um: float,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find maxima in the holes of a surface that agree with what its surroundings lead one to expect there.

    Parameters
    ----------
    filled : (H, W) float32, um
        Surface with its holes filled from around.
    valid : (H, W) bool
        False in the holes.
    maxima : list of Maxima
        Level k has a pixel for 2^k by 2^k pixels.
    noise : float, counts
        Peak that noise alone gives.
    depth_um : float, um
        Full width at half maximum of the focus curve.

    Returns
    -------
    height : (H, W) float32, um
    seen : (H, W) bool
        Where `height` holds a maximum, within twice the error expected of the fill; False wherever `valid`.
    """
    holes = ~valid
    best = np.full(filled.shape, np.inf, np.float32)
    height = filled.copy()
    for level, found in enumerate(maxima):
        width = found.width_um / (depth_um / 2.355)
        fits = (found.peak > _LEAST_RATIO * noise) & (width > _WIDTHS[0]) & (width < _WIDTHS[1])
        for z in np.where(fits, found.z_um, np.inf):
            candidate = _spread(z, level, filled.shape)
            distance = np.abs(candidate - filled)
            nearer = distance < best
            best[nearer] = distance[nearer]
            height[nearer] = candidate[nearer]
    far = ndimage.distance_transform_edt(holes)
    expected = _FILL_SHARE * np.interp(far, _LAGS_PX, _roughness(filled, valid))
    seen = holes & (best < 2 * expected)
    smooth = ndimage.median_filter(np.where(seen, height, filled), _SMOOTH_PX)
    return np.where(seen, smooth, filled).astype(np.float32), seen


def _spread(values: NDArray[Any], level: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Repeat a level's pixels to the full image; what lies beyond its last row or column repeats that."""
    rows = np.minimum(np.arange(shape[0]) >> level, values.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) >> level, values.shape[1] - 1)
    return np.asarray(values[rows][:, columns], dtype=np.float32)


def _roughness(height: NDArray[np.float32], valid: NDArray[np.bool_]) -> list[float]:
    """Rms difference of valid heights at each lag, along both axes; where there is no pair, the last one."""
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
