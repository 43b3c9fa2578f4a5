"""A lock on a run's folder: one process at a time writes there."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from lee.errors import InputError, StorageError
from lee.storage.locks import hold

# Two files, since on Windows a locked one cannot be read.
LOCK = ".lee.lock"
HOLDER = ".lee.holder.json"


@contextmanager
def run_locked(folder: str | Path) -> Iterator[None]:
    """Hold a run's folder for this process while the block lasts.

    ``.lee.lock`` is locked, and ``.lee.holder.json`` holds process, host and time. The system frees the lock
    of a process that died, so a process that was killed on this host blocks nobody. A file system shared with
    other hosts may not share locks: there a holder on another host counts until it empties the file at the
    end.

    Raises
    ------
    InputError
        If another process holds it.
    StorageError
        If the folder cannot be written.
    """
    place, here = Path(folder) / HOLDER, socket.gethostname()
    try:
        lock = hold(Path(folder) / LOCK)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}); check its permissions"
        ) from error
    holder = _holder(place)
    if lock is None:
        who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
        raise InputError(f"{folder}: {who} is working on this run; wait for it, or stop it")
    with lock:
        if holder and holder.get("host") != here:
            raise InputError(
                f"{folder}: process {holder.get('pid', '?')} on {holder.get('host')} has been working on "
                f"this run since {holder.get('since', '?')}; wait for it, or delete {place} if it has ended"
            )
        mine = {"pid": os.getpid(), "host": here, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        try:
            place.write_text(json.dumps(mine), encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"{folder}: cannot be written ({error.strerror}); check its permissions"
            ) from error
        try:
            yield
        finally:
            # Gone with its folder, it holds nobody up.
            with suppress(OSError):
                place.write_text("", encoding="utf-8")


def _holder(place: Path) -> dict[str, object]:
    try:
        found = json.loads(place.read_text(encoding="utf-8") or "{}")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
