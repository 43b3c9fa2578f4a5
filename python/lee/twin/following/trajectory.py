"""Heights of a measured electrode at any time, from scans with errors.

At each column of the mesh the speed of the height is a Wiener process (a cubic smoothing spline in state
space: Wahba 1978, Wecker and Ansley 1983). It wanders so fast that each height is predicted best from the
other scans (mean absolute error, over columns of the whole field): exact heights are interpolated, noisy ones
smoothed, and what a scan has not measured follows from those before and after. A height far from what the
other scans predict counts less.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Maps = NDArray[np.float64]

# Columns that the smoothness is estimated from.
_SAMPLED = 400
# Range of the smoothness, log10 of the wander in a scan's interval over the error, in variances.
_ROUGHEST, _SMOOTHEST = 6.0, -8.0
# Variance of what nothing is known about, in squares of all heights' spread.
_UNKNOWN = 1e6
# A height beyond this many standard deviations counts less; which one is wrong, four scans must tell.
_OUTLIER, _MIN_SCANS = 4.0, 4
_ROUNDS = 4
# Median of the absolute value of a normal deviate.
_MEDIAN = 0.6745


@dataclass(frozen=True)
class Trajectory:
    """Heights over time: cubic between the scans.

    Attributes
    ----------
    times_s : (T,) float64
        Of the scans, rising.
    height_um, speed_um_per_s, sigma_um : (T, ny, nx) float64
        Smoothed heights at the scans, their speeds, and the standard deviations of the heights: never less
        than the stated ones allow, for errors that persist from scan to scan do not show as scatter.
    scale : float
        Scatter found, over the standard deviations that were stated.
    """

    times_s: NDArray[np.float64]
    height_um: Maps
    speed_um_per_s: Maps
    sigma_um: Maps
    scale: float

    def at(self, time_s: float) -> Maps:
        """Heights (ny, nx) at a time; at the first or last scan's beyond them."""
        times = self.times_s
        if len(times) == 1 or time_s <= times[0]:
            return np.asarray(self.height_um[0])
        if time_s >= times[-1]:
            return np.asarray(self.height_um[-1])
        k = int(np.searchsorted(times, time_s, side="right")) - 1
        length = float(times[k + 1] - times[k])
        s = (time_s - times[k]) / length
        begin, end = self.height_um[k], self.height_um[k + 1]
        fast = length * self.speed_um_per_s[k], length * self.speed_um_per_s[k + 1]
        return np.asarray(
            begin + s**2 * (3 - 2 * s) * (end - begin) + s * (1 - s) ** 2 * fast[0] - s**2 * (1 - s) * fast[1]
        )


def smoothed(
    times_s: NDArray[np.float64],
    heights_um: Maps,
    sigmas_um: Maps,
    breaks_s: NDArray[np.float64] | tuple[float, ...] = (),
) -> Trajectory:
    """Fit a trajectory to measured heights.

    Parameters
    ----------
    times_s : (T,) float64
    heights_um : (T, ny, nx) float64
        NaN where not measured; each column is measured at least once.
    sigmas_um : (T, ny, nx) float64
        Standard deviations, above 0; only their ratios matter.
    breaks_s : sequence of float
        Times at which the speed may jump, as where the current is switched.

    Returns
    -------
    Trajectory
    """
    count = len(times_s)
    shape = heights_um.shape[1:]
    known = np.isfinite(heights_um).reshape(count, -1)
    base = np.nanmean(heights_um.reshape(count, -1), axis=0)
    unit = float(np.median(sigmas_um.reshape(count, -1)[known]))
    heights = np.where(known, heights_um.reshape(count, -1) - base, 0.0) / unit
    errors = np.where(known, (sigmas_um.reshape(count, -1) / unit) ** 2, np.inf)
    if count == 1:
        return Trajectory(times_s, heights_um, np.zeros_like(heights_um), sigmas_um, 1.0)
    steps = np.diff(times_s)
    jumps = np.array([any(a < b <= e for b in breaks_s) for a, e in pairwise(times_s)])
    part = np.unique(np.linspace(0, heights.shape[1] - 1, _SAMPLED).round().astype(int))
    typical = float(np.median(steps)) ** 3

    def loss(rough: float, errors: Maps) -> float:
        found = _filtered(heights[:, part], errors[:, part], steps, jumps, 10**rough / typical)
        return float(np.abs(found.predicted_from_others(heights[:, part], errors[:, part])[0]).mean())

    scale = 1.0
    for _ in range(_ROUNDS):
        given = errors
        rough = float(
            minimize_scalar(
                lambda at, given=given: loss(at, given),
                bounds=(_SMOOTHEST, _ROUGHEST), method="bounded", options={"xatol": 0.05},
            ).x
        )  # fmt: skip
        found = _filtered(heights, errors, steps, jumps, 10**rough / typical)
        off, spread = found.predicted_from_others(heights, errors)
        far = np.abs(off) / np.sqrt(spread)
        scale = float(np.median(far[known]) / _MEDIAN) ** 2
        wild = known & (far > _OUTLIER * max(np.sqrt(scale), 1.0))
        if count < _MIN_SCANS or not wild.any():
            break
        errors = np.where(wild, errors + off**2 / max(scale, 1.0), errors)
    height, speed, variance = found.smooth()
    # Beside breaks the filter's variances are differences of large numbers.
    variance = np.minimum(variance, errors)
    return Trajectory(
        times_s=times_s,
        height_um=(height * unit + base).reshape(-1, *shape),
        speed_um_per_s=speed.reshape(-1, *shape) * unit,
        sigma_um=np.sqrt(np.maximum(variance, 0) * max(scale, 1.0)).reshape(-1, *shape) * unit,
        scale=float(np.sqrt(scale)),
    )


