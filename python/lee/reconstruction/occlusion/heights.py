"""Heights near and beneath occlusions: focus maxima that go on where the measured surface ends.

Where an occlusion only veiled the surface its maximum is there, among others: `continue_surface` takes it for
measured where it continues the surface beside it. `recover_heights` looks further, beneath occlusions, and
serves the fill only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.cells import cells_of, nearest_sample
from lee.reconstruction.focus.measure import FocusMaxima, over_field

# A maximum this many times above the noise, as wide in z as the depth of field demands, may be the surface.
_MIN_SIGNAL_TO_NOISE = 10.0
_WIDTH_LIMITS = (0.6, 1.3)
_LAGS_PX = (2, 4, 8, 16, 32, 64, 128)
# The error of a filled height is about half the difference of two heights at the distance of the edge.
_FILL_SHARE = 0.5
_SMOOTH_PX = 7

# The measured surface is continued step by step, by maxima within this share of the depth of field of its
# mean around them, where most pixels of the step find one.
_STEPS, _STEP_PX = 12, 2
_MEAN_PX = 2.0
_MAX_DEPARTURE = 0.2
_CONTINUED_MIN_SIGNAL_TO_NOISE = 15.0
_MOST, _MOST_PX = 0.55, 5


@dataclass(frozen=True)
class SurfaceMaxima:
    """Focus maxima among which the surface's is sought.

    Parameters
    ----------
    levels : list of FocusMaxima
        Level k has a pixel for 2^k by 2^k pixels.
    z_um : (N,) float64, µm
        Heights of the samples of `opaque`.
    opaque : (N, h, w) bool
        Samples of cells whose maxima certainly are no surface's.
    noise : float, counts
        Focus that noise alone gives.
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    """

    levels: list[FocusMaxima]
    z_um: NDArray[np.float64]
    opaque: NDArray[np.bool_]
    noise: float
    depth_um: float

    def candidates(
        self,
        shape: tuple[int, ...],
        box: tuple[slice, slice],
        *,
        least: float,
        also_opaque: bool = False,
    ) -> list[NDArray[np.float32]]:
        """Return their heights in a part of the field (H, W), µm, as maps; inf where a maximum is unfit.

        It must stand `least` times above the noise and be as wide as the focus curve, and lie in no opaque
        sample unless `also_opaque`.
        """
        out = []
        for level, found in enumerate(self.levels):
            width = found.width_um / (self.depth_um / 2.355)
            fits = (found.peak > least * self.noise) & (width > _WIDTH_LIMITS[0]) & (width < _WIDTH_LIMITS[1])
            for z in np.where(fits, found.z_um, np.inf):
                candidate = over_field(z, level, shape)[box]
                out.append(candidate)
                if also_opaque:
                    continue
                y, x = np.nonzero(np.isfinite(candidate))
                sample = nearest_sample(self.z_um, candidate[y, x])
                rows, columns = cells_of(y + box[0].start, x + box[1].start, self.opaque.shape[1:])
                hidden = self.opaque[sample, rows, columns]
                candidate[y[hidden], x[hidden]] = np.inf
        return out


def continue_surface(
    height: NDArray[np.float32],
    sigma: NDArray[np.float32],
    valid: NDArray[np.bool_],
    zone: NDArray[np.bool_],
    maxima: SurfaceMaxima,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Continue a measured surface into a zone, by maxima that go on where it ends.

    Parameters
    ----------
    height, sigma : (H, W) float32, µm
    valid : (H, W) bool
        Where they are measured.
    zone : (H, W) bool
        Where the surface may be continued.
    maxima : SurfaceMaxima

    Returns
    -------
    height, sigma : (H, W) float32, µm
        The standard deviation is that of the surface beside, widened by the departure from it.
    valid : (H, W) bool
    """
    box = _box_around(zone, _STEPS * _STEP_PX + _MOST_PX)
    if box is None:
        return height, sigma, valid
    candidates = maxima.candidates(height.shape, box, least=_CONTINUED_MIN_SIGNAL_TO_NOISE)
    height, sigma, valid = height.copy(), sigma.copy(), valid.copy()
    heights, sigmas, known, open_ = height[box], sigma[box], valid[box], zone[box]
    for _ in range(_STEPS):
        ring = ndimage.binary_dilation(known, np.ones((3, 3)), iterations=_STEP_PX) & ~known & open_
        if not ring.any():
            break
        mean, spread = (_mean_of_known(values, known) for values in (heights, sigmas))
        departure, nearest = _nearest_to(mean, candidates)
        fits = ring & (departure < _MAX_DEPARTURE * maxima.depth_um)
        among = ndimage.uniform_filter(ring.astype(np.float32), _MOST_PX)
        fits &= ndimage.uniform_filter(fits.astype(np.float32), _MOST_PX) > _MOST * among
        if not fits.any():
            break
        heights[fits] = nearest[fits]
        sigmas[fits] = np.hypot(spread, departure)[fits]
        known |= fits
    return height, sigma, valid


def _box_around(zone: NDArray[np.bool_], margin: int) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(zone.any(axis=1)), np.flatnonzero(zone.any(axis=0))
    if rows.size == 0:
        return None
    down, across = (slice(max(int(at[0]) - margin, 0), int(at[-1]) + margin + 1) for at in (rows, columns))
    return down, across


def _nearest_to(
    height: NDArray[np.float32], candidates: list[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the distance (H, W) of the nearest candidate from a height, and that candidate."""
    best, nearest = np.full(height.shape, np.inf, np.float32), height.copy()
    for candidate in candidates:
        distance = np.abs(candidate - height)
        nearer = distance < best
        best[nearer], nearest[nearer] = distance[nearer], candidate[nearer]
    return best, nearest


def _mean_of_known(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    def blurred(of: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(ndimage.gaussian_filter(of, _MEAN_PX, truncate=2))

    total = blurred(np.where(known, values, 0).astype(np.float32))
    share = blurred(known.astype(np.float32))
    return np.asarray(total / np.maximum(share, np.float32(1e-9)), dtype=np.float32)


def recover_heights(
    filled: NDArray[np.float32], valid: NDArray[np.bool_], maxima: SurfaceMaxima
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find the focus maxima in the holes of a surface that agree with its surroundings.

    Parameters
    ----------
    filled : (H, W) float32, µm
        Surface with its holes filled from their surroundings.
    valid : (H, W) bool
        False in the holes.
    maxima : SurfaceMaxima

    Returns
    -------
    height : (H, W) float32, µm
    recovered : (H, W) bool
        Where `height` is that of a maximum, within twice the error expected of the fill; False where
        `valid`.
    """
    holes = ~valid
    everywhere = (slice(0, filled.shape[0]), slice(0, filled.shape[1]))
    candidates = maxima.candidates(filled.shape, everywhere, least=_MIN_SIGNAL_TO_NOISE, also_opaque=True)
    best, height = _nearest_to(filled, candidates)
    far = ndimage.distance_transform_edt(holes)
    expected = _FILL_SHARE * np.interp(far, _LAGS_PX, _roughness(filled, valid))
    recovered = holes & (best < 2 * expected)
    smooth = ndimage.median_filter(np.where(recovered, height, filled), _SMOOTH_PX)
    return np.where(recovered, smooth, filled).astype(np.float32), recovered


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
