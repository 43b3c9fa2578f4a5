"""What a search for particles comes to: the table, and the facts that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.kernels.detect_particles import FLAG_BITS, DetectedParticles
from lee.particles.finding.axial_focus import Focus
from lee.particles.finding.pair_registration import Match
from lee.particles.table import COLUMNS, empty_table

if TYPE_CHECKING:
    from lee.particles.calibration.size_calibration import Calibration
    from lee.surfaces.surface import Surface

# Farther than this from the surface, in its own depth, a particle is not on it.
_OFF_SURFACE = 0.25
_SURE = 3.0


@dataclass(frozen=True, eq=False)
class Found:
    """Particles between two scans or frames, and what they were looked for in.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`; its ``attrs`` are `facts`.
    facts : dict
        Threshold, spot width, noise, registration, pixels left out; fits into JSON.
    seen : (H, W) bool
        Where a particle could have been found.
    image : (H, W) float32, counts
        The later frame, or the later scan along its surface; NaN where nothing was seen.
    surface : Surface or None
        What the scans were sliced along, on the grid of the particles.
    """

    particles: pd.DataFrame
    facts: dict[str, Any]
    seen: NDArray[np.bool_]
    image: NDArray[np.float32]
    surface: Surface | None


def facts_of(
    detected: DetectedParticles, registered: Match, false_alarms: float, pixel_um: float
) -> dict[str, Any]:
    """Take what a detection tells beside the particles."""
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
    focus: Focus | None = None,
    depth_um: float = np.nan,
    surface: Surface | None = None,
    calibration: Calibration | None = None,
) -> pd.DataFrame:
    """Lay detected spots out as the table of particles, um and nm.

    Parameters
    ----------
    detected : DetectedParticles
    pixel_um, time_s : float
    focus : Focus, optional
        Where along the axis they are sharpest, counted from the surface.
    depth_um : float, um
        Standard deviation of a point's brightness along the axis.
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
    words = [
        [name for name, bit in FLAG_BITS.items() if flags & bit]
        for flags in detected.flags.astype(int).tolist()
    ]
    peak, peak_sigma = np.asarray(detected.peak, np.float64), np.asarray(detected.peak_sigma, np.float64)
    columns: dict[str, Any] = dict.fromkeys(COLUMNS, unknown)
    columns["planes"] = np.ones(count, np.int64)
    if surface is not None:
        columns["z_surface_um"], columns["z_surface_sigma_um"] = _on_surface(surface, y, x, width)
        columns["z_um"], columns["z_sigma_um"] = columns["z_surface_um"], columns["z_surface_sigma_um"]
    if focus is not None and surface is not None:
        base = _at(surface.height_filled_um, y, x)
        columns["z_focus_um"] = base + focus.offset_um
        columns["z_focus_sigma_um"] = focus.offset_sigma_um
        columns["planes"] = np.maximum(focus.planes, 1)
        told = np.isfinite(focus.offset_um)
        peak, peak_sigma = np.where(told, focus.peak, peak), np.where(told, focus.peak_sigma, peak_sigma)
        without = np.isnan(columns["z_surface_um"])
        columns["z_um"] = np.where(without, columns["z_focus_um"], columns["z_surface_um"])
        columns["z_sigma_um"] = np.where(without, columns["z_focus_sigma_um"], columns["z_surface_sigma_um"])
        off = np.abs(columns["z_focus_um"] - columns["z_surface_um"])
        sure = _SURE * np.hypot(columns["z_focus_sigma_um"], columns["z_surface_sigma_um"])
        _add(words, "off_surface", off > np.fmax(_OFF_SURFACE * depth_um, sure))
        _add(words, "end_of_scan", focus.at_end)
    spot = 2 * np.pi * width**2
    intensity, intensity_sigma = spot * peak, spot * peak_sigma
    if calibration is not None:
        sizes = calibration.diameter(intensity, intensity_sigma)
        columns["diameter_nm"], columns["diameter_sigma_nm"] = sizes[0], sizes[1]
        for word in ("below_range", "above_range"):
            _add(words, word, np.asarray(sizes[2]) == word)
    columns |= {
        "time_s": np.full(count, float(time_s)),
        "x_um": x * pixel_um,
        "y_um": y * pixel_um,
        "x_sigma_um": np.asarray(detected.x_sigma_px, np.float64) * pixel_um,
        "y_sigma_um": np.asarray(detected.y_sigma_px, np.float64) * pixel_um,
        "intensity_counts": intensity,
        "intensity_sigma_counts": intensity_sigma,
        "snr": np.asarray(detected.snr, np.float64),
        "flag": np.array([" ".join(one) for one in words], dtype=object),
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _add(words: list[list[str]], word: str, which: NDArray[np.bool_]) -> None:
    for k in np.flatnonzero(which):
        words[k].append(word)


def _at(values: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.clip(np.rint(y).astype(int), 0, values.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, values.shape[1] - 1)
    return np.asarray(values[rows, columns], dtype=np.float64)


def _on_surface(
    surface: Surface, y: NDArray[np.float64], x: NDArray[np.float64], width: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean height, and mean standard deviation, of what was measured within a spot's width."""
    height, sigma = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for k in range(len(y)):
        row, column, reach = round(y[k]), round(x[k]), max(round(width[k]), 1)
        part = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        good = surface.valid[part]
        if good.any():
            height[k] = surface.height_um[part][good].mean(dtype=np.float64)
            spread = surface.height_sigma_um[part][good]
            sigma[k] = np.nanmean(spread) if np.isfinite(spread).any() else np.nan
    return height, sigma
