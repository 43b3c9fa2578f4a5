"""Rejected frames: those with debris or a flash are found while they arrive, each with a reason.

Focus changes a frame's sharpness but hardly its brightness, block by block; a jump of the brightness that is
reversed later was not the sample.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.reconstruction.saturation import full_scale

if TYPE_CHECKING:
    from lee.stacks.grey import Frame

_BLOCKS = 32
_ROWS_READ = 256

# Changes from one frame to the next below these are never a jump, however steady the scan is.
_MIN_JUMP_GAIN = 0.06
_MIN_JUMP_PATTERN = 0.06
_MIN_JUMP_SATURATED = 0.05

# A block counts at most this much: a glint that appears and disappears in one place rejects no frame.
_MAX_BLOCK_CHANGE = 0.25

# A jump is this many times the median change of the recent good frames.
_JUMP = 6.0
_RECENT = 32

# So many frames that agree with each other after a jump show the sample under new light.
_NEW_LEVEL = 4


class Verdict(NamedTuple):
    """Decision on one frame: its number from 0, and the reason for rejection, None for a good one."""

    frame: int
    reason: str | None


class _Features(NamedTuple):
    frame: int
    level: float
    pattern: NDArray[np.float64]
    saturated: float


class _Change(NamedTuple):
    gain: float
    pattern: float
    saturated: float


class FrameRejection:
    """Judge frames one by one against the good ones before.

    A frame that continues the last good one without a jump is good at once. One that jumps waits: it is
    rejected when a later frame continues the last good one, and good when four frames in a row agree with
    each other (a lamp that was turned up). Compared are the mean, the pattern of 32 by 32 block means and the
    share of saturated pixels; a jump is large against the usual change in the scan, so coarse steps and drift
    reject no frame. Constant frames are always rejected.
    """

    def __init__(self) -> None:
        self._count = 0
        self._shape: tuple[int, ...] | None = None
        self._full_scale = 0
        self._good: _Features | None = None
        self._waiting: list[_Features] = []
        self._changes: deque[_Change] = deque(maxlen=_RECENT)

    def push(self, frame: Frame) -> list[Verdict]:
        """Take the next frame; return the decisions now possible, in order of frames.

        Parameters
        ----------
        frame : (H, W) uint8, uint16 or float32

        Raises
        ------
        InputError
            If the frame is not (H, W) as the first one.
        """
        if frame.ndim != 2 or frame.shape != (self._shape or frame.shape):
            raise InputError(
                f"frame rejection: frame {self._count} is {frame.shape}, expected {self._shape or '(H, W)'}"
            )
        self._shape = frame.shape
        now = self._count
        self._count += 1
        features = self._features(frame, now)
        if features is None:
            return [Verdict(now, f"constant frame, all pixels are {frame.flat[0]:g}")]
        if self._good is not None and self._continues(self._good, features):
            rejected = [self._rejected(one) for one in self._waiting]
            self._accept(features)
            return [*rejected, Verdict(now, None)]
        self._waiting.append(features)
        return self._settle(2 if self._good is None else _NEW_LEVEL)

    def finish(self) -> list[Verdict]:
        """Decide on the frames still waiting at the end of the scan."""
        waiting, self._waiting = self._waiting, []
        if self._good is None:
            return [Verdict(features.frame, None) for features in waiting]
        return [self._rejected(features) for features in waiting]

    def _settle(self, agreeing: int) -> list[Verdict]:
        """Accept the last `agreeing` waiting frames if each continues the one before."""
        tail = self._waiting[-agreeing:]
        if len(tail) < agreeing or not all(self._continues(a, b) for a, b in pairwise(tail)):
            return []
        early = [self._rejected(features, tail[0]) for features in self._waiting[:-agreeing]]
        for features in tail:
            self._accept(features)
        return [*early, *(Verdict(features.frame, None) for features in tail)]

    def _accept(self, features: _Features) -> None:
        if self._good is not None and features.frame == self._good.frame + 1:
            self._changes.append(_change(self._good, features))
        self._good = features
        self._waiting = []

    def _limits(self, frames_apart: int) -> _Change:
        usual = np.median(np.array(self._changes), axis=0) if self._changes else np.zeros(3)
        floors = np.array([_MIN_JUMP_GAIN, _MIN_JUMP_PATTERN, _MIN_JUMP_SATURATED])
        return _Change(*(np.maximum(floors, _JUMP * usual) * (1 + 0.5 * (frames_apart - 1))))

    def _continues(self, before: _Features, features: _Features) -> bool:
        change, limit = _change(before, features), self._limits(features.frame - before.frame)
        return all(found <= allowed for found, allowed in zip(change, limit, strict=True))

    def _rejected(self, features: _Features, reference: _Features | None = None) -> Verdict:
        good = reference or self._good or features
        change, limit = _change(good, features), self._limits(1)
        percent = 100 * (np.exp(change.gain) - 1)
        if change.gain > limit.gain:
            cause = "flash" if features.level > good.level else "light lost"
            if features.level < good.level:
                percent = 100 * (1 - np.exp(-change.gain))
            word = "brighter" if features.level > good.level else "darker"
            return Verdict(features.frame, f"{cause}: {percent:.0f} % {word} than frame {good.frame}")
        if change.saturated > limit.saturated:
            return Verdict(
                features.frame, f"flash: {100 * features.saturated:.0f} % of the pixels are saturated"
            )
        return Verdict(
            features.frame,
            f"occlusion: blocks differ by {100 * change.pattern:.0f} % rms from frame {good.frame}",
        )

    def _features(self, frame: Frame, index: int) -> _Features | None:
        step = max(1, frame.shape[0] // _ROWS_READ)
        rows = frame[::step]
        lowest, highest = rows.min(), rows.max()
        if lowest == highest and frame.min() == frame.max():
            return None
        saturated = 0.0
        if frame.dtype.kind == "u":
            self._full_scale = max(self._full_scale, full_scale(int(highest)))
            saturated = float(np.count_nonzero(rows == self._full_scale)) / rows.size
        means = _block_means(rows)
        # Float frames may have any zero: where their mean is near it, their spread takes its place.
        level = max(float(np.abs(means).mean()), 0.02 * float(highest) - 0.02 * float(lowest), 1e-9)
        return _Features(index, level, means / level, saturated)


def _change(before: _Features, after: _Features) -> _Change:
    difference = np.clip(after.pattern - before.pattern, -_MAX_BLOCK_CHANGE, _MAX_BLOCK_CHANGE)
    return _Change(
        abs(float(np.log(after.level / before.level))),
        float(np.sqrt(np.mean(difference * difference))),
        abs(after.saturated - before.saturated),
    )


def _block_means(rows: Frame) -> NDArray[np.float64]:
    high, wide = (max(1, n // _BLOCKS) for n in rows.shape)
    down, across = rows.shape[0] // high, rows.shape[1] // wide
    kept = rows[: down * high, : across * wide]
    lines = np.add.reduce(kept.reshape(down, high, across * wide), axis=1, dtype=np.float32)
    return np.asarray(lines.reshape(down, across, wide).mean(axis=2, dtype=np.float64) / high)
