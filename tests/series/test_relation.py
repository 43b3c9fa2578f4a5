"""The relation of curvature and growth is found, and its intervals hold the truth as often as stated."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

import lee
from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError
from lee.series.relation import Relation, relate
from lee.series.report.relation_figures import relation_figure
from lee.series.report.tables import relation_tables

SHAPE = (200, 220)


def related(seed: int, strength: float, *, size_px: float = 16, shape=SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Curvature 0.1/um rms and a rate of 10 nm/s rms around 50 that follows it by `strength` (0 to 1)."""
    rng = np.random.default_rng(seed)
    curved, other = (smooth_field(shape, size_px, rng).astype(np.float64) for _ in range(2))
    return 0.1 * curved, 50 + 10 * (strength * curved + np.sqrt(1 - strength**2) * other)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_correlations_are_scipys(seed: int) -> None:
    curved, rate = related(seed, 0.6)
    rate = rate + 0.01 * (rate - 50) ** 3
    curved[30:50, 60:90] = np.nan
    rate[100:120, :30] = np.nan
    known = np.isfinite(curved) & np.isfinite(rate)
    found = relate(curved, rate, pixel_um=0.25)
    assert found.spearman == pytest.approx(stats.spearmanr(curved[known], rate[known]).statistic, abs=1e-9)
    assert found.pearson == pytest.approx(stats.pearsonr(curved[known], rate[known]).statistic, abs=1e-9)
    assert found.n == known.sum()
    for value, interval in (
        (found.spearman, found.spearman_interval),
        (found.pearson, found.pearson_interval),
    ):
        assert interval[0] < value < interval[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_medians_and_density_are_the_pixels_own(seed: int) -> None:
    curved, rate = related(seed, 0.8)
    found = relate(curved, rate, pixel_um=0.25, bins=9, cells=40)
    width = found.bin_centres_per_um[1] - found.bin_centres_per_um[0]
    for centre, median in zip(found.bin_centres_per_um, found.median, strict=True):
        assert median == pytest.approx(np.median(rate[np.abs(curved - centre) < width / 2]))
    cells = np.outer(np.diff(found.curvature_edges_per_um), np.diff(found.value_edges))
    assert found.density.shape == (40, 40)
    assert (found.density * cells).sum() == pytest.approx(1)
    assert (found.low <= found.median).all()
    assert (found.median <= found.high).all()


def test_a_law_is_recovered_bin_by_bin() -> None:
    rng = np.random.default_rng(3)
    curved = 0.1 * smooth_field(SHAPE, 16, rng).astype(np.float64)
    rate = 40 + 200 * curved + rng.normal(0, 5, SHAPE)
    found = relate(curved, rate, pixel_um=0.25)
    np.testing.assert_allclose(found.median, 40 + 200 * found.bin_centres_per_um, atol=1.5)
    assert found.spearman > 0.9
    assert found.spearman_interval[0] > 0.9


# Without a relation, intervals are held against the truth in test_particle_density.py, too.
@pytest.mark.slow
@pytest.mark.parametrize("strength", [pytest.param(0.0, marks=pytest.mark.slow), 0.6])
def test_intervals_hold_the_truth_as_often_as_they_claim(strength: float) -> None:
    """Fields alike over many pixels: taken pixel by pixel, nine of ten intervals would miss."""
    truth = 6 / np.pi * np.arcsin(strength / 2)
    held = {"spearman": 0, "pearson": 0, "median": 0, "naive": 0}
    count, bins = 60, 0
    for seed in range(count):
        curved, rate = related(100 + seed, strength)
        found = relate(curved, rate, pixel_um=0.25, resamples=300)
        held["spearman"] += found.spearman_interval[0] <= truth <= found.spearman_interval[1]
        held["pearson"] += found.pearson_interval[0] <= strength <= found.pearson_interval[1]
        middle = slice(5, 10)
        expected = 50 + 100 * strength * found.bin_centres_per_um[middle]
        inside = (found.low[middle] <= expected) & (expected <= found.high[middle])
        held["median"] += int(inside.sum())
        bins += inside.size
        held["naive"] += abs(found.spearman - truth) < 1.96 / np.sqrt(found.n)
    assert held["naive"] / count < 0.4
    assert held["spearman"] / count > 0.82
    assert held["pearson"] / count > 0.82
    assert held["median"] / bins > 0.82


@pytest.mark.parametrize("size_px", [8, 16, 30])
def test_blocks_and_independent_places_grow_with_what_is_alike(size_px: float) -> None:
    curved, rate = related(7, 0.0, size_px=size_px, shape=(400, 400))
    found = relate(curved, rate, pixel_um=0.25, resamples=50)
    # Both autocorrelations are Gaussian, size wide at half height: their product covers this area.
    sigma = size_px / 2.355
    alike = np.pi * sigma**2
    assert found.n_effective == pytest.approx(found.n / alike, rel=0.35)
    assert 2 * size_px * 0.25 > found.block_um > 0.5 * size_px * 0.25


def test_the_same_seed_gives_the_same_numbers() -> None:
    curved, rate = related(1, 0.5)
    first, second, other = (relate(curved, rate, pixel_um=1, seed=seed, resamples=100) for seed in (4, 4, 5))
    assert first.spearman_interval == second.spearman_interval
    np.testing.assert_array_equal(first.low, second.low)
    assert first.spearman_interval != other.spearman_interval


def test_a_field_too_small_for_an_interval_is_reported() -> None:
    curved, rate = related(2, 0.5, size_px=60, shape=(64, 64))
    found = relate(curved, rate, pixel_um=0.25)
    assert np.isfinite(found.spearman)
    assert np.isnan(found.spearman_interval).all()
    assert np.isnan(found.low).all()
    assert "too few for an interval" in found.note


def test_nothing_measured_is_nan_with_a_note() -> None:
    found = relate(np.full((20, 20), np.nan), np.zeros((20, 20)), pixel_um=1)
    assert isinstance(found, Relation)
    assert np.isnan([found.spearman, found.pearson]).all()
    assert found.note == "only 0 pixels are measured in both maps"


def test_constant_maps_have_no_correlation() -> None:
    found = relate(np.zeros((50, 50)), np.full((50, 50), 3.0), pixel_um=1)
    assert np.isnan([found.spearman, found.pearson]).all()
    assert np.nanmedian(found.median) == 3


def test_curvature_of_a_measured_surface_against_a_law() -> None:
    rng = np.random.default_rng(5)
    height = 3 * smooth_field((256, 256), 40, rng)
    truth = lee.curvature(height, pixel_um=0.25, scale_um=1.0).mean_per_um
    curved = lee.curvature(
        height + rng.normal(0, 0.03, height.shape).astype(np.float32), pixel_um=0.25, scale_um=1.0
    ).mean_per_um
    found = relate(curved, 20 + 60 * truth + rng.normal(0, 2, height.shape), pixel_um=0.25)
    middle = slice(3, -3)
    np.testing.assert_allclose(found.median[middle], 20 + 60 * found.bin_centres_per_um[middle], atol=1)


def test_a_relation_names_what_was_related() -> None:
    curved, density = related(1, 0.5)
    found = relate(curved, density, pixel_um=0.25, value="particle density", unit="1/µm²", resamples=50)
    assert (found.value, found.unit) == ("particle density", "1/µm²")
    assert (relate(curved, density, pixel_um=0.25, resamples=50).unit) == "nm/s"
    nothing = relate(curved * np.nan, density, pixel_um=0.25, value="particle density", unit="1/µm²")
    assert (nothing.value, nothing.unit) == ("particle density", "1/µm²")
    axes = relation_figure({"t = 10 s": found}).axes
    assert axes[0].get_ylabel() == "particle density (1/µm²)"
    assert axes[-1].get_ylabel() == "share of pixels per 1/µm and 1/µm², logarithmic"
    assert "median of the particle density" in axes[0].get_legend_handles_labels()[1]


def test_tables_of_a_run_keep_their_columns() -> None:
    tables = relation_tables({"plating": relate(*related(1, 0.5), pixel_um=0.25, resamples=50)}, {})
    assert list(tables["relation_bins.csv"]) == [
        "when", "mean_curvature_per_um", "median_rate_nm_per_s", "low_nm_per_s", "high_nm_per_s",
    ]  # fmt: skip
    assert tables["relation_bins.csv"]["median_rate_nm_per_s"].notna().all()


def test_large_fields_do_not_take_long() -> None:
    curved, rate = related(1, 0.5, size_px=30, shape=(1400, 1400))
    start = time.process_time()
    relate(curved, rate, pixel_um=0.25)
    assert time.process_time() - start < 8


def test_bad_input_is_one_line() -> None:
    maps = np.zeros((8, 8))
    with pytest.raises(InputError, match=r"curvature is \(8, 8\), rate \(8, 7\)"):
        relate(maps, maps[:, :7], pixel_um=1)
    with pytest.raises(InputError, match=r"bins, cells and resamples must be 1 or more"):
        relate(maps, maps, pixel_um=1, bins=0)
    with pytest.raises(InputError, match=r"block_um is -1"):
        relate(maps, maps, pixel_um=1, block_um=-1)
