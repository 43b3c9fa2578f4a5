"""Occlusions of a scan, found in time: bubbles, flakes and glints that cross the field between the frames.

Defocus conserves light: the mean brightness of a part of the surface changes little, and slowly, with the
height of the plane in focus, whereas what crosses it changes it at once. How much is little is learnt from
the scan itself: most of a field is never occluded. For each cell the cheapest explanation of its brightness
is sought (a shortest path over the frames): frames in which it was seen, linked by changes as usual over
their distance, and frames in which it was occluded, at a price for each and for each occlusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.focus.cells import CELL_PX, CellRecord, at_pixels, cells_of

Cells = NDArray[np.bool_]
_Values = NDArray[np.float64]

# Occlusions are searched for in squares of so many cells, where a scan's natural changes average out, then
# outlined in smaller ones near by.
_SEARCH_CELLS, _OUTLINE_CELLS = 3, 1
# Price of an occluded sample and of an occlusion, in units of half a squared standard deviation; of a change
# beyond `_LINEAR` standard deviations, which are rarer than a normal distribution has them, the cost rises
# linearly.
_SAMPLE, _OCCLUSION, _OUTLINE_OCCLUSION = 1.0, 10.0, 6.0
_LINEAR = 2.5
# An occlusion that lasts from the first or to the last frame costs at most this for its whole length: it may
# well last longer than the surface is seen.
_MAX_END = 20.0
# Usual changes are those of this quantile of the field, widened for their tails; never below `_LEAST`.
_USUAL_QUANTILE, _TAILS, _LEAST = 0.6, 1.5, 0.01
_NORMAL_QUANTILE = 0.8416  # of |x| of a standard normal distribution
# A surface's brightness relative to the field's: its standard deviation, at least, and the most that an
# unusual one costs.
_UNUSUAL, _MAX_UNUSUAL = 0.15, 12.0
# Cells around an occlusion, and samples before and after, in which its outline is looked for.
_AROUND_CELLS, _AROUND_SAMPLES = 2, 1
# A change of the logarithm of the brightness by so much hides the surface, a smaller one veils it, and a
# large one leaves none of it.
_HIDING, _VEIL, _OPAQUE = 0.1, 0.05, 0.25


@dataclass(frozen=True)
class Occlusions:
    """What occluded the cells of a scan, sample by sample.

    Parameters
    ----------
    occluded : (N, h, w) bool
        Samples in which something was in front of a cell.
    strength : (N, h, w) float32
        How much it changed the cell's brightness: magnitude of the logarithm of the ratio; infinite where
        the cell was never seen without it.
    """

    occluded: Cells
    strength: NDArray[np.float32]

    def any(self) -> bool:
        """Whether anything was occluded."""
        return bool(self.occluded.any())

    def rejected(self) -> Cells:
        """Return samples (N, h, w) whose maxima may be an occlusion's.

        Focus around a maximum is fitted over two samples to either side, and takes in those before and after:
        both sides must have been seen, or be only veiled beyond the next sample.
        """
        hidden = self.occluded & (self.strength > _HIDING)
        return dilated(hidden, 0, 2) | dilated(self.occluded, 0, 1)

    def opaque(self) -> Cells:
        """Return samples (N, h, w) whose maxima certainly are no surface's."""
        veiled = self.occluded & (self.strength > _VEIL)
        return dilated(veiled, 0, 1) | dilated(self.occluded & (self.strength > _OPAQUE), 0, 2)


