"""NDTiff data sets: a folder with TIFF files and an index that places every frame by its axes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from lee.errors import InputError, reason_of
from lee.stacks.grey import Frame, Samples, as_grey, as_rgb, grey_dtype
from lee.stacks.micro_manager.metadata import calibration_of_frames, in_order, parsed
from lee.stacks.reader import FrameSource, PlaneSet

INDEX = "NDTiff.index"
_AXES = {"z": "z", "time": "t", "channel": "c", "position": "p"}
# Pixel type -> dtype and samples a pixel.
_PIXELS = {0: ("u1", 1), 2: ("u1", 3), **dict.fromkeys((1, 3, 4, 5, 6), ("<u2", 1))}


class IndexEntry(NamedTuple):
    """Where one frame is: its axes, file, pixels and metadata."""

    axes: dict[str, int | str]
    file: str
    offset: int
    width: int
    height: int
    pixel_type: int
    compression: int
    metadata_offset: int
    metadata_bytes: int


def read_index(path: Path) -> list[IndexEntry]:
    """Read the index; an entry that a crash left half written ends it.

    Raises
    ------
    InputError
        If it has no whole entry, or states something that is no frame.
    """
    data, place, found = path.read_bytes(), 0, []
    try:
        while place < len(data):
            (length,) = struct.unpack_from("<I", data, place)
            axes = parsed(data[place + 4 : place + 4 + length])
            place += 4 + length
            (length,) = struct.unpack_from("<I", data, place)
            file = data[place + 4 : place + 4 + length].decode("utf-8")
            place += 4 + length
            numbers = struct.unpack_from("<8I", data, place)
            place += 32
            known = {
                name: value if isinstance(value, int | str) else str(value) for name, value in axes.items()
            }
            found.append(IndexEntry(known, file, *numbers[:7]))
    except (struct.error, UnicodeDecodeError):
        pass
    if not found:
        raise InputError(f"{path}: has no whole entry; copy the data set again")
    return found


class NdTiffPlanes(PlaneSet):
    """The frames of an NDTiff data set along its axes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        entries = read_index(folder / INDEX)
        names = list(dict.fromkeys(name for entry in entries for name in entry.axes))
        values = {name: in_order([entry.axes.get(name, 0) for entry in entries]) for name in names}
        self.axes, self.labels = {}, {}
        self._keys: dict[str, str] = {}
        for k, name in enumerate(names):
            axis = _AXES.get(name, str(k))
            self._keys[axis] = name
            self.axes[axis] = len(values[name])
            if any(isinstance(value, str) for value in values[name]):
                self.labels = {**self.labels, axis: [str(value) for value in values[name]]}
        self._values = values
        # A frame that was written twice counts as it was written last.
        self.entries = {tuple(entry.axes.get(name, 0) for name in names): entry for entry in entries}
        self.scanned = frozenset[str]()

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> NdTiffStack:
        """Open the frames along `depth`."""
        count = 1 if depth is None else self.axes[depth]
        found: list[IndexEntry | None] = []
        for k in range(count):
            place = {**fixed, **({depth: k} if depth is not None else {})}
            key = tuple(self._values[name][place[axis]] for axis, name in self._keys.items())
            found.append(self.entries.get(key))
        return NdTiffStack(self.folder, found, along_z=depth == "z")


class NdTiffStack(FrameSource):
    """One stack of an NDTiff data set."""

    def __init__(self, folder: Path, entries: Sequence[IndexEntry | None], *, along_z: bool) -> None:
        self._folder = folder
        present = [entry for entry in entries if entry is not None and self._is_whole(entry)]
        lost = len(entries) - len(present)
        if not present or any(entry is None for entry in entries[: len(present)]):
            gap = next(
                (k for k, entry in enumerate(entries) if entry is None or not self._is_whole(entry)), 0
            )
            raise InputError(f"{folder}: frame {gap} of {len(entries)} is missing; copy the data set again")
        if lost:
            self.notes = (
                f"holds {len(present)} of the {len(entries)} frames of this stack, as after an acquisition "
                f"that was stopped; the last {lost} are missing",
            )
        self._entries = present
        first = present[0]
        for k, entry in enumerate(present):
            if (entry.width, entry.height, entry.pixel_type) != (first.width, first.height, first.pixel_type):
                raise InputError(f"{self.name(k)}: is of another size or kind than the first frame")
        if first.compression or first.pixel_type not in _PIXELS:
            raise InputError(
                f"{self.name(0)}: pixels of type {first.pixel_type}, compression {first.compression}, are "
                "not read; export the data set as OME-TIFF"
            )
        self._layout = np.dtype(_PIXELS[first.pixel_type][0])
        self._samples = _PIXELS[first.pixel_type][1]
        self.shape = (len(present), first.height, first.width)
        self.dtype = grey_dtype(self._layout, str(folder))
        self.metadata = {"format": "NDTiff", "source_dtype": self._layout.name}
        self.colour = self._samples > 1
        if self.colour:
            self.metadata["luminance"] = "Rec. 601"
        calibration_of_frames(
            [self._facts(entry) for entry in present], self._summary(first), along_z=along_z
        ).apply_to(self)

    def _is_whole(self, entry: IndexEntry) -> bool:
        path = self._folder / entry.file
        dtype, samples = _PIXELS.get(entry.pixel_type, ("u1", 1))
        count = entry.width * entry.height * samples * np.dtype(dtype).itemsize
        return path.is_file() and path.stat().st_size >= entry.offset + count

    def _facts(self, entry: IndexEntry) -> Mapping[str, object]:
        with (self._folder / entry.file).open("rb") as file:
            file.seek(entry.metadata_offset)
            return parsed(file.read(entry.metadata_bytes))

    def _summary(self, entry: IndexEntry) -> Mapping[str, object]:
        try:
            with tifffile.TiffFile(self._folder / entry.file) as tif:
                return parsed((tif.micromanager_metadata or {}).get("Summary"))
        except Exception:  # the summary only adds to what the frames state
            return {}

    def read(self, k: int) -> Frame:
        """Read frame k."""
        return as_grey(self._decoded(k), self.name(k))

    def read_rgb(self, k: int) -> Frame:
        """Read frame k in colour."""
        return as_rgb(self._decoded(k), self.name(k))

    def _decoded(self, k: int) -> Samples:
        entry = self._entries[k]
        count = entry.width * entry.height * self._samples
        try:
            pixels = np.fromfile(self._folder / entry.file, self._layout, count, offset=entry.offset)
            return pixels.reshape((entry.height, entry.width) + (self._samples,) * (self._samples > 1))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.name(k)}: cannot be read, its file is truncated ({reason_of(error)}); copy it again"
            ) from error

    def name(self, k: int) -> str:
        """File and frame number."""
        entry = self._entries[k]
        return f"{self._folder / entry.file}, frame {k} ({entry.axes})"


class NdTiffReader:
    """An NDTiff data set of Micro-Manager or Pycro-Manager: its folder, or a file of it."""

    name = "NDTiff"
    reads = f"an NDTiff data set (a folder with {INDEX})"

    def recognises(self, path: Path) -> bool:
        """Whether the index is there."""
        folder = path if path.is_dir() else path.parent
        return (folder / INDEX).is_file() and (path.is_dir() or path.suffix.lower() == ".tif")

    def open(self, path: Path) -> NdTiffPlanes:
        """Read the index; frames are read when asked for."""
        return NdTiffPlanes(path if path.is_dir() else path.parent)
