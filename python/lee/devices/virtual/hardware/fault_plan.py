"""Faults that the virtual rig simulates, and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lee.errors import InputError

EARLY_S, BOUNCE_S = 0.1, 0.004


@dataclass(frozen=True)
class At:
    """A moment: right at a pulse, or a time after the rig was made.

    Pulses are counted from 0 over all scans since the rig was made, whether or not a camera received them.
    """

    pulse: int | None = None
    time_s: float | None = None

    def __post_init__(self) -> None:
        if (self.pulse is None) == (self.time_s is None):
            raise InputError("fault: give its moment as a pulse or as a time_s, one of the two")


@dataclass(frozen=True)
class Faults:
    """Faults to simulate.

    Parameters
    ----------
    lost_frames : collection of int
        Pulses whose frame is lost in transfer: a gap in the frame ids.
    incomplete_frames : collection of int
        Pulses whose frame arrives without its last rows.
    missed_triggers : collection of int
        Pulses that never reach the camera: fewer frames than pulses, no gap in the ids.
    early_frames : collection of int
        Pulses before which a frame comes that no pulse made, `EARLY_S` before.
    late_frames : collection of int
        Pulses after which one comes, as much later.
    bounces : collection of int
        Pulses that are sent a second time, `BOUNCE_S` later, since the carriage swings back over their place.
    stale_frames : collection of int
        Pulses whose frame never comes: in its place the buffer of the second last frame is delivered again.
    black_frames : collection of int
        Pulses whose frame lacks its last rows, which are black, though the camera calls it complete.
    unplug_camera, unplug_stage : At, optional
        From then on the device does not answer. A stage still completes its motion and sends its pulses.
    stall : At, optional
        From then on the stage's motor does not turn, until `VirtualStage.free`.
    lost_completions : int
        Number of messages "move completed" that never arrive.
    camera_offset_s, camera_ppm : float
        Offset of the camera's clock, and how much faster it runs.
    slow_camera_s : float
        How much longer the camera is busy with every frame.
    """

    lost_frames: Collection[int] = ()
    incomplete_frames: Collection[int] = ()
    missed_triggers: Collection[int] = ()
    early_frames: Collection[int] = ()
    late_frames: Collection[int] = ()
    bounces: Collection[int] = ()
    stale_frames: Collection[int] = ()
    black_frames: Collection[int] = ()
    unplug_camera: At | None = None
    unplug_stage: At | None = None
    stall: At | None = None
    lost_completions: int = 0
    camera_offset_s: float = 0.0
    camera_ppm: float = 0.0
    slow_camera_s: float = 0.0
