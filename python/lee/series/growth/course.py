"""The course of growth around one scan: what the whole field does, and what places that grow faster do."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import fft, ndimage

# Degrees in time of what the whole field does, of what follows from faster growth, and of what is neither;
# the last further only where it exceeds so many times its errors.
_COMMON_DEGREE, _FOLLOWING_DEGREE, _OWN_DEGREE = 3, 4, 2
_GAP_BLOCKS = 1.5
# How growth bends over three scans is judged on means over so many blocks.
_BEND_BLOCKS = 4.0
_RINGS = 24
_CLIP = 6.0
# Narrow growth is sharpened up to the inverse of this.
_MIN_PASSED = 0.4
_LAST_TERM = 0.5
_CAUTION = 4.0
Value = TypeVar("Value", float, NDArray[np.float64])


class Course(NamedTuple):
    """How the field grows around one scan.

    ``course`` is the time in s since the scan as faster growth takes it: where growth is faster it also
    changes faster, in the same proportion everywhere. ``common_um`` (d,) are the amounts of the ``shapes``, d
    polynomials of the time in s since the scan, that the whole field has beside it; ``jitter_um`` is the
    standard deviation of each, from how the stage moves from scan to scan. Coarse maps are ``faster_um`` (h,
    w), by how much growth is faster than elsewhere, ``own_um`` (d, h, w), what is neither common nor
    proportional, and ``rough_um`` (r, h, w), what no polynomial follows: errors alone. ``contrasts``
    (1 + d + r, n) yields them, in this order, from the heights of the scans, at ``since_s`` (n,).
    """

    since_s: NDArray[np.float64]
    course: Polynomial
    shapes: list[Polynomial]
    common_um: NDArray[np.float64]
    jitter_um: NDArray[np.float64]
    faster_um: NDArray[np.float32]
    own_um: NDArray[np.float32]
    rough_um: NDArray[np.float32]
    contrasts: NDArray[np.float64]


class Bent(NamedTuple):
    """How growth bends beside its course: amounts of the shapes of a `Course`.

    ``amounts_um`` (d, h, w) float32, µm; ``doubt_um`` (d, h, w) float32, µm, by how much they may be wrong in
    proportion to faster growth, since terms were cut off; ``sigma_um`` (d,) float64, µm, the standard
    deviation of their other errors.
    """

    amounts_um: NDArray[np.float32]
    doubt_um: NDArray[np.float32]
    sigma_um: NDArray[np.float64]


def course_at(
    k: int, coarse_um: NDArray[np.float32], times_s: NDArray[np.float64], scans: list[int]
) -> Course:
    """Measure the course of growth around scan k; a straight one for three scans.

    Parameters
    ----------
    k : int
    coarse_um : (T, h, w) float32, µm
        Coarse changes of height.
    times_s : (T,) s
    scans : list of int
        The scans around k, three or more.

    Returns
    -------
    Course
        With three scans, what bends is taken for an error, in ``jitter_um``.
    """
    count = len(scans)
    t = times_s[scans] - times_s[k]
    unit = float(np.ptp(t))
    degree = max(min(count - 2, _FOLLOWING_DEGREE), 2)
    # Orthogonal on these scans: the amounts are independent of each other.
    orthogonal, mixed = np.linalg.qr(np.vander(t / unit, degree + 1, increasing=True), mode="complete")
    inverse = np.linalg.inv(mixed[: degree + 1])
    scale = unit ** -np.arange(degree + 1.0)
    shapes = [Polynomial(inverse[:, j] * scale) for j in range(2, degree + 1)]
    linear = Polynomial(inverse[:2, 1] * scale[:2])
    amounts = np.tensordot(orthogonal.T.astype(np.float32), coarse_um[scans] - coarse_um[scans[0]], 1)
    rough = amounts[degree + 1 :]
    noise = _noise(rough)
    # A block with an outlier scan is ignored.
    amounts[:, (np.abs(rough) > _CLIP * max(noise, 1e-6)).any(axis=0)] = np.nan
    known = np.isfinite(amounts).all(axis=0)
    common = np.median(amounts[:, known], axis=1) if known.any() else np.zeros(count)
    if count == 3:
        bend = _noise(_filled(amounts[2], _BEND_BLOCKS))
        nothing = np.zeros((1, *coarse_um.shape[1:]), np.float32)
        straight = Polynomial([0.0, 1.0])
        rest = (nothing[0], nothing, nothing[:0], orthogonal[:, 1:].T)
        return Course(t, straight, shapes, np.zeros(1), np.array([bend]), *rest)
    amounts -= common[:, None, None].astype(np.float32)
    jitter = float(np.sqrt(np.mean(np.square(common[min(degree, _COMMON_DEGREE) + 1 :]))))
    faster = np.where(np.isfinite(amounts[1]), amounts[1], np.float32(0))
    strength = max(float(np.sum(np.square(faster, dtype=np.float64))), 1e-30)
    course = linear
    beside = []
    for j, shape in enumerate(shapes, 2):
        share = float(np.nansum(amounts[j] * faster, dtype=np.float64)) / strength
        share *= _kept(share**2, noise**2 / strength)
        course = course + share * shape
        amounts[j] -= np.float32(share) * faster
        own = _kept(common[j] ** 2, jitter**2) * common[j] if j <= _COMMON_DEGREE else 0.0
        beside.append(own - share * common[1])
    course = (course - course(0.0)) / linear.deriv()(0.0)
    maps = (faster, amounts[2 : degree + 1], rough, orthogonal[:, 1:].T)
    return Course(t, course, shapes, np.array(beside), np.full(len(shapes), jitter), *maps)


def bent_growth(course: Course, ratios: NDArray[np.float64]) -> Bent:
    """Return the amounts of the shapes that growth has beside its course, filtered by their errors.

    What follows from faster growth by one filter over the field, as in levelling, is kept as far as that
    filter is significant; of the rest, what exceeds the errors (Wiener). Maps are sharpened, since they will
    be interpolated.

    Parameters
    ----------
    course : Course
    ratios : (1 + d + r) float64
        Variance of the errors in the contrasts, in one unit.

    Returns
    -------
    Bent
    """
    if not len(course.rough_um):
        return Bent(course.own_um, np.zeros_like(course.own_um), course.jitter_um)
    ratios = ratios / np.mean(ratios[-len(course.rough_um) :])
    y, x = (np.arange(n) / n for n in course.faster_um.shape)
    ring = np.rint(np.hypot(y[:, None], x[None, :]) * _RINGS).astype(np.intp)
    count = np.maximum(np.bincount(ring.ravel()), 1)

    def in_rings(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(ring.ravel(), values.ravel()) / count

    error = np.mean([in_rings(np.square(_waves(one))) for one in course.rough_um], axis=0)
    faster = _waves(course.faster_um)
    power = np.maximum(in_rings(np.square(faster)), 1e-30)
    heard = _kept(power, ratios[0] * error)
    # Block means and the interpolation between them both flatten what is narrow.
    passed = np.sinc(y / 2)[:, None] ** 3 * np.sinc(x / 2)[None, :] ** 3
    sharper = 1 / np.maximum(passed, _MIN_PASSED)
    amounts, doubts, variances = [], [], []
    last = 1 + len(course.own_um)
    for degree, (own, ratio) in enumerate(zip(course.own_um, ratios[1:], strict=False), 2):
        waves = _waves(own)
        noise = ratio * error
        response = heard * in_rings(waves * faster) / power
        noise_of_response = noise / (power * count)
        sure = _kept(np.square(response), noise_of_response)
        follows = (sure * response)[ring] * faster
        rest = waves - follows
        excess = in_rings(np.square(rest)) - noise
        gain = _kept(excess + noise, noise if degree <= _OWN_DEGREE else _CAUTION * noise)
        amounts.append(fft.idctn(sharper * (follows + gain[ring] * rest), norm="ortho"))
        # Terms become smaller and smaller: what is left out is at most about half of the last.
        left = 1 - sure + (_LAST_TERM * sure if degree == last else 0.0)
        doubts.append(fft.idctn(sharper * (left * response)[ring] * faster, norm="ortho"))
        missed = np.square(1 - gain) * excess
        held = np.square(gain) * noise + sure * np.square(heard) * noise_of_response * power
        held += np.square(sure * response) * ratios[0] * error
        # Noise alone exceeds itself by chance.
        chance = 2 * float(np.sqrt(2 * np.mean(np.square(noise[ring])) / waves.size))
        variances.append(max(float(np.mean(missed[ring])) - chance, 0.0) + float(np.mean(held[ring])))
    found = np.stack(amounts) + course.common_um[:, None, None]
    sigma = np.sqrt(np.array(variances) + course.jitter_um**2)
    return Bent(found.astype(np.float32), np.stack(doubts).astype(np.float32), sigma)


def _noise(maps: NDArray[np.float32]) -> float:
    known = maps[np.isfinite(maps)]
    return 1.4826 * float(np.median(np.abs(known))) if known.size else 0.0


def _kept(power: Value, noise: Value) -> Value:
    """Return the share of a power that is not noise, 0 to 1."""
    kept: Value = np.maximum(1 - noise / np.maximum(power, 1e-30), 0)
    return kept


def _waves(amount: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine transform of a coarse map, its gaps filled from around them."""
    known = np.isfinite(amount)
    values = np.where(known, amount, np.float32(0))
    if known.any():
        limit = _CLIP * 1.4826 * float(np.median(np.abs(values[known])))
        values = np.clip(values, -limit, limit)
    if not known.all():
        clipped = np.where(known, values, np.float32(np.nan))
        values = np.where(known, values, _filled(clipped, _GAP_BLOCKS))
    return np.asarray(fft.dctn(values.astype(np.float64), norm="ortho"))


def _filled(amount: NDArray[np.float32], blocks: float) -> NDArray[np.float32]:
    """Return the mean over so many blocks around each, of those that are known."""
    known = np.isfinite(amount)
    share = ndimage.gaussian_filter(known.astype(np.float32), blocks, mode="nearest")
    around = ndimage.gaussian_filter(np.where(known, amount, np.float32(0)), blocks, mode="nearest")
    return np.asarray(around / np.maximum(share, np.float32(0.05)))
