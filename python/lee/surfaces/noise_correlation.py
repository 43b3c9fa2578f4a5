"""How far the errors of a height map are alike, told from the heights themselves.

Errors are modelled as white noise smoothed by a Gaussian, the surface as rough at one size, at least twice as
large. Both tell how the mean square of the Laplacian falls with the scale s it is taken at: that of errors of
correlation l as ``(l^2 + s^2)^-3``, that of a surface of size L as ``(L^2 + s^2)^-3``, flat as long as the
scale is finer. What fits best is taken.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import erf, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lee.kernels.curvature import curvature_window, height_derivatives

_CORRELATIONS_PX = (0.0, *(2 ** (k / 4) for k in range(-4, 11)))  # up to 5.7
_WIDEST_PX = 16.0  # scale of a window whose response is worked out
_SCALES_PX = tuple(2 ** (k / 2) for k in range(9))  # 1 to 16
_LEAST_SCALES = 4
_FIELD = 10  # a scale needs a field this many times as wide
_SIZES_PX = tuple(2 ** (k / 2) for k in range(2, 13))  # of the surface, 2 to 64
_COMMON_PX = 8.0  # surfaces are taken for smaller only where that fits better
_MODEL = 0.1  # relative error of the model's mean squares
_STATED = 0.5  # of stated variances
_SHARES = np.exp(np.linspace(-3, 3, 61))  # of them, that are tried
_AS_WELL = 4.0  # differences of misfit that tell little
_WHITE = 30.0  # more than this must the misfit of white noise exceed that of noise alike over less than 1 px
_FALLS = 1.1  # by this factor at least does the mean square fall from 1 to 2 px where errors rule it
_SIDE_PX = 512
_TILES = 8
_BELIEVED = 3.0  # medians, of a stated deviation

Map = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Errors of heights: root mean square, um, and the Gaussian that makes white noise like them, px."""

    rms_um: float | None  # None where it is not looked at
    correlation_px: float


def noise_of(
    height: Map, sigma: Map | None, *, correlation_px: float | None = None, threads: int = 0
) -> Noise:
    """Return the noise of a height map: what is stated of it, the rest estimated.

    Parameters
    ----------
    height, sigma, correlation_px, threads
        As in `estimated_noise`.

    Returns
    -------
    Noise
        Its size the median of `sigma`, where that is given; white where its correlation cannot be told.
    """
    found: Noise | None = None
    if correlation_px is None or (sigma is None and correlation_px > 0):
        found = estimated_noise(height, sigma, correlation_px=correlation_px, threads=threads)
    correlation = correlation_px if correlation_px is not None else found.correlation_px if found else 0.0
    if sigma is not None:
        known = sigma[np.isfinite(sigma)]
        return Noise(float(np.median(known)) if known.size else 0.0, correlation)
    if found is None or correlation == 0:
        return Noise(white_noise_of(height), correlation)
    return found


def estimated_noise(
    height: Map, sigma: Map | None, *, correlation_px: float | None = None, threads: int = 0
) -> Noise | None:
    """Estimate size and correlation of the errors of a height map.

    A stated size is believed within a factor of 1.3 or so; the correlation hardly depends on it.
    Where it is not stated, errors are told from a surface only by its being at least twice as coarse: a tail
    of their correlation that reaches as far as the surface's own features is missed.

    Parameters
    ----------
    height : (H, W) float32, um
    sigma : (H, W) float32, um, or None
        Standard deviation of the heights, if stated.
    correlation_px : float, optional
        If known.
    threads : int

    Returns
    -------
    Noise or None
        None where the field is too small or too empty to tell, or there are no errors.
    """
    height, sigma = _measured_part(height, sigma)
    scales = [scale for scale in _SCALES_PX if scale * _FIELD <= min(height.shape)]
    if len(scales) < _LEAST_SCALES:
        return None
    variance = None if sigma is None else believed(sigma) ** 2
    seen = np.empty(len(scales))
    uncertain = np.empty(len(scales))
    uneven = np.empty(len(scales))
    for k, scale in enumerate(scales):
        options: dict[str, Any] = {"family": "gaussian", "scale_um": scale, "pixel_um": 1.0}
        found = height_derivatives(height, **options, threads=threads)
        seen[k], uneven[k], pixels = _typical_square(found[2] + found[4], variance)
        uncertain[k] = np.hypot(_MODEL, np.sqrt(12 * scale**2 / max(pixels, 1)))
    if not (seen > 0).all() or (sigma is None and seen[0] < _FALLS * seen[2]):
        return None
    stated = None if variance is None else _mean(variance)
    correlations = _CORRELATIONS_PX if correlation_px is None else (float(correlation_px),)
    fitted = _fitted(np.array(scales), seen, uncertain, np.array(correlations), stated)
    if stated is not None or fitted.rms_um is None:
        return fitted
    # The medians tell how errors are alike, the means how large they are.
    return Noise(fitted.rms_um * sqrt(uneven[0]), fitted.correlation_px)


