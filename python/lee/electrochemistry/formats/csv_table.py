"""Any table by the names of its columns: CSV, the Battery Data Format, exports of cyclers and loggers."""

from __future__ import annotations

from pathlib import Path

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.formats.columns import (
    CURRENT,
    DENSITY,
    POTENTIAL,
    TIME,
    UNIX,
    find_columns,
    looks_like_header,
    plain,
    unit_of,
)
from lee.electrochemistry.formats.reader import Reading, as_cell_data
from lee.electrochemistry.formats.table import cells_of, read_rows, read_text, separator_of
from lee.errors import InputError

_HEADER_LINES = 300


class CsvTable:
    """Reads a table whose header names time, current and potential; lines above it are ignored."""

    name = "table"

    def recognises(self, path: Path, head: str) -> bool:
        """Any text may be a table."""
        return True

    def read(self, path: Path, reading: Reading) -> CellData:
        """Read the file."""
        lines = read_text(path).splitlines()
        wanted = [plain(text.rpartition(":")[0] if unit_of(text.rpartition(":")[2]) else text)
                  for text in reading.columns.values()]  # fmt: skip

        def is_header(cells: list[str]) -> bool:
            named = {plain(cell) for cell in cells}
            return looks_like_header(cells) or (bool(wanted) and named.issuperset(wanted))

        at, separator = next(
            (
                (k, mark)
                for k, line in enumerate(lines[:_HEADER_LINES])
                if (mark := separator_of(line, lambda cells: is_header(list(cells)))) is not None
            ),
            (-1, ""),
        )
        if at < 0:
            first = next((line.strip() for line in lines if line.strip()), "")
            raise InputError(
                f"{path}: no line names columns of time and current (first line: {first[:80]!r}); give a "
                "header such "
                "as time_s,current_a,potential_v, or name the columns (--column current=NAME:UNIT)"
            )
        headers = cells_of(lines[at], separator)
        below = cells_of(lines[at + 1], separator) if at + 1 < len(lines) else []
        units = below if any(unit_of(cell) for cell in below) else None
        columns = find_columns(headers, f"{path}, line {at + 1}", units=units, chosen=reading.columns)
        required = [TIME, DENSITY if DENSITY in columns else CURRENT]
        rows = read_rows(path, lines, at + (1 if units is None else 2), separator, columns, required=required)
        standard = TIME in columns and columns[TIME].name in ("Test Time / s", "test_time_second")
        return as_cell_data(
            path,
            "Battery Data Format" if standard else self.name,
            {k: v for k, v in columns.items() if k in (TIME, CURRENT, DENSITY, POTENTIAL, UNIX)},
            rows,
            electrode_area_cm2=reading.electrode_area_cm2,
            notes=() if POTENTIAL in columns else ("The record holds no potential.",),
        )
