"""How two pictures of one place lie on each other, and whether they show the same at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.refocuser import LEAST_DRIFT_PX
from lee.registration import TileGrid
from lee.shift import shift_frame

Map = NDArray[np.float32]

# Texture is looked at between these two standard deviations of Gaussians, px.
_FINE_PX, _COARSE_PX = 1.0, 4.0
# Spots, and what else stands out, count as no more than so many deviations.
_CLIP = 4.0
# Chance alone correlates by about one deviation, its largest peak by four or five.
_BY_CHANCE = 8.0
# Less shared than this, and the difference holds as much texture as the frames.
_LEAST_SHARED = 0.5
# Against the noise: with less texture there is nothing to be misled by, and nothing to judge by.
_LEAST_TEXTURE = 1.0
_WORST_SIGMA_PX = 1.0
# Windows that stand still hold a shift back by some per cent of it: once near, it is measured again.
_PASSES = 3
_NEAR_PX = 0.5


class Match(NamedTuple):
    """How far the later picture shows things from where the earlier does, and how much both share.

    ``shift_px`` (dy, dx); 0 where nothing shared tells it. ``shared`` is the correlation of what is no noise;
    NaN where there is no texture above noise.
    """

    shift_px: tuple[float, float]
    shared: float


def match(before: Map, after: Map) -> Match:
    """Compare two pictures (H, W) float32, counts; NaN where nothing was seen."""
    known = np.isfinite(before) & np.isfinite(after)
    if not known.any():
        return Match((0.0, 0.0), np.nan)
    earlier, later = (
        np.where(known, one, np.median(one[known])).astype(np.float32) for one in (before, after)
    )
    shift = (0.0, 0.0)
    found = _displacement(earlier, later) if min(before.shape) >= LEAST_DRIFT_PX else None
    a, b = _banded(earlier), _banded(later)
    if found is not None:
        moved = shift_frame(a, *found)
        independent = known.sum() / (8 * np.pi * _FINE_PX**2)
        if _correlation(moved, b, known) * np.sqrt(independent) > _BY_CHANCE:
            shift, a = found, moved
    return Match(shift, _shared(a, b, _noise(earlier, known), _noise(later, known), known))


def common_shift(pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[float, float]:
    """Find the shift (dy, dx) px that most of several pairs of pictures agree on; 0 where none compares."""
    found = [match(before.astype(np.float32), after.astype(np.float32)).shift_px for before, after in pairs]
    told = np.array([shift for shift in found if shift != (0.0, 0.0)]).reshape(-1, 2)
    if not len(told):
        return (0.0, 0.0)
    dy, dx = np.median(told, axis=0)
    return float(dy), float(dx)


def refuse_texture(found: Match) -> None:
    """Refuse a pair whose difference would be the surface's own texture.

    Raises
    ------
    InputError
        If less than half of the texture is shared after registration.
    """
    if found.shared < _LEAST_SHARED:
        dy, dx = found.shift_px
        raise InputError(
            f"particles: before and after share only {max(found.shared, 0):.0%} of their texture after a "
            f"shift of ({dy:.1f}, {dx:.1f}) px, so their difference is texture, not particles; give scans of "
            "the same place, at equal true heights, close in time"
        )


def _displacement(before: Map, after: Map) -> tuple[float, float] | None:
    grid = TileGrid((before.shape[0], before.shape[1]))
    spectra = grid.spectra(after)
    total = np.zeros(2)
    for _ in range(_PASSES):
        found, _ = grid.displacements(grid.spectra(shift_frame(before, *total)), spectra)
        if found is None or np.sqrt(np.trace(found.covariance_px2)) > _WORST_SIGMA_PX:
            return None
        total += found.shift_px
        if np.abs(found.shift_px).max() < _NEAR_PX:
            break
    return float(total[0]), float(total[1])


def _banded(picture: Map) -> Map:
    fine = ndimage.gaussian_filter(picture, _FINE_PX, mode="nearest")
    coarse = ndimage.gaussian_filter(picture, _COARSE_PX, mode="nearest")
    band = fine - coarse
    limit = _CLIP * 1.4826 * float(np.median(np.abs(band)))
    return np.asarray(np.clip(band, -limit, limit), dtype=np.float32)


def _noise(picture: Map, known: NDArray[np.bool_]) -> float:
    """Variance that white noise keeps in the band, from differences in which texture cancels.

    Infinite where nothing tells it: then there is nothing to judge texture by.
    """
    if min(picture.shape) < 2:
        return np.inf
    crossed = (picture[:-1, :-1] - picture[:-1, 1:] - picture[1:, :-1] + picture[1:, 1:]) / 2
    inside = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    if not inside.any():
        return np.inf
    deviation = 1.4826 * float(np.median(np.abs(crossed[inside])))
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    answer = ndimage.gaussian_filter(point, _FINE_PX) - ndimage.gaussian_filter(point, _COARSE_PX)
    return deviation**2 * float((answer.astype(np.float64) ** 2).sum())


def _correlation(a: Map, b: Map, known: NDArray[np.bool_]) -> float:
    x, y = a[known].astype(np.float64), b[known].astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else 0.0


def _shared(a: Map, b: Map, noise_a: float, noise_b: float, known: NDArray[np.bool_]) -> float:
    x, y = a[known].astype(np.float64), b[known].astype(np.float64)
    variance_a, variance_b = x.var() - noise_a, y.var() - noise_b
    if variance_a <= _LEAST_TEXTURE * noise_a or variance_b <= _LEAST_TEXTURE * noise_b:
        return float("nan")
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    return covariance / float(np.sqrt(variance_a * variance_b))
