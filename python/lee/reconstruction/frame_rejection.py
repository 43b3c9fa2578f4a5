"""Rejected frames: those with debris or a flash are found while they arrive, each with a reason.

Focus changes a frame's sharpness but hardly its brightness, block by block; a jump of the brightness that is
reversed later was not the sample. Where all blocks change by one factor it was the lamp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lee.errors import InputError
from lee.reconstruction.frame_features import FrameChange, FrameFeatures, change_of, features_of
from lee.reconstruction.lamp_flicker import RunningLevel

if TYPE_CHECKING:
    from lee.stacks.grey import Frame

# Changes from one frame to the next below these are never a jump, however steady the scan is.
_MIN_JUMP_PATTERN = 0.06
_MIN_JUMP_SATURATED = 0.05

# A jump is this many times the median change of the recent good frames.
_JUMP = 6.0
_RECENT = 32

# A lamp flickers between half and twice its level; what is brighter or darker is a flash, or light lost.
_MOST_FLICKER = float(np.log(2.0))
# Where counts have no zero, a factor is not told from added light: more than this is a jump.
_MOST_WITHOUT_ZERO = 0.06

# Added light leaves all contrast, in counts, as it was. A frame so much brighter is a flash if more than half
# of the relative contrast that this would cost is lost, more than twice what the focus costs from frame to
# frame, and more than so many standard errors.
_MIN_ADDED = 0.1
_ADDED_SHARE = 0.5
_ADDED_JUMP = 2.0
_ADDED_SIGMAS = 4.0

# At the start of a scan nothing is usual yet: its steps are wide if two in a row are so much alike.
_EVEN_STEPS = 0.4

# So many frames that agree with each other after a jump show the sample under new light.
_NEW_LEVEL = 4


class Verdict(NamedTuple):
    """Decision on one frame: its number from 0, the reason for rejection, and its brightness.

    ``reason`` is None for a good frame. ``factor`` is by how much the lamp made a good frame brighter than
    the running level of the scan, 1 where it is not significant.
    """

    frame: int
    reason: str | None
    factor: float = 1.0


class FrameRejection:
    """Judge frames one by one against the good ones before.

    A frame that continues the last good one without a jump is good at once. One that jumps waits: it is
    rejected when a later frame continues the last good one, and good when four frames in a row agree with
    each other (what came to stay). Compared are the pattern of 32 by 32 block means, a common factor
    aside, and the share of saturated pixels; a jump is large against the usual change in the scan, so coarse
    steps and drift reject no frame. The common factor is the lamp's between half and twice the running level
    of the scan, unless contrast is lost with it, as by added light. Constant frames are always rejected, and
    so is a frame bit-equal to the one before: no camera sees the same noise twice.
    """

    def __init__(self) -> None:
        self._count = 0
        self._shape: tuple[int, ...] | None = None
        self._full_scale = 0
        self._last: tuple[Frame, FrameFeatures] | None = None
        self._first_delivered = 0
        self._good: FrameFeatures | None = None
        self._waiting: list[FrameFeatures] = []
        self._decided: dict[int, Verdict] = {}
        self._told = 0
        self._changes: deque[FrameChange] = deque(maxlen=_RECENT)
        self._level = RunningLevel()
        self._repeated: list[int] = []

    def push(self, frame: Frame) -> list[Verdict]:
        """Take the next frame; return the decisions now possible, in order of frames.

        Parameters
        ----------
        frame : (H, W) uint8, uint16 or float32
            Not to be changed before the next frame is pushed, which is compared with it.

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
        features = features_of(frame, now, self._full_scale)
        if features is None:
            self._decide(Verdict(now, f"constant frame, all pixels are {frame.flat[0]:g}"))
        elif self._is_repeated(frame, features):
            self._repeated.append(now)
            self._decide(Verdict(now, f"bit-equal to frame {self._first_delivered}: delivered twice"))
        else:
            self._full_scale = 0 if np.isinf(features.full) else int(features.full)
            self._judge(features)
        return self._tell()

    def finish(self) -> list[Verdict]:
        """Decide on the frames still waiting at the end of the scan."""
        waiting, self._waiting = self._waiting, []
        for features in waiting:
            self._decide(Verdict(features.frame, None) if self._good is None else self._rejected(features))
        return self._tell()

    @property
    def repeated_frames(self) -> list[int]:
        """Numbers of the frames so far that were bit-equal to the one before."""
        return list(self._repeated)

    @property
    def flicker_percent(self) -> float:
        """Root mean square of the lamp's flicker so far, percent; 0 where none is significant."""
        return self._level.rms_percent

    def _is_repeated(self, frame: Frame, features: FrameFeatures) -> bool:
        last, self._last = self._last, (frame, features)
        if (
            last is not None
            and np.array_equal(last[1].means, features.means)
            and np.array_equal(last[0], frame)
        ):
            return True
        self._first_delivered = features.frame
        return False

    def _judge(self, features: FrameFeatures) -> None:
        if self._good is not None and self._continues(self._good, features):
            waiting, good = self._waiting, self._good
            for one in waiting:
                if self._stands_out(good, one, features):
                    self._decide(self._rejected(one))
                else:
                    self._accept(one)
            self._accept(features)
            return
        self._waiting.append(features)
        if self._good is not None:
            self._settle(_NEW_LEVEL)
        elif not self._settle(2) and self._progresses():
            self._accept_last(3)

    def _settle(self, agreeing: int) -> bool:
        """Accept the last `agreeing` waiting frames if each continues the one before; return whether."""
        tail = self._waiting[-agreeing:]
        agree = len(tail) == agreeing and all(self._continues(a, b) for a, b in pairwise(tail))
        if agree:
            self._accept_last(agreeing)
        return agree

    def _progresses(self) -> bool:
        """Whether three frames move on by wide steps, rather than that the middle one stands out."""
        if len(self._waiting) < 3:
            return False
        a, b, c = self._waiting[-3:]
        steps = [change_of(a, b), change_of(b, c)]
        small, large = sorted(step.pattern for step in steps)
        lit = self._is_lit_otherwise(a, b, steps[0]) or self._is_lit_otherwise(b, c, steps[1])
        return not lit and small > _EVEN_STEPS * large and change_of(a, c).pattern > large

    def _accept_last(self, count: int) -> None:
        waiting, start = self._waiting, len(self._waiting) - count
        if self._good is None:
            # What is usual is known from now on; frames before may be as usual.
            self._changes.extend(change_of(a, b) for a, b in pairwise(waiting[start:]))
            while start > 0 and self._continues(waiting[start - 1], waiting[start]):
                start -= 1
            self._changes.clear()
        for features in waiting[:start]:
            self._decide(self._rejected(features, waiting[start]))
        for k, features in enumerate(waiting[start:]):
            self._accept(features, jumped=k == 0)

    def _accept(self, features: FrameFeatures, *, jumped: bool = False) -> None:
        factor = 1.0
        if self._good is not None:
            change = change_of(self._good, features)
            if features.frame == self._good.frame + 1:
                self._changes.append(change)
            # After a jump, what came to stay may have changed the brightness.
            anew = jumped and self._level.is_steady
            if anew or abs(self._level.deviation(change.ratio)) > _MOST_FLICKER:
                self._level.restart(change.ratio)
            elif features.zero:
                factor = self._level.take(change.ratio)
        self._good = features
        self._waiting = []
        self._decide(Verdict(features.frame, None, factor))

    def _decide(self, verdict: Verdict) -> None:
        self._decided[verdict.frame] = verdict

    def _tell(self) -> list[Verdict]:
        told = []
        while self._told in self._decided:
            told.append(self._decided.pop(self._told))
            self._told += 1
        return told

    def _usual(self, of: Callable[[FrameChange], float]) -> float:
        return float(np.median([abs(of(change)) for change in self._changes] or [0.0]))

    def _pattern_limit(self, frames_apart: int) -> float:
        return max(_MIN_JUMP_PATTERN, _JUMP * self._usual(lambda one: one.pattern)) * (
            1 + 0.5 * (frames_apart - 1)
        )

    def _saturated_limit(self, frames_apart: int) -> float:
        return max(_MIN_JUMP_SATURATED, _JUMP * self._usual(lambda one: one.saturated)) * (
            1 + 0.5 * (frames_apart - 1)
        )

    def _continues(self, before: FrameFeatures, features: FrameFeatures) -> bool:
        change, apart = change_of(before, features), features.frame - before.frame
        return (
            not self._is_lit_otherwise(before, features, change)
            and change.pattern <= self._pattern_limit(apart)
            and change.saturated <= self._saturated_limit(apart)
        )

    def _is_lit_otherwise(self, before: FrameFeatures, features: FrameFeatures, change: FrameChange) -> bool:
        """Whether one of the frames has light added, or more or less light than a lamp's flicker makes."""
        log = change.ratio.log
        if not (before.zero and features.zero):
            return abs(log) > max(_MOST_WITHOUT_ZERO, _JUMP * self._usual(lambda one: one.ratio.log))
        deviation = self._level.deviation(change.ratio) if before is self._good else log
        return abs(deviation) > _MOST_FLICKER or self._is_added(change)

    def _is_added(self, change: FrameChange) -> bool:
        """Whether the brighter frame has less relative contrast, as if light had been added."""
        log, contrast = change.ratio.log, change.contrast
        if len(self._changes) < _NEW_LEVEL or abs(log) < _MIN_ADDED:
            return False
        # Focus comes and goes steadily, and turns once.
        trend, usual = self._changes[-1].contrast.log, self._usual(lambda one: one.contrast.log)
        limit = max(_ADDED_SHARE * abs(log), _ADDED_JUMP * usual, _ADDED_SIGMAS * contrast.sigma)
        return bool((trend - contrast.log) * np.sign(log) > limit)

    def _stands_out(self, before: FrameFeatures, features: FrameFeatures, after: FrameFeatures) -> bool:
        """Whether a frame that jumped is to be rejected when the one after it did not.

        What looked like added light must be gone after it, and the contrast back: focus turns without that.
        """
        coming, going = change_of(before, features), change_of(features, after)
        apart = features.frame - before.frame
        if (
            not (before.zero and features.zero)
            or abs(self._level.deviation(coming.ratio)) > _MOST_FLICKER
            or coming.pattern > self._pattern_limit(apart)
            or coming.saturated > self._saturated_limit(apart)
        ):
            return True
        return going.ratio.log * coming.ratio.log < 0 and going.contrast.log * coming.contrast.log < 0

    def _rejected(self, features: FrameFeatures, reference: FrameFeatures | None = None) -> Verdict:
        good = reference or self._good or features
        change = change_of(good, features)
        if self._is_lit_otherwise(good, features, change):
            log = change.ratio.log
            if log > 0:
                cause = f"flash: {100 * np.expm1(log):.0f} % brighter"
            else:
                cause = f"light lost: {-100 * np.expm1(log):.0f} % darker"
            return Verdict(features.frame, f"{cause} than frame {good.frame}")
        if change.saturated > self._saturated_limit(1):
            return Verdict(
                features.frame, f"flash: {100 * features.saturated:.0f} % of the pixels are saturated"
            )
        return Verdict(
            features.frame,
            f"occlusion: blocks differ by {100 * change.pattern:.0f} % rms from frame {good.frame}",
        )
