"""How every frame of a scan shows the sample displaced and magnified: drift, vibration, focus breathing.

Drift is compensated where frames are averaged. Vibration and magnification differ from frame to frame, so
that every frame has to be resampled by itself; this is done only where they are significant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.motion.breathing import magnification_of_frames
from lee.reconstruction.motion.drift import estimate_drift
from lee.reconstruction.motion.robust_drift import RobustDriftTracker
from lee.reconstruction.motion.subpixel_shift import steady_frame
from lee.reconstruction.parameters import MIN_DRIFT_PX
from lee.stacks.reader import FrameSource
from lee.stacks.stack import ZStack

if TYPE_CHECKING:
    from lee.stacks.grey import Frame

# The steps of a scan of so few frames may enlarge more than a comparison for the drift can follow.
_FEW_FRAMES = 24
# Reach of a pixel's finest window and detail; less beyond an edge than the second costs nothing.
_EDGE_PX = 4
_MIN_BEYOND_PX = 0.5
# A smaller displacement is not worth resampling for.
_MIN_SHIFT_PX = 0.02


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
    magnification : (Z,) float64, optional
        Against the first frame; None where no change is significant.
    """

    drift_px: NDArray[np.float64]
    vibration_px: float
    beside_px: NDArray[np.float64]
    agreement: float
    magnification: NDArray[np.float64] | None = None

    @classmethod
    def none(cls, count: int) -> Self:
        """Return that of `count` frames which show the sample at rest."""
        return cls(np.zeros((count, 2)), 0.0, np.zeros((count, 2)), 1.0)

    @property
    def is_followed(self) -> bool:
        """Whether vibration, if there is any, was followed frame by frame."""
        return self.vibration_px == 0 or bool(self.beside_px.any())

    def steadied(self, stack: ZStack) -> ZStack:
        """Return the stack, each frame without its magnification and its displacement beside the drift."""
        if self.magnification is None and not self.beside_px.any():
            return stack
        return ZStack(_SteadyFrames(stack, self), stack.z_um, stack.pixel_um, stack.metadata)

    def at_rest(self, image: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        """Return an image of frame k, (H, W), without all its displacement and magnification."""
        magnification = 1.0 if self.magnification is None else float(self.magnification[k])
        dy, dx = magnification * (self.beside_px[k] + self.drift_px[k])
        if magnification == 1 and max(abs(dy), abs(dx)) < _MIN_SHIFT_PX:
            return image
        return steady_frame(image, (float(dy), float(dx)), magnification)

    def beyond_the_frame(
        self, height_um: NDArray[np.float32], z_um: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return which pixels (H, W) were enlarged beyond the frame when their height was in focus.

        Parameters
        ----------
        height_um : (H, W) float32, µm
            NaN where not known; nothing is told of it there.
        z_um : (Z,) float64, µm
            Height of every frame of the scan.
        """
        beyond = np.zeros(height_um.shape, bool)
        if self.magnification is None:
            return beyond
        order = np.argsort(z_um)
        magnification = np.interp(height_um, z_um[order], self.magnification[order])
        for axis, size in enumerate(height_um.shape):
            apart = np.abs(np.arange(size) - (size - 1) / 2)
            farthest = (size - 1) / 2 - _EDGE_PX
            # Those at the very edge of every frame are measured as anywhere.
            limit = np.maximum(apart, farthest) + _MIN_BEYOND_PX
            along = (slice(None), None) if axis == 0 else (None, slice(None))
            beyond |= magnification * apart[along] > limit[along]
        return beyond


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
    magnification = None
    if count <= _FEW_FRAMES or tracker.shows_breathing():
        magnification = magnification_of_frames(stack)
    if magnification is not None:
        if tracker.count == count:
            for frame in tracker.repeated:  # so that it stays what it is
                magnification[frame] = magnification[frame - 1]
        stack = replace(FrameMotion.none(count), magnification=magnification).steadied(stack)
        tracker = RobustDriftTracker(shape)
        drift = estimate_drift(stack, frames_between=every, tracker=tracker)
    vibration = tracker.vibration_px()
    if vibration == 0 or (every or 1) > 1:
        nothing = np.zeros_like(drift)
        return FrameMotion(drift, vibration, nothing, tracker.agreement(), magnification)
    if tracker.count < count:
        tracker = RobustDriftTracker(shape)
        estimate_drift(stack, frames_between=1, tracker=tracker)
        vibration = tracker.vibration_px() or vibration
    path, agreement = tracker.shaken(vibration)
    beside = path.beside_px
    for frame in tracker.repeated:
        beside[frame] = beside[frame - 1]
    return FrameMotion(path.smooth_px, vibration, beside, agreement, magnification)


class _SteadyFrames(FrameSource):
    """Frames of a stack, each without its magnification and its displacement beside the drift."""

    def __init__(self, stack: ZStack, motion: FrameMotion) -> None:
        self.shape, self.dtype, self.metadata = stack.shape, stack.dtype, stack.metadata
        self._stack, self._motion = stack, motion

    def read(self, k: int) -> Frame:
        motion = self._motion
        magnification = 1.0 if motion.magnification is None else float(motion.magnification[k])
        # Where the sample is not magnified, it is displaced by so much less.
        dy, dx = magnification * motion.beside_px[k]
        return steady_frame(self._stack[k], (float(dy), float(dx)), magnification)

    def name(self, k: int) -> str:
        return self._stack.frame_name(k)

    def close(self) -> None:
        self._stack.close()
