"""The definition of `lee.curvature`, pixel by pixel: slow, and short enough to check by eye."""

import numpy as np
from numpy.typing import NDArray

NOISIEST = 8.0
Maps = list[NDArray[np.float64]]


def gain_of_square(radius: int) -> float:
    """Variance of the Laplacian of a complete quartic fit, per px^4."""
    s = np.arange(-radius, radius + 1)
    return _fit(*(c.ravel().astype(float) for c in np.meshgrid(s, s)), 4, np.ones(s.size**2))[1]


def radius_of(family: str, scale_px: float) -> int:
    """Half the window: of the square whose scale is nearest by its logarithm, or four standard deviations."""
    if family == "gaussian":
        return int(np.ceil(4 * scale_px))
    radius = max(2, int(2.5 * scale_px))
    while np.sqrt(scale_of(radius) * scale_of(radius + 1)) <= scale_px:
        radius += 1
    return radius


def scale_of(radius: int) -> float:
    return float((2 * np.pi * gain_of_square(radius)) ** (-1 / 6))


def height_derivatives(
    height: NDArray[np.float32], family: str, scale_px: float, pixel_um: float
) -> tuple[Maps, NDArray[np.float64]]:
    """The five derivatives in um, and their covariances (H, W, 5, 5) for independent heights of sigma 1."""
    H, W = height.shape
    order = 4 if family == "savgol" else 2
    radius = radius_of(family, scale_px)
    inset = radius if family == "savgol" else 0
    full = np.arange(-radius, radius + 1)
    weights = np.ones(full.size) if family == "savgol" else np.exp(-0.5 * (full / scale_px) ** 2)
    x, y = (c.ravel().astype(float) for c in np.meshgrid(full, full))
    limit = NOISIEST**2 * _fit(x, y, order, np.outer(weights, weights).ravel())[1]
    out = [np.full((H, W), np.nan) for _ in range(5)]
    covariance = np.full((H, W, 5, 5), np.nan)
    units = np.array([pixel_um**-k for k in (1, 1, 2, 2, 2)])
    for py, px in np.argwhere(np.isfinite(height)):
        cy, cx = _centre(py, H, inset), _centre(px, W, inset)
        j, i = (c.ravel() for c in np.meshgrid(full + cy, full + cx, indexing="ij"))
        inside = (j >= 0) & (j < H) & (i >= 0) & (i < W)
        w = np.outer(weights, weights).ravel()[inside]
        j, i = j[inside], i[inside]
        seen = np.isfinite(height[j, i])
        j, i, w = j[seen], i[seen], w[seen]
        # Coordinates from the pixel itself: its derivatives are then coefficients.
        fit, gain = _fit((i - px).astype(float), (j - py).astype(float), order, w)
        if fit is None or not gain <= limit * (1 + 1e-9):
            continue
        values = height[j, i].astype(np.float64) - float(height[py, px])
        for k in range(5):
            out[k][py, px] = fit[k] @ values * units[k]
        covariance[py, px] = fit @ fit.T * np.outer(units, units)
    return out, covariance


def curvatures(derivatives: Maps) -> Maps:
    """Mean, Gaussian, largest and smallest curvature."""
    x, y, xx, xy, yy = derivatives
    q = 1 + x**2 + y**2
    mean = ((1 + y**2) * xx - 2 * x * y * xy + (1 + x**2) * yy) / (2 * q**1.5)
    gauss = (xx * yy - xy**2) / q**2
    # An eigenvalue problem instead of mean^2 - gauss, which cancels.
    spread = np.full(x.shape, np.nan)
    for at in np.argwhere(np.isfinite(mean)):
        p = tuple(at)
        metric = np.array([[1 + x[p] ** 2, x[p] * y[p]], [x[p] * y[p], 1 + y[p] ** 2]])
        shape = np.array([[xx[p], xy[p]], [xy[p], yy[p]]]) / np.sqrt(q[p])
        half = np.linalg.inv(np.linalg.cholesky(metric))
        low, high = np.linalg.eigvalsh(half @ shape @ half.T)
        spread[p] = (high - low) / 2
    return [mean, gauss, mean + spread, mean - spread]


def _centre(at: int, extent: int, inset: int) -> int:
    return int(np.clip(at, inset, extent - 1 - inset)) if extent > 2 * inset else (extent - 1) // 2


def _fit(x, y, order, w):
    """Rows that take x, y, xx, xy, yy out of the heights; and the noise of the Laplacian by the weights."""
    terms = [(a, b) for a in range(order + 1) for b in range(order + 1 - a)]
    scale = max(np.abs(x).max(initial=1), np.abs(y).max(initial=1))
    design = np.stack([(x / scale) ** a * (y / scale) ** b for a, b in terms], 1)
    if len(x) < len(terms):
        return None, np.inf
    normal = design.T @ (w[:, None] * design)
    if np.linalg.cond(normal) > 1e13:
        return None, np.inf
    inverse = np.linalg.inv(normal)
    solver = inverse @ (design * w[:, None]).T
    wanted = [(1, 0, 1.0), (0, 1, 1.0), (2, 0, 2.0), (1, 1, 1.0), (0, 2, 2.0)]
    rows = np.stack([f * solver[terms.index((a, b))] / scale ** (a + b) for a, b, f in wanted])
    xx, yy = terms.index((2, 0)), terms.index((0, 2))
    gain = 4 * (inverse[xx, xx] + 2 * inverse[xx, yy] + inverse[yy, yy]) / scale**4
    return rows, gain
