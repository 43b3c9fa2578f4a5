"""Measurement noise of height maps, and their repeatability over many scans, after ISO 25178-600 and -700."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.metrology.quantity import MeasuredQuantity, named
from lee.metrology.repeated_maps import RepeatedMaps, repeated_maps
from lee.statistics.straight_line import fit_line
from lee.surfaces.areal import areal
from lee.surfaces.roughness.autocorrelation import autocorrelation
from lee.surfaces.roughness.form import form

_UNCORRELATED = 0.1
_WHITE = 0.05  # correlation of neighbours below which noise is white
_ONE_OVER_E = float(np.exp(-1))
_MAPS = 4  # maps whose correlation is measured
_MAD = 1.4826

Heights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RepeatedMeasurement:
    """Noise or repeatability of repeated maps.

    Parameters
    ----------
    kind : {"noise", "repeatability"}
    quantities : tuple of MeasuredQuantity
    details : DataFrame
        A row per scan.
    holds : str
    deviation_um : (T, H, W) float64, µm
        Each map's difference from the mean of all, its own form removed; NaN where not measured.
    pixel_um : float, µm
    by_lag : DataFrame
        ``lag noise_um pairs``: rms difference over the square root of two, of maps so many scans apart.
    """

    kind: str
    quantities: tuple[MeasuredQuantity, ...]
    details: pd.DataFrame
    holds: str
    deviation_um: Heights
    pixel_um: float
    by_lag: pd.DataFrame

    def __getitem__(self, name: str) -> MeasuredQuantity:
        """Return the quantity of that name."""
        return named(self.quantities, name)


_HOLDS = (
    "± holds the random scatter of these maps, correlated over neighbouring pixels as measured; errors that "
    "repeat in every map do not show in repeated maps and are not in the noise"
)


def noise(
    height_um: ArrayLike | RepeatedMaps,
    *,
    pixel_um: float | None = None,
    form_order: int = 1,
    interval_s: float | None = None,
) -> RepeatedMeasurement:
    """Measure the noise of height maps from two or more maps of one place.

    Of two maps it is the root mean square of their difference over the square root of two, of n maps the
    pooled standard deviation about their mean. The form of each difference is removed first: a sample that
    moved or tilted between the scans adds no noise.

    Parameters
    ----------
    height_um : (T, H, W) array, µm, or RepeatedMaps
        T at least 2; NaN where not measured.
    pixel_um : float, µm, optional
        Size of a pixel; an array needs it.
    form_order : int
        Form that is removed from each difference: 0 its mean, 1 its plane.
    interval_s : float, s, optional
        Time that one map takes; by default that from map to map.

    Returns
    -------
    RepeatedMeasurement
        ``noise_um``, ``noise_robust_um`` (from the median deviation), ``beyond_3_percent`` (share of the
        deviations beyond three noises), ``correlation_px`` (the Gaussian that makes white noise like it),
        ``shift_percent`` (share of the noise's square that a lateral shift of the maps explains),
        ``stated_ratio`` (deviations over the standard deviations that the maps state, root mean square: 1
        where those are right) and, with a time, ``noise_density_um_sqrt_s`` and ``time_s``.

    Raises
    ------
    InputError
        If fewer than two maps are given, or they share fewer than 16 measured pixels.
    """
    maps = repeated_maps(height_um, pixel_um, least=2, operation="noise")
    deviation, mean = _deviations(maps.height_um, form_order, "noise")
    found, error, length = _noise(deviation, form_order)
    quantities = [
        MeasuredQuantity("noise_um", found, error),
        MeasuredQuantity("noise_robust_um", _robust(deviation)),
        MeasuredQuantity("beyond_3_percent", 100 * float(np.mean(np.abs(_each(deviation)) > 3 * found))),
        MeasuredQuantity("correlation_px", length),
        _shifted(deviation, mean),
    ]
    if maps.sigma_um is not None:
        quantities.append(_stated(deviation, maps.sigma_um))
    time_s = maps.interval_s if interval_s is None else interval_s
    if time_s is not None:
        quantities.append(MeasuredQuantity("time_s", time_s))
        density = np.sqrt(time_s)
        quantities.append(MeasuredQuantity("noise_density_um_sqrt_s", found * density, error * density))
    return RepeatedMeasurement(
        "noise", tuple(quantities), _scans(maps, deviation), _HOLDS, deviation, maps.pixel_um,
        _by_lag(maps.height_um, form_order),
    )  # fmt: skip


def repeatability(
    height_um: ArrayLike | RepeatedMaps, *, pixel_um: float | None = None, form_order: int = 1
) -> RepeatedMeasurement:
    """Measure how well scans of one place repeat: heights, and what is computed from them.

    Parameters
    ----------
    height_um : (T, H, W) array, µm, or RepeatedMaps
        T at least 3; NaN where not measured.
    pixel_um, form_order
        As in `noise`.

    Returns
    -------
    RepeatedMeasurement
        ``repeatability_um`` (pooled standard deviation at a pixel, forms removed), ``with_drift_um`` (the
        same with nothing removed), standard deviations over the scans of ``mean_height_um``, ``Sa_um``,
        ``Sq_um`` and ``Sz_um`` (plane removed), ``drift_um_per_scan`` of the mean height (per s in
        ``drift_um_per_s``, if times are known), ``next_noise_um`` and ``farthest_noise_um``: noise from scans
        that follow each other and from those farthest apart, which differ if errors persist.

    Raises
    ------
    InputError
        If fewer than three maps are given, or they share fewer than 16 measured pixels.
    """
    maps = repeated_maps(height_um, pixel_um, least=3, operation="repeatability")
    deviation, _ = _deviations(maps.height_um, form_order, "repeatability")
    moved, _ = _deviations(maps.height_um, None, "repeatability")
    found, error, _ = _noise(deviation, form_order)
    total = float(np.sqrt(np.nanmean(_each(moved) ** 2)))
    scans = _scans(maps, deviation)
    count = len(scans)
    quantities = [
        MeasuredQuantity("repeatability_um", found, error),
        MeasuredQuantity("with_drift_um", total, total / np.sqrt(2 * (count - 1))),
    ]
    for name in ("mean_height_um", "Sa_um", "Sq_um", "Sz_um"):
        spread = float(scans[name].std(ddof=1))
        quantities.append(MeasuredQuantity(name, spread, spread / np.sqrt(2 * (count - 1)), "over the scans"))
    heights = scans["mean_height_um"].to_numpy(np.float64)
    for unit, at in (("scan", np.arange(count, dtype=np.float64)), ("s", maps.times_s)):
        if at is not None:
            line = fit_line(at, heights)
            quantities.append(
                MeasuredQuantity(
                    f"drift_um_per_{unit}", line.slope, line.rms / (line.spread * np.sqrt(count))
                )
            )
    by_lag = _by_lag(maps.height_um, form_order)
    near, far = by_lag.iloc[0], by_lag.iloc[-1]
    quantities.append(
        MeasuredQuantity("next_noise_um", float(near["noise_um"]), note=f"{int(near['pairs'])} pairs")
    )
    quantities.append(
        MeasuredQuantity(
            "farthest_noise_um",
            float(far["noise_um"]),
            note=f"{int(far['pairs'])} pairs, lag {int(far['lag'])}",
        )
    )
    return RepeatedMeasurement(
        "repeatability", tuple(quantities), scans, _HOLDS, deviation, maps.pixel_um, by_lag
    )


def _deviations(heights: Heights, form_order: int | None, operation: str) -> tuple[Heights, Heights]:
    """Return each map minus the mean of all, its form removed, and the mean."""
    known = np.isfinite(heights)
    count = known.sum(axis=0)
    shared = known & (count == len(heights))
    if shared[0].sum() < 16:
        raise InputError(
            f"{operation}: {int(shared[0].sum())} pixels were measured in all maps; 16 are needed: are they "
            "of one place?"
        )
    # Pixels that single maps lack would leave a mean of the others, with less noise.
    if all(np.array_equal(one[shared[0]], heights[0][shared[0]]) for one in heights[1:]):
        raise InputError(f"{operation}: the maps are identical: give separate measurements of one place")
    mean = np.where(shared[0], np.where(known, heights, 0).sum(axis=0) / len(heights), np.nan)
    out = heights - mean
    if form_order is not None:
        for one in out:
            one -= form(one, form_order)
    else:
        out -= np.nanmean(out)
    return out, mean


def _each(deviation: Heights) -> Heights:
    """Return the deviations as large as those from the true mean are, (N,)."""
    count = len(deviation)
    values = deviation[np.isfinite(deviation)]
    out: Heights = values * np.sqrt(count / (count - 1))
    return out


def _noise(deviation: Heights, form_order: int) -> tuple[float, float, float]:
    """Return the noise, its standard error, and its correlation length, px."""
    values = _each(deviation)
    square = float(np.mean(values**2))
    if not square > 0:
        return 0.0, 0.0, 0.0
    correlations = [autocorrelation(one).values for one in deviation[:_MAPS]]
    mean = np.nan_to_num(np.mean(correlations, axis=0))
    rings, radius = _rings(mean)
    low = np.flatnonzero(rings < _UNCORRELATED)
    end = int(low[0]) if low.size else len(rings)
    lobe = mean[radius < max(end, 1)]
    places, alike = float((lobe**2).sum()), float(lobe.sum())
    # The form took errors that are correlated over as many pixels.
    terms = (form_order + 1) * (form_order + 2) / 2
    square /= max(1 - terms * alike * len(deviation) / values.size, 0.5)
    kurtosis = float(np.mean(values**4)) / square**2
    count = values.size / len(deviation) * (len(deviation) - 1)
    relative = np.sqrt(max(kurtosis - 1, 0.0) * max(places, 1.0) / count) / 2
    found = float(np.sqrt(square))
    return found, found * float(relative), _length(rings)


def _rings(values: Heights) -> tuple[Heights, NDArray[np.intp]]:
    y, x = (np.abs(np.arange(n) - n // 2) for n in values.shape)
    radius = np.rint(np.hypot(y[:, None], x[None, :])).astype(np.intp)
    reach = min(values.shape) // 2 + 1
    counts = np.bincount(radius.ravel())[:reach]
    return np.bincount(radius.ravel(), values.ravel())[:reach] / np.maximum(counts, 1), radius


def _length(rings: Heights) -> float:
    """Return the Gaussian that makes white noise so correlated: its autocorrelation is exp(-(r / 2 l)^2)."""
    # The ring at 1 holds the diagonal neighbours too: its mean radius is 1.21.
    neighbours = float(rings[1]) if len(rings) > 1 else 0.0
    if neighbours < _WHITE:
        return 0.0
    below = np.flatnonzero(rings < _ONE_OVER_E)
    if below.size == 0:
        return float(len(rings)) / 2
    k = int(below[0])
    if k == 1:
        return 1.21 / (2 * float(np.sqrt(-np.log(neighbours))))
    share = (rings[k - 1] - _ONE_OVER_E) / (rings[k - 1] - rings[k])
    return float(k - 1 + share) / 2


def _robust(deviation: Heights) -> float:
    return _MAD * float(np.median(np.abs(_each(deviation))))


def _shifted(deviation: Heights, mean: Heights) -> MeasuredQuantity:
    """Fit each deviation by a lateral shift of the mean map: how much of its square that explains."""
    down, along = (np.asarray(slope, np.float64) for slope in np.gradient(mean))
    explained = total = 0.0
    for one in deviation:
        known = np.isfinite(one) & np.isfinite(down + along)
        if known.sum() < 16:
            return MeasuredQuantity(
                "shift_percent", float("nan"), note="too few neighbouring pixels were measured"
            )
        slopes = np.stack([down[known], along[known]], axis=1)
        moved = slopes @ np.linalg.lstsq(slopes, one[known], rcond=None)[0]
        explained += float(moved @ moved)
        total += float(one[known] @ one[known])
    percent = 100 * explained / total if total > 0 else 0.0
    note = "the maps moved sideways: align them first, or scan again" if percent > 10 else ""
    return MeasuredQuantity("shift_percent", percent, note=note)


def _stated(deviation: Heights, sigma: NDArray[np.float32]) -> MeasuredQuantity:
    count = len(deviation)
    known = np.isfinite(deviation) & (sigma > 0)
    relative = deviation[known] / sigma[known] * np.sqrt(count / (count - 1))
    if relative.size == 0:
        return MeasuredQuantity(
            "stated_ratio", float("nan"), note="no standard deviation where all maps were measured"
        )
    return MeasuredQuantity("stated_ratio", float(np.sqrt(np.mean(relative**2))))


def _scans(maps: RepeatedMaps, deviation: Heights) -> pd.DataFrame:
    rows = []
    shared = np.isfinite(deviation[0])
    for k, (height, off) in enumerate(zip(maps.height_um, deviation, strict=True)):
        common = np.where(shared, height, np.nan)
        found = areal(common, pixel_um=maps.pixel_um)
        rows.append(
            {
                "scan": k,
                "name": maps.names[k] if maps.names else "",
                "time_s": np.nan if maps.times_s is None else float(maps.times_s[k]),
                "measured_percent": 100 * float(np.isfinite(height).mean()),
                "mean_height_um": float(np.nanmean(common)),
                "Sa_um": found.Sa_um,
                "Sq_um": found.Sq_um,
                "Sz_um": found.Sz_um,
                "deviation_um": float(np.sqrt(np.nanmean(off**2))),
            }
        )
    return pd.DataFrame(rows)


def _by_lag(heights: Heights, form_order: int) -> pd.DataFrame:
    rows = []
    for lag in range(1, len(heights)):
        squares = []
        for k in range(len(heights) - lag):
            apart = heights[k + lag] - heights[k]
            squares.append(float(np.nanmean((apart - form(apart, form_order)) ** 2)))
        rows.append({"lag": lag, "noise_um": float(np.sqrt(np.mean(squares) / 2)), "pairs": len(squares)})
    return pd.DataFrame(rows)
