"""Whether a camera still answers: it is asked again and again while it takes frames.

A camera that waits for pulses and one that is lost are both silent, so silence alone proves nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lee.devices.faults import DeviceLost

LOST_AFTER_S = 4.0
# How often it is asked, and how long it may take to answer: over a network Aravis asks six times, 0.5 s each.
_ASK_S, ANSWER_S = 0.5, 3.0
SILENT = "camera: it does not answer; check its cable and open it again"


class Watchdog:
    """Asks a camera, in a thread of its own, and keeps why the camera is lost.

    Parameters
    ----------
    ask : callable
        Asks the camera, and may block; returns why it is lost, "" where it answers, None where it is lost for
        no known reason.
    """

    def __init__(self, ask: Callable[[], str | None]) -> None:
        self._ask = ask
        self._asked_s: float | None = None
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = ""

    @property
    def lost(self) -> bool:
        """Whether the camera is known as lost."""
        return bool(self._lost)

    def lose(self, reason: str) -> None:
        """Keep why the camera is lost."""
        self._lost = reason

    def overdue(self) -> bool:
        """Whether an answer has been awaited for too long."""
        asked_s = self._asked_s
        return asked_s is not None and time.monotonic() - asked_s > ANSWER_S

    def check(self) -> None:
        """Raise ``DeviceLost`` where the camera is lost, or has not answered for too long."""
        if not self._lost and self.overdue():
            self._lost = SILENT
        if self._lost:
            raise DeviceLost(self._lost)

    def start(self) -> None:
        """Begin to ask."""
        self._enough = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._enough,), name="camera answers", daemon=True
        )
        self._thread.start()

    def rest(self) -> None:
        """Ask no more; an answer may still be awaited."""
        self._enough.set()

    def end(self) -> None:
        """Ask no more, and wait until the last answer came."""
        self._enough.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _run(self, enough: threading.Event) -> None:
        while not enough.wait(_ASK_S):
            self._asked_s = time.monotonic()
            reason = self._ask()
            self._asked_s = None
            if reason is None or reason:
                self._lost = reason or SILENT
                return
        self._asked_s = None
