"""The reaction on the electrodes, and the numbers that scale the twin's equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.twin.cell import FARADAY_C_PER_MOL, Cell

# e^80: no current is that large, and none overflows on the way.
_MOST_EXPONENT = 80.0


@dataclass(frozen=True)
class Scales:
    """A cell in the solver's units: µm, s, c/c₀, RT/F, and the cell's own current density.

    Attributes
    ----------
    current_a_per_m2 : float
        Unit of current density: the cell's current, or its exchange current where it has none.
    diffusivity : float
        µm²/s.
    uptake : float
        Speed at which unit current takes salt in, (1 − t₊) i / (z F c₀), µm/s.
    conductance : float
        Current density by a potential gradient of one RT/F over one µm, µm.
    diffusion_potential : float
        `Cell.diffusion_potential`.
    total : float
        Current asked for: 1, −1 or 0.
    """

    current_a_per_m2: float
    diffusivity: float
    uptake: float
    conductance: float
    diffusion_potential: float
    total: float

    @classmethod
    def of(cls, cell: Cell) -> Scales:
        """Scale a cell."""
        asked = cell.current_density_ma_per_cm2 * 10
        unit = abs(asked) or cell.exchange_current_a_per_m2
        stored = cell.charge * FARADAY_C_PER_MOL * cell.concentration_mol_per_l * 1e3
        return cls(
            current_a_per_m2=unit,
            diffusivity=cell.diffusivity_m2_per_s * 1e12,
            uptake=(1 - cell.transference) * unit / stored * 1e6,
            conductance=cell.conductivity_s_per_m * cell.thermal_voltage_v / (unit * 1e-6),
            diffusion_potential=cell.diffusion_potential,
            total=asked / unit,
        )


@dataclass(frozen=True)
class Plating:
    """Plating current of an electrode and its derivatives, over the unit of current, by column."""

    current: NDArray[np.float64]
    by_concentration: NDArray[np.float64]
    by_potential: NDArray[np.float64]


@dataclass(frozen=True)
class Kinetics:
    """Butler–Volmer with an exchange current (c/c₀)^gamma.

    Attributes
    ----------
    exchange : (columns,) float64
        Exchange current at the bulk concentration, over the unit of current.
    alpha_c, alpha_a, gamma, diffusion_potential : float
    """

    exchange: NDArray[np.float64]
    alpha_c: float
    alpha_a: float
    gamma: float
    diffusion_potential: float

    def overpotential(
        self, u: NDArray[np.float64], psi: NDArray[np.float64], electrode: float
    ) -> NDArray[np.float64]:
        """η = V − φ, over RT/F; φ = ψ + a ln u."""
        return electrode - psi - self.diffusion_potential * np.log(u)

    def plating(self, u: NDArray[np.float64], psi: NDArray[np.float64], electrode: float) -> Plating:
        """Evaluate i₀ u^γ (e^{−α_c η} − e^{α_a η}), positive where metal is plated.

        Parameters
        ----------
        u : (columns,) float64
            c/c₀ at the electrode, above 0.
        psi : (columns,) float64
            ψ at the electrode, over RT/F.
        electrode : float
            Potential of the electrode's metal, over RT/F.
        """
        eta = self.overpotential(u, psi, electrode)
        rate = self.exchange * u**self.gamma
        plated = rate * np.exp(np.clip(-self.alpha_c * eta, None, _MOST_EXPONENT))
        stripped = rate * np.exp(np.clip(self.alpha_a * eta, None, _MOST_EXPONENT))
        slope = self.alpha_c * plated + self.alpha_a * stripped
        by_concentration = (self.gamma * (plated - stripped) + self.diffusion_potential * slope) / u
        return Plating(plated - stripped, by_concentration, slope)
