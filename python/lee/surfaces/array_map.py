"""Height maps in ``.npy`` files, in µm, with their pixel size in a JSON file beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, reason_of
from lee.storage.refusals import unreadable

_SQUARE = 1e-3
# (y, x) of a pixel, under the names that are in use.
_NAMES = (("pixel_um", "pixel_um"), ("pixel_um_axis0", "pixel_um_axis1"))


def read_array_map(path: Path, *, pixel_um: float | None = None) -> tuple[NDArray[np.float32], float | None]:
    """Read a height map, (H, W) float32 µm, NaN where not measured, and the size of a pixel in µm.

    Parameters
    ----------
    path : Path
        The ``.npy`` file. ``map.json`` beside ``map.npy`` may state ``pixel_um``, or ``pixel_um_axis0`` and
        ``pixel_um_axis1`` for rows and columns.
    pixel_um : float, µm, optional
        Size of a pixel, where it is known; that of the JSON file is then ignored.

    Returns
    -------
    height_um : (H, W) float32
    pixel_um : float or None
        None where it is not stated.

    Raises
    ------
    InputError
        If a file is damaged, the array is no map of numbers, or pixels are not square.
    StorageError
        If the system refuses to read it.
    """
    if not path.is_file():
        raise InputError(f"{path}: is not a file; give a height map")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except PermissionError as error:
        raise unreadable(path, error, "check its permissions") from error
    except Exception as error:  # a damaged header raises errors of many kinds
        raise InputError(
            f"{path}: not a readable .npy array, perhaps truncated ({reason_of(error)}); copy it again"
        ) from error
    if array.ndim != 2 or array.dtype.kind not in "uif" or not array.size:
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}: one map of heights in µm, (H, W), is needed"
        )
    height = np.array(array, dtype=np.float32)
    return height, _stated_pixel_um(path.with_suffix(".json")) if pixel_um is None else pixel_um


def _stated_pixel_um(path: Path) -> float | None:
    if not path.is_file():
        return None
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error, "check its permissions") from error
    except ValueError as error:
        raise InputError(
            f"{path}: cannot be read as JSON ({reason_of(error)}); correct it, or give the size of a pixel "
            "in µm (--pixel-um, pixel_um=)"
        ) from error
    for names in _NAMES:
        if not isinstance(stated, dict) or any(name not in stated for name in names):
            continue
        sizes = [stated[name] for name in names]
        if any(isinstance(v, bool) or not isinstance(v, int | float) or not 0 < v < np.inf for v in sizes):
            raise InputError(f"{path}: {' and '.join(dict.fromkeys(names))} must be µm above 0, not {sizes}")
        y, x = (float(v) for v in sizes)
        if abs(y - x) > _SQUARE * x:
            raise InputError(
                f"{path}: pixels of {x:g} × {y:g} µm (x, y) are not square: resample the map, or give the "
                "size of a pixel if that is wrong (--pixel-um, pixel_um=)"
            )
        return x
    return None
