"""A clock that advances only by `sleep`, so that a scan of minutes is tested in moments."""

import threading


class SimulatedClock:
    """Time that advances only by `sleep`; a call returns it, in s.

    It is safe in several threads, but their sleeps add up.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time, s."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        with self._lock:
            self._now_s += max(seconds, 0.0)
