"""The arrays of a store of surfaces, and the file in which readers find them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import zarr

MAPS = {
    "height_um": ("um", "measured height, NaN where not measured"),
    "height_sigma_um": ("um", "standard deviation of the measured height"),
    "height_filled_um": ("um", "height with gaps filled"),
    "refocused": ("counts", "image in focus throughout"),
}
_KEPT = (*MAPS, "time_s", "scan", "phase", "y_um", "x_um", "state", "record")
FILES = frozenset({"zarr.json", *_KEPT})
# Of one inner chunk: small enough that a region is read without the whole field.
_INNER_PX = 256
# Of what only the owner of the run writes.
_SCANS_A_CHUNK = 256


def make_arrays(group: Any, count: int, shape: tuple[int, int]) -> None:
    """Make the arrays of `count` scans in an empty group."""
    inner = tuple(min(n, _INNER_PX) for n in shape)
    shard = tuple(-(-n // m) * m for n, m in zip(shape, inner, strict=True))
    for name, (unit, meaning) in MAPS.items():
        group.create_array(
            name,
            shape=(count, *shape),
            chunks=(1, *inner),
            shards=(1, *shard),
            dtype="float32",
            fill_value=float("nan"),
            dimension_names=("t", "y", "x"),
            attributes={"units": unit, "long_name": meaning},
        )
    one = (_SCANS_A_CHUNK,)
    for name, axis, kind, chunk, said in (
        ("time_s", "t", "float64", one, {"units": "s", "long_name": "time when the scan began"}),
        ("scan", "t", "string", one, {"long_name": "name of the scan"}),
        ("phase", "t", "string", one, {"long_name": "what the cell was doing"}),
        ("y_um", "y", "float64", shape[:1], {"units": "um", "long_name": "distance down the image"}),
        ("x_um", "x", "float64", shape[1:], {"units": "um", "long_name": "distance along the image"}),
        ("state", "t", "uint8", (1,), {"long_name": "0 waiting, 1 written, 2 failed",
                                       "flag_values": [0, 1, 2], "flag_meanings": "waiting written failed"}),
        ("record", "t", "string", (1,), {"long_name": "how the surface came about, JSON"}),
    ):  # fmt: skip
        size = {"t": count, "y": shape[0], "x": shape[1]}[axis]
        group.create_array(
            name, shape=(size,), chunks=chunk, dtype=kind, dimension_names=(axis,), attributes=said
        )


def consolidate(path: Path) -> None:
    """Gather the sizes of all arrays in the group's own file, which is replaced at once."""
    with warnings.catch_warnings():
        # Readers that do not know of it find the sizes array by array.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(str(path), zarr_format=3)
