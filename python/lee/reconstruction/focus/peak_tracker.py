"""The two largest maxima of every pixel's focus curve, kept while frames arrive, and the fits to them."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from lee.kernels.argmax_refocus import argmax_refocus
from lee.reconstruction.focus.measure import Map


class PeakTracker:
    """Running maxima of focus curves, with the focus in the planes around each.

    A plane is a maximum where its focus is above that of the plane before and not below that of the plane
    after; the first and the last plane may be one. Memory does not grow with the number of planes.

    Parameters
    ----------
    shape : (H, W)
    reach : int
        Planes to each side of a maximum that are kept for the fit.

    Attributes
    ----------
    plane : (2, H, W) int32
        Of the larger and the smaller maximum, -1 where there is none.
    peak : (2, H, W) float32
        Focus there, -1 where there is none.
    counts : (2, H, W) float32
        Brightness of the pixel there.
    """

    def __init__(self, shape: tuple[int, int], reach: int) -> None:
        self.reach = reach
        self.plane = np.full((2, *shape), -1, np.int32)
        self.peak = np.full((2, *shape), -1, np.float32)
        self.counts = np.full((2, *shape), np.nan, np.float32)
        self._samples = np.full((2, 2 * reach + 1, *shape), np.nan, np.float32)
        self._focus: deque[Map | None] = deque([None] * (2 * reach + 1), maxlen=2 * reach + 1)
        self._frames: deque[Map] = deque(maxlen=reach + 1)
        self._count = 0
        self._finished = False

    @property
    def bytes_per_pixel(self) -> float:
        """Memory held for each pixel."""
        kept = self.plane, self.peak, self.counts, self._samples
        window = (2 * self.reach + 1) + (self.reach + 1)
        return float(sum(values.nbytes for values in kept) / self.plane[0].size + 4 * window)

    def push(self, focus: Map, frame: Map) -> None:
        """Take the next plane: its focus, NaN where there is none, and its image."""
        if self._count == 0:
            self.counts[:] = frame
        self._focus.append(focus)
        self._frames.append(frame)
        self._count += 1
        if self._count > self.reach:
            self._take(self._count - 1 - self.reach, self._frames[0])

    def finish(self) -> None:
        """Take in the last planes of the scan."""
        if self._finished:
            return
        self._finished = True
        first = self._count - len(self._frames)
        for plane in range(self._count - self.reach, self._count):
            self._focus.append(None)
            if plane >= 0:
                self._take(plane, self._frames[plane - first])

    def _take(self, plane: int, frame: Map) -> None:
        """Keep the maxima of the plane in the middle of the focus maps held."""
        before, focus, after = (self._focus[self.reach + step] for step in (-1, 0, 1))
        assert focus is not None
        maximum = np.isfinite(focus)
        if before is not None:
            maximum &= ~(before >= focus)
        if after is not None:
            maximum &= ~(after > focus)
        largest = maximum & (focus > self.peak[0])
        second = maximum & ~largest & (focus > self.peak[1])
        for kept in (self.plane, self.peak, self.counts, *self._samples.swapaxes(0, 1)):
            kept[1][largest] = kept[0][largest]
        for slot, wins in enumerate((largest, second)):
            self.plane[slot][wins] = plane
            self.peak[slot][wins] = focus[wins]
            self.counts[slot][wins] = frame[wins]
            for kept, sample in zip(self._samples[slot], self._focus, strict=True):
                kept[wins] = np.nan if sample is None else sample[wins]

    def reject(self, planes: list[NDArray[np.bool_]]) -> None:
        """Drop the maxima in pixels (H, W) marked in the mask of their plane; a smaller one left moves up."""
        marked = np.stack(planes) if planes else np.zeros((0, *self.plane.shape[1:]), bool)
        rows, columns = np.indices(self.plane.shape[1:])
        out = [(p >= 0) & marked[np.maximum(p, 0), rows, columns] for p in self.plane] if planes else []
        if not out:
            return
        moved = out[0] & ~out[1] & (self.plane[1] >= 0)
        for kept in (self.plane, self.peak, self.counts, *self._samples.swapaxes(0, 1)):
            kept[0][moved] = kept[1][moved]
        for slot, gone in enumerate((out[0] & ~moved, out[1] | moved)):
            self.plane[slot][gone] = -1
            self.peak[slot][gone] = -1

    def fit(self, slot: int, z_um: NDArray[np.float64], threads: int) -> tuple[Map, Map]:
        """Fit a parabola to the logarithm of the focus around the maxima of a slot.

        Returns
        -------
        height, sigma : (H, W) float32, µm
            NaN where the maximum is at an end of the scan or no peak fits; `sigma` is that of the fit
            alone.
        """
        height, sigma = (np.full(self.plane[slot].shape, np.nan, np.float32) for _ in range(2))
        for pixels, planes, curves in self._curves(slot):
            fit = argmax_refocus(
                curves[:, None], curves[:, None], z_um=z_um[planes], reach=2 * self.reach, threads=threads
            )
            height.reshape(-1)[pixels] = fit.height_um.ravel()
            sigma.reshape(-1)[pixels] = fit.sigma_um.ravel()
        return height, sigma

    def widths(self, slot: int, z_um: NDArray[np.float64]) -> Map:
        """Return the standard deviation of the Gaussian through the focus around the maxima, (H, W) µm."""
        out = np.full(self.plane[slot].shape, np.nan, np.float32)
        for pixels, planes, curves in self._curves(slot):
            out.reshape(-1)[pixels] = _gaussian_width(curves, z_um[planes])
        return out

    def _curves(self, slot: int) -> list[tuple[NDArray[np.intp], slice, Map]]:
        """Pixels whose maximum is in the same plane, the planes around it, and their focus, (n, pixels)."""
        plane = self.plane[slot].ravel()
        samples = self._samples[slot].reshape(2 * self.reach + 1, -1)
        order = np.argsort(plane, kind="stable")
        ends = np.searchsorted(plane[order], np.arange(self._count + 1))
        out = []
        for k in range(self._count):
            pixels = order[ends[k] : ends[k + 1]]
            if pixels.size == 0:
                continue
            first, last = max(k - self.reach, 0), min(k + self.reach, self._count - 1)
            curves = samples[first - k + self.reach : last - k + self.reach + 1, pixels]
            out.append((pixels, slice(first, last + 1), _one_peak(curves, k - first)))
        return out


def _one_peak(curves: Map, middle: int) -> Map:
    """Set samples to NaN beyond a larger one than the maximum: they belong to another peak."""
    curves = np.ascontiguousarray(curves)
    for side in (curves[middle::-1], curves[middle:]):
        beyond = np.logical_or.accumulate(~(side <= curves[middle]), axis=0)
        side[beyond] = np.nan
    return curves


def _gaussian_width(curves: Map, z_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of the Gaussian fitted to each curve, weighted by the focus squared."""
    usable = np.isfinite(curves) & (curves > 0)
    share = np.where(usable, curves, 0).astype(np.float64)
    share /= np.maximum(share.max(axis=0), 1e-30)
    logarithm = np.log(np.maximum(share, 1e-30))
    z = (z_um - z_um.mean())[:, None]
    weight = share**2
    moments = [(weight * z**power).sum(axis=0) for power in range(5)]
    normal = np.array([[moments[i + j] for j in range(3)] for i in range(3)]).transpose(2, 0, 1)
    right = np.array([(weight * logarithm * z**power).sum(axis=0) for power in range(3)]).T
    solvable = (usable.sum(axis=0) >= 3) & (np.abs(np.linalg.det(normal)) > 1e-12 * moments[0] * moments[4])
    normal[~solvable] = np.eye(3)
    bend = np.linalg.solve(normal, right[..., None])[:, 2, 0]
    fits = solvable & (bend < 0)
    return np.where(fits, np.sqrt(-0.5 / np.where(fits, bend, -1)), np.nan)
