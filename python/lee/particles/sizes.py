"""Sizes of the particles of one time, and their median with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lee.particles.table import has_flag


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of the particles of one time, or their intensities without a calibration.

    Parameters
    ----------
    values : (N,) float64, nm or counts
        Of the particles that have one.
    below, above : int
        Number of particles fainter and brighter than the calibration range: smaller, and larger, than any
        of `values`.
    without : int
        Number without a value for another reason; they are ignored in the median.
    median : float
        Of values, below and above together; infinite where it is beyond the calibration range, NaN for none.
    median_interval : (float, float)
        Confidence interval between two of the values, for any distribution; NaN for too few particles. The
        calibration's own error is not included.
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
        """Number of all particles."""
        return len(self.values) + self.below + self.above + self.without

    @property
    def unit(self) -> str:
        """Unit of values and median."""
        return "nm" if self.is_calibrated else "counts"


def is_calibrated(particles: pd.DataFrame) -> bool:
    """Return whether sizes were measured: any diameter is known, or flagged as out of range."""
    beyond = has_flag(particles, "below_range") | has_flag(particles, "above_range")
    return bool(particles["diameter_nm"].notna().any() or beyond.any())


def sizes_of(particles: pd.DataFrame, *, calibrated: bool | None = None, confidence: float = 0.95) -> Sizes:
    """Measure the sizes of the particles of one time.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`.
    calibrated : bool, optional
        Diameters, or intensities; by default as `is_calibrated` returns. Give it to compare several times.
    confidence : float
        Of the median's interval.

    Notes
    -----
    The interval is between two order statistics (Conover, Practical Nonparametric Statistics, 3.2): it
    assumes no distribution, and particles beyond the calibration count by their order. 95 % need six
    particles.
    """
    if calibrated is None:
        calibrated = is_calibrated(particles)
    measured = particles["diameter_nm" if calibrated else "intensity_counts"].to_numpy(np.float64)
    known = np.isfinite(measured) & (measured > 0)
    below, above = (
        int((has_flag(particles, flag).to_numpy() & ~known).sum()) if calibrated else 0
        for flag in ("below_range", "above_range")
    )
    values = measured[known]
    ranked = np.concatenate([np.full(below, -np.inf), np.sort(values), np.full(above, np.inf)])
    median, interval = _median(ranked, confidence)
    return Sizes(
        values=values,
        below=below,
        above=above,
        without=len(measured) - len(ranked),
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
    """Format median and interval with their unit."""
    if np.isnan(sizes.median):
        return "unknown"
    low, high = sizes.median_interval
    if np.isinf(sizes.median):
        text = f"{'below' if sizes.median < 0 else 'above'} the calibration range"
    else:
        text = f"{_number(sizes.median)} {sizes.unit}"
    if np.isnan(low):
        return f"{text} (too few particles for an interval)"
    ends = [
        f"{'below' if end < 0 else 'above'} the range" if np.isinf(end) else _number(end)
        for end in (low, high)
    ]
    return f"{text} ({ends[0]} to {ends[1]})"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
