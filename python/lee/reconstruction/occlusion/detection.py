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

from lee.reconstruction.focus.cells import CellRecord

Cells = NDArray[np.bool_]
_Values = NDArray[np.float64]

# A change counts where the mean of so many cells around changes too, by a share of it at least: what defocus
# takes from a cell it gives to its neighbours.
_AROUND_CELLS, _GIVEN = 4, 3.0
# Price of an occluded sample and of an occlusion, in units of half a squared standard deviation; of a change
# beyond `_LINEAR` standard deviations, which are rarer than a normal distribution has them, the cost rises
# linearly.
_SAMPLE, _OCCLUSION = 1.0, 10.0
# Beside cells found occluded, and at about the same time, less evidence suffices.
_NEAR_CELLS, _NEAR_OCCLUSION = 3, 3.0
# A patch occluded at any time has so many cells.
_PATCH_CELLS = 6
_LINEAR = 2.5
# An occlusion that lasts from the first or to the last frame costs at most this for its whole length: it may
# well last longer than the surface is seen.
_MAX_END = 20.0
# Usual changes between two samples are those of this quantile of the field, widened for their tails; never
# below `_LEAST`, nor below those usual in the scan between samples as far apart.
_USUAL_QUANTILE, _TAILS, _LEAST = 0.75, 1.5, 0.01
_NORMAL_QUANTILE = 1.1503  # of |x| of a standard normal distribution
# Around cells with more contrast, over so many cells, more change is natural, up to this factor.
_CONTRAST_CELLS, _MAX_LIVELINESS = 9, 10.0
# So many cells all over the field tell what is usual.
_USUAL_CELLS = 2000
# A surface's brightness relative to the field's: its standard deviation, at least, and the most that an
# unusual one costs.
_UNUSUAL, _MAX_UNUSUAL = 0.15, 6.0
# A patch's surroundings, how much more alike its brightness must be to them for it to be the surface, and the
# share of the scan that it was seen at least: what crosses is rarely there for longer.
_SURROUNDINGS_CELLS, _MORE_ALIKE, _MIN_SEEN = 3, 0.6, 0.35
# A change of the logarithm of the brightness by so much hides the surface, a smaller one veils it, and a
# large one leaves none of it.
_HIDING, _VEIL, _OPAQUE, _NOTHING_LEFT = 0.1, 0.05, 0.25, 0.5


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

    def hidden(self) -> Cells:
        """Return samples (N, h, w) in which nothing of the surface can have been in focus."""
        return self.occluded & (self.strength > _NOTHING_LEFT) & np.isfinite(self.strength)


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
    level, around = (relative(np.log(of)) for of in (bright, mean_of_cells(bright, _AROUND_CELLS)))
    found = occluded_samples(level, around)
    if not found.any():
        return none
    occluded = ndimage.binary_closing(
        np.pad(found, ((0, 0), (2, 2), (2, 2)), mode="edge"), np.ones((1, 3, 3), bool)
    )[:, 2:-2, 2:-2]
    seen = seen_level(level, dilated(occluded, 1, 1))
    strength = np.abs(level - seen)
    strength[:, np.isnan(seen).any(axis=0)] = np.inf
    return Occlusions(occluded, strength.astype(np.float32))


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


