r"""The layout of a segment on disk, byte by byte; all numbers are little-endian.

======  ====================================================================================================
header  magic ``LEESEG\r\n``, version u32, header bytes u32 (a multiple of 4096), JSON bytes u32, CRC u32 of
        the four fields before it and the JSON, then the JSON, then zeros
record  one of fixed size for each frame, a multiple of 4096: a page with `RECORD`, then the image, then zeros
footer  behind the last record: JSON, then one `ENTRY` for each record, then a trailer, which ends the file
======  ====================================================================================================

Every record carries the scan's own id, so that bytes left over from another file are never read as a frame.
CRCs are CRC-32 as in zlib.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

SUFFIX = ".raw"
MAGIC = b"LEESEG\r\n"
RECORD_MAGIC = b"LEEFRAME"
TRAILER_MAGIC = b"LEEEND\r\n"
VERSION = 1
PAGE = 4096
INCOMPLETE = 1

_START = struct.Struct("<8sIIII")
# magic, scan id, sequence, frame_id, timestamp_s, z_um, flags, image CRC, image bytes; then the CRC of these
RECORD = struct.Struct("<8s16sQqddIIQ")
_CRC = struct.Struct("<I")
RECORD_BYTES = RECORD.size + _CRC.size
# magic, scan id, where the footer begins, JSON bytes, entries, CRC of JSON and entries; then the CRC of these
_TRAILER = struct.Struct("<8s16sQQQI")
TRAILER_BYTES = _TRAILER.size + _CRC.size

ENTRY = np.dtype(
    [
        ("slot", "<u8"),
        ("frame_id", "<i8"),
        ("timestamp_s", "<f8"),
        ("z_um", "<f8"),
        ("flags", "<u4"),
        ("image_crc", "<u4"),
    ]
)


# slot, frame_id, timestamp_s, z_um, flags, image_crc
Entry: TypeAlias = tuple[int, int, float, float, int, int]


class Damaged(Exception):  # noqa: N818  a state of bytes; never leaves this package
    """Bytes are damaged or of another file."""


def paged(size: int) -> int:
    """Round up to whole pages."""
    return -(-size // PAGE) * PAGE


def pack_start(facts: Mapping[str, object]) -> bytes:
    """Header of a file, in whole pages."""
    text = json.dumps(facts, allow_nan=False).encode()
    size = paged(_START.size + len(text))
    fields = struct.pack("<8sIII", MAGIC, VERSION, size, len(text))
    return (fields + _CRC.pack(zlib.crc32(text, zlib.crc32(fields))) + text).ljust(size, b"\0")


def start_bytes(head: bytes) -> int:
    """Bytes that the header takes, from the first page of a file.

    Raises
    ------
    Damaged
        If it is no segment, or of a later version.
    """
    if len(head) < _START.size or head[:8] != MAGIC:
        raise Damaged("does not begin as a recorded scan does")
    _, version, size, length, _ = _START.unpack_from(head)
    if version > VERSION:
        raise Damaged(
            f"is of format version {version}, this version of lee reads up to {VERSION}; update lee"
        )
    if size != paged(_START.size + length):
        raise Damaged("its header is damaged")
    return int(size)


def unpack_start(block: bytes) -> dict[str, Any]:
    """Read what `pack_start` was given."""
    size = start_bytes(block)
    _, _, _, length, crc = _START.unpack_from(block)
    text = block[_START.size : _START.size + length]
    if len(block) < size or zlib.crc32(text, zlib.crc32(block[: _START.size - _CRC.size])) != crc:
        raise Damaged("its header is damaged")
    return _facts(text, "header")


def pack_record(
    page: bytearray, scan: bytes, slot: int, frame: tuple[int, float, float, int], crc: int, size: int
) -> None:
    """Fill the page before an image; `frame` is id, timestamp, z and flags."""
    RECORD.pack_into(page, 0, RECORD_MAGIC, scan, slot, *frame, crc, size)
    _CRC.pack_into(page, RECORD.size, zlib.crc32(memoryview(page)[: RECORD.size]))


def unpack_record(block: bytes, scan: bytes, slot: int, size: int) -> Entry:
    """Read what `pack_record` was given, as an `ENTRY`.

    Raises
    ------
    Damaged
        If it is not the record of that scan and slot.
    """
    if len(block) < RECORD_BYTES:
        raise Damaged("is cut off")
    if zlib.crc32(block[: RECORD.size]) != _CRC.unpack_from(block, RECORD.size)[0]:
        raise Damaged("its record header is damaged")
    magic, own, number, frame_id, timestamp, z, flags, crc, length = RECORD.unpack_from(block)
    if magic != RECORD_MAGIC or own != scan or number != slot or length != size:
        raise Damaged("its record header belongs elsewhere")
    return (number, frame_id, timestamp, z, flags, crc)


def pack_footer(scan: bytes, begins: int, facts: Mapping[str, object], entries: NDArray[np.void]) -> bytes:
    """Footer with its trailer."""
    text = json.dumps(facts, allow_nan=False).encode()
    body = text + entries.astype(ENTRY).tobytes()
    end = _TRAILER.pack(TRAILER_MAGIC, scan, begins, len(text), len(entries), zlib.crc32(body))
    return body + end + _CRC.pack(zlib.crc32(end))


def unpack_trailer(block: bytes, scan: bytes) -> tuple[int, int, int, int]:
    """Where the footer begins, JSON bytes, entries and their CRC.

    Raises
    ------
    Damaged
        If this is no trailer of that scan.
    """
    if (
        len(block) != TRAILER_BYTES
        or zlib.crc32(block[: _TRAILER.size]) != _CRC.unpack_from(block, _TRAILER.size)[0]
    ):
        raise Damaged("has no footer")
    magic, own, begins, text, count, crc = _TRAILER.unpack_from(block)
    if magic != TRAILER_MAGIC or own != scan:
        raise Damaged("has no footer")
    return begins, text, count, crc


def unpack_footer(body: bytes, text: int, crc: int) -> tuple[dict[str, Any], NDArray[np.void]]:
    """JSON and entries of a footer.

    Raises
    ------
    Damaged
        If the bytes are not those written.
    """
    if zlib.crc32(body) != crc:
        raise Damaged("its footer is damaged")
    return _facts(body[:text], "footer"), np.frombuffer(body[text:], dtype=ENTRY)


def _facts(text: bytes, part: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise Damaged(f"its {part} holds no facts ({error})") from error
