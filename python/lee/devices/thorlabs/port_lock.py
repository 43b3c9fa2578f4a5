"""One program at a time has a stage: its port is locked before the first byte is sent to it."""

from __future__ import annotations

import os
from typing import IO

from lee.devices.faults import DeviceLost
from lee.storage.locks import locked

# A port without a carrier would wait for one; none becomes the terminal of this program.
_AT_ONCE: int = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class PortLock:
    """Holds a serial port for this program until it is released, or the program dies.

    The lock is on the device itself, so that all its names are one: ``/dev/ttyUSB0``, a link of
    ``/dev/serial/by-id``, or a serial number. Nothing is sent. Windows itself opens a port for one
    program only.

    Parameters
    ----------
    port : str

    Raises
    ------
    DeviceLost
        If another program has it, or it cannot be opened.
    """

    def __init__(self, port: str) -> None:
        self._file: IO[bytes] | None = None
        if os.name == "nt":
            return
        try:
            self._file = os.fdopen(os.open(port, os.O_RDWR | _AT_ONCE), "r+b", buffering=0)
        except OSError as error:
            raise DeviceLost(
                f"stage: {port} cannot be opened ({error}); is it plugged in, and yours?"
            ) from error
        if not locked(self._file):
            self.release()
            raise DeviceLost(
                f"stage: {port} is used by another program, which goes on undisturbed; end that first"
            )

    def release(self) -> None:
        """Let others have it; harmless when repeated."""
        if self._file is not None:
            self._file.close()