def find_occlusions(record: CellRecord) -> Occlusions:
    """Find the samples of a scan in which cells were occluded.

    Parameters
    ----------
    record : CellRecord
        Brightness of the cells over the scan.

    Returns
    -------
    Occlusions
        Of the record's N samples and (h, w) cells. Nothing is found in fewer than five samples, nor where
        the brightness is not positive.
    """
    bright = record.brightness.astype(np.float64)
    none = Occlusions(np.zeros(bright.shape, bool), np.zeros(bright.shape, np.float32))
    if len(bright) < 5 or bright[0].size == 0 or not np.isfinite(bright).all() or bright.min() <= 0:
        return none
    searched = occluded_samples(np.log(mean_of_cells(bright, _SEARCH_CELLS)), _OCCLUSION)
    if not searched.any():
        return none
    near = dilated(searched, _AROUND_CELLS, _AROUND_SAMPLES)
    level = np.log(bright)
    outline = occluded_samples(np.log(mean_of_cells(bright, _OUTLINE_CELLS)), _OUTLINE_OCCLUSION) & near
    occluded = ndimage.binary_closing(
        np.pad(outline, ((0, 0), (2, 2), (2, 2)), mode="edge"), np.ones((1, 3, 3), bool)
    )[:, 2:-2, 2:-2]
    level -= np.median(level, axis=(1, 2), keepdims=True)
    seen = _seen_level(level, dilated(occluded, 1, 1))
    strength = np.abs(mean_of_cells(level - seen, _OUTLINE_CELLS))
    strength[:, np.isnan(seen).any(axis=0)] = np.inf
    return Occlusions(occluded, strength.astype(np.float32))


