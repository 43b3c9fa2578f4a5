"""The Butler–Volmer equation, i = i₀ u^γ (e^{−α_c η} − e^{α_a η}): written here and nowhere else."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.twin.electrode.kinetics import Exponential, Operand, Parameters, Rates

# e^80: no current is that large, and none overflows on the way.
_MAX_EXPONENT = 80.0
_BISECTIONS = 200


@dataclass(frozen=True)
class ButlerVolmer:
    """One reaction with transfer coefficients; the exchange current follows the concentration.

    Attributes
    ----------
    alpha_c, alpha_a : float
        Cathodic and anodic transfer coefficients.
    gamma : float
        The exchange current follows u^gamma.
    """

    alpha_c: Operand
    alpha_a: Operand
    gamma: Operand

    @classmethod
    def of(cls, cell: Parameters) -> ButlerVolmer:
        """Take the parameters of a cell."""
        return cls(cell.alpha_c, cell.alpha_a, cell.gamma)

    def current(self, exchange: Operand, u: Operand, eta: Operand, exp: Exponential) -> Operand:
        """Evaluate the equation; see `Kinetics`."""
        cathodic, anodic = self._exponentials(eta, exp)
        return exchange * u**self.gamma * (cathodic - anodic)

    def slope(self, exchange: Operand, u: Operand, eta: Operand, exp: Exponential) -> Operand:
        """Differentiate by −η; see `Kinetics`."""
        cathodic, anodic = self._exponentials(eta, exp)
        return exchange * u**self.gamma * (self.alpha_c * cathodic + self.alpha_a * anodic)

    def rates(self, exchange: NDArray[np.float64], u: NDArray[np.float64], eta: NDArray[np.float64]) -> Rates:
        """Evaluate the equation and its derivatives; see `Kinetics`."""
        plated, stripped = (
            exchange * u**self.gamma * exponential for exponential in self._exponentials(eta, _limited_exp)
        )
        return Rates(
            current=plated - stripped,
            by_log_concentration=self.gamma * (plated - stripped),
            slope=self.alpha_c * plated + self.alpha_a * stripped,
        )

    def overpotential(self, ratio: float) -> float:
        """Invert the equation by bisection; see `Kinetics`."""
        low, high = -math.log(1 + abs(ratio)) / self.alpha_c - 1, math.log(1 + abs(ratio)) / self.alpha_a + 1
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            cathodic, anodic = self._exponentials(middle, math.exp)
            low, high = (middle, high) if cathodic - anodic > ratio else (low, middle)
        return float(0.5 * (low + high))

    def _exponentials(self, eta: Operand, exp: Exponential) -> tuple[Operand, Operand]:
        """Return the cathodic and the anodic part, over the exchange current."""
        return exp(-self.alpha_c * eta), exp(self.alpha_a * eta)


def _limited_exp(exponent: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.clip(exponent, None, _MAX_EXPONENT)))
