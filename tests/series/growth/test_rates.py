"""Rates are those of the law that made the relief grow, through noise, gaps and scans gone wrong."""

from __future__ import annotations

import numpy as np
import pytest

from lee.errors import InputError
from lee.series.growth.rates import Growth, growth, rates
from lee.series.region_curves import noise_area_px, rate_ratio, region_curves
from lee.surfaces.regions import Region
from tests.support.growing_relief import PIXEL_UM, Grown, grown, measured, rms

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def runs() -> dict[int, tuple[Grown, np.ndarray, np.ndarray, Growth]]:
    found = {}
    for seed in SEEDS:
        truth = grown(seed)
        height, sigma = measured(truth, seed)
        found[seed] = truth, height, sigma, growth(height, sigma, truth.times_s)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_rates_are_within_two_and_a_half_nanometres_a_second(runs, seed: int) -> None:
    truth, _, _, found = runs[seed]
    error = found.rate_nm_per_s - truth.rate_nm_per_s
    assert found.rate_nm_per_s.dtype == np.float32
    assert np.isfinite(error).mean() > 0.97
    assert rms(error) < 2.5  # must 5
    assert max(rms(one) for one in error) < 4  # the first and last scans included
    mean = np.abs([np.nanmean(one) for one in error])
    assert mean[2:-2].max() < 0.5
    assert mean.max() < 2  # with scans to one side only, the change of the rate is less certain


@pytest.mark.parametrize("seed", SEEDS)
def test_uncertainty_is_that_of_the_error(runs, seed: int) -> None:
    truth, _, _, found = runs[seed]
    score = (found.rate_nm_per_s - truth.rate_nm_per_s) / found.rate_sigma_nm_per_s
    for one in score:
        assert 0.7 < 1.4826 * np.nanmedian(np.abs(one)) < 1.35


def test_change_and_adjacent_rates_are_plain_differences(runs) -> None:
    truth, height, _, found = runs[1]
    assert found.first == 0
    np.testing.assert_array_equal(found.delta_um, height - height[0])
    expected = np.diff(height.astype(np.float64), axis=0) / 10 * 1000
    np.testing.assert_allclose(found.adjacent_nm_per_s, expected, atol=0.01)
    np.testing.assert_array_equal(found.times_s, truth.times_s)


def test_exact_heights_give_exact_rates_of_steady_growth() -> None:
    rng = np.random.default_rng(0)
    rate = rng.uniform(-80, 80, (40, 48))
    times = np.array([0.0, 9, 21, 30, 44, 50, 61])
    height = rng.normal(0, 10, rate.shape) + rate / 1000 * times[:, None, None]
    found = growth(height, None, times)
    assert np.abs(found.rate_nm_per_s - rate).max() < 0.05  # float32 at 40 um


@pytest.mark.parametrize("window", [3, 5, 7])
def test_one_wild_height_of_a_window_is_left_out(window: int) -> None:
    rng = np.random.default_rng(3)
    times = 10.0 * np.arange(9)
    height = 0.04 * times[:, None, None] + rng.normal(0, 0.01, (9, 64, 64))
    clean = growth(height, None, times, window=window)
    height[4, 10:20, 10:20] += 2.0
    found = growth(height, None, times, window=window)
    wild = np.s_[:, 10:20, 10:20]
    if window >= 5:
        off = np.abs(found.rate_nm_per_s[wild] - 40)
        assert off.max() < 6 * rms(clean.rate_nm_per_s - 40)
        assert found.left_out_share[4] == pytest.approx(100 / 64**2, rel=0.2)
    else:  # which of three is wrong cannot be known
        assert np.isnan(found.rate_nm_per_s[wild][3:6]).all()


def test_a_scan_off_as_a_whole_and_one_that_failed_do_not_reach_the_rates() -> None:
    truth = grown(4)
    height, sigma = measured(truth, 4)
    height[5] += 0.25
    height[8] = np.nan
    found = growth(height, sigma, truth.times_s)
    assert found.scan_weight[[5, 8]].tolist() == [0, 0]
    assert (np.delete(found.scan_weight, [5, 8]) > 0.5).all()
    assert rms(found.rate_nm_per_s - truth.rate_nm_per_s) < 3
    assert np.isfinite(found.rate_nm_per_s[8]).mean() > 0.95
    assert np.isnan(found.delta_um[8]).all()


def test_a_rough_scan_counts_less() -> None:
    truth = grown(5)
    height, sigma = measured(truth, 5, outliers=0)
    rng = np.random.default_rng(5)
    coarse = rng.normal(0, 0.4, (24, 26)).repeat(8, axis=0).repeat(8, axis=1)
    height[6] += coarse
    found = growth(height, sigma, truth.times_s)
    assert found.scan_weight[6] < 0.2
    assert rms(found.rate_nm_per_s - truth.rate_nm_per_s) < 3


