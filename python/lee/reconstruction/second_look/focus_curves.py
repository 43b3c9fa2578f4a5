"""Whether what came into focus at a height is the surface: its texture seen there, just below and just above.

A surface's texture appears, comes into focus and fades as its distance from the plane in focus alone demands,
by the same share at every pixel. What moves shows another texture a little later; what appears or vanishes
is seen on one side only; what rises with the plane in focus fades too late; and a maximum at the edge of an
occlusion is no focus at all. All of them leave the usual shape, whatever their brightness.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.second_look.detail import REACH_PX, Image, laplacian, smooth, tiles
from lee.reconstruction.second_look.focal_moments import FocusGroup
from lee.reconstruction.second_look.frame_noise import FrameNoise

Mask = NDArray[np.bool_]

# Gaussians over z, in standard deviations of the focus curve: one at a height, one on either side of it.
_MIDDLE_SD, _SIDE, _SIDE_SD, _REACH = 0.5, 1.25, 0.4, 2.25
# Standard deviation of the window over which details are compared, px.
_WINDOW_PX = 2.0
# A side counts as seen with this share of the weight that it has in the middle of the scan.
_MIN_SEEN = 0.4
_HEIGHTS = 512
# What is usual is learnt from so many pixels at least.
_MIN_PIXELS = 500
# Spread of shapes: of what is sharp at least this, and what noise adds, as a variance, at a signal-to-noise
# ratio (of powers) of 1.
_MIN_SPREAD, _OF_NOISE = 0.03, 0.08
_LOW_QUANTILE = 0.16  # one standard deviation below the median


@dataclass(frozen=True, eq=False)
class FocusShapes:
    """Shapes of focus curves at K height maps, (K, H, W) each.

    ``less`` and ``more`` are the smaller and the larger of the shares of texture seen below and above, in
    units of what is usual; NaN where neither was scanned. ``signal_to_noise`` is the ratio of powers at the
    height, and ``image`` the weighted mean of the frames there, counts; 0 where nothing was gathered.
    """

    less: Image
    more: Image
    signal_to_noise: Image
    image: Image


class FocusCurves:
    """Details of frames at height maps and to both sides of them.

    Parameters
    ----------
    heights : (K, H, W) float32, µm
        NaN where there is none.
    where : (H, W) bool
        Only tiles that hold some of these are gathered.
    calm : (H, W) bool
        Where the first heights are the surface's and nothing moved: noise is learnt there.
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    threads : int
    images : bool
        Whether the frames themselves are gathered, too.
    """

    def __init__(
        self, heights: Image, where: Mask, calm: Mask, *, depth_um: float, threads: int, images: bool = False
    ) -> None:
        self._heights, self._calm, self._sd = heights, calm, depth_um / 2.355
        self._tiles = [tile for tile in tiles(where.shape) if where[tile].any()]
        self._ends = np.array([_ends(heights[(slice(None), *tile)]) for tile in self._tiles]).reshape(-1, 2)
        self._sums = [
            np.zeros((4 if images else 3, *heights[(slice(None), *tile)].shape), np.float32)
            for tile in self._tiles
        ]
        self._noise = FrameNoise(where.shape, len(self._tiles))
        self._z: list[tuple[float, float, int]] = []
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="lee-focus-curves")

    def push(self, group: FocusGroup) -> None:
        """Add a group of frames; they come in order of z."""
        self._z.append((group.z_um, group.span_um, group.frames))
        reach = _REACH * self._sd
        low, high = self._ends.T
        padded = np.pad(group.image, REACH_PX, mode="edge")
        work = [
            self._pool.submit(self._add, int(number), padded, group, len(self._z))
            for number in np.flatnonzero((group.z_um > low - reach) & (group.z_um < high + reach))
        ]
        for done in work:
            done.result()

    def finish(self) -> FocusShapes:
        """Return the shapes."""
        self._pool.shutdown()
        z = np.array(self._z).reshape(-1, 3)
        count, shape = len(self._heights), self._heights.shape[1:]
        less, more = (np.full((count, *shape), np.nan, np.float32) for _ in range(2))
        ratio, image = (np.zeros((count, *shape), np.float32) for _ in range(2))
        if not self._tiles or not np.isfinite(self._heights).any():
            return FocusShapes(less, more, ratio, image)
        expected = _Expected(self._heights, z, self._sd)
        noise = self._noise.at_pixels()
        gathered = np.zeros(shape, bool)
        for tile in self._tiles:
            gathered[tile] = True
        for k in range(count):
            height = np.where(gathered, self._heights[k], np.nan)
            whole = np.zeros((len(self._sums[0]), *shape), np.float32)
            for tile, sums in zip(self._tiles, self._sums, strict=True):
                whole[(slice(None), *tile)] = sums[:, k]
            shares = _Shares(whole, noise, expected, height)
            less[k], more[k], ratio[k] = shares.less, shares.more, shares.signal_to_noise
            if len(whole) > 3:
                image[k] = whole[3] / np.maximum(expected.at(height, expected.weight[0]), 1e-6)
        return FocusShapes(less, more, ratio, image)

    def _add(self, number: int, padded: Image, group: FocusGroup, at: int) -> None:
        rows, columns = tile = self._tiles[number]
        here = padded[rows.start : rows.stop + 2 * REACH_PX, columns.start : columns.stop + 2 * REACH_PX]
        detail = laplacian(here)
        if group.gain is not None:
            detail *= group.gain[tile]
        span = np.float32(group.span_um)
        sums = self._sums[number]
        for k, height in enumerate(self._heights[(slice(None), *tile)]):
            u = (np.float32(group.z_um) - height) * np.float32(1 / self._sd)
            middle, side = _weights(u)
            if k == 0:
                self._noise.add(number, tile, detail, middle * self._calm[tile], at, group.frames)
            middle *= span
            sums[0, k] += middle * detail
            side *= span * detail
            sums[1, k] += np.where(u < 0, side, 0)
            sums[2, k] += np.where(u > 0, side, 0)
            if len(sums) > 3:
                sums[3, k] += middle * here[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]


class _Expected:
    """What weights and a Gaussian focus curve let expect at any height, over the frames that there are."""

    def __init__(self, heights: Image, z: NDArray[np.float64], sd: float) -> None:
        low, high = _ends(heights)
        self.heights = np.linspace(low, high, _HEIGHTS)
        u = (z[:, 0] - self.heights[:, None]) / sd
        middle, side = _weights(u)
        each = [middle, np.where(u < 0, side, 0), np.where(u > 0, side, 0)]
        curve = np.exp(-0.5 * u**2)
        self.weight = [np.sum(w * z[:, 1], axis=1) for w in each]
        self.contrast = [np.sum(w * curve * z[:, 1], axis=1) for w in each]
        passed = z[:, 1] ** 2 / z[:, 2]
        self.noise = [np.sum(each[0] * w * passed, axis=1) for w in each]

    def at(self, height: Image, values: NDArray[np.float64]) -> Image:
        return np.interp(np.nan_to_num(height), self.heights, values).astype(np.float32)


class _Shares:
    """Shares of the texture at one height map that are seen to both sides."""

    def __init__(self, sums: Image, noise: Image, expected: _Expected, height: Image) -> None:
        middle = sums[0]
        of_noise = noise * expected.at(height, expected.noise[0])
        power = smooth(middle * middle, _WINDOW_PX) - of_noise
        known = np.isfinite(height)
        safe = np.maximum(of_noise, np.float32(1e-12))
        self.signal_to_noise = np.where(known, power / safe, 0)
        sides = []
        for k in (1, 2):
            common = smooth(middle * sums[k], _WINDOW_PX) - noise * expected.at(height, expected.noise[k])
            share = common / np.maximum(power, 0.3 * safe)
            usual = expected.at(height, expected.contrast[k] / np.maximum(expected.contrast[0], 1e-9))
            seen = expected.at(height, expected.weight[k]) > _MIN_SEEN * expected.weight[k].max()
            sides.append(np.where(known & seen, share / np.maximum(usual, np.float32(1e-6)), np.nan))
        self.less, self.more = np.fmin(*sides), np.fmax(*sides)


@dataclass(frozen=True)
class UsualShape:
    """The usual shape of a scan's focus curves: medians and standard deviations of `less` and `more`."""

    less: tuple[float, float]
    more: tuple[float, float]

    @classmethod
    def learnt(cls, shapes: FocusShapes, calm: Mask) -> UsualShape | None:
        """Return what is usual at the first height map where `calm`, (H, W); None of too few pixels."""
        less, more, ratio = (of[0][calm] for of in (shapes.less, shapes.more, shapes.signal_to_noise))
        known = np.isfinite(less)
        if known.sum() < _MIN_PIXELS:
            return None
        less, more, ratio = less[known], more[known], ratio[known]
        clear = ratio > np.median(ratio)
        middle = float(np.median(less)), float(np.median(more))
        low = np.median(less[clear]) - np.quantile(less[clear], _LOW_QUANTILE)
        high = np.quantile(more[clear], 1 - _LOW_QUANTILE) - np.median(more[clear])
        spread = (
            max(float(of), _MIN_SPREAD * of_all) for of, of_all in zip((low, high), middle, strict=True)
        )
        return cls(*zip(middle, spread, strict=True))

    def departure(self, shapes: FocusShapes) -> Image:
        """Return by how many standard deviations each shape departs, (K, H, W); 0 where it is not known."""
        by_noise = np.float32(_OF_NOISE) / np.maximum(shapes.signal_to_noise, np.float32(0.5))
        (less, less_sd), (more, more_sd) = self.less, self.more
        below = (less - shapes.less) / np.sqrt(by_noise * less**2 + less_sd**2)
        above = (shapes.more - more) / np.sqrt(by_noise * more**2 + more_sd**2)
        return np.asarray(np.nan_to_num(np.maximum(below, above), nan=0.0), dtype=np.float32)

    def within(self, shapes: FocusShapes, share: float | NDArray[np.float64]) -> Mask:
        """Return which shapes (K, H, W) lie within a share, or shares (H, W), of the usual one.

        Those not known do.
        """
        return ~((shapes.less < (1 - share) * self.less[0]) | (shapes.more > (1 + share) * self.more[0]))


def _weights(u: Image) -> tuple[Image, Image]:
    """Return the weights of the middle and of the sides at distances in standard deviations."""
    away = np.abs(u)
    middle = np.exp(away * away * u.dtype.type(-0.5 / _MIDDLE_SD**2))
    side = away - u.dtype.type(_SIDE)
    side = np.exp(side * side * u.dtype.type(-0.5 / _SIDE_SD**2))
    beyond = ~(away < _REACH)
    middle[beyond] = side[beyond] = 0
    return middle, side


def _ends(heights: Image) -> tuple[float, float]:
    known = heights[np.isfinite(heights)]
    return (float(known.min()), float(known.max())) if known.size else (np.inf, -np.inf)
