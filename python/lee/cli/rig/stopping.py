"""What ends a command at the rig: signals, a lost terminal, a closed output, the end of its parent."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from lee.errors import LeeError, RigFault

if TYPE_CHECKING:
    from lee.devices.protocols import Stage

# Seconds between two looks; between two stops sent to a stage that may begin to move at this very moment.
_LOOK_S = 0.05
# How long a stage may take to come to rest.
_REST_S = 1.0
# Windows has no poll.
_POLL: Any = getattr(select, "poll", None)
_GONE: int = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)
_SIGNALS = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "the terminal was lost (SIGHUP)"}


class StopRequests:
    """Counts the requests to stop while a block lasts; none of them interrupts what is being written.

    Outside `halting` and `counted` the first raises ``KeyboardInterrupt``: nothing moves then. A program that
    ignores SIGHUP from its start (``nohup``) outlives its terminal, its output and its parent.
    """

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""
        self._counting = self._alone = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._ended = threading.Event()

    def __enter__(self) -> StopRequests:
        """Begin to count."""
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number is None:
                    continue
                if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                    self._alone = True
                    continue
                self._before[number] = signal.signal(number, self._signalled)
        threading.Thread(target=self._watch, name="lee-stop-requests", daemon=True).start()
        return self

    def __exit__(self, *reason: object) -> None:
        """Count no more; where there was a request, the program ends now, undisturbed by further ones."""
        self._ended.set()
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.count else before)

    def asked(self) -> bool:
        """Whether there was a request."""
        return self.count > 0

    def asked_again(self) -> bool:
        """Whether there was more than one."""
        return self.count > 1

    def say(self, line: str) -> None:
        """Print a line; an output that was closed is a request to stop."""
        try:
            click.echo(line)
        except OSError:
            self._leave("its output was closed")

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count signals instead of raising while the block lasts."""
        self._counting = True
        try:
            yield
        finally:
            self._counting = False

    @contextmanager
    def halting(self, stage: Stage) -> Iterator[threading.Event]:
        """Stop the stage at once, and set the event, on the first request.

        Raises
        ------
        RigFault
            At the end of the block, if there was a request: by what, and where the stage stands.
        """
        halted, over = threading.Event(), threading.Event()

        def hold() -> None:
            while not over.wait(_LOOK_S):
                if self.count:
                    halted.set()
                    with suppress(LeeError):
                        stage.stop()

        holder = threading.Thread(target=hold, name="lee-stop", daemon=True)
        holder.start()
        fault: LeeError | None = None
        try:
            with self.counted():
                yield halted
        except LeeError as error:
            if not self.count:
                raise
            fault = error
        finally:
            over.set()
            holder.join()
        if self.count:
            raise RigFault(f"{self.reason}: {_where(stage)}") from fault

    def _signalled(self, number: int, _: FrameType | None) -> None:
        # Runs between any two steps of the main thread, so that it may take no lock.
        name = signal.Signals(number).name
        if name == "SIGHUP" and self.count:  # a lost terminal shows in several ways
            return
        self.reason = self.reason or _SIGNALS[name]
        self.count += 1
        if self.count == 1 and not self._counting:
            raise KeyboardInterrupt

    def _watch(self) -> None:
        parent, left = os.getppid(), False
        while not left and not self._ended.wait(5 * _LOOK_S):
            if self._alone:
                return
            if parent != 1 and os.getppid() != parent:
                left = self._leave("the program that started it has ended")
            elif _output_closed():
                left = self._leave("its output was closed")

    def _leave(self, reason: str) -> bool:
        """Take note that nobody is there any more."""
        if self.count == 0:
            self.reason, self.count = reason, 1
        if _output_closed():  # what is still printed goes nowhere, without an error
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
        return True


def _output_closed() -> bool:
    """Whether nobody can read what is printed."""
    if _POLL is None:
        return False
    try:
        watched = _POLL()
        watched.register(sys.stdout.fileno(), 0)
        return any(state & _GONE for _, state in watched.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


def _where(stage: Stage) -> str:
    try:
        deadline = time.monotonic() + _REST_S
        while (status := stage.status()).moving and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
    except LeeError as error:
        return f"the stage was told to stop and does not answer, look where it is ({error})"
    here = f"{status.position_counts / stage.counts_per_um:.2f} µm"
    return f"the stage still moves, at {here}; look at it" if status.moving else f"the stage stands at {here}"
