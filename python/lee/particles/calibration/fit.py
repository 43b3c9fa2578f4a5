"""Fit of a rising curve to particles whose intensities and diameters both have errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lee.errors import InputError
from lee.particles.calibration.curve import Curve, Values

MIN_POINTS = 5
_KNOTS = 9
# Standard deviations tried: of the slope's logarithm from end to end of the curve, and of log diameter.
_BENDS = np.geomspace(0.03, 4, 8)
_STIFF = _BENDS[
    _BENDS < 1
]  # so that outliers, and particles of few sizes, cannot bend the curve towards them
_SCATTERS = np.geomspace(0.002, 1, 32)
_MAX_P_VALUE = 0.05
_MIN_FOR_OUTLIERS = 8
_MAX_OUTLIERS = 1 / 4
_FALSE_OUTLIERS = 0.05  # share of tables without outliers in which one is found
_ROUNDS = 60
_CORE_ROUNDS = 20
_MIN_SCALE = 0.01
# Share of the scatter that is taken along intensity: otherwise particles of a few sizes, such as beads, would
# turn the curve into steps.
_SCATTER_ALONG_INTENSITY = 0.9


@dataclass(frozen=True, eq=False)
class CurveFit:
    """A fitted curve, its scatter and the points it was fitted to.

    Parameters
    ----------
    curve : Curve
    scatter : float
        Standard deviation of log diameter beyond the given errors.
    used : (N,) bool
        False for outliers.
    """

    curve: Curve
    scatter: float
    used: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Points:
    """Natural logarithms of counts (x) and nm (y), (N,), with standard deviations, 0 where unknown."""

    x: Values
    y: Values
    x_sigma: Values
    y_sigma: Values

    def select(self, which: NDArray[np.bool_]) -> Points:
        """Return some of the points."""
        return Points(self.x[which], self.y[which], self.x_sigma[which], self.y_sigma[which])


def fit_curve(points: Points) -> CurveFit:
    """Fit log diameter over log intensity.

    Raises
    ------
    InputError
        If the points are too few or all equal, or their diameters do not rise with their intensities.

    Notes ----- Errors in both variables: each point is compared with the curve at its foot point, with the
    effective variance there, so that errors of intensity do not flatten the curve (York, Canadian Journal of
    Physics 44 (1966) 1079; Boggs, Byrd and Schnabel, SIAM J. Sci. Stat. Comput. 8 (1987) 1052). The logarithm
    of the slope is a random walk from knot to knot; where it is constant, the curve is a power law. The size
    of its steps and the scatter are integrated over, with half-Cauchy and scale-free priors (Polson and
    Scott, Bayesian Analysis 7 (2012) 887). Outliers: the three quarters of the points that lie closest to a
    curve of least absolute deviations are fitted, then every point is added that is within Student's t of the
    fit, until none changes; if more than a quarter remain, they are not outliers, and all points are fitted.
    """
    _check(points)
    n = len(points.x)
    everything = np.ones(n, bool)
    used = everything
    if n >= _MIN_FOR_OUTLIERS:
        used = _core(points)
        for _ in range(20):
            if not _is_spread(points.select(used)):
                used = everything
                break
            curve, scatter = _fit(points.select(used))
            before, used = used, _within(curve, scatter, points, int(used.sum()))
            if (used == before).all():
                break
        if (~used).sum() > _MAX_OUTLIERS * n:
            used = everything
    chosen = points.select(used)
    _check(chosen)
    curve, scatter = _fit(chosen)
    return CurveFit(curve, scatter, used)


def _check(points: Points) -> None:
    n = len(points.x)
    if n < MIN_POINTS:
        raise InputError(f"there are {n} particles: a calibration needs {MIN_POINTS} or more")
    for name, values in (("intensities", points.x), ("diameters", points.y)):
        if np.ptp(values) <= 1e-9:
            raise InputError(f"all {name} are equal: give particles of different sizes")
    rise = stats.kendalltau(points.x, points.y, alternative="greater")
    if rise.statistic <= 0:
        raise InputError("diameters do not rise with intensities: check that each row is one particle")
    if rise.pvalue > _MAX_P_VALUE:
        raise InputError(
            "too much scatter to fit how diameters rise with intensities: "
            "give more particles, or a wider range of sizes"
        )


def _is_spread(points: Points) -> bool:
    return bool(np.ptp(points.x) > 1e-9 and np.ptp(points.y) > 1e-9)


def _straight(points: Points) -> Curve:
    slope = float(np.std(points.y) / np.std(points.x))
    parameters = np.full(1 + _KNOTS, np.log(slope))
    low, high = float(points.x.min()), float(points.x.max())
    parameters[0] = np.median(points.y - slope * (points.x - (low + high) / 2))
    return Curve(low, high, parameters, np.zeros((1 + _KNOTS, 1 + _KNOTS)))


def _fit(points: Points) -> tuple[Curve, float]:
    curve = _straight(points)
    scatter = float(np.std(points.y - curve.at(points.x)))
    foot = points.x
    reach = curve.high - curve.low
    for _ in range(_ROUNDS):
        slope = curve.slope(foot)
        known = points.y_sigma**2 + (slope * points.x_sigma) ** 2
        apart = points.y - curve.at(foot) - slope * (points.x - foot)
        along = (slope * points.x_sigma) ** 2 + _SCATTER_ALONG_INTENSITY * scatter**2
        share = along / slope / np.maximum(known + scatter**2, 1e-12)
        foot = np.clip(points.x + share * apart, curve.low - reach, curve.high + reach)
        apart = points.y - curve.at(foot) - curve.slope(foot) * (points.x - foot)
        step, covariance, scatter = _integrated(curve, curve.gradient(foot), apart, known)
        step = np.clip(step, -0.5, 0.5)
        curve = replace(curve, parameters=curve.parameters + step, covariance=covariance)
        if np.abs(step).max() < 1e-6:
            break
    return curve, scatter


def _integrated(
    curve: Curve, gradient: Values, apart: Values, known: Values, bend: Values = _BENDS
) -> tuple[Values, Values, float]:
    """Solve the linearised model, averaged over all prior bends and scatters.

    Parameters
    ----------
    gradient, apart, known
        Of the points: the curve's gradient (N, 1 + K), their distance above the curve, and its variance
        from the given errors, (N,).
    bend
        Standard deviations of the slope's logarithm from end to end, (B,).

    Returns
    -------
    step, covariance : (1 + K,), (1 + K, 1 + K)
        Mean and covariance of the change of the parameters.
    scatter : float
        Root mean square.
    """
    steps = curve.knots - 1
    # Parameters are the log of nm, the log slope in the middle, and steps of that from knot to knot.
    walk = np.zeros((1 + curve.knots, 2 + steps))
    walk[0, 0] = walk[1:, 1] = 1
    from_first = np.tril(np.ones((curve.knots, steps)), -1) / np.sqrt(steps)
    walk[1:, 2:] = from_first - from_first[steps // 2]
    bends = np.ones((len(bend), 2 + steps))
    bends[:, 2:] = bend[:, None]
    to_parameters = walk * bends[:, None, :]  # (B, 1 + K, 2 + steps)

    target = apart + gradient @ curve.parameters
    weight = 1 / (known + _SCATTERS[:, None] ** 2)  # (S, N)
    normal = np.einsum("sn,ni,nj->sij", weight, gradient, gradient, optimize=True)
    right = (weight * target) @ gradient
    prior = np.diag(np.r_[0.0, 0.0, np.ones(steps)])
    moved = to_parameters.swapaxes(1, 2)
    A = moved[:, None] @ normal @ to_parameters[:, None] + prior  # (B, S, ...)
    b = (moved[:, None] @ right[..., None])[..., 0]
    inverse = np.linalg.inv(A)
    solution = (inverse @ b[..., None])[..., 0]
    chi2 = weight @ target**2 - (solution * b).sum(axis=-1)
    evidence = (np.log(weight).sum(axis=-1) - np.linalg.slogdet(A)[1] - chi2) / 2
    # The grids are even in logarithms: half-Cauchy, times the size, for bends; nothing to add for the
    # scatters.
    evidence += np.log(bend / (1 + bend**2))[:, None]
    share = np.exp(evidence - evidence.max())
    share /= share.sum()

    each = (to_parameters[:, None] @ solution[..., None])[..., 0]
    mean = np.einsum("bs,bsk->k", share, each)
    within = np.einsum("bs,bsij->bij", share, inverse)
    covariance = (to_parameters @ within @ moved).sum(axis=0)
    covariance += np.einsum("bs,bsi,bsj->ij", share, each - mean, each - mean)
    scatter = float(np.sqrt(share.sum(axis=0) @ _SCATTERS**2))
    return mean - curve.parameters, (covariance + covariance.T) / 2, scatter


def _core(points: Points) -> NDArray[np.bool_]:
    """Select the three quarters of the points closest to a curve of least absolute deviations, (N,) bool."""
    curve = _straight(points)
    for _ in range(_CORE_ROUNDS):
        apart = points.y - curve.at(points.x)
        size = np.abs(apart)
        scale = max(1.4826 * float(np.median(size)), _MIN_SCALE)
        known = np.maximum(size, 0.05 * scale) * scale
        step, _, _ = _integrated(curve, curve.gradient(points.x), apart, known, _STIFF)
        curve = replace(curve, parameters=curve.parameters + np.clip(step, -0.5, 0.5))
    size = np.abs(points.y - curve.at(points.x))
    return np.asarray(size <= np.sort(size)[len(size) - int(len(size) * _MAX_OUTLIERS) - 1])


def _within(curve: Curve, scatter: float, points: Points, fitted: int) -> NDArray[np.bool_]:
    variance = points.y_sigma**2 + (curve.slope(points.x) * points.x_sigma) ** 2
    variance += scatter**2 + curve.variance(points.x)
    limit = stats.t.isf(_FALSE_OUTLIERS / len(points.x) / 2, fitted)
    return np.asarray(np.abs(points.y - curve.at(points.x)) <= limit * np.sqrt(variance))
