"""The list of pages of a TIFF file, checked before a library follows it."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lee.errors import InputError

TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8"})

_MAX_ENTRIES = 4096
# Description, and where the pixels are and how many bytes they take.
_NEEDED_TAGS = frozenset({270, 273, 279, 324, 325})
_BYTES_OF_TYPE = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
}


class _Layout(NamedTuple):
    """Forms of the numbers in a file: an offset, the number of entries of a page, one entry."""

    offset: str
    length: str
    entry: str
    inline_bytes: int


_LAYOUTS = {
    b"II\x2a\x00": _Layout("<I", "<H", "<HHII", 4),
    b"MM\x00\x2a": _Layout(">I", ">H", ">HHII", 4),
    b"II\x2b\x00": _Layout("<Q", "<Q", "<HHQQ", 8),
    b"MM\x00\x2b": _Layout(">Q", ">Q", ">HHQQ", 8),
}


def check_page_list(path: Path) -> int:
    """Follow the list of pages from the first to the last, and count them.

    A list that ends at the end of the file, where the next page would have been written, is whole: so
    a program leaves it that was stopped while it recorded.

    Raises
    ------
    InputError
        If it is no TIFF file, or its list runs in a circle or beyond the end of the file.
    """
    size = os.path.getsize(path)
    with path.open("rb") as file:
        layout = _LAYOUTS.get(file.read(4))
        if layout is None:
            raise InputError(f"{path}: is not a readable TIFF file; copy it again")
        if layout.inline_bytes == 8:
            file.read(4)
        place = _number(file, layout.offset)
        seen: set[int] = set()
        while place and not (place == size and seen):
            if place in seen:
                raise InputError(
                    f"{path}: its list of pages runs in a circle after page {len(seen) - 1}, it is damaged; "
                    "copy the file again"
                )
            following, end = _page(file, place, layout, size)
            if end == place and seen:  # space that was reserved and never written
                break
            if following is None or end > size:
                raise InputError(
                    f"{path}: is truncated: page {len(seen)} in its list is at byte {end}, the file ends at "
                    f"{size}; copy the file again"
                )
            seen.add(place)
            place = following
    if not seen:
        raise InputError(f"{path}: holds no pages, perhaps truncated; copy the file again")
    return len(seen)


def _page(file: BinaryIO, place: int, layout: _Layout, size: int) -> tuple[int | None, int]:
    """Return where the next page is, None if this one is not whole, and where the tags of this one end.

    A page without tags ends where it begins.
    """
    if place > size:
        return None, place + 1
    file.seek(place)
    entries = _number(file, layout.length)
    if not entries:
        return (None, place + 1) if entries is None else (0, place)
    if entries > _MAX_ENTRIES:
        return None, size + entries
    step = struct.calcsize(layout.entry)
    data = file.read(step * entries)
    following = _number(file, layout.offset)
    if len(data) < step * entries or following is None:
        return None, place + step * entries
    end = place + 1
    for tag, kind, count, offset in struct.iter_unpack(layout.entry, data):
        length = count * _BYTES_OF_TYPE.get(kind, 1)
        if tag in _NEEDED_TAGS and length > layout.inline_bytes:
            end = max(end, offset + length)
    return following, end


def _number(file: BinaryIO, form: str) -> int | None:
    """Read a number; None at the end of the file."""
    data = file.read(struct.calcsize(form))
    return struct.unpack(form, data)[0] if len(data) == struct.calcsize(form) else None
