"""Faraday's law and the efficiency fitted to heights, against what they were made with."""

import numpy as np
import pytest

from lee.electrochemistry.faraday import METALS, fit_efficiency, metal_named
from lee.errors import InputError

TIMES = np.arange(16) * 10.0


def thickness() -> np.ndarray:
    plated = np.minimum(TIMES, 80.0) * 0.04
    stripped = -np.maximum(TIMES - 80.0, 0.0) * 0.03
    return np.stack([plated, stripped], axis=1)


def test_eighty_milliampere_make_38_nm_of_zinc_a_second():
    assert METALS["zinc"].um_per_c_per_cm2 * 0.08 * 1e3 == pytest.approx(38.0, abs=0.05)


def test_copper_from_its_molar_volume():
    """7.09 cm³/mol, two electrons."""
    assert METALS["copper"].um_per_c_per_cm2 == pytest.approx(7.092 / (2 * 96485) * 1e4, rel=1e-3)


def test_exact_heights_give_both_efficiencies():
    height = thickness() @ np.array([0.93, 1.1]) + 2.0
    plating, stripping = fit_efficiency(TIMES, height, thickness(), ("plating", "stripping"))
    assert plating.efficiency == pytest.approx(0.93, abs=1e-6)
    assert stripping.efficiency == pytest.approx(1.1, abs=1e-6)
    assert plating.expected_um == pytest.approx(3.2)
    assert stripping.expected_um == pytest.approx(-2.1)
    assert "plating: 93.0 ± 0.0 %" in plating.text


def test_above_one_a_porosity_is_named():
    (plating,) = fit_efficiency(TIMES, thickness()[:, 0] * 1.25, thickness()[:, :1] * [1, 0], ("plating", ""))
    assert "a porosity of 20.0 ± 0.0 %" in plating.text


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_its_error_holds_for_white_and_for_persistent_errors(correlation):
    within = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        error = np.zeros(TIMES.size)
        error[0] = rng.normal()
        for k in range(1, TIMES.size):
            error[k] = correlation * error[k - 1] + np.sqrt(1 - correlation**2) * rng.normal()
        height = thickness() @ np.array([0.93, 1.1]) + 0.03 * error
        for one, true in zip(
            fit_efficiency(TIMES, height, thickness(), ("plating", "stripping")), (0.93, 1.1), strict=True
        ):
            within.append(abs(one.efficiency - true) <= one.sigma)
    assert 0.58 <= np.mean(within) <= 0.97


def test_the_errors_of_area_and_of_shared_bias_are_added():
    height = thickness() @ np.array([0.93, 1.1])
    plating, _ = fit_efficiency(TIMES, height, thickness(), ("plating", "stripping"), relative_sigma=0.02)
    assert plating.sigma == pytest.approx(0.0186, rel=0.01)
    shared = np.full(TIMES.size, 0.01)
    plating, _ = fit_efficiency(TIMES, height, thickness(), ("plating", "stripping"), shared_um=shared)
    assert plating.sigma == pytest.approx(np.sqrt(2) * 0.01 / 3.2, rel=0.01)


def test_scans_without_a_surface_are_left_out_and_too_few_give_nothing():
    height = thickness() @ np.array([0.93, 1.1])
    height[[3, 9]] = np.nan
    assert fit_efficiency(TIMES, height, thickness(), ("plating", "stripping"))[
        0
    ].efficiency == pytest.approx(0.93)
    height[3:] = np.nan
    assert fit_efficiency(TIMES, height, thickness(), ("plating", "stripping")) == []


def test_an_unknown_metal_is_named():
    with pytest.raises(InputError, match="metal is 'unobtainium'; give one of zinc, copper"):
        metal_named("unobtainium")
