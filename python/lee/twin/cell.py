"""The cell the twin computes: electrolyte, kinetics, layer or gap, and current."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import exp, pi
from pathlib import Path
from typing import Any

from lee.electrochemistry import Protocol
from lee.electrochemistry.protocol_toml import PROTOCOL, protocol_of, protocol_toml
from lee.errors import InputError
from lee.storage.atomic import new_file
from lee.storage.toml_file import read_toml
from lee.twin.cell_parameters import about, check
from lee.twin.electrode.flat import flat_hydrogen, flat_overpotential
from lee.twin.electrode.hydrogen import Hydrogen
from lee.twin.electrode.kinetics import Kinetics
from lee.twin.electrode.reactions import DEFAULT, make_kinetics, reaction_names

FARADAY_C_PER_MOL = 96485.33212
GAS_J_PER_MOL_K = 8.314462618
LAYER_UM = 100.0
_SECTION = "cell"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A plating cell with a concentrated binary z:z electrolyte; by default 2 M ZnSO₄ on zinc at 25 °C.

    Each parameter's unit and limits, and the source of its default, are in its field's ``metadata``; the file
    that `save` writes holds them, too. Diffusivity, transference number, conductivity and thermodynamic
    factor are those at the bulk concentration, and constant. Potentials in the electrolyte are measured with
    a reference electrode of the deposited metal (zinc against Zn²⁺), so that the open-circuit potential of
    the electrode is zero everywhere.

    Attributes
    ----------
    concentration_mol_per_l : float
        Salt in the bulk.
    current_density_ma_per_cm2 : float
        Total current over the area of the electrode as seen from above. Positive plates, negative strips.
    diffusivity_m2_per_s : float
        Of the salt, as measured: with its thermodynamic factor in it.
    transference : float
        Transference number of the cation, relative to the solvent.
    conductivity_s_per_m : float
        Of the electrolyte, as measured.
    thermodynamic_factor : float
        1 + d ln f± / d ln c; it weighs the concentration's part in the potential.
    charge : int
        z of the cation and of the anion, and electrons of the reaction.
    exchange_current_a_per_m2 : float
        At the bulk concentration, per true area.
    reaction : str
        Kinetics on both electrodes: "butler_volmer", or another that was registered with
        `lee.twin.electrode.reactions.register_reaction`.
    alpha_c, alpha_a : float
        Cathodic and anodic transfer coefficients of the Butler–Volmer equation.
    gamma : float
        The exchange current follows (c/c₀)^gamma.
    efficiency : float
        Thickness grown over what the metal's current gives by Faraday's law: above 1 where the deposit is
        porous, below 1 where hydrogen evolves that is not computed. It scales growth only.
    hydrogen_exchange_current_a_per_m2 : float
        Of hydrogen evolution, per true area, at its reversible potential; 0 for none. Its current follows
        Tafel's law and grows no metal.
    hydrogen_alpha : float
        Its cathodic transfer coefficient.
    hydrogen_potential_v : float
        Its reversible potential against a reference electrode of the deposited metal.
    molar_mass_g_per_mol, density_kg_per_m3 : float
        Of the deposit.
    temperature_k : float
    layer_um : float or None
        Stirred cell: the bulk concentration is held at this distance above the highest point.
    contact_ohm_cm2 : float
        Resistance of contacts and leads, for the area as seen from above: counts in the cell's voltage.
    protocol : Protocol or None
        Current or potential over time, of `lee.electrochemistry`, in place of a constant current; potentials
        are the cell's voltage. The current density then is the protocol's largest, where it has one.
    gap_um : float or None
        Closed cell: a planar anode of the same metal at this distance above the mean height. One of
        `layer_um` and `gap_um`; without either, the layer is 100 µm.

    Raises
    ------
    InputError
        If a parameter is no number, outside its limits, or both distances are given.
    """

    concentration_mol_per_l: float = field(
        default=2.0, metadata=about("mol/L", "2 M ZnSO4 of the plating experiments", above=0, maximum=20)
    )
    current_density_ma_per_cm2: float = field(
        default=80.0, metadata=about("mA/cm²", "plating experiments, 80 mA/cm²", minimum=-1e5, maximum=1e5)
    )
    diffusivity_m2_per_s: float = field(
        default=0.847e-9,
        metadata=about(
            "m²/s",
            "Nernst-Hartley: 2 D+ D- / (D+ + D-), D+ 0.703e-9 and D- 1.065e-9 (CRC Handbook, 25 C, dilute)",
            above=0,
            maximum=1e-6,
        ),
    )
    transference: float = field(
        default=0.398,
        metadata=about(
            "1", "D+ / (D+ + D-) of the same ions (CRC Handbook, 25 C, dilute)", minimum=-2, maximum=0.999
        ),
    )
    conductivity_s_per_m: float = field(
        default=5.0,
        metadata=about(
            "S/m",
            "2 M ZnSO4 is measured at 5 to 6 S/m at 25 C; dilute-solution theory gives ten times that",
            above=0,
            maximum=1e4,
        ),
    )
    thermodynamic_factor: float = field(
        default=1.0,
        metadata=about(
            "1",
            "activity coefficient of ZnSO4 has its minimum near 2 mol/kg (Robinson and Stokes, 25 C)",
            above=0,
            maximum=20,
        ),
    )
    charge: int = field(
        default=2, metadata=about("1", "Zn2+, SO4 2-, Zn2+ + 2 e- = Zn", minimum=1, maximum=4)
    )
    exchange_current_a_per_m2: float = field(
        default=30.0,
        metadata=about(
            "A/m²", "zinc in sulfate: 3 to 300 A/m² are reported; their middle", above=0, maximum=1e7
        ),
    )
    reaction: str = field(default=DEFAULT, metadata=about("name", "Zn2+ + 2 e- = Zn"))
    alpha_c: float = field(
        default=0.5,
        metadata=about(
            "1", "two electrons one by one, the first slow: 1/2 (Newman, ch. 8)", above=0, maximum=4
        ),
    )
    alpha_a: float = field(
        default=1.5,
        metadata=about("1", "alpha_a + alpha_c = n = 2 for the same mechanism", above=0, maximum=4),
    )
    gamma: float = field(
        default=0.5,
        metadata=about("1", "exchange current of symmetrical concentrations", minimum=0, maximum=4),
    )
    efficiency: float = field(
        default=1.0, metadata=about("1", "assumed: dense zinc only", minimum=0, maximum=1.5)
    )
    hydrogen_exchange_current_a_per_m2: float = field(
        default=0.0,
        metadata=about("A/m²", "none; on zinc some 3e-7 A/m² (Trasatti 1972)", minimum=0, maximum=1e5),
    )
    hydrogen_alpha: float = field(
        default=0.5, metadata=about("1", "120 mV a decade: the first electron slow", above=0, maximum=4)
    )
    hydrogen_potential_v: float = field(
        default=0.53,
        metadata=about(
            "V", "-0.059 pH V at pH 4 against zinc at -0.76 V, standard potentials", minimum=-5, maximum=5
        ),
    )
    molar_mass_g_per_mol: float = field(
        default=65.38, metadata=about("g/mol", "zinc (IUPAC)", above=0, maximum=1000)
    )
    density_kg_per_m3: float = field(
        default=7140.0, metadata=about("kg/m³", "zinc (CRC Handbook)", above=0, maximum=1e5)
    )
    temperature_k: float = field(default=298.15, metadata=about("K", "25 C, assumed", above=200, maximum=700))
    contact_ohm_cm2: float = field(
        default=0.0, metadata=about("Ω cm²", "none: contacts without resistance", minimum=0, maximum=1e6)
    )
    layer_um: float | None = field(
        default=None,
        metadata=about(
            "µm",
            "100 µm gives the concentrations of the plating experiments' model",
            above=0,
            maximum=1e5,
            optional=True,
        ),
    )
    gap_um: float | None = field(
        default=None, metadata=about("µm", "none: the cell is stirred", above=0, maximum=1e5, optional=True)
    )
    protocol: Protocol | None = field(
        default=None, metadata={"unit": "steps", "source": "none: the current is constant"}
    )

    def __post_init__(self) -> None:
        for parameter in fields(self):
            if parameter.name not in ("reaction", "protocol"):
                check(parameter.name, getattr(self, parameter.name), parameter.metadata["limits"])
        if self.reaction not in reaction_names():
            raise InputError(
                f"cell: reaction is {self.reaction!r}; reactions are {', '.join(reaction_names())}"
            )
        if self.charge != int(self.charge):
            raise InputError(f"cell: charge is {self.charge:g}; it must be a whole number")
        if self.layer_um is not None and self.gap_um is not None:
            raise InputError(
                "cell: layer_um and gap_um are both given; give one (layer_um stirred, gap_um closed)"
            )
        if self.layer_um is None and self.gap_um is None:
            object.__setattr__(self, "layer_um", LAYER_UM)
        if self.protocol is not None and self.protocol.largest_ma_per_cm2:
            object.__setattr__(self, "current_density_ma_per_cm2", self.protocol.largest_ma_per_cm2)

    def voltage_v(self, electrode_v: float, current_ma_per_cm2: float) -> float:
        """Return the cell's voltage: the electrode's potential, less what is lost in the contacts."""
        return electrode_v - 1e-3 * self.contact_ohm_cm2 * current_ma_per_cm2

    def refuse_protocol(self, operation: str) -> None:
        """Refuse a protocol where a constant current is computed.

        Raises
        ------
        InputError
            If the cell has one.
        """
        if self.protocol is not None:
            raise InputError(
                f"{operation}: computes at a constant current; remove the protocol from the cell, or use "
                "lee twin solve, grow or follow"
            )

    @property
    def distance_um(self) -> float:
        """The layer or the gap, whichever the cell has."""
        distance = self.layer_um if self.layer_um is not None else self.gap_um
        assert distance is not None
        return distance

    @property
    def kinetics(self) -> Kinetics:
        """Current of the cell's reaction as a function of concentration and overpotential."""
        return make_kinetics(self.reaction, self)

    @property
    def hydrogen(self) -> Hydrogen | None:
        """Hydrogen evolution at the electrode; None where the cell has none."""
        if self.hydrogen_exchange_current_a_per_m2 == 0:
            return None
        return Hydrogen(self.hydrogen_alpha, self.hydrogen_potential_v / self.thermal_voltage_v)

    @property
    def thermal_voltage_v(self) -> float:
        """RT/F."""
        return GAS_J_PER_MOL_K * self.temperature_k / FARADAY_C_PER_MOL

    @property
    def diffusion_potential(self) -> float:
        """Factor of ln c in the potential, over RT/F: (2/z)(1 − t₊)(1 + d ln f±/d ln c).

        Newman and Thomas-Alyea, Electrochemical Systems (3rd ed.), eq. 12.27, for a reference electrode
        M − Mᶻ⁺ ⇌ z e⁻ (s₊ = −1, n = z, no solvent in the reaction) in a z:z salt (ν = 2).
        """
        return 2 / self.charge * (1 - self.transference) * self.thermodynamic_factor

    @property
    def sand_time_s(self) -> float:
        """Time until a flat electrode in still electrolyte runs out: π D (z F c₀ / 2 i (1 − t₊))² (Sand)."""
        current = abs(self.current_density_ma_per_cm2) * 10
        if current == 0:
            return float("inf")
        stored = self.charge * FARADAY_C_PER_MOL * self.concentration_mol_per_l * 1e3
        return pi * self.diffusivity_m2_per_s * (stored / (2 * current * (1 - self.transference))) ** 2

    @property
    def limiting_current_ma_per_cm2(self) -> float:
        """Largest steady current of a flat electrode over the layer, or over the closed gap (twice that)."""
        flux = self.diffusivity_m2_per_s * self.concentration_mol_per_l * 1e3 / (self.distance_um * 1e-6)
        current = self.charge * FARADAY_C_PER_MOL * flux / (1 - self.transference) / 10
        return current if self.gap_um is None else 2 * current

    @property
    def overpotential_v(self) -> float:
        """Overpotential of a flat electrode at the bulk concentration; negative when plating."""
        return self.flat_overpotential(self.current_density_ma_per_cm2 * 10) * self.thermal_voltage_v

    def flat_overpotential(self, current_a_per_m2: float) -> float:
        """Return η, over RT/F, of a flat electrode at the bulk concentration that takes this current."""
        return flat_overpotential(
            self.kinetics,
            self.exchange_current_a_per_m2,
            self.hydrogen,
            self.hydrogen_exchange_current_a_per_m2,
            current_a_per_m2,
        )

    @property
    def _flat_hydrogen_a_per_m2(self) -> float:
        """Hydrogen's part of the cell's current on a flat electrode at the bulk concentration."""
        eta = self.overpotential_v / self.thermal_voltage_v
        return flat_hydrogen(self.hydrogen, self.hydrogen_exchange_current_a_per_m2, eta)

    @property
    def polarisation_slope_ohm_m2(self) -> float:
        """dη/di of the reactions at the cell's current."""
        eta = self.overpotential_v / self.thermal_voltage_v
        slope = float(self.kinetics.slope(self.exchange_current_a_per_m2, 1.0, eta, exp))
        return self.thermal_voltage_v / (slope + self.hydrogen_alpha * self._flat_hydrogen_a_per_m2)

    def wagner_number(self, length_um: float | None = None) -> float:
        """Resistance of the reaction over that of the electrolyte, κ (dη/di) / length.

        Far above 1 the current is even, far below it follows the electric field. `length_um` is the layer or
        the gap if not given.
        """
        length_m = (length_um or self.distance_um) * 1e-6
        return self.conductivity_s_per_m * self.polarisation_slope_ohm_m2 / length_m

    @property
    def growth_nm_per_s(self) -> float:
        """Growth of a flat electrode at the bulk concentration, at the cell's current and efficiency."""
        metal = self.current_density_ma_per_cm2 - self._flat_hydrogen_a_per_m2 / 10
        return self.efficiency * self.faraday_nm_per_s * metal

    @property
    def faraday_nm_per_s(self) -> float:
        """Dense growth along the normal by 1 mA/cm² of the metal, i M / (z F ρ)."""
        charge_c_per_m3 = self.charge * FARADAY_C_PER_MOL * self.density_kg_per_m3 / self.molar_mass_g_per_mol
        return 10 / (charge_c_per_m3 * 1e3) * 1e9

    def summary(self) -> str:
        """Summarise what the numbers imply, in one line: Sand time, limiting current, Wagner number."""
        kind = "stirred, layer" if self.gap_um is None else "closed, gap"
        hydrogen = ""
        if self.hydrogen is not None:
            hydrogen = f", of the current {self._flat_hydrogen_a_per_m2 / 10:.3g} mA/cm² hydrogen"
        return (
            f"{self.current_density_ma_per_cm2:g} mA/cm² in {self.concentration_mol_per_l:g} mol/L, "
            f"{kind} {self.distance_um:g} µm: Sand time {self.sand_time_s:.4g} s, limiting current "
            f"{self.limiting_current_ma_per_cm2:.4g} mA/cm², Wagner number {self.wagner_number():.3g}, "
            f"flat growth {self.growth_nm_per_s:.3g} nm/s{hydrogen}"
        )

    def to_dict(self) -> dict[str, float | str]:
        """All parameters that are set, by name; the protocol apart."""
        names = [parameter.name for parameter in fields(self) if parameter.name != "protocol"]
        held = {name: getattr(self, name) for name in names}
        return {name: value for name, value in held.items() if value is not None}

    def to_toml(self) -> str:
        """Write the cell as TOML: section ``[cell]``, each parameter with its unit and default's source."""
        known = {parameter.name: parameter.metadata for parameter in fields(self)}
        lines = [
            f"{name} = {value!r}  # {known[name]['unit']}; default: {known[name]['source']}"
            for name, value in self.to_dict().items()
        ]
        steps = "" if self.protocol is None else protocol_toml(self.protocol)
        return "\n".join([f"[{_SECTION}]", *lines, steps])

    def save(self, path: str | Path) -> None:
        """Write `to_toml` to a file."""
        with new_file(path) as partial:
            partial.write_text(self.to_toml(), encoding="utf-8")

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any]) -> Cell:
        """Read a cell from a TOML file, or from the same as a mapping; a missing key has its default.

        Raises
        ------
        InputError
            If the file cannot be read, or a section or key is unknown, or a value cannot be used.
        """
        name = "cell" if isinstance(source, Mapping) else str(source)
        held = source if isinstance(source, Mapping) else read_toml(Path(source), "a cell's")
        stray = [key for key in held if key not in (_SECTION, PROTOCOL)]
        if stray:
            raise InputError(
                f"{name}: unknown section or key {stray[0]!r}; all keys belong in [{_SECTION}], steps in "
                f"[[{PROTOCOL}]]"
            )
        given = held.get(_SECTION, {})
        known = [parameter.name for parameter in fields(cls) if parameter.name != "protocol"]
        unknown = [key for key in given if key not in known]
        if unknown:
            raise InputError(f"{name}: unknown key {unknown[0]!r}; keys are {', '.join(known)}")
        steps = protocol_of(held[PROTOCOL], name) if PROTOCOL in held else None
        return cls(**given, protocol=steps)
