"""Write the raw frames of one scan, so that nothing is lost and the file is readable at every moment."""

from __future__ import annotations

import errno
import os
import time
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from lee.devices.protocols import Counts
from lee.errors import InputError, RigFault, StorageError
from lee.recording import in_progress
from lee.recording.free_space import free_bytes, readable_bytes, require_space
from lee.recording.header import SegmentHeader
from lee.recording.layout import (
    ENTRY,
    INCOMPLETE,
    PAGE,
    TRAILER_BYTES,
    Entry,
    pack_footer,
    pack_record,
    pack_start,
    paged,
)
from lee.recording.ledger import Ledger
from lee.recording.placed_file import PlacedFile
from lee.storage.atomic import take_name
from lee.storage.durable import sync_folder
from lee.storage.refusals import outermost_missing

# How much may wait in memory before writing begins: little enough that the end of a scan is quick.
_BEGIN_WRITING_BYTES = 32 * 2**20
# How far back written bytes are dropped from the cache: a cache that grew with the scan would take new memory
# for every frame, which in a virtual machine costs ten times the writing.
_GIVE_BACK_BYTES = 256 * 2**20
# Seconds from one look at the file's name to the next.
_LOOK_S = 0.5


class RecordingFailed(RigFault):
    """A frame could not be written; the frames written before can be read."""


