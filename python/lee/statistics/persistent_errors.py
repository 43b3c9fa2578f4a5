"""Least squares where errors persist from one sample in time to the next, by an unknown degree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Correlation of two errors one typical interval apart; all are tried and weighed by what the residuals say.
_CORRELATIONS = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97)


class PersistentFit(NamedTuple):
    """Coefficients (P,), their covariance (P, P), the standard deviation of a sample, and the correlation."""

    coefficients: Floats
    covariance: Floats
    sigma: float
    correlation: float

    def sigma_of(self, k: int) -> float:
        """Return the standard error of coefficient k."""
        return float(np.sqrt(self.covariance[k, k]))


def fit_with_persistent_errors(columns: Floats, values: Floats, times_s: Floats) -> PersistentFit:
    """Fit values by a linear model whose errors are correlated in time, as those of heights are.

    Errors follow a first-order autoregression: their correlation falls exponentially with the time between
    two samples. How far it reaches is not known, and a few residuals tell little of it: estimates and
    variances are averaged over a range of correlations, weighed by their restricted likelihood
    (Harville, J. Am. Stat. Assoc. 72, 320, 1977), and the scatter among them is added. Variances are those
    of Student's distribution, since the size of the errors follows from the same residuals.

    Parameters
    ----------
    columns : (N, P) float64
        N at least P + 2, of full rank.
    values : (N,) float64
    times_s : (N,) float64, s
        Increasing.

    Returns
    -------
    PersistentFit
    """
    count, parameters = columns.shape
    scale = np.sqrt(np.mean(columns**2, axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    design = columns / scale
    apart = np.abs(times_s[:, None] - times_s[None, :]) / float(np.median(np.diff(times_s)))
    free = count - parameters
    found = []
    for correlation in _CORRELATIONS:
        matrix = np.eye(count) if correlation == 0 else correlation**apart
        root = np.linalg.cholesky(matrix)
        whitened, target = np.linalg.solve(root, design), np.linalg.solve(root, values)
        normal = whitened.T @ whitened
        inverse = np.linalg.pinv(normal)
        best = inverse @ (whitened.T @ target)
        rest = float(np.sum((target - whitened @ best) ** 2))
        floor = 1e-24 * float(np.sum(values**2)) + 1e-300
        variance = max(rest, floor) / free
        _, of_normal = np.linalg.slogdet(normal)
        likelihood = -np.log(np.diag(root)).sum() - 0.5 * of_normal - 0.5 * free * np.log(variance)
        found.append((likelihood, best, inverse * variance, variance))
    logs = np.array([one[0] for one in found])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = np.sum([w * one[1] for w, one in zip(weights, found, strict=True)], axis=0)
    heavy = free / (free - 2) if free > 2 else 3.0
    covariance = np.zeros((parameters, parameters))
    for w, (_, best, own, _) in zip(weights, found, strict=True):
        covariance += w * (own * heavy + np.outer(best - mean, best - mean))
    sigma = float(np.sqrt(np.sum([w * one[3] for w, one in zip(weights, found, strict=True)])))
    return PersistentFit(
        mean / scale, covariance / np.outer(scale, scale), sigma, float(np.dot(weights, _CORRELATIONS))
    )