def test_a_failed_first_scan_is_not_what_heights_are_held_against() -> None:
    truth = grown(6, scans=7)
    height, sigma = measured(truth, 6)
    height[0] = np.nan
    found = growth(height, sigma, truth.times_s)
    assert found.first == 1
    np.testing.assert_array_equal(found.delta_um[3], height[3] - height[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_do_not_reach_from_plating_into_stripping(seed: int) -> None:
    truth = grown(seed, scans=14, plating=7)
    height, sigma = measured(truth, seed)
    phases = ["plating"] * 7 + ["stripping"] * 7
    found = growth(height, sigma, truth.times_s, phases=phases)
    assert (np.nanmedian(found.rate_nm_per_s[:7], axis=(1, 2)) > 20).all()
    assert (np.nanmedian(found.rate_nm_per_s[7:], axis=(1, 2)) < -10).all()
    assert rms(found.rate_nm_per_s - truth.rate_nm_per_s) < 3.5


def test_a_phase_of_two_scans_has_no_rate() -> None:
    truth = grown(1, scans=7)
    found = growth(truth.height_um, None, truth.times_s, phases=["plating"] * 5 + ["rest"] * 2)
    assert np.isnan(found.rate_nm_per_s[5:]).all()
    assert np.isfinite(found.rate_nm_per_s[:5]).all()


def test_nothing_measured_is_nan_and_no_stop() -> None:
    found = growth(np.full((6, 20, 20), np.nan, np.float32), None, np.arange(6.0))
    assert np.isnan(found.rate_nm_per_s).all()
    assert np.isnan(found.rate_sigma_nm_per_s).all()


def test_pixels_measured_twice_have_no_rate() -> None:
    truth = grown(2, scans=5)
    height = truth.height_um.astype(np.float32)
    height[[0, 2, 4], :30] = np.nan
    found = growth(height, None, truth.times_s)
    assert np.isnan(found.rate_nm_per_s[:, :30]).all()
    assert np.isfinite(found.rate_nm_per_s[:, 30:]).all()


def test_scans_are_taken_one_after_the_other(runs) -> None:
    truth, height, sigma, found = runs[2]

    class Stored:
        """Reads maps as a store does; remembers how many are asked for between two rates."""

        def __init__(self, maps: np.ndarray) -> None:
            self.maps, self.read = maps, 0

        def __len__(self) -> int:
            return len(self.maps)

        def __getitem__(self, k: int) -> np.ndarray:
            self.read += 1
            return self.maps[k]

    stored = Stored(height)
    for one in rates(stored, sigma, truth.times_s):  # type: ignore[arg-type]
        np.testing.assert_array_equal(one.rate_nm_per_s, found.rate_nm_per_s[one.scan])
    assert stored.read <= 2 * len(height) + 2


@pytest.mark.parametrize("seed", SEEDS)
def test_trench_to_protrusion_ratio_is_within_three_percent(runs, seed: int) -> None:
    truth, height, sigma, found = runs[seed]
    regions = [Region("T", "trench", truth.trench > 0.7), Region("P", "protrusion", truth.trench < -0.7)]
    curves = region_curves(
        regions,
        height,
        found.rate_nm_per_s,
        found.rate_sigma_nm_per_s,
        truth.times_s,
        pixel_um=PIXEL_UM,
        sigmas_um=sigma,
    )
    ratio = rate_ratio(curves)
    expected = [
        one[truth.trench > 0.7].mean() / one[truth.trench < -0.7].mean() for one in truth.rate_nm_per_s
    ]
    assert expected[0] > 2.5
    error = ratio["ratio"] / expected - 1
    assert np.abs(error[1:-1]).max() < 0.03  # must 10 %
    assert np.abs(error).max() < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_alike_over_pixels_are_counted_once(runs, seed: int) -> None:
    truth, height, _, _ = runs[seed]
    # The integral of a Gaussian's autocorrelation.
    assert noise_area_px(height, truth.times_s) == pytest.approx(4 * np.pi * 1.2**2, rel=0.2)


def test_bad_input_is_one_line() -> None:
    height = np.zeros((6, 16, 16), np.float32)
    times = 10.0 * np.arange(6)
    with pytest.raises(InputError, match=r"6 scans are fewer than the window of 7"):
        growth(height, None, times, window=7)
    with pytest.raises(InputError, match=r"window is 2 scans; a rate needs 3"):
        growth(height, None, times, window=2)
    with pytest.raises(InputError, match=r"out of order: scan 3 at 5 s does not come after scan 2 at 20 s"):
        growth(height, None, [0, 10, 20, 5, 30, 40])
    with pytest.raises(InputError, match=r"5 times for 6 scans"):
        growth(height, None, times[:5])
    with pytest.raises(InputError, match=r"time of scan 2 is missing"):
        growth(height, None, [0, 10, np.nan, 30, 40, 50])
    with pytest.raises(InputError, match=r"5 maps of uncertainty for 6 scans"):
        growth(height, height[:5], times)
    with pytest.raises(InputError, match=r"1 phases for 6 scans"):
        growth(height, None, times, phases=["plating"])
    with pytest.raises(InputError, match=r"height map has shape \(16,\)"):
        growth(height[:, 0], None, times)
    with pytest.raises(InputError, match=r"height map 3 is \(8, 16\), the first \(16, 16\)"):
        growth([height[0]] * 3 + [height[0, :8]] * 3, None, times)
