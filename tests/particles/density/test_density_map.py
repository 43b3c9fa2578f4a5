"""Densities are particles over true area; intervals of the relation to curvature have their coverage."""

from __future__ import annotations

import numpy as np
import pytest

from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError
from lee.particles.density.bootstrap import poisson_interval
from lee.particles.density.curvature_relation import relate_density
from lee.particles.density.density_map import Density, density_map
from lee.particles.density.scale import gaussian, smoothed
from lee.particles.table import empty_table
from tests.support.particle_relief import drawn_from, surface_of, table

PIXEL_UM = 0.5
AREA_UM2 = PIXEL_UM**2


def everywhere(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices(shape).reshape(2, -1)
    return rows * PIXEL_UM, columns * PIXEL_UM


def integral(density: Density) -> float:
    return float(np.nansum(density.per_um2 * density.field.area_um2.astype(np.float64)))


# --- the map ---


def test_the_map_is_the_sum_of_kernels_over_the_area_under_them() -> None:
    rng = np.random.default_rng(1)
    height = np.cumsum(rng.normal(0, 0.2, (23, 31)), axis=1)
    height[5:9, 10:17] = np.nan
    particles = table(rng.uniform(0, 11, 90), rng.uniform(0, 15, 90))
    found = density_map(particles, pixel_um=PIXEL_UM, surface=surface_of(height, PIXEL_UM), scale_um=1.5)
    area = found.field.area_um2.astype(np.float64)
    number = np.zeros(height.shape)
    for y, x in zip(particles["y_um"] / PIXEL_UM, particles["x_um"] / PIXEL_UM, strict=True):
        number[round(y), round(x)] += np.isfinite(height[round(y), round(x)])
    rows, columns = np.indices(height.shape)
    for place in ((0, 0), (12, 20), (22, 30), (6, 18)):
        weight = np.exp(-((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / (2 * (1.5 / PIXEL_UM) ** 2))
        expected = (weight * number).sum() / (weight * area).sum()
        worth = (weight * area).sum() ** 2 / (weight**2 * area).sum()
        # The kernel ends at five standard deviations.
        assert found.per_um2[place] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert found.sigma_per_um2[place] == pytest.approx(np.sqrt(expected * worth + 0.5) / worth, rel=1e-4)
        assert found.effective_count[place] == pytest.approx(expected * worth, rel=1e-4, abs=1e-4)
    assert np.isnan(found.per_um2[6, 12])
    assert found.count == number.sum()
    assert found.left_out == 90 - found.count > 0


def test_its_integral_over_the_true_area_is_the_count() -> None:
    rng = np.random.default_rng(2)
    inside = table(rng.uniform(20, 40, 70), rng.uniform(20, 50, 70))
    flat = density_map(inside, pixel_um=PIXEL_UM, shape=(121, 141), scale_um=2.0)
    assert integral(flat) == pytest.approx(70, rel=1e-4)
    # At the border the kernel is cut, and held against what is left of its area: right on average.
    found = []
    for seed in range(20):
        relief = 2 * smooth_field((90, 110), 25, np.random.default_rng(seed))
        relief[20:35, 50:80] = np.nan
        surface = surface_of(relief, PIXEL_UM)
        area = density_map(empty_table(), pixel_um=PIXEL_UM, surface=surface).field.area_um2
        particles = drawn_from(np.full(relief.shape, 0.1), area, np.random.default_rng(seed), PIXEL_UM)
        one = density_map(particles, pixel_um=PIXEL_UM, surface=surface, scale_um=2.0)
        found.append(integral(one) / max(one.count, 1))
    assert np.mean(found) == pytest.approx(1, abs=0.01)
    assert np.std(found) < 0.05


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.7])
def test_on_a_tilted_plane_density_is_lower_by_the_cosine(slope: float) -> None:
    rng = np.random.default_rng(3)
    particles = table(rng.uniform(0, 30, 200), rng.uniform(0, 35, 200))
    plane = slope * PIXEL_UM * np.arange(81)[None, :] + np.zeros((71, 1))
    flat = density_map(particles, pixel_um=PIXEL_UM, shape=plane.shape, scale_um=2.0)
    found = density_map(particles, pixel_um=PIXEL_UM, surface=surface_of(plane, PIXEL_UM), scale_um=2.0)
    cosine = 1 / np.hypot(1, slope)
    np.testing.assert_allclose(found.per_um2, cosine * flat.per_um2, rtol=2e-4, atol=1e-7)
    assert found.mean_per_um2 == pytest.approx(cosine * flat.mean_per_um2, rel=1e-4)
    assert found.area_um2 == pytest.approx(flat.area_um2 / cosine, rel=1e-4)
    assert found.field.is_true_area
    assert not flat.field.is_true_area


def test_what_is_uniform_stays_so_up_to_border_and_gaps() -> None:
    height = np.zeros((40, 50))
    height[10:20, 30:50] = np.nan
    particles = table(*everywhere((40, 50)))
    found = density_map(particles, pixel_um=PIXEL_UM, surface=surface_of(height, PIXEL_UM), scale_um=3.0)
    known = np.isfinite(height)
    np.testing.assert_allclose(found.per_um2[known], 1 / AREA_UM2, rtol=1e-5)
    assert np.isnan(found.per_um2[~known]).all()
    assert found.count == known.sum()
    assert found.left_out == (~known).sum()


def test_noise_of_the_heights_adds_no_area() -> None:
    noise = np.random.default_rng(4).normal(0, 0.05, (200, 200))
    found = density_map(empty_table(), pixel_um=0.25, surface=surface_of(noise, 0.25))
    assert found.area_um2 == pytest.approx(200 * 200 * 0.25**2, rel=1e-4)
    fine = density_map(empty_table(), pixel_um=0.25, surface=surface_of(noise, 0.25), slope_scale_um=0.25)
    assert fine.area_um2 > 1.001 * found.area_um2


def test_only_what_could_be_seen_counts() -> None:
    seen = np.ones((30, 30), bool)
    seen[:, 20:] = False
    found = density_map(table(*everywhere((30, 30))), pixel_um=PIXEL_UM, searched=seen, scale_um=2.0)
    assert found.area_um2 == pytest.approx(30 * 20 * AREA_UM2)
    assert found.mean_per_um2 == pytest.approx(1 / AREA_UM2)
    assert (np.isfinite(found.per_um2) == seen).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (9, 1), (5, 7), (61, 83)])
