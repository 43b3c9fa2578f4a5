"""How two pictures of one place lie on each other, and whether they show the same at all."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.reconstruction.parameters import MIN_DRIFT_PX
from lee.reconstruction.registration import TileGrid
from lee.reconstruction.subpixel_shift import shift_frame

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
# With less of it there is nothing at all.
_BARE = 0.05
_WORST_SIGMA_PX = 1.0
# Of larger pictures, parts of this size are looked at, of so many pixels in all.
_PART_PX, _LOOKED_AT_PX = 96, 768**2
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
    parts = _parts(known.shape)
    looks = []
    for picture in (before, after):
        look = _look(picture, known, parts)
        if look.is_bare:
            # Nothing there could be laid over anything.
            return Match((0.0, 0.0), np.nan)
        looks.append(look)
    a, b = looks
    shift = (0.0, 0.0)
    earlier, later = (_filled(one, known) for one in (before, after))
    found = _displacement(earlier, later) if min(before.shape) >= MIN_DRIFT_PX else None
    if found is not None:
        moved = _look(shift_frame(earlier, *found), known, parts)
        independent = len(b.band) / (8 * np.pi * _FINE_PX**2)
        if _correlation(moved.band, b.band) * np.sqrt(independent) > _BY_CHANCE:
            shift, a = found, moved._replace(noise=a.noise)
    return Match(shift, _shared(a, b))


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


def _filled(picture: Map, known: NDArray[np.bool_]) -> Map:
    if known.all():
        return picture
    return np.where(known, picture, np.median(picture[known])).astype(np.float32)


def _parts(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Cut parts out of a large picture, evenly spread: they tell as much of its texture as all of it."""
    per_side = int(np.sqrt(_LOOKED_AT_PX)) // _PART_PX
    if shape[0] * shape[1] <= _LOOKED_AT_PX or min(shape) < per_side * _PART_PX:
        return [(slice(None), slice(None))]
    starts = [np.rint(np.linspace(0, extent - _PART_PX, per_side)).astype(int) for extent in shape]
    return [
        (slice(y, y + _PART_PX), slice(x, x + _PART_PX))
        for y in starts[0].tolist()
        for x in starts[1].tolist()
    ]


class _Look(NamedTuple):
    """A picture's texture, (N,) of known pixels; and the variance that white noise has in it."""

    band: NDArray[np.float32]
    noise: float

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing but noise, as far as can be told."""
        return bool(self.band.var(dtype=np.float64) <= (1 + _BARE) * self.noise)


def _look(picture: Map, known: NDArray[np.bool_], parts: list[tuple[slice, slice]]) -> _Look:
    bands, crossed = [], []
    for part in parts:
        there = known[part]
        if not there.any():
            continue
        one = _filled(picture[part], there)
        fine, coarse = (ndimage.gaussian_filter(one, px, mode="nearest") for px in (_FINE_PX, _COARSE_PX))
        bands.append((fine - coarse)[there])
        # Differences of four neighbours, in which texture cancels.
        cross = (one[:-1, :-1] - one[:-1, 1:] - one[1:, :-1] + one[1:, 1:]) / 2
        crossed.append(cross[there[:-1, :-1] & there[:-1, 1:] & there[1:, :-1] & there[1:, 1:]])
    band, noise = np.concatenate(bands), np.concatenate(crossed)
    limit = _CLIP * 1.4826 * float(np.median(np.abs(band)))
    return _Look(np.clip(band, -limit, limit), _variance(noise) * _white_noise_in_band())


def _variance(noise: NDArray[Any]) -> float:
    """Variance of what lies within three deviations; infinite where nothing tells it."""
    if not len(noise):
        return float("inf")
    limit = 3 * 1.4826 * float(np.median(np.abs(noise)))
    # By squares, since a median of whole numbers is a whole number.
    inside = noise[np.abs(noise) <= limit].astype(np.float64)
    return float((inside @ inside) / len(inside)) / 0.9733 if limit > 0 else 0.0


@cache
def _white_noise_in_band() -> float:
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    answer = ndimage.gaussian_filter(point, _FINE_PX) - ndimage.gaussian_filter(point, _COARSE_PX)
    return float((answer.astype(np.float64) ** 2).sum())


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    x, y = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else 0.0


def _shared(a: _Look, b: _Look) -> float:
    x, y = (look.band - look.band.mean(dtype=np.float64) for look in (a, b))
    variances = [float((v @ v) / len(v)) - look.noise for v, look in ((x, a), (y, b))]
    if any(v <= _LEAST_TEXTURE * look.noise for v, look in zip(variances, (a, b), strict=True)):
        return float("nan")
    return float(x @ y / len(x)) / float(np.sqrt(variances[0] * variances[1]))
