"""Computed against measured potential: the resistance and the constant between them are found."""

import numpy as np
import pytest

from lee.electrochemistry.cell_voltage import compare_voltage
from lee.errors import InputError

TIMES = np.arange(20) * 10.0
CURRENT = np.where(TIMES < 100, 80.0, -60.0)
COMPUTED = np.where(TIMES < 100, -0.15 - 1e-4 * TIMES, 0.08)


@pytest.mark.parametrize("sign", [1, -1])
def test_resistance_constant_and_sign_are_found(sign):
    measured = sign * (COMPUTED - 1.3 * 1e-3 * CURRENT + 0.02)
    found = compare_voltage(TIMES, measured, COMPUTED, CURRENT)
    assert found.sign == sign
    assert found.resistance_ohm_cm2 == pytest.approx(1.3)
    assert found.constant_v == pytest.approx(0.02)
    assert found.rms_v < 1e-9
    assert found.expected_v == pytest.approx(measured)
    assert ("with the other sign" in found.text) == (sign < 0)


def test_its_error_holds():
    within = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        error = np.zeros(TIMES.size)
        for k in range(1, TIMES.size):
            error[k] = 0.7 * error[k - 1] + rng.normal(0, 0.004)
        found = compare_voltage(TIMES, COMPUTED - 1.3e-3 * CURRENT + 0.02 + error, COMPUTED, CURRENT)
        within.append(abs(found.resistance_ohm_cm2 - 1.3) < found.resistance_sigma_ohm_cm2)
    assert 0.55 <= np.mean(within) <= 0.95


def test_at_one_current_no_resistance_is_told():
    found = compare_voltage(TIMES, COMPUTED[:1].repeat(20) + 0.01, COMPUTED[:1].repeat(20), np.full(20, 80.0))
    assert np.isnan(found.resistance_ohm_cm2)
    assert found.constant_v == pytest.approx(0.01)
    assert "no resistance can be told" in found.text


def test_unknown_times_are_left_out_and_too_few_refused():
    measured = COMPUTED - 1.3e-3 * CURRENT
    measured[::2] = np.nan
    found = compare_voltage(TIMES, measured, COMPUTED, CURRENT)
    assert found.resistance_ohm_cm2 == pytest.approx(1.3)
    assert np.isnan(found.expected_v[0])
    measured[4:] = np.nan
    with pytest.raises(InputError, match="are both known at 2 times; a comparison needs 5"):
        compare_voltage(TIMES, measured, COMPUTED, CURRENT)
