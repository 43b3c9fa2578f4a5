"""Flatness deviation: what the instrument makes of a flat, after ISO 25178-600 and -700."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.metrology.noise import noise
from lee.metrology.quantity import MeasuredQuantity, named
from lee.metrology.repeated_maps import RepeatedMaps, repeated_maps
from lee.surfaces.noise_correlation import correlated_noise
from lee.surfaces.roughness.scale_limited import ScaleLimited

_DRAWS = 24
_CUTOFF = 10  # the default S-filter leaves this many waves across the field
_TAIL_PERCENT = 0.1
_SMOOTHER = 3

Heights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flatness:
    """Flatness deviation of the instrument.

    Parameters
    ----------
    kind : {"flatness"}
    quantities : tuple of MeasuredQuantity
    details : DataFrame
        Mean deviation along x and y: ``axis position_um deviation_um``.
    holds : str
    deviation_um : (H, W) float64, µm
        The averaged, levelled and filtered map of the flat.
    pixel_um : float, µm
    s_filter_um : float, µm
    """

    kind: str
    quantities: tuple[MeasuredQuantity, ...]
    details: pd.DataFrame
    holds: str
    deviation_um: Heights
    pixel_um: float
    s_filter_um: float

    def __getitem__(self, name: str) -> MeasuredQuantity:
        """Return the quantity of that name."""
        return named(self.quantities, name)


def flatness(
    height_um: ArrayLike | RepeatedMaps,
    *,
    pixel_um: float | None = None,
    form_order: int = 1,
    s_filter_um: float | None = None,
    noise_um: float | None = None,
    seed: int = 0,
) -> Flatness:
    """Measure the flatness deviation from maps of a flat.

    The maps are averaged, which reduces their noise and, if they show different places of the flat, its own
    relief; then the form is removed and the S-filter applied.

    Parameters
    ----------
    height_um : (T, H, W) array, µm, or RepeatedMaps
        T at least 1; NaN where not measured.
    pixel_um : float, µm, optional
        Size of a pixel; an array needs it.
    form_order : int
        1 removes the tilt; higher orders what the instrument corrects itself.
    s_filter_um : float, µm, optional
        Cut-off of the S-filter; by default a tenth of the shorter side, 2 pixels at least.
    noise_um : float, µm, optional
        Noise of one map; by default from the maps, or as they state it.
    seed : int

    Returns
    -------
    Flatness
        ``flatness_um`` (highest minus lowest point), ``flatness_998_um`` (of 99.8 % of the pixels),
        ``flatness_rms_um``, ``flatness_corrected_um`` (the first, without what noise raises it by) and
        ``noise_left_um`` (of the filtered mean).

    Raises
    ------
    InputError
        If too little was measured, or the filter does not fit.

    Notes
    -----
    The flat's own deviation is in the result: use a flat whose deviation is stated and small.
    """
    maps = repeated_maps(height_um, pixel_um, least=1, operation="flatness")
    count = len(maps.height_um)
    known = np.asarray(np.isfinite(maps.height_um).all(axis=0))
    if known.sum() < 16:
        raise InputError(f"flatness: {int(known.sum())} pixels were measured in all maps; 16 are needed")
    mean = np.where(known, np.where(known, maps.height_um, 0.0).mean(axis=0), np.nan)
    if s_filter_um is None:
        s_filter_um = max(min(mean.shape) / _CUTOFF, 2.0) * maps.pixel_um
    scale = ScaleLimited(known, maps.pixel_um, form_order, s_filter_um, None)
    flat = scale.limited(scale.without_form(mean))
    level, correlation_px, source = _noise_of(maps, noise_um)
    values = _values(flat[known])
    sigma, notes = dict.fromkeys(values, float("nan")), dict.fromkeys(values, "")
    corrected = MeasuredQuantity("flatness_corrected_um", float("nan"))
    left, note = float("nan"), "the noise is not known: give two maps or more, or --noise-um"
    if level is not None:
        drawn = _drawn(level / np.sqrt(count), correlation_px, mean.shape, seed)
        errors = [scale.limited(scale.without_form(np.where(known, error, np.nan)))[known] for error in drawn]
        table = pd.DataFrame([_values(flat[known] + error) for error in errors])
        # The highest point of a noisy map is one that noise raised: how much, a smoother map tells.
        coarse = min(_SMOOTHER * s_filter_um, min(mean.shape) * maps.pixel_um)
        smoother = ScaleLimited(known, maps.pixel_um, form_order, coarse, None)
        smooth = smoother.limited(smoother.without_form(mean))[known]
        raised = pd.DataFrame([_values(smooth + error) for error in errors]).mean() - pd.Series(
            _values(smooth)
        )
        sigma = {name: float(np.hypot(table[name].std(), raised[name])) for name in values}
        notes = {name: f"noise raises it by about {raised[name]:.2g} µm" for name in values}
        spread = float(np.hypot(table["flatness_um"].std(), raised["flatness_um"] / 2))
        without = values["flatness_um"] - float(raised["flatness_um"])
        corrected = MeasuredQuantity("flatness_corrected_um", without, spread)
        left, note = float(np.sqrt(np.mean([np.mean(error**2) for error in errors]))), source
    return Flatness(
        "flatness",
        (
            *(MeasuredQuantity(name, value, sigma[name], notes[name]) for name, value in values.items()),
            corrected,
            MeasuredQuantity("noise_left_um", left, note=note),
        ),
        _along_axes(flat, maps.pixel_um),
        "± holds the noise of the maps; the flat's own deviation is part of the result",
        flat,
        maps.pixel_um,
        s_filter_um,
    )


def _values(values: Heights) -> dict[str, float]:
    low, high = np.percentile(values, (_TAIL_PERCENT, 100 - _TAIL_PERCENT))
    return {
        "flatness_um": float(np.ptp(values)),
        "flatness_998_um": float(high - low),
        "flatness_rms_um": float(values.std()),
    }


def _noise_of(maps: RepeatedMaps, noise_um: float | None) -> tuple[float | None, float, str]:
    """Return the noise of one map, its correlation length, px, and where both come from."""
    measured = noise(maps) if len(maps.height_um) > 1 else None
    correlation_px = 0.0 if measured is None else measured["correlation_px"].value
    if noise_um is not None:
        if not (np.isfinite(noise_um) and noise_um > 0):
            raise InputError(f"flatness: noise_um is {noise_um}; give µm above 0, or None")
        return noise_um, correlation_px, "from the noise that was given"
    if measured is not None:
        return measured["noise_um"].value, correlation_px, "from the differences of the maps"
    if maps.sigma_um is not None and np.isfinite(maps.sigma_um).any():
        return float(np.nanmedian(maps.sigma_um)), 0.0, "from the stated standard deviation, taken as white"
    return None, 0.0, ""


def _drawn(level_um: float, correlation_px: float, shape: tuple[int, ...], seed: int) -> list[Heights]:
    rng = np.random.default_rng(seed)
    return [
        level_um
        * correlated_noise(rng.standard_normal(shape, dtype=np.float32), correlation_px).astype(np.float64)
        for _ in range(_DRAWS)
    ]


def _along_axes(flat: Heights, pixel_um: float) -> pd.DataFrame:
    parts = []
    known = np.isfinite(flat)
    for axis, name in ((0, "x"), (1, "y")):
        count = known.sum(axis=axis)
        mean = np.where(count > 0, np.where(known, flat, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)
        parts.append(
            pd.DataFrame({"axis": name, "position_um": np.arange(len(mean)) * pixel_um, "deviation_um": mean})
        )
    return pd.concat(parts, ignore_index=True)
