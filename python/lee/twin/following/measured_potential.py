"""The potential that was recorded under the scans of a run, against that of the twin's electrode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lee.electrochemistry.cell_voltage import VoltageComparison, compare_voltage
from lee.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("time_s", "potential_v", "current_density_ma_per_cm2", "charge_c_per_cm2")
# Of the largest current: a scan whose own differs more from that of the time before it saw an edge.
_STEADY = 0.05


def potential_of_run(charge: pd.DataFrame, intervals: pd.DataFrame) -> VoltageComparison | None:
    """Compare the potentials of electrode and record at the scans between which the current is steady.

    Parameters
    ----------
    charge : DataFrame
        ``charge.csv`` of `lee series --cell-data`.
    intervals : DataFrame
        As `lee.twin.follow` returns them, a row for each time.

    Returns
    -------
    VoltageComparison or None
        None where fewer than five scans can be compared.
    """
    if any(name not in charge for name in _COLUMNS) or len(charge) < 2 or not len(intervals):
        return None
    times, potential, current, passed = (charge[name].to_numpy(np.float64) for name in _COLUMNS)
    before = np.append(np.nan, 1e3 * np.diff(passed) / np.diff(times))
    largest = float(np.nanmax(np.abs(current))) if np.isfinite(current).any() else 0.0
    computed = intervals["cell_voltage_v"].to_numpy(np.float64)
    moments = intervals["time_s"].to_numpy(np.float64)
    moments = moments - moments[0]
    nearest = np.abs(moments[None, :] - times[:, None]).argmin(axis=1)
    steady = np.abs(current - before) <= _STEADY * largest
    steady &= np.abs(moments[nearest] - times) < 1e-3 * max(float(times[-1]), 1.0)
    try:
        return compare_voltage(times, np.where(steady, potential, np.nan), computed[nearest], current)
    except InputError:
        return None


def recorded_potential(table: Path, intervals: pd.DataFrame) -> VoltageComparison | None:
    """Read ``charge.csv``, where there is one, and compare as `potential_of_run`."""
    import pandas as pd

    return potential_of_run(pd.read_csv(table), intervals) if table.is_file() else None