@pytest.mark.parametrize("measured", [True, False])
def test_no_particles_are_a_map_of_zeros(shape: tuple[int, int], measured: bool) -> None:
    surface = surface_of(np.full(shape, 1.0 if measured else np.nan), PIXEL_UM)
    found = density_map(empty_table(), pixel_um=PIXEL_UM, surface=surface)
    assert found.per_um2.shape == shape
    assert found.per_um2.dtype == np.float32
    assert found.count == 0
    if measured:
        assert (found.per_um2 == 0).all()
        assert (found.sigma_per_um2 > 0).all()
        assert found.mean_interval == pytest.approx((0, 3.6889 / found.area_um2), rel=1e-4)
    else:
        assert np.isnan(found.per_um2).all()
        assert np.isnan([found.mean_per_um2, *found.mean_interval]).all()


def test_particles_lie_in_the_pixel_whose_middle_is_nearest() -> None:
    particles = table(np.array([-0.24, 9.24, 9.26, 3.0, np.nan]), np.array([0.0, 14.7, 3.0, -0.3, 2.0]))
    found = density_map(particles, pixel_um=PIXEL_UM, shape=(19, 30), scale_um=1.0)
    assert np.argwhere(found.counts.per_pixel).tolist() == [[0, 0], [18, 29]]
    assert (found.count, found.left_out) == (2, 3)


def test_the_mean_has_garwoods_interval() -> None:
    low, high = poisson_interval(np.array([0, 1, 10, 100]), 0.95)
    np.testing.assert_allclose(low, [0, 0.0253, 4.7954, 81.364], rtol=1e-3)
    np.testing.assert_allclose(high, [3.6889, 5.5716, 18.390, 121.627], rtol=1e-3)


