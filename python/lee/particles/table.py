"""The table of particles: columns, flags, reading and writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lee.errors import InputError, MissingDependency, install_extra, reason_of
from lee.storage.atomic import new_file
from lee.storage.refusals import unreadable

# Lengths are on the grid of the later scan (or frame), with the middle of its pixel (0, 0) at (0, 0); sigmas
# are standard deviations. NaN means unknown.
COLUMNS = {
    "time_s": "when the later scan began",
    "x_um": "along rows",
    "y_um": "down the image",
    "z_um": "height: the surface's where measured, else the particle's own focus",
    "x_sigma_um": "of x_um",
    "y_sigma_um": "of y_um",
    "z_sigma_um": "of z_um",
    "z_surface_um": "height of the surface there",
    "z_surface_sigma_um": "of z_surface_um",
    "z_focus_um": "height at which the particle itself is sharpest",
    "z_focus_sigma_um": "of z_focus_um",
    "intensity_counts": "counts of its whole spot in best focus, above the earlier scan",
    "intensity_sigma_counts": "of intensity_counts",
    "snr": "peak of the matched filter over the local noise",
    "diameter_nm": "from the calibration; NaN without one and outside its range",
    "diameter_sigma_nm": "of diameter_nm, including the calibration's uncertainty",
    "planes": "number of slices that show it",
    "flag": "names of `FLAGS`, separated by spaces; empty for none",
}
FLAGS = {
    "crowded": "its spot overlaps a neighbour's; both were fitted together",
    "edge": "its spot is cut by the border of the image",
    "masked": "part of its spot was saturated or not measured",
    "wide": "its spot is wider than a point's: larger than the resolution, or several unresolved particles",
    "below_range": "fainter than the calibration range",
    "above_range": "brighter than the calibration range",
    "off_surface": "its focus is away from the surface",
    "end_of_scan": "it is sharpest at the first or last height: its focus may be beyond",
}
TRACKPY = ("y", "x", "mass", "size", "ecc", "signal", "raw_mass", "ep", "frame")


def empty_table() -> pd.DataFrame:
    """Return a table without particles, with all columns and their types."""
    return pd.DataFrame({name: pd.Series(dtype=_dtype(name)) for name in COLUMNS})


def _dtype(name: str) -> str:
    return {"planes": "int64", "flag": "object"}.get(name, "float64")


def has_flag(particles: pd.DataFrame, flag: str) -> pd.Series:
    """Return which particles carry a flag, (N,) bool."""
    words = particles["flag"].astype(str).str.split()
    return words.map(lambda carried: flag in carried).astype(bool)


def with_trackpy_columns(particles: pd.DataFrame, *, pixel_um: float, spot_sigma_px: float) -> pd.DataFrame:
    """Add the columns that trackpy expects, so that ``trackpy.link`` runs on the table.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `COLUMNS`.
    pixel_um : float, µm
    spot_sigma_px : float, px
        Of the Gaussian the spots were found with.

    Returns
    -------
    DataFrame
        With ``y`` and ``x`` (px), ``mass`` and ``raw_mass`` (counts), ``size`` (px, radius of gyration of
        a Gaussian spot), ``ecc`` (0: round), ``signal`` (counts, the spot's peak), ``ep`` (px, standard
        deviation of the position) and ``frame`` (0, 1, ... in order of time).
    """
    out = particles.copy()
    out["y"], out["x"] = particles["y_um"] / pixel_um, particles["x_um"] / pixel_um
    out["mass"] = out["raw_mass"] = particles["intensity_counts"]
    out["size"] = np.sqrt(2.0) * spot_sigma_px
    out["ecc"] = 0.0
    out["signal"] = particles["intensity_counts"] / (2 * np.pi * spot_sigma_px**2)
    out["ep"] = np.hypot(particles["y_sigma_um"], particles["x_sigma_um"]) / np.sqrt(2.0) / pixel_um
    out["frame"] = pd.factorize(particles["time_s"].fillna(0.0), sort=True)[0].astype(np.int64)
    return out


def write_table(particles: pd.DataFrame, path: str | Path) -> Path:
    """Write particles as CSV or Parquet, by the suffix; the file appears complete or not at all.

    Raises
    ------
    InputError
        If the suffix is another.
    StorageError
        If the file cannot be written.
    MissingDependency
        If pyarrow, which Parquet needs, is not installed.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"{path}: a table of particles is written as .csv or .parquet")
    with new_file(path) as partial:
        if path.suffix == ".csv":
            particles.to_csv(partial, index=False, float_format="%.7g")
        else:
            try:
                particles.to_parquet(partial, index=False)
            except ImportError as error:
                raise MissingDependency(
                    f"{path}: Parquet needs pyarrow, which is not installed: {install_extra('parquet')}, "
                    "or write .csv"
                ) from error
    return path


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table written by `write_table`.

    Raises
    ------
    InputError
        If the file does not exist, cannot be read, or lacks a column.
    """
    path = Path(path)
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except ImportError as error:
        raise MissingDependency(
            f"{path}: Parquet needs pyarrow, which is not installed: {install_extra('parquet')}"
        ) from error
    except OSError as error:
        raise unreadable(path, error, "give a table written by `lee particles`") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: cannot be read as a table of particles ({reason_of(error)})") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}; give a table written by `lee particles`")
    table["flag"] = table["flag"].astype(object).where(table["flag"].notna(), "")
    return table
