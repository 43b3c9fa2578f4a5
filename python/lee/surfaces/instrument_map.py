"""Height maps in the files of measuring instruments, through the optional package surfalize."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, MissingDependency, reason_of

# Zygo, Veeco, Sensofar, Keyence, Olympus, Alicona, Digital Surf, ISO 25178-71 and -72, Gwyddion and others.
INSTRUMENT_SUFFIXES = frozenset(
    {
        *(
            ".al3d",
            ".gwy",
            ".lext",
            ".nms",
            ".opd",
            ".os3d",
            ".plu",
            ".plux",
            ".poir",
            ".sdf",
            ".sur",
            ".tmd",
        ),
        *(".vk3", ".vk4", ".vk6", ".vk7", ".x3p", ".zmg", ".zon"),
    }
)
_SQUARE = 1e-3


def read_instrument_map(path: Path, *, pixel_um: float | None = None) -> tuple[NDArray[np.float32], float]:
    """Read a height map, (H, W) float32 µm, NaN where not measured, and the size of a pixel in µm.

    Parameters
    ----------
    pixel_um : float, µm, optional
        Size of a pixel, where it is known; that of the file is then ignored.

    Raises
    ------
    InputError
        If the file is damaged, or its pixels are not square.
    MissingDependency
        If surfalize is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: is not a file; give a height map")
    try:
        import surfalize
    except ImportError as error:
        raise MissingDependency(
            f"{path}: files of this format are read through surfalize: pip install surfalize"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = surfalize.Surface.load(path)
        height = np.asarray(read.data, dtype=np.float32)
        y, x = float(read.step_y), float(read.step_x)
    except Exception as error:  # its readers raise errors of any kind on damaged files
        raise InputError(
            f"{path}: cannot be read as a height map ({reason_of(error)}); copy it again"
        ) from error
    if pixel_um is not None:
        return height, pixel_um
    if abs(y - x) > _SQUARE * x:
        raise InputError(
            f"{path}: pixels of {x:g} × {y:g} µm (x, y) are not square: resample the map, or give the size "
            "of a pixel if that is wrong (--pixel-um, pixel_um=)"
        )
    return height, x
