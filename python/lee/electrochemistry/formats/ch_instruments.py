"""CH Instruments: text exports, whose galvanostatic files hold no current, only its settings."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.formats.columns import CURRENT, DENSITY, POTENTIAL, TIME, find_columns, split_name
from lee.electrochemistry.formats.reader import Reading, as_cell_data
from lee.electrochemistry.formats.table import RecordRows, cells_of, read_rows, read_text
from lee.errors import InputError

_SETTING = re.compile(r"^\s*(?P<name>[^=]+?)\s*=\s*(?P<value>.+?)\s*$")
_DATES = ("%b. %d, %Y %H:%M:%S", "%B %d, %Y %H:%M:%S", "%b %d, %Y %H:%M:%S")
Floats = NDArray[np.float64]


class ChInstrumentsText:
    """Reads the table below ``Time/sec``; a current that is not in it follows from the header's settings."""

    name = "CH Instruments text"

    def recognises(self, path: Path, head: str) -> bool:
        """Recognise the line of the instrument."""
        return re.search(r"Instrument Model:\s*CHI", head) is not None

    def read(self, path: Path, reading: Reading) -> CellData:
        """Read the file."""
        lines = read_text(path).splitlines()
        at = next((k for k, line in enumerate(lines) if split_name(line.split(",")[0])[0] == "time"), -1)
        technique = lines[1].strip() if len(lines) > 1 else ""
        if at < 0:
            raise InputError(
                f"{path}: {technique or 'its technique'} has no table over time (Time/sec, ...); give a "
                "galvanostatic or potentiostatic experiment"
            )
        settings = {
            found["name"]: found["value"]
            for line in lines[:at]
            if (found := _SETTING.match(line)) is not None
        }
        columns = find_columns(
            cells_of(lines[at], ","),
            f"{path}, line {at + 1}",
            chosen=reading.columns,
            optional=(POTENTIAL, CURRENT),
        )
        measured = [what for what in (DENSITY, CURRENT) if what in columns]
        if not measured and POTENTIAL not in columns:
            raise InputError(
                f"{path}, line {at + 1}: the table holds neither current nor potential; export them, or "
                "name the "
                "columns (--column current=NAME:UNIT)"
            )
        rows = read_rows(path, lines, at + 1, ",", columns, required=[TIME, *(measured or [POTENTIAL])])
        current, sign, notes = None, None, []
        if not measured:
            current, sign = _applied(path, technique, settings, rows)
            notes.append("The file holds no current: it is the one that the settings in its header apply.")
        if POTENTIAL not in columns:
            held = _value(settings, "Init E (V)")
            if held is not None:
                rows = RecordRows(
                    {**rows.numbers, POTENTIAL: np.full(rows.lines.size, held)}, rows.lines, notes=rows.notes
                )
                notes.append("The potential is the one that the header states to be applied.")
        instrument = next((line for line in lines[:at] if "Instrument Model" in line), "")
        return as_cell_data(
            path,
            self.name,
            columns,
            rows,
            electrode_area_cm2=reading.electrode_area_cm2,
            current_a=current,
            started=_started(lines[0]),
            cathodic_sign=sign,
            about={"instrument": instrument.partition(":")[2].strip(), "technique": technique},
            notes=tuple(notes),
        )


def _applied(
    path: Path, technique: str, settings: dict[str, str], rows: RecordRows
) -> tuple[Floats, int | None]:
    """Return the current that was applied at every row, A, and the sign of a cathodic one."""
    time, potential = rows.numbers[TIME], rows.numbers[POTENTIAL]
    if _value(settings, "i1 (A)") is not None:
        return _steps(path, settings, time), None
    cathodic, anodic = (_value(settings, f"{name} Current (A)") for name in ("Cathodic", "Anodic"))
    lasts = [_value(settings, f"{name} Time (s)") for name in ("Cathodic", "Anodic")]
    if cathodic is None or anodic is None or lasts[0] is None or lasts[1] is None:
        raise InputError(
            f"{path}: {technique or 'its technique'} holds neither a column of current nor the settings of "
            "one "
            "(Cathodic Current (A), Cathodic Time (s), ...); export it with its current"
        )
    limits = _value(settings, "Low E Limit (V)"), _value(settings, "High E Limit (V)")
    reducing = settings.get("Init P/N", "N").strip().upper().startswith("N")
    current = np.empty(time.size)
    k, begin = 0, 0.0
    while k < time.size:
        limit, length = (limits[0], lasts[0]) if reducing else (limits[1], lasts[1])
        inside = np.flatnonzero(time[k:] <= begin + length)
        end = k + (int(inside[-1]) + 1 if inside.size else 1)
        if limit is not None:  # the segment ends early where its limit is reached
            reached = potential[k:end] <= limit if reducing else potential[k:end] >= limit
            end = k + int(np.argmax(reached)) + 1 if reached.any() else end
        current[k:end] = -abs(cathodic) if reducing else abs(anodic)
        begin = float(time[end - 1]) if end - k < inside.size else begin + length
        k, reducing = end, not reducing
    return current, -1


def _steps(path: Path, settings: dict[str, str], time: Floats) -> Floats:
    """Return the current of multi-current steps, repeated for every cycle."""
    values, ends = [], [0.0]
    for n in range(1, 100):
        value, length = _value(settings, f"i{n} (A)"), _value(settings, f"T{n} (s)")
        if value is None or length is None:
            break
        if length > 0:
            values.append(value)
            ends.append(ends[-1] + length)
    if not values:
        raise InputError(
            f"{path}: its header states currents i1, i2 ... without times T1, T2 ...; export it again"
        )
    within = np.mod(time, ends[-1]) if time[-1] > ends[-1] else np.minimum(time, ends[-1] - 1e-9)
    return np.array(values)[np.clip(np.searchsorted(ends, within, side="right") - 1, 0, len(values) - 1)]


def _value(settings: dict[str, str], name: str) -> float | None:
    try:
        return float(settings[name])
    except (KeyError, ValueError):
        return None


def _started(line: str) -> datetime | None:
    text = " ".join(line.split())
    for form in _DATES:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None
