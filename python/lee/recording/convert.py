"""Convert a recorded scan to a sharded OME-Zarr, checked frame by frame against the recording."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from lee.errors import InputError
from lee.recording.heights import checked_z, heights_of, recorded_facts
from lee.recording.segment_reader import SegmentReader
from lee.storage.atomic import new_folder
from lee.storage.durable import sync_folder, sync_tree

FrameArray: TypeAlias = "zarr.Array[Any]"

FILES = frozenset({"zarr.json", "0"})
# Inner chunks are small, so that a region is read without the whole field; a file fits into memory.
_INNER_PX = 512
_SHARD_BYTES = 128 * 2**20


def convert(
    segment: str | Path,
    path: str | Path | None = None,
    *,
    remove_raw: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make an OME-Zarr (NGFF 0.5, zarr v3, sharded) of a recorded scan.

    Every frame is read back and compared with its checksum in the recording before the result takes its name.
    Frames that a stack cannot hold are skipped and named in the attributes: damaged ones, incomplete ones,
    and those whose height is not known.

    Parameters
    ----------
    segment : str or Path
        The recorded scan, ``.raw``.
    path : str or Path, optional
        Folder to make; beside the recording with the suffix ``.zarr`` by default, where a run finds it in the
        recording's place.
    remove_raw : bool
        Remove the recording once the result is checked and safe on the disk. Refused where frames were
        skipped, or the recording was not finished: it then holds more than the result.
    overwrite : bool
        Replace an older result.
    progress : callable, optional
        Called with frames done and frames in all, each counted for writing and for checking.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If there is no recording, it is still being written, heights are unknown, or the place cannot be
        written.
    """
    raw = Path(segment)
    place = raw.with_suffix(".zarr") if path is None else Path(path)
    with SegmentReader(raw) as scan:
        if scan.being_written:
            raise InputError(f"{raw}: is being recorded now; convert it when the scan has ended")
        heights, source = heights_of(scan)
        if heights is None:
            raise InputError(f"{raw}: has no heights, neither of its frames nor by a plan; keep it as it is")
        kept = np.array(
            [k for k in np.flatnonzero(scan.complete & np.isfinite(heights)) if not scan.fault(int(k))],
            dtype=np.intp,
        )
        if len(kept) == 0:
            raise InputError(f"{raw}: holds no complete frame; there is nothing to convert")
        checked_z(heights[kept], len(kept), f"{raw}, {source}")
        if remove_raw:
            _refuse_to_remove(scan, len(kept))
        with new_folder(place, overwrite=overwrite, known=FILES) as partial:
            group = zarr.create_group(
                str(partial), zarr_format=3, attributes=_attributes(scan, kept, heights[kept], source)
            )
            array = _array(group, scan, len(kept))
            _write(array, scan, kept, progress)
            _check(partial, scan, kept, progress)
            if remove_raw:
                sync_tree(partial)
    if remove_raw:
        sync_folder(place.parent)
        raw.unlink()
        sync_folder(raw.parent)
    return place


def _refuse_to_remove(scan: SegmentReader, kept: int) -> None:
    reason = ""
    if not scan.finished:
        reason = "was not finished"
    elif kept < len(scan):
        reason = f"holds {len(scan) - kept} frames that a stack cannot hold"
    if reason:
        raise InputError(f"{scan.path}: {reason}, so it is not removed; convert it without remove_raw")


def _attributes(
    scan: SegmentReader, kept: NDArray[np.intp], z_um: NDArray[np.float64], source: str
) -> dict[str, object]:
    header = scan.header
    step = float(np.median(np.diff(z_um))) if len(z_um) > 1 else 1.0
    pixel = header.pixel_um if header.pixel_um is not None else 1.0
    # A pixel of 1 without a unit means that its size is not known.
    space: dict[str, str] = {"type": "space"} | ({} if header.pixel_um is None else {"unit": "micrometer"})
    transforms = [
        {"type": "scale", "scale": [abs(step), pixel, pixel]},
        {"type": "translation", "translation": [float(z_um.min()), 0.0, 0.0]},
    ]
    return {
        "ome": {
            "version": "0.5",
            "multiscales": [
                {
                    "name": scan.path.stem,
                    "axes": [
                        {"name": "z", "type": "space", "unit": "micrometer"},
                        {"name": "y", **space},
                        {"name": "x", **space},
                    ],
                    "datasets": [{"path": "0", "coordinateTransformations": transforms}],
                }
            ],
        },
        "lee": {
            "z_um": z_um.tolist(),
            "z_um_source": source,
            "frame_id": scan.frame_id[kept].tolist(),
            "timestamp_s": [float(time) if np.isfinite(time) else None for time in scan.timestamp_s[kept]],
            "crc32": [scan.crc(int(k)) for k in kept],
            "left_out": [scan.name(int(k)) for k in np.setdiff1d(np.arange(len(scan)), kept)],
            "header": header.to_json(),
            "ledger": None if scan.ledger is None else scan.ledger.to_json(),
            "recording": recorded_facts(scan)["recording"],
            "notes": scan.notes,
        },
    }


def _array(group: zarr.Group, scan: SegmentReader, count: int) -> FrameArray:
    inner = tuple(min(n, _INNER_PX) for n in scan.header.shape)
    whole = tuple(-(-n // m) * m for n, m in zip(scan.header.shape, inner, strict=True))
    frame_bytes = whole[0] * whole[1] * np.dtype(scan.header.dtype).itemsize
    depth = min(count, max(1, _SHARD_BYTES // frame_bytes))
    return group.create_array(
        "0",
        shape=(count, *scan.header.shape),
        chunks=(1, *inner),
        shards=(depth, *whole),
        dtype=scan.header.dtype,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        dimension_names=("z", "y", "x"),
    )


def _write(
    array: FrameArray,
    scan: SegmentReader,
    kept: NDArray[np.intp],
    progress: Callable[[int, int], None] | None,
) -> None:
    assert array.shards is not None  # `_array` gave them
    depth = array.shards[0]
    for first in range(0, len(kept), depth):
        frames = kept[first : first + depth]
        array[first : first + len(frames)] = np.stack([scan.read(int(k)) for k in frames])
        if progress is not None:
            progress(first + len(frames), 2 * len(kept))


def _check(
    place: Path, scan: SegmentReader, kept: NDArray[np.intp], progress: Callable[[int, int], None] | None
) -> None:
    """Read everything back: every frame must have the checksum it was recorded with."""
    array: Any = zarr.open_group(str(place), mode="r", zarr_format=3)["0"]
    for number, k in enumerate(kept):
        image: Any = np.ascontiguousarray(array[number], dtype=np.dtype(scan.header.dtype).newbyteorder("<"))
        if zlib.crc32(image) != scan.crc(int(k)):
            raise InputError(
                f"{place.name}: {scan.name(int(k))} differs from what was recorded when it is read back; "
                "check the disk and the memory; the recording is kept"
            )
        if progress is not None:
            progress(len(kept) + number + 1, 2 * len(kept))
