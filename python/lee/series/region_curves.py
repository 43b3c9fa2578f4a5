"""Height and rate of regions over time, with standard errors that allow for correlated errors of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from lee.errors import InputError
from lee.surfaces.flattening import FLATTENED_SHARE, flattening
from lee.surfaces.regions import Region

Maps = Sequence[NDArray[np.float32]] | NDArray[np.float32]

_MAX_TRIPLES = 4
_CROP_PX = 512
_REACH_PX = 32
# Wider than this, the residual between three scans is non-linear growth, not error.
_WIDE_PX = 16.0
_TAIL = 2.5
_OUTLIER_SIGMAS = 4.0
_MIN_SHARE = 0.1


def noise_area_px(heights_um: Maps, times_s: ArrayLike) -> float:
    """Measure how many pixels share one error: the integral of the errors' spatial autocorrelation.

    The deviation of a scan from the line between its neighbours in time is error, once its part that is
    smooth over 16 pixels is subtracted: relief and steady growth then cancel. Errors shared by more than
    about 30 pixels, or by a whole scan, are not included.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Aligned, NaN where not measured.
    times_s : (T,) s

    Returns
    -------
    float
        Pixels, 1 or more; 1 for fewer than three usable scans.
    """
    times = np.asarray(times_s, dtype=np.float64)
    areas = []
    for k in (
        np.unique(np.linspace(1, len(times) - 2, _MAX_TRIPLES).round().astype(int)) if len(times) > 2 else []
    ):
        share = (times[k + 1] - times[k]) / (times[k + 1] - times[k - 1])
        before, now, after = (_middle(np.asarray(heights_um[j])) for j in (k - 1, k, k + 1))
        error = now - np.float32(share) * before - np.float32(1 - share) * after
        area = _correlation_area(error)
        if area is not None:
            areas.append(area)
    return float(np.median(areas)) if areas else 1.0


def _middle(height: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max((n - _CROP_PX) // 2, 0) for n in height.shape)
    return np.asarray(height[top : top + _CROP_PX, left : left + _CROP_PX], dtype=np.float32)


def _correlation_area(error: NDArray[np.float32]) -> float | None:
    known = np.isfinite(error)
    if known.sum() < 500:
        return None
    centred = np.where(known, error - np.median(error[known]), np.float32(0))
    limit = _OUTLIER_SIGMAS * 1.4826 * float(np.median(np.abs(centred[known])))
    if limit <= 0:
        return None
    # Outliers are uncorrelated, and would mask the correlation of the others.
    known &= np.abs(centred) < limit
    centred *= known
    share = ndimage.gaussian_filter(known.astype(np.float32), _WIDE_PX)
    centred -= ndimage.gaussian_filter(centred, _WIDE_PX) / np.maximum(share, np.float32(0.01))
    centred *= known
    size = [fft.next_fast_len(n + _REACH_PX, real=True) for n in error.shape]
    power = fft.irfft2(np.abs(fft.rfft2(centred, size)) ** 2, size)
    pairs = fft.irfft2(np.abs(fft.rfft2(known.astype(np.float32), size)) ** 2, size)
    lags = np.arange(-_REACH_PX + 1, _REACH_PX)
    at = np.ix_(lags % size[0], lags % size[1])
    correlation = power[at] / np.maximum(pairs[at], 1)
    correlation /= correlation[_REACH_PX - 1, _REACH_PX - 1]
    radius = np.rint(np.hypot(lags[:, None], lags[None, :])).astype(int)
    rings = np.bincount(radius.ravel(), correlation.ravel()) / np.bincount(radius.ravel())
    # Beyond the first zero there is only noise.
    zeros = np.nonzero(rings[:_REACH_PX] <= 0.02)[0]
    reach = zeros[0] if zeros.size else _REACH_PX
    return max(float(correlation[radius < reach].sum()), 1.0)


def region_curves(
    regions: Sequence[Region],
    heights_um: Maps,
    rates_nm_per_s: Maps,
    rate_sigmas_nm_per_s: Maps,
    times_s: ArrayLike,
    *,
    pixel_um: float,
    sigmas_um: Maps | None = None,
    shared_sigmas_nm_per_s: ArrayLike | None = None,
    noise_area: float | None = None,
) -> pd.DataFrame:
    """Measure the height and rate of regions over time.

    A region's height is that of its first measured scan plus the mean change since, pixel by pixel; a pixel
    that is not measured is assumed to grow like the rest of the region meanwhile, so that changing coverage
    shifts nothing. Outliers are clipped. Standard errors are those of the region's mean: the pixels' standard
    deviations and the number of pixels with independent errors. Those of rates also hold what is shared by
    all pixels of a scan's fit, and how the focus window flattens growth that varies over its width. Drift of
    the stage along z, an error of its scale, and for heights a constant error come in addition.

    Parameters
    ----------
    regions : list of Region
    heights_um : T of (H, W) float32, µm
        Aligned, NaN where not measured; read one after the other.
    rates_nm_per_s, rate_sigmas_nm_per_s : T of (H, W) float32, nm/s
        As from `lee.series.growth.rates.growth`.
    times_s : (T,) s
    pixel_um : float, µm
    sigmas_um : T of (H, W) float32, µm, optional
        Standard deviations of the heights; by default derived from those of the rates, as if a rate came
        from two neighbouring scans.
    shared_sigmas_nm_per_s : (T,) float, nm/s, optional
        The part of the rates' standard deviations that no mean lessens, as from `growth`; 0 by default.
    noise_area : float, optional
        Pixels that share one error; by default `noise_area_px` of the heights.

    Returns
    -------
    DataFrame
        One row per region and scan: ``region kind scan time_s height_um height_se_um rate_nm_per_s
        rate_se_nm_per_s rate_shared_se_nm_per_s`` (the part that no mean lessens)
        ``rate_flattening_nm_per_s`` (by how much the mean rate would change if it was
        flattened once more; 0.7 of it is in the standard error) ``rate_sd_nm_per_s`` (variation of the rate
        within the region) ``area_um2 measured_share note``. NaN with a note where less than a tenth of a
        region was measured.

    Raises
    ------
    InputError
        If the numbers of maps differ or a region is of another shape.
    """
    times = np.asarray(times_s, dtype=np.float64)
    for name, maps in (
        ("heights_um", heights_um),
        ("rates", rates_nm_per_s),
        ("rate_sigmas", rate_sigmas_nm_per_s),
    ):
        if len(maps) != len(times):
            raise InputError(
                f"region_curves: {len(maps)} maps in {name} for {len(times)} times; give one each"
            )
    shape = np.shape(heights_um[0])
    for region in regions:
        if region.mask.shape != shape:
            raise InputError(
                f"region {region.name} is {region.mask.shape}, the maps {shape}: give regions on the run's "
                "grid"
            )
    shared = noise_area_px(heights_um, times) if noise_area is None else max(float(noise_area), 1.0)
    common = np.zeros(len(times)) if shared_sigmas_nm_per_s is None else np.asarray(shared_sigmas_nm_per_s)
    places = [np.flatnonzero(region.mask) for region in regions]
    heights = [_RegionHeight() for _ in regions]
    rows = []
    for k, time in enumerate(times):
        height, rate, sigma = (
            np.asarray(maps[k], dtype=np.float32).ravel()
            for maps in (heights_um, rates_nm_per_s, rate_sigmas_nm_per_s)
        )
        flatter = flattening(rate.reshape(shape), shared).ravel() if regions else rate
        height_sigma = None if sigmas_um is None else np.asarray(sigmas_um[k], dtype=np.float32).ravel()
        for n, (region, place) in enumerate(zip(regions, places, strict=True)):
            here = height[place]
            measured = float(np.isfinite(here).mean()) if place.size else 0.0
            level, level_se = np.nan, np.nan
            if measured >= _MIN_SHARE:
                level = heights[n].level(here)
                count = int(np.isfinite(here).sum())
                if height_sigma is not None:
                    level_se = _error(height_sigma[place], count, shared)
                else:
                    level_se = _error(sigma[place], count, shared) * _spacing(times) / 1000 / np.sqrt(2)
            speed, spread, count = _clipped(rate[place])
            enough = count >= _MIN_SHARE * place.size and count > 0
            flattened = _clipped(flatter[place])[0]
            rows.append(
                {
                    "region": region.name,
                    "kind": region.kind,
                    "scan": k,
                    "time_s": float(time),
                    "height_um": level,
                    "height_se_um": level_se,
                    "rate_nm_per_s": speed if enough else np.nan,
                    "rate_se_nm_per_s": float(
                        np.hypot(
                            _error(sigma[place], count, shared, float(common[k])),
                            FLATTENED_SHARE * flattened,
                        )
                    )
                    if enough
                    else np.nan,
                    "rate_shared_se_nm_per_s": float(common[k]) if enough else np.nan,
                    "rate_flattening_nm_per_s": flattened if enough else np.nan,
                    "rate_sd_nm_per_s": spread if enough else np.nan,
                    "area_um2": place.size * pixel_um**2,
                    "measured_share": measured,
                    "note": "" if measured >= _MIN_SHARE else "not measured",
                }
            )
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    "region",
    "kind",
    "scan",
    "time_s",
    "height_um",
    "height_se_um",
    "rate_nm_per_s",
    "rate_se_nm_per_s",
    "rate_shared_se_nm_per_s",
    "rate_flattening_nm_per_s",
    "rate_sd_nm_per_s",
    "area_um2",
    "measured_share",
    "note",
)


class _RegionHeight:
    """The height of a region from scan to scan."""

    def __init__(self) -> None:
        self._base = np.nan
        self._start: NDArray[np.float32] | None = None
        self._change: NDArray[np.float32] = np.zeros(0, np.float32)

    def level(self, here: NDArray[np.float32]) -> float:
        if self._start is None:
            self._start, self._change = here.copy(), here - here
            self._base = float(np.nanmean(here, dtype=np.float64))
            return self._base
        change = here - self._start
        since = np.float32(_clipped(change - self._change)[0])
        if np.isfinite(since):
            self._change = np.where(np.isfinite(change), change, self._change + since)
        level = _clipped(self._change)[0]
        # Pixels that the first scan lacks start here.
        late = ~np.isfinite(self._start) & np.isfinite(here)
        self._start[late] = here[late] - np.float32(level)
        self._change[late] = level
        return self._base + level


def _spacing(times: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else np.nan


def _clipped(values: NDArray[np.float32]) -> tuple[float, float, int]:
    """Return mean, standard deviation and number of the measured values, with outliers clipped."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return np.nan, np.nan, 0
    # Limits far outside nearly all values, not from the standard deviation: a region may grow only in part.
    low, high = np.percentile(known, [_TAIL, 100 - _TAIL])
    clipped = np.clip(known, 2 * low - high, 2 * high - low).astype(np.float64)
    return float(clipped.mean()), float(clipped.std()), int(known.size)


