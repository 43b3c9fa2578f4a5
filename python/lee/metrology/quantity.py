"""One measured property of the instrument, with its standard uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

UNITS = {
    "um_per_s": "µm/s",
    "um_per_scan": "µm a scan",
    "um_sqrt_s": "µm √s",
    "um": "µm",
    "percent": "%",
    "px": "px",
    "deg": "°",
    "s": "s",
}
_MOST_DIGITS = 6


@dataclass(frozen=True)
class MeasuredQuantity:
    """One property.

    Parameters
    ----------
    name : str
        With its unit: ``noise_um``.
    value : float
        NaN where the maps do not support it.
    sigma : float
        Standard uncertainty; NaN where none is known.
    note : str
        Why there is no value, or what to know about it.
    """

    name: str
    value: float
    sigma: float = float("nan")
    note: str = ""

    def text(self) -> tuple[str, str]:
        """Return the name without its unit, and the value with uncertainty and unit."""
        name, unit = self.name, ""
        for ending, shown in UNITS.items():
            if name.endswith("_" + ending):
                name, unit = name.removesuffix("_" + ending), " " + shown
                break
        name = name.replace("_", " ")
        if not np.isfinite(self.value):
            return name, "–"
        if not (np.isfinite(self.sigma) and self.sigma > 0):
            return name, f"{self.value:.4g}{unit}"
        digits = max(0, 1 - int(np.floor(np.log10(self.sigma))))
        if digits > _MOST_DIGITS:
            return name, f"{self.value:.6g} ± {self.sigma:.2g}{unit}"
        return name, f"{self.value:.{digits}f} ± {self.sigma:.{digits}f}{unit}"


class InstrumentResult(Protocol):
    """What all results of this room have in common."""

    @property
    def kind(self) -> str:
        """Name of what was measured, such as ``"noise"``."""

    @property
    def quantities(self) -> tuple[MeasuredQuantity, ...]:
        """The properties."""

    @property
    def details(self) -> pd.DataFrame:
        """Scans, steps or periods that they come from, a row each."""

    @property
    def holds(self) -> str:
        """What the uncertainties hold, and what not, in one sentence."""


def named(quantities: Sequence[MeasuredQuantity], name: str) -> MeasuredQuantity:
    """Return the property of that name; KeyError if there is none."""
    for one in quantities:
        if one.name == name:
            return one
    raise KeyError(name)
