"""Zarr stores of maps, read by their checksums: damaged parts are named and NaN, the rest is used."""

from __future__ import annotations

import errno
import json
import warnings
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, StorageError, reason_of
from lee.storage.atomic import replace
from lee.storage.durable import sync_file

_CHECKSUM = "checksum_crc32"
# Of the damaged parts of one map, how many a warning names.
_NAMED = 3


def consolidate(path: Path, changed: Collection[str] | None = None) -> None:
    """Gather the sizes of all arrays in the group's own file, with a checksum, and replace it at once.

    Where `changed` names those that were resized, the others stay as the group's file has them: their own
    files may be damaged.
    """
    place = path / "zarr.json"
    group = json.loads(place.read_text(encoding="utf-8"))
    known = {} if changed is None else (group.get("consolidated_metadata") or {}).get("metadata", {})
    described = {name: held for name, held in known.items() if name not in (changed or ())}
    for one in path.glob("*/zarr.json"):
        if one.parent.name not in described:
            described[one.parent.name] = json.loads(one.read_text(encoding="utf-8"))
    group["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": dict(sorted(described.items())),
    }
    group["attributes"] = {**group.get("attributes", {}), _CHECKSUM: _checksum(group)}
    partial = path / "zarr.json.partial"
    partial.write_text(json.dumps(group, indent=2), encoding="utf-8")
    sync_file(partial)
    replace(partial, place)


def check_description(path: Path) -> None:
    """Compare the group's own file with its checksum; one of an older lee has none.

    Raises
    ------
    ValueError
        If they differ, or the file is no JSON object.
    """
    group = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    if not isinstance(group, dict) or not isinstance(group.get("attributes", {}), dict):
        raise ValueError("its zarr.json is damaged")
    stated = group.get("attributes", {}).get(_CHECKSUM)
    if stated is not None and stated != _checksum(group):
        raise ValueError("its zarr.json differs from its checksum")


def _checksum(group: Mapping[str, Any]) -> int:
    attributes = {name: value for name, value in group["attributes"].items() if name != _CHECKSUM}
    return zlib.crc32(json.dumps({**group, "attributes": attributes}, sort_keys=True).encode())


def read_map(array: Any, k: int, where: str) -> NDArray[np.float32]:
    """Read map k of an array (t, y, x), with a warning and NaN where its chunks are damaged.

    Parameters
    ----------
    array : zarr.Array (T, H, W)
    k : int
        From 0.
    where : str
        File and scan, for the warning.

    Returns
    -------
    (H, W) float32

    Raises
    ------
    StorageError
        If the system refuses to read.
    """
    try:
        _refuse_empty(array, (k, 0, 0))
        return np.asarray(array[k], dtype=np.float32)
    except Exception as error:  # codecs raise errors of any kind on damaged chunks
        _refuse_if_unreadable(error, where)
    _, rows, columns = array.shape
    _, high, wide = array.chunks
    found = np.full((rows, columns), np.nan, np.float32)
    damaged = []
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            part = (slice(top, min(top + high, rows)), slice(left, min(left + wide, columns)))
            try:
                _refuse_empty(array, (k, 0, 0))
                found[part] = array[(k, *part)]
            except Exception as error:
                _refuse_if_unreadable(error, where)
                damaged.append(f"rows {top} to {part[0].stop - 1}, columns {left} to {part[1].stop - 1}")
    shown = "; ".join(damaged[:_NAMED])
    more = f" and {len(damaged) - _NAMED} chunks more" if len(damaged) > _NAMED else ""
    warnings.warn(
        f"{where}: {shown}{more}: damaged on the disk, taken as not measured; measure the scan again "
        "(lee series --from-scratch), or copy the folder again",
        stacklevel=3,
    )
    return found


def read_values(array: Any, where: str) -> NDArray[Any]:
    """Read a whole array of few values, such as the times of the scans.

    Raises
    ------
    InputError
        If a chunk of it is damaged.
    StorageError
        If the system refuses to read.
    """
    try:
        for chunk in range(array.nchunks):
            _refuse_empty(array, (chunk,))
        return np.asarray(array[:])
    except Exception as error:
        _refuse_if_unreadable(error, where)
        raise InputError(
            f"{where}: damaged on the disk ({reason_of(error)}); copy the folder again, or make it again "
            "(lee series --from-scratch)"
        ) from error


def read_value(array: Any, k: int, where: str) -> Any:
    """Read value k of an array whose values have a chunk each; None, with a warning, where it is damaged.

    Raises
    ------
    StorageError
        If the system refuses to read.
    """
    try:
        return array[k]
    except Exception as error:
        _refuse_if_unreadable(error, where)
        warnings.warn(f"{where}: damaged on the disk, taken as missing", stacklevel=3)
        return None


def forget_map(array: Any, k: int) -> None:
    """Remove map k of an array (t, y, x), which is one file, before another is written: it may be damaged.

    Otherwise what lies there would be read first, since a chunk is larger than the rest of a map.
    """
    _file_of(array, (k, 0, 0)).unlink(missing_ok=True)


def _file_of(array: Any, chunk: tuple[int, ...]) -> Path:
    return Path(array.store.root) / str(array.path) / str(array.metadata.encode_chunk_key(chunk))


def _refuse_empty(array: Any, chunk: tuple[int, ...]) -> None:
    """Raise ``ValueError`` for a file without a byte, as a power cut leaves it; zarr takes it for absent."""
    place = _file_of(array, chunk)
    if place.is_file() and place.stat().st_size == 0:
        raise ValueError("a file of it is empty")


def _refuse_if_unreadable(error: Exception, where: str) -> None:
    """Tell a system that refuses, such as for want of file handles, from bytes that are damaged."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EIO):
        raise StorageError(f"{where}: cannot be read ({error.strerror or error})") from error
