"""How long a request may take to arrive, and how long it may be."""

from __future__ import annotations

import io
import socket
import time
from typing import Any

_MOST_BYTES = 16 * 1024


class TooMuch(Exception):  # noqa: N818  the request is, not the server
    """A request is longer than any that the page makes."""


class LimitedReader(io.RawIOBase):
    """Reads requests from a socket, each against a deadline: one sent drop by drop holds a thread no longer.

    Parameters
    ----------
    connection : socket.socket
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = float("inf")
        self._left = _MOST_BYTES

    def begin_request(self, timeout_s: float) -> None:
        """Let the next request begin."""
        self._deadline = time.monotonic() + timeout_s
        self._left = _MOST_BYTES

    def buffered(self) -> io.BufferedReader:
        """Return what reads lines."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, into: Any) -> int:
        """Read what has come, or wait for it until the deadline."""
        if self._left <= 0:
            raise TooMuch
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(left_s)
        count = self._connection.recv_into(memoryview(into)[: self._left])
        self._left -= count
        return count
