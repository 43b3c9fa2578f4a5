"""The window of every pixel: heights refined from coarse to fine, as far as what is found is surface.

Large windows have little noise but flatten the surface; each finer one corrects the height by the share of
the difference that is surface (an empirical Wiener filter over scales). What a window finds is the mean of
its pixels' corrections to the height so far, so that slopes which are known already do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.second_look.detail import Image, block_sum, smooth, spread, spread_on, straightened
from lee.reconstruction.second_look.focal_moments import TextureMatch

# The coarsest grid has cells this wide, px; on each grid there are windows of two sizes: standard deviations
# in cells.
COARSEST = 8
_WINDOWS = (2.0, 1.4142)
# A window finer than this many standard deviations of its detail would show the detail's own shape.
_MIN_WINDOW = 2.0
# Over so many pixels of the detail the frames' noise is one, and what else scatters the pixels' corrections:
# light that is blurred in from other heights.
_NOISE_AREA, _SCATTER_AREA = 0.8, 1.0
_SCATTER_REACH = 1.5
# What must be seen beyond noise, in units of its variance, before it counts as surface.
_SIGNIFICANT = 0.7
# The variance of the first look's heights is taken larger by this, since they err together with the second's,
# and over so many pixels their errors are one.
_FIRST_VARIANCE, _FIRST_AREA = 2.0, 100.0
# What is surface is estimated over a Gaussian of two windows.
_NEIGHBOURS = 2.0
# ... and what noise does not explain, where it was too little for that, over four.
_SURROUNDINGS = 4.0
# A window's correction is made twice, since a Gaussian mean takes a part of what it shows.
_ROUNDS = 2
# A correction beyond this many standard deviations of the focus curve is not one.
_MAX_CORRECTION = 2.0


@dataclass(frozen=True, eq=False)
class Refined:
    """Refined heights (H, W), µm, and the parts of their variance, µm².

    ``noise`` is that of the frames, ``blur`` what light blurred in from other heights adds, ``unresolved``
    that of the surface's detail which is lost in both, and ``finest`` that of the detail which the finest
    window shows, so that there is some below it.
    """

    height_um: Image
    noise_um2: Image
    blur_um2: Image
    unresolved_um2: Image
    finest_um2: Image


def choose_windows(
    first_um: Image,
    first_variance: Image,
    matches: Sequence[TextureMatch],
    *,
    shape: tuple[int, int],
    width_um: float,
    finest_px: float,
) -> Refined:
    """Refine heights from coarse to fine.

    Parameters
    ----------
    first_um, first_variance : (H, W) float32, µm and µm²
        Heights of the first look, about which the matches are; infinite variance where not measured. H and W
        are multiples of 8.
    matches : sequence of TextureMatch
    shape : (int, int)
        Of the frames: H and W are as large or larger.
    width_um : float, µm
        Standard deviation of the focus curve.
    finest_px : float, pixels
        Standard deviation of the finest window.
    """
    precision = np.asarray(1 / (first_variance + (0.01 * width_um) ** 2), dtype=np.float32)
    height = _smoothed(first_um, precision, shape)
    noise, blur, unresolved, finest = (np.zeros(height.shape, np.float32) for _ in range(4))
    below: tuple[Image, Image] | None = None
    for side, sd in _windows(finest_px):
        level = _Level(side, sd, width_um, shape)
        found, variance, of_frames = level.correction(height, first_um, precision, matches)
        if below is None:
            # The first look's heights are smoothed so far: whatever is found is taken.
            share = np.ones_like(found)
        else:
            surface = level.surface_variance(found, variance)
            share = surface / (surface + variance)
            surplus = level.surplus(found, variance)
            unresolved += spread((1 - share) ** 2 * surplus, side)
            finest = spread(surplus, side)
        for _ in range(_ROUNDS - 1):
            height = height + spread_on(share * found, side)
            found, _, _ = level.correction(height, first_um, precision, matches)
        height = height + spread_on(share * found, side)
        taken = spread(1 - (1 - share) ** _ROUNDS, side) ** 2
        noise_here, blur_here = spread(of_frames, side), spread(variance - of_frames, side)
        noise += taken * (noise_here if below is None else np.maximum(noise_here - below[0], 0))
        blur += taken * (blur_here if below is None else np.maximum(blur_here - below[1], 0))
        below = noise_here, blur_here
    return Refined(height, noise, blur, unresolved, finest)


def _windows(finest_px: float) -> Iterator[tuple[int, float]]:
    """Yield cells and standard deviations of the windows from coarse to fine, the coarsest always."""
    side = COARSEST
    while side >= 1:
        for sd in _WINDOWS:
            if side == COARSEST or sd * side > 0.99 * finest_px:
                yield side, sd
        side //= 2


class _Level:
    """Windows of one size."""

    def __init__(self, side: int, sd: float, width_um: float, shape: tuple[int, int]) -> None:
        self._extent = (shape[0] / side, shape[1] / side)
        self._side, self._sd, self._width = side, sd, width_um
        self._most = _MAX_CORRECTION * width_um

    def correction(
        self, height: Image, first: Image, precision: Image, matches: Sequence[TextureMatch]
    ) -> tuple[Image, Image, Image]:
        """Mean correction of every window, its variance, and how much of that is noise of the frames.

        Texture and first look count by the inverse of their variances.
        """
        away = first - height
        found, variance = self._of_first(away, precision)
        weight = 1 / variance
        found *= weight
        noise = weight.copy()
        for match in matches:
            if self._sd * self._side >= _MIN_WINDOW * 0.7 * match.side:
                one, its_variance, its_noise = self._of_match(away, match)
                its_weight = 1 / its_variance
                weight += its_weight
                found += its_weight * one
                noise += its_weight**2 * its_noise
        found = straightened(found / weight, self._sd, self._extent)
        return found, 1 / weight, noise / weight**2

    def surface_variance(self, found: Image, variance: Image) -> Image:
        """Variance of the correction around a window that noise does not explain."""
        sd = max(_NEIGHBOURS * self._sd, 2.0)
        weight = 1 / (variance + np.float32(1e-4 * self._width**2))
        surplus = found * found - np.float32(1 + _SIGNIFICANT) * variance
        surplus = smooth(weight * surplus, sd) / smooth(weight, sd)
        return np.maximum(surplus, np.float32(1e-6 * self._width**2))

    def surplus(self, found: Image, variance: Image) -> Image:
        """Variance of the correction far around a window that is not noise, significant or not."""
        return np.maximum(smooth(found * found - variance, _SURROUNDINGS * self._sd), 0)

    def _of_first(self, away: Image, precision: Image) -> tuple[Image, Image]:
        cells = np.float32(self._side**2)
        total = smooth(block_sum(precision, self._side), self._sd) / cells
        found = smooth(block_sum(precision * away, self._side), self._sd) / cells
        found = self._limited(found / np.maximum(total, np.float32(1e-12)))
        pixels = 4 * np.pi * (self._sd * self._side) ** 2
        variance = _FIRST_VARIANCE * min(1.0, _FIRST_AREA / pixels) / np.maximum(total, np.float32(1e-12))
        return found, variance.astype(np.float32)

    def _of_match(self, away: Image, match: TextureMatch) -> tuple[Image, Image, Image]:
        if match.side > 1:
            away = block_sum(away, match.side) / np.float32(match.side**2)
        side = self._side // match.side
        sd, after = self._sd, 1
        if side == 0:
            # The match is on a coarser grid than the window's.
            side, sd, after = 1, self._sd * self._side / match.side, match.side // self._side
        off = match.weight * away + match.offset
        total = smooth(block_sum(match.weight, side), sd)
        least = np.float32(1e-3 * float(np.mean(np.abs(match.weight))) * side**2 + 1e-15)
        weight = np.maximum(total, least)
        found = self._limited(smooth(block_sum(off, side), sd) / weight)
        half = sd / np.sqrt(2)
        known = _NOISE_AREA * smooth(block_sum(match.noise, side), _SCATTER_REACH * half)
        scatter = smooth(block_sum(off * off, side), _SCATTER_REACH * half)
        blurred = np.maximum(_SCATTER_AREA * scatter - _SCATTER_AREA / _NOISE_AREA * known, 0)
        per_window = 1 / (np.float32(4 * np.pi * sd**2) * weight * weight)
        unknown = np.where(total > least, 1e-6, 1e3).astype(np.float32)
        noise = known * per_window + unknown * np.float32(self._width**2)
        variance = noise + blurred * per_window
        return spread(found, after), spread(variance, after), spread(noise, after)

    def _limited(self, found: Image) -> Image:
        return np.clip(found, -self._most, self._most)


def _smoothed(height: Image, precision: Image, shape: tuple[int, int]) -> Image:
    """Return the first look's heights under the coarsest window, twice, so that slopes at the rim stay."""
    sd = _WINDOWS[0]
    weight = np.maximum(smooth(block_sum(precision, COARSEST), sd), np.float32(1e-12))
    out: Image = np.zeros(height.shape, np.float32)
    for _ in range(_ROUNDS):
        found: Image = smooth(block_sum(precision * (height - out), COARSEST), sd) / weight
        found = straightened(found, sd, (shape[0] / COARSEST, shape[1] / COARSEST))
        out = out + spread_on(found, COARSEST)
    return out


def measured_only(valid: NDArray[np.bool_], matches: Sequence[TextureMatch]) -> list[TextureMatch]:
    """Return the matches without what they say at pixels that are not valid."""
    kept = []
    for match in matches:
        known = block_sum(valid.astype(np.float32), match.side) == match.side**2
        parts = (np.where(known, part, 0) for part in (match.weight, match.offset, match.noise))
        kept.append(TextureMatch(match.side, *parts))
    return kept
