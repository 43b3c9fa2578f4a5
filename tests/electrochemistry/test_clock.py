"""The clocks' offset from the edges of the current, with an error that holds."""

import numpy as np
import pytest

from lee.electrochemistry import CellData
from lee.electrochemistry.clock import fit_clock_offset
from lee.electrochemistry.height_by_charge import charge_columns
from lee.errors import InputError

SCANS_S = np.arange(12) * 15.0
UM_PER_C = 1.0


def record(offset_s: float, *, edge_s: float = 95.0, sign: int = -1, end_s: float = 400.0) -> CellData:
    """A cell at rest that plates from 20 s on and strips from `edge_s` after the first scan."""
    times = np.arange(0, end_s, 0.5)
    edge = offset_s + edge_s
    current = np.select([times < 20, times < edge], [0.0, 0.08], -0.06) * sign
    return CellData(times, current, np.zeros(times.size))


def heights(data: CellData, offset_s: float, rng: np.random.Generator | None = None, sigma: float = 0.03):
    """Mean heights with different efficiencies of plating and stripping, and errors that persist."""
    charge = charge_columns(data, SCANS_S + offset_s)
    found = charge @ np.array([0.9, 1.0])
    if abs(charge[-1, 0]) < abs(charge[-1, 1]):  # negative current plates
        found = -(charge @ np.array([1.0, 0.9]))
    error = np.zeros(SCANS_S.size)
    if rng is not None:
        for k in range(1, error.size):
            error[k] = 0.85 * error[k - 1] + rng.normal(0, sigma * np.sqrt(1 - 0.85**2))
    return found * UM_PER_C + error


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("offset", [-4.0, 0.0, 37.3])
def test_exact_heights_give_the_offset(offset, sign):
    data = record(offset, sign=sign)
    found = fit_clock_offset(data, SCANS_S, heights(data, offset))
    assert found.source == "edges"
    assert abs(found.offset_s - offset) < 0.4
    assert found.plating_sign == sign


def test_its_error_holds_over_many_records():
    errors, sigmas = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        offset = rng.uniform(0, 120)
        data = record(offset, edge_s=rng.uniform(50, 120))
        found = fit_clock_offset(data, SCANS_S, heights(data, offset, rng))
        assert found.source == "edges"
        errors.append(found.offset_s - offset)
        sigmas.append(found.sigma_s)
    within = np.abs(errors) <= np.array(sigmas)
    assert 0.6 <= within.mean() <= 1
    assert np.median(sigmas) < 2 * np.median(np.abs(errors)) + 0.3


def test_a_steady_drift_of_the_stage_moves_no_edge():
    data = record(37.3)
    found = fit_clock_offset(data, SCANS_S, heights(data, 37.3) + 0.01 * SCANS_S)
    assert abs(found.offset_s - 37.3) < 0.5


def test_without_an_edge_the_clocks_decide():
    times = np.arange(0, 400, 0.5)
    data = CellData(times, np.full(times.size, -0.08), np.zeros(times.size))
    height = 0.08 * SCANS_S
    found = fit_clock_offset(data, SCANS_S, height, guess_s=12.0)
    assert (found.offset_s, found.source) == (12.0, "clocks")
    assert np.isnan(found.sigma_s)
    assumed = fit_clock_offset(data, SCANS_S, height)
    assert (assumed.offset_s, assumed.source) == (0.0, "assumed")
    assert "No edge of the current tells the offset" in assumed.notes[0]


def test_clocks_that_never_agree_are_refused():
    times = np.arange(0, 400, 0.5)
    data = CellData(times, np.full(times.size, -0.08), np.zeros(times.size))
    with pytest.raises(InputError, match=r"record ends 3200 s before the first scan"):
        fit_clock_offset(data, SCANS_S, 0.08 * SCANS_S, guess_s=3600.0)
    with pytest.raises(InputError, match=r"it begins .* s after the last"):
        fit_clock_offset(data, SCANS_S, 0.08 * SCANS_S, guess_s=-3600.0)


def test_edges_correct_a_clock_that_is_wrong():
    data = record(37.3)
    found = fit_clock_offset(data, SCANS_S, heights(data, 37.3), guess_s=3637.3)
    assert abs(found.offset_s - 37.3) < 0.4
    assert "one of the clocks is wrong" in found.notes[-1]


def test_a_record_that_repeats_itself_is_named():
    times = np.arange(0, 1200, 0.5)
    current = np.where(np.floor(times / 60) % 2 == 0, -0.08, 0.08)
    data = CellData(times, current, np.zeros(times.size))
    charge = charge_columns(data, SCANS_S + 240)
    height = -charge.sum(axis=1) + np.random.default_rng(0).normal(0, 0.02, SCANS_S.size)
    found = fit_clock_offset(data, SCANS_S, height, guess_s=245.0)
    assert abs(found.offset_s - 240) < 2
    assert any("fits nearly as well" in note for note in found.notes)
