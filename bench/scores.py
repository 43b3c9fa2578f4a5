"""Errors of heights against the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Errors = NDArray[np.floating]
Mask = NDArray[np.bool_]
FAR_STEPS = 3


@dataclass(frozen=True)
class Score:
    """Errors in µm over pixels with a height and a truth; ``far`` is the share beyond three steps."""

    rms: float
    median: float
    p95: float
    far: float


@dataclass(frozen=True)
class Called:
    """What is called measured among some pixels.

    ``measured`` is the share of them with a height, ``wrong`` the share with a height beyond three steps of
    the truth: of all of them, not only of the measured ones. NaN where there are none.
    """

    measured: float
    wrong: float


def score(errors: Errors, step_um: float) -> Score:
    """Score errors (N,) µm; NaN, where there is no height or no truth, is ignored."""
    size = np.abs(errors[np.isfinite(errors)])
    if size.size == 0:
        return Score(np.nan, np.nan, np.nan, np.nan)
    rms = float(np.sqrt(np.mean(np.square(size, dtype=np.float64))))
    p95 = float(np.percentile(size, 95))
    return Score(rms, float(np.median(size)), p95, float(np.mean(size > FAR_STEPS * step_um)))


def called(errors: Errors, step_um: float) -> Called:
    """Judge errors (N,) µm of pixels that all have a truth; NaN where a pixel is not called measured."""
    if errors.size == 0:
        return Called(np.nan, np.nan)
    with np.errstate(invalid="ignore"):
        wrong = np.abs(errors) > FAR_STEPS * step_um
    return Called(float(np.isfinite(errors).mean()), float(wrong.mean()))


def within_sigma(errors: Errors, sigma: Errors, sigmas: float = 1.0) -> float:
    """Return the share of errors within so many standard deviations, where both are known.

    If they are calibrated, it is 0.683 for one and 0.997 for three.
    """
    known = np.isfinite(errors) & np.isfinite(sigma)
    return float(np.mean(np.abs(errors[known]) <= sigmas * sigma[known])) if known.any() else np.nan


def focus_classes(touched: Mask, hidden_share: Errors) -> dict[str, Mask]:
    """Part the pixels that bodies touched by how much of their focus was hidden.

    "free": only frames out of focus were touched; "partly": up to half of those in focus; "hidden": most.
    """
    return {
        "free": touched & (hidden_share == 0),
        "partly": touched & (hidden_share > 0) & (hidden_share <= 0.5),
        "hidden": touched & (hidden_share > 0.5),
    }
