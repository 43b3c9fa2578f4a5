"""What the second look gathers from the frames: the moments over z of every pixel's detail about its height.

A pixel's detail at distance u from its height is t·a(u) + noise: t its texture, a(u) the contrast, a
Gaussian of standard deviation s, and u = z − h. With Gaussian weights g(u), the sums A = Σ g d and
B = Σ u g d over the frames are those of texture and of texture times the error of h: where h is too low by e,
B/A is e·g²/(g² + s²), g now the weights' standard deviation. Neither squares the noise, and the noise of the
two is independent.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.second_look.detail import REACH_PX, Image, block_mean, laplacian, tiles
from lee.reconstruction.second_look.frame_noise import FrameNoise

# Standard deviation of the weights over z against that of the focus curve: narrower ones leave noise, wider
# ones take in what is blurred in from other heights.
_WEIGHTS = 0.85
# Weights beyond these many standard deviations are left out.
_REACH = 2.5
# The width of the contrast curve, against the weights': limits, and the share of pixels with the most texture
# that it is measured on.
_CONTRAST_LIMITS = (0.35, 3.0)
_CLEAR_SHARE = 0.3
_HEIGHTS = 512


@dataclass(frozen=True, eq=False)
class FocusGroup:
    """The mean of `frames` neighbouring frames: its height, and the distance in z that it stands for, µm.

    ``gain`` (H, W) restores the contrast of detail where a veil took some; None: it took none.
    """

    image: Image
    z_um: float
    span_um: float
    frames: int
    gain: Image | None = None


@dataclass(frozen=True, eq=False)
class TextureMatch:
    """How far the texture says a height map is off, at one size of texture.

    ``weight`` (h, w) is texture squared, ``offset`` weight times how much higher the surface is, µm, and
    ``noise`` the variance of `offset` by noise; cells of `side` pixels.
    """

    side: int
    weight: Image
    offset: Image
    noise: Image


def weights_um(depth_um: float) -> float:
    """Return the standard deviation of the weights over z, µm, for a full width at half maximum."""
    return _WEIGHTS * depth_um / 2.355


class FocalMoments:
    """Sums over the frames about a height map, at two sizes of texture.

    Parameters
    ----------
    height_um : (H, W) float32, µm
        A height at every pixel; H and W are multiples of 16.
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    threads : int
    """

    def __init__(self, height_um: Image, *, depth_um: float, threads: int) -> None:
        self._sd = weights_um(depth_um)
        self._scales = [_Scale(block_mean(height_um, side), side, self._sd) for side in (1, 2)]
        self._z: list[tuple[float, float, int]] = []
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="lee-second-look")

    def push(self, group: FocusGroup) -> None:
        """Add a group of frames; they come in order of z."""
        self._z.append((group.z_um, group.span_um, group.frames))
        for scale in self._scales:
            image = np.pad(block_mean(group.image, scale.side), REACH_PX, mode="edge")
            gain = None if group.gain is None else block_mean(group.gain, scale.side)
            work = [
                self._pool.submit(scale.add, tile, image, gain, group, len(self._z))
                for tile in scale.tiles_in_reach(group.z_um)
            ]
            for done in work:
                done.result()

    def finish(self) -> list[TextureMatch]:
        """Return what each size of texture says about the heights."""
        self._pool.shutdown()
        return [scale.match(np.array(self._z)) for scale in self._scales]


class _Scale:
    """The sums at one size of texture."""

    def __init__(self, height: Image, side: int, sd: float) -> None:
        self.side = side
        self._height, self._sd = height, sd
        self._sums = np.zeros((3, *height.shape), dtype=np.float32)
        self._tiles = list(tiles(height.shape))
        self._noise = FrameNoise(height.shape, len(self._tiles))
        self._low = np.array([height[tile].min() for tile in self._tiles])
        self._high = np.array([height[tile].max() for tile in self._tiles])

    def tiles_in_reach(self, z_um: float) -> NDArray[np.intp]:
        reach = _REACH * self._sd
        return np.flatnonzero((z_um > self._low - reach) & (z_um < self._high + reach))

    def add(self, number: int, image: Image, gain: Image | None, group: FocusGroup, at: int) -> None:
        tile = self._tiles[number]
        rows, columns = tile
        detail = laplacian(
            image[rows.start : rows.stop + 2 * REACH_PX, columns.start : columns.stop + 2 * REACH_PX]
        )
        if gain is not None:
            detail *= gain[tile]
        u = np.float32(group.z_um) - self._height[tile]
        g = np.exp(u * u * np.float32(-0.5 / self._sd**2))
        g[np.abs(u) > _REACH * self._sd] = 0
        term = g * detail * np.float32(group.span_um)
        sums = self._sums[(slice(None), *tile)]
        for k in range(3):
            sums[k] += term
            if k < 2:
                term *= u
        self._noise.add(number, tile, detail, g, at, group.frames)

    def match(self, z: NDArray[np.float64]) -> TextureMatch:
        a, b, c = self._sums
        sd = self._sd
        noise = self._noise.at_pixels()
        heights = np.linspace(float(self._height.min()), float(self._height.max()), _HEIGHTS)
        n0, n1, n2 = _noise_moments(heights, z, sd)
        texture = a * a - noise * self._at(heights, n0)
        contrast = self._contrast_um(texture, a * c - noise * self._at(heights, n2))
        m0, m1, m2 = _signal_moments(heights, z, sd, contrast)
        middle = m1 / m0
        # Least distance in z that the frames tell apart, against a scan that goes on on both sides.
        steepness = np.maximum(m2 - m1 * middle, 1e-3 * m0.max() * sd**2)
        gain = contrast**2 * m0 / steepness
        shift = self._at(heights, middle)
        offset = (a * (b - shift * a) - noise * self._at(heights, n1 - middle * n0)) * self._at(heights, gain)
        spread_of_b = n2 - 2 * middle * n1 + middle**2 * n0
        variance = a * a * noise * self._at(heights, gain**2 * spread_of_b)
        return TextureMatch(self.side, texture, offset, variance)

    def _at(self, heights: NDArray[np.float64], values: NDArray[np.float64]) -> Image:
        return np.interp(self._height, heights, values).astype(np.float32)

    def _contrast_um(self, texture: Image, second: Image) -> float:
        """Find the standard deviation of the contrast over z from the clearest pixels' second moments."""
        clear = texture >= np.quantile(texture, 1 - _CLEAR_SHARE)
        # Of weights g and contrast s the second moment is g²s² / (g² + s²).
        total = float(texture[clear].sum(dtype=np.float64))
        ratio = float(second[clear].sum(dtype=np.float64)) / max(total, 1e-30) / self._sd**2
        low, high = (w * w / (1 + w * w) for w in _CONTRAST_LIMITS)
        ratio = float(np.clip(ratio, low, high))
        return self._sd * float(np.sqrt(ratio / (1 - ratio)))


def _weights(
    heights: NDArray[np.float64], z: NDArray[np.float64], sd: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    u = z[:, 0] - heights[:, None]
    return u, np.where(np.abs(u) <= _REACH * sd, np.exp(-0.5 * (u / sd) ** 2), 0)


def _signal_moments(
    heights: NDArray[np.float64], z: NDArray[np.float64], sd: float, contrast: float
) -> list[NDArray[np.float64]]:
    u, g = _weights(heights, z, sd)
    seen = g * np.exp(-0.5 * (u / contrast) ** 2) * z[:, 1]
    least = 1e-6 * sd
    return [np.sum(seen * u**k, axis=1) + (least if k == 0 else 0) for k in range(3)]


def _noise_moments(
    heights: NDArray[np.float64], z: NDArray[np.float64], sd: float
) -> list[NDArray[np.float64]]:
    u, g = _weights(heights, z, sd)
    passed = (g * z[:, 1]) ** 2 / z[:, 2]
    return [np.sum(passed * u**k, axis=1) for k in range(3)]