def seen_brightness(
    record: CellRecord, occlusions: Occlusions, zone: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the brightness (H, W) of the cells without what occluded them, smooth; counts.

    Parameters
    ----------
    record : CellRecord
    occlusions : Occlusions
        Of the same samples.
    zone : (H, W) bool
        Where it is wanted; elsewhere it is 0.
    """
    weight = np.where(dilated(occlusions.occluded, 1, 0), 0.0, 1.0)
    total = (weight * record.brightness).sum(axis=0)
    known = weight.sum(axis=0)
    while not known.all():  # cells never seen: from those around
        total, known = (mean_of_cells(of[None], 3)[0] for of in (total, known))
    out = np.zeros(zone.shape, np.float32)
    y, x = np.nonzero(zone)
    at = [(y + 0.5) / CELL_PX - 0.5, (x + 0.5) / CELL_PX - 0.5]
    out[y, x] = ndimage.map_coordinates(total / known, at, order=1, mode="nearest")
    return out


def occluded_classes(
    height_um: NDArray[np.float32], record: CellRecord, occlusions: Occlusions, depth_um: float
) -> dict[str, int]:
    """Count the pixels that something crossed, by how much of their focus it hid.

    Parameters
    ----------
    height_um : (H, W) float32
        Heights everywhere, filled where not measured.
    record : CellRecord
    occlusions : Occlusions
    depth_um : float, µm
        Full width at half maximum of the focus curve: samples within half of it are in focus.

    Returns
    -------
    dict
        Pixels occluded only "while out of focus", in "part of their focus" and in "most of their focus".
    """
    y, x = np.nonzero(at_pixels(np.asarray(occlusions.occluded.any(axis=0)), height_um.shape))
    rows, columns = cells_of(y, x, record.saturated.shape)
    order = np.argsort(record.z_um)
    ends = np.searchsorted(record.z_um[order], height_um[y, x] + np.array([[-0.5], [0.5]]) * depth_um)
    before = np.concatenate([np.zeros((1, *record.saturated.shape), int), occlusions.occluded[order]])
    before = before.cumsum(axis=0)
    hidden = before[ends[1], rows, columns] - before[ends[0], rows, columns]
    share = hidden / np.maximum(ends[1] - ends[0], 1)
    return {
        "while out of focus": int((hidden == 0).sum()),
        "in part of their focus": int(((hidden > 0) & (share <= 0.5)).sum()),
        "in most of their focus": int((share > 0.5).sum()),
    }


def dilated(samples: Cells, cells: int, steps: int) -> Cells:
    """Return samples (N, h, w) spread by so many cells and, in time, by so many samples."""
    size = (2 * steps + 1, 2 * cells + 1, 2 * cells + 1)
    return np.asarray(ndimage.maximum_filter(samples.view(np.uint8), size, mode="constant").astype(bool))


def mean_of_cells(values: _Values, side: int) -> _Values:
    """Return means over squares of cells centred on every cell; squares are clipped to the field."""
    half = np.full(side + 1 - side % 2, 1.0)
    if side % 2 == 0:
        half[[0, -1]] = 0.5

    def sums(of: _Values) -> _Values:
        along = ndimage.correlate1d(of, half, axis=1, mode="constant")
        return np.asarray(ndimage.correlate1d(along, half, axis=2, mode="constant"))

    return sums(values) / sums(np.ones((1, *values.shape[1:])))


def occluded_samples(level: _Values, price: float) -> Cells:
    """Return which samples of each cell are occluded, from the logarithm of its brightness (N, h, w)."""
    count = len(level)
    levels = (level - np.median(level, axis=(1, 2), keepdims=True)).reshape(count, -1)
    usual = _usual_changes(levels)
    middle = np.median(levels, axis=0)
    spread = max(_UNUSUAL, 1.48 * float(np.median(np.abs(middle - np.median(middle)))))
    unusual = np.minimum(0.5 * (levels / spread) ** 2, _MAX_UNUSUAL)
    suspect = np.flatnonzero(_may_be_occluded(levels, usual, unusual, price))
    out = np.zeros(levels.shape, bool)
    if suspect.size:
        out[:, suspect] = ~_seen_path(levels[:, suspect], usual, unusual[:, suspect], price)
    return out.reshape(level.shape)


def _usual_changes(levels: _Values) -> _Values:
    """Return the standard deviation of natural changes over 0, 1, 2 ... samples."""
    count = len(levels)
    usual = np.zeros(count)
    for lag in range(1, count):
        change = np.quantile(np.abs(levels[lag:] - levels[:-lag]), _USUAL_QUANTILE)
        usual[lag] = max(_LEAST, _TAILS * float(change) / _NORMAL_QUANTILE)
    return np.maximum.accumulate(usual)


def _cost(change: _Values) -> _Values:
    size = np.abs(change)
    return np.where(size < _LINEAR, 0.5 * size**2, _LINEAR * (size - 0.5 * _LINEAR))


def _may_be_occluded(levels: _Values, usual: _Values, unusual: _Values, price: float) -> Cells:
    """Exclude cells that no occlusion explains better: what one saves, at most, is below its price."""
    saved = _cost(np.diff(levels, axis=0) / usual[1]) - _SAMPLE
    most, run = np.zeros(levels.shape[1]), np.zeros(levels.shape[1])
    for step in saved:
        run = np.maximum(run + step, 0)
        most = np.maximum(most, run)
    ends = np.maximum(unusual[0], unusual[-1]) - unusual.min(axis=0)
    return np.asarray(most + _SAMPLE + ends > price)


def _seen_path(levels: _Values, usual: _Values, unusual: _Values, price: float) -> Cells:
    """Return the samples on each cell's cheapest path (N, cells)."""
    count, cells = levels.shape

    def gap(samples: int) -> float:
        return price + _SAMPLE * samples if samples else 0.0

    def end(samples: int) -> float:
        return price + min(_SAMPLE * samples, _MAX_END * samples / count) if samples else 0.0

    best = np.empty((count, cells))
    before = np.full((count, cells), -1)
    for k in range(count):
        best[k] = end(k) + unusual[k]
        for earlier in range(k):
            change = _cost((levels[k] - levels[earlier]) / usual[k - earlier])
            price_here = best[earlier] + change + gap(k - earlier - 1)
            better = price_here < best[k]
            best[k][better] = price_here[better]
            before[k][better] = earlier
    last = np.argmin(best + np.array([end(count - 1 - k) for k in range(count)])[:, None], axis=0)
    seen = np.zeros((count, cells), bool)
    while (last >= 0).any():
        there = np.flatnonzero(last >= 0)
        seen[last[there], there] = True
        last[there] = before[last[there], there]
    return seen


def _seen_level(level: _Values, occluded: Cells) -> _Values:
    """Return each cell's level without what occludes it, interpolated over occluded samples; NaN: unknown."""
    out = level.copy()
    flat, hidden = out.reshape(len(level), -1), occluded.reshape(len(level), -1)
    at = np.arange(len(level))
    for cell in np.flatnonzero(hidden.any(axis=0)):
        seen = ~hidden[:, cell]
        flat[:, cell] = np.interp(at, at[seen], flat[seen, cell]) if seen.any() else np.nan
    return out
