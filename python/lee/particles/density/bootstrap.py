"""Confidence intervals of densities: Poisson statistics, and a block bootstrap over the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lee.statistics.block_bootstrap import Interval

_MIN_BLOCKS = 8
_RANKS = 64

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The pixels of a field, divided into square blocks.

    Parameters
    ----------
    of_pixel : (N,) int
        Block of every known pixel.
    count : int
    side_px : float
    """

    of_pixel: NDArray[np.intp]
    count: int
    side_px: float

    @classmethod
    def of(cls, known: NDArray[np.bool_], side_px: float) -> Blocks:
        """Divide a field (H, W) into blocks; those without any known pixel are omitted."""
        rows, columns = np.nonzero(known)
        across = int(np.ceil(known.shape[1] / side_px))
        number, block = np.unique(
            (rows / side_px).astype(np.intp) * across + (columns / side_px).astype(np.intp),
            return_inverse=True,
        )
        return cls(block, len(number), side_px)

    @property
    def are_enough(self) -> bool:
        """Whether there are enough blocks to resample."""
        return self.count >= _MIN_BLOCKS

    def drawn(self, resamples: int, seed: int) -> NDArray[np.int64]:
        """Draw blocks with replacement; return how often each was drawn, (resamples, blocks)."""
        even = np.full(self.count, 1 / self.count)
        return np.random.default_rng(seed).multinomial(self.count, even, size=resamples)

    def sums(self, weights: Values, place: NDArray[np.intp], bins: int) -> Values:
        """Sum the weights of pixels by block and bin, (blocks, bins)."""
        cells = self.of_pixel * bins + place
        found = np.bincount(cells, weights, minlength=self.count * bins)
        return np.asarray(found.reshape(self.count, bins), np.float64)


def poisson_interval(count: NDArray[np.int64], confidence: float) -> tuple[Values, Values]:
    """Return the bounds of the expected counts, each (N,) (Garwood, Biometrika 28 (1936) 437)."""
    tail = (1 - confidence) / 2
    low = np.where(count > 0, stats.chi2.ppf(tail, 2 * np.maximum(count, 1)) / 2, 0)
    return low, np.asarray(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2)


def resampled_density(number: Values, area: Values, draws: NDArray[np.int64], confidence: float) -> Values:
    """Return the bounds (2, B) of particles over area, from the sums of each block, both (blocks, B)."""
    drawn, size = draws @ number, draws @ area
    bounds = np.full((2, number.shape[1]), np.nan)
    for b in range(number.shape[1]):
        there = size[:, b] > 0
        if there.any():
            bounds[:, b] = np.percentile(drawn[there, b] / size[there, b], _tails(confidence))
    return bounds


def ratio_of_densities(
    number: Values, area: Values, draws: NDArray[np.int64] | None, confidence: float
) -> tuple[float, Interval]:
    """Return the ratio of two densities and its confidence interval.

    Parameters
    ----------
    number, area : (blocks, 2) float64
        Particles, and µm², of either.
    draws : (resamples, blocks), optional
        How often each block was drawn.
    confidence : float

    Returns
    -------
    float
        NaN without any particle, infinite if only the second has none.
    (float, float)
        The outer bounds of two intervals: for independent particles, where one count is binomial given the
        sum (Przyborowski and Wilenski, Biometrika 31 (1940) 313), and from the resampled blocks.
    """
    (first, second), size = number.sum(axis=0), area.sum(axis=0)
    if not (size > 0).all():
        return np.nan, (np.nan, np.nan)
    if first + second == 0:
        return np.nan, (0.0, np.inf)
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, first, second + 1)) if first > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, first + 1, second)) if second > 0 else 1.0
    scale = float(size[1] / size[0])
    bounds = (scale * low / (1 - low), scale * high / (1 - high) if high < 1 else np.inf)
    if draws is not None:
        drawn, sizes = draws @ number, draws @ area
        there = (sizes > 0).all(axis=1)
        if there.any():
            # Half a particle is added, so that resamples without any are not 0 / 0.
            densities = (drawn[there] + 0.5) / sizes[there]
            resampled = np.percentile(densities[:, 0] / densities[:, 1], _tails(confidence))
            bounds = (min(bounds[0], float(resampled[0])), max(bounds[1], float(resampled[1])))
    return float(scale * first / second) if second > 0 else np.inf, bounds


def mean_rank(
    rank: Values,
    number: Values,
    area: Values,
    blocks: Blocks,
    draws: NDArray[np.int64] | None,
    confidence: float,
) -> tuple[float, Interval]:
    """Average, over the particles, the share of the area with a lower value than at the particle.

    Parameters
    ----------
    rank : (N,) float64
        Share of the area with a lower value, of every pixel.
    number, area : (N,) float64
        Particles, and µm², of every pixel.
    blocks, draws, confidence
        As above.

    Returns
    -------
    float
        NaN without any particle.
    (float, float)
        Outer bounds of Student's interval for independent particles and of the resampled blocks; NaN for
        fewer than two particles.
    """
    total = float(number.sum())
    if total < 2:
        return float(number @ rank / total) if total else np.nan, (np.nan, np.nan)
    mean = float(number @ rank / total)
    spread = np.sqrt(float(number @ (rank - mean) ** 2) / (total - 1) / total)
    reach = float(stats.t.ppf((1 + confidence) / 2, total - 1) * spread)
    bounds = (max(mean - reach, 0.0), min(mean + reach, 1.0))
    if draws is not None:
        # Every resample is another surface, ranked again; with ranks in steps it is a sum of small tables.
        cell = np.minimum((rank * _RANKS).astype(np.intp), _RANKS - 1)
        drawn, size = (draws @ blocks.sums(w, cell, _RANKS) for w in (number, area))
        there = (drawn.sum(axis=1) > 0) & (size.sum(axis=1) > 0)
        if there.any():
            drawn, size = drawn[there], size[there]
            below = (np.cumsum(size, axis=1) - size / 2) / size.sum(axis=1, keepdims=True)
            resampled = np.percentile((drawn * below).sum(axis=1) / drawn.sum(axis=1), _tails(confidence))
            bounds = (min(bounds[0], float(resampled[0])), max(bounds[1], float(resampled[1])))
    return mean, bounds


def _tails(confidence: float) -> list[float]:
    return [50 * (1 - confidence), 50 * (1 + confidence)]