@dataclass(frozen=True)
class _Filtered:
    """Kalman's filter through all scans: state (height, speed) and its covariance, before and after each."""

    mean: Maps  # (T, 2, N)
    covariance: Maps  # (T, 3, N): hh, hv, vv
    before_mean: Maps
    before_covariance: Maps
    steps: NDArray[np.float64]

    def predicted_from_others(self, heights: Maps, errors: Maps) -> tuple[Maps, Maps]:
        """Return each height's distance from what all other scans predict, (T, N), and its variance."""
        height, _, variance = self.smooth()
        told = np.isfinite(errors)
        # The share of a height's own error that its smoothed value does not follow.
        free = np.maximum(1 - variance / np.where(told, errors, 1.0), 1e-9)
        off = np.where(told, (heights - height) / free, 0.0)
        return off, np.where(told, errors / free, 1.0)

    def smooth(self) -> tuple[Maps, Maps, Maps]:
        """Return height, speed and the height's variance, (T, N), from all scans (Rauch, Tung, Striebel)."""
        mean, cov = self.mean.copy(), self.covariance.copy()
        for k in range(len(mean) - 2, -1, -1):
            dt = self.steps[k]
            hh, hv, vv = self.covariance[k]
            ahh, ahv, avv = self.before_covariance[k + 1]
            det = np.maximum(ahh * avv - ahv**2, 1e-300)
            # Gain: covariance · transposed transition · inverse of the predicted covariance.
            fh, fv = (hh + dt * hv, hv + dt * vv), (hv, vv)
            g00, g01 = (fh[0] * avv - fv[0] * ahv) / det, (fv[0] * ahh - fh[0] * ahv) / det
            g10, g11 = (fh[1] * avv - fv[1] * ahv) / det, (fv[1] * ahh - fh[1] * ahv) / det
            dh, dv = mean[k + 1] - self.before_mean[k + 1]
            mean[k, 0] += g00 * dh + g01 * dv
            mean[k, 1] += g10 * dh + g11 * dv
            phh, phv, pvv = cov[k + 1] - self.before_covariance[k + 1]
            cov[k, 0] += g00 * (g00 * phh + g01 * phv) + g01 * (g00 * phv + g01 * pvv)
            cov[k, 1] += g10 * (g00 * phh + g01 * phv) + g11 * (g00 * phv + g01 * pvv)
            cov[k, 2] += g10 * (g10 * phh + g11 * phv) + g11 * (g10 * phv + g11 * pvv)
        return mean[:, 0], mean[:, 1], cov[:, 0]


def _filtered(
    heights: Maps, errors: Maps, steps: NDArray[np.float64], jumps: NDArray[np.bool_], wander: float
) -> _Filtered:
    """Filter heights (T, N) with these variances, infinite where not measured; `wander` per s³."""
    count, columns = heights.shape
    spread = max(float(np.ptp(heights)), 1e-9) ** 2
    longest = float(steps.max())
    unknown = _UNKNOWN * max(spread, 1.0)
    mean, cov = np.zeros((count, 2, columns)), np.zeros((count, 3, columns))
    before_mean, before_cov = np.zeros_like(mean), np.zeros_like(cov)
    m = np.zeros((2, columns))
    c = np.stack([np.full(columns, unknown), np.zeros(columns), np.full(columns, unknown / longest**2)])
    for k in range(count):
        if k:
            dt = steps[k - 1]
            m = np.stack([m[0] + dt * m[1], m[1]])
            c = np.stack(
                [
                    c[0] + 2 * dt * c[1] + dt**2 * c[2] + wander * dt**3 / 3,
                    c[1] + dt * c[2] + wander * dt**2 / 2,
                    c[2] + wander * dt,
                ]
            )
            if jumps[k - 1]:
                c[0] += unknown
                c[2] += unknown / longest**2
        before_mean[k], before_cov[k] = m, c
        told = np.isfinite(errors[k])
        variance = c[0] + np.where(told, errors[k], 1.0)
        gain = np.where(told, c[:2] / variance, 0.0)
        off = heights[k] - m[0]
        m = m + gain * off
        # Joseph's form would be safer still; with doubles this is enough.
        c = np.stack(
            [
                np.where(told, c[0] * np.where(told, errors[k], 1.0) / variance, c[0]),
                c[1] * np.where(told, np.where(told, errors[k], 1.0) / variance, 1.0),
                np.where(told, c[2] - c[1] * gain[1], c[2]),
            ]
        )
        mean[k], cov[k] = m, c
    return _Filtered(mean, cov, before_mean, before_cov, steps)
