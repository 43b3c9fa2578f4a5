"""The speed at which a disk records frames, measured in the folder where they are to go."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from lee.devices.protocols import Counts
from lee.errors import InputError, StorageError
from lee.recording.free_space import free_bytes, readable_bytes, require_space
from lee.recording.header import SegmentHeader
from lee.recording.ledger import Ledger
from lee.recording.segment import SegmentWriter

__all__ = ["DiskSpeed", "probe_disk", "require_space"]

# Different frames, so that a disk that compresses or joins equal blocks does not seem faster than it is.
_FRAMES = 8


@dataclass(frozen=True)
class DiskSpeed:
    """The speed of a folder's disk.

    Parameters
    ----------
    folder : Path
    sequential_mb_per_s : float, 1e6 bytes/s
        Plain writing of one file from beginning to end, until it is safe on the disk.
    recording_mb_per_s : float, 1e6 bytes/s
        Recording a scan, checksums and its end included, until it is safe on the disk.
    longest_append_s : float, s
        The longest that a single frame took.
    free_bytes : int
        Free space.
    frame_bytes : int
        Of a frame as it was recorded.
    """

    folder: Path
    sequential_mb_per_s: float
    recording_mb_per_s: float
    longest_append_s: float
    free_bytes: int
    frame_bytes: int

    @property
    def frames_per_s(self) -> float:
        """Frames a second that can be recorded while there is free space."""
        return self.recording_mb_per_s * 1e6 / self.frame_bytes

    def seconds_at(self, frames_per_s: float) -> float:
        """How long the free space lasts, s."""
        return self.free_bytes / (self.frame_bytes * frames_per_s)

    def summary(self, frames_per_s: float = 80.0) -> str:
        """Summarise in one line whether frames can be recorded at a rate."""
        possible = f"{self.frames_per_s:.0f} frames/s"
        enough = "keeps up with" if self.frames_per_s >= frames_per_s else "is too slow for"
        return (
            f"{self.folder}: records {self.recording_mb_per_s:.0f} MB/s (plain writing "
            f"{self.sequential_mb_per_s:.0f} MB/s), {possible}; {enough} {frames_per_s:g} frames/s; "
            f"{readable_bytes(self.free_bytes)} left, {self.seconds_at(frames_per_s) / 60:.0f} minutes"
        )


def probe_disk(
    folder: str | Path,
    *,
    bytes_: int = 2 * 10**9,
    frame_shape: tuple[int, int] = (2048, 2448),
    dtype: str = "uint8",
    rounds: int = 3,
) -> DiskSpeed:
    """Measure how fast frames can be recorded in a folder; nothing is left there.

    Parameters
    ----------
    folder : str or Path
    bytes_ : int
        Written in all, half of it plainly and half as a recording; more represents long scans better.
    frame_shape : (H, W)
    dtype : str
        uint8 or uint16.
    rounds : int
        Plain and recorded in turn; the medians count, since others may use the disk too.

    Raises
    ------
    StorageError
        If the folder cannot be written or has too little free space.
    """
    place = Path(folder)
    header = SegmentHeader(shape=frame_shape, dtype=dtype, frames=1)
    if rounds < 1:
        raise InputError(f"disk probe: rounds is {rounds}; give 1 or more")
    count = max(1, bytes_ // (2 * rounds * header.image_bytes))
    require_space(place, count * header.image_bytes)
    header = SegmentHeader(shape=frame_shape, dtype=dtype, frames=count)
    generator = np.random.default_rng(0)
    top = np.iinfo(np.dtype(dtype)).max
    frames = [generator.integers(0, top, frame_shape, dtype=dtype) for _ in range(min(_FRAMES, count))]
    plain, recorded, longest = [], [], 0.0
    try:
        with tempfile.TemporaryDirectory(prefix=".lee-disk-", dir=place) as scratch:
            for _ in range(rounds):
                plain.append(_write_plainly(Path(scratch) / "plain", frames, count))
                seconds, slowest = _record(Path(scratch) / "recorded.raw", frames, header)
                recorded.append(seconds)
                longest = max(longest, slowest)
    except StorageError:  # of a file inside, named already
        raise
    except OSError as error:
        raise StorageError(f"{place}: cannot be written ({error.strerror}); choose another folder") from error
    size = count * header.image_bytes / 1e6
    return DiskSpeed(
        folder=place,
        sequential_mb_per_s=size / median(plain),
        recording_mb_per_s=size / median(recorded),
        longest_append_s=longest,
        free_bytes=free_bytes(place),
        frame_bytes=header.image_bytes,
    )


def _write_plainly(path: Path, frames: list[Counts], count: int) -> float:
    try:
        with path.open("xb", buffering=0) as file:
            begun = perf_counter()
            for k in range(count):
                rest = memoryview(frames[k % len(frames)]).cast("B")  # type: ignore[arg-type]
                while rest:
                    rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
            return perf_counter() - begun
    finally:
        path.unlink()


def _record(path: Path, frames: list[Counts], header: SegmentHeader) -> tuple[float, float]:
    count, longest = header.frames, 0.0
    begun = perf_counter()
    with SegmentWriter(path, header) as writer:
        for k in range(count):
            before = perf_counter()
            writer.append(frames[k % len(frames)], frame_id=k, timestamp_s=before)
            longest = max(longest, perf_counter() - before)
        writer.finish(Ledger(count, -1, count, 0, 0, 0, 0, count))
    seconds = perf_counter() - begun
    path.unlink()
    return seconds, longest
