"""How much of a reference's relief a map shows, by period: the transfer function of ISO 25178-600."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft, ndimage, optimize

from lee.surfaces.roughness.form import form

_LEAST_MODES = 12
_HANN = 2.25  # independent modes that a two-dimensional Hann window joins to one
_COHERENT = 0.3
_MODEL = 0.015  # relative error by interpolation and by other responses than a Gaussian's
_LEAST_RINGS = 4
_SMALL_PX = 2.5
_TAPER = 0.1  # of the shorter side, around pixels that were not measured

Heights = NDArray[np.float64]


def transfer(first_um: Heights, second_um: Heights, pixel_um: float) -> pd.DataFrame:
    """Return the height response of the first map to the second, period by period.

    Parameters
    ----------
    first_um, second_um : (H, W) float64, µm
        On one grid; NaN where not measured. Single such pixels are filled, and both maps weighted by one
        window that is 0 at larger holes.
    pixel_um : float, µm

    Returns
    -------
    DataFrame
        A row per ring of periods, the longest first: ``period_um response response_se coherence modes``. The
        response is the cross spectrum over the second's power.
    """
    both = np.isfinite(first_um) & np.isfinite(second_um)
    rows, columns = (np.flatnonzero(both.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    maps = [_small_holes_filled(np.where(both[box], values[box], np.nan)) for values in (first_um, second_um)]
    known = np.isfinite(maps[0])
    # Sharp edges of holes would spread the power of long periods over all.
    taper = np.minimum(ndimage.distance_transform_edt(known) / (_TAPER * min(known.shape)), 1.0)
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in known.shape)) * np.sin(np.pi / 2 * taper) ** 2
    spectra = []
    for values in maps:
        flat = np.where(known, values - form(values, 1), 0.0)
        flat = flat - float((flat * window).sum() / window.sum())
        spectra.append(fft.rfft2(flat * window))
    a, b = spectra
    frequency = np.hypot(
        fft.fftfreq(known.shape[0], pixel_um)[:, None], fft.rfftfreq(known.shape[1], pixel_um)[None, :]
    )
    # All but the first and the last column stand for two modes.
    twice = np.full(a.shape, 2.0)
    twice[:, 0] = 1.0
    if known.shape[1] % 2 == 0:
        twice[:, -1] = 1.0
    ring = np.rint(frequency * min(known.shape) * pixel_um).astype(np.intp)
    last = int(min(known.shape) / 2)
    inside = (ring >= 1) & (ring <= last)

    def summed(values: Heights) -> Heights:
        return np.asarray(np.bincount(ring[inside], values[inside], minlength=last + 1), np.float64)

    cross = np.conj(b) * a
    sums = np.stack(
        [
            summed(twice * one)
            for one in (np.ones(a.shape), frequency, cross.real, cross.imag, abs(a) ** 2, abs(b) ** 2)
        ]
    )
    table = []
    total = np.zeros(6)
    for k in range(1, last + 1):
        total = total + sums[:, k]
        if total[0] / 2 < _LEAST_MODES and k < last:
            continue
        count, of_frequency, real, imaginary, power_a, power_b = total
        total = np.zeros(6)
        if not (power_a > 0 and power_b > 0):
            continue
        response = real / power_b
        coherence = min((real**2 + imaginary**2) / (power_a * power_b), 1.0)
        modes = max(count / 2 / _HANN, 1.0)
        error = abs(response) * np.sqrt((1 - coherence) / (2 * max(coherence, 1e-12) * modes))
        table.append(
            {
                "period_um": float(count / of_frequency),
                "response": float(response),
                "response_se": float(error),
                "coherence": float(coherence),
                "modes": float(modes),
            }
        )
    return pd.DataFrame(table, columns=["period_um", "response", "response_se", "coherence", "modes"])


def _small_holes_filled(values: Heights) -> Heights:
    """Fill pixels beside measured ones from these; a window around every single one would leave nothing."""
    known = np.isfinite(values)
    weight = ndimage.gaussian_filter(known.astype(np.float64), 1.0)
    mean = ndimage.gaussian_filter(np.where(known, values, 0.0), 1.0) / np.maximum(weight, 1e-9)
    near = ndimage.distance_transform_edt(~known) <= _SMALL_PX
    return np.where(known, values, np.where(near, mean, np.nan))


class HalfPeriod(NamedTuple):
    """The period of which half the height passes, µm, and the amplification of long ones, with errors."""

    period_um: float
    period_se_um: float
    gain: float
    gain_se: float
    note: str


def half_period(table: pd.DataFrame) -> HalfPeriod:
    """Return the period of which half the height passes.

    A Gaussian's response, ``g exp(-ln 2 (L / period)^2)``, is fitted to the periods at which the maps are
    coherent.

    Parameters
    ----------
    table : DataFrame
        From `transfer`.

    Returns
    -------
    HalfPeriod
        NaN with a note where too few periods are coherent, or the response does not fall.
    """
    nan = float("nan")
    # Beyond the first periods at which nothing is common, single rings are coherent by chance.
    lost = (table["coherence"] <= _COHERENT).to_numpy(np.bool_)
    ends = np.flatnonzero(lost[:-1] & lost[1:])
    begun = table[: int(ends[0]) if ends.size else len(table)]
    coherent = begun[begun["coherence"] > _COHERENT]
    if len(coherent) < _LEAST_RINGS:
        return HalfPeriod(nan, nan, nan, nan, "the maps are coherent at too few periods")
    frequency = 1 / coherent["period_um"].to_numpy(np.float64)
    response = coherent["response"].to_numpy(np.float64)
    error = np.maximum(coherent["response_se"].to_numpy(np.float64), 1e-3 * abs(response).max())
    shortest = float(1 / frequency.max())

    def gaussian(f: Heights, gain: float, period: float) -> Heights:
        out: Heights = gain * np.exp2(-((f * period) ** 2))
        return out

    try:
        with warnings.catch_warnings():
            # Of a response that does not fall no covariance can be estimated.
            warnings.simplefilter("ignore", optimize.OptimizeWarning)
            start = (float(response[0]), 2 * shortest)
            found, covariance = optimize.curve_fit(
                gaussian, frequency, response, p0=start, sigma=error, absolute_sigma=True
            )
    except (RuntimeError, ValueError):
        return HalfPeriod(nan, nan, nan, nan, "no Gaussian fits the response")
    off = (response - gaussian(frequency, *found)) / error
    factor = max(float(np.sqrt(np.mean(off**2) * len(off) / max(len(off) - 2, 1))), 1.0)
    gain_se, spread = (float(v) * factor for v in np.sqrt(np.diag(covariance)))
    gain, period = float(found[0]), abs(float(found[1]))
    spread, gain_se = (float(np.hypot(*one)) for one in ((spread, _MODEL * period), (gain_se, _MODEL * gain)))
    if not np.isfinite(spread) or period < shortest / 2 or period < 2 * spread:
        note = f"the response falls less than {shortest:.3g} µm, the shortest coherent period, shows"
        return HalfPeriod(nan, nan, gain, gain_se, note)
    note = "" if period >= shortest else f"extrapolated: coherent down to {shortest:.3g} µm"
    return HalfPeriod(period, spread, gain, gain_se, note)
