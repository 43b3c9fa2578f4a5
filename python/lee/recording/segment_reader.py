"""Read the raw frames of one scan, finished or cut short at any moment."""

from __future__ import annotations

import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import Counts
from lee.errors import InputError
from lee.recording.header import SegmentHeader
from lee.recording.in_progress import is_being_written
from lee.recording.layout import (
    ENTRY,
    INCOMPLETE,
    PAGE,
    RECORD_BYTES,
    TRAILER_BYTES,
    Damaged,
    Entry,
    start_bytes,
    unpack_footer,
    unpack_record,
    unpack_start,
    unpack_trailer,
)
from lee.recording.ledger import Ledger
from lee.recording.placed_file import PlacedFile
from lee.storage.refusals import unreadable


class SegmentReader:
    """A recorded scan; images are read and checked when asked for.

    Without a footer, as after a crash, all records are searched for and their images checked at once.

    Attributes
    ----------
    path : Path
    header : SegmentHeader
    finished : bool
        Whether the recording was finished.
    being_written : bool
        Whether it was being recorded when it was opened.
    ledger : Ledger or None
        Account of the pulses; None without a footer.
    notes : dict
        Further facts from the end of the scan, such as the source of its heights.
    frame_id : (N,) int64
    timestamp_s : (N,) float64
    z_um : (N,) float64, NaN where not known
    complete : (N,) bool
    torn : list of str
        Incomplete records; only without a footer.

    Raises
    ------
    InputError
        If this is no recorded scan, or its header is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file = PlacedFile(self.path, "rb")
        except OSError as error:
            raise unreadable(self.path, error, "give a recorded scan") from error
        try:
            self._open()
        except Damaged as error:
            self.close()
            raise InputError(f"{self.path}: {error}; give a scan recorded by lee") from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.being_written = is_being_written(self.path)
        head = self._file.read(PAGE, 0)
        self._first = start_bytes(head)
        facts = unpack_start(self._file.read(self._first, 0))
        try:
            self.header = SegmentHeader.from_json(facts)
            self._scan = bytes.fromhex(facts["scan_id"])
            self._record_bytes, self._image_offset = facts["record_bytes"], facts["image_offset"]
            needed = self._image_offset + self.header.image_bytes
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise Damaged(f"its header lacks a field or has a wrong one ({error})") from error
        if not (isinstance(self._record_bytes, int) and isinstance(self._image_offset, int)):
            raise Damaged("its header states sizes that are no whole numbers")
        if self._image_offset < RECORD_BYTES or self._record_bytes < needed:
            raise Damaged(
                f"its header states records of {self._record_bytes} bytes for images of "
                f"{self.header.image_bytes}, {self._image_offset} bytes into them"
            )
        self._dtype = np.dtype(self.header.dtype).newbyteorder("<")
        self.torn: list[str] = []
        self.ledger: Ledger | None = None
        self.notes: dict[str, Any] = {}
        try:
            entries, self.ledger, self.notes = self._footer()
            self.finished = True
        except Damaged:
            self.finished = False
            entries = self._scanned()
        self._entries = entries
        self.frame_id: NDArray[np.int64] = entries["frame_id"].astype(np.int64)
        self.timestamp_s: NDArray[np.float64] = entries["timestamp_s"].astype(np.float64)
        self.z_um: NDArray[np.float64] = entries["z_um"].astype(np.float64)
        self.complete: NDArray[np.bool_] = (entries["flags"] & INCOMPLETE) == 0

    def _footer(self) -> tuple[NDArray[np.void], Ledger, dict[str, Any]]:
        size = self._file.size
        end = size - TRAILER_BYTES
        if end < self._first:
            raise Damaged("has no footer")
        begins, text, count, crc = unpack_trailer(self._file.read(TRAILER_BYTES, end), self._scan)
        if begins < self._first or begins + text + count * ENTRY.itemsize != end:
            raise Damaged("its footer is damaged")
        facts, entries = unpack_footer(self._file.read(end - begins, begins), text, crc)
        if (entries["slot"] >= (begins - self._first) // self._record_bytes).any():
            raise Damaged("its footer counts frames that the file does not hold")
        try:
            return entries, Ledger.from_json(facts["ledger"]), dict(facts.get("notes", {}))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Damaged(f"its footer lacks a field or has a wrong one ({error})") from error

    def _scanned(self) -> NDArray[np.void]:
        """Search for records slot by slot; a torn one does not hide those behind it."""
        found: list[Entry] = []
        size = self._file.size
        for slot in range(-(-(size - self._first) // self._record_bytes)):
            page = self._file.read(RECORD_BYTES, self._first + slot * self._record_bytes)
            if not any(page):
                continue  # reserved for a frame that never came
            try:
                entry = unpack_record(page, self._scan, slot, self.header.image_bytes)
                if zlib.crc32(self._pixels(slot)) != entry[-1]:
                    raise Damaged("its image is incomplete")
            except Damaged as error:
                self.torn.append(f"record {slot}: {error}")
            else:
                found.append(entry)
        return np.array(found, dtype=ENTRY)

    def _pixels(self, slot: int) -> bytes:
        at = self._first + slot * self._record_bytes + self._image_offset
        return self._file.read(self.header.image_bytes, at)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._entries)

    def read(self, k: int) -> Counts:
        """Image k, (H, W), read-only. Safe to call from several threads.

        Raises
        ------
        InputError
            If it differs from what was recorded.
        """
        fault, pixels = self._checked(k)
        if fault:
            raise InputError(f"{fault}; ignore the frame, or use another copy")
        return np.frombuffer(pixels, dtype=self._dtype).reshape(self.header.shape)

    def _checked(self, k: int) -> tuple[str, bytes]:
        pixels = self._pixels(int(self._entries["slot"][k]))
        if len(pixels) != self.header.image_bytes:
            return f"{self.name(k)}: its image is cut off", pixels
        if zlib.crc32(pixels) != self._entries["image_crc"][k]:
            return f"{self.name(k)}: its image is damaged", pixels
        return "", pixels

    def fault(self, k: int) -> str:
        """Return what is wrong with image k; "" where it is as it was recorded."""
        return self._checked(k)[0]

    def crc(self, k: int) -> int:
        """CRC-32 of image k as it was recorded."""
        return int(self._entries["image_crc"][k])

    def name(self, k: int) -> str:
        """File, record and camera's number of frame k."""
        return f"{self.path}, record {self._entries['slot'][k]} (frame id {self.frame_id[k]})"

    def verify(self) -> list[str]:
        """Read everything; return each difference from what was recorded, one line each."""
        faults = [f"{self.path}, {torn}" for torn in self.torn]
        if not self.finished:
            faults.append(f"{self.path}: was not finished")
        for k in range(len(self)):
            slot = int(self._entries["slot"][k])
            page = self._file.read(RECORD_BYTES, self._first + slot * self._record_bytes)
            try:
                unpack_record(page, self._scan, slot, self.header.image_bytes)
            except Damaged as error:
                faults.append(f"{self.name(k)}: {error}")
            fault, _ = self._checked(k)
            if fault:
                faults.append(fault)
        return faults

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._file.close()

    def __enter__(self) -> SegmentReader:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def header_of(path: Path) -> SegmentHeader:
    """Header of a recorded scan; its frames are not read.

    Raises
    ------
    InputError
        If there is none that can be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(PAGE)
            rest = min(start_bytes(head), path.stat().st_size) - len(head)
            return SegmentHeader.from_json(unpack_start(head + file.read(max(rest, 0))))
    except OSError as error:
        raise unreadable(path, error, "give a recorded scan") from error
    except (Damaged, KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(f"{path}: its header cannot be read ({error}); give a recorded scan") from error


def is_segment(path: Path) -> bool:
    """Whether a file begins as a recorded scan does."""
    try:
        with path.open("rb") as file:
            start_bytes(file.read(PAGE))
    except (OSError, Damaged):
        return False
    return True
