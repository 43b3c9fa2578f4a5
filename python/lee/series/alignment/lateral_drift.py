"""Lateral drift of the stage from scan to scan, from images of a surface that changes meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.motion.registration import Displacement, TileGrid, TileSpectra
from lee.reconstruction.motion.subpixel_shift import shift_frame

# Lags at which scans are compared: close scans look alike, distant ones keep errors from adding up.
_LAGS = (1, 2, 4, 8)
# Larger fields are compared at full resolution in windows of this side, spread over the field.
_WINDOW_PX = 512
_WINDOWS_A_SIDE = 3
_MAX_SIGMA_PX = 1.0
# A comparison that contradicts the others by this many standard deviations loses half its weight.
_TOLERANCE = 3.0
_MIN_MEASURED = 0.2


class LateralDrift(NamedTuple):
    """Displacement of every scan, (T, 2) float64 pixels (dy, dx), and its standard deviation; NaN unknown."""

    shift_px: NDArray[np.float64]
    sigma_px: NDArray[np.float64]


class _ScanSpectra(NamedTuple):
    number: int
    offset_px: NDArray[np.intp]
    whole: TileSpectra
    windows: list[TileSpectra]


class _Comparison(NamedTuple):
    first: int
    second: int
    shift_px: NDArray[np.float64]
    information: NDArray[np.float64]


def lateral_drift(images: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> LateralDrift:
    """Measure the displacement of the surface in every scan against the first.

    Each scan is compared with those 1, 2, 4 and 8 before it, robustly over many tiles and with the covariance
    of each comparison; all comparisons are then solved together, without assuming a smoothly moving stage.

    Parameters
    ----------
    images : T of (H, W) float32
        Refocused images, or height maps; read one after the other, never all at once.

    Returns
    -------
    LateralDrift
        0 at the first scan with an image; NaN for scans without an image and those that could not be compared
        with any other.
    """
    windows: _Windows | None = None
    recent: deque[_ScanSpectra] = deque(maxlen=max(_LAGS))
    with_image: list[int] = []
    comparisons: list[_Comparison] = []
    last = np.zeros(2)
    for number in range(len(images)):
        image = _filled(np.asarray(images[number], dtype=np.float32))
        if image is None:
            continue
        windows = windows or _Windows(image.shape)
        whole = windows.whole.spectra(image)
        coarse = windows.whole.displacements(recent[-1].whole, whole)[0] if recent else None
        last = last + (coarse.shift_px if coarse is not None else 0)
        scan = windows.spectra(number, image, whole, last)
        for lag in (lag for lag in _LAGS if lag <= len(recent)):
            found = windows.compare(recent[-lag], scan)
            if found is not None and np.sqrt(np.trace(found.covariance_px2)) < _MAX_SIGMA_PX:
                information = np.linalg.inv(found.covariance_px2).astype(np.float64)
                comparisons.append(_Comparison(recent[-lag].number, number, found.shift_px, information))
        recent.append(scan)
        with_image.append(number)
    return _solved(len(images), with_image, comparisons)


class _Windows:
    """The windows in which images are compared: the binned field, and where it is binned full-size parts."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.whole = TileGrid((shape[0], shape[1]))
        rows, columns = (min(_WINDOW_PX, n) for n in shape)
        binned = self.whole.binning > 1
        self._fine = TileGrid((rows, columns)) if binned else self.whole
        tops, lefts = (_starts(n) if binned else [0] for n in shape)
        self._windows = [
            np.s_[y : y + rows, x : x + columns] if binned else np.s_[:, :] for y in tops for x in lefts
        ]

    def spectra(
        self, number: int, image: NDArray[np.float32], whole: TileSpectra, drift: NDArray[np.float64]
    ) -> _ScanSpectra:
        # Shifted back by whole pixels, so that tiles of distant scans still show the same part of the field.
        offset = np.rint(drift).astype(np.intp)
        if offset.any():
            image = shift_frame(image, -float(offset[0]), -float(offset[1]))
        elif self._fine is self.whole:
            return _ScanSpectra(number, offset, whole, [whole])
        return _ScanSpectra(
            number, offset, whole, [self._fine.spectra(image[window]) for window in self._windows]
        )

    def compare(self, reference: _ScanSpectra, moved: _ScanSpectra) -> Displacement | None:
        pairs = zip(reference.windows, moved.windows, strict=True)
        found = [self._fine.displacements(before, after)[0] for before, after in pairs]
        fine = _combined([one for one in found if one is not None])
        if fine is None:
            return None
        return Displacement(fine.shift_px + moved.offset_px - reference.offset_px, fine.covariance_px2)


