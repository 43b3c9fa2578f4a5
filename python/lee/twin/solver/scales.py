"""The units of the solver: a cell in µm, s, c/c₀ and RT/F."""

from __future__ import annotations

from dataclasses import dataclass

from lee.twin.cell import FARADAY_C_PER_MOL, Cell


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
        """Express a cell in these units."""
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
