"""The recorded potential against the electrode's, at scans that see no edge of the current."""

import numpy as np
import pandas as pd
import pytest

from lee.twin.following.measured_potential import potential_of_run, recorded_potential

TIMES = np.arange(12) * 15.0
DENSITY = np.where(TIMES < 90, 80.0, -60.0)
ELECTRODE_V = np.where(TIMES <= 90, -0.15, 0.08)


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    passed = np.concatenate([[0.0], np.cumsum(DENSITY[:-1] * np.diff(TIMES)) * 1e-3])
    seen = DENSITY.copy()
    seen[6] = 10.0  # a scan that sees plating end
    charge = pd.DataFrame(
        {
            "time_s": TIMES,
            "potential_v": np.where(TIMES < 90, -0.15, 0.08) - 0.9e-3 * seen,
            "current_density_ma_per_cm2": seen,
            "charge_c_per_cm2": passed,
        }
    )
    charge.loc[6, "potential_v"] = 0.5
    return charge, pd.DataFrame({"time_s": 100 + TIMES, "cell_voltage_v": ELECTRODE_V})


def test_the_resistance_between_them_is_found():
    found = potential_of_run(*tables())
    assert found is not None
    assert found.resistance_ohm_cm2 == pytest.approx(0.9, abs=1e-6)
    assert np.isnan(found.expected_v[[0, 6]]).all()
    assert np.isfinite(found.expected_v[[1, 5, 7, 11]]).all()


def test_what_cannot_be_compared_is_left_out(tmp_path):
    charge, intervals = tables()
    assert potential_of_run(charge.drop(columns="charge_c_per_cm2"), intervals) is None
    assert potential_of_run(charge.assign(potential_v=np.nan), intervals) is None
    assert recorded_potential(tmp_path / "charge.csv", intervals) is None
    charge.to_csv(tmp_path / "charge.csv", index=False)
    assert recorded_potential(tmp_path / "charge.csv", intervals) is not None
