"""A map fitted to data no more closely than their errors allow: least squares, and a penalty on roughness.

The penalty is lambda times the sum of squared differences of neighbours (Tikhonov, H1). Lambda follows the
discrepancy principle: the squared misfit a pixel is the one expected from the stated standard deviations,
1 less the share of the data's freedom that the fit uses up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, cg

Map = NDArray[np.float64]

# Of lambda, over the mean weight of a known pixel: from hardly any smoothing to one value for the field.
_WEAKEST, _STRONGEST = 1e-3, 1e9
_CLOSE = 0.02  # of ln lambda
_ROUGH, _FINE = 1e-5, 1e-8  # of the linear solver
_MAX_ITERATIONS = 400


@dataclass(frozen=True, eq=False)
class SmoothFit:
    """Minimises sum weight (data - m)^2 + lambda |grad m|^2 over maps m; weight 0 where nothing was measured.

    Parameters
    ----------
    weight : (H, W) float64
        Inverse variances, 0 or more, some above 0.
    data : (H, W) float64
        Finite; ignored where the weight is 0.
    """

    weight: Map
    data: Map

    @property
    def scale(self) -> float:
        """Mean weight of a known pixel: lambda's natural unit."""
        return float(self.weight[self.weight > 0].mean())

    def at(self, strength: float, *, start: Map | None = None, close: bool = True) -> Map:
        """Fit with a given lambda."""
        return self.solve(self.weight * self.data, strength, start=start, close=close)

    def chi2(self, m: Map) -> float:
        """Squared misfit a known pixel."""
        return float((self.weight * (self.data - m) ** 2).sum() / (self.weight > 0).sum())

    def expected_chi2(self, strength: float) -> float:
        """Misfit to expect where the weights are right, as if they were the same all over the known part."""
        kept = self.scale / (self.scale + strength * _eigenvalues(self.weight.shape))
        return float(1 - kept.mean())

    def chosen(self) -> tuple[float, str]:
        """Find lambda by the discrepancy principle; return it, and a note on how it was found."""
        scale, last = self.scale, np.zeros_like(self.data)
        last += float((self.weight * self.data).sum() / self.weight.sum())

        def excess(log_strength: float) -> float:
            nonlocal last
            strength = scale * float(np.exp(log_strength))
            last = self.at(strength, start=last, close=False)
            return self.chi2(last) - self.expected_chi2(strength)

        low, high = np.log(_WEAKEST), np.log(_STRONGEST)
        if excess(high) <= 0:
            return scale * _STRONGEST, "one value explains all rates within their standard deviations"
        if excess(low) >= 0:
            return scale * _WEAKEST, "nothing is smoothed: the stated standard deviations are too small"
        strength = scale * float(np.exp(brentq(excess, low, high, xtol=_CLOSE)))
        return strength, "lambda by the discrepancy principle from the stated standard deviations"

    def draws(self, strength: float, count: int, seed: int) -> Iterator[Map]:
        """Yield deviations from the fit as likely as its own error, roughness penalised as by a prior.

        Noise of the data and of the prior is drawn and fitted alike, which gives deviations with the
        covariance (weight + lambda L)^-1: what noise does and what smoothing takes away, together.
        """
        rng = np.random.default_rng(seed)
        for _ in range(count):
            right = np.sqrt(self.weight) * rng.standard_normal(self.weight.shape)
            for axis in (0, 1):
                shape = np.array(self.weight.shape)
                shape[axis] -= 1
                right += np.sqrt(strength) * _spread(rng.standard_normal(shape), axis)
            yield self.solve(right, strength, close=False)

    def solve(self, right: Map, strength: float, *, start: Map | None = None, close: bool = True) -> Map:
        """Solve (weight + lambda L) m = right; a cosine transform inverts the same with a mean weight."""
        shape = self.weight.shape
        inverse = 1 / (self.scale + strength * _eigenvalues(shape))

        def apply(m: Map) -> Map:
            grid = m.reshape(shape)
            return (self.weight * grid + strength * laplacian(grid)).ravel()

        def precondition(m: Map) -> Map:
            return np.asarray(fft.idctn(fft.dctn(m.reshape(shape)) * inverse)).ravel()

        size = self.weight.size
        found, _ = cg(
            LinearOperator((size, size), matvec=apply, dtype=np.float64),
            right.ravel(),
            x0=None if start is None else start.ravel(),
            rtol=_FINE if close else _ROUGH,
            maxiter=_MAX_ITERATIONS,
            M=LinearOperator((size, size), matvec=precondition, dtype=np.float64),
        )
        return np.asarray(found).reshape(shape)


def resolution_um(strength: float, scale: float, pixel_um: float) -> float:
    """Wavelength of which a fit keeps half the amplitude."""
    return float(2 * np.pi * np.sqrt(strength / scale) * pixel_um)


def laplacian(m: Map) -> Map:
    """Sum of the differences to the four neighbours; nothing crosses the border."""
    return _spread(np.diff(m, axis=0), 0) + _spread(np.diff(m, axis=1), 1)


def roughness(m: Map) -> float:
    """Sum of squared differences of neighbours."""
    return float(sum((np.diff(m, axis=axis) ** 2).sum() for axis in (0, 1)))


def _spread(edges: Map, axis: int) -> Map:
    """Transpose of `numpy.diff`: each edge takes from the pixel before it, gives to the one after."""
    shape = list(edges.shape)
    shape[axis] += 1
    out = np.zeros(shape)
    low, high = [slice(None)] * 2, [slice(None)] * 2
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    out[tuple(low)] -= edges
    out[tuple(high)] += edges
    return out


def _eigenvalues(shape: tuple[int, ...]) -> Map:
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape)
    return np.asarray(rows[:, None] + columns[None, :])
