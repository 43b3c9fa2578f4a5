"""The arrays of a store of surfaces in zarr: maps, coordinates, and the state of each scan.

Every chunk ends with its CRC-32C, which is zarr's own codec, and the group's own file holds one of itself:
what was damaged on the disk is never read as other values. `lee.storage.checked_zarr` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

MAPS = {
    "height_um": ("um", "measured height, NaN where not measured"),
    "height_sigma_um": ("um", "standard deviation of the measured height"),
    "height_filled_um": ("um", "height with gaps filled"),
    "refocused": ("counts", "image in focus throughout"),
}
AXES = ("time_s", "scan", "phase", "y_um", "x_um")
FILES = frozenset({"zarr.json", *MAPS, *AXES, "state", "record"})
# Of one inner chunk: small enough that a region is read without the whole field.
_INNER_PX = 256
# Of what only the owner of the run writes.
_SCANS_A_CHUNK = 256
_CODECS = (ZstdCodec(level=0), Crc32cCodec())


def make_maps(group: Any, maps: Mapping[str, tuple[str, str]], count: int, shape: tuple[int, int]) -> None:
    """Make a float32 array (t, y, x) for each of `maps`, name to (unit, meaning); scans share no file."""
    inner = tuple(min(n, _INNER_PX) for n in shape)
    shard = tuple(-(-n // m) * m for n, m in zip(shape, inner, strict=True))
    for name, (unit, meaning) in maps.items():
        group.create_array(
            name,
            shape=(count, *shape),
            chunks=(1, *inner),
            shards=(1, *shard),
            dtype="float32",
            compressors=_CODECS,
            fill_value=float("nan"),
            dimension_names=("t", "y", "x"),
            attributes={"units": unit, "long_name": meaning},
        )


def make_axes(
    group: Any,
    *,
    times_s: NDArray[np.float64],
    scans: Sequence[str],
    phases: Sequence[str],
    shape: tuple[int, int],
    pixel_um: float,
) -> None:
    """Make and fill the coordinates of maps (t, y, x)."""
    for name, axis, kind, meaning, values in (
        ("time_s", "t", "float64", "time when the scan began", times_s),
        ("scan", "t", "string", "name of the scan", np.array([str(name) for name in scans], dtype=object)),
        ("phase", "t", "string", "what the cell was doing", np.array(list(phases), dtype=object)),
        ("y_um", "y", "float64", "distance down the image", np.arange(shape[0]) * pixel_um),
        ("x_um", "x", "float64", "distance along the image", np.arange(shape[1]) * pixel_um),
    ):
        chunk = _SCANS_A_CHUNK if axis == "t" else len(values)
        attributes = {"long_name": meaning} | ({"units": name.split("_")[1]} if kind == "float64" else {})
        array = group.create_array(
            name,
            shape=(len(values),),
            chunks=(chunk,),
            dtype=kind,
            compressors=_CODECS,
            dimension_names=(axis,),
            attributes=attributes,
        )
        array[:] = values


def make_states(group: Any, count: int) -> None:
    """Make the state and the record of each scan, one file per scan."""
    flags = {"flag_values": [0, 1, 2], "flag_meanings": "waiting written failed"}
    for name, kind, attributes in (
        ("state", "uint8", {"long_name": "whether the scan is written", **flags}),
        ("record", "string", {"long_name": "how the surface came about, JSON"}),
    ):
        group.create_array(
            name,
            shape=(count,),
            chunks=(1,),
            dtype=kind,
            compressors=_CODECS,
            dimension_names=("t",),
            attributes=attributes,
        )