class SegmentWriter:
    """A segment being written, one frame after the other; see `lee.recording.layout` for its bytes.

    Space for all frames of the plan is reserved at the start where the system can, so that the disk cannot
    fill up in the middle of a scan; elsewhere there must be as much at the start. While it is open, a lock
    beside it tells readers. As a context manager it abandons what was not finished.

    Parameters
    ----------
    path : str or Path
        Ends in ``.raw`` by custom. Nothing may be there: a recording is never overwritten.
    header : SegmentHeader

    Raises
    ------
    InputError
        If the name is taken.
    StorageError
        If it cannot be written, or there is no room for the whole scan.
    """

    def __init__(self, path: str | Path, header: SegmentHeader) -> None:
        self.path = Path(path)
        self.header = header
        self._scan = uuid.uuid4()
        self._page = bytearray(PAGE)
        self._record_bytes = PAGE + paged(header.image_bytes)
        self._padding = bytes(paged(header.image_bytes) - header.image_bytes)
        self._entries: list[Entry] = []
        self._file: PlacedFile | None = None
        self._mark: BinaryIO | None = None
        start = self._start()
        self._first = self._begun = len(start)
        self._looked_s = time.monotonic()
        room = len(start) + header.frames * (self._record_bytes + ENTRY.itemsize) + PAGE + TRAILER_BYTES
        require_space(self.path.parent, room)
        file = self._create(start)
        try:
            file.reserve(room)
            file.sync()
            sync_folder(self.path.parent)
        except OSError as error:
            there = file.is_at(self.path)
            self._release()
            if not there:
                raise self._removed() from error
            self.path.unlink(missing_ok=True)
            raise StorageError(
                f"{self.path}: no space for {header.frames} frames, {readable_bytes(room)} "
                f"({error.strerror}); free some, or record elsewhere"
            ) from error
        except BaseException:
            self.abandon()
            raise

    def _start(self) -> bytes:
        facts = {
            "format": "lee recorded scan",
            "scan_id": self._scan.hex,
            "record_bytes": self._record_bytes,
            "image_offset": PAGE,
            **self.header.to_json(),
        }
        try:
            return pack_start(facts)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.path}: header does not fit into JSON ({error}); drop that note"
            ) from error

    def _create(self, start: bytes) -> PlacedFile:
        """Give the file its name only when it has its header."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        taken = InputError(f"{self.path}: exists already; a recording is never overwritten")
        try:
            self._mark = in_progress.begin(self.path)
            if self._mark is None:
                raise taken
            try:
                partial.write_bytes(start)
                take_name(partial, self.path)
            finally:
                partial.unlink(missing_ok=True)
            self._file = PlacedFile(self.path, "r+b")
        except FileExistsError:
            self._release()
            raise taken from None
        except OSError as error:
            self._release()
            raise StorageError(
                f"{self.path}: cannot be written ({error.strerror}); choose another place"
            ) from error
        except BaseException:
            self._release()
            raise
        return self._file

    def __len__(self) -> int:
        """Return the number of frames written."""
        return len(self._entries)

    def append(
        self,
        image: Counts,
        *,
        frame_id: int,
        timestamp_s: float,
        z_um: float = np.nan,
        complete: bool = True,
    ) -> int:
        """Write a frame; return its number in the file.

        Parameters
        ----------
        image : (H, W) of the header's dtype
        frame_id : int
            Counted by the camera.
        timestamp_s : float, s
            By the camera's clock.
        z_um : float, µm
            Height, if known by now; `finish` takes those that become known later.
        complete : bool
            False where a part of the image is missing.

        Raises
        ------
        InputError
            If the image is not of the scan's shape and dtype.
        RecordingFailed
            If the disk refuses it.
        """
        if self._file is None:
            raise InputError(f"{self.path}: is closed; frames come before finish")
        if image.shape != self.header.shape or image.dtype != self.header.dtype:
            raise InputError(
                f"{self.path}: a frame of {image.shape} {image.dtype} does not fit a scan of "
                f"{self.header.shape} {self.header.dtype}; begin another scan"
            )
        if time.monotonic() - self._looked_s >= _LOOK_S:
            self._require_name(self._file)
        pixels: Any = np.ascontiguousarray(image, dtype=np.dtype(self.header.dtype).newbyteorder("<"))
        flags = 0 if complete else INCOMPLETE
        slot, crc = len(self._entries), zlib.crc32(pixels)
        fields = (int(frame_id), float(timestamp_s), float(z_um), flags)
        pack_record(self._page, self._scan.bytes, slot, fields, crc, pixels.nbytes)
        at = self._first + slot * self._record_bytes
        parts = [memoryview(self._page), memoryview(pixels).cast("B"), memoryview(self._padding)]
        try:
            self._file.write(parts, at)
            self._begin_writing(self._file, at + self._record_bytes)
        except OSError as error:
            raise self._failed(error) from error
        self._entries.append((slot, *fields, crc))
        return slot

    def _begin_writing(self, file: PlacedFile, end: int) -> None:
        """Have the system write now what it would keep for later, or the end of a scan would wait for all."""
        if end - self._begun >= _BEGIN_WRITING_BYTES:
            file.write_out(max(0, self._begun - _GIVE_BACK_BYTES), end)
            self._begun = end

    def _require_name(self, file: PlacedFile) -> None:
        """Refuse to go on where somebody removed the file: nobody could read what is written to it."""
        self._looked_s = time.monotonic()
        if not file.is_at(self.path):
            raise self._removed()

    def _removed(self) -> RecordingFailed:
        return RecordingFailed(
            f"{outermost_missing(self.path) or self.path}: was removed or renamed while it was recorded; "
            "find out what does that, and record again"
        )

    def _failed(self, error: OSError) -> RecordingFailed:
        kept = f"{len(self)} frames are safe in {self.path.name}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            left = readable_bytes(free_bytes(self.path.parent))
            return RecordingFailed(f"{self.path}: no space for frame {len(self)} ({left} left); {kept}")
        return RecordingFailed(
            f"{self.path}: frame {len(self)} cannot be written ({error.strerror}); check the disk; {kept}"
        )

    def finish(
        self, ledger: Ledger, *, z_um: ArrayLike | None = None, notes: Mapping[str, object] | None = None
    ) -> None:
        """End the scan; when this returns, it is on the disk whatever happens next.

        Parameters
        ----------
        ledger : Ledger
            Account of the pulses.
        z_um : (frames written,) float, µm, optional
            Heights in place of those given with the frames.
        notes : mapping, optional
            Further facts of the scan; must fit into JSON.

        Raises
        ------
        InputError
            If the ledger or the heights are not of the frames written; the scan can still be finished.
        RecordingFailed
            If the disk refuses; the frames written before stay.
        """
        if self._file is None:
            raise InputError(f"{self.path}: is closed already; a scan is finished once")
        if ledger.frames_written != len(self):
            raise InputError(
                f"{self.path}: the ledger counts {ledger.frames_written} frames written, "
                f"the file holds {len(self)}; count them again"
            )
        entries = np.array(self._entries, dtype=ENTRY)
        if z_um is not None:
            heights = np.asarray(z_um, dtype=np.float64)
            if heights.shape != (len(self),):
                raise InputError(
                    f"{self.path}: {heights.size} heights for {len(self)} frames; give one for each"
                )
            entries["z_um"] = heights
        end = self._first + len(self) * self._record_bytes
        facts = {"ledger": ledger.to_json(), "notes": dict(notes or {})}
        footer = pack_footer(self._scan.bytes, end, facts, entries)
        try:
            self._file.write([memoryview(footer)], end)
            self._file.truncate(end + len(footer))
            self._file.sync()
            self._require_name(self._file)
            sync_folder(self.path.parent)
        except OSError as error:
            raise RecordingFailed(
                f"{self.path}: cannot be finished ({error.strerror}); its {len(self)} frames can be read"
            ) from error
        finally:
            self._release()

    def abandon(self) -> None:
        """Close without a footer: written frames stay readable; a file without frames is removed.

        Harmless when repeated.
        """
        if self._file is None:
            return
        try:
            if self._entries:
                self._file.truncate(self._first + len(self) * self._record_bytes)
                self._file.sync()
            else:
                there = self._file.is_at(self.path)
                self._file.close()
                if there:
                    self.path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordingFailed(
                f"{self.path}: cannot be closed ({error.strerror}); check the disk"
            ) from error
        finally:
            self._release()

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._mark is not None:
            in_progress.end(self.path, self._mark)
            self._mark = None

    def __enter__(self) -> SegmentWriter:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abandon what was not finished."""
        self.abandon()
