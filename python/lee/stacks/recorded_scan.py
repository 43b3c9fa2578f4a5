"""A scan recorded by lee as a stack: its complete frames with their true heights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lee.errors import InputError
from lee.recording.heights import heights_of, recorded_facts
from lee.recording.layout import SUFFIX
from lee.recording.segment_reader import SegmentReader
from lee.stacks.grey import Frame, grey_dtype
from lee.stacks.reader import FrameSource


class SegmentSource(FrameSource):
    """Complete frames of known height of a segment; the others are skipped and reported.

    ``metadata["left_out"]`` lists them with the reasons, ``metadata["recording"]`` accounts for the pulses.
    """

    def __init__(self, path: Path) -> None:
        self._reader = SegmentReader(path)
        try:
            self._open(path)
        except BaseException:
            self._reader.close()
            raise

    def _open(self, path: Path) -> None:
        reader = self._reader
        if reader.being_written:
            raise InputError(f"{path}: is being recorded now; wait for the end of the scan")
        header = reader.header
        heights, source = heights_of(reader)
        left_out = [reader.torn[k] for k in range(len(reader.torn))]
        left_out += [f"record {k}: incomplete" for k in np.flatnonzero(~reader.complete)]
        usable = reader.complete
        if heights is not None:
            unknown = reader.complete & ~np.isfinite(heights)
            left_out += [f"record {k}: height not known" for k in np.flatnonzero(unknown)]
            usable = usable & np.isfinite(heights)
        self._frames = np.flatnonzero(usable)
        self.shape = (len(self._frames), *header.shape)
        self.dtype = grey_dtype(np.dtype(header.dtype), str(path))
        if heights is not None:
            self.z_um, self.z_um_source = heights[self._frames], source
        if header.pixel_um is not None:
            self.pixel_yx_um, self.pixel_um_source = (header.pixel_um, header.pixel_um), "recorded scan"
        self.metadata = recorded_facts(reader) | {"left_out": left_out}

    def read(self, k: int) -> Frame:
        """Frame k, checked."""
        return self._reader.read(int(self._frames[k])).astype(self.dtype, copy=False)

    def name(self, k: int) -> str:
        """File and record."""
        return self._reader.name(int(self._frames[k]))

    def damaged(self) -> list[int]:
        """Those whose bytes are not the ones recorded."""
        return [k for k, record in enumerate(self._frames) if self._reader.fault(int(record))]

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class RecordedScanReader:
    """A raw scan, as the rig records it."""

    name = "recorded scan"
    reads = f"a scan recorded by lee ({SUFFIX})"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is that of recorded scans."""
        return path.suffix.lower() == SUFFIX and path.is_file()

    def open(self, path: Path) -> SegmentSource:
        """Open the segment."""
        return SegmentSource(path)
