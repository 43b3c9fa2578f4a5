"""The definition of `lee.kernels.adaptive_variance`, pixel by pixel: slow, short enough to believe."""

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
MEDIAN_OF_CHI_SQUARED = 0.45493642311957283
PLANES, PIXELS_ALONG = 16, 128


def seen(
    plane: Plane, y: int, x: int, mask: NDArray[np.bool_], centre: tuple[int, int]
) -> NDArray[np.float64]:
    """Finite pixels y + j, x + i, (j, i) in the mask, within the image."""
    H, W = plane.shape
    values = [
        plane[y + j, x + i]
        for j, i in np.argwhere(mask) - centre
        if 0 <= y + j < H and 0 <= x + i < W and np.isfinite(plane[y + j, x + i])
    ]
    return np.array(values, dtype=np.float64)


def variance_over_mean(values: NDArray[np.float64]) -> float:
    if values.size == 0:
        return np.nan
    mean = values.mean()
    return float(((values - mean) ** 2).mean() / mean) if mean > 0 else 0.0


def detail_energy(plane: Plane, side: int) -> Plane:
    square, centre = np.ones((side, side), bool), (side // 2, side // 2)
    out = np.full(plane.shape, np.nan)
    for y, x in np.argwhere(np.isfinite(plane)):
        mean = seen(plane, y, x, square, centre).mean()
        out[y, x] = (plane[y, x] - mean) ** 2 / mean if mean > 0 else 0.0
    return out


def focus_over(
    stack: Plane, mask: NDArray[np.bool_], centre: tuple[int, int], detail_px: int | None
) -> Plane:
    Z, H, W = stack.shape
    out = np.empty((Z, H, W))
    for z in range(Z):
        source = stack[z] if detail_px is None else detail_energy(stack[z], detail_px)
        for y in range(H):
            for x in range(W):
                values = seen(source, y, x, mask, centre)
                if detail_px is None:
                    out[z, y, x] = variance_over_mean(values)
                else:
                    out[z, y, x] = values.mean() if values.size else np.nan
    return out


def noise_of(stack: Plane) -> float:
    Z, H, W = stack.shape
    if H < 3 or W < 3:
        return 0.0
    every = -(-Z // PLANES)
    step = max(1, int(np.ceil(np.sqrt((H - 2) * (W - 2)) / PIXELS_ALONG)))
    kernel = np.outer([1, -2, 1], [1, -2, 1])
    samples = []
    for plane in stack[::every]:
        for y in range(1, H - 1, step):
            for x in range(1, W - 1, step):
                patch = plane[y - 1 : y + 2, x - 1 : x + 2]
                if np.isfinite(patch).all() and patch.mean() > 0:
                    samples.append((kernel * patch).sum() ** 2 / (36 * patch.mean()))
    return float(np.sort(samples)[(len(samples) - 1) // 2] / MEDIAN_OF_CHI_SQUARED) if samples else 0.0


def adaptive_variance(
    stack: NDArray[np.generic],
    footprints: list[tuple[NDArray[np.bool_], tuple[int, int]]],
    *,
    detail_px: int | None = None,
    noise: float | None = None,
    significance: float = 16.0,
) -> tuple[Plane, NDArray[np.uint8]]:
    planes = stack.astype(np.float64)
    noise = noise_of(planes) if noise is None else noise
    focus = np.full(planes.shape, np.nan)
    window = np.zeros(planes.shape[1:], np.uint8)
    is_open = np.ones(planes.shape[1:], bool)
    for k, (mask, centre) in enumerate(footprints):
        curve = focus_over(planes, mask, centre, detail_px)
        largest = np.where(np.isnan(curve), -1.0, curve).max(axis=0)
        n = mask.sum()
        own = 1 / n if detail_px is None else 1 / detail_px**2
        limit = noise * (1 - own) * (1 + significance * np.sqrt(2 / n))
        takes = is_open & ((largest > limit) | (k == len(footprints) - 1))
        focus[:, takes], window[takes] = curve[:, takes], k
        is_open &= ~takes
    return focus, window
