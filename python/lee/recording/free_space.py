"""Free space of a folder, and the check that a recording fits into it."""

from __future__ import annotations

import shutil
from pathlib import Path

from lee.errors import StorageError
from lee.storage.refusals import outermost_missing

# Left for everything else that writes there: tables, logs, the system.
SPARE_BYTES = 64 * 2**20


def free_bytes(folder: str | Path) -> int:
    """Bytes that may still be written in a folder."""
    return shutil.disk_usage(folder).free


def require_space(folder: str | Path, bytes_: int, *, spare_bytes: int = SPARE_BYTES) -> int:
    """Return the free bytes in `folder` if `bytes_` and a spare fit into them.

    Raises
    ------
    StorageError
        If they do not fit, with the numbers, or there is no such folder.
    """
    try:
        left = free_bytes(folder)
    except OSError as error:
        gone = outermost_missing(folder)
        why = error.strerror if gone is None else "is not there, or not any more"
        raise StorageError(f"{gone or folder}: {why}; give a folder that can be written") from error
    if bytes_ + spare_bytes > left:
        raise StorageError(
            f"{folder}: {readable_bytes(bytes_)} are needed and {readable_bytes(spare_bytes)} kept free, "
            f"but only {readable_bytes(left)} are left; free some, or record elsewhere"
        )
    return left


def readable_bytes(size: float) -> str:
    """Return a size as people read it, such as 1.5 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} GB"
