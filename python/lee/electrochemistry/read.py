"""Reading the record of a potentiostat or cycler, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from lee.electrochemistry.cell_data import CellData
from lee.electrochemistry.formats.biologic import EcLabBinary, EcLabText
from lee.electrochemistry.formats.ch_instruments import ChInstrumentsText
from lee.electrochemistry.formats.csv_table import CsvTable
from lee.electrochemistry.formats.gamry import GamryDta
from lee.electrochemistry.formats.reader import CellDataReader, Reading
from lee.errors import InputError

# In the order in which they are asked; the last takes any text.
READERS: tuple[CellDataReader, ...] = (
    EcLabBinary(),
    EcLabText(),
    GamryDta(),
    ChInstrumentsText(),
    CsvTable(),
)
_HEAD_BYTES = 4096


def read_cell_data(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    electrode_area_cm2: float | None = None,
) -> CellData:
    """Read current and potential of a cell over time, in SI.

    Parameters
    ----------
    path : str or Path
        BioLogic ``.mpt`` or ``.mpr`` (the latter needs galvani), CH Instruments text, Gamry ``.DTA``, the
        Battery Data Format, or any table as text whose header names columns of time, current and potential
        with their units: ``I/mA``, ``Current (A)``, ``time_s``.
    columns : mapping of str to str, optional
        Names of the columns of ``time``, ``current`` and ``potential`` where they are not found by
        themselves, with the unit after a colon where it is not stated: ``{"current": "I:mA"}``.
    electrode_area_cm2 : float, cm², optional
        Of the working electrode; needed where the file holds current densities.

    Returns
    -------
    CellData

    Raises
    ------
    InputError
        If the file cannot be read, a column or its unit is missing, a cell is no number, or time runs back;
        the message names line and column.
    MissingDependency
        If the format needs a package that is not installed.
    """
    place = Path(path)
    if electrode_area_cm2 is not None and not (math.isfinite(electrode_area_cm2) and electrode_area_cm2 > 0):
        raise InputError(f"electrode_area_cm2 is {electrode_area_cm2:g}; give cm² above 0")
    reading = Reading(dict(columns or {}), electrode_area_cm2)
    try:
        with place.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("latin-1") if place.is_file() else ""
    except OSError:
        head = ""  # the reader reports it
    reader = next(one for one in READERS if one.recognises(place, head))
    return reader.read(place, reading)
