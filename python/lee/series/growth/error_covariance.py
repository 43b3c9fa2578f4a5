"""Covariance in time of the errors of heights, measured on the run itself.

Errors of focus variation hardly change from scan to scan where the texture does not: a part that is new in
every scan (white) and a part that moves slowly (a random walk) describe them. A constant error cancels in
every rate. Both parts are measured on what the heights of many pixels deviate from smooth growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import nnls

_MAX_CLASSES = 5
_PIXELS_PER_CLASS = 400
# Growth is smoother than this over the field.
_FINE_PX = 3.0
# From this contrast on, the growth that no polynomial of the third degree follows is negligible.
_ABRUPT = 2
_MIN_PIXELS = 50
# Few scans cannot distinguish the parts: then the white part is taken for this many times the walk's.
_PRIOR_RATIO = 2.0
_PRIOR_WEIGHT = 0.2
_OUTLIER_SIGMAS = 6.0
_MIN_VARIANCE_UM2 = 1e-12


@dataclass(frozen=True, eq=False)
class ErrorCovariance:
    """Variances of the errors of heights by the pixels' stated variance.

    Between scans at times t and t', half the mean square difference of the errors of a pixel is
    ``white + walk * |t - t'|``.

    Parameters
    ----------
    stated_um2 : (C,) float64, µm²
        Stated variance of the pixels of a class, rising.
    white_um2 : (C,) float64, µm²
        Variance of the part that is new in every scan.
    walk_um2_per_s : (C,) float64, µm²/s
        Rate at which half the mean square difference grows with time.
    """

    stated_um2: NDArray[np.float64]
    white_um2: NDArray[np.float64]
    walk_um2_per_s: NDArray[np.float64]

    def at(self, stated_um2: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both variances at pixels of these stated variances, between the classes interpolated."""
        if len(self.stated_um2) == 1:
            return np.float32(self.white_um2[0]), np.float32(self.walk_um2_per_s[0])  # type: ignore[return-value]
        place = np.log(self.stated_um2)
        at = np.log(np.maximum(stated_um2, np.float32(1e-20)))
        white = np.interp(at, place, self.white_um2)
        walk = np.interp(at, place, self.walk_um2_per_s)
        return white.astype(np.float32), walk.astype(np.float32)

    def ratio(self, contrasts: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variance of contrasts (c, n) of a median pixel's heights over that of white errors."""
        middle = len(self.stated_um2) // 2
        lag = np.abs(times_s[:, None] - times_s[None, :])
        walk = -np.einsum("ci,ij,cj->c", contrasts, lag, contrasts)
        white = max(float(self.white_um2[middle]), _MIN_VARIANCE_UM2)
        return np.asarray(1 + walk * self.walk_um2_per_s[middle] / white)


def error_covariance(
    heights_um: NDArray[np.float32],
    stated_um2: NDArray[np.float32],
    times_s: NDArray[np.float64],
    growth: NDArray[np.float64],
) -> ErrorCovariance | None:
    """Measure the covariance of errors on parts of the field over some scans.

    Growth is smooth over the field and over time, errors are neither. Their fine part, within a few pixels,
    shows how much larger they are in slow changes than in abrupt ones; the abrupt ones, in which there is no
    growth, show their whole size.

    Parameters
    ----------
    heights_um : (n, P, h, w) float32, µm
        Heights of P parts of the field; NaN where not measured.
    stated_um2 : (P, h, w) float32, µm²
        Stated variance of each pixel's height.
    times_s : (n,) s
    growth : (n,) float64
        Course over time of the growth that differs from pixel to pixel.

    Returns
    -------
    ErrorCovariance or None
        None for fewer than three scans or too few pixels measured in all of them.
    """
    complete = np.asarray(np.isfinite(heights_um).all(axis=0))
    n = len(times_s)
    if n < 3 or complete.sum() < _MIN_PIXELS:
        return None
    basis = _contrasts(times_s, growth)
    contrasts = basis[1:]
    changes = np.where(complete, heights_um - heights_um[n // 2], np.float32(0))
    whole = np.tensordot(basis.astype(np.float32), changes, 1)
    # An outlier in one of the scans is in all contrasts of its pixel.
    abrupt = min(_ABRUPT, n - 3)
    relative = whole[1 + abrupt :] / np.sqrt(np.maximum(stated_um2, np.float32(1e-20)))
    usual = np.sqrt(_robust_variance(relative[:, complete]))[:, None, None, None]
    middle = np.median(relative[:, complete], axis=1)[:, None, None, None]
    complete &= (np.abs(relative - middle) <= _OUTLIER_SIGMAS * usual).all(axis=0)
    share = np.maximum(_smooth(complete.astype(np.float32)), np.float32(0.05))
    fine = np.stack([(one - _smooth(_clipped(np.asarray(one), complete)) / share)[complete] for one in whole])
    # Growth that levels the finest relief slows down there most: it is fine, too, but follows the growth.
    faster, slow = _inliers(fine[0]), _inliers(fine[1])
    fine[1] -= np.float32(faster @ slow / max(float(faster @ faster), 1e-30)) * fine[0]
    whole, fine, stated = whole[1:, complete], fine[1:], stated_um2[complete]
    lag = np.abs(times_s[:, None] - times_s[None, :])
    spacing = float(np.median(np.diff(times_s)))
    design = np.stack(
        [np.ones(n - 2), -np.einsum("ci,ij,cj->c", contrasts, lag / spacing, contrasts)], axis=1
    )
    classes = int(np.clip(stated.size // _PIXELS_PER_CLASS, 1, _MAX_CLASSES))
    # Pixels of one stated variance stay together.
    edges = np.unique(np.quantile(stated, np.linspace(0, 1, classes + 1)[1:-1]))
    class_of = np.searchsorted(edges, stated)
    rows = []
    for one in range(len(edges) + 1):
        members = class_of == one
        if members.sum() < _MIN_PIXELS:
            continue
        variance = np.maximum(_robust_variance(fine[:, members]), _MIN_VARIANCE_UM2)
        size = np.maximum(_robust_variance(whole[abrupt:, members]), _MIN_VARIANCE_UM2)
        variance *= float(np.mean(size) / np.mean(variance[abrupt:]))
        white, walk = _parts(design, variance)
        rows.append((float(np.median(stated[members])), white, walk / spacing))
    return ErrorCovariance(*np.array(rows).T) if rows else None


def _smooth(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(maps, (0, _FINE_PX, _FINE_PX), mode="nearest"))


def _clipped(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return values within four standard deviations of the median, 0 where not known."""
    middle = np.median(values[known])
    limit = np.float32(4 * 1.4826) * np.median(np.abs(values[known] - middle))
    return np.where(known, np.clip(values, middle - limit, middle + limit), np.float32(0))


def _contrasts(times_s: NDArray[np.float64], growth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return orthonormal rows (n - 1, n): growth, then smooth to rough those in which it cancels."""
    unit = 2 * (times_s - times_s[0]) / np.ptp(times_s) - 1
    powers = np.polynomial.legendre.legvander(unit, len(unit) - 1)[:, 2:]
    basis = np.concatenate([np.ones((len(unit), 1)), growth[:, None], powers], axis=1)
    return np.asarray(np.linalg.qr(basis)[0][:, 1:].T)


def _inliers(values: NDArray[np.float32]) -> NDArray[np.float32]:
    limit = np.float32(4 * 1.4826) * np.median(np.abs(values))
    return np.clip(values, -limit, limit)


def _robust_variance(values: NDArray[np.floating]) -> NDArray[np.float64]:
    middle = np.median(values, axis=1, keepdims=True)
    return np.asarray((1.4826 * np.median(np.abs(values - middle), axis=1)) ** 2)


def _parts(design: NDArray[np.float64], variance: NDArray[np.float64]) -> tuple[float, float]:
    """Fit the two parts, both 0 or more, to the variances of the contrasts, weighted by their size."""
    scale = float(np.median(variance))
    prior = _PRIOR_WEIGHT / scale * np.array([1.0, -_PRIOR_RATIO])
    rows = np.concatenate([design / variance[:, None], prior[None]])
    found, _ = nnls(rows, np.append(np.ones(len(variance)), 0.0))
    return float(found[0]), float(found[1])
