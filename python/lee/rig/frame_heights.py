"""Which frames belong to a scan, and the height of each, known from position triggers.

A camera that the stage triggers needs the scan's plan alone. One that runs freely gets its heights from
timestamps, see `lee.rig.timestamp_heights`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import CameraFrame
from lee.devices.scan_plan import ScanPlan
from lee.recording.ledger import REBOUND, Ledger, account

# The last rows of a frame that are looked at: one in so many.
_ROWS_SHARE = 20


@dataclass(frozen=True)
class Synchronisation:
    """How the heights of a scan's frames are known.

    Parameters
    ----------
    method : {"position trigger", "timestamps", "none"}
        The stage's pulses; times of frames and stage positions; or the planned speed alone, if neither could
        be used.
    why : str
        The reason for method "none".
    z_sigma_um : float, µm
        Standard deviation of one frame's height against the others of its scan, from the residuals of the
        stage's positions about a straight line. 0 with triggers, since the stage counts them itself; -1 if
        it is not known.
    z_offset_sigma_um : float, µm
        Standard deviation of an offset that all frames of the scan share: when exactly the camera exposes,
        and when a reported position was true, is known only so well.
    """

    method: str
    why: str = ""
    z_sigma_um: float = 0.0
    z_offset_sigma_um: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return asdict(self)

    def summary(self) -> str:
        """Return one line; empty if the heights come from triggers."""
        if self.method == "position trigger":
            return ""
        if self.method == "none":
            return f"UNSYNCHRONISED: {self.why}"
        return (
            f"heights from timestamps: ±{self.z_sigma_um:.2g} µm for a frame, "
            f"±{self.z_offset_sigma_um:.2g} µm common to all"
        )


class FrameAccount(NamedTuple):
    """The frames of a finished scan: the ledger, heights of those written, and how these are known."""

    ledger: Ledger
    z_um: NDArray[np.float64]
    synchronisation: Synchronisation
    stretch: float = 1.0
    shift_um: float = 0.0
    """True heights are ``shift_um + stretch * z``, where z was estimated while frames arrived."""


class FrameHeights(Protocol):
    """Estimates the heights of frames while they arrive, and accounts for all of them at the end."""

    def __call__(self, frame: CameraFrame) -> float | None:
        """Return the height estimated so far, µm; NaN if not known, None if it is no frame of the scan."""

    def seen(self) -> int:
        """Return how many frames of the scan have arrived."""

    def finish(self, *, pulses: int, written: int) -> FrameAccount:
        """Account for all frames: `pulses` counted by the stage (-1 unknown), `written` frames on disk."""


class FrameLog:
    """Id, timestamp and completeness of every frame of a scan."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.times: list[float] = []
        self.complete: list[bool] = []

    def keep(self, frame: CameraFrame) -> None:
        """Add a frame."""
        self.ids.append(frame.frame_id)
        self.times.append(frame.timestamp_s)
        self.complete.append(frame.complete)

    def ledger(
        self, frames_per_s: float, written: int, *, planned: int, pulses: int = -1, first_id: int = 0
    ) -> tuple[Ledger, NDArray[np.int64]]:
        """Return the ledger and the pulse of every frame, -1 for none; see `lee.recording.ledger.account`."""
        found = account(
            np.array(self.ids, dtype=np.int64) - first_id,
            np.array(self.times, dtype=np.float64),
            pulses_planned=planned,
            frames_per_s=frames_per_s,
            pulses_counted=pulses,
            complete=np.array(self.complete, dtype=np.bool_),
            dropped=len(self.ids) - written,
            frames_written=written,
        )
        return found.ledger, found.pulse


class BlackRows:
    """Finds frames whose last rows are black though the camera calls them complete.

    Rows that were not received stay 0. A scene that is black there was so in the frame before, too.
    """

    def __init__(self) -> None:
        self._were_black = True

    def __call__(self, frame: CameraFrame) -> CameraFrame:
        """Return the frame, marked as incomplete where it is."""
        if not frame.complete:
            return frame
        rows = max(len(frame.image) // _ROWS_SHARE, 1)
        black = not frame.image[-rows:].any() and bool(frame.image[:rows].any())
        if black and not self._were_black:
            return replace(frame, complete=False)
        self._were_black = black
        return frame


class TriggerHeights:
    """Heights of frames that the stage's pulses triggered."""

    def __init__(self, plan: ScanPlan) -> None:
        self._plan, self._frames = plan, FrameLog()
        self._pulse, self._id, self._time_s = -1, -1, np.nan
        self._estimated: list[int] = []

    def __call__(self, frame: CameraFrame) -> float | None:
        """Count pulses: a gap in ids is lost frames, a gap in time alone is pulses that the camera missed."""
        self._frames.keep(frame)
        step = frame.frame_id - self._id
        if self._id >= 0 and step == 1 and np.isfinite(self._time_s) and np.isfinite(frame.timestamp_s):
            periods = (frame.timestamp_s - self._time_s) * self._plan.frames_per_s
            if 0 < periods < REBOUND:
                self._id = frame.frame_id
                self._estimated.append(self._pulse)
                return float("nan")
            step = max(step, round(periods))
        self._id, self._time_s = frame.frame_id, frame.timestamp_s
        self._pulse += step
        self._estimated.append(self._pulse)
        if step < 1 or self._pulse >= self._plan.pulses:
            return float("nan")
        return float(self._plan.z_um[self._pulse])

    def seen(self) -> int:
        """Return how many frames of the scan have arrived."""
        return len(self._frames.ids)

    def finish(self, *, pulses: int, written: int) -> FrameAccount:
        """Account for all frames; see `FrameHeights.finish`."""
        plan = self._plan
        ledger, pulse = self._frames.ledger(plan.frames_per_s, written, planned=plan.pulses, pulses=pulses)
        placed = pulse[:written]
        z_um = np.where(placed >= 0, plan.z_um[np.clip(placed, 0, plan.pulses - 1)], np.nan)
        # Where frames came before the first pulse, all others were taken to be of a later one meanwhile.
        known = pulse >= 0
        off = np.median(pulse[known] - np.array(self._estimated)[known]) if known.any() else 0.0
        shift_um = float(off) * plan.step_counts / plan.counts_per_um
        return FrameAccount(ledger, z_um, Synchronisation("position trigger"), shift_um=shift_um)
