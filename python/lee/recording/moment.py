"""When a scan began: by the computer's clock, which people and networks set, and by one that nobody sets."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

# Disagreement of the two clocks that means that one was set, s, and as a share of the time between.
_SET_S, _SET_SHARE = 0.5, 1e-3
# Linux counts on while the computer sleeps, over programs, and names the boot since when it counts.
_SINCE_BOOT: Any = getattr(time, "CLOCK_BOOTTIME", None)
_READ: Any = getattr(time, "clock_gettime", None)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Moment(NamedTuple):
    """A moment on both clocks; ``session`` names since when ``monotonic_s`` counts, "" where not known."""

    wall: datetime
    monotonic_s: float | None = None
    session: str = ""

    def since(self, before: Moment) -> float:
        """Return the seconds from another moment to this: by the monotonic clock within one session."""
        steady = self._steady_since(before)
        return self._wall_since(before) if steady is None else steady

    def clock_set_by(self, before: Moment) -> float:
        """Return by how much the computer's clock was set since another moment, s; 0 where not known."""
        steady = self._steady_since(before)
        if steady is None:
            return 0.0
        moved = self._wall_since(before) - steady
        return moved if abs(moved) > max(_SET_S, _SET_SHARE * abs(steady)) else 0.0

    def _wall_since(self, before: Moment) -> float:
        return (self.wall - before.wall).total_seconds()

    def _steady_since(self, before: Moment) -> float | None:
        if self.monotonic_s is None or before.monotonic_s is None or self.session != before.session:
            return None
        return self.monotonic_s - before.monotonic_s


def now() -> Moment:
    """Return this moment."""
    steady = time.monotonic() if _SINCE_BOOT is None else float(_READ(_SINCE_BOOT))
    return Moment(wall_clock(), steady, _SESSION)


def wall_clock() -> datetime:
    """Return the time by the computer's clock."""
    return datetime.now(UTC)


def seconds_from_first(moments: Sequence[Moment]) -> list[float]:
    """Return the time of every moment after the first, s."""
    times = [0.0]
    for before, after in pairwise(moments):
        times.append(times[-1] + after.since(before))
    return times


def _session() -> str:
    if _SINCE_BOOT is not None:
        with suppress(OSError):
            return f"boot {_BOOT.read_text(encoding='utf-8').strip()}"
    return f"program {uuid.uuid4()}"


_SESSION = _session()
