"""Errors of heights against the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Errors = NDArray[np.floating]
FAR_STEPS = 3


@dataclass(frozen=True)
class Score:
    """Errors in µm over pixels with a height and a truth; ``far`` is the share beyond three steps."""

    rms: float
    median: float
    p95: float
    far: float


def score(errors: Errors, step_um: float) -> Score:
    """Score errors (N,) µm; NaN, where there is no height or no truth, is ignored."""
    size = np.abs(errors[np.isfinite(errors)])
    if size.size == 0:
        return Score(np.nan, np.nan, np.nan, np.nan)
    rms = float(np.sqrt(np.mean(np.square(size, dtype=np.float64))))
    p95 = float(np.percentile(size, 95))
    return Score(rms, float(np.median(size)), p95, float(np.mean(size > FAR_STEPS * step_um)))


def within_sigma(errors: Errors, sigma: Errors) -> float:
    """Return the share of errors within one standard deviation, where both are known: 0.683 if calibrated."""
    known = np.isfinite(errors) & np.isfinite(sigma)
    return float(np.mean(np.abs(errors[known]) <= sigma[known])) if known.any() else np.nan
