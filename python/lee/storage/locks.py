"""Locks between processes: files that one process holds, and that the system frees when it dies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO, BinaryIO

# Whoever only looks whether a lock is held takes it for a moment.
_TRIES, _PAUSE_S = 6, 0.005


def hold(path: Path) -> BinaryIO | None:
    """Lock a file, which is made where there is none, until it is closed.

    Nothing may be read from it meanwhile: on Windows a locked file cannot be read. Not every network disk has
    locks; there it is returned without one.

    Returns
    -------
    BinaryIO or None
        The open file; None where somebody else holds it.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    file = path.open("ab")
    try:
        if locked(file):
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock of a file; False where there is no such file."""
    try:
        with path.open("rb") as file:
            return not locked(file)
    except OSError:
        return False


def locked(file: IO[bytes]) -> bool:
    """Lock an open file, or a device, until it is closed; return False where somebody else holds it."""
    # When it is needed, since it is slow to import.
    import portalocker

    for left in reversed(range(_TRIES)):
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.AlreadyLocked:
            if left:
                time.sleep(_PAUSE_S)
        except portalocker.LockException:  # not every network disk has locks
            return True
        else:
            return True
    return False
