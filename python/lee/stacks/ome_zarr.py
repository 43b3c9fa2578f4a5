"""OME-Zarr (NGFF 0.4 in zarr v2, 0.5 in zarr v3) and plain zarr arrays as stacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from lee.errors import InputError, reason_of
from lee.stacks.grey import Frame, Samples, as_grey, grey_dtype
from lee.stacks.reader import FrameSource
from lee.storage.length_units import um_per_unit

_MARKERS = ("zarr.json", ".zgroup", ".zarray")

# A chunk may hold several frames; they are decoded once and kept as long as they stay below this.
_MAX_KEPT_BYTES = 256 * 2**20


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((folder / marker).is_file() for marker in _MARKERS)


class ZarrSource(FrameSource):
    """Level 0 of the first multiscale image of an OME-Zarr group, or a plain array (Z, H, W).

    Heights and pixel size come from scale and translation of level 0 and of the whole pyramid. A group may
    state heights with uneven steps as the attribute ``lee: {"z_um": [...]}``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._kept: tuple[int, Samples] | None = None
        try:
            node = zarr.open(str(path), mode="r")
            self._open(node)
        except (InputError, PermissionError):
            raise
        except Exception as error:  # zarr raises many kinds on damaged metadata
            raise InputError(
                f"{path}: is not a readable OME-Zarr or zarr array ({reason_of(error)}); copy it again"
            ) from error

    def _open(self, node: zarr.Array[Any] | zarr.Group) -> None:
        scales = np.ones(3)
        offsets = np.zeros(3)
        units: list[str | None] = [None, None, None]
        if isinstance(node, zarr.Group):
            node, attributes = _image(node, self._path)
            multiscale = attributes["multiscales"][0]
            names = [
                axis if isinstance(axis, str) else axis["name"] for axis in multiscale.get("axes", "tczyx")
            ]
            level = multiscale["datasets"][0]
            array: Any = node[level["path"]]
            self.metadata = {"format": "OME-Zarr"}
        else:
            array, attributes, multiscale, level = node, dict(node.attrs), {}, {}
            names = ["z", "y", "x"] if node.ndim == 3 else [f"axis {i}" for i in range(node.ndim)]
            self.metadata = {"format": "zarr"}
        self._take_axes(array, names)
        if multiscale:
            scales, offsets = _transform(multiscale, level, len(names))
            axes = multiscale.get("axes", names)
            stated = [None if isinstance(axis, str) else axis.get("unit") for axis in axes]
            z, y, x = (names.index(name) for name in "zyx")
            scales, offsets, units = scales[[z, y, x]], offsets[[z, y, x]], [stated[z], stated[y], stated[x]]
            self._calibrate(scales, offsets, units)
        heights = (attributes.get("lee") or {}).get("z_um")
        if heights is not None:
            self.z_um, self.z_um_source = np.asarray(heights, dtype=np.float64), "lee attribute z_um"

    def _take_axes(self, array: Any, names: list[str]) -> None:
        sizes = dict(zip(names, array.shape, strict=True))
        refused = [f"{name} of {n}" for name, n in sizes.items() if name not in ("z", "y", "x") and n > 1]
        if refused or any(name not in sizes for name in "zyx"):
            raise InputError(
                f"{self._path}: axes {','.join(names)} {tuple(array.shape)}: needs z, y and x, not "
                f"{' nor '.join(refused) or 'these'}; save one z-stack to an array of its own"
            )
        if [name for name in names if name in "zyx"] != ["z", "y", "x"]:
            raise InputError(
                f"{self._path}: axes {','.join(names)} are not in the order z, y, x; transpose it"
            )
        self._array = array
        self._names = names
        self.shape = (sizes["z"], sizes["y"], sizes["x"])
        self.dtype = grey_dtype(array.dtype, str(self._path))
        self.metadata["source_dtype"] = str(array.dtype)
        depth = array.chunks[names.index("z")]
        frame_bytes = sizes["y"] * sizes["x"] * array.dtype.itemsize
        self._depth = depth if depth * frame_bytes <= _MAX_KEPT_BYTES else 1

    def _calibrate(
        self, scales: NDArray[np.float64], offsets: NDArray[np.float64], units: list[str | None]
    ) -> None:
        um = [um_per_unit(unit) for unit in units]
        # Without a unit a scale of 1 is a default nobody chose; any other is taken as µm, as writers mean it.
        assumed = [unit is None and bool(scale != 1) for unit, scale in zip(units, scales, strict=True)]
        factor = [1.0 if guess else value for guess, value in zip(assumed, um, strict=True)]
        note = ", unit not stated, taken as µm"
        if factor[0] is not None:
            self.z_um = (offsets[0] + scales[0] * np.arange(self.shape[0], dtype=np.float64)) * factor[0]
            self.z_um_source = "OME-Zarr scale" + note * assumed[0]
        if factor[1] is not None and factor[2] is not None:
            self.pixel_yx_um = (float(scales[1] * factor[1]), float(scales[2] * factor[2]))
            self.pixel_um_source = "OME-Zarr scale" + note * assumed[2]

    def read(self, k: int) -> Frame:
        """Decode frame k, and with it the frames of its chunk."""
        try:
            with self._lock:
                first = k - k % self._depth
                if self._kept is None or self._kept[0] != first:
                    self._kept = None
                    self._kept = (first, self._slab(first, min(first + self._depth, self.shape[0])))
                image = self._kept[1][k - first]
        except Exception as error:  # codecs raise errors of any kind on damaged chunks
            raise InputError(
                f"{self.name(k)}: cannot be decoded, a chunk is damaged or truncated ({reason_of(error)}); "
                "copy it again or leave the frame out"
            ) from error
        frame = as_grey(image, self.name(k))
        return frame.copy() if np.may_share_memory(frame, image) else frame

    def _slab(self, start: int, stop: int) -> Samples:
        selection = tuple(
            slice(start, stop) if name == "z" else slice(None) if name in ("y", "x") else 0
            for name in self._names
        )
        return np.asarray(self._array[selection])

    def name(self, k: int) -> str:
        """Path and frame number."""
        return f"{self._path}, frame {k}"


