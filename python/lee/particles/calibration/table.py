"""The table a size calibration is fitted to: one row per particle, its intensity and its known diameter."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.particles.calibration.fit import MIN_POINTS
from lee.storage.refusals import unreadable

COLUMNS = ("intensity_counts", "diameter_nm", "intensity_sigma_counts", "diameter_sigma_nm")
_NEEDED = COLUMNS[:2]
_MAX_VALUE = 1e100  # the squares of larger numbers are infinite


def read_calibration_table(path: str | Path) -> pd.DataFrame:
    """Read particles of known diameter from a CSV file.

    Parameters
    ----------
    path : str or Path
        UTF-8, commas, decimal points, a header. Columns ``intensity_counts`` and ``diameter_nm``; optionally
        ``intensity_sigma_counts`` and ``diameter_sigma_nm``, standard deviations. Other columns are ignored,
        unless their name begins like one of these; empty lines are ignored.

    Returns
    -------
    DataFrame
        Those of the columns that the file holds, float64, one row per particle.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, doubled or misspelt, a cell is not a finite
        number above 0, particles are too few, or all have one intensity or diameter. The message names the
        line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(path, error, "give a calibration's CSV table") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save the table as CSV in UTF-8") from error
    try:
        columns = _columns(text)
    except (InputError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from error
    table = pd.DataFrame(columns, dtype=np.float64)
    if len(table) < MIN_POINTS:
        raise InputError(
            f"{path}: there are {len(table)} particles: a calibration needs {MIN_POINTS} or more"
        )
    for name in _NEEDED:
        if table[name].nunique() == 1:
            raise InputError(
                f"{path}: {name} is {table[name][0]:g} in all rows: give particles of different sizes"
            )
    return table


def checked(columns: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """Make a table from arrays.

    Raises
    ------
    InputError
        If they are not one-dimensional and of equal length, or hold numbers that are not finite and above 0.
    """
    table: dict[str, NDArray[np.float64]] = {}
    for name, values in columns.items():
        if name not in COLUMNS:
            raise InputError(f"{name!r} is not a column of a calibration")
        try:
            table[name] = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{name} holds values that are not numbers: give one number for each particle"
            ) from error
        if table[name].ndim != 1 or table[name].shape != next(iter(table.values())).shape:
            raise InputError(f"{name} has the shape {table[name].shape}: give (N,), one for each particle")
        bad = ~((table[name] > 0) & (table[name] < _MAX_VALUE))
        if bad.any():
            k = int(bad.argmax())
            raise InputError(f"{name}[{k}] is {table[name][k]:g}: give {_wanted(name)}")
    for name in _NEEDED:
        if name not in table:
            raise InputError(f"the column {name} is missing")
    return pd.DataFrame(table)


def _wanted(name: str) -> str:
    if name in _NEEDED:
        return "numbers above 0"
    return f"numbers above 0, or leave {name} out where errors are unknown"


def _columns(text: str) -> dict[str, list[float]]:
    rows = _rows(text)
    line, header = next(rows, (1, []))
    places = _places(header, line)
    columns: dict[str, list[float]] = {name: [] for name in places}
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"line {line} has {len(cells)} cells, the header {len(header)}: "
                "separate cells by commas and write decimal points"
            )
        for name, place in places.items():
            columns[name].append(_number(cells[place], name, line))
    return columns


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(), strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, [cell.strip() for cell in cells]


def _places(header: list[str], line: int) -> dict[str, int]:
    """Find the position of each column."""
    wanted = ", ".join(_NEEDED)
    if not header:
        raise InputError(f"the file is empty: give a table with the columns {wanted}")
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise InputError(f"line {line}: cells are separated by {name}: separate them by commas")
    for name in header:
        if name in COLUMNS and header.count(name) > 1:
            raise InputError(f"line {line}: the column {name} appears {header.count(name)} times: keep one")
    for name in _NEEDED:
        if name not in header:
            raise InputError(
                f"line {line}: the column {name} is missing (found {_shortened(', '.join(header))}): "
                f"the first line must name the columns {wanted}"
            )
    for name in header:
        if name not in COLUMNS and name.lower().startswith(("intensity", "diameter")):
            raise InputError(
                f"line {line}: the column {_shortened(name)} is unknown: "
                f"name it as one of {', '.join(COLUMNS)}, or remove it"
            )
    return {name: header.index(name) for name in COLUMNS if name in header}


def _number(cell: str, name: str, line: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if 0 < value < _MAX_VALUE:
        return value
    shown = repr(_shortened(cell)) if cell else "empty"
    raise InputError(f"line {line}: {name} is {shown}: give {_wanted(name)}")


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
