"""The table of the frames' heights: a CSV file with the columns frame and z_um."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.storage.csv_table import read_table


def read_z_csv(path: str | os.PathLike[str], count: int | None = None) -> NDArray[np.float64]:
    """Read heights from a CSV file with the header ``frame,z_um``.

    Frames are counted from 0; rows may stand in any order, every frame once. `lee.storage.csv_table` says in
    which forms the table may be written.

    Parameters
    ----------
    count : int, optional
        Number of frames the stack has; another number of rows is an error.

    Returns
    -------
    (Z,) float64, µm

    Raises
    ------
    InputError
        Naming the first line that cannot be used.
    """
    name = str(path)
    if not Path(path).exists():
        raise InputError(f"{name}: no such file; give heights, or a CSV file with the header frame,z_um")
    heights: dict[int, float] = {}
    for line, text in read_table(Path(path), ("frame", "z_um")):
        where = f"{name}, line {line}"
        try:
            frame, z_um = int(text["frame"]), float(text["z_um"])
        except (KeyError, ValueError):
            raise InputError(
                f"{where}: expected a frame number and a height in µm, found {text.get('frame')!r}, "
                f"{text.get('z_um')!r}"
            ) from None
        if frame in heights:
            raise InputError(f"{where}: frame {frame} is given twice; give it once")
        heights[frame] = z_um
    expected = len(heights) if count is None else count
    if len(heights) != expected:
        raise InputError(
            f"{name}: gives {len(heights)} heights for {expected} frames; give one for every frame"
        )
    missing = next((k for k in range(expected) if k not in heights), None)
    if missing is not None:
        raise InputError(f"{name}: frame {missing} is missing; frames are counted from 0 to {expected - 1}")
    return np.array([heights[k] for k in range(expected)], dtype=np.float64)
