"""A clock that runs only while someone sleeps on it, so that a scan of minutes is tested in moments."""

import threading


class SimulatedClock:
    """Time that stands still but for `sleep`; a call tells it, in s.

    It is safe in several threads, but their sleeps add up.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Tell the time, s."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        with self._lock:
            self._now_s += max(seconds, 0.0)
