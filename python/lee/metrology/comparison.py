"""Two height maps of one place compared: bias, amplification, noise, correlation and lateral resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.metrology.quantity import MeasuredQuantity, named
from lee.metrology.registration import AlignedMaps, align
from lee.metrology.transfer import half_period, transfer
from lee.surfaces.height_map import HeightMap, height_map
from lee.surfaces.roughness.autocorrelation import autocorrelation
from lee.surfaces.surface import Surface

_MAD = 1.4826
_BINS = 12
_UNCORRELATED = 0.1

Heights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapComparison:
    """The first of two maps against the second.

    Parameters
    ----------
    kind : {"comparison"}
    quantities : tuple of MeasuredQuantity
    details : DataFrame
        Height response by period: ``period_um response response_se coherence modes``.
    holds : str
    maps : AlignedMaps
    difference_um : (H, W) float64, µm
        First minus second, offset and tilt removed; NaN where one is not measured.
    bias : DataFrame
        The difference by height of the second map: ``height_um difference_um se_um pixels``.
    """

    kind: str
    quantities: tuple[MeasuredQuantity, ...]
    details: pd.DataFrame
    holds: str
    maps: AlignedMaps
    difference_um: Heights
    bias: pd.DataFrame

    def __getitem__(self, name: str) -> MeasuredQuantity:
        """Return the quantity of that name."""
        return named(self.quantities, name)


_HOLDS = (
    "± holds random differences, correlated over neighbouring pixels as measured; noise of the second map "
    "counts as lack of resolution and of amplification of the first: give the better map second"
)


def compare(
    first: ArrayLike | Surface,
    second: ArrayLike | Surface,
    *,
    first_pixel_um: float | None = None,
    second_pixel_um: float | None = None,
) -> MapComparison:
    """Compare a height map with another of the same place, such as a reference instrument's.

    The maps are registered (see `align`), the finer one at the pixels of the coarser. Heights of two
    instruments have no common datum: offset and tilt between them are stated and removed.

    Parameters
    ----------
    first, second : (H, W) array, µm, or Surface
        NaN where not measured.
    first_pixel_um, second_pixel_um : float, µm, optional
        Sizes of their pixels; arrays need them.

    Returns
    -------
    MapComparison
        ``shift_y_um``, ``shift_x_um``, ``pixel_scale``, ``rotation_deg``, ``overlap_percent``, ``offset_um``,
        ``tilt_y``, ``tilt_x`` (µm per µm), ``amplification`` (of the first map over the second at long
        periods), ``slope`` (of its heights over those of the second; relief that it does not resolve lowers
        it), ``bias_um`` (largest mean difference over a twelfth of the heights), ``difference_um``
        (root mean square), ``difference_robust_um``, ``noise_each_um`` (of each, if both are alike),
        ``stated_ratio`` (differences over what the standard deviations of both maps promise, if both state
        them), ``correlation`` and ``lateral_period_limit_um`` (period of which the first map shows half the
        height of the second).

    Raises
    ------
    InputError
        As `align`.
    """
    one = height_map(first, first_pixel_um, operation="compare")
    other = height_map(second, second_pixel_um, operation="compare")
    maps = align(_heights(one), one.pixel_um, _heights(other), other.pixel_um)
    a, b = maps.first_um, maps.second_um
    known = np.isfinite(a)
    y, x = ((at - at.mean()) * maps.pixel_um for at in np.nonzero(known))
    plane = np.stack([np.ones(y.size), y, x], axis=1)
    apart = a[known] - b[known]
    offset = np.linalg.lstsq(plane, apart, rcond=None)[0]
    off = apart - plane @ offset
    difference = np.full(a.shape, np.nan)
    difference[known] = off
    alike = _alike(difference)
    design = np.column_stack([b[known] - b[known].mean(), plane])
    fitted = np.linalg.lstsq(design, a[known], rcond=None)[0]
    left = a[known] - design @ fitted
    inverse = np.linalg.pinv(design.T @ design)
    errors = np.sqrt(np.diag(inverse) * float(np.mean(left**2)) * alike)
    rms = float(np.sqrt(np.mean(off**2)))
    places = max(off.size / alike, 2.0)
    kurtosis = float(np.mean(off**4)) / rms**4 if rms > 0 else 1.0
    rms_se = rms * np.sqrt(max(kurtosis - 1, 0.0) / places) / 2
    flat_b = b[known] - plane @ np.linalg.lstsq(plane, b[known], rcond=None)[0]
    flat_a = flat_b + off
    correlation = (
        float(np.corrcoef(flat_a, flat_b)[0, 1]) if flat_a.std() * flat_b.std() > 0 else float("nan")
    )
    bias = _bias(flat_b, off, alike)
    worst = bias.iloc[int(np.argmax(np.abs(bias["difference_um"].to_numpy(np.float64))))]
    table = transfer(a, b, maps.pixel_um)
    # The finer map was averaged to the common pixel: what that took from it is given back.
    lost = maps.smoothed_um[1] ** 2 - maps.smoothed_um[0] ** 2
    passed = np.exp(-2 * np.pi**2 * lost / table["period_um"] ** 2)
    for name in ("response", "response_se"):
        table[name] = table[name] * passed
    half = half_period(table)
    quantities = [
        MeasuredQuantity(
            "shift_y_um", maps.shift_um[0], maps.shift_se_um[0], f"first map {maps.orientation}"
        ),
        MeasuredQuantity("shift_x_um", maps.shift_um[1], maps.shift_se_um[1]),
        MeasuredQuantity("pixel_scale", maps.scale, maps.scale_se),
        MeasuredQuantity("rotation_deg", maps.rotation_deg, maps.rotation_se_deg),
        MeasuredQuantity("overlap_percent", 100 * maps.overlap),
        MeasuredQuantity("offset_um", float(offset[0])),
        MeasuredQuantity("tilt_y", float(offset[1])),
        MeasuredQuantity("tilt_x", float(offset[2])),
        MeasuredQuantity("amplification", half.gain, half.gain_se, "of long periods"),
        MeasuredQuantity("slope", float(fitted[0]), float(errors[0]), "of all periods"),
        MeasuredQuantity(
            "bias_um",
            float(worst["difference_um"]),
            float(worst["se_um"]),
            f"at height {worst['height_um']:.3g} µm",
        ),
        MeasuredQuantity("difference_um", rms, float(rms_se)),
        MeasuredQuantity("difference_robust_um", _MAD * float(np.median(np.abs(off)))),
        MeasuredQuantity(
            "noise_each_um", rms / np.sqrt(2), float(rms_se / np.sqrt(2)), "if both maps are alike"
        ),
        MeasuredQuantity("correlation", correlation),
        MeasuredQuantity("lateral_period_limit_um", half.period_um, half.period_se_um, half.note),
    ]
    expected = _expected(one, other)
    if expected is not None:
        quantities.append(MeasuredQuantity("stated_ratio", rms / expected, rms_se / expected))
    return MapComparison("comparison", tuple(quantities), table, _HOLDS, maps, difference, bias)


def _heights(given: HeightMap) -> Heights:
    height = np.array(given.height_um, dtype=np.float64)
    height[~np.isfinite(height)] = np.nan
    return height


def _alike(difference: Heights) -> float:
    """Return how many pixels share one error: the differences' correlation, summed over its lobe."""
    values = np.nan_to_num(autocorrelation(difference).values)
    y, x = (np.abs(np.arange(n) - n // 2) for n in values.shape)
    radius = np.rint(np.hypot(y[:, None], x[None, :])).astype(np.intp)
    counts = np.maximum(np.bincount(radius.ravel()), 1)
    rings = np.bincount(radius.ravel(), values.ravel()) / counts
    low = np.flatnonzero(rings < _UNCORRELATED)
    end = int(low[0]) if low.size else len(rings)
    return max(float(values[radius < max(end, 1)].sum()), 1.0)


def _bias(height: Heights, off: Heights, alike: float) -> pd.DataFrame:
    """Return the mean difference in groups of equally many pixels, by height."""
    rows = []
    for group in np.array_split(np.argsort(height, kind="stable"), min(_BINS, max(height.size // 16, 1))):
        spread = float(off[group].std()) / np.sqrt(max(group.size / alike, 1.0))
        rows.append(
            {
                "height_um": float(height[group].mean()),
                "difference_um": float(off[group].mean()),
                "se_um": spread,
                "pixels": int(group.size),
            }
        )
    return pd.DataFrame(rows)


def _expected(one: HeightMap, other: HeightMap) -> float | None:
    """Return the rms difference that the standard deviations promise; None if not both are stated."""
    stated = [part.height_sigma_um for part in (one, other)]
    squares = [float(np.nanmean(np.square(part, dtype=np.float64))) for part in stated if part is not None]
    return float(np.sqrt(sum(squares))) if len(squares) == 2 else None