def white_noise_of(height: Map) -> float:
    """Estimate the standard deviation of independent errors from the second differences along both axes.

    They are nearly blind to the relief; the median is nearly blind to spikes. 0 where no 3 x 3 pixels are
    measured.
    """
    h = np.asarray(height, np.float64)
    along = h[:, :-2] - 2 * h[:, 1:-1] + h[:, 2:]
    both = along[:-2] - 2 * along[1:-1] + along[2:]
    both = np.abs(both[np.isfinite(both)])
    return float(np.median(both) / 0.67449 / 6) if both.size else 0.0


def believed(sigma: Map) -> Map:
    """Return stated deviations without absurd ones: none above three medians, the median where unknown."""
    known = sigma[np.isfinite(sigma)]
    middle = np.float32(np.median(known) if known.size else 0)
    return np.where(np.isfinite(sigma), np.minimum(sigma, np.float32(_BELIEVED) * middle), middle)


def alike(noise: Map, correlation_px: float) -> Map:
    """Return white noise smoothed by a Gaussian, its variance as before."""
    if correlation_px == 0:
        return noise
    columns, rows = (_passed(n, correlation_px) for n in noise.shape)
    gain = np.sqrt(np.outer(columns / columns.mean(), rows / rows.mean()))
    smooth = fft.irfft2(fft.rfft2(noise) * gain[:, : noise.shape[1] // 2 + 1].astype(np.float32), noise.shape)
    out: Map = np.asarray(smooth, np.float32)
    return out


def amplified(family: str, scale_px: float, correlation_px: float) -> float:
    """Return how much noisier than under independent errors of equal size the curvature is, as an amplitude.

    That of the Laplacian in a complete window.
    """
    # A wider window passes the same share of errors that are alike over as much more.
    ratio = min(1.0, _WIDEST_PX / scale_px)
    power = _response(family, scale_px * ratio)
    passed = _passed(len(power), correlation_px * ratio)
    density = 1.0 if correlation_px == 0 else (2 * sqrt(pi) * correlation_px / erf(pi * correlation_px)) ** 2
    return float(np.sqrt(density * (passed @ power @ passed) / power.sum()))


def _fitted(
    scales: Numbers, seen: Numbers, uncertain: Numbers, correlations: Numbers, stated: float | None
) -> Noise:
    sizes = np.array(_SIZES_PX)
    of_noise = np.array([[_laplacian_noise(s, px) for s in scales] for px in correlations]) / seen
    of_surface = (1 + (scales / sizes[:, None]) ** 2) ** -3.0 / seen
    if stated is None:
        variance = np.linspace(0.02, 1.1, 40) / of_noise[:, :1]
    else:
        variance = np.broadcast_to(_SHARES, (len(correlations), len(_SHARES)))
    # Axes: correlation, size, variance, scale. The surface's height follows from the rest.
    noise = (variance[:, :, None] * of_noise[:, None, :])[:, None]
    surface = of_surface[None, :, None, :]
    weight = uncertain**-2.0
    height = np.sum((1 - noise) * surface * weight, -1) / np.sum(surface**2 * weight, -1)
    model = noise + np.maximum(height, 0)[..., None] * surface
    misfit = np.sum((np.log(model) / uncertain) ** 2, -1)
    misfit += 2 * np.maximum(np.log2(_COMMON_PX / sizes), 0)[:, None]
    if stated is not None:
        misfit += (np.log(variance) / _STATED)[:, None] ** 2
    misfit[sizes < 2 * np.maximum(correlations, 1)[:, None]] = np.inf
    by_correlation = misfit.min((1, 2))
    best = int(np.argmin(by_correlation))
    if correlations[best] < 1 and by_correlation[0] < by_correlation[best] + _WHITE:
        best = 0
    if stated is None and correlations[best] >= 1:
        # Of what fits about as well the noisiest is the safest: too little noise gives too fine a scale.
        fits = misfit.min(1) <= misfit.min() + _AS_WELL
        coarse = np.array([_laplacian_noise(_COMMON_PX, px) for px in correlations])[:, None]
        noisiest = np.unravel_index(np.argmax(np.where(fits, variance * coarse, 0)), fits.shape)
        return Noise(float(np.sqrt(variance[noisiest])), float(correlations[noisiest[0]]))
    share = variance[best, np.unravel_index(np.argmin(misfit[best]), misfit[best].shape)[1]]
    return Noise(float(np.sqrt(share * (1.0 if stated is None else stated))), float(correlations[best]))


@lru_cache(1024)
def _laplacian_noise(scale_px: float, correlation_px: float) -> float:
    """Mean square of the Laplacian, px^-2, of errors of variance 1 in a complete Gaussian window."""
    white = float(np.mean(_response("gaussian", scale_px)))
    return white * amplified("gaussian", scale_px, correlation_px) ** 2


@lru_cache(32)
def _response(family: str, scale_px: float) -> Numbers:
    """Power spectrum of the window's Laplacian."""
    options: dict[str, Any] = {"family": family, "scale_um": scale_px, "pixel_um": 1.0}
    radius, _ = curvature_window(**options)
    side = max(4 * radius + 3, 65)  # windows shifted from the border do not reach the middle
    bump = np.zeros((side, side), np.float32)
    bump[side // 2, side // 2] = 1
    found = height_derivatives(bump, **options, threads=1)
    out: Numbers = np.abs(fft.fft2(found[2].astype(np.float64) + found[4])) ** 2
    return out


def _passed(frequencies: int, correlation_px: float) -> Numbers:
    """Share of white noise's power, along one axis, that the errors' Gaussian lets pass."""
    out: Numbers = np.exp(-((2 * pi * fft.fftfreq(frequencies) * correlation_px) ** 2))
    return out


def _measured_part(height: Map, sigma: Map | None) -> tuple[Map, Map | None]:
    """Return the part of a large map that most is measured of."""
    if max(height.shape) <= _SIDE_PX:
        return height, sigma
    sides = [min(n, _SIDE_PX) for n in height.shape]
    starts = (
        np.unique(np.linspace(0, n - side, 5).astype(int))
        for n, side in zip(height.shape, sides, strict=True)
    )
    rows, columns = starts
    parts = [(slice(y, y + sides[0]), slice(x, x + sides[1])) for y in rows for x in columns]
    best = max(parts, key=lambda part: int(np.isfinite(height[part]).sum()))
    return height[best].copy(), None if sigma is None else sigma[best].copy()


def _typical_square(values: Map, variance: Map | None) -> tuple[float, float, int]:
    """Return the median over tiles of the mean square, in units of the variance if given.

    Also how much larger the mean over tiles is, and the number of pixels.
    """
    found: list[float] = []
    pixels = 0
    unit = np.ones_like(values) if variance is None else variance
    for rows, unit_rows in zip(np.array_split(values, _TILES), np.array_split(unit, _TILES), strict=True):
        tiles = zip(np.array_split(rows, _TILES, 1), np.array_split(unit_rows, _TILES, 1), strict=True)
        for tile, unit_tile in tiles:
            known = np.isfinite(tile)
            count = int(known.sum())
            expected = _mean(unit_tile[known])
            if 2 * count > tile.size and expected > 0:
                found.append(_mean(tile[known] ** 2) / expected)
                pixels += count
    middle = float(np.median(found)) if found else 0.0
    if middle == 0:
        return 0.0, 1.0, pixels
    return middle, float(np.mean(np.minimum(found, _BELIEVED * middle))) / middle, pixels


def _mean(values: Map) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else 0.0
