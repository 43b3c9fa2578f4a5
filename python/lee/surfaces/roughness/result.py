"""Roughness as it is reported: parameters with their uncertainty, and what they were measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.surfaces.noise_correlation import Noise
from lee.surfaces.roughness.autocorrelation import Autocorrelation
from lee.surfaces.roughness.line import LineRoughness
from lee.surfaces.roughness.material_ratio import MaterialRatio

UNITS = {"um": "µm", "percent": "%", "per_mm2": "1/mm²"}

Heights = NDArray[np.float64]


@dataclass(frozen=True)
class RoughnessParameter:
    """One parameter.

    Parameters
    ----------
    name : str
        As ISO 25178-2 has it, with its unit: ``Sq_um``.
    value : float
        NaN where the map does not support it.
    sigma : float
        Standard uncertainty that the errors of the heights cause: the spread and, as it is not subtracted,
        the bias. NaN where the errors are not known.
    noise_bias : float
        How much the errors of the heights raise the parameter, from what the same errors once more add: to
        the squares of amplitudes, to the others themselves. NaN where not known.
    note : str
        Why there is no value, or how many values a mean was taken of.
    """

    name: str
    value: float
    sigma: float
    noise_bias: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class Roughness:
    """Roughness of a surface.

    Parameters
    ----------
    parameters : tuple of RoughnessParameter
    surface_um : (H, W) float64, µm
        The scale-limited surface that they were measured on, about its mean; NaN where not measured.
    pixel_um : float, µm
    form_order : int
    s_filter_um, l_filter_um : float, µm, optional
        Cut-off wavelengths.
    one_sided : float
        Share of the pixels at which a filter lacks more than a tenth of its weight, at the border or a hole.
    coverage : float
        Share of the map that was measured.
    noise : Noise, optional
        Errors of the heights that sigma and bias belong to.
    draws : int
        Random draws of these errors.
    ratio : MaterialRatio
    correlation : Autocorrelation
    line : LineRoughness, optional
    """

    parameters: tuple[RoughnessParameter, ...]
    surface_um: Heights
    pixel_um: float
    form_order: int
    s_filter_um: float | None
    l_filter_um: float | None
    one_sided: float
    coverage: float
    noise: Noise | None
    draws: int
    ratio: MaterialRatio
    correlation: Autocorrelation
    line: LineRoughness | None

    def __getitem__(self, name: str) -> RoughnessParameter:
        """Return the parameter of that name, such as ``"Sq_um"``."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def table(self) -> pd.DataFrame:
        """Return a row per parameter: ``name value sigma noise_bias note``."""
        return pd.DataFrame([vars(one) for one in self.parameters])