def occluded_samples(level: _Values, around: _Values) -> Cells:
    """Return which samples of each cell are occluded.

    Parameters
    ----------
    level, around : (N, h, w) float64
        Logarithm of the brightness of the cells, and of the mean of the cells around each, relative to the
        field's at the same time, which the lamp may change.
    """
    count = len(level)
    cells = _Changes(level.reshape(count, -1), around.reshape(count, -1), _liveliness(level).ravel())
    usual = cells.of(np.arange(0, cells.level.shape[1], max(1, cells.level.shape[1] // _USUAL_CELLS))).usual()
    middle = np.median(cells.around, axis=0)
    spread = max(_UNUSUAL, 1.48 * float(np.median(np.abs(middle - np.median(middle)))))
    unusual = np.minimum(0.5 * (cells.around / spread) ** 2, _MAX_UNUSUAL)
    out = np.zeros(level.shape, bool)
    found = out.reshape(count, -1)

    def search(where: Cells, price: float) -> None:
        suspect = np.flatnonzero(where & _may_be_occluded(cells, usual, unusual, price))
        if suspect.size:
            found[:, suspect] = ~_seen_path(cells.of(suspect), usual, unusual[:, suspect], price)

    search(np.ones(cells.level.shape[1], bool), _OCCLUSION)
    first = _without_specks(_with_the_surface_like_its_surroundings(out, level))
    if not first.any():
        return first
    near = dilated(first, _NEAR_CELLS, 1)
    search((near.any(axis=0) & ~first.any(axis=0)).ravel(), _NEAR_OCCLUSION)
    return first | (out & near & ~first.any(axis=0))


def _without_specks(occluded: Cells) -> Cells:
    """Return the samples without patches of few cells, which natural changes make now and then."""
    labels, _ = ndimage.label(occluded.any(axis=0), np.ones((3, 3)))
    large = np.bincount(labels.ravel()) >= _PATCH_CELLS
    large[0] = False
    return np.asarray(occluded & large[labels])


def _with_the_surface_like_its_surroundings(occluded: Cells, level: _Values) -> Cells:
    """Return the samples with patches that changed once seen in the state more like their surroundings.

    Of two states, one to the first frame and one to the last, either may be the surface's: what is there from
    the first frame may stay for longer than the surface is seen.
    """
    out = occluded.copy()
    ever = occluded.any(axis=0)
    changed_once = occluded[0] != occluded[-1]
    early = occluded == occluded[0]
    labels, count = ndimage.label(changed_once, np.ones((3, 3)))
    for patch in range(1, count + 1):
        inside = labels == patch
        around = ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=_SURROUNDINGS_CELLS) & ~ever
        if not around.any():
            continue
        off = level[:, inside] - level[:, around].mean(axis=1)[:, None]
        first = early[:, inside]
        before, after = abs(float(off[first].mean())), abs(float(off[~first].mean()))
        share = float(first.mean())
        if before < _MORE_ALIKE * after and share > _MIN_SEEN:
            out[:, inside] = ~first
        elif after < _MORE_ALIKE * before and 1 - share > _MIN_SEEN:
            out[:, inside] = first
    return out


def relative(level: _Values) -> _Values:
    """Return a level relative to the field's at the same time."""
    return np.asarray(level - np.median(level, axis=(1, 2), keepdims=True))


def _liveliness(level: _Values) -> _Values:
    """Return how much more than usual defocus may change each cell (h, w): by the contrast around it."""
    # Of an occlusion only the outline has contrast, and not for long: medians leave it out.
    steps = np.hypot(*(ndimage.prewitt(level, axis, mode="nearest") for axis in (1, 2)))
    contrast = ndimage.median_filter(np.median(steps, axis=0), _CONTRAST_CELLS, mode="nearest")
    usual = max(float(np.median(contrast)), 1e-6)
    return np.asarray(np.clip(contrast / usual, 1, _MAX_LIVELINESS))


@dataclass(frozen=True)
class _Changes:
    """Changes of cells between two samples, in units of how lively they are.

    `level` and `around` are (N, cells), `liveliness` (cells,).
    """

    level: _Values
    around: _Values
    liveliness: _Values

    def of(self, cells: NDArray[np.intp]) -> _Changes:
        return _Changes(self.level[:, cells], self.around[:, cells], self.liveliness[cells])

    def between(self, first: int, second: int) -> _Values:
        own, mean = self.level[second] - self.level[first], self.around[second] - self.around[first]
        change = np.minimum(np.abs(own), _GIVEN * np.abs(mean)) / self.liveliness
        return np.where(own * mean > 0, change, 0.0)

    def usual(self) -> _Values:
        """Return the standard deviation of natural changes between two samples, (N, N)."""
        count = len(self.level)
        out = np.full((count, count), _LEAST)
        least = _LEAST
        for lag in range(1, count):
            pairs = range(count - lag)
            changes = np.array([self.between(k, k + lag) for k in pairs])
            usual = _TAILS * np.quantile(changes, _USUAL_QUANTILE, axis=1) / _NORMAL_QUANTILE
            least = max(least, float(np.median(usual)))
            out[np.arange(count - lag), np.arange(lag, count)] = np.maximum(usual, least)
        return out


def _cost(change: _Values) -> _Values:
    size = np.abs(change)
    return np.where(size < _LINEAR, 0.5 * size**2, _LINEAR * (size - 0.5 * _LINEAR))


def _may_be_occluded(cells: _Changes, usual: _Values, unusual: _Values, price: float) -> Cells:
    """Exclude cells that no occlusion explains better: what one saves, at most, is below its price."""
    count = len(cells.level)
    steps = np.array([_cost(cells.between(k, k + 1) / usual[k, k + 1]) for k in range(count - 1)])
    most, run = np.zeros(steps.shape[1]), np.zeros(steps.shape[1])
    for step in steps - min(_SAMPLE, _MAX_END / count):
        run = np.maximum(run + step, 0)
        most = np.maximum(most, run)
    return np.asarray(most + unusual[0] - unusual.min(axis=0) > price)


def _seen_path(cells: _Changes, usual: _Values, unusual: _Values, price: float) -> Cells:
    """Return the samples on each cell's cheapest path (N, cells)."""
    count, number = cells.level.shape

    def gap(samples: int) -> float:
        return price + _SAMPLE * samples if samples else 0.0

    def end(samples: int) -> float:
        return price + min(_SAMPLE, _MAX_END / count) * samples if samples else 0.0

    best = np.empty((count, number))
    before = np.full((count, number), -1)
    for k in range(count):
        best[k] = end(k) + unusual[k]
        for earlier in range(k):
            change = _cost(cells.between(earlier, k) / usual[earlier, k])
            cost = best[earlier] + change + gap(k - earlier - 1)
            better = cost < best[k]
            best[k][better] = cost[better]
            before[k][better] = earlier
    last = np.argmin(best + np.array([end(count - 1 - k) for k in range(count)])[:, None], axis=0)
    seen = np.zeros((count, number), bool)
    while (last >= 0).any():
        there = np.flatnonzero(last >= 0)
        seen[last[there], there] = True
        last[there] = before[last[there], there]
    return seen


def seen_level(level: _Values, occluded: Cells) -> _Values:
    """Return each cell's level without what occludes it, interpolated over occluded samples; NaN: unknown."""
    out = level.copy()
    flat, hidden = out.reshape(len(level), -1), occluded.reshape(len(level), -1)
    at = np.arange(len(level))
    for cell in np.flatnonzero(hidden.any(axis=0)):
        seen = ~hidden[:, cell]
        flat[:, cell] = np.interp(at, at[seen], flat[seen, cell]) if seen.any() else np.nan
    return out
