"""The definition of `lee.kernels.argmax_refocus`, pixel by pixel, slow and short."""

import numpy as np
from numpy.typing import NDArray

MIN_SHARE = 1e-12


def plane_of(curve: NDArray[np.float32]) -> int:
    """Index of the largest value, the first of equal ones; -1 where all are NaN."""
    best = -1
    for z, value in enumerate(curve):
        if not np.isnan(value) and (best < 0 or value > curve[best]):
            best = z
    return best


def peak_of(curve: NDArray[np.float32], z_um: NDArray[np.float64], reach: int) -> tuple[float, float]:
    """Height of the maximum and its standard deviation, by weighted least squares."""
    k = plane_of(curve)
    if not 0 < k < len(curve) - 1 or not 0 < curve[k] < np.inf:
        return np.nan, np.nan
    planes = np.arange(max(0, k - reach), min(len(curve), k + reach + 1))
    with np.errstate(invalid="ignore"):
        share = curve[planes] / curve[k]
        planes, share = planes[share >= MIN_SHARE], share[share >= MIN_SHARE].astype(np.float64)
    if len(planes) < 3:
        return np.nan, np.nan
    u = z_um[planes] - z_um[k]
    design = np.stack([np.ones_like(u), u, u**2], axis=1)
    values, weights = np.log(share), share**2
    covariance = np.linalg.inv(design.T @ (weights[:, None] * design))
    _, b, c = coefficients = covariance @ design.T @ (weights * values)
    at = -b / (2 * c) if c != 0 else np.nan
    if not c < 0 or not u.min() <= at <= u.max():
        return np.nan, np.nan
    if len(planes) == 3:
        return z_um[k] + at, np.nan
    residual = weights @ (values - design @ coefficients) ** 2 / (len(planes) - 3)
    slope = np.array([0.0, -1 / (2 * c), -at / c])
    return z_um[k] + at, np.sqrt(residual * slope @ covariance @ slope)


def argmax_refocus(
    stack: NDArray[np.generic], focus: NDArray[np.float32], z_um: NDArray[np.float64], reach: int
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    shape = focus.shape[1:]
    sharp, height, sigma = (np.full(shape, np.nan) for _ in range(3))
    plane = np.full(shape, -1, np.int32)
    for at in np.ndindex(shape):
        curve = focus[:, *at]
        plane[at] = plane_of(curve)
        if plane[at] >= 0:
            sharp[at] = stack[plane[at], *at]
            height[at], sigma[at] = peak_of(curve, z_um, reach)
    return sharp, plane, height, sigma
