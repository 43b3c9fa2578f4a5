"""One process at a time writes a run."""

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

    The file ``.lee.lock`` tells process, host and time. The system frees the lock of a process that died, so
    one that was killed on this host stops nobody. A file system shared with other hosts may not pass locks
    on: there the file of another host, which empties it when it ends, counts as held.

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
            alone = True
        except BlockingIOError:
            alone = False
        holder = _holder(descriptor)
        here = socket.gethostname()
        if not alone:
            who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
            raise InputError(f"{folder}: {who} works on this run; wait for it, or stop it")
        if holder and holder.get("host") != here:
            raise InputError(
                f"{folder}: process {holder.get('pid', '?')} on {holder.get('host')} works on this run since "
                f"{holder.get('since', '?')}; wait for it, or delete {path} if it is gone"
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
