"""Cell data as a table of the Battery Data Format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lee.electrochemistry.cell_data import CellData
from lee.storage.atomic import new_file


def write_cell_data(path: str | Path, data: CellData, *, overwrite: bool = False) -> None:
    """Write a record as CSV with the columns of the Battery Data Format.

    Parameters
    ----------
    path : str or Path
        By custom ending in ``.bdf.csv``.
    data : CellData
        Potentials that are not known stay empty; the time of day is written where it is known.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists and is not to be replaced.
    StorageError
        If it cannot be written.
    """
    table = pd.DataFrame({"Test Time / s": data.time_s, "Current / A": data.current_a})
    if np.isfinite(data.potential_v).any():
        table.insert(1, "Voltage / V", data.potential_v)
    if data.started is not None:
        began = data.started.timestamp()
        table["Unix Time / s"] = [f"{began + time:.6f}" for time in data.time_s]
    with new_file(path, overwrite=overwrite) as partial:
        table.to_csv(partial, index=False, float_format="%.10g")
