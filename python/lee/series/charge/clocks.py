"""What the clocks of microscope and potentiostat state themselves."""

from __future__ import annotations

from pathlib import Path

from lee.electrochemistry.cell_data import CellData
from lee.runs.times import acquired


def stated_offset_s(first_scan: Path, record: CellData) -> float | None:
    """Return the record's time at the start of the first scan, s, where both state date and time.

    A date without a time zone is taken in that of this computer, as its programs write it.

    Parameters
    ----------
    first_scan : Path
    record : CellData
    """
    began = acquired(first_scan)
    if began is None or record.started is None:
        return None
    return (began.wall.astimezone() - record.started.astimezone()).total_seconds()
