"""Lamp flicker: what a factor over the whole frame is against the running level of the scan, and without it.

Defocus conserves the mean brightness of every part of the surface, so the ratio of two frames, block by
block, shows the lamp alone. A bubble changes some of the blocks, but not what most have in common.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.saturation import full_scale
from lee.stacks.grey import Frame

# Darker blocks, against the mean of all, are left out: their ratios are noise.
_DARK_SHARE = 0.25
# The ratio of means over a block that is partly saturated is not that of the light.
_BRIGHT_SHARE = 0.9

# Ratios so many standard deviations from the common one do not count.
_FAR = 4.0

# Deviations below these are not worth a division: 1.5 %, and this many standard errors.
_MIN_DEVIATION = 0.015
_MIN_SIGMAS = 5.0

# The level follows the lamp by so much a frame, logarithm: too little to move the maximum of a focus curve,
# enough for a lamp that warms up. It follows faster where steps are so wide that the ratio is uncertain.
_FOLLOWED = 0.0005
_FOLLOWED_SIGMAS = 2.0

# While most frames change by less than this, it does not flicker: a bubble that grows out of focus lights up
# the whole field as slowly.
_CALM = 0.003
_RECENT = 32


class Ratio(NamedTuple):
    """Logarithm of what one frame has over what another has, and its standard error."""

    log: float
    sigma: float


def brightness_ratio(
    before: NDArray[np.float64], after: NDArray[np.float64], *, full: float = np.inf
) -> Ratio:
    """Find the factor between two frames from the means of their blocks.

    Parameters
    ----------
    before, after : (h, w) float64, counts
        Means of the same blocks; not all of `before` are 0 or below.
    full : float, counts
        Where pixels saturate.
    """
    clear = (before > _DARK_SHARE * before.mean()) & (after > 0)
    unclipped = clear & (before < _BRIGHT_SHARE * full) & (after < _BRIGHT_SHARE * full)
    chosen = unclipped if unclipped.any() else clear
    if not chosen.any():
        return Ratio(float(np.log(max(after.mean(), 1e-9) / max(before.mean(), 1e-9))), np.inf)
    return common_ratio(np.log(after[chosen] / before[chosen]))


def common_ratio(logs: NDArray[np.float64]) -> Ratio:
    """Find what most logarithms of ratios, at least one, have in common.

    A bubble that grows changes many of them one way, and draws a median along. So the shortest interval with
    half of them is where to begin; what is far from it for the noise does not count (biweight of Tukey).
    """
    ordered = np.sort(logs)
    half = (ordered.size + 1) // 2
    widths = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
    start = int(widths.argmin())
    middle = float(np.mean(ordered[start : start + half]))
    # Of a normal distribution, the interval is as wide as 1.349 standard deviations.
    spread = max(float(widths[start]) / 1.349, 1e-9)
    for _ in range(5):
        weight = np.square(np.clip(1 - np.square((ordered - middle) / (_FAR * spread)), 0, None))
        middle = float(weight @ ordered / weight.sum())
    return Ratio(middle, spread / float(np.sqrt(weight.sum())))


class RunningLevel:
    """Brightness of a scan while its frames arrive, and by what factor each frame deviates from it."""

    def __init__(self) -> None:
        self._log = 0.0
        self._level = 0.0
        self._squares = 0.0
        self._count = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def deviation(self, ratio: Ratio) -> float:
        """Return the logarithm by which a frame, `ratio` brighter than the last one taken, deviates."""
        return self._log + ratio.log - self._level

    def take(self, ratio: Ratio) -> float:
        """Take a frame, `ratio` brighter than the last; return the factor to divide out, 1 for none."""
        self._log += ratio.log
        self._recent.append(abs(ratio.log))
        if max(abs(ratio.log), float(np.median(self._recent))) < _CALM:
            self._level += ratio.log
        reach = max(_FOLLOWED, _FOLLOWED_SIGMAS * ratio.sigma)
        self._level += float(np.clip(self._log - self._level, -reach, reach))
        deviation = self._log - self._level
        found = abs(deviation) > max(_MIN_DEVIATION, _MIN_SIGMAS * ratio.sigma)
        self._count += 1
        self._squares += deviation**2 if found else 0.0
        return float(np.exp(deviation)) if found else 1.0

    def restart(self, ratio: Ratio) -> None:
        """Take a frame, `ratio` brighter than the last, and its level for that of the scan."""
        self._log += ratio.log
        self._level = self._log
        self._count += 1

    @property
    def is_steady(self) -> bool:
        """Whether nothing was to be divided out so far."""
        return self._squares == 0

    @property
    def rms_percent(self) -> float:
        """Root mean square of what was to be divided out, over all frames taken, percent."""
        return 100 * float(np.sqrt(self._squares / max(self._count, 1)))


def without_flicker(frame: Frame, factor: float, *, full: int = 0) -> Frame:
    """Return a frame divided by `factor`, of the same dtype; the frame itself where that is 1.

    Parameters
    ----------
    frame : (H, W) uint8, uint16 or float32, counts
    factor : float
        Above 0.
    full : int, counts
        Where pixels of the scan saturate, as far as is known. Saturated pixels stay saturated, and no others
        go beyond.
    """
    if factor == 1.0:
        return frame
    if frame.dtype.kind != "u":
        return frame / np.float32(factor)
    highest = int(frame.max())
    full = max(full, full_scale(highest))
    counts = np.minimum(np.rint(np.arange(np.iinfo(str(frame.dtype)).max + 1) / factor), full).astype(
        frame.dtype
    )
    if highest == full:
        counts[full] = full
    if frame.itemsize > 1:
        return np.asarray(counts[frame])
    # Five times as fast as indexing.
    return np.frombuffer(frame.tobytes().translate(counts.tobytes()), np.uint8).reshape(frame.shape)
