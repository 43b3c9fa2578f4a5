"""A lock on a run's folder: one process at a time writes there."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lee.errors import InputError, StorageError

NAME = ".lee.lock"


@contextmanager
def run_locked(folder: str | Path) -> Iterator[None]:
    """Hold a run's folder for this process while the block lasts.

    The file ``.lee.lock`` holds process, host and time. The system frees the lock of a process that died, so
    a process that was killed on this host blocks nobody. A file system shared with other hosts may not share
    locks: there a lock file of another host counts as held until that host empties it at the end.

    Raises
    ------
    InputError
        If another process holds it.
    StorageError
        If the folder cannot be written.
    """
    path = Path(folder) / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}); check its permissions"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        holder = _holder(descriptor)
        here = socket.gethostname()
        if not free:
            who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
            raise InputError(f"{folder}: {who} is working on this run; wait for it, or stop it")
        if holder and holder.get("host") != here:
            raise InputError(
                f"{folder}: process {holder.get('pid', '?')} on {holder.get('host')} has been working on "
                f"this run since {holder.get('since', '?')}; wait for it, or delete {path} if it has ended"
            )
        mine = {"pid": os.getpid(), "host": here, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        _replace(descriptor, json.dumps(mine).encode())
        try:
            yield
        finally:
            _replace(descriptor, b"")
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _replace(descriptor: int, text: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)