def _error(sigma: NDArray[np.float32], count: int, alike: float, common: float = 0.0) -> float:
    """Return the error of the mean of pixels; so many share an error, and all the common one."""
    known = sigma[np.isfinite(sigma)]
    if known.size == 0 or count == 0:
        return np.nan
    own = max(float(np.mean(np.square(known, dtype=np.float64))) - common**2, 0.0)
    return float(np.sqrt(own * min(alike / count, 1.0) + common**2))


def rate_ratio(curves: pd.DataFrame, *, of: str = "trench", to: str = "protrusion") -> pd.DataFrame:
    """Compare the rates of two kinds of regions, scan by scan.

    Parameters
    ----------
    curves : DataFrame
        From `region_curves`.
    of, to : str
        Kinds, or names, of the regions in the numerator and denominator; several are averaged by area.

    Returns
    -------
    DataFrame
        ``scan time_s ratio ratio_se``; NaN if either is not measured.

    Raises
    ------
    InputError
        If there is no region of that kind or name.
    """
    sides = []
    for kind in (of, to):
        part = curves[(curves["kind"] == kind) | (curves["region"] == kind)]
        if part.empty:
            raise InputError(
                f"rate_ratio: no region is a {kind}; the kinds are {sorted(set(curves['kind']))}"
            )
        sides.append(_pooled(part))
    over, under = sides
    ratio = over["rate"] / under["rate"]
    # Flattening lowers one rate and raises the other: its errors do not cancel.
    flattened = FLATTENED_SHARE * (over["flattening"] / over["rate"] - under["flattening"] / under["rate"])
    own = (over["se"] / over["rate"]) ** 2 + (under["se"] / under["rate"]) ** 2
    error = ratio.abs() * np.sqrt(own + flattened**2)
    times = curves.groupby("scan")["time_s"].first()
    return pd.DataFrame(
        {
            "scan": ratio.index,
            "time_s": times.to_numpy(),
            "ratio": ratio.to_numpy(),
            "ratio_se": error.to_numpy(),
        }
    )


def _pooled(part: pd.DataFrame) -> pd.DataFrame:
    """Return mean rate, standard error without flattening, and flattening of several regions by area."""
    known = part[np.isfinite(part["rate_nm_per_s"])]
    area = known["area_um2"].groupby(known["scan"]).sum()
    weight = known["area_um2"] / known["scan"].map(area)
    nothing = 0 * known["rate_nm_per_s"]
    flat = known.get("rate_flattening_nm_per_s", nothing)
    shared = known.get("rate_shared_se_nm_per_s", nothing) ** 2
    own = known["rate_se_nm_per_s"] ** 2 - (FLATTENED_SHARE * flat) ** 2 - shared
    mean = {
        "rate": (weight * known["rate_nm_per_s"]).groupby(known["scan"]).sum(),
        "se": np.sqrt((weight**2 * own.clip(lower=0) + weight * shared).groupby(known["scan"]).sum()),
        "flattening": (weight * flat).groupby(known["scan"]).sum(),
    }
    return pd.DataFrame(mean).reindex(sorted(set(part["scan"])))
