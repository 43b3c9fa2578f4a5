"""A CSV table as programs and spreadsheets of any country write it: text in, text out."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lee.errors import InputError, reason_of
from lee.storage.refusals import unreadable

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class TableRow(NamedTuple):
    """One row: its line in the file, and its text by the small name of the column."""

    line: int
    text: dict[str, str]


def read_table(path: Path, needed: Sequence[str], *, optional: Sequence[str] = ()) -> Iterator[TableRow]:
    """Read the rows of a table, without empty ones.

    Columns may be separated by comma, semicolon or tab, where the latter two allow decimal commas, which
    become points. Capitals and spaces in the header, and further columns, do not matter, nor how a
    spreadsheet encodes the text.

    Parameters
    ----------
    needed, optional : sequence of str
        Names of columns; one of `needed` must be in the first line.

    Raises
    ------
    InputError
        If it is missing, no regular file, no CSV, or lacks a column.
    StorageError
        If the system refuses to read it.
    """
    header = ",".join(needed)
    try:
        lines = _text(path, header).splitlines()
    except OSError as error:
        raise unreadable(path, error, f"give a CSV file with the header {header}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as CSV ({reason_of(error)})") from error
    skipped = 0
    if lines and lines[0].lower().startswith("sep="):  # spreadsheets state the separator so
        lines, skipped = lines[1:], 1
    separator = next((mark for mark in (";", "\t") if lines and mark in lines[0]), ",")
    rows = csv.DictReader(lines, skipinitialspace=True, delimiter=separator)
    try:
        columns = [name.strip().lower().replace("µ", "u").replace("μ", "u") for name in rows.fieldnames or []]
        if any(name not in columns for name in needed):
            also = f" (and {', '.join(optional)})" if optional else ""
            raise InputError(
                f"{path}: its first line must be {header}{also}; found {','.join(columns) or 'nothing'}"
            )
        rows.fieldnames = columns
        wanted = {*needed, *optional}
        for row in rows:
            line = rows.line_num + skipped
            text = {name: (value or "").strip() for name, value in row.items() if name in wanted}
            if not any(text.values()):
                continue
            if row.get(None):
                raise InputError(
                    f"{path}, line {line}: has more columns than the first line; with decimal commas, "
                    "separate columns by semicolons"
                )
            if separator != ",":
                text = {name: _with_point(value) for name, value in text.items()}
            yield TableRow(line, text)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as CSV ({reason_of(error)})") from error


def _text(path: Path, header: str) -> str:
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is not a file; give a CSV file with the header {header}")
    data = path.read_bytes()
    if data[:2] in _UTF16:
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _with_point(value: str) -> str:
    """Return a number with a decimal point; other text stays."""
    try:
        float(value.replace(",", "."))
    except ValueError:
        return value
    return value.replace(",", ".")
