"""Registration of two pictures: the shift between them, and whether they show the same place at all."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.reconstruction.motion.registration import TileGrid
from lee.reconstruction.motion.subpixel_shift import SHIFT_TAPS, shift_frame
from lee.reconstruction.parameters import MIN_DRIFT_PX
from lee.stacks.grey import Frame

# Texture is the band between these two standard deviations of Gaussians, px.
_FINE_PX, _COARSE_PX = 1.0, 4.0
# Spots and other outliers are clipped to so many standard deviations.
_CLIP = 4.0
# Correlation in standard deviations: chance alone gives about one, its largest peak four or five.
_SIGNIFICANT_CORRELATION = 8.0
# With a smaller share in common the difference holds as much texture as the frames.
_MIN_SHARED = 0.5
# Variance of the texture over that of the noise: with less texture nothing can mislead, or be compared.
_MIN_TEXTURE = 1.0
# With less texture than this share of the noise there is none at all.
_NO_TEXTURE = 0.05
_MAX_SIGMA_PX = 1.0
# So many values are enough for a median.
_MEDIAN_OF = 50_000
# Of larger pictures, parts of this size are used, of so many pixels in all.
_PART_PX, _USED_PX = 96, 768**2
# Fixed windows underestimate a shift by some per cent: it is measured again with the first estimate applied.
_PASSES = 3
_NEAR_PX = 0.5


class Registration(NamedTuple):
    """Displacement of the later picture against the earlier, and how much texture both share.

    ``shift_px`` (dy, dx); 0 where no shared texture determines it. ``shared`` is the correlation of the
    textures, corrected for noise; NaN where there is no texture above noise.
    """

    shift_px: tuple[float, float]
    shared: float


def register(before: Frame, after: Frame) -> Registration:
    """Register two pictures (H, W), counts: uint8, uint16, or float32 with NaN where nothing was seen."""
    known = _finite(before) & _finite(after)
    parts = [part for part in _parts(known.shape) if known[part].any()]
    if not parts:
        return Registration((0.0, 0.0), np.nan)
    textures = []
    for picture in (before, after):
        texture = _texture_of(picture, known, parts)
        if texture.is_only_noise:
            # Nothing to register.
            return Registration((0.0, 0.0), np.nan)
        textures.append(texture)
    a, b = textures
    shift = (0.0, 0.0)
    earlier, later = (_filled(one, known) for one in (before, after))
    found = _displacement(earlier, later) if min(before.shape) >= MIN_DRIFT_PX else None
    if found is not None:
        moved = _texture_of(earlier, known, parts, found)
        independent = len(b.band) / (8 * np.pi * _FINE_PX**2)
        if _correlation(moved.band, b.band) * np.sqrt(independent) > _SIGNIFICANT_CORRELATION:
            shift, a = found, moved._replace(noise=a.noise)
    return Registration(shift, _shared(a, b))


def common_shift(pairs: Iterable[tuple[Frame, Frame]]) -> tuple[float, float]:
    """Find the median shift (dy, dx) px of several pairs of pictures; 0 where none can be registered."""
    found = [register(before, after).shift_px for before, after in pairs]
    known = np.array([shift for shift in found if shift != (0.0, 0.0)]).reshape(-1, 2)
    if not len(known):
        return (0.0, 0.0)
    dy, dx = np.median(known, axis=0)
    return float(dy), float(dx)


def require_shared_texture(registered: Registration) -> None:
    """Reject a pair of pictures whose difference would be the surface's own texture.

    Raises
    ------
    InputError
        If less than half of the texture is shared after registration.
    """
    if registered.shared < _MIN_SHARED:
        dy, dx = registered.shift_px
        raise InputError(
            f"particles: before and after share only {100 * max(registered.shared, 0):.0f} % of their "
            f"texture after a shift of ({dy:.1f}, {dx:.1f}) px, so their difference is texture, not "
            "particles; give scans of the same place, at equal true heights, close in time"
        )


def _displacement(before: Frame, after: Frame) -> tuple[float, float] | None:
    grid = TileGrid((before.shape[0], before.shape[1]))
    spectra = grid.spectra(after)
    total = np.zeros(2)
    for _ in range(_PASSES):
        moved = before if not total.any() else shift_frame(before.astype(np.float32, copy=False), *total)
        found, _ = grid.displacements(grid.spectra(moved), spectra)
        if found is None or np.sqrt(np.trace(found.covariance_px2)) > _MAX_SIGMA_PX:
            return None
        total += found.shift_px
        if np.abs(found.shift_px).max() < _NEAR_PX:
            break
    return float(total[0]), float(total[1])


def _finite(picture: Frame) -> NDArray[np.bool_]:
    if picture.dtype.kind == "f":
        return np.asarray(np.isfinite(picture))
    return np.ones(picture.shape, np.bool_)


def _filled(picture: Frame, known: NDArray[np.bool_]) -> Frame:
    if known.all():
        return picture
    return np.where(known, picture, np.median(picture[known])).astype(np.float32)


def _parts(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Choose evenly spread parts of a large picture: enough to measure its texture."""
    per_side = int(np.sqrt(_USED_PX)) // _PART_PX
    if shape[0] * shape[1] <= _USED_PX or min(shape) < per_side * _PART_PX:
        return [(slice(None), slice(None))]
    starts = [np.rint(np.linspace(0, extent - _PART_PX, per_side)).astype(int) for extent in shape]
    return [
        (slice(y, y + _PART_PX), slice(x, x + _PART_PX))
        for y in starts[0].tolist()
        for x in starts[1].tolist()
    ]


