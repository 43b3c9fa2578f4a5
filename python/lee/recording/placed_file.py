"""A file of which parts are read and written at given places, on any system."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Literal

# Calls that state the place, and those that plan ahead. Windows has none of them, macOS not the latter two.
_READ_AT: Any = getattr(os, "pread", None)
_WRITE_AT: Any = getattr(os, "pwritev", None)
_RESERVE: Any = getattr(os, "posix_fallocate", None)
_ADVISE: Any = getattr(os, "posix_fadvise", None)
_NOT_NEEDED: Any = getattr(os, "POSIX_FADV_DONTNEED", None)


class PlacedFile:
    """An open file without a position that its users share: every call states the place.

    Calls of several threads do not disturb each other.

    Parameters
    ----------
    path : Path
    mode : str
        ``rb`` to read an existing file, ``r+b`` to write in it, too.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path, mode: Literal["rb", "r+b"]) -> None:
        self._file = path.open(mode, buffering=0)
        self._turn = Lock()  # where the system has only calls that move a position

    @property
    def size(self) -> int:
        """Length of the file, bytes."""
        return os.fstat(self._file.fileno()).st_size

    def read(self, size: int, at: int) -> bytes:
        """Read `size` bytes from `at`; fewer only at the end of the file.

        What lies beyond the end is not asked for: a damaged file may state any size or place.
        """
        size = min(size, self.size - at)
        if at < 0 or size <= 0:
            return b""
        block = self._read_once(size, at)
        while 0 < len(block) < size:
            more = self._read_once(size - len(block), at + len(block))
            if not more:
                break
            block += more
        return block

    def _read_once(self, size: int, at: int) -> bytes:
        if _READ_AT is not None:
            return bytes(_READ_AT(self._file.fileno(), size, at))
        with self._turn:
            self._file.seek(at)
            return self._file.read(size)

    def write(self, parts: Iterable[memoryview], at: int) -> None:
        """Write all parts, one behind the other, from `at`."""
        waiting = [part for part in parts if len(part)]
        while waiting:
            done = self._write_once(waiting, at)
            at += done
            while waiting and done >= len(waiting[0]):
                done -= len(waiting.pop(0))
            if waiting and done:
                waiting[0] = waiting[0][done:]

    def _write_once(self, parts: list[memoryview], at: int) -> int:
        if _WRITE_AT is not None:
            return int(_WRITE_AT(self._file.fileno(), parts, at))
        with self._turn:
            self._file.seek(at)
            return self._file.write(parts[0])

    def reserve(self, size: int) -> None:
        """Reserve room for `size` bytes, where the system can without writing them.

        Raises
        ------
        OSError
            If there is too little.
        """
        if _RESERVE is not None:
            _RESERVE(self._file.fileno(), 0, size)

    def write_out(self, begin: int, end: int) -> None:
        """Have the system write these bytes now and drop them from its cache, where it can be told to."""
        if _ADVISE is not None:
            _ADVISE(self._file.fileno(), begin, end - begin, _NOT_NEEDED)

    def truncate(self, size: int) -> None:
        """Make the file so long, bytes."""
        self._file.truncate(size)

    def sync(self) -> None:
        """Wait until the file is on the disk."""
        os.fsync(self._file.fileno())

    def is_at(self, path: Path) -> bool:
        """Whether this file has that name still; False where it was removed or replaced."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Close it; harmless when repeated."""
        self._file.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    def __enter__(self) -> PlacedFile:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
