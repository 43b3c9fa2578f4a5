"""Frames that debris or a flash has ruined: found while they arrive, each with a reason.

Focus changes a frame's sharpness but hardly its brightness, block by block; what jumps there and comes back
was not the sample.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.reconstruction.saturation import full_scale

if TYPE_CHECKING:
    from lee.stacks.stack import ZStack

_BLOCKS = 32
_ROWS_READ = 256

# Changes from one frame to the next below these are never called a jump, whatever the scan's own calm.
_CALM_GAIN = 0.06
_CALM_PATTERN = 0.06
_CALM_SATURATED = 0.05

# A block counts for no more than this: a glint that comes and goes in one place ruins no frame.
_ONE_BLOCK = 0.25

# A jump is this many times the median change of the recent good frames.
_JUMP = 6.0
_RECENT = 32

# So many frames that agree with each other after a jump are the sample under new light, not an accident.
_NEW_LEVEL = 4


class Verdict(NamedTuple):
    """Decision on one frame: ``frame`` counts from 0, ``reason`` is None for a good one."""

    frame: int
    reason: str | None


class _Look(NamedTuple):
    frame: int
    level: float
    pattern: NDArray[np.float64]
    saturated: float


class _Change(NamedTuple):
    gain: float
    pattern: float
    saturated: float


class FrameGuard:
    """Judge frames one by one against the good ones before.

    A frame that follows the last good one without a jump is good at once. One that jumps waits: it is ruined
    when a later frame falls back into line, and good after all when four frames in a row agree on the new
    look (a lamp that was turned up). Compared are the mean, the pattern of 32 by 32 block means and the share
    of saturated pixels; a jump is measured against the scan's own calm: coarse steps and drift lose no
    frame. Constant frames are ruined always.
    """

    def __init__(self) -> None:
        self._count = 0
        self._shape: tuple[int, ...] | None = None
        self._full_scale = 0
        self._good: _Look | None = None
        self._waiting: list[_Look] = []
        self._changes: deque[_Change] = deque(maxlen=_RECENT)

    def push(self, frame: NDArray[Any]) -> list[Verdict]:
        """Take the next frame; return what is decided now, in order of frames.

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
                f"debris: frame {self._count} is {frame.shape}, expected {self._shape or '(H, W)'}"
            )
        self._shape = frame.shape
        now = self._count
        self._count += 1
        look = self._look(frame, now)
        if look is None:
            return [Verdict(now, f"constant frame, all pixels are {frame.flat[0]:g}")]
        if self._good is not None and self._follows(self._good, look):
            ruined = [self._ruined(one) for one in self._waiting]
            self._accept(look)
            return [*ruined, Verdict(now, None)]
        self._waiting.append(look)
        return self._settle(2 if self._good is None else _NEW_LEVEL)

    def finish(self) -> list[Verdict]:
        """Decide on the frames still waiting at the end of the scan."""
        waiting, self._waiting = self._waiting, []
        if self._good is None:
            return [Verdict(look.frame, None) for look in waiting]
        return [self._ruined(look) for look in waiting]

    def _settle(self, agreeing: int) -> list[Verdict]:
        """Accept the last `agreeing` waiting frames if each follows the one before."""
        tail = self._waiting[-agreeing:]
        if len(tail) < agreeing or not all(self._follows(a, b) for a, b in pairwise(tail)):
            return []
        early = [self._ruined(look, tail[0]) for look in self._waiting[:-agreeing]]
        for look in tail:
            self._accept(look)
        return [*early, *(Verdict(look.frame, None) for look in tail)]

    def _accept(self, look: _Look) -> None:
        if self._good is not None and look.frame == self._good.frame + 1:
            self._changes.append(_change(self._good, look))
        self._good = look
        self._waiting = []

    def _limits(self, gap: int) -> _Change:
        usual = np.median(np.array(self._changes), axis=0) if self._changes else np.zeros(3)
        floors = np.array([_CALM_GAIN, _CALM_PATTERN, _CALM_SATURATED])
        return _Change(*(np.maximum(floors, _JUMP * usual) * (1 + 0.5 * (gap - 1))))

    def _follows(self, before: _Look, look: _Look) -> bool:
        change, limit = _change(before, look), self._limits(look.frame - before.frame)
        return all(found <= allowed for found, allowed in zip(change, limit, strict=True))

    def _ruined(self, look: _Look, reference: _Look | None = None) -> Verdict:
        good = reference or self._good or look
        change, limit = _change(good, look), self._limits(1)
        percent = 100 * (np.exp(change.gain) - 1)
        if change.gain > limit.gain:
            cause = "flash" if look.level > good.level else "light lost"
            if look.level < good.level:
                percent = 100 * (1 - np.exp(-change.gain))
            word = "brighter" if look.level > good.level else "darker"
            return Verdict(look.frame, f"{cause}: {percent:.0f} % {word} than frame {good.frame}")
        if change.saturated > limit.saturated:
            return Verdict(look.frame, f"flash: {100 * look.saturated:.0f} % of the pixels are saturated")
        return Verdict(
            look.frame,
            f"something crosses: blocks differ by {100 * change.pattern:.0f} % rms from frame {good.frame}",
        )

    def _look(self, frame: NDArray[Any], index: int) -> _Look | None:
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
        # Float frames may have any zero; their spread stands in for a level that is none.
        level = max(float(np.abs(means).mean()), 0.02 * float(highest) - 0.02 * float(lowest), 1e-9)
        return _Look(index, level, means / level, saturated)


def _change(before: _Look, after: _Look) -> _Change:
    difference = np.clip(after.pattern - before.pattern, -_ONE_BLOCK, _ONE_BLOCK)
    return _Change(
        abs(float(np.log(after.level / before.level))),
        float(np.sqrt(np.mean(difference * difference))),
        abs(after.saturated - before.saturated),
    )


def _block_means(rows: NDArray[Any]) -> NDArray[np.float64]:
    high, wide = (max(1, n // _BLOCKS) for n in rows.shape)
    down, across = rows.shape[0] // high, rows.shape[1] // wide
    kept = rows[: down * high, : across * wide]
    lines = np.add.reduce(kept.reshape(down, high, across * wide), axis=1, dtype=np.float32)
    return np.asarray(lines.reshape(down, across, wide).mean(axis=2, dtype=np.float64) / high)


def find_ruined(stack: ZStack) -> list[tuple[int, str]]:
    """Find the frames of a stack that debris or a flash has ruined.

    Returns
    -------
    list of (frame, reason)
        In order of frames; empty for a clean scan.
    """
    guard = FrameGuard()
    verdicts = [verdict for frame in stack for verdict in guard.push(frame)]
    verdicts += guard.finish()
    return sorted((verdict.frame, verdict.reason) for verdict in verdicts if verdict.reason is not None)
