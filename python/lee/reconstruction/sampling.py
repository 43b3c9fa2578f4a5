"""What it costs where a focus curve has too few samples: steps nearly as wide as it, and the scan's ends."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

# Standard deviation of a height, in steps, by the step over the depth of field. That is measured with the
# same steps, and never comes out smaller than they are.
_STEP_OVER_DEPTH = (0.6, 0.7, 0.8, 0.87, 0.93, 0.97, 1.0)
_SIGMA_OVER_STEP = (0.0, 0.04, 0.07, 0.095, 0.2, 0.3, 0.33)
# Near an end of the scan a side of the focus curve is cut off, which pulls its middle inwards: by this share
# of the depth of field at the end itself, and by nothing this share of it away.
_PULL_AT_END, _PULL_REACH = 0.14, 0.7
# From here on users are told.
_TOO_COARSE = 0.8


def sampling_sigma_um(
    height_um: NDArray[np.float32], z_um: NDArray[np.float64], depth_um: float
) -> NDArray[np.float32]:
    """Return the standard deviation of heights that the choice of frames alone causes, (H, W) µm.

    Wide steps sample a focus curve too thinly, and the ends of a scan cut it off.

    Parameters
    ----------
    height_um : (H, W) float32
        NaN where not measured.
    z_um : (N,) float64
        Heights of the frames.
    depth_um : float
        Full width at half maximum of the focus curve.

    Warns
    -----
    UserWarning
        If half of the steps are too wide for the focus curve to be resolved.
    """
    z = np.sort(z_um)
    steps = np.diff(z)
    to_end = np.minimum(height_um - z[0], z[-1] - height_um) / np.float32(depth_um)
    pulled = _PULL_AT_END * depth_um * np.clip(1 - to_end / _PULL_REACH, 0, 1)
    if steps.size == 0 or steps.max() < _STEP_OVER_DEPTH[0] * depth_um:
        return np.asarray(pulled, dtype=np.float32)
    usual = float(np.median(steps))
    if usual > _TOO_COARSE * depth_um:
        warnings.warn(
            f"the steps of {usual:.3g} µm are as wide as the focus curve: heights are uncertain by up to a "
            "third of a step; scan in steps of at most half the depth of field",
            stacklevel=4,
        )
    # The wider of the two steps beside the nearest frame.
    wider = np.maximum(np.r_[steps[0], steps], np.r_[steps, steps[-1]])
    step = wider[np.searchsorted((z[1:] + z[:-1]) / 2, np.nan_to_num(height_um))]
    sigma = step * np.interp(step / depth_um, _STEP_OVER_DEPTH, _SIGMA_OVER_STEP)
    sigma = np.hypot(np.minimum(sigma, 0.33 * depth_um), pulled)
    return np.where(np.isfinite(height_um), sigma, np.nan).astype(np.float32)
