"""An electrode of the mesh: its reactions at every column, in the units of the solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.twin.electrode.hydrogen import HydrogenAtColumns
from lee.twin.electrode.kinetics import Kinetics


@dataclass(frozen=True)
class Plating:
    """Current of an electrode and its derivatives, over the unit of current, by column.

    Attributes
    ----------
    current : (columns,) float64
        Of all reactions; positive where metal is plated or hydrogen evolves.
    by_concentration, by_potential : (columns,) float64
        Its derivatives by c/c₀ and by ψ.
    hydrogen : (columns,) float64 or None
        The part of it that evolves hydrogen; None where the cell has no such reaction.
    """

    current: NDArray[np.float64]
    by_concentration: NDArray[np.float64]
    by_potential: NDArray[np.float64]
    hydrogen: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Electrode:
    """The reactions at the columns of a mesh.

    Attributes
    ----------
    exchange : (columns,) float64
        Exchange current at the bulk concentration, over the unit of current.
    kinetics : Kinetics
    diffusion_potential : float
        `Cell.diffusion_potential`.
    hydrogen : HydrogenAtColumns or None
    """

    exchange: NDArray[np.float64]
    kinetics: Kinetics
    diffusion_potential: float
    hydrogen: HydrogenAtColumns | None = None

    def overpotential(
        self, u: NDArray[np.float64], psi: NDArray[np.float64], metal: float
    ) -> NDArray[np.float64]:
        """η = V − φ, over RT/F; φ = ψ + a ln u."""
        return metal - psi - self.diffusion_potential * np.log(u)

    def plating(self, u: NDArray[np.float64], psi: NDArray[np.float64], metal: float) -> Plating:
        """Evaluate the current, positive where metal is plated or hydrogen evolves, and its derivatives.

        Parameters
        ----------
        u : (columns,) float64
            c/c₀ at the electrode, above 0.
        psi : (columns,) float64
            ψ at the electrode, over RT/F.
        metal : float
            Potential of the electrode's metal, over RT/F.
        """
        eta = self.overpotential(u, psi, metal)
        found = self.kinetics.rates(self.exchange, u, eta)
        current, slope, hydrogen = found.current, found.slope, None
        if self.hydrogen is not None:
            hydrogen, steeper = self.hydrogen.kinetics.rates(self.hydrogen.exchange, eta)
            current, slope = current + hydrogen, slope + steeper
        by_concentration = (found.by_log_concentration + self.diffusion_potential * slope) / u
        return Plating(current, by_concentration, slope, hydrogen)
