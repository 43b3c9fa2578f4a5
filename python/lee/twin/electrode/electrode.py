"""An electrode of the mesh: its reaction at every column, in the units of the solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.twin.electrode.kinetics import Kinetics


@dataclass(frozen=True)
class Plating:
    """Plating current of an electrode and its derivatives, over the unit of current, by column."""

    current: NDArray[np.float64]
    by_concentration: NDArray[np.float64]
    by_potential: NDArray[np.float64]


@dataclass(frozen=True)
class Electrode:
    """The reaction at the columns of a mesh.

    Attributes
    ----------
    exchange : (columns,) float64
        Exchange current at the bulk concentration, over the unit of current.
    kinetics : Kinetics
    diffusion_potential : float
        `Cell.diffusion_potential`.
    """

    exchange: NDArray[np.float64]
    kinetics: Kinetics
    diffusion_potential: float

    def overpotential(
        self, u: NDArray[np.float64], psi: NDArray[np.float64], metal: float
    ) -> NDArray[np.float64]:
        """η = V − φ, over RT/F; φ = ψ + a ln u."""
        return metal - psi - self.diffusion_potential * np.log(u)

    def plating(self, u: NDArray[np.float64], psi: NDArray[np.float64], metal: float) -> Plating:
        """Evaluate the current, positive where metal is plated, and its derivatives.

        Parameters
        ----------
        u : (columns,) float64
            c/c₀ at the electrode, above 0.
        psi : (columns,) float64
            ψ at the electrode, over RT/F.
        metal : float
            Potential of the electrode's metal, over RT/F.
        """
        found = self.kinetics.rates(self.exchange, u, self.overpotential(u, psi, metal))
        by_concentration = (found.by_log_concentration + self.diffusion_potential * found.slope) / u
        return Plating(found.current, by_concentration, found.slope)
