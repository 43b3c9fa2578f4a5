"""Size and correlation length of the errors of a height map, estimated from the heights themselves.

Errors are modelled as white noise smoothed by a Gaussian, the surface as rough at one size, at least twice as
large. Both models give how the mean square of the Laplacian falls with its scale s: for errors of correlation
length l as ``(l^2 + s^2)^-3``, for a surface of size L as ``(L^2 + s^2)^-3``, flat as long as the scale is
finer. The best fit is taken.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import erf, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lee.kernels.curvature import Family, curvature_window, height_derivatives

_CORRELATIONS_PX = (0.0, *(2 ** (k / 4) for k in range(-4, 11)))  # up to 5.7
_WIDEST_PX = 16.0  # scale of a window whose response is computed
_SCALES_PX = tuple(2 ** (k / 2) for k in range(9))  # 1 to 16
_MIN_SCALES = 4
_FIELD = 10  # a scale needs a field this many times as wide
_SIZES_PX = tuple(2 ** (k / 2) for k in range(2, 13))  # of the surface, 2 to 64
_COMMON_PX = 8.0  # a smaller surface size is taken only if it fits better
_MODEL = 0.1  # relative error of the model's mean squares
_STATED = 0.5  # of stated variances
_SHARES = np.exp(np.linspace(-3, 3, 61))  # of the stated variances, that are tried
_MAX_MISFIT_MORE = 4.0  # fits whose misfits differ by less are equally good
_WHITE = 30.0  # noise correlated over less than 1 px must fit better than white noise by more than this
_FALLS = 1.1  # the mean square falls by at least this factor from 1 to 2 px where errors dominate it
_SIDE_PX = 512
_TILES = 8
_MAX_OVER_MEDIAN = 3.0  # larger standard deviations are not plausible

Map = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Errors of heights: root mean square, µm, and the Gaussian that makes white noise like them, px."""

    rms_um: float | None  # None where it was not estimated
    correlation_px: float


def noise_of(
    height: Map, sigma: Map | None, *, correlation_px: float | None = None, threads: int = 0
) -> Noise:
    """Return the noise of a height map: as stated, the rest estimated.

    Parameters
    ----------
    height, sigma, correlation_px, threads
        As in `estimated_noise`.

    Returns
    -------
    Noise
        Its size is the median of `sigma`, if given; it is white where no correlation can be estimated.
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

    A stated size is taken as right within a factor of about 1.3; the correlation hardly depends on it.
    Without one, errors and surface are distinguished only by the surface being at least twice as coarse: a
    tail of the correlation that reaches as far as the surface's own features is missed.

    Parameters
    ----------
    height : (H, W) float32, µm
    sigma : (H, W) float32, µm, or None
        Standard deviation of the heights, if stated.
    correlation_px : float, optional
        If known.
    threads : int

    Returns
    -------
    Noise or None
        None where the field is too small or too empty, or there are no errors.
    """
    height, sigma = _measured_part(height, sigma)
    scales = [scale for scale in _SCALES_PX if scale * _FIELD <= min(height.shape)]
    if len(scales) < _MIN_SCALES:
        return None
    variance = None if sigma is None else bounded_sigma(sigma) ** 2
    seen = np.empty(len(scales))
    uncertain = np.empty(len(scales))
    uneven = np.empty(len(scales))
    for k, scale in enumerate(scales):
        found = height_derivatives(height, family="gaussian", scale_um=scale, pixel_um=1.0, threads=threads)
        seen[k], uneven[k], pixels = _typical_square(found[2] + found[4], variance)
        uncertain[k] = np.hypot(_MODEL, np.sqrt(12 * scale**2 / max(pixels, 1)))
    if not (seen > 0).all() or (sigma is None and seen[0] < _FALLS * seen[2]):
        return None
    stated = None if variance is None else _mean(variance)
    correlations = _CORRELATIONS_PX if correlation_px is None else (float(correlation_px),)
    fitted = _fitted(np.array(scales), seen, uncertain, np.array(correlations), stated)
    if stated is not None or fitted.rms_um is None:
        return fitted
    # The medians give the correlation of the errors, the means their size.
    return Noise(fitted.rms_um * sqrt(uneven[0]), fitted.correlation_px)


