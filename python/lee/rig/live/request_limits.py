"""How long a request may take to arrive, and how many bytes it may have."""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_BYTES = 16 * 1024


class RequestTooLongError(Exception):
    """A request is longer than any that the page makes."""


class LimitedReader(io.RawIOBase):
    """Reads requests from a socket, each within a deadline, so that a slow sender cannot occupy a thread.

    Parameters
    ----------
    connection : socket.socket
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = float("inf")
        self._left = MAX_BYTES

    def begin_request(self, timeout_s: float) -> None:
        """Start the deadline and the byte count of the next request."""
        self._deadline = time.monotonic() + timeout_s
        self._left = MAX_BYTES

    def buffered(self) -> io.BufferedReader:
        """Return a reader of lines."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, into: WriteableBuffer) -> int:
        """Read what has come, or wait for it until the deadline."""
        if self._left <= 0:
            raise RequestTooLongError
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(left_s)
        count = self._connection.recv_into(memoryview(into)[: self._left])
        self._left -= count
        return count
