"""How large the particles of one time are: sizes, those without one, and the median with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lee.particles.table import has_flag


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of the particles of one time, or their intensities where nothing is calibrated.

    Parameters
    ----------
    values : (N,) float64, nm or counts
        Of those that have one.
    below, above : int
        Fainter and brighter than the calibration reaches: smaller, and larger, than any of `values`.
    without : int
        Without a value for another reason; they take no part in the median.
    median : float
        Of values, below and above together; infinite where it lies beyond the calibration, NaN for none.
    median_interval : (float, float)
        Between two of the values, whatever their distribution; NaN for too few particles. The calibration's
        own error is not in it.
    confidence : float
    is_calibrated : bool
        Whether `values` are diameters.
    """

    values: NDArray[np.float64]
    below: int
    above: int
    without: int
    median: float
    median_interval: tuple[float, float]
    confidence: float
    is_calibrated: bool

    @property
    def count(self) -> int:
        """All particles."""
        return len(self.values) + self.below + self.above + self.without

    @property
    def unit(self) -> str:
        """Of values and median."""
        return "nm" if self.is_calibrated else "counts"


def is_calibrated(particles: pd.DataFrame) -> bool:
    """Tell whether sizes were measured: any diameter is known, or said to lie outside of the calibration."""
    beyond = has_flag(particles, "below_range") | has_flag(particles, "above_range")
    return bool(particles["diameter_nm"].notna().any() or beyond.any())


def sizes_of(particles: pd.DataFrame, *, calibrated: bool | None = None, confidence: float = 0.95) -> Sizes:
    """Measure the sizes of the particles of one time.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`.
    calibrated : bool, optional
        Diameters, or intensities; by default what `is_calibrated` says. Give it where several times are to be
        held against each other.
    confidence : float
        Of the median's interval.

    Notes
    -----
    The interval lies between two order statistics (Conover, Practical Nonparametric Statistics, 3.2): it
    needs no distribution, and particles beyond the calibration take part by what is known of them. 95 % need
    six particles.
    """
    if calibrated is None:
        calibrated = is_calibrated(particles)
    found = particles["diameter_nm" if calibrated else "intensity_counts"].to_numpy(np.float64)
    known = np.isfinite(found) & (found > 0)
    below, above = (
        int((has_flag(particles, flag).to_numpy() & ~known).sum()) if calibrated else 0
        for flag in ("below_range", "above_range")
    )
    values = found[known]
    ranked = np.concatenate([np.full(below, -np.inf), np.sort(values), np.full(above, np.inf)])
    median, interval = _median(ranked, confidence)
    return Sizes(
        values=values,
        below=below,
        above=above,
        without=len(found) - len(ranked),
        median=median,
        median_interval=interval,
        confidence=confidence,
        is_calibrated=calibrated,
    )


def _median(ranked: NDArray[np.float64], confidence: float) -> tuple[float, tuple[float, float]]:
    n = len(ranked)
    if n == 0:
        return np.nan, (np.nan, np.nan)
    lower, upper = float(ranked[(n - 1) // 2]), float(ranked[n // 2])
    median = lower if lower == upper else (lower + upper) / 2
    k = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    if k < 1:
        return median, (np.nan, np.nan)
    return median, (float(ranked[k - 1]), float(ranked[n - k]))


def median_text(sizes: Sizes) -> str:
    """Write median and interval with their unit."""
    if np.isnan(sizes.median):
        return "unknown"
    low, high = sizes.median_interval
    if np.isinf(sizes.median):
        said = f"{'below' if sizes.median < 0 else 'above'} the calibration's range"
    else:
        said = f"{_number(sizes.median)} {sizes.unit}"
    if np.isnan(low):
        return f"{said} (too few for an interval)"
    ends = [
        f"{'below' if end < 0 else 'beyond'} the range" if np.isinf(end) else _number(end)
        for end in (low, high)
    ]
    return f"{said} ({ends[0]} to {ends[1]})"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
