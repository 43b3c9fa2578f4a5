"""The error to raise where the system refuses to read or write a file."""

import errno
from pathlib import Path

from lee.errors import InputError, LeeError, StorageError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Of this program, and of the whole system.
_NO_HANDLES = (errno.EMFILE, errno.ENFILE)
_MORE_HANDLES = "allow more open files (ulimit -n), or close other programs"


def unreadable(path: str | Path, error: OSError, advice: str) -> LeeError:
    """Return the error for a file that was given and cannot be read.

    Parameters
    ----------
    path : str or Path
        The file, with a word before it where the message needs one.
    error : OSError
        What the system reported.
    advice : str
        What to do, such as ``"give a rig's TOML file"``.

    Returns
    -------
    LeeError
        `InputError` where there is no such file, or a folder in its place; else `StorageError`.
    """
    if error.errno in _NO_HANDLES:
        return StorageError(f"{path}: cannot be read ({error.strerror}); {_MORE_HANDLES}")
    missing = isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError)
    kind = InputError if missing else StorageError
    return kind(f"{path}: cannot be read ({error.strerror or error}); {advice}")


def unwritable(path: str | Path, error: OSError) -> StorageError:
    """Return the error for a file or folder that cannot be written."""
    if error.errno in NO_SPACE:
        return StorageError(f"no space left to write {path}: free some, or write elsewhere")
    if error.errno in _NO_HANDLES:
        return StorageError(f"cannot write {path}: {error.strerror}: {_MORE_HANDLES}")
    reason = error.strerror or str(error)
    return StorageError(f"cannot write {path}: {reason}: choose a place that can be written")


def outermost_missing(path: str | Path) -> Path | None:
    """Return the folder nearest to the root, or the file itself, that is not there; None where all are."""
    whole = Path(path)
    missing = [place for place in (whole, *whole.parents) if not place.exists()]
    return missing[-1] if missing else None


def in_use(path: str | Path, error: OSError) -> StorageError:
    """Return the error for a file or folder that is there and cannot be replaced."""
    return StorageError(
        f"cannot replace {path} ({error.strerror or error}): close it in other programs, or choose "
        "another name"
    )
