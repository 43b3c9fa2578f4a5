"""What the rig is doing, and that it does one thing at a time."""

from __future__ import annotations

import threading

from lee.errors import InputError

_RUN = ("starting", "scanning", "waiting", "stopping", "aborting")
_MOVE = ("moving", "sweeping", "halting")


class Doing:
    """The phase that the rig is in, with a message; hold `lock` to change several things at once.

    Attributes
    ----------
    phase, message : str
    halted : threading.Event
        Set where the stage was stopped at once; nothing begins a motion until something else is begun.
    closing : threading.Event
        Set where nothing new may begin.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.phase, self.message = "idle", ""
        self.halted, self.closing = threading.Event(), threading.Event()

    @property
    def running(self) -> bool:
        """Whether a run is in progress, until its last scan is accounted for."""
        return self.phase in _RUN

    @property
    def moving(self) -> bool:
        """Whether the stage moves outside a run, or looks for the sample."""
        return self.phase in _MOVE

    def require_rest(self) -> None:
        """Raise ``InputError`` where something is in progress."""
        if self.running or self.closing.is_set():
            raise InputError("live: a run is in progress; stop it first")
        if self.moving:
            raise InputError("live: the stage moves; wait until it rests, or stop it")

    def begin(self, phase: str) -> None:
        """Begin something; raise ``InputError`` where something else is in progress."""
        with self.lock:
            self.require_rest()
            self.phase, self.message = phase, ""
            self.halted.clear()

    def halt(self) -> bool:
        """Take note that the stage is stopped at once; return whether something was in progress."""
        with self.lock:
            if not (self.running or self.moving):
                return False
            self.phase = "aborting" if self.running else "halting"
            self.halted.set()
            return True

    def end(self, phase: str, message: str) -> None:
        """End what was in progress; the message is brought into one line."""
        with self.lock:
            self.phase, self.message = phase, " ".join(message.split())
