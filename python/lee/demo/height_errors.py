"""Errors of measured heights against the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GROSS_STEPS = 3  # an error of more z steps is a wrong peak, not a noisy one


@dataclass(frozen=True)
class HeightErrors:
    """Errors of heights against the truth.

    ``gross`` and ``within_sigma`` are shares of the measured pixels, ``coverage`` is the share of measured
    pixels among those compared. ``within_sigma`` is NaN if no standard deviation is known.
    """

    what: str
    rms_um: float
    median_um: float
    p95_um: float
    gross: float
    coverage: float
    within_sigma: float


def height_errors(
    what: str,
    height_um: NDArray[np.float32],
    truth_um: NDArray[np.float32],
    *,
    sigma_um: NDArray[np.float32] | None = None,
    where: NDArray[np.bool_] | None = None,
    step_um: float,
) -> HeightErrors:
    """Compare heights with the truth.

    Parameters
    ----------
    what : str
        Name of the row.
    height_um, truth_um : (H, W) float32, µm
        NaN where not measured, and where the truth is not known.
    sigma_um : (H, W) float32, µm, optional
        Stated standard deviation.
    where : (H, W) bool, optional
        Pixels to compare; by default all whose truth is known.
    step_um : float
        Height from one frame of the scan to the next.

    Returns
    -------
    HeightErrors
        All NaN except for the coverage if nothing was measured.
    """
    compared = np.isfinite(truth_um) if where is None else np.isfinite(truth_um) & where
    known = compared & np.isfinite(height_um)
    coverage = float(known.sum() / compared.sum()) if compared.any() else float("nan")
    if not known.any():
        return HeightErrors(what, *(float("nan"),) * 4, coverage, float("nan"))
    size = np.abs(height_um[known].astype(np.float64) - truth_um[known])
    within = float("nan") if sigma_um is None else float(np.mean(size <= sigma_um[known]))
    return HeightErrors(
        what,
        float(np.sqrt(np.mean(size**2))),
        float(np.median(size)),
        float(np.percentile(size, 95)),
        float(np.mean(size > GROSS_STEPS * step_um)),
        coverage,
        within,
    )
