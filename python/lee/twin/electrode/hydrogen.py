"""Hydrogen evolution beside the metal's reaction: Tafel's law, i = i₀ e^{−α (η − E)}."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.twin.electrode.kinetics import Exponential, Operand

# As for the metal's reaction: no current is that large, and none overflows on the way.
MAX_EXPONENT = 80.0


@dataclass(frozen=True)
class Hydrogen:
    """Evolution of hydrogen far from its equilibrium, where none is oxidised (Bard and Faulkner, 3.4.3).

    Attributes
    ----------
    alpha : float
        Cathodic transfer coefficient.
    equilibrium : float
        Reversible potential of hydrogen against the metal's, over RT/F.
    """

    alpha: Operand
    equilibrium: Operand

    def current(self, exchange: Operand, eta: Operand, exp: Exponential) -> Operand:
        """Return the current density at the metal's overpotential η, over RT/F; above 0."""
        return exchange * exp(-self.alpha * (eta - self.equilibrium))

    def rates(
        self, exchange: NDArray[np.float64], eta: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the current density and −∂i/∂η by column; finite for any finite η."""
        current = np.asarray(self.current(exchange, eta, lambda e: np.exp(np.clip(e, None, MAX_EXPONENT))))
        return current, self.alpha * current


@dataclass(frozen=True)
class HydrogenAtColumns:
    """Hydrogen evolution at the columns of a mesh.

    Attributes
    ----------
    exchange : (columns,) float64
        Exchange current over the unit of current.
    kinetics : Hydrogen
    """

    exchange: NDArray[np.float64]
    kinetics: Hydrogen
