"""The result of a detection between two scans: the table of particles, and the details that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.kernels.detect_particles import FLAG_BITS, DetectedParticles
from lee.particles.finding.axial_focus import AxialFocus
from lee.particles.finding.pair_registration import Registration
from lee.particles.table import COLUMNS, empty_table

if TYPE_CHECKING:
    from typing import Any

    from lee.particles.calibration.size_calibration import Calibration
    from lee.surfaces.surface import Surface

    # What describes a detection beside its particles, by the names `particles.json` gives them.
    Details = dict[str, Any]

# Farther than this from the surface, in the depth of a point's focus, a particle is not on it.
_OFF_SURFACE = 0.25
_SIGNIFICANT_SIGMAS = 3.0
_FLAG_SETS = 2 * max(FLAG_BITS.values())


@dataclass(frozen=True, eq=False)
class Detection:
    """Particles between two scans or frames, with the image and the area in which they were searched for.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`; its ``attrs`` are `details`.
    details : dict
        Threshold, spot width, noise, registration, ignored pixels; fits into JSON.
    searched : (H, W) bool
        Where a particle could have been found.
    image : (H, W) float32, counts
        The later frame, or the later scan along its surface; NaN where nothing was seen.
    surface : Surface or None
        The scans were sliced along it; on the grid of the particles.
    """

    particles: pd.DataFrame
    details: Details
    searched: NDArray[np.bool_]
    image: NDArray[np.float32]
    surface: Surface | None


def details_of(
    detected: DetectedParticles, registered: Registration, false_alarms: float, pixel_um: float
) -> Details:
    """Collect what describes a detection beside the particles."""
    return {
        "particles": len(detected.y_px),
        "false_alarms": float(false_alarms),
        "threshold_snr": detected.threshold_snr,
        "spot_sigma_px": detected.spot_sigma_px,
        "spot_sigma_from": detected.sigma_from,
        "noise_counts": detected.noise,
        "noise_excess": detected.excess,
        "not_measured_px": detected.not_measured,
        "saturated_px": detected.saturated,
        "left_out": detected.left_out,
        "shift_px": list(registered.shift_px),
        "shared_texture": None if np.isnan(registered.shared) else round(registered.shared, 4),
        "pixel_um": pixel_um,
    }


def table_of(
    detected: DetectedParticles,
    *,
    pixel_um: float,
    time_s: float,
    focus: AxialFocus | None = None,
    depth_um: float = np.nan,
    surface: Surface | None = None,
    calibration: Calibration | None = None,
) -> pd.DataFrame:
    """Convert detected spots to the table of particles, in µm and nm.

    Parameters
    ----------
    detected : DetectedParticles
    pixel_um, time_s : float
    focus : AxialFocus, optional
        Where along the axis they are sharpest, relative to the surface.
    depth_um : float, µm
        Full width at half maximum of a point's brightness along the axis.
    surface : Surface, optional
        On the grid of the spots.
    calibration : Calibration, optional
        Without one diameters are NaN.
    """
    count = len(detected.y_px)
    if count == 0:
        return empty_table()
    y, x, width = (np.asarray(v, np.float64) for v in (detected.y_px, detected.x_px, detected.width_px))
    unknown = np.full(count, np.nan)
    named = [[name for name, bit in FLAG_BITS.items() if bits & bit] for bits in range(_FLAG_SETS)]
    flags = [list(named[bits]) for bits in detected.flags.tolist()]
    peak, peak_sigma = np.asarray(detected.peak, np.float64), np.asarray(detected.peak_sigma, np.float64)
    columns: dict[str, NDArray[np.float64]] = dict.fromkeys(COLUMNS, unknown)
    seen_in = np.ones(count, np.int64)
    if surface is not None:
        columns["z_surface_um"], columns["z_surface_sigma_um"] = _on_surface(surface, y, x, width)
        columns["z_um"], columns["z_sigma_um"] = columns["z_surface_um"], columns["z_surface_sigma_um"]
    if focus is not None and surface is not None:
        columns["z_focus_um"] = _at(surface.height_filled_um, y, x) + focus.offset_um
        columns["z_focus_sigma_um"] = focus.offset_sigma_um
        seen_in = np.maximum(focus.planes, 1)
        known = np.isfinite(focus.offset_um)
        peak, peak_sigma = np.where(known, focus.peak, peak), np.where(known, focus.peak_sigma, peak_sigma)
        without = np.isnan(columns["z_surface_um"])
        columns["z_um"] = np.where(without, columns["z_focus_um"], columns["z_surface_um"])
        columns["z_sigma_um"] = np.where(without, columns["z_focus_sigma_um"], columns["z_surface_sigma_um"])
        off = np.abs(columns["z_focus_um"] - columns["z_surface_um"])
        significant = _SIGNIFICANT_SIGMAS * np.hypot(
            columns["z_focus_sigma_um"], columns["z_surface_sigma_um"]
        )
        _add(flags, "off_surface", off > np.fmax(_OFF_SURFACE * depth_um, significant))
        _add(flags, "end_of_scan", focus.at_end)
    spot = 2 * np.pi * width**2
    intensity, intensity_sigma = spot * peak, spot * peak_sigma
    if calibration is not None:
        diameter, diameter_sigma, in_range = calibration.diameter(intensity, intensity_sigma)
        columns["diameter_nm"], columns["diameter_sigma_nm"] = diameter, diameter_sigma
        for flag in ("below_range", "above_range"):
            _add(flags, flag, np.asarray(in_range) == flag)
    columns |= {
        "time_s": np.full(count, float(time_s)),
        "x_um": x * pixel_um,
        "y_um": y * pixel_um,
        "x_sigma_um": np.asarray(detected.x_sigma_px, np.float64) * pixel_um,
        "y_sigma_um": np.asarray(detected.y_sigma_px, np.float64) * pixel_um,
        "intensity_counts": intensity,
        "intensity_sigma_counts": intensity_sigma,
        "snr": np.asarray(detected.snr, np.float64),
    }
    joined = np.array([" ".join(one) for one in flags], dtype=object)
    return pd.DataFrame({**{name: columns[name] for name in COLUMNS}, "planes": seen_in, "flag": joined})


def _add(flags: list[list[str]], flag: str, which: NDArray[np.bool_]) -> None:
    for k in np.flatnonzero(which):
        flags[k].append(flag)


def _at(values: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.clip(np.rint(y).astype(int), 0, values.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, values.shape[1] - 1)
    return np.asarray(values[rows, columns], dtype=np.float64)


def _on_surface(
    surface: Surface, y: NDArray[np.float64], x: NDArray[np.float64], width: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean height, and mean standard deviation, of the pixels measured within a spot's width."""
    height, sigma = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for k in range(len(y)):
        row, column, reach = round(y[k]), round(x[k]), max(round(width[k]), 1)
        part = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        good = surface.valid[part]
        if good.any():
            height[k] = surface.height_um[part][good].mean(dtype=np.float64)
            sigmas = surface.height_sigma_um[part][good]
            sigma[k] = np.nanmean(sigmas) if np.isfinite(sigmas).any() else np.nan
    return height, sigma
