"""Least squares for positive numbers, on a logarithmic scale, with covariance and what is not determined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import least_squares

from lee.errors import InputError

Floats = NDArray[np.float64]
Predict = Callable[[Floats], list[Floats]]

# Farthest that a parameter is taken to be from where it begins, a factor either way.
FARTHEST = 1e3
# Forward differences, in the logarithm: far above the error of a solution, far below what bends.
_STEP = 0.02
# A parameter that the data leave open by more than this factor either way, all others known, is not fitted.
_OPEN = np.log(10.0)
# A combination of parameters that they leave open by more than a factor of e is told.
_LOOSE = 1.0
# The fit has settled when a step lowers the squared misfit by no more than this share of a variance.
_SETTLED = 0.02
# Change of a misfit, in standard deviations by a factor of e, that counts as none.
_BLIND = 1e-6
# A correlation below this counts as none.
_UNCORRELATED = 0.1


@dataclass(frozen=True, eq=False)
class Observed:
    """Numbers that were measured together: a map, a stack of maps, a curve.

    Attributes
    ----------
    name : str
    values, sigma : (...) float64
        NaN where not measured; standard deviations.
    """

    name: str
    values: Floats
    sigma: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where it was measured."""
        return np.isfinite(self.values) & np.isfinite(self.sigma)


