"""Filling: smooth heights where nothing was measured, from the heights around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

# A hole's unknowns are solved for directly; a larger hole is solved on a coarser grid.
_MAX_UNKNOWNS = 12_000
# Smaller holes need no plate: averages of the pixels around them suffice.
_MIN_PLATE_PX = 150
_RELAXATIONS = 4
# A plate alone overshoots where the edge is steep; a little tension, as of a membrane, prevents that. Per
# pixel: over holes wider than its inverse the membrane dominates.
_TENSION = 0.03
# Pixels around a hole that hold the plate: two carry its slope over the edge.
_RIM_PX = 3


def fill(height: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill the holes of a height map with the thin plate under tension that its surroundings hold.

    In each hole the biharmonic equation is solved, so that height and slope go on across the edge; at the
    border of the map the plate is free. Filled heights stay within the range around their hole, widened by
    half of it.

    Parameters
    ----------
    height : (H, W) float32
        Any unit; ignored where `valid` is False.
    valid : (H, W) bool

    Returns
    -------
    (H, W) float32
        Equal to `height` where `valid`; all zero where nothing is valid.
    """
    if not valid.any():
        return np.zeros(height.shape, np.float32)
    out = _from_coarser(np.where(valid, height, 0).astype(np.float32), valid)
    labels, _ = ndimage.label(~valid, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    boxes = ndimage.find_objects(labels)
    for index in np.flatnonzero(sizes[1:] >= _MIN_PLATE_PX) + 1:
        box = boxes[index - 1]
        wide = tuple(slice(max(0, s.start - _RIM_PX), s.stop + _RIM_PX) for s in box)
        hole = labels[wide] == index
        known = valid[wide]
        if not known.any():
            out[wide][hole] = _nearest(height, valid, wide)[hole]
            continue
        out[wide][hole] = _fill_hole(np.where(known, height[wide], 0).astype(np.float64), hole, known)[hole]
    return out


def _from_coarser(height: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill from averages over ever larger blocks, smoothed; quick, for small holes and far corners."""
    if valid.all():
        return height
    share = _blocks(valid, 2)
    known = (_blocks(height, 2) / np.maximum(share, 1e-9)).astype(np.float32)
    mean = _from_coarser(known, share > 0)
    rows, columns = np.arange(height.shape[0]) // 2, np.arange(height.shape[1]) // 2
    out = np.where(valid, height, mean[rows][:, columns]).astype(np.float32)
    for _ in range(_RELAXATIONS):
        out = np.where(valid, height, ndimage.uniform_filter(out, 3, mode="nearest"))
    return out


def _nearest(
    height: NDArray[np.float32], valid: NDArray[np.bool_], box: tuple[slice, ...]
) -> NDArray[np.float32]:
    rows, columns = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return np.asarray(height[rows[box], columns[box]], dtype=np.float32)


def _fill_hole(
    height: NDArray[np.float64], hole: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Solve one hole; other holes in the same box count as absent."""
    near = known & ndimage.binary_dilation(hole, np.ones((3, 3)), iterations=_RIM_PX)
    factor = int(np.ceil(np.sqrt(hole.sum() / _MAX_UNKNOWNS)))
    if factor == 1:
        filled = _plate(height, hole, near)
    else:
        coarse_hole, coarse_near = _blocks(hole, factor) > 0, _blocks(near, factor) > 0
        coarse_near &= ~coarse_hole | (_blocks(near, factor) > 0.5)
        coarse_hole &= ~coarse_near
        if not coarse_near.any():  # a few pixels hold no plate
            nearest = ndimage.distance_transform_edt(~near, return_distances=False, return_indices=True)
            return np.asarray(height[tuple(nearest)], dtype=np.float64)
        weight = np.maximum(_blocks(near, factor), 1e-9)
        coarse = _plate(_blocks(np.where(near, height, 0), factor) / weight, coarse_hole, coarse_near)
        filled = ndimage.zoom(coarse, factor, order=1, grid_mode=True, mode="nearest")
        filled = filled[: height.shape[0], : height.shape[1]]
        filled = filled + _edge_mismatch(filled, height, hole, near)
    low, high = float(height[near].min()), float(height[near].max())
    slack = 0.5 * (high - low)
    return np.clip(filled, low - slack, high + slack)


def _blocks(values: NDArray[np.generic], factor: int) -> NDArray[np.float64]:
    """Means of blocks of `factor` squared; what is beyond the edge counts as zero."""
    pad = [(0, -n % factor) for n in values.shape]
    padded = np.pad(values.astype(np.float64), pad)
    h, w = padded.shape
    return np.asarray(padded.reshape(h // factor, factor, w // factor, factor).mean(axis=(1, 3)))


def _edge_mismatch(
    filled: NDArray[np.float64], height: NDArray[np.float64], hole: NDArray[np.bool_], near: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the error of a coarse solution at the edge, fading out inwards."""
    distance, (rows, columns) = ndimage.distance_transform_edt(~near, return_indices=True)
    missed = np.where(near, height - filled, 0)[rows, columns]
    return np.asarray(np.where(hole, missed * np.exp(-distance / 8), 0))


def _plate(
    height: NDArray[np.float64], hole: NDArray[np.bool_], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Thin plate over `hole`, held where `known`: least bending energy."""
    used = hole | known
    number = np.full(hole.shape, -1)
    number[used] = np.arange(np.count_nonzero(used))
    rows = [_second_differences(number, step, weight) for step, weight in (((1, 0), 1.0), ((0, 1), 1.0))]
    rows.append(_mixed_differences(number))
    rows += [_first_differences(number, step) for step in ((1, 0), (0, 1))]
    bending = sparse.vstack(rows).tocsc()
    unknown = number[hole]
    fixed = number[known]
    a, b = bending[:, unknown], bending[:, fixed]
    # A trace of smoothness keeps the system regular where too few pixels hold the plate.
    system = (a.T @ a + 1e-9 * sparse.eye_array(len(unknown))).tocsc()
    right = -a.T @ (b @ height[known]) + 1e-9 * height[known].mean()
    out = height.copy()
    out[hole] = spsolve(system, right)
    return out


def _second_differences(number: NDArray[np.int_], step: tuple[int, int], weight: float) -> sparse.csr_array:
    dy, dx = step
    h, w = number.shape
    before = number[: h - 2 * dy, : w - 2 * dx].ravel()
    middle = number[dy : h - dy, dx : w - dx].ravel()
    after = number[2 * dy :, 2 * dx :].ravel()
    whole = (before >= 0) & (middle >= 0) & (after >= 0)
    return _rows([before[whole], middle[whole], after[whole]], [weight, -2 * weight, weight], number)


def _first_differences(number: NDArray[np.int_], step: tuple[int, int]) -> sparse.csr_array:
    dy, dx = step
    h, w = number.shape
    before, after = number[: h - dy, : w - dx].ravel(), number[dy:, dx:].ravel()
    whole = (before >= 0) & (after >= 0)
    return _rows([before[whole], after[whole]], [-_TENSION, _TENSION], number)


def _mixed_differences(number: NDArray[np.int_]) -> sparse.csr_array:
    corners = [
        number[:-1, :-1].ravel(),
        number[:-1, 1:].ravel(),
        number[1:, :-1].ravel(),
        number[1:, 1:].ravel(),
    ]
    whole = np.logical_and.reduce([c >= 0 for c in corners])
    return _rows([c[whole] for c in corners], [2**0.5, -(2**0.5), -(2**0.5), 2**0.5], number)


def _rows(
    columns: list[NDArray[np.int_]], weights: list[float], number: NDArray[np.int_]
) -> sparse.csr_array:
    count = len(columns[0])
    at = np.tile(np.arange(count), len(columns))
    values = np.repeat(weights, count)
    return sparse.csr_array((values, (at, np.concatenate(columns))), shape=(count, int(number.max()) + 1))
