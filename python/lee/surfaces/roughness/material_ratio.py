"""The areal material ratio curve and the parameters of its core, after ISO 25178-2 (and ISO 13565-2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CLASSES = 10_001
_CORE = 0.4  # width of the core's line, share of the ratio

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MaterialRatio:
    """The material ratio curve with its core's line.

    Parameters
    ----------
    height_um, ratio_percent : (N,) float64
        The curve: how much of the surface lies above a height. Falling heights, ratios from 0 to 100.
    Sk_um, Spk_um, Svk_um : float, µm
        Core height, reduced peak height, reduced dale height.
    Smr1_percent, Smr2_percent : float, %
        Material ratios at the top and the bottom of the core; NaN for a constant surface.
    top_um : float, µm
        Upper end of the core; it reaches down to ``top_um - Sk_um``.
    """

    height_um: Values
    ratio_percent: Values
    Sk_um: float
    Spk_um: float
    Svk_um: float
    Smr1_percent: float
    Smr2_percent: float
    top_um: float


def material_ratio(values_um: Values) -> MaterialRatio:
    """Return the material ratio curve of heights and its core.

    The core's line is the least-squares line over the 40 % of the curve whose secant is flattest, the first
    of equals; the areas above and below the core become triangles of equal area.

    Parameters
    ----------
    values_um : (N,) float64, µm
        Heights that were measured, at least one.
    """
    ratio = np.linspace(0.0, 1.0, _CLASSES)
    ordered = np.sort(values_um)  # np.quantile takes seconds for so many quantiles
    height = np.interp((1 - ratio) * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    if height[0] == height[-1]:
        nan = float("nan")
        return MaterialRatio(height, 100 * ratio, 0.0, 0.0, 0.0, nan, nan, float(height[0]))
    width = round(_CORE * (_CLASSES - 1))
    fall = height[:-width] - height[width:]
    start = int(np.argmin(fall))
    core = slice(start, start + width + 1)
    slope, top = (float(v) for v in np.polyfit(ratio[core], height[core], 1))
    bottom = top + slope
    # np.interp wants rising heights.
    upper, lower = (float(np.interp(level, height[::-1], ratio[::-1])) for level in (top, bottom))
    peaks = float(np.trapezoid(np.maximum(height - top, 0), ratio))
    dales = float(np.trapezoid(np.maximum(bottom - height, 0), ratio))
    return MaterialRatio(
        height_um=height,
        ratio_percent=100 * ratio,
        Sk_um=top - bottom,
        Spk_um=2 * peaks / upper if upper > 0 else 0.0,
        Svk_um=2 * dales / (1 - lower) if lower < 1 else 0.0,
        Smr1_percent=100 * upper,
        Smr2_percent=100 * lower,
        top_um=top,
    )
