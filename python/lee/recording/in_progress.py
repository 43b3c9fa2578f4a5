"""Which recordings are in progress: beside each lies a hidden file that its writer holds locked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lee.storage.locks import hold, is_held


def begin(recording: Path) -> BinaryIO | None:
    """Mark a recording as being written by this process; None where another one writes it.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    return hold(_mark_of(recording))


def end(recording: Path, mark: BinaryIO) -> None:
    """Remove the mark that `begin` returned."""
    mark.close()
    with suppress(OSError):  # somebody looks at it: a mark that nobody holds means nothing
        _mark_of(recording).unlink()


def is_being_written(recording: Path) -> bool:
    """Whether a file is being recorded now."""
    return is_held(_mark_of(recording))


def _mark_of(recording: Path) -> Path:
    return recording.with_name(f".{recording.name}.lock")
