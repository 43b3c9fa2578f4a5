"""OME-Zarr images, in a folder or zipped, and plain zarr arrays as stacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import ZipFile

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import ZipStore

from lee.errors import InputError, reason_of
from lee.stacks.array import last_axis_doubt
from lee.stacks.grey import Frame, Samples, as_grey, grey_dtype
from lee.stacks.ome_zarr.chunks import missing_data
from lee.stacks.ome_zarr.metadata import NgffImage, images_of
from lee.stacks.reader import FrameSource, PlaneSet

_MARKERS = ("zarr.json", ".zgroup", ".zarray")
_ZIPPED = (".ozx", ".zip")

# A chunk may hold several frames; they are decoded once and kept as long as they stay below this.
_MAX_KEPT_BYTES = 256 * 2**20
_SHOWN = 5


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((folder / marker).is_file() for marker in _MARKERS)


class ZarrPlanes(PlaneSet):
    """Level 0 of an OME-Zarr image, or of several of equal shape, which are positions; or a plain array."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zip: ZipStore | None = None
        try:
            if path.is_file():
                with ZipFile(path) as archive:
                    self._zipped = set(archive.namelist())
                self.zip = ZipStore(path, mode="r")
            self.images = images_of(zarr.open(self.zip or str(path), mode="r"), path)
            self._take_axes()
        except (InputError, PermissionError):
            self.close()
            raise
        except Exception as error:  # zarr raises many kinds on damaged metadata
            self.close()
            raise InputError(
                f"{path}: is not a readable OME-Zarr or zarr array ({reason_of(error)}); copy it again"
            ) from error

    def _take_axes(self) -> None:
        first = self.images[0]
        shape = tuple(first.array.shape)
        if any(image.array.shape != shape or image.axes != first.axes for image in self.images):
            shapes = ", ".join(str(tuple(image.array.shape)) for image in self.images[:_SHOWN])
            raise InputError(
                f"{self.path}: holds {len(self.images)} images of different shape ({shapes}); give one, such "
                f"as {self.path / '0'}"
            )
        if [axis for axis in first.axes if axis in "yx"] != ["y", "x"]:
            raise InputError(
                f"{self.path}: axes {','.join(first.axes) or 'none'} {shape}: needs y and x in this order; "
                "transpose it"
            )
        self.axes = {axis: n for axis, n in zip(first.axes, shape, strict=True) if axis not in "yx"}
        self.labels, self.times_s = first.labels, first.times_s()
        if len(self.images) > 1:
            self.axes = {"p": len(self.images)} | self.axes

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> ZarrStack:
        """Open the planes along `depth`."""
        image = self.images[fixed.get("p", 0) if len(self.images) > 1 else 0]
        return ZarrStack(self, image, depth, dict(fixed))

    def has_key(self, image: NgffImage, key: str) -> bool:
        """Whether the store holds a chunk of an image."""
        place = f"{image.array.path}/{key}".lstrip("/")
        if self.zip is None:
            return (self.path / place).exists()
        return place in self._zipped

    def close(self) -> None:
        """Close a zip file."""
        if self.zip is not None:
            self.zip.close()


class ZarrStack(FrameSource):
    """One stack of an image."""

    def __init__(
        self, planes: ZarrPlanes, image: NgffImage, depth: str | None, fixed: dict[str, int]
    ) -> None:
        self._planes = planes
        self._lock = Lock()
        self._kept: tuple[int, Samples] | None = None
        self._array, self._axes, self._depth_axis, self._fixed = image.array, image.axes, depth, fixed
        sizes = dict(zip(image.axes, self._array.shape, strict=True))
        count = 1 if depth is None else sizes[depth]
        self.shape = (count, sizes["y"], sizes["x"])
        self.dtype = grey_dtype(self._array.dtype, str(planes.path))
        self.metadata = {"format": "OME-Zarr" if image.is_ome else "zarr"}
        self.metadata["source_dtype"] = str(self._array.dtype)
        edge = 1 if depth is None else self._array.chunks[image.axes.index(depth)]
        frame_bytes = sizes["y"] * sizes["x"] * self._array.dtype.itemsize
        self._together = edge if edge * frame_bytes <= _MAX_KEPT_BYTES else 1
        image.calibration(depth, count).apply_to(self)
        if math.prod(self.shape):
            none, part = missing_data(
                self._array, image.axes, depth, fixed, lambda key: planes.has_key(image, key)
            )
            self.notes = _missing(none, part, count, str(planes.path))
        if not image.is_ome and not getattr(self._array.metadata, "dimension_names", None):
            self.notes = (*self.notes, *last_axis_doubt(self.shape))

    def read(self, k: int) -> Frame:
        """Decode frame k, and with it the frames of its chunk."""
        try:
            with self._lock:
                first = k - k % self._together
                if self._kept is None or self._kept[0] != first:
                    self._kept = None
                    self._kept = (first, self._slab(first, min(first + self._together, self.shape[0])))
                image = self._kept[1][k - first]
        except Exception as error:  # codecs raise errors of any kind on damaged chunks
            raise InputError(
                f"{self.name(k)}: cannot be decoded, a chunk is damaged or truncated ({reason_of(error)}); "
                "copy it again or leave the frame out"
            ) from error
        frame = as_grey(image, self.name(k))
        return frame.copy() if np.may_share_memory(frame, image) else frame

    def _slab(self, start: int, stop: int) -> Samples:
        index: list[Any] = []
        for axis in self._axes:
            if axis == self._depth_axis:
                index.append(slice(start, stop))
            else:
                index.append(slice(None) if axis in "yx" else self._fixed.get(axis, 0))
        found = np.asarray(self._array[tuple(index)])
        return found if self._depth_axis is not None else found[None]

    def name(self, k: int) -> str:
        """Path and frame number."""
        return f"{self._planes.path}, frame {k}"

    def close(self) -> None:
        """Close a zip file."""
        self._planes.close()


def _missing(none: NDArray[np.intp], part: NDArray[np.intp], count: int, where: str) -> tuple[str, ...]:
    if len(none) == count:
        raise InputError(f"{where}: no chunk of its {count} frames is there; copy it again")
    said = []
    if len(none):
        said.append(
            f"frame{_listed(none)} without data, the chunks are missing; black is read in their place"
        )
    if len(part):
        said.append(
            f"frame{_listed(part)} lacking some chunks, which are read as black: either they are missing, or "
            "the program that wrote them leaves out what is black"
        )
    return tuple(said)


def _listed(frames: NDArray[np.intp]) -> str:
    shown = ", ".join(str(k) for k in frames[:_SHOWN])
    more = f" and {len(frames) - _SHOWN} more" if len(frames) > _SHOWN else ""
    return f" {shown} is" if len(frames) == 1 else f"s {shown}{more} are"


class ZarrReader:
    """An OME-Zarr image, in a folder or zipped, or a plain zarr array."""

    name = "OME-Zarr"
    reads = "an OME-Zarr image or zarr array (a folder, or .ozx)"

    def recognises(self, path: Path) -> bool:
        """Whether it is a folder with the metadata of zarr, or a zipped one."""
        if path.is_dir():
            return is_zarr(path)
        name = path.name.lower()
        return name.endswith(_ZIPPED) and (name.endswith(".ozx") or ".zarr" in name) and path.is_file()

    def open(self, path: Path) -> ZarrPlanes:
        """Read the metadata; chunks are read with their frames."""
        return ZarrPlanes(path)
