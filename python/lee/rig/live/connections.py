"""Connections at a time, and guesses of the token: whoever comes is let in, whoever only waits has to go."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# In all and from one address: a browser opens up to six.
MAX_CONNECTIONS, MAX_PER_ADDRESS = 96, 24
# Wrong tokens from one address within so many seconds; addresses that are remembered.
MAX_GUESSES, GUESSES_OVER_S, _MAX_ADDRESSES = 10, 60.0, 1000


@dataclass
class _Connection:
    socket: socket.socket
    address: str
    permitted: bool = False
    controls: bool = False
    number: int = field(default=0)


class Connections:
    """The open connections; where there are too many, an old one is closed for a new one.

    Those that never made a permitted request go first, the oldest first. One that is stopping the stage, or
    starting a run, stays. So nobody can silence those who may control the rig by holding connections.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Connection] = {}
        self._opened = 0

    def open(self, connection: socket.socket, address: str) -> None:
        """Add a connection, and close others where there are too many."""
        with self._lock:
            self._opened += 1
            self._open[connection] = _Connection(connection, address, number=self._opened)
            same = [one for one in self._open.values() if one.address == address]
            if len(same) > MAX_PER_ADDRESS:
                self._close_one(same)
            if len(self._open) > MAX_CONNECTIONS:
                self._close_one(list(self._open.values()))

    def close(self, connection: socket.socket) -> None:
        """Take note that a connection has ended."""
        with self._lock:
            self._open.pop(connection, None)

    def permit(self, connection: socket.socket) -> None:
        """Take note that a connection made a request that it may make."""
        with self._lock:
            if connection in self._open:
                self._open[connection].permitted = True

    @contextmanager
    def controlling(self, connection: socket.socket) -> Iterator[None]:
        """Keep a connection while the block lasts."""
        one = self._open.get(connection)
        if one is not None:
            one.controls = True
        try:
            yield
        finally:
            if one is not None:
                one.controls = False

    def _close_one(self, among: list[_Connection]) -> None:
        newest = max(one.number for one in among)
        spare = [one for one in among if not one.controls and one.number != newest]
        if not spare:
            return
        victim = min(spare, key=lambda one: (one.permitted, one.number))
        del self._open[victim.socket]
        with suppress(OSError):  # its thread, which waits for it, ends
            victim.socket.shutdown(socket.SHUT_RDWR)


class Guesses:
    """Wrong tokens by the address they came from, over the last minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: dict[str, deque[float]] = {}

    def too_many(self, address: str) -> bool:
        """Whether an address may not try a token now."""
        with self._lock:
            wrong = self._wrong.get(address, deque())
            while wrong and time.monotonic() - wrong[0] > GUESSES_OVER_S:
                wrong.popleft()
            return len(wrong) >= MAX_GUESSES

    def add(self, address: str) -> None:
        """Count a wrong token."""
        with self._lock:
            self._wrong.setdefault(address, deque(maxlen=MAX_GUESSES)).append(time.monotonic())
            while len(self._wrong) > _MAX_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
