"""Heights over time from scans with errors: exact ones kept, noisy ones smoothed, absent ones bridged."""

import numpy as np
import pytest

from lee.twin.following.trajectory import smoothed

TIMES = 15.0 * np.arange(12)
STEADY, FADING = np.random.default_rng(1).uniform((10, 20), (30, 60), (400, 2)).T.reshape(2, 20, 20)


def heights(time_s):
    """Growth that slows down, µm."""
    return 1e-3 * (STEADY * time_s + FADING * 90 * (1 - np.exp(-time_s / 90)))


EXACT = np.stack([heights(t) for t in TIMES])


def noisy(sigma_um, seed=0):
    return EXACT + sigma_um * np.random.default_rng(seed).standard_normal(EXACT.shape)


def even(sigma_um):
    return np.full(EXACT.shape, sigma_um)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_exact_heights_are_kept_and_between_them_it_is_cubic():
    path = smoothed(TIMES, EXACT, even(0.05))
    assert rms(path.height_um - EXACT) < 1e-5
    for moment in (7.5, 37.0, 100.0):
        assert rms(path.at(moment) - heights(moment)) < 0.01
    np.testing.assert_array_equal(path.at(-5.0), path.height_um[0])
    np.testing.assert_array_equal(path.at(1e4), path.height_um[-1])


@pytest.mark.parametrize("sigma_um", [0.05, 0.2])
def test_noise_is_smoothed_and_the_errors_are_as_large_as_stated(sigma_um):
    path = smoothed(TIMES, noisy(sigma_um), even(sigma_um))
    error = path.height_um - EXACT
    assert rms(error) < 0.75 * sigma_um
    assert 0.85 < rms(error / path.sigma_um) < 1.15


def test_errors_larger_than_stated_are_noticed():
    path = smoothed(TIMES, noisy(0.2), even(0.05))
    assert path.scale == pytest.approx(4, rel=0.1)
    assert 0.85 < rms((path.height_um - EXACT) / path.sigma_um) < 1.15


def test_gaps_are_bridged_and_a_scan_that_is_wrong_counts_little():
    measured = noisy(0.05)
    measured[5] = np.nan
    measured[3, :6] = np.nan
    measured[8] += 3.0
    error = smoothed(TIMES, measured, even(0.05)).height_um - EXACT
    assert rms(error[5]) < 0.06
    assert rms(error[8]) < 0.06


def test_where_the_current_is_reversed_the_speed_may_jump():
    turned = EXACT.copy()
    turned[7:] = EXACT[6] - (EXACT[6:11] - EXACT[5])
    measured = turned + 0.03 * np.random.default_rng(3).standard_normal(turned.shape)
    told = smoothed(TIMES, measured, even(0.03), (97.5,))
    untold = smoothed(TIMES, measured, even(0.03))
    assert rms(told.height_um - turned) < 0.025 < rms(untold.height_um - turned)


def test_a_single_scan_stays_where_it_is():
    path = smoothed(TIMES[:1], EXACT[:1], even(0.05)[:1])
    np.testing.assert_array_equal(path.at(3.0), EXACT[0])
