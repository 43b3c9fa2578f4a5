"""Planes at stated heights, averaged from the frames around them while a scan's frames arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError

Plane = NDArray[np.float32]


def common_heights(
    before_um: NDArray[np.float64], after_um: NDArray[np.float64], step_um: float
) -> NDArray[np.float64]:
    """Choose heights that both scans cover.

    Parameters
    ----------
    before_um, after_um : (Z,) float64, µm
        Heights of the scans' frames, strictly rising or falling.
    step_um : float, µm
        From height to height; where a scan has wider steps, its widest step.

    Returns
    -------
    (P,) float64, µm
        Rising, evenly spaced, centred in the range that both scans have in common.

    Raises
    ------
    InputError
        If the scans have no height in common.
    """
    low = max(before_um.min(), after_um.min())
    high = min(before_um.max(), after_um.max())
    if low > high:
        raise InputError(
            f"particles: before covers {before_um.min():g} to {before_um.max():g} µm but after "
            f"{after_um.min():g} to {after_um.max():g} µm; give scans that cover the same heights"
        )
    step = step_um
    for z in (before_um, after_um):
        ordered = np.sort(z)
        there = (ordered[1:] >= low) & (ordered[:-1] <= high)
        step = max(step, float(np.diff(ordered)[there].max(initial=0.0)))
    count = int((high - low) / step + 1e-9) + 1
    return np.asarray((low + high) / 2 + (np.arange(count) - (count - 1) / 2) * step)


class PlaneAverager:
    """Averages the frames of a scan around fixed heights, keeping only the frames still needed.

    A plane is the value at its height of a straight line in z, fitted pixel by pixel to the frames within one
    step with triangular weights: scans whose frames are at other heights give planes of the same true height.

    Parameters
    ----------
    heights_um : (P,) float64, µm
        Rising, evenly spaced.
    reach_um : float, µm
        Frames farther away are ignored: the step of `heights_um`.
    """

    def __init__(self, heights_um: NDArray[np.float64], reach_um: float) -> None:
        self._waiting: deque[tuple[int, float]] = deque(enumerate(heights_um.tolist()))
        self._reach = reach_um
        self._kept: deque[tuple[float, NDArray[np.generic]]] = deque()
        self._rises: bool | None = None

    def push(self, frame: NDArray[np.generic], z_um: float) -> Iterator[tuple[int, Plane]]:
        """Take a frame (H, W); yield the planes it completes as (number, (H, W) float32)."""
        if self._kept and self._rises is None:
            self._rises = bool(z_um > self._kept[-1][0])
            if not self._rises:
                self._waiting.reverse()
        self._kept.append((float(z_um), frame))
        if self._rises is None:
            return
        while self._waiting and self._is_beyond(z_um, self._waiting[0][1]):
            yield from self._complete()
        self._discard()

    def finish(self) -> Iterator[tuple[int, Plane]]:
        """Yield the planes that the last frames complete."""
        while self._waiting:
            yield from self._complete()

    def _is_beyond(self, z_um: float, height_um: float) -> bool:
        return (z_um - height_um if self._rises else height_um - z_um) >= self._reach

    def _complete(self) -> Iterator[tuple[int, Plane]]:
        number, height = self._waiting.popleft()
        weights = line_weights(np.array([z for z, _ in self._kept]), height, self._reach)
        if weights is not None:
            total = np.zeros(self._kept[0][1].shape, np.float32)
            part = np.empty_like(total)
            for weight, (_, frame) in zip(weights, self._kept, strict=True):
                if weight != 0:
                    total += np.multiply(frame, np.float32(weight), out=part, casting="unsafe")
            yield number, total
        self._discard()

    def _discard(self) -> None:
        while self._kept and (not self._waiting or self._is_behind(self._kept[0][0], self._waiting[0][1])):
            self._kept.popleft()

    def _is_behind(self, z_um: float, height_um: float) -> bool:
        return (height_um - z_um if self._rises else z_um - height_um) >= self._reach


def line_weights(z_um: NDArray[np.float64], at_um: float, reach_um: float) -> NDArray[np.float64] | None:
    """Return the weights of a line fit at one height; None where the frames do not enclose it.

    Parameters
    ----------
    z_um : (N,) float64, µm
    at_um, reach_um : float, µm
        Frames farther than `reach_um` from `at_um` are ignored.
    """
    off = z_um - at_um
    weights = np.clip(1 - np.abs(off) / reach_um, 0, None)
    counted = off[weights > 0]
    tolerance = 1e-6 * reach_um
    if not len(counted) or counted.min() > tolerance or counted.max() < -tolerance:
        return None
    s0, s1, s2 = (float((weights * off**power).sum()) for power in range(3))
    spread = s0 * s2 - s1 * s1
    if spread <= 1e-12 * s0 * s0 * reach_um**2:
        return weights / s0
    return np.asarray(weights * (s2 - s1 * off) / spread)
