"""Gamry Framework: text files (``.DTA``) of objects, with one or more tables of points."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import numpy as np

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.formats.columns import CURRENT, TIME, find_columns
from lee.electrochemistry.formats.reader import Reading, as_cell_data
from lee.electrochemistry.formats.table import RecordRows, cells_of, read_rows, read_text
from lee.errors import InputError

# Tables of the experiment; OCVCURVE and others hold what was measured before it.
_CURVE = re.compile(r"^CURVE\d*$")


class GamryDta:
    """Reads the tables CURVE, or CURVE1, CURVE2 and on, one after the other."""

    name = "Gamry DTA"

    def recognises(self, path: Path, head: str) -> bool:
        """Recognise the first line."""
        return head.lstrip("\ufeff\xef\xbb\xbf").startswith("EXPLAIN")

    def read(self, path: Path, reading: Reading) -> CellData:
        """Read the file."""
        lines = read_text(path).splitlines()
        objects = {cells[0]: cells for line in lines if len(cells := cells_of(line, "\t")) > 2 and cells[0]}
        begins = [
            k for k, line in enumerate(lines) if len(c := line.split("\t")) > 1 and c[1].strip() == "TABLE"
        ]
        curves = [k for k in begins if _CURVE.match(lines[k].split("\t")[0].strip())]
        if not curves:
            raise InputError(
                f"{path}: holds no table CURVE with points over time; give the file of a galvanostatic or "
                "potentiostatic experiment"
            )
        parts: list[RecordRows] = []
        notes: list[str] = []
        columns = {}
        for begin in curves:
            # The rows of a table are indented.
            last = next(
                (k for k in range(begin + 1, len(lines)) if lines[k][:1] not in ("\t", " ", "")), len(lines)
            )
            headers, units = (cells_of(line, "\t") for line in (*lines[begin + 1 : begin + 3], "", "")[:2])
            where = f"{path}, line {begin + 2}"
            columns = find_columns(headers, where, units=units, chosen=reading.columns)
            rows = read_rows(path, lines, begin + 3, "\t", columns, required=[TIME, CURRENT], last=last)
            announced = lines[begin].split("\t")[2:3]
            if announced and announced[0].strip().isdigit() and int(announced[0]) != rows.lines.size:
                notes.append(
                    f"The table in line {begin + 1} announces {announced[0].strip()} rows and holds "
                    f"{rows.lines.size}."
                )
            parts.append(rows)
        names = set(parts[0].numbers)
        whole = RecordRows(
            {name: np.concatenate([part.numbers[name] for part in parts]) for name in names},
            np.concatenate([part.lines for part in parts]),
            notes=tuple(note for part in parts for note in part.notes),
        )
        area = _number(objects.get("AREA", [])[2:3])
        return as_cell_data(
            path,
            self.name,
            columns,
            whole,
            electrode_area_cm2=reading.electrode_area_cm2,
            stated_area_cm2=area,
            started=_started(objects),
            about={"instrument": (objects.get("PSTAT", ["", "", ""])[2])},
            notes=tuple(notes),
        )


def _number(cells: list[str]) -> float | None:
    try:
        found = float(cells[0].replace(",", "."))
    except (IndexError, ValueError):
        return None
    return found if np.isfinite(found) and found > 0 else None


def _started(objects: dict[str, list[str]]) -> datetime | None:
    """Return date and time where they are clear: with slashes the month stands first, with points the day."""
    day, time = (objects.get(name, ["", "", ""])[2] for name in ("DATE", "TIME"))
    for form in ("%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(f"{day} {time}", form)
        except ValueError:
            continue
    return None
