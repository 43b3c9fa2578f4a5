"""What a reader of a format is, and how its columns become cell data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.formats.columns import DENSITY, UNIX, RecordColumn
from lee.electrochemistry.formats.table import RecordRows
from lee.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """How a file is to be read where it does not say so itself.

    Parameters
    ----------
    columns : mapping of str to str
        Names of the columns of time, current and potential, each with its unit after a colon if need be.
    electrode_area_cm2 : float, optional
        By which a current density is multiplied.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    electrode_area_cm2: float | None = None


class CellDataReader(Protocol):
    """Reads one format."""

    @property
    def name(self) -> str:
        """What the format is called."""

    def recognises(self, path: Path, head: str) -> bool:
        """Return whether the file is of this format, by its path and its first lines."""

    def read(self, path: Path, reading: Reading) -> CellData:
        """Read the file."""


def as_cell_data(
    path: Path,
    name: str,
    columns: Mapping[str, RecordColumn],
    rows: RecordRows,
    *,
    electrode_area_cm2: float | None,
    stated_area_cm2: float | None = None,
    current_a: Floats | None = None,
    started: datetime | None = None,
    cathodic_sign: int | None = None,
    about: Mapping[str, object] | None = None,
    notes: tuple[str, ...] = (),
) -> CellData:
    """Make cell data of a table's rows; errors name the lines of the file.

    Parameters
    ----------
    current_a : (N,) float64, A, optional
        Where it does not come from a column.

    Raises
    ------
    InputError
        If time runs back, or a current density comes without an area.
    """
    time = rows.numbers["time"]
    back = np.flatnonzero(np.diff(time) < 0)
    if back.size:
        k = int(back[0])
        raise InputError(
            f"{path}, line {rows.lines[k + 1]}: time runs back from {time[k]:g} to {time[k + 1]:g} s; "
            "choose the column "
            "of the time since the start, not of each step (--column time=NAME:UNIT)"
        )
    if current_a is None and DENSITY in columns:
        if electrode_area_cm2 is None:
            raise InputError(
                f"{path}: the column {columns[DENSITY].name!r} is a current density; give the electrode's "
                "area "
                "(--electrode-area-cm2)"
            )
        current_a = rows.numbers[DENSITY] * electrode_area_cm2
    if current_a is None:
        current_a = rows.numbers["current"]
    if started is None:
        started = rows.began
    if started is None and UNIX in columns and np.isfinite(rows.numbers[UNIX][0]):
        started = datetime.fromtimestamp(float(rows.numbers[UNIX][0] - time[0]), tz=UTC)
    return CellData(
        time_s=time,
        current_a=current_a,
        potential_v=rows.numbers.get("potential", np.full(time.size, np.nan)),
        started=started,
        cathodic_sign=cathodic_sign,
        electrode_area_cm2=stated_area_cm2,
        provenance={
            "file": str(path),
            "format": name,
            "columns": {holds: column.name for holds, column in columns.items()},
            "rows": int(time.size),
            **(about or {}),
        },
        notes=(*rows.notes, *notes),
    )
