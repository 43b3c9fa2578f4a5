"""Tables of numbers in text files: encoding, separator, decimal commas, and what is wrong in which line."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.electrochemistry.formats.columns import RecordColumn
from lee.errors import InputError, reason_of
from lee.storage.refusals import unreadable

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATORS = ("\t", ";", ",")
_DATES = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RecordRows:
    """Numbers of the columns that were read, and the lines of the file they stand in."""

    numbers: dict[str, Floats]
    lines: NDArray[np.int64]
    began: datetime | None = None
    notes: tuple[str, ...] = ()


def read_text(path: Path) -> str:
    """Return the text of a file, however it is encoded.

    Raises
    ------
    InputError
        If it is missing, no regular file, or no text.
    StorageError
        If the system refuses to read it.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is not a file; give a potentiostat's record")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, "give a potentiostat's record") from error
    if not data.strip():
        raise InputError(f"{path}: is empty; give a potentiostat's record")
    if data[:2] in _UTF16:
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:4096]:
        raise InputError(
            f"{path}: is no text; export it as text or CSV (BioLogic's .mpr is read by its suffix)"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def cells_of(line: str, separator: str) -> list[str]:
    """Split a line at a separator, without quotation marks and spaces around each cell."""
    return [cell.strip().strip('"').strip() for cell in line.split(separator)]


def separator_of(line: str, accepted: Callable[[Sequence[str]], bool]) -> str | None:
    """Return the separator at which a line splits into cells that are accepted."""
    return next((mark for mark in _SEPARATORS if accepted(cells_of(line, mark))), None)


def read_rows(
    path: Path,
    lines: Sequence[str],
    first: int,
    separator: str,
    columns: Mapping[str, RecordColumn],
    *,
    required: Sequence[str],
    last: int | None = None,
) -> RecordRows:
    """Read the rows of a table from a line on.

    Parameters
    ----------
    path : Path
        For messages.
    lines : sequence of str
        Of the whole file.
    first : int
        Index of the first row.
    separator : str
    columns : mapping of str to RecordColumn
        What to read.
    required : sequence of str
        Columns that must hold a finite number in every row; others are NaN where they hold none.
    last : int, optional
        Index of the line behind the last row; by default the end of the file.

    Raises
    ------
    InputError
        If a cell is no number; names line and column.
    """
    places = {holds: column.place for holds, column in columns.items()}
    kept = [k for k in range(first, len(lines) if last is None else last) if lines[k].strip(" \t,;\r\n")]
    if not kept:
        raise InputError(
            f"{path}: holds no row of numbers below line {first}; export the data, not only the header"
        )
    notes: list[str] = []
    width = max(places.values()) + 1
    # A record that is cut off, or still being written, ends within a row.
    if len(kept) > 2 and lines[kept[-1]].count(separator) < width - 1:
        notes.append(f"The last row, in line {kept[-1] + 1}, is incomplete and was ignored.")
        kept.pop()
    body = "\n".join(lines[k] for k in kept)
    try:
        frame = pd.read_csv(
            io.StringIO(body),
            sep=separator,
            header=None,
            names=range(max(lines[k].count(separator) for k in kept) + 1),
            usecols=sorted(set(places.values())),
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=False,
            index_col=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise InputError(
            f"{path}: its table cannot be read ({reason_of(error)}); export it again as CSV"
        ) from error
    at = np.array(kept, dtype=np.int64) + 1
    numbers: dict[str, Floats] = {}
    began: datetime | None = None
    for holds, column in columns.items():
        text = frame[column.place].fillna("").str.strip()
        values = _numbers(text, decimal_comma=separator != ",")
        if holds == "time" and not np.isfinite(values).any():
            values, began = _clock_times(text)
        bad = ~np.isfinite(values)
        if holds in required and bad.any():
            k = int(np.argmax(bad))
            shown = text.iloc[k] or "empty"
            raise InputError(
                f"{path}, line {at[k]}: the column {column.name!r} is {shown!r}; correct it to a number, "
                "or remove "
                "the line"
            )
        numbers[holds] = values * column.factor if began is None or holds != "time" else values
    return RecordRows(numbers, at, began, tuple(notes))


def _numbers(text: pd.Series[str], *, decimal_comma: bool) -> Floats:
    found = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    if decimal_comma and not np.isfinite(found).all():
        found = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce").to_numpy(np.float64)
    return np.array(found, dtype=np.float64)


def _clock_times(text: pd.Series[str]) -> tuple[Floats, datetime | None]:
    """Return seconds from times of day, durations or dates; dates give the first one, too."""
    parts = text.str.split(":", expand=True)
    if parts.shape[1] == 3:
        numbers = parts.apply(lambda column: pd.to_numeric(column.str.replace(",", "."), errors="coerce"))
        seconds = (numbers[0] * 3600 + numbers[1] * 60 + numbers[2]).to_numpy(np.float64)
        if np.isfinite(seconds).any():
            return seconds, None
    for form in _DATES:
        dates = pd.to_datetime(text.str.replace("T", " ", regex=False), format=form, errors="coerce")
        if dates.notna().all():
            first = dates.iloc[0]
            since = np.asarray((dates - first).dt.total_seconds(), dtype=np.float64)
            return since, first.to_pydatetime()
    return np.full(len(text), np.nan), None