def test_sigma_holds_the_scatter_of_counting() -> None:
    within = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        particles = drawn_from(np.full((80, 80), 0.08), np.full((80, 80), AREA_UM2), rng, PIXEL_UM)
        found = density_map(particles, pixel_um=PIXEL_UM, shape=(80, 80), scale_um=3.0)
        within.append((np.abs(found.per_um2 - 0.08) < 1.96 * found.sigma_per_um2).mean())
    assert 0.91 < np.mean(within) < 0.98


# --- its scale ---


def test_the_scale_follows_what_density_does() -> None:
    rng = np.random.default_rng(5)
    shape, area = (128, 128), np.full((128, 128), AREA_UM2)
    even = density_map(drawn_from(np.full(shape, 0.1), area, rng, PIXEL_UM), pixel_um=PIXEL_UM, shape=shape)
    assert even.scale_um > 12
    curved = smooth_field(shape, 24, rng)
    uneven = density_map(
        drawn_from(0.1 * np.exp(curved), area, rng, PIXEL_UM), pixel_um=PIXEL_UM, shape=shape
    )
    assert 1.5 < uneven.scale_um < 5
    assert "cross-validation" in uneven.scale_rule
    few = density_map(table(np.arange(5.0), np.arange(5.0)), pixel_um=PIXEL_UM, shape=shape)
    assert few.scale_um == 0.25 * 128 * PIXEL_UM
    assert "too few particles" in few.scale_rule


def test_pairs_do_not_make_the_scale_their_distance() -> None:
    y, x = np.random.default_rng(6).uniform(0, 60, (2, 60))
    pairs = table(np.concatenate([y, y + 0.2]), np.concatenate([x, x + 0.2]))
    found = density_map(pairs, pixel_um=PIXEL_UM, shape=(121, 121))
    assert found.scale_um >= 0.99 * np.sqrt(4 * found.area_um2 / (4 * np.pi * 120))


@pytest.mark.parametrize(("strength", "count"), [(0.0, 300), (1.0, 300), (1.0, 1500)])
def test_the_scale_is_nearly_the_best_there_is(strength: float, count: int) -> None:
    shape, errors = (110, 120), []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth = np.exp(strength * smooth_field(shape, 30, rng).astype(float))
        truth *= count / truth.sum() / AREA_UM2
        particles = drawn_from(truth, np.full(shape, AREA_UM2), rng, PIXEL_UM)
        scales: list = ["auto", *np.geomspace(1, 13, 9)]
        scales.append(float(np.sqrt(8 / (4 * np.pi * count / (truth.size * AREA_UM2)))))
        maps = [density_map(particles, pixel_um=PIXEL_UM, shape=shape, scale_um=s).per_um2 for s in scales]
        errors.append([((one - truth) ** 2).mean() / truth.mean() ** 2 for one in maps])
    automatic, *given, eight = np.mean(errors, axis=0)
    assert automatic < max(1.3 * min(given), 0.02)
    assert automatic < 1.1 * eight


def test_the_kernel_sums_to_one_and_never_below_zero() -> None:
    assert gaussian(0).tolist() == [1]
    assert gaussian(3.3).sum() == pytest.approx(1)
    point = np.zeros((101, 91))
    point[50, 40] = 3
    spread = smoothed(point, gaussian(4.0))
    assert spread.min() >= 0
    assert spread.sum() == pytest.approx(3)
    assert spread[50, 40] == pytest.approx(3 * gaussian(4.0).max() ** 2)


# --- against curvature ---


def simulated(seed: int, strength: float, count: int, hidden: float = 0.0):
    shape = (200, 200)
    rng = np.random.default_rng(seed)
    curved = smooth_field(shape, 20, rng).astype(float)
    known = np.exp(strength * curved - strength**2 / 2) * count / (curved.size * AREA_UM2)
    other = np.exp(hidden * smooth_field(shape, 30, rng).astype(float) - hidden**2 / 2)
    particles = drawn_from(known * other, np.full(shape, AREA_UM2), rng, PIXEL_UM)
    return curved / 10, known, density_map(particles, pixel_um=PIXEL_UM, shape=shape)


