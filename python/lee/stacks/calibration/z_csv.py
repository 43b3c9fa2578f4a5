"""The table of the frames' heights: a CSV file with the columns frame and z_um."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, reason_of
from lee.storage.refusals import unreadable

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_z_csv(path: str | os.PathLike[str], count: int | None = None) -> NDArray[np.float64]:
    """Read heights from a CSV file with the header ``frame,z_um``.

    Frames are counted from 0; rows may stand in any order, every frame once. Columns may be separated by
    comma, semicolon or tab, where the latter two allow decimal commas; capitals and further columns do not
    matter, nor how a spreadsheet encodes the text.

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
    try:
        lines = _text(Path(path)).splitlines()
    except FileNotFoundError:
        raise InputError(
            f"{name}: no such file; give heights, or a CSV file with the header frame,z_um"
        ) from None
    except OSError as error:
        raise unreadable(name, error, "give a CSV file with the header frame,z_um") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: cannot be read as CSV ({reason_of(error)})") from error
    try:
        heights = _rows(lines, name)
    except csv.Error as error:
        raise InputError(f"{name}: cannot be read as CSV ({reason_of(error)})") from error
    expected = len(heights) if count is None else count
    if len(heights) != expected:
        raise InputError(
            f"{name}: gives {len(heights)} heights for {expected} frames; give one for every frame"
        )
    missing = next((k for k in range(expected) if k not in heights), None)
    if missing is not None:
        raise InputError(f"{name}: frame {missing} is missing; frames are counted from 0 to {expected - 1}")
    return np.array([heights[k] for k in range(expected)], dtype=np.float64)


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is not a file; give a CSV file with the header frame,z_um")
    data = path.read_bytes()
    if data[:2] in _UTF16:
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _rows(lines: list[str], name: str) -> dict[int, float]:
    skipped = 0
    if lines and lines[0].lower().startswith("sep="):  # spreadsheets state the separator so
        lines, skipped = lines[1:], 1
    header = lines[0] if lines else ""
    separator = next((mark for mark in (";", "\t") if mark in header), ",")
    rows = csv.DictReader(lines, skipinitialspace=True, delimiter=separator)
    columns = [column.strip().lower().replace("µ", "u").replace("μ", "u") for column in rows.fieldnames or []]
    if "frame" not in columns or "z_um" not in columns:
        raise InputError(f"{name}: its first line must be frame,z_um; found {','.join(columns) or 'nothing'}")
    rows.fieldnames = columns
    heights: dict[int, float] = {}
    for row in rows:
        where = f"{name}, line {rows.line_num + skipped}"
        if not any((value or "").strip() for key, value in row.items() if key in ("frame", "z_um")):
            continue
        try:
            frame = int((row["frame"] or "").strip())
            height = (row["z_um"] or "").strip()
            z_um = float(height.replace(",", ".") if separator != "," else height)
        except ValueError:
            raise InputError(
                f"{where}: expected a frame number and a height in µm, found {row['frame']!r}, "
                f"{row['z_um']!r}"
            ) from None
        if row.get(None):
            raise InputError(
                f"{where}: has more columns than the first line; with decimal commas, separate columns by "
                "semicolons"
            )
        if frame in heights:
            raise InputError(f"{where}: frame {frame} is given twice; give it once")
        heights[frame] = z_um
    return heights
