"""The one loop over time steps: through the times that are asked for, until the last or a stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lee.twin.results.solution import Balance


class StoppedEarly(Exception):  # noqa: N818  no misuse: what was reached stands
    """No later time can be reached; the last good state stands."""

    def __init__(self, message: str, time_s: float) -> None:
        super().__init__(message)
        self.time_s = time_s


class Transient(Protocol):
    """A solution that advances in time: over a surface at rest, a growing one, or on several ranks."""

    @property
    def time_s(self) -> float:
        """Time of the last good state."""
        ...

    def step(self, until_s: float) -> Balance:
        """Make one time step, at most to a time.

        Raises
        ------
        StoppedEarly
            If none can be made.
        """
        ...

    def record(self, more: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        """Record the last good state; with `more` where it can be resumed."""
        ...

    def stop(self, cause: StoppedEarly) -> None:
        """Record why it ended, and the last good state if it is not recorded yet."""
        ...


def advance(
    transient: Transient, times_s: Sequence[float], progress: Callable[[Balance], object] | None
) -> None:
    """Step through all times, and record the state at each.

    Parameters
    ----------
    transient : Transient
    times_s : sequence of float
        Rising.
    progress : callable or None
        Takes the balance of each step.
    """
    try:
        for moment in times_s:
            while transient.time_s < moment:
                balance = transient.step(moment)
                if progress:
                    progress(balance)
            transient.record()
    except StoppedEarly as cause:
        transient.stop(cause)