def test_bins_are_particles_over_area() -> None:
    rng = np.random.default_rng(7)
    height = 2 * smooth_field((70, 80), 20, rng)
    surface = surface_of(height, PIXEL_UM)
    curved = rng.normal(0, 0.1, height.shape)
    curved[:9] = np.nan
    found = density_map(table(*rng.uniform(0, 34, (2, 500))), pixel_um=PIXEL_UM, surface=surface)
    relation = relate_density(found, curved, bins=4)
    assert len(relation.edges_per_um) == 5
    for b in range(4):
        low, high = relation.edges_per_um[b : b + 2]
        here = (curved >= low) & ((curved < high) if b < 3 else (curved <= high))
        assert relation.count[b] == found.counts.per_pixel[here].sum()
        assert relation.area_um2[b] == pytest.approx(found.field.area_um2[here].sum(), rel=1e-5)
        assert low <= relation.centres_per_um[b] <= high
    np.testing.assert_allclose(relation.per_um2, relation.count / relation.area_um2)
    np.testing.assert_allclose(relation.area_um2, relation.area_um2.mean(), rtol=0.01)
    assert (relation.low <= relation.per_um2).all()
    assert (relation.per_um2 <= relation.high).all()
    assert relation.left_out == found.counts.per_pixel[:9].sum() > 0
    assert (relation.relation.value, relation.relation.unit) == ("particle density", "1/µm²")


