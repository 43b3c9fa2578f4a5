"""Straight lines: the least-squares fit, and the line under all points that comes closest to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class StraightLine(NamedTuple):
    """``y = at + slope (x - about)``; ``rms`` of the points about it, ``points`` of them, ``spread`` of x."""

    slope: float
    at: float
    about: float
    rms: float = 0.0
    points: int = 2
    spread: float = 0.0

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return y at x."""
        return np.asarray(self.at + self.slope * (x - self.about), dtype=np.float64)

    def sigma(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard error of the line at x."""
        far = (x - self.about) / self.spread if self.spread else np.zeros_like(x)
        return np.asarray(self.rms * np.sqrt((1 + far**2) / self.points), dtype=np.float64)


def fit_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> StraightLine:
    """Fit by least squares; rms with the two degrees of freedom that the line takes.

    Parameters
    ----------
    x, y : (N,) float64
        N at least 3, x not all alike.
    """
    about = float(x.mean())
    slope, at = (float(value) for value in np.polyfit(x - about, y, 1))
    off = y - at - slope * (x - about)
    rms = float(np.sqrt(np.sum(off**2) / (len(x) - 2)))
    return StraightLine(slope, at, about, rms, len(x), float(x.std()))


def line_below(x: NDArray[np.float64], y: NDArray[np.float64]) -> StraightLine:
    """Return the line that is above no point and whose distances to all points have the smallest sum.

    It is the edge of the lower convex hull at the mean of x. For messages that arrive some time after they
    were sent, never before, it gives the clock of the sender.

    Parameters
    ----------
    x, y : (N,) float64
        N at least 2, x not all alike.
    """
    order = np.lexsort((y, x))
    hull: list[tuple[float, float]] = []
    for point in zip(x[order].tolist(), y[order].tolist(), strict=True):
        if hull and point[0] == hull[-1][0]:
            continue
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    mean = float(x.mean())
    k = max(1, min(int(np.searchsorted([at for at, _ in hull], mean)), len(hull) - 1))
    (x0, y0), (x1, y1) = hull[k - 1], hull[k]
    return StraightLine((y1 - y0) / (x1 - x0), y0, x0)


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
