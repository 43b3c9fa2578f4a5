"""A flat electrode at the bulk concentration: its overpotential, and hydrogen's part of its current."""

from __future__ import annotations

from math import exp

from scipy.optimize import brentq

from lee.twin.electrode.hydrogen import MAX_EXPONENT, Hydrogen
from lee.twin.electrode.kinetics import Kinetics


def flat_overpotential(
    kinetics: Kinetics,
    exchange_a_per_m2: float,
    hydrogen: Hydrogen | None,
    hydrogen_exchange_a_per_m2: float,
    current_a_per_m2: float,
) -> float:
    """Return η, over RT/F, at which both reactions together take this current."""
    alone = kinetics.overpotential(current_a_per_m2 / exchange_a_per_m2)
    if hydrogen is None:
        return alone

    def beyond(eta: float) -> float:
        metal = float(kinetics.current(exchange_a_per_m2, 1.0, eta, exp))
        return metal + flat_hydrogen(hydrogen, hydrogen_exchange_a_per_m2, eta) - current_a_per_m2

    # Hydrogen takes part of the current: the metal's overpotential is more positive than alone.
    high = alone + 1.0
    while beyond(high) > 0:
        high += 1.0
    return float(brentq(beyond, alone, high, xtol=1e-13))


def flat_hydrogen(hydrogen: Hydrogen | None, exchange_a_per_m2: float, eta: float) -> float:
    """Return hydrogen's current density, A/m², at an overpotential of the metal over RT/F."""
    if hydrogen is None:
        return 0.0
    return float(hydrogen.current(exchange_a_per_m2, eta, lambda e: exp(min(e, MAX_EXPONENT))))