def test_chance_is_that_of_a_particle_above_a_place() -> None:
    rng = np.random.default_rng(8)
    curved = rng.normal(0, 1, (30, 40)).round(1)
    found = density_map(table(*rng.uniform(0, 14, (2, 60))), pixel_um=PIXEL_UM, shape=curved.shape)
    at = np.repeat(curved.ravel(), found.counts.per_pixel.ravel())[:, None]
    expected = ((at > curved.ravel()) + 0.5 * (at == curved.ravel())).mean()
    assert relate_density(found, curved).chance == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strength", "count"),
    [
        pytest.param(0.0, 60, marks=pytest.mark.slow),
        (0.0, 600),
        (0.7, 60),
        pytest.param(0.7, 600, marks=pytest.mark.slow),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_claim(strength: float, count: int) -> None:
    runs, held = 20, {"bins": 0.0, "ratio": 0.0, "chance": 0.0}
    for seed in range(runs):
        curved, truth, density = simulated(200 + seed, strength, count)
        found = relate_density(density, curved, resamples=250)
        bins = len(found.count)
        place = np.clip(np.searchsorted(found.edges_per_um, curved.ravel(), side="right") - 1, 0, bins - 1)
        means = np.bincount(place, truth.ravel()) / np.bincount(place)
        held["bins"] += ((found.low <= means) & (means <= found.high)).mean()
        thirds = np.quantile(curved, [1 / 3, 2 / 3])
        ratio = truth[curved >= thirds[1]].mean() / truth[curved <= thirds[0]].mean()
        low, high = found.trench_to_peak_interval
        held["ratio"] += low <= ratio <= high
        rank = np.argsort(np.argsort(curved.ravel())) / curved.size
        low, high = found.chance_interval
        held["chance"] += low <= (rank * truth.ravel()).sum() / truth.sum() <= high
    assert held["bins"] / runs > 0.91
    assert held["ratio"] / runs > 0.85
    assert held["chance"] / runs > 0.82


@pytest.mark.slow
def test_without_a_relation_the_map_is_seldom_reported_to_have_one() -> None:
    holds = []
    for seed in range(30):
        curved, _, density = simulated(400 + seed, 0.0, 300)
        relation = relate_density(density, curved, resamples=200).relation
        for low, high in (relation.spearman_interval, relation.pearson_interval):
            holds.append(low <= 0 <= high)
    assert np.mean(holds) > 0.78


@pytest.mark.slow
def test_what_curvature_does_not_show_widens_the_intervals() -> None:
    poisson, outer, bins = 0, 0, 0
    for seed in range(20):
        curved, truth, density = simulated(600 + seed, 0.0, 3000, hidden=0.6)
        found = relate_density(density, curved, resamples=250)
        poisson += int(((found.poisson[0] <= truth[0, 0]) & (truth[0, 0] <= found.poisson[1])).sum())
        outer += int(((found.low <= truth[0, 0]) & (truth[0, 0] <= found.high)).sum())
        bins += len(found.count)
    assert poisson / bins < 0.85
    assert outer / bins > 0.85


def test_a_strong_relation_is_found_by_few_particles() -> None:
    curved, _, density = simulated(1, 1.0, 60)
    found = relate_density(density, curved)
    assert found.trench_to_peak_interval[0] > 1
    assert found.chance_interval[0] > 0.5
    same = relate_density(density, curved)
    np.testing.assert_array_equal(same.low, found.low)
    assert same.chance_interval == found.chance_interval


def test_particles_in_trenches_only_have_an_infinite_ratio() -> None:
    curved = np.tile(np.linspace(-1, 1, 60), (60, 1))
    found = relate_density(
        density_map(table(np.arange(30.0), np.full(30, 29.0)), pixel_um=PIXEL_UM, shape=curved.shape), curved
    )
    assert found.trench_to_peak == np.inf
    assert found.trench_to_peak_interval[0] > 5
    assert found.trench_to_peak_interval[1] == np.inf


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (40, 50)])
@pytest.mark.parametrize("curved", [0.0, np.nan])
def test_nothing_to_relate_is_unknown(shape: tuple[int, int], curved: float) -> None:
    none = density_map(empty_table(), pixel_um=PIXEL_UM, shape=shape)
    found = relate_density(none, np.full(shape, curved))
    assert np.isnan([found.trench_to_peak, found.chance]).all()
    assert found.count.sum() == 0
    if np.isnan(curved):
        assert found.note.startswith("the field has only 0 blocks")


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pixel_um": 0, "shape": (3, 3)}, "pixel_um is 0; give µm above 0"),
        ({}, "the shape of the field is unknown; give surface, searched or shape"),
        ({"shape": (3,)}, r"the given shape is \(3,\); give all of one field"),
        (
            {"shape": (3, 3), "searched": np.ones((3, 4))},
            r"the searched area is \(3, 4\), the given shape is \(3, 3\)",
        ),
        ({"surface": surface_of(np.zeros((3, 3)), 1.0)}, "pixels are 0.5 µm, but 1 µm in the surface"),
        ({"shape": (3, 3), "scale_um": -1}, "scale_um is -1; give µm above 0"),
        ({"shape": (3, 3), "scale_um": "wide"}, "scale_um is 'wide'"),
        ({"shape": (3, 3), "confidence": 1}, "confidence is 1; give a number"),
    ],
)
def test_bad_input_of_the_map_is_one_line(options: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        density_map(empty_table(), **{"pixel_um": PIXEL_UM, **options})


def test_positions_of_another_grid_are_refused() -> None:
    with pytest.raises(InputError, match="all 2 are beyond the field of 20 × 10 pixels"):
        density_map(table(np.array([50.0, 90.0]), np.array([1.0, 2.0])), pixel_um=PIXEL_UM, shape=(10, 20))


def test_bad_input_of_the_relation_is_one_line() -> None:
    density = density_map(empty_table(), pixel_um=PIXEL_UM, shape=(4, 5))
    with pytest.raises(InputError, match=r"curvature is \(4, 4\), density \(4, 5\)"):
        relate_density(density, np.zeros((4, 4)))
    with pytest.raises(InputError, match="bins and resamples must be 1 or more"):
        relate_density(density, np.zeros((4, 5)), bins=0)
    with pytest.raises(InputError, match="block_um is -2"):
        relate_density(density, np.zeros((4, 5)), block_um=-2)