def _image(group: zarr.Group, path: Path) -> tuple[zarr.Group, Mapping[str, Any]]:
    """Find the multiscale image in a group, or in its one numbered subgroup, as bioformats2raw writes."""
    attributes = _attributes(group)
    if "multiscales" in attributes:
        if len(attributes["multiscales"]) != 1:
            raise InputError(f"{path}: holds {len(attributes['multiscales'])} multiscale images; give one")
        return group, attributes
    if "0" in group and isinstance(inner := group["0"], zarr.Group):
        if "1" in group:
            raise InputError(f"{path}: holds several images; give one, such as {path / '0'}")
        return inner, _attributes(inner)
    raise InputError(
        f"{path}: is a zarr group without multiscales metadata; give an OME-Zarr image or an array"
    )


def _attributes(group: zarr.Group) -> Mapping[str, Any]:
    attributes: dict[str, Any] = dict(group.attrs)
    return {**attributes, **attributes.get("ome", {})}


def _transform(
    multiscale: Mapping[str, Any], level: Mapping[str, Any], ndim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and translation of level 0: its own transforms, then those of the whole pyramid."""
    scale, offset = np.ones(ndim), np.zeros(ndim)
    steps = [*level.get("coordinateTransformations", []), *multiscale.get("coordinateTransformations", [])]
    for step in steps:
        if step["type"] == "scale":
            factor = np.asarray(step["scale"], dtype=np.float64)
            scale, offset = scale * factor, offset * factor
        elif step["type"] == "translation":
            offset = offset + np.asarray(step["translation"], dtype=np.float64)
    return scale, offset


class ZarrReader:
    """An OME-Zarr image, or a plain zarr array."""

    name = "OME-Zarr"
    reads = "an OME-Zarr image or zarr array"

    def recognises(self, path: Path) -> bool:
        """Whether it is a folder with the metadata of zarr."""
        return path.is_dir() and is_zarr(path)

    def open(self, path: Path) -> ZarrSource:
        """Read the metadata; chunks are read with their frames."""
        return ZarrSource(path)