def white_noise_of(height: Map) -> float:
    """Estimate the standard deviation of independent errors from the second differences along both axes.

    The relief hardly enters them, and spikes hardly enter the median. 0 where no 3 × 3 pixels are measured.
    """
    h = np.asarray(height, np.float64)
    along = h[:, :-2] - 2 * h[:, 1:-1] + h[:, 2:]
    both = along[:-2] - 2 * along[1:-1] + along[2:]
    both = np.abs(both[np.isfinite(both)])
    return float(np.median(both) / 0.67449 / 6) if both.size else 0.0


def bounded_sigma(sigma: Map) -> Map:
    """Bound stated standard deviations to three medians; where there is none, take the median."""
    known = sigma[np.isfinite(sigma)]
    middle = np.float32(np.median(known) if known.size else 0)
    return np.where(np.isfinite(sigma), np.minimum(sigma, np.float32(_MAX_OVER_MEDIAN) * middle), middle)


def correlated_noise(noise: Map, correlation_px: float) -> Map:
    """Smooth white noise by a Gaussian and keep its variance."""
    if correlation_px == 0:
        return noise
    columns, rows = (_passed(n, correlation_px) for n in noise.shape)
    gain = np.sqrt(np.outer(columns / columns.mean(), rows / rows.mean()))
    smooth = fft.irfft2(fft.rfft2(noise) * gain[:, : noise.shape[1] // 2 + 1].astype(np.float32), noise.shape)
    out: Map = np.asarray(smooth, np.float32)
    return out


def noise_amplification(family: Family, scale_px: float, correlation_px: float) -> float:
    """Return how much noisier correlated errors make the curvature than independent ones of equal size.

    As an amplitude: that of the Laplacian in a complete window.
    """
    # The ratio depends only on correlation length over scale.
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
        # Of equally good fits the noisiest is safest: too little noise gives too fine a scale.
        fits = misfit.min(1) <= misfit.min() + _MAX_MISFIT_MORE
        coarse = np.array([_laplacian_noise(_COMMON_PX, px) for px in correlations])[:, None]
        noisiest = np.unravel_index(np.argmax(np.where(fits, variance * coarse, 0)), fits.shape)
        return Noise(float(np.sqrt(variance[noisiest])), float(correlations[noisiest[0]]))
    share = variance[best, np.unravel_index(np.argmin(misfit[best]), misfit[best].shape)[1]]
    return Noise(float(np.sqrt(share * (1.0 if stated is None else stated))), float(correlations[best]))


@lru_cache(1024)
def _laplacian_noise(scale_px: float, correlation_px: float) -> float:
    """Mean square of the Laplacian, px^-2, of errors of variance 1 in a complete Gaussian window."""
    white = float(np.mean(_response("gaussian", scale_px)))
    return white * noise_amplification("gaussian", scale_px, correlation_px) ** 2


@lru_cache(32)
def _response(family: Family, scale_px: float) -> Numbers:
    """Power spectrum of the window's Laplacian."""
    radius, _ = curvature_window(family=family, scale_um=scale_px, pixel_um=1.0)
    side = max(4 * radius + 3, 65)  # windows shifted from the border do not reach the middle
    bump = np.zeros((side, side), np.float32)
    bump[side // 2, side // 2] = 1
    found = height_derivatives(bump, family=family, scale_um=scale_px, pixel_um=1.0, threads=1)
    out: Numbers = np.abs(fft.fft2(found[2].astype(np.float64) + found[4])) ** 2
    return out


def _passed(frequencies: int, correlation_px: float) -> Numbers:
    """Share of white noise's power, along one axis, that the errors' Gaussian lets pass."""
    out: Numbers = np.exp(-((2 * pi * fft.fftfreq(frequencies) * correlation_px) ** 2))
    return out


def _measured_part(height: Map, sigma: Map | None) -> tuple[Map, Map | None]:
    """Return the part of a large map in which most is measured."""
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
    return middle, float(np.mean(np.minimum(found, _MAX_OVER_MEDIAN * middle))) / middle, pixels


def _mean(values: Map) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else 0.0
