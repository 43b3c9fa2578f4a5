"""A computed potential against the measured one: what is left is resistance in series, and a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.statistics.persistent_errors import fit_with_persistent_errors

Floats = NDArray[np.float64]
_MIN_POINTS = 5


@dataclass(frozen=True, eq=False)
class VoltageComparison:
    """Measured potential = sign × (computed + resistance × current + constant) + what is not explained.

    Attributes
    ----------
    sign : int
        1, or -1 where the record counts the other electrode's potential: of a cell whose counter electrode
        is the one that is seen.
    resistance_ohm_cm2, resistance_sigma_ohm_cm2 : float, Ω cm²
        In series: contacts, leads, and electrolyte that the computation does not span. NaN where the current
        hardly changes.
    constant_v, constant_sigma_v : float, V
        The reference electrode against that of the computation.
    rms_v : float, V
        Of what is not explained.
    expected_v : (N,) float64, V
        Computed potential, resistance, constant and sign included.
    """

    sign: int
    resistance_ohm_cm2: float
    resistance_sigma_ohm_cm2: float
    constant_v: float
    constant_sigma_v: float
    rms_v: float
    expected_v: Floats

    @property
    def text(self) -> str:
        """The comparison as a sentence."""
        constant = f"a constant of {self.constant_v:.3f} ± {self.constant_sigma_v:.3f} V"
        if np.isfinite(self.resistance_ohm_cm2):
            series = (
                f"a series resistance of {self.resistance_ohm_cm2:.3g} ± "
                f"{self.resistance_sigma_ohm_cm2:.2g} Ω cm² and "
            )
        else:
            series = "the current hardly changes, so that no resistance can be told: "
        turned = ", with the other sign" if self.sign < 0 else ""
        within = f"within {1e3 * self.rms_v:.2g} mV rms"
        return f"measured potential is the computed one{turned}, {series}{constant}, {within}"


def compare_voltage(
    times_s: ArrayLike, measured_v: ArrayLike, computed_v: ArrayLike, current_ma_per_cm2: ArrayLike
) -> VoltageComparison:
    """Fit what lies between a computed and a measured potential: a resistance in series and a constant.

    Parameters
    ----------
    times_s : (N,) float, s
        Increasing.
    measured_v, computed_v : (N,) float, V
        The computed one of the electrode that is seen: negative of rest when it plates. NaN where not known.
    current_ma_per_cm2 : (N,) float, mA/cm²
        Positive plates.

    Returns
    -------
    VoltageComparison
        A resistance below 0 says that the computation has too much of it, or that the sign is wrong.

    Raises
    ------
    InputError
        If fewer than five points are known.
    """
    given = [
        np.asarray(values, np.float64) for values in (times_s, measured_v, computed_v, current_ma_per_cm2)
    ]
    known = np.isfinite(np.stack(given)).all(axis=0)
    if known.sum() < _MIN_POINTS:
        raise InputError(
            f"cell voltage: measured and computed potential are both known at {int(known.sum())} times; "
            f"a comparison needs {_MIN_POINTS}"
        )
    times, measured, computed, current = (values[known] for values in given)
    amperes = 1e-3 * current
    changes = float(np.ptp(amperes)) > 0.05 * float(np.abs(amperes).max(initial=0.0))
    # Against the direction of plating, a resistance makes the electrode more negative.
    columns = np.stack([np.ones(times.size), *([-amperes] if changes else [])], axis=1)
    fits = {}
    for sign in (1, -1):
        fit = fit_with_persistent_errors(columns, sign * measured - computed, times)
        rest = sign * measured - computed - columns @ fit.coefficients
        fits[sign] = fit, float(np.sqrt(np.mean(rest**2)))
    sign = min(fits, key=lambda one: fits[one][1])
    fit, rms = fits[sign]
    resistance = (float(fit.coefficients[1]), fit.sigma_of(1)) if changes else (float("nan"), float("nan"))
    expected = np.full(known.shape, np.nan)
    expected[known] = sign * (computed + columns @ fit.coefficients)
    return VoltageComparison(sign, *resistance, float(fit.coefficients[0]), fit.sigma_of(0), rms, expected)
