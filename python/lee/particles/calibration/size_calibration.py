"""Size calibration: diameter over scattered intensity, fitted to particles of known diameter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, reason_of
from lee.particles.calibration.curve import Curve, Values
from lee.particles.calibration.fit import Points, fit_curve
from lee.particles.calibration.table import COLUMNS, checked, read_calibration_table
from lee.storage.atomic import new_file
from lee.storage.refusals import unreadable

__all__ = ["Calibration", "load_calibration", "read_calibration_table"]

_FORMAT, _VERSION = "lee size calibration", 1
_MAX_LOGARITHM = 300.0  # so that its exponential is finite


@dataclass(frozen=True, eq=False)
class Calibration:
    """A rising curve of log diameter over log intensity, and the particles it was fitted to.

    Parameters
    ----------
    points : DataFrame
        With the columns of `read_calibration_table`.
    used : (N,) bool
        False for outliers, which the fit ignores.
    curve : Curve
    scatter : float
        Standard deviation of a particle's diameter at its intensity, as a share of the diameter, beyond the
        given errors. It includes the errors that were not given.
    """

    points: pd.DataFrame
    used: NDArray[np.bool_]
    curve: Curve
    scatter: float

    @classmethod
    def fit(
        cls,
        intensity_counts: ArrayLike,
        diameter_nm: ArrayLike,
        intensity_sigma_counts: ArrayLike | None = None,
        diameter_sigma_nm: ArrayLike | None = None,
    ) -> Calibration:
        """Fit particles of known diameter, as `lee.particles.calibration.fit.fit_curve` does.

        Parameters
        ----------
        intensity_counts, diameter_nm : (N,) float, counts and nm
            One particle each, in any order.
        intensity_sigma_counts, diameter_sigma_nm : (N,) float, counts and nm, optional
            Standard deviations. Errors that are not given count as scatter, so the standard deviation that
            `diameter` returns is too large rather than too small.

        Raises
        ------
        InputError
            If a number is not finite and above 0, lengths differ, particles are too few, or their diameters
            do not rise with their intensities.
        """
        given = (intensity_counts, diameter_nm, intensity_sigma_counts, diameter_sigma_nm)
        points = checked(
            {name: values for name, values in zip(COLUMNS, given, strict=True) if values is not None}
        )
        fitted = fit_curve(_logarithms(points))
        return cls(points, fitted.used, fitted.curve, fitted.scatter)

    @property
    def range_counts(self) -> tuple[float, float]:
        """Smallest and largest intensity of the particles that were used, counts."""
        used = self.points["intensity_counts"].to_numpy()[self.used]
        return float(used.min()), float(used.max())

    def diameter(
        self, intensity_counts: ArrayLike, intensity_sigma_counts: ArrayLike | None = None
    ) -> tuple[Values, Values, NDArray[np.object_]]:
        """Return the diameters of particles.

        Parameters
        ----------
        intensity_counts : (N,) float, counts
        intensity_sigma_counts : (N,) float, counts, optional
            Standard deviations; by default intensities are exact.

        Returns
        -------
        diameter_nm : (N,) float64, nm
            NaN outside of `range_counts` and where the intensity is NaN.
        diameter_sigma_nm : (N,) float64, nm
            Standard deviation of the diameter of one such particle: the errors of its intensity and of the
            curve, and the scatter. NaN where the diameter or the intensity's error is.
        flags : (N,) object
            ``below_range``, ``above_range`` or an empty string.

        Raises
        ------
        InputError
            If lengths differ, or an error is negative.

        Notes
        -----
        Whether a particle is within the range depends on its measured intensity alone, not on the error: no
        diameter is extrapolated, and the number beyond the range does not depend on the precision of the
        measurement. A particle just inside may truly be just outside, within its error. An intensity of 0 or
        less is below the range.
        """
        counts = _one_row(intensity_counts, "intensity_counts")
        sigma = np.zeros(len(counts))
        if intensity_sigma_counts is not None:
            sigma = _one_row(intensity_sigma_counts, "intensity_sigma_counts")
        if len(sigma) != len(counts):
            raise InputError(
                f"{len(counts)} intensities, but {len(sigma)} errors of intensities: give one for each "
                "particle"
            )
        if (sigma < 0).any():
            raise InputError(f"intensity_sigma_counts is {sigma[sigma < 0][0]:g}: give errors of 0 or more")
        low, high = self.range_counts
        flags = np.full(len(counts), "", object)
        flags[counts < low], flags[counts > high] = "below_range", "above_range"
        inside = (low <= counts) & (counts <= high)
        diameter, error = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
        x = np.log(counts[inside])
        diameter[inside] = np.exp(self.curve.at(x))
        own = self.curve.slope(x) * sigma[inside] / counts[inside]
        error[inside] = diameter[inside] * np.sqrt(own**2 + self.curve.variance(x) + self.scatter**2)
        return diameter, error, flags

    def save(self, path: str | Path) -> Path:
        """Write the calibration as JSON; the file appears complete or not at all.

        Raises
        ------
        InputError
            If the name does not end in .json.
        StorageError
            If the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".json":
            raise InputError(f"{path}: a calibration is written as .json")
        description = {
            "format": _FORMAT,
            "version": _VERSION,
            "points": {name: self.points[name].tolist() for name in self.points},
            "used": self.used.tolist(),
            "curve": {
                "low": self.curve.low,
                "high": self.curve.high,
                "parameters": self.curve.parameters.tolist(),
                "covariance": self.curve.covariance.tolist(),
            },
            "scatter": self.scatter,
        }
        text = json.dumps(description, indent=1, allow_nan=False)
        with new_file(path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read a calibration written by `save`.

        Raises
        ------
        InputError
            If the file does not exist, cannot be read, is of another version, or is damaged.
        """
        path = Path(path)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise unreadable(path, error, "give a file written by `lee particles calibrate`") from error
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path} is not JSON: give a file written by `lee particles calibrate`, or a CSV table"
            ) from error
        if not isinstance(stored, Mapping) or stored.get("format") != _FORMAT:
            raise InputError(
                f"{path} is not a size calibration: give a file written by `lee particles calibrate`"
            )
        if stored.get("version") != _VERSION:
            raise InputError(
                f"{path} is of version {stored.get('version')!r}, but this version of lee reads {_VERSION}: "
                "fit the calibration again from its table"
            )
        try:
            return _restored(stored)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else reason_of(error)
            raise InputError(
                f"{path} is damaged ({reason}): fit the calibration again from its table"
            ) from error


def load_calibration(path: str | Path) -> Calibration:
    """Read a saved calibration (.json), or fit one to a table (.csv).

    Raises
    ------
    InputError
        As `Calibration.load`, `read_calibration_table` and `Calibration.fit`, or if the suffix is another.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return Calibration.load(path)
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: a size calibration is a .csv table or a .json file")
    table = read_calibration_table(path)
    try:
        return Calibration.fit(**{str(name): table[name] for name in table})
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _logarithms(points: pd.DataFrame) -> Points:
    counts, nm = points["intensity_counts"].to_numpy(), points["diameter_nm"].to_numpy()
    none = np.zeros(len(points))
    return Points(
        np.log(counts),
        np.log(nm),
        np.asarray(points.get("intensity_sigma_counts", none)) / counts,
        np.asarray(points.get("diameter_sigma_nm", none)) / nm,
    )


def _one_row(values: ArrayLike, name: str) -> Values:
    try:
        row = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} holds values that are not numbers: give one number for each particle"
        ) from error
    if row.ndim != 1:
        raise InputError(f"{name} has the shape {row.shape}: give (N,), one for each particle")
    return row


def _restored(stored: Mapping[str, Any]) -> Calibration:
    points = checked(dict(stored["points"]))
    used, scatter = np.asarray(stored["used"]), float(stored["scatter"])
    curve = Curve(
        float(stored["curve"]["low"]),
        float(stored["curve"]["high"]),
        np.asarray(stored["curve"]["parameters"], np.float64),
        np.asarray(stored["curve"]["covariance"], np.float64),
    )
    if used.dtype != bool or used.shape != (len(points),) or not used.any():
        raise ValueError("used has not one true or false for each point")
    size = curve.parameters.size
    if curve.parameters.ndim != 1 or size < 3 or curve.covariance.shape != (size, size):
        raise ValueError("parameters and covariance of the curve differ in size")
    numbers = np.r_[curve.parameters, curve.covariance.ravel(), scatter]
    if not (np.abs(numbers) < _MAX_LOGARITHM).all() or not curve.low < curve.high or scatter < 0:
        raise ValueError("a number of the curve is out of range")
    calibration = Calibration(points, used, curve, scatter)
    if not np.allclose(np.log(calibration.range_counts), (curve.low, curve.high), rtol=0, atol=1e-6):
        raise ValueError("the curve is not that of the points")
    return calibration