class _Texture(NamedTuple):
    """A picture's texture, (N,) of known pixels, and the variance of white noise in it."""

    band: NDArray[np.float32]
    noise: float

    @property
    def is_only_noise(self) -> bool:
        """Whether nothing stands out of the noise."""
        return bool(self.band.var(dtype=np.float64) <= (1 + _NO_TEXTURE) * self.noise)


def _texture_of(
    picture: Frame,
    known: NDArray[np.bool_],
    parts: list[tuple[slice, slice]],
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> _Texture:
    """Texture of a picture once its content is shifted by (dy, dx)."""
    seen = np.stack([known[part] for part in parts])
    ones = np.stack([_filled(_shifted(picture, part, shift_px), known[part]) for part in parts])
    fine, coarse = (
        ndimage.gaussian_filter(ones, px, mode="nearest", axes=(1, 2)) for px in (_FINE_PX, _COARSE_PX)
    )
    band = (fine - coarse)[seen]
    # Differences of four neighbours, in which texture cancels.
    cross = (ones[:, :-1, :-1] - ones[:, :-1, 1:] - ones[:, 1:, :-1] + ones[:, 1:, 1:]) / 2
    noise = cross[seen[:, :-1, :-1] & seen[:, :-1, 1:] & seen[:, 1:, :-1] & seen[:, 1:, 1:]]
    limit = _CLIP * _deviation(band)
    return _Texture(np.clip(band, -limit, limit), _variance(noise) * _white_noise_in_band())


def _shifted(picture: Frame, part: tuple[slice, slice], shift_px: tuple[float, float]) -> NDArray[np.float32]:
    """Return a part of a picture, (h, w), once its content is shifted."""
    if not any(shift_px):
        return picture[part].astype(np.float32)
    around, inner = [], []
    for cut, by, size in zip(part, shift_px, picture.shape, strict=True):
        begin, end, _ = cut.indices(size)
        margin = int(np.ceil(abs(by))) + SHIFT_TAPS
        low, high = max(begin - margin, 0), min(end + margin, size)
        around.append(slice(low, high))
        inner.append(slice(begin - low, end - low))
    return shift_frame(picture[tuple(around)].astype(np.float32), *shift_px)[tuple(inner)]


def _deviation(values: NDArray[np.floating]) -> float:
    """Robust standard deviation of values around 0, of some of them where there are many."""
    return 1.4826 * float(np.median(np.abs(values[:: max(len(values) // _MEDIAN_OF, 1)])))


def _variance(noise: NDArray[np.floating]) -> float:
    """Variance of the values within three standard deviations; infinite for no values."""
    if not len(noise):
        return float("inf")
    limit = 3 * _deviation(noise)
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


def _shared(a: _Texture, b: _Texture) -> float:
    x, y = (texture.band - texture.band.mean(dtype=np.float64) for texture in (a, b))
    variances = [float((v @ v) / len(v)) - texture.noise for v, texture in ((x, a), (y, b))]
    if any(v <= _MIN_TEXTURE * texture.noise for v, texture in zip(variances, (a, b), strict=True)):
        return float("nan")
    return float(x @ y / len(x)) / float(np.sqrt(variances[0] * variances[1]))
