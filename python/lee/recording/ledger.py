"""Frame accounting of one scan: every pulse is a written frame, or a stated loss with its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError

# The period between frames may differ from the plan's by this much and still be taken from the timestamps.
_PERIOD_TOLERANCE = 0.15
# Frames that a camera may take before the first pulse, and what sets a gap apart from a period, in periods.
_MAX_EARLY, _GAP = 4, 0.5
# A frame that follows another sooner, in periods, has no pulse of its own where there are too many: a stage
# that swings back over a place sends its pulse twice.
REBOUND = 0.5


@dataclass(frozen=True)
class Ledger:
    """The ledger of frames of one scan; -1 where a number cannot be known.

    Parameters
    ----------
    pulses_planned : int
    pulses_counted : int
        By the stage; -1 where it cannot count them.
    frames_received : int
        By the application, complete or not.
    frames_incomplete : int
        Of those received, with a part of the image missing.
    lost_frames : int
        Gaps in frame ids: taken by the camera, lost in transfer.
    missed_triggers : int
        Gaps in timestamps that no gap in ids explains: pulses that made no frame.
    dropped : int
        Received and not written by the application.
    frames_written : int
    unplaced : int
        Received, but of no pulse: before the first, more than were planned, or received twice.
    surplus : int
        Of those unplaced, frames too many that follow the others without a gap: it is not known at which end.
    """

    pulses_planned: int
    pulses_counted: int
    frames_received: int
    frames_incomplete: int
    lost_frames: int
    missed_triggers: int
    dropped: int
    frames_written: int
    unplaced: int = 0
    surplus: int = 0

    @property
    def complete(self) -> bool:
        """Whether every pulse is a whole frame that was written, and all counts agree."""
        agree = {self.pulses_planned, self.frames_received, self.frames_written}
        if self.pulses_counted != -1:
            agree.add(self.pulses_counted)
        gaps = (self.frames_incomplete, self.lost_frames, self.missed_triggers, self.dropped, self.unplaced)
        return len(agree) == 1 and not any(gaps)

    @property
    def unexplained(self) -> int:
        """Pulses without a frame and without a known cause; their frames are missing at one of the ends."""
        pulses = self.pulses_planned if self.pulses_counted == -1 else self.pulses_counted
        placed = self.frames_received - self.unplaced
        return max(0, pulses - placed - self.lost_frames - self.missed_triggers)

    def summary(self) -> str:
        """Summarise in one line what is missing."""
        if self.complete:
            return f"complete: {self.frames_written} of {self.pulses_planned} frames"
        faults = [
            f"{count} {what}"
            for count, what in (
                (self.lost_frames, "lost between camera and computer (gap in frame ids)"),
                (self.missed_triggers, "pulses missed by the camera (gap in timestamps)"),
                (self.frames_incomplete, "with a part of the image missing"),
                (self.dropped, "dropped before they were written"),
                (self.unplaced, "belonging to no pulse"),
                (self.unexplained, "missing without a trace, at the beginning or the end"),
            )
            if count
        ]
        doubt = max(self.unexplained, self.surplus)
        if doubt:
            faults.append(
                f"so that heights may be off by {doubt} step{'s' if doubt > 1 else ''}, in scans up and down "
                "to opposite sides"
            )
        if self.pulses_counted not in (-1, self.pulses_planned):
            faults.append(f"the stage sent {self.pulses_counted} pulses")
        unwritten = self.frames_received - self.dropped - self.frames_written
        if unwritten:
            faults.append(f"{unwritten} received and neither written nor known as dropped")
        return f"incomplete: {self.frames_written} of {self.pulses_planned} frames; {', '.join(faults)}"

    def to_json(self) -> dict[str, int]:
        """Return what `from_json` takes."""
        return {**asdict(self), "complete": self.complete}

    @classmethod
    def from_json(cls, held: Mapping[str, int]) -> Ledger:
        """Build from `to_json`; unknown names are ignored."""
        return cls(**{name: int(held[name]) for name in cls.__dataclass_fields__ if name in held})


@dataclass(frozen=True)
class Hole:
    """Pulses without a frame: from ``first_pulse`` on, ``lost`` in transfer and ``missed`` by the camera.

    Where both are above 0, it is not known which of the pulses are which.
    """

    first_pulse: int
    lost: int
    missed: int


@dataclass(frozen=True, eq=False)
class Account:
    """Frames on their pulses: ``pulse`` (N,) int64, -1 for a frame of no pulse; ``holes``; the `Ledger`."""

    ledger: Ledger
    pulse: NDArray[np.int64]
    holes: tuple[Hole, ...] = field(default_factory=tuple)


def account(
    frame_ids: ArrayLike,
    timestamps_s: ArrayLike,
    *,
    pulses_planned: int,
    frames_per_s: float,
    pulses_counted: int = -1,
    complete: ArrayLike | None = None,
    dropped: int = 0,
    frames_written: int | None = None,
    first_id: int = 0,
) -> Account:
    """Assign the frames of a scan to its pulses, and account for the missing ones.

    A gap in ids is a frame lost in transfer; a gap of more than 1.5 periods in the timestamps that ids do not
    explain is a pulse the camera missed. Pulses missed before the first frame leave no gap:
    `Ledger.unexplained` counts them.

    Parameters
    ----------
    frame_ids : (N,) int
        Of all frames received, in order of arrival, widened (`lee.devices.protocols.widened_ids`).
    timestamps_s : (N,) float, s
        When exposures began, by the camera's clock; NaN where not known.
    pulses_planned : int
    frames_per_s : float
        Pulses per second as planned. Where the rate of the frames themselves is within 15 % of it, or of a
        whole fraction of it, theirs counts.
    pulses_counted : int
        By the stage, -1 unknown.
    complete : (N,) bool, optional
        False where a part of the image is missing.
    dropped : int
        Frames received and not written by the application.
    frames_written : int, optional
        All that were received and not dropped, by default.
    first_id : int
        Id that the camera gives the first frame of a scan.
    """
    ids = np.asarray(frame_ids, dtype=np.int64)
    times = np.asarray(timestamps_s, dtype=np.float64)
    if ids.ndim != 1 or times.shape != ids.shape:
        raise InputError(
            f"ledger: {ids.size} frame ids and {times.size} timestamps; give one of each a frame"
        )
    if not (np.isfinite(frames_per_s) and frames_per_s > 0):
        raise InputError(f"ledger: frames_per_s is {frames_per_s}; give a number above 0")
    whole = np.ones(len(ids), dtype=bool) if complete is None else np.asarray(complete, dtype=bool)
    pulse, holes, surplus = _placed(ids, times, pulses_planned, 1 / frames_per_s, first_id)
    ledger = Ledger(
        pulses_planned=pulses_planned,
        pulses_counted=pulses_counted,
        frames_received=len(ids),
        frames_incomplete=int(np.count_nonzero(~whole)),
        lost_frames=sum(hole.lost for hole in holes),
        missed_triggers=sum(hole.missed for hole in holes),
        dropped=dropped,
        frames_written=len(ids) - dropped if frames_written is None else frames_written,
        unplaced=int(np.count_nonzero(pulse < 0)),
        surplus=surplus,
    )
    return Account(ledger, pulse, holes)


def _placed(
    ids: NDArray[np.int64], times: NDArray[np.float64], planned: int, period_s: float, first_id: int
) -> tuple[NDArray[np.int64], tuple[Hole, ...], int]:
    """Return the pulse of each frame, the holes, and how many frames are too many at an unknown end.

    Frames before the first pulse are told by a gap behind them, and those of a rebound by following too soon:
    the others then fit the pulses exactly.
    """
    if len(ids) == 0:
        return ids, (), 0
    back = np.flatnonzero(np.diff(ids[: _MAX_EARLY + 1]) < -_MAX_EARLY)
    if len(back):  # buffers of the acquisition before, with ids of then
        old = int(back[-1]) + 1
        pulse, holes, surplus = _placed(ids[old:], times[old:], planned, period_s, first_id)
        return np.concatenate([np.full(old, -1), pulse]), holes, surplus
    pulse, holes = _in_turn(ids, times, planned, period_s, first_id)
    last = int(pulse.max())
    if last < planned:
        return pulse, holes, 0
    for early in range(1, min(_MAX_EARLY, len(ids) - 2) + 1):
        gap = (times[early] - times[early - 1]) / period_s
        if not abs(gap - 1) >= _GAP:  # nor where times are not known
            continue
        rest, found = _in_turn(ids[early:], times[early:], planned, period_s, int(ids[early]))
        if int(rest.max()) == planned - 1:
            return np.concatenate([np.full(early, -1), rest]), found, 0
    own = np.diff(times, prepend=-np.inf) / period_s >= REBOUND
    if not own.all():
        rest, found = _in_turn(ids[own] - np.cumsum(~own)[own], times[own], planned, period_s, first_id)
        if int(rest.max()) == planned - 1:
            placed = np.full(len(ids), -1, dtype=np.int64)
            placed[own] = rest
            return placed, found, 0
    over = pulse >= planned
    first = int(np.flatnonzero(over)[0])
    even = first > 0 and not abs((times[first] - times[first - 1]) / period_s - 1) >= _GAP
    return np.where(over, -1, pulse), holes, int(np.count_nonzero(over)) if even else 0


def _in_turn(
    ids: NDArray[np.int64], times: NDArray[np.float64], planned: int, period_s: float, first_id: int
) -> tuple[NDArray[np.int64], tuple[Hole, ...]]:
    """Count pulses from the first frame on, beyond those planned where there are more.

    A frame whose id does not go on is an old one again, with the time of then: no other is measured by it.
    """
    goes_on = np.concatenate([[True], ids[1:] > np.maximum.accumulate(ids)[:-1]])
    if not goes_on.all():
        rest, found = _in_turn(ids[goes_on], times[goes_on], planned, period_s, first_id)
        placed = np.full(len(ids), -1, dtype=np.int64)
        placed[goes_on] = rest
        return placed, found
    id_steps, time_steps = np.diff(ids), np.diff(times)
    periods = time_steps / _own_period(id_steps, time_steps, period_s)
    # Where the clock stands still or gives no time, the ids decide.
    pulses = np.rint(np.clip(np.where(np.isfinite(periods), periods, 0), 0, planned)).astype(np.int64)
    steps = np.maximum(id_steps, pulses)
    lost_first = max(0, int(ids[0]) - first_id)
    pulse = lost_first + np.concatenate([[0], np.cumsum(steps)])
    holes = [Hole(0, lost_first, 0)] if lost_first else []
    for k in np.flatnonzero(steps > 1):
        lost = int(id_steps[k]) - 1
        before = lost_first + int(steps[:k].sum())
        if before + steps[k] < planned:
            holes.append(Hole(before + 1, lost, int(steps[k]) - 1 - lost))
    return pulse, tuple(holes)


def _own_period(id_steps: NDArray[np.int64], time_steps: NDArray[np.float64], period_s: float) -> float:
    """Period of the pulses by the camera's clock: with a stage slower than planned, none must seem missed."""
    fair = np.isfinite(time_steps) & (time_steps > 0) & (id_steps > 0)
    if not fair.any():
        return period_s
    ratio = float(np.median(time_steps[fair] / id_steps[fair])) / period_s
    multiple = max(1, round(ratio))
    own = ratio / multiple
    return period_s * own if abs(own - 1) <= _PERIOD_TOLERANCE else period_s
