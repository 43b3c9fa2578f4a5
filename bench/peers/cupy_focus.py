"""Focus measure and refocusing composed from calls of NumPy and scipy.ndimage, or of their twins in CuPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cuda_timing import fused
from lee.kernels.footprint import Footprint


class Variance:
    """Variance over mean in one footprint; borders repeat, so they differ from ours there."""

    def __init__(self, xp: Any, nd: Any, footprint: Footprint) -> None:
        self._xp, self._nd = xp, nd
        self._size = footprint.mask.shape if footprint.mask.all() else None
        self._weights = xp.asarray(footprint.mask / np.float32(footprint.area_px), dtype=np.float32)
        # The footprint's mask counts pixels about its centre, which need not be the middle.
        self._origin = tuple(c - n // 2 for c, n in zip(footprint.centre, footprint.mask.shape, strict=True))
        self._over_mean = fused(xp, lambda mean, square: (square - mean * mean) / mean)

    def __call__(self, image: Any) -> Any:
        value = image.astype(np.float32)
        return self._over_mean(self._mean(value), self._mean(value * value))

    def _mean(self, values: Any) -> Any:
        if self._size is not None:
            return self._nd.uniform_filter(values, self._size, mode="nearest", origin=self._origin)
        return self._nd.correlate(values, self._weights, mode="nearest", origin=self._origin)


class Spectral(Variance):
    """The same with means by Fourier transforms, which large footprints gain by; the image is periodic."""

    def __init__(self, xp: Any, nd: Any, footprint: Footprint, shape: tuple[int, int]) -> None:
        super().__init__(xp, nd, footprint)
        kernel = np.zeros(shape, np.float32)
        h, w = footprint.mask.shape
        kernel[:h, :w] = footprint.mask / np.float32(footprint.area_px)
        kernel = np.roll(kernel, [-c for c in footprint.centre], axis=(0, 1))
        self._spectrum = xp.asarray(np.conj(np.fft.rfft2(kernel)), dtype=np.complex64)
        self._shape = shape

    def _mean(self, values: Any) -> Any:
        fft = self._xp.fft
        return fft.irfft2(fft.rfft2(values) * self._spectrum, self._shape).astype(np.float32)


def _moments(xp: Any) -> Callable[..., Any]:
    def add(sample: Any, peak: Any, u: Any, power: tuple[Any, ...], moment: tuple[Any, ...]) -> Any:
        share = sample / peak
        weight = share * share
        log = xp.log(xp.maximum(share, np.float32(1e-9)))
        terms = [weight]
        for _ in range(4):
            terms.append(terms[-1] * u)
        return (
            *(s + term for s, term in zip(power, terms, strict=True)),
            *(t + term * log for t, term in zip(moment, terms[:3], strict=True)),
        )

    return fused(xp, lambda sample, peak, u, *sums: add(sample, peak, u, sums[:5], sums[5:]))


def _top(xp: Any) -> Callable[..., Any]:
    def of(s0: Any, s1: Any, s2: Any, s3: Any, s4: Any, t0: Any, t1: Any, t2: Any) -> Any:
        slope = t1 * (s0 * s4 - s2 * s2) - t0 * (s1 * s4 - s2 * s3) - t2 * (s0 * s3 - s1 * s2)
        bend = t0 * (s1 * s3 - s2 * s2) - t1 * (s0 * s3 - s1 * s2) + t2 * (s0 * s2 - s1 * s1)
        return xp.where(bend < 0, np.float32(-0.5) * slope / bend, np.float32(np.nan))

    return fused(xp, of)


class Argmax:
    """Plane of the largest focus, the counts there, and the top of the parabola through the log of focus.

    It gives no standard deviation, and moves the fit's window inward at the ends of the scan.
    """

    def __init__(self, xp: Any, z_um: Any, reach: int) -> None:
        self._xp, self._reach = xp, reach
        self._z_um = xp.asarray(z_um, dtype=np.float32)
        self._add, self._top = _moments(xp), _top(xp)

    def __call__(self, stack: Any, focus: Any) -> tuple[Any, Any, Any]:
        xp, z = self._xp, self._z_um
        plane = focus.argmax(axis=0)
        at = plane[None]
        sharp = xp.take_along_axis(stack, at, 0)[0].astype(np.float32)
        peak = xp.take_along_axis(focus, at, 0)[0]
        middle = xp.clip(plane, self._reach, len(z) - 1 - self._reach)
        z_middle = z[middle]
        sums = tuple(xp.zeros(plane.shape, np.float32) for _ in range(8))
        for offset in range(-self._reach, self._reach + 1):
            frame = middle + offset
            sample = xp.take_along_axis(focus, frame[None], 0)[0]
            sums = self._add(sample, peak, z[frame] - z_middle, *sums)
        return sharp, plane, z_middle + self._top(*sums)
