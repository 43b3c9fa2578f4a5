"""Current in steps: signs from phases, values at the steps, charge."""

import numpy as np
import pytest

from lee.errors import InputError
from lee.twin import CurrentSteps

TIMES = [10.0, 20.0, 30.0, 40.0]


def test_phases_give_the_sign_and_begin_halfway_between_their_scans():
    current = CurrentSteps.of_phases(TIMES, ["plating", "plating", "rest", "stripping"], 80.0)
    np.testing.assert_array_equal(current.from_s, [10, 25, 35])
    np.testing.assert_array_equal(current.ma_per_cm2, [80, 0, -80])
    assert (current.at(25.0), current.after(25.0)) == (80.0, 0.0)
    assert current.at(5.0) == current.after(10.0) == 80.0
    assert current.switches_s(10.0, 35.0) == [25.0]
    assert current.charge_c_per_cm2(10.0, 40.0) == pytest.approx(0.08 * 15 - 0.08 * 5)
    assert current.charge_c_per_cm2(26.0, 34.0) == 0


def test_without_phases_the_cell_keeps_its_sign():
    assert CurrentSteps.of_phases(TIMES, [""] * 4, -80.0).after(10.0) == -80
    assert CurrentSteps.of_phases(TIMES, [""] * 4, 80.0).after(99.0) == 80


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([0.0, 1.0], [1.0], "2 times for 1 values; give one for each"),
        ([1.0, 0.0], [1.0, 2.0], "times must rise, and all numbers be finite"),
        ([0.0], [np.nan], "times must rise, and all numbers be finite"),
    ],
)
def test_what_is_no_current_is_reported(times, values, message):
    with pytest.raises(InputError, match=message):
        CurrentSteps(np.array(times), np.array(values))


def test_an_unknown_phase_is_reported():
    with pytest.raises(InputError, match="phase is 'melting'; phases are plating, stripping, rest"):
        CurrentSteps.of_phases(TIMES, ["melting"] * 4, 80.0)
