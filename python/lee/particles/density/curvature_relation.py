"""Relation of particle density to curvature: counts over area in bins, and correlation pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.particles.density.bootstrap import (
    Blocks,
    mean_rank,
    poisson_interval,
    ratio_of_densities,
    resampled_density,
)
from lee.particles.density.density_map import Density
from lee.series.relation import Relation, relate
from lee.statistics.block_bootstrap import Interval, correlation_length

_PARTICLES_IN_BIN = 12
_MIN_BINS, _MAX_BINS = 3, 12
# A block's side in correlation lengths, so that different blocks are nearly independent.
_BLOCK_LENGTHS = 3.0


@dataclass(frozen=True, eq=False)
class DensityRelation:
    """Density of particles at each mean curvature.

    Every interval combines two: Poisson statistics, valid for independent particles, and a block bootstrap
    over the field, valid also where particles cluster or follow something other than curvature, but only for
    many particles. The outer bounds of both are given.

    Parameters
    ----------
    edges_per_um : (B + 1,) float64, 1/µm
        Edges of the curvature bins, each with the same true area.
    centres_per_um : (B,) float64, 1/µm
        Mean curvature of the area in each bin.
    count : (B,) int64
    area_um2 : (B,) float64, µm²
    per_um2 : (B,) float64, 1/µm²
        `count` over `area_um2`.
    low, high : (B,) float64, 1/µm²
        Outer bounds of `per_um2`.
    poisson, resampled : (2, B) float64, 1/µm²
        Bounds of either interval; the second NaN if the field holds too few blocks.
    trench_to_peak : float
        Density on the third of the area with the largest curvature over that on the third with the smallest.
        NaN if neither holds a particle, infinite if only the trenches do.
    trench_to_peak_interval : (float, float)
    chance : float
        Probability that the curvature is larger at a particle than at a random point of the surface: 1/2 if
        both are unrelated, 1 if all particles are in the deepest trench. It needs no smoothing and no bins.
    chance_interval : (float, float)
    left_out : int
        Particles in the field where the curvature is not known.
    block_um : float, µm
        Side of the blocks.
    blocks : int
    confidence : float
    note : str
        Limitation of the result, if any.
    relation : Relation
        The density map against curvature with the same statistics as for growth rates: joint density,
        medians, rank and linear correlation. Smoothing and counting noise pull its correlations, and their
        intervals, toward 0. They still show whether there is a relation.
    """

    edges_per_um: NDArray[np.float64]
    centres_per_um: NDArray[np.float64]
    count: NDArray[np.int64]
    area_um2: NDArray[np.float64]
    per_um2: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    poisson: NDArray[np.float64]
    resampled: NDArray[np.float64]
    trench_to_peak: float
    trench_to_peak_interval: Interval
    chance: float
    chance_interval: Interval
    left_out: int
    block_um: float
    blocks: int
    confidence: float
    note: str
    relation: Relation


def relate_density(
    density: Density,
    mean_per_um: ArrayLike,
    *,
    bins: int | Literal["auto"] = "auto",
    block_um: float | Literal["auto"] = "auto",
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> DensityRelation:
    """Relate the density of particles to curvature.

    Parameters
    ----------
    density : Density
    mean_per_um : (H, W) float32, 1/µm
        Mean curvature, a trench positive; NaN where not measured.
    bins : int, or "auto"
        Of curvature; by default 3 to 12, with twelve particles per bin on average.
    block_um : float, µm, or "auto"
        Side of the resampled blocks; by default three times the length over which the square of the
        curvature's autocorrelation falls to 1/e. `relation` chooses its own, see `lee.series.relation`.
    resamples, confidence, seed
        As in `lee.series.relation.relate`.

    Raises
    ------
    InputError
        If the maps differ in shape or a number is out of range.

    Notes
    -----
    Blocks: Künsch, Annals of Statistics 17 (1989) 1217. Chance: the area under the ROC curve of a spatial
    covariate (Baddeley, Rubak and Turner, Spatial Point Patterns, 2015, chapter 6).

    In simulated Poisson fields of 20 to 2000 particles, 300 of each kind, with and without a relation, 95 %
    intervals of bins, ratio and chance held the truth in 92 to 99 % of all cases; if the density also
    followed something other than curvature, in 88 to 97 %. Without a relation, intervals of the map's
    correlations held 0 in 86 to 90 %.
    """
    curvature = np.asarray(mean_per_um, dtype=np.float64)
    field, counts = density.field, density.counts
    if curvature.shape != field.area_um2.shape:
        raise InputError(
            f"relate_density: curvature is {curvature.shape}, density {field.area_um2.shape}; give two maps "
            "of one shape"
        )
    if (bins != "auto" and bins < 1) or resamples < 1 or not 0 < confidence < 1:
        raise InputError(
            "relate_density: bins and resamples must be 1 or more, and confidence between 0 and 1"
        )
    if block_um != "auto" and not block_um > 0:
        raise InputError(f'relate_density: block_um is {block_um!r}; give µm above 0, or "auto"')
    relation = relate(
        curvature, density.per_um2, pixel_um=field.pixel_um, value="particle density", unit="1/µm²",
        resamples=resamples, confidence=confidence, seed=seed,
    )  # fmt: skip
    known = np.isfinite(curvature) & (field.area_um2 > 0)
    x, area = curvature[known], field.area_um2[known].astype(np.float64)
    number = counts.per_pixel[known].astype(np.float64)
    if bins == "auto":
        bins = int(np.clip(number.sum() // _PARTICLES_IN_BIN, _MIN_BINS, _MAX_BINS))
    side_px = (
        _block_px(curvature, known) if block_um == "auto" else max(float(block_um) / field.pixel_um, 1.0)
    )
    blocks = Blocks.of(known, side_px)
    draws = blocks.drawn(resamples, seed) if blocks.are_enough else None
    by_block = {}
    for parts in (bins, 3):
        edges = _edges(x, area, parts)
        place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        sums = [blocks.sums(weights, place, len(edges) - 1) for weights in (number, area, area * x)]
        by_block[parts] = edges, *sums
    edges, in_bins, size_in_bins, curvature_in_bins = by_block[bins]
    count, size = in_bins.sum(axis=0).astype(np.int64), size_in_bins.sum(axis=0)
    divisor = np.where(size > 0, size, np.nan)
    poisson = np.array(poisson_interval(count, confidence)) / divisor
    resampled = np.full_like(poisson, np.nan)
    if draws is not None:
        resampled = resampled_density(in_bins, size_in_bins, draws, confidence)
    ratio, ratio_interval = np.nan, (np.nan, np.nan)
    _, in_thirds, size_in_thirds, _ = by_block[3]
    if in_thirds.shape[1] == 3:
        ends = [2, 0]
        ratio, ratio_interval = ratio_of_densities(
            in_thirds[:, ends], size_in_thirds[:, ends], draws, confidence
        )
    chance, chance_interval = mean_rank(_rank(x, area), number, area, blocks, draws, confidence)
    return DensityRelation(
        edges_per_um=edges,
        centres_per_um=curvature_in_bins.sum(axis=0) / divisor,
        count=count,
        area_um2=size,
        per_um2=count / divisor,
        low=np.fmin(poisson[0], resampled[0]),
        high=np.fmax(poisson[1], resampled[1]),
        poisson=poisson,
        resampled=resampled,
        trench_to_peak=ratio,
        trench_to_peak_interval=ratio_interval,
        chance=chance,
        chance_interval=chance_interval,
        left_out=counts.count - int(number.sum()),
        block_um=side_px * field.pixel_um,
        blocks=blocks.count,
        confidence=confidence,
        note=""
        if blocks.are_enough
        else f"the field has only {blocks.count} blocks of {side_px * field.pixel_um:.3g} µm, too few to "
        "resample: intervals assume independent particles",
        relation=relation,
    )


def _edges(x: NDArray[np.float64], area: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Divide curvatures into bins of equal area; fewer bins if many pixels share one curvature."""
    if x.size == 0:
        return np.array([-0.5, 0.5])
    order = np.argsort(x)
    share = np.cumsum(area[order])
    at = np.searchsorted(share, np.linspace(0, share[-1], bins + 1)).clip(0, x.size - 1)
    edges = np.unique(x[order][at])
    return edges if len(edges) > 1 else edges[0] + np.array([-0.5, 0.5])


def _rank(x: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the area with a lower value; that of the same value counts half."""
    _, same = np.unique(x, return_inverse=True)
    size = np.bincount(same, area)
    below = np.cumsum(size) - size / 2
    return np.asarray((below / max(size.sum(), 1e-300))[same], np.float64)


def _block_px(curvature: NDArray[np.float64], known: NDArray[np.bool_]) -> float:
    return (
        _BLOCK_LENGTHS * correlation_length(curvature, curvature, known)[0]
        if known.any()
        else float(max(curvature.shape))
    )
