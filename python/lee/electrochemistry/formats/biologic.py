"""BioLogic: text exports of EC-Lab (``.mpt``), and its binary files (``.mpr``) through galvani."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.formats.columns import CURRENT, DENSITY, TIME, find_columns
from lee.electrochemistry.formats.reader import Reading, as_cell_data
from lee.electrochemistry.formats.table import RecordRows, cells_of, read_rows, read_text
from lee.errors import InputError, MissingDependency, reason_of

_STARTED = re.compile(r"^\s*Acquisition started on\s*:\s*(.+?)\s*$")
_AREA = re.compile(r"^\s*Electrode surface area\s*:\s*([\d.,Ee+-]+)\s*cm")
_DEVICE = re.compile(r"^\s*Device\s*:\s*(.+?)\s*$")
_DATES = ("%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S")
# EC-Lab states this area where nobody entered one.
_DEFAULT_AREA_CM2 = 0.001
_CATHODIC_SIGN = -1
_CHARGES = {"(Q-Qo)/C": 1.0, "(Q-Qo)/mA.h": 3.6}
Floats = NDArray[np.float64]


class EcLabText:
    """Reads ``.mpt``: the header states its own length, the start of the acquisition and the electrode."""

    name = "EC-Lab text"

    def recognises(self, path: Path, head: str) -> bool:
        """Recognise the first line."""
        return head.lstrip("\ufeff\xef\xbb\xbf").startswith(("EC-Lab ASCII FILE", "BT-Lab ASCII FILE"))

    def read(self, path: Path, reading: Reading) -> CellData:
        """Read the file."""
        lines = read_text(path).splitlines()
        count = re.search(r"\d+", lines[1]) if len(lines) > 1 else None
        if count is None or not 3 <= int(count.group()) <= len(lines):
            raise InputError(
                f"{path}, line 2: states no length of the header that fits the file; export it again from "
                "EC-Lab"
            )
        first = int(count.group())
        headers = cells_of(lines[first - 1], "\t")
        columns = find_columns(headers, f"{path}, line {first}", chosen=reading.columns)
        required = [TIME, DENSITY if DENSITY in columns else CURRENT]
        rows = read_rows(path, lines, first, "\t", columns, required=required)
        header = lines[: first - 1]
        area = _found(_AREA, header)
        stated = None if area is None else float(area.replace(",", "."))
        return as_cell_data(
            path,
            self.name,
            columns,
            rows,
            electrode_area_cm2=reading.electrode_area_cm2,
            stated_area_cm2=stated if stated is not None and stated > _DEFAULT_AREA_CM2 else None,
            started=_date(_found(_STARTED, header)),
            cathodic_sign=_CATHODIC_SIGN,
            about={"instrument": _found(_DEVICE, header) or ""},
        )


class EcLabBinary:
    """Reads ``.mpr``; galvani has a licence of its own (GPL) and is imported only here."""

    name = "EC-Lab binary"

    def recognises(self, path: Path, head: str) -> bool:
        """Recognise the suffix, or the first bytes."""
        return path.suffix.lower() == ".mpr" or head.startswith("BIO-LOGIC MODULAR FILE")

    def read(self, path: Path, reading: Reading) -> CellData:
        """Read the file."""
        if not path.is_file():
            read_text(path)  # which says why it cannot
        try:
            from galvani import BioLogic
        except ImportError as error:
            raise MissingDependency(
                f"{path}: reading .mpr needs galvani (pip install galvani); or export the file as text (.mpt)"
            ) from error
        try:
            opened = BioLogic.MPRfile(str(path))
            held = {str(name): np.array(opened.data[name], np.float64) for name in opened.data.dtype.names}
            started = getattr(opened, "timestamp", None)
        except Exception as error:  # galvani raises many kinds on damaged and on newer files
            raise InputError(
                f"{path}: galvani cannot read it ({reason_of(error)}); export it from EC-Lab as text (.mpt)"
            ) from error
        names = list(held)
        charge = next((name for name in _CHARGES if name in held), None)
        optional = ("potential", CURRENT) if charge else ("potential",)
        columns = find_columns(names, str(path), chosen=reading.columns, optional=optional)
        numbers = {what: held[column.name] * column.factor for what, column in columns.items()}
        notes: tuple[str, ...] = ()
        if CURRENT not in columns and DENSITY not in columns and charge is not None:
            numbers = _from_charge(numbers, held[charge] * _CHARGES[charge])
            notes = (f"The current is the change of the charge {charge} from row to row.",)
        rows = RecordRows(numbers, np.arange(numbers[TIME].size, dtype=np.int64))
        return as_cell_data(
            path,
            self.name,
            columns,
            rows,
            electrode_area_cm2=reading.electrode_area_cm2,
            current_a=numbers.get(CURRENT),
            started=started if isinstance(started, datetime) else None,
            cathodic_sign=_CATHODIC_SIGN,
            notes=notes,
        )


def _from_charge(numbers: dict[str, Floats], charge_c: Floats) -> dict[str, Floats]:
    """Turn charge into a current that is constant between two rows: each row stands twice."""
    time = numbers[TIME]
    spans = np.diff(time)
    kept = np.append(True, spans > 0)
    time, charge = time[kept], charge_c[kept]
    steps = np.repeat(np.diff(charge) / np.diff(time), 2)
    twice = {what: np.repeat(values[kept], 2)[1:-1] for what, values in numbers.items()}
    return {**twice, CURRENT: steps}


def _found(form: re.Pattern[str], lines: Sequence[str]) -> str | None:
    return next((found.group(1) for line in lines if (found := form.match(line))), None)


def _date(text: str | None) -> datetime | None:
    for form in _DATES:
        try:
            return datetime.strptime(text or "", form)
        except ValueError:
            continue
    return None
