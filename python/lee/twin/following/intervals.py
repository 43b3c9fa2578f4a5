"""Accounts of charge, deposit and salt from scan to scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.twin.cell import FARADAY_C_PER_MOL
from lee.twin.following.boundary import Boundary
from lee.twin.results.solution import Solution

if TYPE_CHECKING:
    import pandas as pd


def interval_table(solution: Solution, boundary: Boundary, scans: Sequence[str]) -> pd.DataFrame:
    """Set what was computed beside what was measured, a row for each scan that was reached.

    Returns
    -------
    DataFrame
        ``scan time_s measured current_ma_per_cm2 charge_c_per_cm2 deposit_um raised_um raised_sigma_um
        concentration_mean_mol_per_l concentration_min_mol_per_l electrode_v cell_voltage_v
        steps charge_error salt_error``.
        Charge and deposit count from the first scan: `deposit_um` is Faraday's thickness of the charge at an
        efficiency of 1, over the area as seen from above, and `raised_um` the mean height the boundary has
        gained, with the standard deviation that independent scans leave; errors are the largest since the
        scan before.
    """
    import pandas as pd

    path, cell = boundary.path, solution.cell
    per_charge = cell.density_kg_per_m3 * cell.charge * FARADAY_C_PER_MOL / (cell.molar_mass_g_per_mol * 1e-3)
    rows, charge = [], 0.0
    weights = _seen_weights(boundary)
    for k, moment in enumerate(solution.times_s):
        before = solution.times_s[k - 1] if k else -np.inf
        steps = [b for b in solution.balances if before < b.time_s <= moment]
        charge += sum(b.charge_c_per_cm2 for b in steps)
        at = min(k, len(path.times_s) - 1)
        rows.append(
            {
                "scan": scans[at],
                "time_s": float(moment),
                "measured": at not in boundary.holes,
                "current_ma_per_cm2": (
                    steps[-1].current_ma_per_cm2 if steps else float(solution.mean_current_ma_per_cm2[k])
                ),
                "charge_c_per_cm2": charge,
                "deposit_um": charge * 1e4 / per_charge * 1e6,
                "raised_um": float((weights * (path.at(float(moment)) - path.height_um[0])).sum()),
                "raised_sigma_um": float(np.sqrt(np.mean(path.sigma_um[at] ** 2 + path.sigma_um[0] ** 2))),
                "concentration_mean_mol_per_l": float(solution.concentration_mol_per_l[k].mean()),
                "concentration_min_mol_per_l": float(solution.concentration_mol_per_l[k].min()),
                "electrode_v": float(solution.electrode_v[k]),
                "cell_voltage_v": float(solution.cell_voltage_v[k]),
                "steps": len(steps),
                "charge_error": max((float(b.charge_error) for b in steps), default=0.0),
                "salt_error": max((float(b.mass_error) for b in steps), default=0.0),
            }
        )
    return pd.DataFrame(rows)


def _seen_weights(boundary: Boundary) -> NDArray[np.float64]:
    """Share of the field that each column stands for as seen from above."""
    parts = []
    for places in (boundary.columns.y_um, boundary.columns.x_um):
        part = np.ones(len(places))
        part[[0, -1]] = 0.5
        parts.append(part / part.sum())
    return np.asarray(parts[0][:, None] * parts[1])
