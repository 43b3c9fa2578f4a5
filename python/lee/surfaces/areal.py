"""Areal parameters of a surface after ISO 25178-2, its true area and its volume, over a run too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.kernels.curvature import height_derivatives
from lee.surfaces.flattening import FLATTENED_SHARE, flattening, noise_like

_DATUM_PERCENTILE = 0.1
_DRAWS = 6  # of errors, for that of the area


@dataclass(frozen=True)
class Areal:
    """Areal parameters of one surface; all NaN where too little was measured.

    Parameters
    ----------
    Sa_um, Sq_um, Sz_um : float, µm
        Mean and root mean square distance from the least-squares plane; highest point minus lowest.
    Ssk, Sku : float
        Skewness and kurtosis.
    Sdr_percent : float, %
        How much larger than its projection the levelled surface is.
    Sdq : float
        Root mean square slope of the levelled surface.
    area_um2 : float, µm²
        True area over the whole field, tilt included; what was not measured counts as the mean.
    projected_um2 : float, µm²
        Area of the field seen from above.
    coverage : float
        Share of the field that `area_um2` was measured on.
    scale_um : float, µm
        Scale of the slopes; NaN for differences of neighbouring pixels.
    """

    Sa_um: float
    Sq_um: float
    Sz_um: float
    Ssk: float
    Sku: float
    Sdr_percent: float
    Sdq: float
    area_um2: float
    projected_um2: float
    coverage: float
    scale_um: float


def areal(
    height_um: ArrayLike, *, pixel_um: float, scale_um: float | None = None, level: bool = True
) -> Areal:
    """Measure areal parameters of a surface.

    Heights are taken from the least-squares plane through what was measured. Noise makes every surface look
    larger and steeper: neighbouring pixels 0.25 µm apart with 0.05 µm of noise add 7 % of area to a plane. So
    give a scale: slopes are then taken at it, as in `lee.curvature`.

    Parameters
    ----------
    height_um : (H, W) float32, µm
        NaN where not measured.
    pixel_um : float, µm
        Size of a pixel.
    scale_um : float, µm, optional
        Smoothing before slopes are taken, as in `lee.curvature`. By default nothing: area
        from triangles and slopes from differences between neighbouring pixels, as metrology programs do.
    level : bool
        False takes heights from their mean: for a surface whose form was removed before.

    Returns
    -------
    Areal

    Raises
    ------
    InputError
        If the map is not (H, W) with 2 pixels or more a side, or the scale does not fit the field.

    Notes
    -----
    ISO 25178-2:2021. Without a scale the area is the mean of both ways to split each square of four pixels
    into triangles (D.3), and Sdq that of the differences along both axes.
    """
    height = np.asarray(height_um, dtype=np.float64)
    if height.ndim != 2 or min(height.shape) < 2:
        raise InputError(f"areal: height_um has shape {height.shape}; give (H, W) of 2 pixels or more a side")
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"areal: pixel_um is {pixel_um}; give µm above 0")
    projected = height.size * pixel_um**2
    known = np.isfinite(height)
    scale = np.nan if scale_um is None else float(scale_um)
    if known.sum() < 4:
        unknown = dict.fromkeys(
            ("Sa_um", "Sq_um", "Sz_um", "Ssk", "Sku", "Sdr_percent", "Sdq", "area_um2"), np.nan
        )
        return Areal(**unknown, projected_um2=projected, coverage=0.0, scale_um=scale)
    if level:
        flat, tilt = _levelled(height, known)
    else:
        flat, tilt = height - height[known].mean(), np.zeros(2)
    apart = flat[known]
    squares = apart * apart
    sq = float(np.sqrt(squares.mean()))
    if scale_um is None:
        ratio, developed, slope, coverage = _from_differences(height if level else flat, flat, pixel_um)
    else:
        ratio, developed, slope, coverage = _at_scale(height, tilt / pixel_um, pixel_um, scale)
    return Areal(
        Sa_um=float(np.abs(apart).mean()),
        Sq_um=sq,
        Sz_um=float(np.ptp(apart)),
        Ssk=float((squares * apart).mean() / sq**3) if sq > 0 else np.nan,
        Sku=float((squares * squares).mean() / sq**4) if sq > 0 else np.nan,
        Sdr_percent=100 * (developed - 1),
        Sdq=slope,
        area_um2=ratio * projected,
        projected_um2=projected,
        coverage=coverage,
        scale_um=scale,
    )


def _levelled(
    height: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Subtract the least-squares plane; return its slopes (y, x), µm a pixel, too."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in height.shape)
    rows, columns = known.sum(axis=1), known.sum(axis=0)
    clean = np.where(known, height, 0)
    mixed = float(y @ known @ x)
    normal = np.array(
        [
            [rows.sum(), y @ rows, x @ columns],
            [y @ rows, (y * y) @ rows, mixed],
            [x @ columns, mixed, (x * x) @ columns],
        ]
    )
    target = np.array([clean.sum(), y @ clean.sum(axis=1), x @ clean.sum(axis=0)])
    plane: NDArray[np.float64] = np.linalg.lstsq(normal, target, rcond=None)[0]
    return height - plane[0] - plane[1] * y[:, None] - plane[2] * x[None, :], np.asarray(plane[1:])


def _from_differences(
    height: NDArray[np.float64], level: NDArray[np.float64], pixel_um: float
) -> tuple[float, float, float, float]:
    ratios = []
    for one in (height,) if height is level else (height, level):
        along, down = np.diff(one, axis=1) / pixel_um, np.diff(one, axis=0) / pixel_um
        x2, y2 = along * along, down * down
        # Each corner of a square of four pixels spans a triangle; both ways to split it use all four.
        four = [np.sqrt(1 + a + b) for a in (x2[:-1], x2[1:]) for b in (y2[:, :-1], y2[:, 1:])]
        corners: NDArray[np.float64] = np.mean(four, axis=0)
        whole = np.isfinite(corners)
        ratios.append(float(corners[whole].mean()) if whole.any() else np.nan)
    steep = [part[np.isfinite(part)] for part in (x2, y2)]
    slope = float(np.sqrt(sum(part.mean() for part in steep))) if all(part.size for part in steep) else np.nan
    return ratios[0], ratios[-1], slope, float(whole.mean())


def _at_scale(
    height: NDArray[np.float64], tilt: NDArray[np.float64], pixel_um: float, scale_um: float
) -> tuple[float, float, float, float]:
    slopes = height_derivatives(height.astype(np.float32), pixel_um=pixel_um, scale_um=scale_um)
    known = np.isfinite(slopes.x) & np.isfinite(slopes.y)
    if not known.any():
        return np.nan, np.nan, np.nan, 0.0
    x, y = slopes.x[known], slopes.y[known]
    ratio = float(np.sqrt(1 + x * x + y * y).mean(dtype=np.float64))
    x, y = x - np.float32(tilt[1]), y - np.float32(tilt[0])
    steep = x * x + y * y
    developed = float(np.sqrt(1 + steep).mean(dtype=np.float64))
    return ratio, developed, float(np.sqrt(steep.mean(dtype=np.float64))), float(known.mean())


def areal_over_time(
    heights_um: Sequence[ArrayLike] | NDArray[np.float32],
    times_s: ArrayLike,
    *,
    pixel_um: float,
    scale_um: float | None = None,
    datum_um: float | None = None,
    sigmas_um: Sequence[ArrayLike] | NDArray[np.float32] | None = None,
    noise_area_px: float = 1.0,
) -> pd.DataFrame:
    """Measure area, volume and areal parameters of every scan of a run.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Aligned, NaN where not measured; taken one after the other.
    times_s : (T,) s
    pixel_um : float, µm
    scale_um : float, µm, optional
        As in `areal`.
    datum_um : float, µm, optional
        Height the volume is counted from; by default the lowest of the first measured scan, a thousandth
        of its pixels aside.
    sigmas_um : T of (H, W) float32, µm, optional
        Standard deviations of the heights.
    noise_area_px : float
        Pixels that share one error.

    Returns
    -------
    DataFrame
        A row per scan: ``scan time_s``, the fields of `Areal`, ``volume_um3`` over the datum,
        ``deposited_um3`` since the first measured scan, both over the whole field (the mean counting where
        not measured), ``area_per_volume_per_um`` and ``datum_um``. With `sigmas_um` also standard errors:
        ``area_se_um2``, how much the focus window and
        the errors of the heights change the area at this scale, and ``deposited_se_um3``,
        from the errors of the heights and what was not measured. NaN for scans without a surface.

    Notes
    -----
    A volume is that of the heights as they were scanned: of a surface that grows, each point at the moment
    when it was in focus.

    Raises
    ------
    InputError
        If the number of times differs from that of the scans, or as `areal`.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if times.shape != (len(heights_um),):
        raise InputError(f"areal_over_time: {times.size} times for {len(heights_um)} scans; give one each")
    first: NDArray[np.float32] | None = None
    first_mean = first_variance = first_roughening = np.nan
    rows = []
    for k, time in enumerate(times):
        height = np.asarray(heights_um[k], dtype=np.float32)
        known = np.isfinite(height)
        if first is None and known.any():
            first, first_mean = height, float(height[known].mean(dtype=np.float64))
            if datum_um is None:
                datum_um = float(np.percentile(height[known], _DATUM_PERCENTILE))
        found = areal(height, pixel_um=pixel_um, scale_um=scale_um)
        deposited = unknown = np.nan
        if first is not None:
            change = height - first
            both = np.isfinite(change)
            if both.any():
                deposited = float(change[both].mean(dtype=np.float64))
                # What was not measured may differ as places do from each other.
                unknown = float(change[both].std(dtype=np.float64)) * (1 - float(both.mean()))
        # From the first scan on: pixels that a later scan lacks elsewhere do not shift its volume.
        errors: dict[str, float] = {}
        if sigmas_um is not None:
            variance = np.square(np.asarray(sigmas_um[k], dtype=np.float32)[known])
            mean_variance = float(np.nanmean(variance, dtype=np.float64)) if known.any() else np.nan
            if first is height:
                first_variance = mean_variance
            if first is height:
                sigma = np.asarray(sigmas_um[k], dtype=np.float32)
                drawn = [height + noise_like(sigma, noise_area_px, seed=n) for n in range(_DRAWS)]
                areas = [areal(one, pixel_um=pixel_um, scale_um=scale_um).area_um2 for one in drawn]
                first_roughening = float(np.sqrt(np.mean(np.square(np.array(areas) - found.area_um2))))
            flat = height + flattening(height, noise_area_px)
            flatter = areal(flat, pixel_um=pixel_um, scale_um=scale_um).area_um2 - found.area_um2
            rougher = first_roughening * np.sqrt(mean_variance / max(first_variance, 1e-30))
            alike = min(noise_area_px / max(int(known.sum()), 1), 1.0)
            noise = 0.0 if first is height else np.sqrt((mean_variance + first_variance) * alike)
            errors = {
                "area_se_um2": float(np.hypot(FLATTENED_SHARE * flatter, rougher)),
                "deposited_se_um3": found.projected_um2 * float(np.hypot(noise, unknown)),
            }
        volume = (first_mean - (np.nan if datum_um is None else datum_um) + deposited) * found.projected_um2
        rows.append(
            {
                "scan": k,
                "time_s": float(time),
                **asdict(found),
                "volume_um3": volume,
                "deposited_um3": deposited * found.projected_um2,
                "area_per_volume_per_um": found.area_um2 / volume if volume > 0 else np.nan,
                "datum_um": np.nan if datum_um is None else datum_um,
                **errors,
            }
        )
    return pd.DataFrame(rows)
