"""The checkable parts of `lee.detect_particles` by their definitions, slow and short.

What the kernel decides on the way (tiles, textures, which spots to add) is compared with truth, not here.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares

Image = NDArray[np.float64]
TAPS, BETA = 8, 5.0


# --- background ---

CELL_PX, CELL_WIDTHS = 16.0, 9.0
LEVEL_CLIP, ROUNDS, PASSES = 2.0, 3, 2
QUADRATIC = np.array([-3, 12, 17, 12, -3]) / 35


def background(values: Image, sigma_px: float) -> Image:
    """Slowly varying background of a difference (H, W) without spots, NaN where a pixel takes no part.

    Mean of each cell without outliers; the cells' means smoothed by a quadratic over five of them along both
    axes; straight lines between their centres, and beyond the outer ones; again, of what is left.
    """
    total = np.zeros(values.shape)
    side = int(max(CELL_PX, CELL_WIDTHS * sigma_px))
    edges = [_edges(n, side) for n in values.shape]
    for _ in range(PASSES):
        left = values - total
        levels = np.array(
            [[_level(left[a:b, c:d]) for c, d in pairwise(edges[1])] for a, b in pairwise(edges[0])]
        )
        levels = np.apply_along_axis(_smoothed, 0, np.apply_along_axis(_smoothed, 1, levels))
        for axis, (n, cuts) in enumerate(zip(values.shape, edges, strict=True)):
            levels = np.apply_along_axis(_between, axis, levels, cuts, n)
        total += levels
    return total


def _edges(n: int, side: int) -> list[int]:
    count = max(1, (n + side // 2) // side)
    return [k * n // count for k in range(count + 1)]


def _level(cell: Image) -> float:
    known = cell[np.isfinite(cell)]
    use, inside = np.ones(len(known), bool), 1.0
    for _ in range(ROUNDS + 1):
        mean = known[use].mean()
        use = np.abs(known - mean) <= LEVEL_CLIP * known[use].std() / np.sqrt(inside)
        density = np.exp(-0.5 * LEVEL_CLIP**2) / np.sqrt(2 * np.pi)
        inside = 1 - 2 * LEVEL_CLIP * density / math.erf(LEVEL_CLIP / np.sqrt(2))
    return float(mean)


def _smoothed(levels: Image) -> Image:
    if len(levels) < 3:
        return levels
    low, high = (2 * levels[end] - levels[beside] for end, beside in ((0, [2, 1]), (-1, [-2, -3])))
    return np.convolve(np.concatenate([low, levels, high]), QUADRATIC, "valid")


def _between(levels: Image, edges: list[int], n: int) -> Image:
    centres = (np.array(edges[:-1]) + edges[1:] - 1) / 2
    if len(levels) == 1:
        return np.full(n, levels[0])
    at = np.arange(n)
    k = np.clip(np.searchsorted(centres, at, "right") - 1, 0, len(levels) - 2)
    return np.asarray(
        levels[k] + (at - centres[k]) / (centres[k + 1] - centres[k]) * (levels[k + 1] - levels[k])
    )


# --- difference ---


def matrix_of_shift(n: int, shift_px: float) -> tuple[Image, NDArray[np.bool_]]:
    """Rows that move n samples by a shift; and which sources (n, n) each sample must have known.

    The sinc is under a Kaiser window over eight samples and sums to one; beyond the border the samples there
    are repeated. A sample rests on the nearest sources to both sides, or on the one it falls on; all False
    where that lies outside.
    """
    move, rests = np.zeros((n, n)), np.zeros((n, n), bool)
    for i in range(n):
        source = i - shift_px
        if abs(source - round(source)) < 1e-6:
            taps = [(round(source), 1.0)]
            nearest = {round(source)}
        else:
            first = int(np.floor(source)) - TAPS // 2 + 1
            at = np.arange(first, first + TAPS)
            window = np.i0(BETA * np.sqrt(np.clip(1 - ((at - source) / (TAPS / 2)) ** 2, 0, None)))
            weights = np.sinc(at - source) * window
            taps = list(zip(at.tolist(), (weights / weights.sum()).tolist(), strict=True))
            nearest = {int(np.floor(source)), int(np.ceil(source))}
        for k, weight in taps:
            move[i, min(max(k, 0), n - 1)] += weight
        if min(nearest) >= 0 and max(nearest) < n:
            rests[i, sorted(nearest)] = True
    return move, rests


@dataclass(frozen=True)
class Difference:
    """``values`` (H, W) float64 counts, NaN where a pixel takes no part; and how many do not, and why."""

    values: Image
    not_measured: int
    saturated: int


def difference(
    before: NDArray[np.generic],
    after: NDArray[np.generic],
    *,
    shift_px: tuple[float, float] = (0.0, 0.0),
    saturation: float = np.inf,
    disappearing: bool = False,
) -> Difference:
    """Move `before` over `after` and take it away; saturated goes before missing."""
    (move_y, rests_y), (move_x, rests_x) = (
        matrix_of_shift(n, shift) for n, shift in zip(before.shape, shift_px, strict=True)
    )
    earlier, later = before.astype(np.float64), after.astype(np.float64)
    high_earlier, high_later = (f >= saturation for f in (earlier, later))
    gone_earlier, gone_later = (
        ~np.isfinite(f) | h for f, h in ((earlier, high_earlier), (later, high_later))
    )
    moved = move_y @ _gaps_filled(np.where(gone_earlier, np.nan, earlier)) @ move_x.T

    def rests_on(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(rests_y.astype(int) @ mask.astype(int) @ rests_x.T.astype(int) > 0)

    covered = np.outer(rests_y.any(1), rests_x.any(1))
    gone = ~covered | rests_on(gone_earlier) | gone_later
    saturated = high_later | (covered & rests_on(high_earlier) & ~(gone_later & ~high_later))
    values = np.where(gone, np.nan, (moved - later) if disappearing else (later - moved))
    return Difference(values, int((gone & ~saturated).sum()), int(saturated.sum()))


def _gaps_filled(frame: Image) -> Image:
    """Put the nearest known value to the left, or else to the right, or 0, in a gap's place."""
    out = frame.copy()
    for row in out:
        known = np.flatnonzero(np.isfinite(row))
        for i in np.flatnonzero(~np.isfinite(row)):
            left = known[known < i]
            row[i] = row[left[-1]] if left.size else row[known[0]] if known.size else 0.0
    return out


