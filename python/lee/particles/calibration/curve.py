"""The curve of a calibration: log diameter over log intensity, rising everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Log diameter over log intensity.

    Its slope is positive everywhere: linear from knot to knot, constant beyond them, so the curve is a
    quadratic spline. With equal slopes it is a power law.

    Parameters
    ----------
    low, high : float
        First and last knot, natural logarithm of counts; the others are evenly spaced between them.
    parameters : (1 + K,) float64
        Natural logarithm of nm halfway between the ends, then that of the slope at each of the K >= 2 knots.
    covariance : (1 + K, 1 + K) float64
        Of the parameters.
    """

    low: float
    high: float
    parameters: Values
    covariance: Values

    @property
    def knots(self) -> int:
        """Number of knots, K."""
        return len(self.parameters) - 1

    def at(self, x: Values) -> Values:
        """Return the curve at log intensities x, (N,)."""
        return np.asarray(self.parameters[0] + self._rises(x) @ np.exp(self.parameters[1:]))

    def slope(self, x: Values) -> Values:
        """Return its slope at log intensities x, (N,)."""
        hats = np.clip(1 - np.abs(self._steps(x)[:, None] - np.arange(self.knots)), 0, 1)
        return np.asarray(hats @ np.exp(self.parameters[1:]))

    def gradient(self, x: Values) -> Values:
        """Return the derivatives of the curve at x by each parameter, (N, 1 + K)."""
        return np.column_stack([np.ones(len(x)), self._rises(x) * np.exp(self.parameters[1:])])

    def variance(self, x: Values) -> Values:
        """Return the variance of the curve at log intensities x, (N,)."""
        gradient = self.gradient(x)
        return np.asarray(((gradient @ self.covariance) * gradient).sum(axis=1)).clip(0)

    def _steps(self, x: Values) -> Values:
        return np.clip((x - self.low) / (self.high - self.low), 0, 1) * (self.knots - 1)

    def _rises(self, x: Values) -> Values:
        """Return the rise of the curve from its middle to x for a slope of 1 at each knot, (N, K)."""
        return self._integrals(x) - self._integrals(np.array([(self.low + self.high) / 2]))

    def _integrals(self, x: Values) -> Values:
        t = self._steps(x)[:, None] - np.arange(self.knots)
        step = (self.high - self.low) / (self.knots - 1)
        hats = step * np.where(t < 0, np.maximum(t + 1, 0) ** 2, 2 - np.maximum(1 - t, 0) ** 2) / 2
        hats[:, 0] += np.minimum(x - self.low, 0)
        hats[:, -1] += np.maximum(x - self.high, 0)
        return np.asarray(hats)