@dataclass(frozen=True, eq=False)
class LogFit:
    """Positive numbers that observations determine.

    Attributes
    ----------
    values : (N,) float64
    covariance : (N, N) float64
        Of their natural logarithms.
    chi2 : tuple of float
        Squared misfit of each of the observed, in variances, by number of observations.
    together : tuple of float
        Observations of each that count as one, for their misfits are alike or larger than stated.
    predicted : list of float64
    evaluations : int
    notes : tuple of str
        What the data do not determine.
    """

    values: Floats
    covariance: Floats
    chi2: tuple[float, ...]
    together: tuple[float, ...]
    predicted: list[Floats]
    evaluations: int
    notes: tuple[str, ...]

    @property
    def sigma_log(self) -> Floats:
        """Standard deviations of the logarithms, (N,): relative ones where small."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def correlation(self) -> Floats:
        """Of the logarithms, (N, N)."""
        sigma = self.sigma_log
        return np.asarray(self.covariance / np.outer(sigma, sigma))


def log_fit(
    names: Sequence[str],
    start: Floats,
    bounds: tuple[Floats, Floats],
    observed: Sequence[Observed],
    predict: Predict,
    *,
    progress: Callable[[int, float], object] | None = None,
) -> LogFit:
    """Fit positive numbers by damped Gauss-Newton steps (trust region), and expand around the best (Laplace).

    The covariance is that of weighted least squares, widened for each of the observed by how many of its
    misfits are alike, and by their size where it exceeds what the standard deviations say.

    Parameters
    ----------
    names : sequence of str
    start : (N,) float64
    bounds : (N,) and (N,) float64
        Least and largest values.
    observed : sequence of Observed
    predict : callable
        Takes the values and returns what would be observed, in the shapes of `observed`; NaN where it cannot.
    progress : callable, optional
        Called with the number of predictions and the squared misfit per observation.

    Raises
    ------
    InputError
        If there is nothing to fit to, or the observations say nothing about one of the parameters.
    """
    count = sum(int(one.known.sum()) for one in observed)
    if count <= len(names):
        raise InputError(f"fit: {count} observation(s), {len(names)} parameter(s); give more, or fit fewer")
    evaluations = 0

    last: dict[bytes, Floats] = {}

    def known_misfit(logs: Floats) -> Floats:
        if logs.tobytes() not in last:
            last.clear()
            last[logs.tobytes()] = misfit(logs)
        return last[logs.tobytes()]

    def misfit(logs: Floats) -> Floats:
        nonlocal evaluations
        evaluations += 1
        predicted = predict(start * np.exp(logs))
        off = [((p - o.values) / o.sigma)[o.known] for p, o in zip(predicted, observed, strict=True)]
        joined = np.concatenate(off)
        if progress is not None:
            progress(evaluations, float(np.mean(joined**2)))
        return joined

    def derivative(logs: Floats) -> Floats:
        here = known_misfit(logs)
        columns = []
        for k in range(len(names)):
            # Away from the nearer bound.
            step = -_STEP if logs[k] + _STEP > high[k] else _STEP
            columns.append((misfit(logs + step * np.eye(len(names))[k]) - here) / step)
        return np.stack(columns, axis=1)

    low, high = (np.log(bound / start) for bound in bounds)
    first = derivative(np.zeros(len(names)))
    if not np.isfinite(first).all():
        raise InputError("fit: the twin cannot compute what was measured from the parameters to begin with")
    blind = [name for name, column in zip(names, first.T, strict=True) if np.abs(column).max() < _BLIND]
    if blind:
        raise InputError(
            f"fit: nothing that was measured depends on {blind[0]} at its value to begin with; give another "
            "value, or leave it out"
        )
    found = least_squares(
        known_misfit, np.zeros(len(names)), jac=derivative, bounds=(low, high), xtol=1e-4, gtol=None,
        ftol=_SETTLED / count, max_nfev=20,
    )  # fmt: skip
    values, jacobian = start * np.exp(found.x), found.jac
    predicted = predict(values)
    chi2, together, notes, begin = [], [], [], 0
    meat = np.zeros((len(names), len(names)))
    for one, computed in zip(observed, predicted, strict=True):
        known = one.known
        rows = jacobian[begin : begin + int(known.sum())]
        begin += len(rows)
        off = np.where(known, (computed - one.values) / one.sigma, np.nan)
        chi2.append(float(np.mean(off[known] ** 2)))
        alike = _alike(off)
        together.append(alike)
        meat += alike * max(chi2[-1], 1.0) * rows.T @ rows
        if chi2[-1] > 2:
            notes.append(
                f"{one.name}: the squared misfit is {chi2[-1]:.3g} times what the standard deviations say; "
                "errors are widened by it, and no value of these parameters explains all that was measured"
            )
    hessian = jacobian.T @ jacobian
    alone = np.sqrt(np.diag(meat)) / np.maximum(np.diag(hessian), 1e-300)
    worst = int(np.argmax(alone))
    if alone[worst] > _OPEN:
        raise InputError(
            f"fit: what was measured does not determine {names[worst]}, even if all else is known; "
            "leave it out"
        )
    # No parameter is left more open than by where it may go.
    within = np.eye(len(names)) / np.log(FARTHEST) ** 2
    inverse = np.linalg.inv(hessian + within)
    covariance = inverse @ (meat + within) @ inverse
    notes += _undetermined(names, covariance)
    for k, name in enumerate(names):
        if min(found.x[k] - low[k], high[k] - found.x[k]) < 1e-3:
            notes.append(f"{name} ended at its limit, {values[k]:.4g}: its error does not hold")
    if not found.success:
        notes.append("the fit was ended before it settled")
    return LogFit(values, covariance, tuple(chi2), tuple(together), predicted, evaluations, tuple(notes))


def _undetermined(names: Sequence[str], covariance: Floats) -> list[str]:
    """Name the parameters that only together are determined."""
    variances, directions = np.linalg.eigh(covariance)
    notes = []
    for variance, direction in zip(variances, directions.T, strict=True):
        if variance > _LOOSE**2:
            members = [k for k in range(len(names)) if abs(direction[k]) > 0.2]
            notes.append(
                f"not determined apart: {' and '.join(names[k] for k in members)}; moved together by factors "
                f"of {', '.join(f'{np.exp(direction[k]):.3g}' for k in members)} they change little that was "
                "measured: hold one of them"
            )
    sigma = np.sqrt(np.diag(covariance))
    alike = covariance / np.outer(sigma, sigma)
    for a in range(len(names)):
        for b in range(a):
            if abs(alike[a, b]) > 0.95 and not notes:
                notes.append(f"{names[b]} and {names[a]} are correlated by {alike[a, b]:+.3f}")
    return notes


def _alike(off: Floats) -> float:
    """Return how many neighbouring misfits count as one: the sum of their correlation, above a tenth."""
    known = np.isfinite(off)
    size = [fft.next_fast_len(2 * n, real=True) for n in off.shape]
    # About zero, not about their mean: an offset of all is an error, too.
    power = fft.irfftn(np.abs(fft.rfftn(np.where(known, off, 0.0), size)) ** 2, size)
    pairs = fft.irfftn(np.abs(fft.rfftn(known.astype(float), size)) ** 2, size)
    if power.flat[0] <= 0:
        return 1.0
    correlation = power / np.maximum(pairs, 0.5) / (power.flat[0] / pairs.flat[0])
    lags = np.meshgrid(*(np.abs(fft.fftfreq(n, 1 / n)) for n in size), indexing="ij")
    distance = np.rint(np.sqrt(sum(lag**2 for lag in lags))).astype(int)
    summed = np.bincount(distance.ravel(), (correlation * pairs).ravel())
    rings = summed / np.maximum(np.bincount(distance.ravel(), pairs.ravel()), 0.5)
    below = np.flatnonzero(rings < _UNCORRELATED)
    reach = int(below[0]) if below.size else max(off.shape)
    return max(float(correlation[distance < reach].sum()), 1.0)
