"""The definition of `lee.kernels.opening`, pixel by pixel: slow, and short enough to check by eye."""

import numpy as np
from numpy.typing import NDArray

Heights = NDArray[np.float32]
TILE, FEW, MANY_PIXELS = 128, 16, 65536


def erosion(height: Heights, mask: NDArray[np.bool_], centre: tuple[int, int]) -> Heights:
    """Least finite height over p + s, s in the mask; NaN where there is none."""
    H, W = height.shape
    offsets = [(j - centre[0], i - centre[1]) for j, i in np.argwhere(mask)]
    out = np.full((H, W), np.nan, np.float32)
    for y in range(H):
        for x in range(W):
            seen = [height[y + j, x + i] for j, i in offsets if 0 <= y + j < H and 0 <= x + i < W]
            seen = [value for value in seen if np.isfinite(value)]
            if seen:
                out[y, x] = min(seen)
    return out


def dilation(height: Heights, mask: NDArray[np.bool_], centre: tuple[int, int]) -> Heights:
    """Greatest finite height over p - s, s in the mask; NaN where there is none."""
    mirrored = (mask.shape[0] - 1 - centre[0], mask.shape[1] - 1 - centre[1])
    return -erosion(-height, mask[::-1, ::-1], mirrored)


def flat_opening(height: Heights, mask: NDArray[np.bool_], centre: tuple[int, int]) -> Heights:
    opened = dilation(erosion(height, mask, centre), mask, centre)
    return np.where(np.isfinite(height) & np.isfinite(opened), opened, height)


def flat_closing(height: Heights, mask: NDArray[np.bool_], centre: tuple[int, int]) -> Heights:
    return -flat_opening(-height, mask, centre)


def opening(
    height: Heights,
    mask: NDArray[np.bool_],
    centre: tuple[int, int],
    threshold: float | None,
    *,
    mad_factor: float = 6.0,
    peaks: bool = True,
    pits: bool = True,
) -> tuple[Heights, NDArray[np.int8]]:
    out, removed = height.copy(), np.zeros(height.shape, np.int8)
    peak_limit = np.full(height.shape, np.inf, np.float32)
    if peaks:
        opened = flat_opening(height, mask, centre)
        residue = _difference(height, opened)
        peak_limit = _limits(residue, threshold, mad_factor)
        peak = residue > peak_limit
        out[peak], removed[peak] = opened[peak], 1
    if pits:
        closed = flat_closing(out, mask, centre)
        residue = _difference(closed, out)
        pit_limit = _limits(residue, threshold, mad_factor)
        for p in np.argwhere(residue > pit_limit):
            at = tuple(p)
            above = np.float32(height[at] - closed[at])
            high, low = above > peak_limit[at], -above > pit_limit[at]
            out[at] = closed[at] if high or low else height[at]
            removed[at] = 1 if high else -1 if low else 0
    return out, removed


def _difference(upper: Heights, lower: Heights) -> Heights:
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(upper) & np.isfinite(lower), upper - lower, np.float32(np.nan))


def _limits(residue: Heights, threshold: float | None, factor: float) -> Heights:
    if threshold is not None:
        return np.full(residue.shape, threshold, np.float32)
    H, W = residue.shape
    step = 4 if residue.size > MANY_PIXELS else 1
    tiles = [
        [residue[y : y + TILE : step, x : x + TILE : step] for x in range(0, W, TILE)]
        for y in range(0, H, TILE)
    ]
    overall = _limit(np.concatenate([tile.ravel() for row in tiles for tile in row]), factor, np.inf)
    grid = np.array(
        [
            [_limit(tile, factor, overall) if np.isfinite(tile).sum() >= FEW else overall for tile in row]
            for row in tiles
        ]
    )
    if grid.size == 1:
        return np.full(residue.shape, grid[0, 0], np.float32)
    (y, y1, down), (x, x1, across) = _between(H, grid.shape[0]), _between(W, grid.shape[1])
    rows = grid[y] + down[:, None] * (grid[y1] - grid[y])
    return (rows[:, x] + across * (rows[:, x1] - rows[:, x])).astype(np.float32)


def _limit(sample: Heights, factor: float, otherwise: float) -> float:
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return otherwise
    centre = _lower_median(sample)
    mad = _lower_median(np.abs(sample - centre))
    return float(centre) + float(np.float32(factor)) * 1.4826 * float(mad)


def _lower_median(sample: Heights) -> np.float32:
    return np.float32(np.sort(sample.ravel())[(sample.size - 1) // 2])


def _between(pixels: int, tiles: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    place = np.maximum((np.arange(pixels) + 0.5) / TILE - 0.5, 0.0)
    before = np.minimum(place.astype(np.intp), tiles - 1)
    return before, np.minimum(before + 1, tiles - 1), place - before