def _starts(length: int) -> list[int]:
    count = min(_WINDOWS_A_SIDE, -(-length // _WINDOW_PX))
    return [int(start) for start in np.rint(np.linspace(0, length - min(_WINDOW_PX, length), count))]


def _combined(found: list[Displacement]) -> Displacement | None:
    """Return the weighted mean of the windows' displacements; one that contradicts the rest loses weight."""
    if len(found) < 2:
        return found[0] if found else None
    shifts = np.array([one.shift_px for one in found])
    information = np.linalg.inv(np.array([one.covariance_px2 for one in found]))
    mean = np.median(shifts, axis=0)
    for _ in range(6):
        residual = shifts - mean
        distance = np.einsum("ni,nij,nj->n", residual, information, residual)
        scale = max(float(np.median(distance)) / 1.4, 1.0)
        weight = 1 / (scale * (1 + distance / (2 * _TOLERANCE**2 * scale)))
        normal = np.einsum("n,nij->ij", weight, information)
        mean = np.linalg.solve(normal, np.einsum("n,nij,nj->i", weight, information, shifts))
    return Displacement(mean, np.linalg.inv(normal))


def _filled(image: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Fill unmeasured pixels smoothly, so that their edges are no texture; None if too few are measured."""
    known = np.isfinite(image)
    if known.all():
        return image
    if known.mean() < _MIN_MEASURED:
        return None
    clean = np.where(known, image, 0).astype(np.float32)
    filled = np.full(image.shape, image[known].mean(), np.float32)
    for width in (129, 33, 9):
        share = ndimage.uniform_filter(known.astype(np.float32), width, mode="nearest")
        mean = ndimage.uniform_filter(clean, width, mode="nearest")
        filled = np.where(share > 0.05, mean / np.maximum(share, 0.05), filled)
    return np.where(known, image, filled).astype(np.float32)


def _solved(count: int, with_image: list[int], comparisons: list[_Comparison]) -> LateralDrift:
    """Solve for the positions that fit all comparisons; one that contradicts the rest loses weight."""
    shift = np.full((count, 2), np.nan)
    sigma = np.full((count, 2), np.nan)
    reached = _reached(with_image[0], comparisons) if with_image else []
    if not reached:
        return LateralDrift(shift, sigma)
    place = {number: k for k, number in enumerate(reached)}
    comparisons = [one for one in comparisons if one.first in place and one.second in place]
    first = np.array([place[one.first] for one in comparisons], dtype=np.intp)
    second = np.array([place[one.second] for one in comparisons], dtype=np.intp)
    measured = np.array([one.shift_px for one in comparisons]).reshape(-1, 2)
    information = np.array([one.information for one in comparisons]).reshape(-1, 2, 2)
    weight = np.ones(len(comparisons))
    path: NDArray[np.float64] = np.zeros((len(reached), 2))
    inverse: NDArray[np.floating] = np.zeros((len(reached), 2, len(reached), 2))
    for _ in range(8):
        pulled = np.einsum("n,nij->nij", weight, information)
        blocks = np.zeros((len(reached), len(reached), 2, 2))
        for a, b, sign in ((first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1)):
            np.add.at(blocks, (a, b), sign * pulled)
        blocks[0, 0] += 1e12 * np.eye(2)
        target = np.zeros((len(reached), 2))
        np.add.at(target, second, np.einsum("nij,nj->ni", pulled, measured))
        np.add.at(target, first, -np.einsum("nij,nj->ni", pulled, measured))
        size = 2 * len(reached)
        normal = blocks.transpose(0, 2, 1, 3).reshape(size, size)
        inverse = np.linalg.inv(normal).reshape(len(reached), 2, len(reached), 2)
        path = np.einsum("aibj,bj->ai", inverse, target)
        residual = path[second] - path[first] - measured
        distance = np.einsum("ni,nij,nj->n", residual, information, residual)
        scale = max(float(np.median(distance)) / 1.4, 1.0) if len(comparisons) else 1.0
        weight = 1 / (scale * (1 + distance / (2 * _TOLERANCE**2 * scale)))
    shift[reached] = path - path[0]
    sigma[reached] = np.sqrt(np.maximum(np.einsum("aiai->ai", inverse), 0))
    sigma[reached[0]] = 0
    return LateralDrift(shift, sigma)


def _reached(start: int, comparisons: list[_Comparison]) -> list[int]:
    """List the scans that comparisons connect with the first, in order."""
    reached = {start}
    for _ in range(len(comparisons)):
        before = len(reached)
        for one in comparisons:
            if {one.first, one.second} & reached:
                reached |= {one.first, one.second}
        if len(reached) == before:
            break
    return sorted(reached)
