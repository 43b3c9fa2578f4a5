"""Relation of a map to curvature: joint density, binned medians and correlations, with confidence intervals.

Neighbouring pixels are correlated: intervals come from resampling blocks larger than the correlation length.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lee.errors import InputError
from lee.statistics.block_bootstrap import (
    Interval,
    bin_of,
    correlation_length,
    interval,
    median_bounds,
    resampled_pearson,
    resampled_spearman,
)

_MAX_PIXELS = 400_000
_EDGE_PERCENTILE = 0.5
_MIN_IN_BIN = 30
_MIN_BLOCKS = 8
# A block's side in correlation lengths, so that different blocks are nearly independent.
_BLOCK_LENGTHS = 3.0


@dataclass(frozen=True, eq=False)
class Relation:
    """Mean curvature against another map, such as the growth rate, pixel by pixel.

    Parameters
    ----------
    curvature_edges_per_um : (C + 1,) float64, 1/µm
    value_edges : (R + 1,) float64, `unit`
    density : (C, R) float64, 1/(1/µm · `unit`)
        Joint probability density within the edges.
    bin_centres_per_um : (B,) float64, 1/µm
        Centres of the curvature bins of the medians.
    median : (B,) float64, `unit`
        Median value in each bin; NaN for too few pixels.
    low, high : (B,) float64, `unit`
        Bounds of the median's confidence interval.
    spearman, pearson : float
        Rank and linear correlation.
    spearman_interval, pearson_interval : (float, float)
        Their confidence intervals; NaN if the field has too few independent blocks.
    n_effective : float
        Effective number of independent pixels.
    n : int
        Pixels measured in both maps.
    block_um : float, µm
        Side of the resampled blocks.
    blocks : int
        Number of blocks that are not empty.
    confidence : float
        Of all intervals.
    note : str
        Limitation of the result, if any.
    value, unit : str
        The map related to the curvature.
    """

    curvature_edges_per_um: NDArray[np.float64]
    value_edges: NDArray[np.float64]
    density: NDArray[np.float64]
    bin_centres_per_um: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    spearman: float
    spearman_interval: Interval
    pearson: float
    pearson_interval: Interval
    n_effective: float
    n: int
    block_um: float
    blocks: int
    confidence: float
    note: str
    value: str = "rate"
    unit: str = "nm/s"


def relate(
    mean_per_um: ArrayLike,
    values: ArrayLike,
    *,
    pixel_um: float,
    value: str = "rate",
    unit: str = "nm/s",
    bins: int = 15,
    cells: int = 64,
    block_um: float | Literal["auto"] = "auto",
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Relation:
    """Relate growth, or another map, to curvature.

    Parameters
    ----------
    mean_per_um : (H, W) float32, 1/µm
        Mean curvature, a trench positive; NaN where not measured.
    values : (H, W) float32, `unit`
        Growth rate, or another map on the same grid; NaN where not measured.
    pixel_um : float, µm
        Size of a pixel.
    value, unit : str
        Name of the values in tables, figures and errors.
    bins : int
        Curvature bins of the medians, equally wide, over the middle 99 % of the pixels.
    cells : int
        Cells of the joint density along each axis.
    block_um : float, µm, or "auto"
        Side of the resampled blocks; by default three times the length over which the product of
        both autocorrelations falls to 1/e.
    resamples : int
        Number of resamples.
    confidence : float
        Of the intervals, which are percentiles of the resampled values.
    seed : int
        Of the resampling: the same seed gives the same numbers.

    Returns
    -------
    Relation
        Correlations and intervals are NaN, with a note, where fewer than 30 pixels were measured.

    Raises
    ------
    InputError
        If the maps differ in shape or a number is out of range.

    Notes ----- Block bootstrap: Künsch, Annals of Statistics 17 (1989) 1217; effective number of independent
    pixels of two spatially correlated maps: Clifford, Richardson and Hémon, Biometrics 45 (1989) 123.
    """
    curvature, mapped = (np.asarray(one, dtype=np.float64) for one in (mean_per_um, values))
    if curvature.ndim != 2 or curvature.shape != mapped.shape:
        raise InputError(
            f"relate: curvature is {curvature.shape}, {value} {mapped.shape}; give two maps (H, W) of one "
            "shape"
        )
    if bins < 1 or cells < 1 or resamples < 1 or not 0 < confidence < 1 or not pixel_um > 0:
        raise InputError(
            "relate: bins, cells and resamples must be 1 or more, pixel_um above 0, "
            "and confidence between 0 and 1"
        )
    if block_um != "auto" and not (isinstance(block_um, (int, float)) and block_um > 0):
        raise InputError(f'relate: block_um is {block_um!r}; give µm above 0, or "auto"')
    known = np.isfinite(curvature) & np.isfinite(mapped)
    n = int(known.sum())
    if n < _MIN_IN_BIN:
        return _too_few(n, bins, cells, confidence, value, unit)
    length_px, independent_px = correlation_length(curvature, mapped, known)
    side_px = max(_BLOCK_LENGTHS * length_px if block_um == "auto" else float(block_um) / pixel_um, 1.0)
    # Not every pixel is needed: neighbours are correlated.
    step = max(1, int(np.sqrt(n / _MAX_PIXELS)))
    rows, columns = np.nonzero(known[::step, ::step])
    rows, columns = rows * step, columns * step
    x, y = curvature[rows, columns], mapped[rows, columns]
    across = int(np.ceil(curvature.shape[1] / side_px))
    block = (rows / side_px).astype(np.intp) * across + (columns / side_px).astype(np.intp)
    _, block = np.unique(block, return_inverse=True)
    blocks = int(block.max()) + 1
    low, high = _range(x)
    edges = np.linspace(low, high, bins + 1)
    median = _medians(x, y, edges)
    rank_x, rank_y = stats.rankdata(x) / len(x), stats.rankdata(y) / len(y)
    spearman, pearson = _correlation(rank_x, rank_y), _correlation(x, y)
    nan = (np.nan, np.nan)
    bounds = np.full((2, bins), np.nan)
    spearman_interval, pearson_interval, note = nan, nan, ""
    if blocks >= _MIN_BLOCKS:
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples).astype(np.float32)
        tails = [50 * (1 - confidence), 50 * (1 + confidence)]
        spearman_interval = interval(resampled_spearman(rank_x, rank_y, block, draws), tails)
        pearson_interval = interval(resampled_pearson(x, y, block, draws), tails)
        bounds = median_bounds(x, y, rank_y, block, draws, edges, tails)
        bounds[:, ~np.isfinite(median)] = np.nan
    else:
        note = (
            f"the field has only {blocks} independent blocks of {side_px * pixel_um:.3g} µm, too few for an "
            "interval: measure a larger field"
        )
    value_edges = np.linspace(*_range(y), cells + 1)
    curvature_edges = np.linspace(low, high, cells + 1)
    density, _, _ = np.histogram2d(x, y, bins=(curvature_edges, value_edges), density=True)
    return Relation(
        curvature_edges_per_um=curvature_edges,
        value_edges=value_edges,
        density=density,
        bin_centres_per_um=(edges[1:] + edges[:-1]) / 2,
        median=median,
        low=bounds[0],
        high=bounds[1],
        spearman=spearman,
        spearman_interval=spearman_interval,
        pearson=pearson,
        pearson_interval=pearson_interval,
        n_effective=max(n / independent_px, 1.0),
        n=n,
        block_um=side_px * pixel_um,
        blocks=blocks,
        confidence=confidence,
        note=note,
        value=value,
        unit=unit,
    )


def _too_few(n: int, bins: int, cells: int, confidence: float, value: str, unit: str) -> Relation:
    nan = np.full(bins, np.nan)
    edges = np.linspace(-1, 1, cells + 1)
    unknown = (np.nan, np.nan)
    return Relation(
        curvature_edges_per_um=edges,
        value_edges=edges.copy(),
        density=np.zeros((cells, cells)),
        bin_centres_per_um=nan,
        median=nan.copy(),
        low=nan.copy(),
        high=nan.copy(),
        spearman=np.nan,
        spearman_interval=unknown,
        pearson=np.nan,
        pearson_interval=unknown,
        n_effective=0.0,
        n=n,
        block_um=np.nan,
        blocks=0,
        confidence=confidence,
        note=f"only {n} pixels are measured in both maps",
        value=value,
        unit=unit,
    )


def _range(values: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, [_EDGE_PERCENTILE, 100 - _EDGE_PERCENTILE])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)


def _medians(
    x: NDArray[np.float64], y: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    place = bin_of(x, edges)
    order = np.lexsort((y, place))
    sorted_y = y[order]
    starts = np.searchsorted(place[order], np.arange(len(edges)))
    found = [float(np.median(sorted_y[a:b])) if b - a >= _MIN_IN_BIN else np.nan for a, b in pairwise(starts)]
    return np.array(found)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 0 else np.nan