# --- matched filter ---


def spot(shape: tuple[int, int], y: float, x: float, sigma_px: float) -> Image:
    """A Gaussian with a peak of 1."""
    v, u = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-0.5 * ((v - y) ** 2 + (u - x) ** 2) / sigma_px**2)


def snr_at(values: Image, noise: float, y: float, x: float, sigma_px: float) -> float:
    """Return what the filter matched to a spot at a place gives in white noise."""
    g = spot(values.shape, y, x, sigma_px)
    known = np.isfinite(values)
    return float(np.sum((g * values)[known]) / noise / np.sqrt(np.sum(g[known] ** 2)))


def threshold(area_px: int, sigma_px: float, false_alarms: float) -> float:
    """Return the level that a Gaussian random field is expected to have `false_alarms` maxima above; >= 2.

    Behind the filter, white noise is correlated as exp(-r^2 / (4 sigma^2)), whose curvature at 0 is
    1 / (2 sigma^2) along each axis; the square root of their product is the density of independent patches.
    """
    density = 1 / (2 * sigma_px**2) / (2 * np.pi) ** 1.5

    def surplus(u: float) -> float:
        return float(area_px * density * u * np.exp(-0.5 * u * u) - false_alarms)

    return 2.0 if surplus(2.0) <= 0 else float(brentq(surplus, 2.0, 40.0))


# --- fits ---


@dataclass(frozen=True)
class Fitted:
    """``values`` (N, 3): y, x and peak of each spot; ``sigmas`` (N, 3) their standard deviations."""

    values: Image
    sigmas: Image


def fitted(values: Image, noise: float, start: Image, sigma_px: float) -> Fitted:
    """Fit Gaussians of one width to the known pixels of a difference in white noise, all at once.

    Parameters
    ----------
    start : (N, 3)
        y, x and peak to begin with; the number of spots is taken from it.
    """
    known = np.isfinite(values)

    def residual(p: Image) -> Image:
        model = sum(peak * spot(values.shape, y, x, sigma_px) for y, x, peak in p.reshape(-1, 3))
        return np.asarray(((values - model) / noise)[known])

    found = least_squares(residual, np.ravel(start), x_scale="jac", method="lm")
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    return Fitted(found.x.reshape(-1, 3), np.sqrt(np.diag(covariance)).reshape(-1, 3))
