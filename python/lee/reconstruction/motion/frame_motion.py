"""How every frame of a scan shows the sample displaced: slow drift, and vibration beside it.

Drift is compensated where frames are averaged. Vibration differs from frame to frame, so that every frame has
to be resampled by itself; this is done only where it is significant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.motion.drift import estimate_drift
from lee.reconstruction.motion.robust_drift import RobustDriftTracker
from lee.reconstruction.motion.subpixel_shift import steady_frame
from lee.reconstruction.parameters import MIN_DRIFT_PX
from lee.stacks.reader import FrameSource
from lee.stacks.stack import ZStack

if TYPE_CHECKING:
    from lee.stacks.grey import Frame


@dataclass(frozen=True)
class FrameMotion:
    """Displacement of the sample in the frames of a scan.

    Parameters
    ----------
    drift_px : (Z, 2) float64, pixels
        Slow displacement (dy, dx), 0 at the first frame.
    vibration_px : float
        Of each axis, rms; 0 where none is significant.
    beside_px : (Z, 2) float64, pixels
        Displacement beside the drift; 0 where there is no vibration.
    agreement : float
        Share of the drift that the parts of the field agree on.
    """

    drift_px: NDArray[np.float64]
    vibration_px: float
    beside_px: NDArray[np.float64]
    agreement: float

    @classmethod
    def none(cls, count: int) -> Self:
        """Return that of `count` frames which show the sample at rest."""
        return cls(np.zeros((count, 2)), 0.0, np.zeros((count, 2)), 1.0)

    @property
    def is_followed(self) -> bool:
        """Whether vibration, if there is any, was followed frame by frame."""
        return self.vibration_px == 0 or bool(self.beside_px.any())

    def steadied(self, stack: ZStack) -> ZStack:
        """Return the stack without what its frames are displaced by beside the drift."""
        if not self.beside_px.any():
            return stack
        return ZStack(_SteadyFrames(stack, self), stack.z_um, stack.pixel_um, stack.metadata)


def frame_motion(stack: ZStack, *, every: int | None = None) -> FrameMotion:
    """Estimate how the sample is displaced in every frame of a stack.

    Parameters
    ----------
    stack : ZStack
    every : int, optional
        Compare every so many frames and interpolate. By default at most 160 frames are compared, and all of
        them where these show vibration.
    """
    count, shape = len(stack), (stack.shape[1], stack.shape[2])
    if min(shape) < MIN_DRIFT_PX:
        return FrameMotion.none(count)
    tracker = RobustDriftTracker(shape)
    drift = estimate_drift(stack, frames_between=every, tracker=tracker)
    vibration = tracker.vibration_px()
    if vibration == 0 or (every or 1) > 1:
        return FrameMotion(drift, vibration, np.zeros_like(drift), tracker.agreement())
    if tracker.count < count:
        tracker = RobustDriftTracker(shape)
        estimate_drift(stack, frames_between=1, tracker=tracker)
        vibration = tracker.vibration_px() or vibration
    path, agreement = tracker.shaken(vibration)
    beside = path.beside_px
    for frame in tracker.repeated:  # so that it stays what it is
        beside[frame] = beside[frame - 1]
    return FrameMotion(path.smooth_px, vibration, beside, agreement)


class _SteadyFrames(FrameSource):
    """Frames of a stack, each without what it is displaced by beside the drift."""

    def __init__(self, stack: ZStack, motion: FrameMotion) -> None:
        self.shape, self.dtype, self.metadata = stack.shape, stack.dtype, stack.metadata
        self._stack, self._motion = stack, motion

    def read(self, k: int) -> Frame:
        dy, dx = self._motion.beside_px[k]
        return steady_frame(self._stack[k], (float(dy), float(dx)))

    def name(self, k: int) -> str:
        return self._stack.frame_name(k)

    def close(self) -> None:
        self._stack.close()
