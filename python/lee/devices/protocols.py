"""The protocols of a camera and of a stage, which drivers and the virtual rig implement alike.

Every call that waits has a deadline, and raises a fault of `lee.devices.faults` when it passes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.devices.scan_plan import ScanPlan
from lee.errors import RigFault

# Grey values as a camera gives them, in counts.
Counts: TypeAlias = NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class Identity:
    """Vendor, model and serial number of a device, as it reports them."""

    vendor: str
    model: str
    serial: str
    firmware: str = ""


@dataclass(frozen=True)
class CameraSettings:
    """Settings of a camera.

    ``exposure_s`` of a frame; ``region`` (top, left, height, width) px, None for the whole sensor;
    ``pixel_format`` Mono8, Mono10, Mono12 or Mono16; ``triggered`` by the stage's pulses, else free-running
    at ``frames_per_s``; ``buffers`` frames the driver may hold; without ``gain_db`` the gain
    stays as it is.
    """

    exposure_s: float
    pixel_format: str = "Mono8"
    region: tuple[int, int, int, int] | None = None
    triggered: bool = True
    frames_per_s: float = 80.0
    buffers: int = 64
    gain_db: float | None = None

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """Of an image in the pixel format."""
        return np.dtype(np.uint8) if self.pixel_format == "Mono8" else np.dtype(np.uint16)


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """A frame as the camera delivered it.

    ``image`` (H, W) uint8 or uint16, the caller's own; ``frame_id`` counted by the camera from 0, widened
    beyond its own bits; ``timestamp_s`` when exposure began, by the camera's clock; ``complete`` False where
    a part of the image is missing.
    """

    image: Counts
    frame_id: int
    timestamp_s: float
    complete: bool = True


class Camera(Protocol):
    """A camera; frames come oldest first."""

    @property
    def identity(self) -> Identity:
        """As the device reports it."""

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Set it up; return the settings that it applied, read back from it; their region is never None.

        Raises ``InputError`` for what it cannot do, ``DeviceLost`` where it does not answer.
        """

    def start(self) -> None:
        """Begin to take frames, or to wait for pulses; frame ids begin anew."""

    def next_frame(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the oldest frame not yet read; None where none came in time.

        Raises ``DeviceLost``, or ``Backpressure`` where the camera had no buffer for a frame.
        """

    def stop(self) -> None:
        """Take no more frames; those that arrived can still be had."""

    def close(self) -> None:
        """Release the device; harmless when repeated."""


@dataclass(frozen=True)
class StageStatus:
    """Position and state of a stage, and ``age_s``, how long ago it reported them."""

    position_counts: int
    moving: bool
    homed: bool
    age_s: float


@dataclass(frozen=True)
class Reference:
    """How a stage's counter is known to be true.

    ``source`` "homed", or "operator" who stated ``stated_um`` where the counter showed ``counter_um``;
    ``counter_set`` whether the counter was set to it.
    """

    source: str
    stated_um: float | None = None
    counter_um: float | None = None
    counter_set: bool = False


class Stage(Protocol):
    """A stage along the optical axis, in its own counts; it rises toward the objective."""

    @property
    def identity(self) -> Identity:
        """As the device reports it."""

    @property
    def counts_per_um(self) -> float:
        """Scale, from its calibration."""

    @property
    def limits_counts(self) -> tuple[int, int]:
        """The lowest and the highest position to which it may be sent."""

    @property
    def can_trigger(self) -> bool:
        """Whether it sends a pulse at every step of a plan by itself."""

    def status(self, timeout_s: float = 1.0) -> StageStatus:
        """Return where it is now.

        Raises ``DeviceLost`` where no status younger than the timeout can be had.
        """

    def last_status(self) -> StageStatus:
        """Return at once the last status that it reported, however old.

        Raises ``DeviceLost`` where it has reported none for longer than its watchdog allows.
        """

    @property
    def reference(self) -> Reference | None:
        """How its counter is known to be true; None where it may be wrong, and nothing moves."""

    def confirm_reference(self, counts: int) -> Reference:
        """Take the operator's word for where it stands; nothing moves.

        A counter that was just switched on shows 0 and is set to `counts`. Raises ``InputError`` where it
        shows something else, or the stage moves.
        """

    def home(self, *, consent: bool, timeout_s: float = 120.0) -> None:
        """Drive to the reference; refused without consent, since an objective may be in the way.

        Raises ``InputError`` without consent, ``StageStalled`` where it does not arrive.
        """

    def move_to(self, counts: int, *, timeout_s: float = 30.0) -> None:
        """Move and wait until it rests there; it arrives rising, so that backlash is always taken out alike.

        It arrives from below over at least twice its assumed backlash, and goes down that far first where it
        comes from above. Where the lowest limit leaves less room, it arrives from the limit; at the limit
        itself, straight down. Raises ``InputError`` beyond its limits, ``ReferenceUnknown`` where its counter
        may be wrong, ``StageStalled`` or ``DeviceLost``.
        """

    def begin_scan(self, plan: ScanPlan) -> None:
        """Set speed and pulses and start from ``plan.start_counts``; returns as soon as it moves.

        Where the stage is not there, or came from the other side, it goes there first, from the scan's side.
        Raises ``InputError`` for a plan it cannot do, and the faults of `move_to`.
        """

    def end_scan(self, *, timeout_s: float) -> int:
        """Wait until the scan's end is reached; return the pulses sent, -1 where the stage cannot count them.

        Raises ``StageStalled`` or ``DeviceLost``; the stage is then stopped.
        """

    def stop(self) -> None:
        """Stop at once, whatever it is doing."""

    def close(self) -> None:
        """Release the device; harmless when repeated."""


@dataclass(frozen=True, eq=False)
class Rig:
    """A camera and a stage that belong together."""

    camera: Camera
    stage: Stage

    def __enter__(self) -> Rig:
        """Return self; both are released at the end of the block."""
        return self

    def __exit__(self, *reason: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop the stage, then release both."""
        # One that does not answer cannot be stopped, and is released all the same.
        with suppress(RigFault):
            self.stage.stop()
        self.stage.close()
        self.camera.close()


def widened_ids(raw: ArrayLike, bits: int, *, lowest: int = 0) -> NDArray[np.int64]:
    """Continue frame ids that wrap around, so that they rise without end.

    Parameters
    ----------
    raw : (N,) int
        As the camera gives them, in order of arrival; gaps must be shorter than half the range.
    bits : int
        Of the camera's counter.
    lowest : int
        The id that follows the highest: 0, or 1 for cameras that use 0 for "no id".
    """
    ids = np.asarray(raw, dtype=np.int64)
    if len(ids) == 0:
        return ids
    period = 2**bits - lowest
    steps = np.diff(ids) % period
    return np.asarray(np.concatenate([[0], np.cumsum(steps)]) + ids[0], dtype=np.int64)
