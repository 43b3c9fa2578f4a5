"""Fields of spots at known positions, pairs of frames that show them, and scores of detections.

Noise is white and the same everywhere; places and peaks are drawn, so that nothing here is fitted to what any
detector does.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.spatial import cKDTree

Places = NDArray[np.float64]
MATCH_PX = 1.5
# Standard deviation of a place along one axis, px, times peak over noise: the bound for a Gaussian in white
# noise, sqrt(2 / pi), whatever its width.
BOUND_PX = float(np.sqrt(2 / np.pi))
# Beyond six standard deviations a Gaussian is nothing in single precision.
DRAWN = 6.0


@dataclass(frozen=True)
class Field:
    """Spots of one width.

    ``places`` (N, 2) are (y, x) in px, ``peaks`` (N,) in standard deviations of a pixel's difference,
    ``clustered`` (N,) marks those in clusters.
    """

    shape: tuple[int, int]
    places: Places
    peaks: NDArray[np.float64]
    clustered: NDArray[np.bool_]
    sigma_px: float = 1.4

    def drawn(self) -> NDArray[np.float64]:
        """Return the spots (H, W) on nothing."""
        return drawn(self.shape, self.places, self.peaks, self.sigma_px)

    def isolated(self, least_px: float = 12.0) -> NDArray[np.bool_]:
        """Return which spots (N,) have no other within a distance."""
        near = cKDTree(self.places).query(self.places, k=[2])[0][:, 0]
        return np.asarray(near > least_px) & ~self.clustered


@dataclass(frozen=True)
class Scores:
    """Shares in [0, 1]; NaN where there is nothing to take a share of."""

    f1: float
    precision: float
    recall: float
    cluster_recall: float
    over_bound: float
    """Error of isolated spots along an axis, rms, each over the bound for its peak."""


def random_field(
    side_px: int,
    count: int,
    seed: int,
    *,
    sigma_px: float = 1.4,
    peaks: tuple[float, float] = (2.0, 30.0),
    share: float = 0.2,
    group: int = 5,
    spread_px: float = 5.0,
) -> Field:
    """Draw a square field: spots anywhere, and a share of them around common middles.

    Parameters
    ----------
    peaks : (float, float)
        Range of the peaks over noise, even in their logarithm.
    share, group, spread_px : float, int, px
        Share of the spots that lie in clusters, how many make one, and their standard deviation along an
        axis.
    """
    rng = np.random.default_rng(seed)
    grouped = round(share * count)
    alone = rng.uniform(8, side_px - 8, (count - grouped, 2))
    middles = rng.uniform(20, side_px - 20, (-(-grouped // group), 2))
    together = np.repeat(middles, group, 0)[:grouped] + rng.normal(0, spread_px, (grouped, 2))
    return Field(
        shape=(side_px, side_px),
        places=np.concatenate([alone, np.clip(together, 2, side_px - 3)]),
        peaks=np.exp(rng.uniform(np.log(peaks[0]), np.log(peaks[1]), count)),
        clustered=np.arange(count) >= count - grouped,
        sigma_px=sigma_px,
    )


def drawn(
    shape: tuple[int, int], places: ArrayLike, peaks: ArrayLike, sigma_px: float
) -> NDArray[np.float64]:
    """Draw Gaussian spots, (H, W)."""
    image = np.zeros(shape)
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    reach = DRAWN * sigma_px
    for (y, x), peak in zip(
        np.reshape(places, (-1, 2)), np.broadcast_to(peaks, len(np.reshape(places, (-1, 2)))), strict=True
    ):
        down = slice(max(0, int(np.ceil(y - reach))), max(0, int(y + reach) + 1))
        across = slice(max(0, int(np.ceil(x - reach))), max(0, int(x + reach) + 1))
        g_y = np.exp(-0.5 * ((rows[down] - y) / sigma_px) ** 2)
        g_x = np.exp(-0.5 * ((columns[across] - x) / sigma_px) ** 2)
        image[down, across] += peak * np.outer(g_y, g_x)
    return image


def frames(
    spots: NDArray[np.float64],
    seed: int,
    *,
    dtype: DTypeLike = np.float32,
    level: float = 100.0,
    noise: float = 1.0,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a frame without spots and one with them, counts.

    Parameters
    ----------
    spots : (H, W), in standard deviations of a pixel's difference
    level, noise : float, counts
        Brightness, and the standard deviation of the difference of the frames.
    """
    rng = np.random.default_rng([seed, 1])
    pair = []
    for image in (np.zeros_like(spots), spots):
        counts = level + noise * (image + rng.normal(0, np.sqrt(0.5), spots.shape))
        if np.issubdtype(dtype, np.integer):
            counts = np.clip(np.rint(counts), 0, np.iinfo(np.dtype(dtype)).max)
        pair.append(counts.astype(dtype))
    return pair[0], pair[1]


def matched(
    truth: ArrayLike, found: ArrayLike, radius_px: float = MATCH_PX
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair places one to one, the nearest first; return indices of both, (M,)."""
    true_places, found_places = np.reshape(truth, (-1, 2)), np.reshape(found, (-1, 2))
    if len(true_places) == 0 or len(found_places) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = cKDTree(true_places).sparse_distance_matrix(
        cKDTree(found_places), radius_px, output_type="coo_matrix"
    )
    free_truth, free_found = np.ones(len(true_places), bool), np.ones(len(found_places), bool)
    pairs = []
    for k in np.argsort(near.data, kind="stable"):
        i, j = near.row[k], near.col[k]
        if free_truth[i] and free_found[j]:
            free_truth[i] = free_found[j] = False
            pairs.append((i, j))
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def scores(field: Field, found: ArrayLike, min_peak: float = 4.0) -> Scores:
    """Compare detected positions (M, 2) with a field's; errors count from a peak of `min_peak` noise on."""
    places = np.reshape(found, (-1, 2))
    of_truth, of_found = matched(field.places, places)
    hit = np.zeros(len(field.places), bool)
    hit[of_truth] = True
    isolated = (field.isolated() & (field.peaks >= min_peak))[of_truth]
    errors = (places[of_found] - field.places[of_truth])[isolated] * field.peaks[of_truth][isolated, None]
    return Scores(
        f1=2 * len(of_truth) / max(len(places) + len(field.places), 1),
        precision=len(of_truth) / len(places) if len(places) else np.nan,
        recall=float(hit.mean()) if hit.size else np.nan,
        cluster_recall=float(hit[field.clustered].mean()) if field.clustered.any() else np.nan,
        over_bound=float(np.sqrt(np.mean(errors**2)) / BOUND_PX) if len(errors) else np.nan,
    )
