"""Faraday's law: how thick a dense deposit the charge makes, and the efficiency of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.statistics.persistent_errors import fit_with_persistent_errors

FARADAY_C_PER_MOL = 96485.33212
Floats = NDArray[np.float64]
_MIN_SCANS = 4
# Of the thickness of the other phase: less is noise of a resting cell.
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Metal:
    """A metal that is deposited: molar mass, density, and electrons for each atom."""

    name: str
    molar_mass_g_per_mol: float
    density_kg_per_m3: float
    charge: int

    @property
    def um_per_c_per_cm2(self) -> float:
        """Thickness of a dense deposit for each C/cm², µm: M / (z F ρ)."""
        moles_per_m2 = 1e4 / (self.charge * FARADAY_C_PER_MOL)
        return moles_per_m2 * self.molar_mass_g_per_mol * 1e-3 / self.density_kg_per_m3 * 1e6


# Molar masses: IUPAC 2021; densities at 25 °C: CRC Handbook of Chemistry and Physics.
METALS = {
    metal.name: metal
    for metal in (
        Metal("zinc", 65.38, 7140.0, 2),
        Metal("copper", 63.546, 8960.0, 2),
        Metal("lithium", 6.94, 534.0, 1),
        Metal("sodium", 22.98977, 971.0, 1),
        Metal("silver", 107.8682, 10500.0, 1),
        Metal("nickel", 58.6934, 8900.0, 2),
        Metal("tin", 118.71, 7287.0, 2),
        Metal("lead", 207.2, 11340.0, 2),
    )
}


@dataclass(frozen=True)
class PhaseBalance:
    """Measured and expected thickness of one phase, and their ratio.

    Parameters
    ----------
    phase : str
        "plating" or "stripping".
    expected_um : float, µm
        Of a dense deposit by Faraday's law, for the charge of the phase; negative when stripping.
    efficiency : float
        Measured over expected thickness, fitted to all scans of the phase.
    sigma_fit, sigma : float
        Standard errors: of the fit alone, clock included; and with those of the electrode's area and of the
        window's share.
    """

    phase: str
    expected_um: float
    efficiency: float
    sigma_fit: float
    sigma: float

    @property
    def text(self) -> str:
        """The efficiency as a sentence: how much of the charge a dense deposit explains."""
        found = f"{self.phase}: {100 * self.efficiency:.1f} ± {100 * self.sigma:.1f} % of Faraday's thickness"
        if self.phase == "plating" and self.efficiency > 1:
            porosity = 1 - 1 / self.efficiency
            error = self.sigma / self.efficiency**2
            percent = f"{100 * porosity:.1f} ± {100 * error:.1f} %"
            return f"{found}; at full current efficiency a porosity of {percent}"
        return found


def fit_efficiency(
    times_s: ArrayLike,
    height_um: ArrayLike,
    expected_um: ArrayLike,
    phases: Sequence[str],
    *,
    change_um_per_s: ArrayLike | None = None,
    relative_sigma: float = 0.0,
    shared_um: ArrayLike | None = None,
) -> list[PhaseBalance]:
    """Fit the measured mean height to the thickness that the charge would make, phase by phase.

    Parameters
    ----------
    times_s : (T,) float, s
    height_um : (T,) float, µm
        Mean height of the field; NaN where not measured.
    expected_um : (T, 2) float, µm
        Thickness of a dense deposit by the charge of plating, and by that of stripping (falling).
    phases : 2 of str
        Their names.
    change_um_per_s : (T, 2) float, optional
        How `expected_um` changes with the clock's offset, where that was fitted to the same heights: its
        error is then part of the efficiency's.
    relative_sigma : float
        Relative standard error of the expected thickness: of the electrode's area and the window's share.
    shared_um : (T,) float, µm, optional
        Standard error of each mean height that the scatter about the fit does not show: bias that the whole
        field shares and that changes slowly, pixels that were not measured.

    Returns
    -------
    list of PhaseBalance
        For each phase in which charge passed; empty with fewer than four scans.
    """
    t, h, x = (np.asarray(values, np.float64) for values in (times_s, height_um, expected_um))
    known = np.isfinite(h) & np.isfinite(x).all(axis=1)
    size = float(np.abs(x[known]).max()) if known.any() else 0.0
    used = [k for k in range(2) if known.any() and np.ptp(x[known, k]) > _LEAST_SHARE * size]
    extra = 0 if change_um_per_s is None else 1
    if not used or known.sum() < max(_MIN_SCANS, len(used) + 1 + extra + 2):
        return []
    columns = np.concatenate([np.ones((int(known.sum()), 1)), x[known][:, used]], axis=1)
    if change_um_per_s is not None:
        rough = np.linalg.lstsq(columns, h[known], rcond=None)[0][1:]
        moved = np.asarray(change_um_per_s, np.float64)[known][:, used] @ rough
        columns = np.concatenate([columns, moved[:, None]], axis=1)
    fit = fit_with_persistent_errors(columns, h[known], t[known])
    found = []
    for place, k in enumerate(used, start=1):
        efficiency, own = float(fit.coefficients[place]), fit.sigma_of(place)
        expected = float(np.ptp(x[known, k]))
        shared = 0.0
        if shared_um is not None:  # at the begin of the phase and at its end
            of_scans = np.asarray(shared_um, np.float64)[known]
            shared = np.sqrt(2.0) * float(np.sqrt(np.nanmean(of_scans**2))) / expected
        whole = hypot(own, efficiency * relative_sigma, shared)
        found.append(PhaseBalance(phases[k], expected * (1 - 2 * k), efficiency, own, whole))
    return found


def metal_named(name: str) -> Metal:
    """Return a metal of `METALS`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in METALS:
        raise InputError(f"metal is {name!r}; give one of {', '.join(METALS)}")
    return METALS[name]


def checked_with_error(value: float, sigma: float, what: str, unit: str) -> None:
    """Refuse a quantity that is not above 0, or an error below 0.

    Raises
    ------
    InputError
    """
    if not (isfinite(value) and value > 0 and isfinite(sigma) and sigma >= 0):
        raise InputError(f"{what} is {value:g} ± {sigma:g}; give {unit} above 0, with an error of 0 or more")
