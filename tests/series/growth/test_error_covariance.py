"""New and slowly moving errors of heights are told apart, and the rates' sigmas hold for both."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lee.series.growth.error_covariance import error_covariance
from lee.series.growth.rates import growth
from tests.support.growing_relief import Grown, grown

SEEDS = (1, 2, 3)
SIGMA_UM = 0.05


def errors(scans: int, shape: tuple[int, ...], correlation: float, seed: int) -> np.ndarray:
    """Errors of variance 1, alike over some pixels, correlated so much from scan to scan."""
    rng = np.random.default_rng([seed, 5])
    found = ndimage.gaussian_filter(rng.standard_normal((scans, *shape)), (0, 1.2, 1.2))
    found /= found.std()
    for k in range(1, scans):
        found[k] = correlation * found[k - 1] + np.sqrt(1 - correlation**2) * found[k]
    return found


def steep(truth: Grown) -> np.ndarray:
    """Sigmas that grow with the slope of the relief."""
    slope = np.hypot(*np.gradient(truth.height_um[0]))
    return 0.02 + 0.2 * slope / np.percentile(slope, 95)


def shares_within(truth: Grown, height: np.ndarray, sigma: np.ndarray | None) -> np.ndarray:
    """The share of rates within one stated sigma of the true one, scan by scan."""
    stated = None if sigma is None else np.broadcast_to(sigma.astype(np.float32), height.shape)
    found = growth(height.astype(np.float32), stated, truth.times_s)
    score = np.abs(found.rate_nm_per_s - truth.rate_nm_per_s) / found.rate_sigma_nm_per_s
    return np.array([np.mean(one[np.isfinite(one)] <= 1) for one in score])


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["white", "persistent", "sloped"])
def test_two_of_three_rates_are_within_their_sigma(kind: str, seed: int) -> None:
    truth = grown(seed)
    scans, *shape = truth.height_um.shape
    white, slow = (errors(scans, tuple(shape), one, seed + n) for n, one in ((0, 0.0), (10, 0.9)))
    made = {"white": white, "persistent": slow, "sloped": 0.5 * white + slow}[kind]
    sigma = steep(truth) if kind == "sloped" else np.full(shape, SIGMA_UM)
    shares = shares_within(truth, truth.height_um + sigma * made, sigma if kind == "sloped" else None)
    assert 0.62 < shares.mean() < 0.75  # must 0.60 to 0.76
    assert shares[1:-1].min() > 0.6
    assert shares[1:-1].max() < 0.76


def test_a_constant_error_and_steady_growth_are_no_errors_of_rates() -> None:
    rng = np.random.default_rng(1)
    times = 10.0 * np.arange(9)
    start, rate = rng.normal(0, 1, (2, 64, 64))
    height = (start + 0.01 * rate * times[:, None, None]).astype(np.float32)
    found = error_covariance(height[:, None], np.ones((1, 64, 64), np.float32), times, times)
    assert found is not None
    assert found.white_um2.max() < 1e-9
    assert found.walk_um2_per_s.max() < 1e-9


@pytest.mark.parametrize("spacing", ["even", "uneven"])
def test_both_parts_are_found_in_classes_of_stated_variance(spacing: str) -> None:
    rng = np.random.default_rng(2)
    times = 10.0 * np.arange(9) if spacing == "even" else np.array([0, 8, 21, 30, 55, 60, 71, 90, 98.0])
    sigma = np.where(np.arange(96) < 48, 0.03, 0.1)[None, :] * np.ones((96, 1))
    steps = np.sqrt(2 * 4e-5 * np.diff(times, prepend=times[0]))[:, None, None]
    walk = np.cumsum(steps * rng.standard_normal((9, 96, 96)), axis=0)
    height = (sigma * rng.standard_normal((9, 96, 96)) + walk).astype(np.float32)
    height[rng.random(height.shape) < 0.02] = np.nan
    height[3, 10:14, 10:14] += 5  # outliers
    stated = np.float32(0.5) * np.square(sigma).astype(np.float32)  # wrong by a factor, right in ratio
    found = error_covariance(height[:, None], stated[None], times, times)
    assert found is not None
    white, slow = found.at(np.array([0.5 * 0.03**2, 0.5 * 0.1**2], np.float32))
    np.testing.assert_allclose(np.sqrt(white), [0.03, 0.1], rtol=0.1)
    assert slow[0] == pytest.approx(4e-5, rel=0.3)


def test_nothing_is_said_of_two_scans_or_a_few_pixels() -> None:
    heights = np.zeros((5, 1, 40, 40), np.float32)
    stated = np.ones((1, 40, 40), np.float32)
    assert error_covariance(heights[:2], stated, np.arange(2.0), np.arange(2.0)) is None
    heights[0, 0, 1:] = np.nan
    assert error_covariance(heights, stated, np.arange(5.0), np.arange(5.0)) is None


def as_in_the_field(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights with persistent errors, their times and true rates, in a run that something happened to."""
    rng = np.random.default_rng(6)
    truth = grown(2)
    times = {
        "uneven times": np.cumsum(rng.uniform(4, 25, 12)),
        "pauses": np.delete(10.0 * np.arange(17), [4, 5, 9, 10, 11]),
    }.get(case, 10.0 * np.arange(12))
    early, faded = 30 + 30 * truth.trench[None], np.exp(-times / 90)[:, None, None]
    height = truth.height_um[0] + (25 * times[:, None, None] + early * 90 * (1 - faded)) / 1000
    height += SIGMA_UM * errors(12, truth.trench.shape, 0.9, 6)
    rate = 25 + early * faded
    if case == "histories of gaps":
        height[:6, :, :60] = np.nan
        height[7:, 100:] = np.nan
        height[rng.random(height.shape) < 0.1] = np.nan
    if case == "one scan off":
        height[5] += 0.4
    if case == "a stage that drifts":
        height += 0.002 * times[:, None, None]
        rate = rate + 2
    if case == "few scans":
        height, times, rate = height[:5], times[:5], rate[:5]
    return height.astype(np.float32), times, rate


@pytest.mark.parametrize(
    "case",
    ["uneven times", "pauses", "histories of gaps", "one scan off", "a stage that drifts", "few scans"],
)
def test_sigmas_hold_in_runs_as_they_are(case: str) -> None:
    height, times, rate = as_in_the_field(case)
    found = growth(height, None, times)
    score = np.abs(found.rate_nm_per_s - rate) / found.rate_sigma_nm_per_s
    known = np.isfinite(score)
    assert known.mean() > (0.5 if case == "histories of gaps" else 0.98)
    assert 0.6 < np.mean(score[known] <= 1) < 0.76
    assert np.mean(score[known] <= 2) > 0.9
