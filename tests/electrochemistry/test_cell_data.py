"""Cell data: charge by sign, means over a scan, gaps and edges."""

import numpy as np
import pytest

from lee.electrochemistry import CellData
from lee.errors import InputError


def square(edge_s: float = 50.0, end_s: float = 100.0) -> CellData:
    times = np.arange(0, end_s + 1, 1.0)
    return CellData(times, np.where(times < edge_s, -0.1, 0.05), np.where(times < edge_s, -0.2, 0.1))


def test_charge_is_the_integral_and_splits_by_sign():
    data = square()
    positive, negative = data.charges_by_sign_c
    assert data.charge_c == pytest.approx(positive + negative)
    # Between the rows at 49 and 50 s the current crosses zero, on a line from -0.1 to 0.05 A.
    assert negative[-1] == pytest.approx(-(4.9 + 0.5 * 0.1 * 2 / 3))
    assert positive[-1] == pytest.approx(2.5 + 0.5 * 0.05 / 3)


def test_means_over_a_scan_are_charge_over_time():
    data = square()
    assert data.mean_current_a([10, 40], [20, 48]) == pytest.approx([-0.1, -0.1])
    assert data.mean_potential_v([10, 60], [20, 70]) == pytest.approx([-0.2, 0.1])
    assert np.isnan(data.mean_current_a(95, 105))


def test_a_potential_that_is_not_known_stays_so():
    times = np.arange(11.0)
    data = CellData(times, np.ones(11), np.full(11, np.nan))
    assert np.isnan(data.mean_potential_v(2, 8))


def test_two_rows_may_share_the_time_of_a_jump():
    data = CellData([0, 10, 10, 20], [1, 1, -1, -1], np.zeros(4))
    assert data.charge_at([5, 10, 20]) == pytest.approx([5, 10, 0])


def test_a_pause_is_a_gap_and_slow_sampling_is_none():
    times = np.concatenate([np.arange(0, 50, 0.5), np.arange(90, 140, 0.5)])
    assert CellData(times, np.ones(200), np.zeros(200)).gaps_s == [(49.5, 90.0)]
    pulsed = np.cumsum(np.tile([0.01, 0.01, 10.0, 10.0], 50))
    assert CellData(pulsed, np.ones(200), np.zeros(200)).gaps_s == []


def test_edges_are_where_plating_turns_to_stripping_or_rest():
    times = np.arange(0, 40, 0.5)
    current = np.select([times < 10, times < 20, times < 30], [0.0, -0.1, 0.1], 0.0)
    assert CellData(times, current, 0 * times).edges_s() == pytest.approx([9.75, 19.75, 29.75])


@pytest.mark.parametrize(
    ("times", "current", "message"),
    [
        ([0, 1], [1], "2 times, 1 currents"),
        ([0], [1], r"holds 1 row\(s\)"),
        ([0, 1, np.nan], [1, 1, 1], "the time of row 2 is nan"),
        ([0, 1, 2], [1, np.inf, 1], "the current of row 1 is inf"),
        ([0, 2, 1], [1, 1, 1], "time runs back from 2 to 1 s after row 1"),
    ],
)
def test_what_is_no_record_is_refused(times, current, message):
    with pytest.raises(InputError, match=message):
        CellData(times, current, np.zeros(len(times)))
