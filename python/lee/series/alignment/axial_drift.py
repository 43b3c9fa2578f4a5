"""Drift along the optical axis, measured against an area that does not grow or a stated mean growth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lee.statistics.nan_median import median_over_scans
from lee.surfaces.resampling import shift_map

# Pixels used of a reference, and the number of blocks that give the error of their median.
_MAX_PIXELS = 40000
_BLOCKS = 64
_ROUNDS = 4
_MARGIN_PX = 8

Map = NDArray[np.float32]
Maps = Sequence[Map] | Map
_Path = tuple[NDArray[np.float64], NDArray[np.float64]]


def drift_against_still(heights: Maps, shift_px: NDArray[np.float64], still: NDArray[np.bool_]) -> _Path:
    """Measure the axial drift, (T,) µm, and its standard deviation, on pixels that do not grow.

    Heights are compared with the median over all scans at each pixel, so that missing pixels and errors of no
    single scan dominate.
    """
    rows, columns = np.nonzero(still)
    every = max(1, -(-len(rows) // _MAX_PIXELS))
    rows, columns = rows[::every], columns[::every]
    sampled = np.stack([_sampled(heights[k], shift_px[k], rows, columns) for k in range(len(heights))])
    drift = np.zeros(len(sampled))
    sigma = np.zeros(len(sampled))
    blocks = _blocks(rows, columns)
    for _ in range(_ROUNDS):
        median = median_over_scans(sampled - np.nan_to_num(drift)[:, None].astype(np.float32))
        drift, sigma = _levels(sampled - median, blocks)
        drift -= _first(drift)
    return drift, sigma


def drift_against_model(
    heights: Maps, shift_px: NDArray[np.float64], change_um: NDArray[np.float64]
) -> _Path:
    """Measure the axial drift, (T,) µm, and its standard deviation, against the mean growth `change_um`."""
    height, width = np.shape(heights[0])
    side = max(1, int(np.ceil(np.sqrt(height * width / _MAX_PIXELS))))
    grid = np.meshgrid(np.arange(side // 2, height, side), np.arange(side // 2, width, side), indexing="ij")
    rows, columns = (axis.ravel() for axis in grid)
    sampled = np.stack([_sampled(heights[k], shift_px[k], rows, columns) for k in range(len(heights))])
    measured = np.isfinite(sampled).any(axis=1)
    if not measured.any():
        return np.full(len(sampled), np.nan), np.full(len(sampled), np.nan)
    first = int(np.argmax(measured))
    drift, sigma = _levels(sampled - sampled[first], _blocks(rows, columns), mean=True)
    drift -= change_um - change_um[first]
    sigma[first] = 0
    return drift, sigma


def _sampled(
    height: Map, shift_px: NDArray[np.float64], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the heights at given pixels of the first scan's grid; only their surroundings are resampled."""
    if not np.isfinite(shift_px).all():
        return np.full(len(rows), np.nan, np.float32)
    whole = np.rint(shift_px).astype(np.intp)
    shape = np.shape(height)
    reach = _MARGIN_PX + np.abs(whole)
    top, left = max(int(rows.min() - reach[0]), 0), max(int(columns.min() - reach[1]), 0)
    bottom, right = (
        min(int(rows.max() + reach[0]) + 1, shape[0]),
        min(int(columns.max() + reach[1]) + 1, shape[1]),
    )
    part = shift_map(np.asarray(height[top:bottom, left:right]), -shift_px[0], -shift_px[1])
    return part[rows - top, columns - left]


def _levels(differences: NDArray[np.float32], blocks: list[NDArray[np.intp]], *, mean: bool = False) -> _Path:
    """Return the mean of each row without outliers, and its standard error from block means."""
    middle = np.full(len(differences), np.nan)
    error = np.full(len(differences), np.nan)
    for k, row in enumerate(differences):
        known = np.isfinite(row)
        if not known.any():
            continue
        centre = float(np.median(row[known]))
        spread = 1.4826 * float(np.median(np.abs(row[known] - centre)))
        near = known & (np.abs(row - centre) <= max(4 * spread, 1e-6))
        if near.any():
            centre = float(row[near].mean(dtype=np.float64))
        parts = [row[block][near[block]] for block in blocks]
        means = np.array([part.mean() for part in parts if part.size])
        middle[k] = centre
        error[k] = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else spread
    return middle, error


def _blocks(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Divide pixels into about `_BLOCKS` squares: errors of neighbours are not independent."""
    area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    side = max(8, int(np.sqrt(area / _BLOCKS)))
    number = (rows - rows.min()) // side * 10000 + (columns - columns.min()) // side
    order = np.argsort(number, kind="stable")
    return np.split(order, np.nonzero(np.diff(number[order]))[0] + 1)


def _first(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known[0]) if known.size else 0.0
