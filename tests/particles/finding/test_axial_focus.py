"""Particles along the axis: peaks against dense least squares, foci of known profiles, neighbours' rings."""

from __future__ import annotations

import numpy as np
import pytest

from lee.particles.finding.axial_focus import (
    _NOT_GAUSSIAN,
    AxialFocus,
    axial_profiles,
    find_halos,
    fit_focus,
)

SHAPE = (60, 72)
OFFSETS_UM = np.arange(-3, 4) * 1.0
DEPTH_UM = 1.5


def bell(y, x, width, shape=SHAPE):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))


# --- peaks in each slice ---


def dense(one, y, x, width):
    """Fit all spots of a slice at once, by brute force: within 3 widths, backgrounds from rings around."""
    shape = one.shape
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    grounds, columns_of_model = [], []
    for a, b, w in zip(y, x, width, strict=True):
        away = np.hypot(rows - a, columns - b) / w
        square = (np.abs(rows - round(a)) <= np.ceil(6 * w)) & (np.abs(columns - round(b)) <= np.ceil(6 * w))
        ring = one[(away >= 4) & (away <= 6) & square & np.isfinite(one)]
        grounds.append(np.median(ring) if len(ring) else 0.0)
        cut = (np.abs(rows - a) <= 3 * w) & (np.abs(columns - b) <= 3 * w)
        columns_of_model.append(np.where(cut, bell(a, b, w, shape), 0).ravel())
    model = np.stack(columns_of_model, axis=1)
    total = model.sum(axis=1)
    covered = (total > 0) & np.isfinite(one.ravel())
    ground = model[covered] @ np.array(grounds) / total[covered]
    found, *_ = np.linalg.lstsq(model[covered], one.ravel()[covered] - ground, rcond=None)
    return found


LAYOUTS = {
    "apart": ([15.3, 40.8], [20.1, 50.6]),
    "overlapping": ([30.0, 31.2, 33.1], [30.0, 32.4, 29.5]),
    "at the borders": ([0.0, 59.4, 30.0, -0.4], [0.2, 71.3, 71.0, 35.0]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("holes", [False, True])
def test_peaks_are_those_of_dense_least_squares(layout, holes):
    y, x = (np.array(values) for values in LAYOUTS[layout])
    width = np.linspace(1.2, 1.6, len(y))
    rng = np.random.default_rng(1)
    truth = rng.uniform(5, 40, (3, len(y)))
    slices = np.stack([sum(p * bell(*at) for p, *at in zip(row, y, x, width, strict=True)) for row in truth])
    slices += 3 + rng.normal(0, 0.5, slices.shape)  # a background, too
    if holes:
        slices[:, rng.random(SHAPE) < 0.1] = np.nan
    slices = slices.astype(np.float32)
    found = axial_profiles(slices, y, x, width)
    assert found.shape == truth.shape
    for row, one in zip(found, slices, strict=True):
        np.testing.assert_allclose(row, dense(one.astype(np.float64), y, x, width), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found, truth, atol=2.5)


def test_many_crowded_spots_at_once():
    rng = np.random.default_rng(2)
    y, x = rng.uniform(0, SHAPE[0] - 1, 60), rng.uniform(0, SHAPE[1] - 1, 60)
    width, peak = np.full(60, 1.3), rng.uniform(10, 30, 60)
    one = sum(p * bell(*at) for p, *at in zip(peak, y, x, width, strict=True)).astype(np.float32)
    found = axial_profiles(one[None], y, x, width)[0]
    np.testing.assert_allclose(found, dense(one.astype(np.float64), y, x, width), rtol=2e-3, atol=2e-2)


def test_what_is_not_seen_has_no_peak():
    slices = np.stack([bell(30, 30, 1.4) * 20] * 3).astype(np.float32)
    slices[0] = np.nan
    slices[1, :, :30] = np.nan  # a good half of it is left
    slices[2, :, :32] = np.nan
    found = axial_profiles(slices, np.array([30.0]), np.array([30.0]), np.array([1.4]))[:, 0]
    assert np.isnan(found[0])
    assert np.isnan(found[2])
    assert found[1] == pytest.approx(20, rel=1e-3)


def test_a_neighbour_not_seen_disturbs_nothing():
    slices = (20 * bell(20, 20, 1.4) + 15 * bell(20, 40, 1.4))[None].astype(np.float32)
    slices[0, 10:30, 33:48] = np.nan
    found = axial_profiles(slices, np.array([20.0, 20.0]), np.array([20.0, 40.0]), np.array([1.4, 1.4]))[0]
    assert found[0] == pytest.approx(20, rel=1e-3)
    assert np.isnan(found[1])


def test_no_spots_no_peaks():
    empty = np.zeros(0)
    assert axial_profiles(np.zeros((4, *SHAPE), np.float32), empty, empty, empty).shape == (4, 0)


# --- foci ---


def drawn(offset, peak, sigma, depth=DEPTH_UM, seed=0, offsets=OFFSETS_UM):
    """Profiles (K, N) of particles in focus at `offset`, with noise of deviation `sigma`."""
    shape = np.exp(-((offsets[:, None] - offset) ** 2) / (2 * depth**2))
    noise = np.random.default_rng(seed).normal(size=(len(offsets), len(np.atleast_1d(offset))))
    return peak * shape + sigma * noise, np.full(shape.shape, float(sigma))


@pytest.mark.parametrize("peak", [20.0, 60.0])
def test_foci_are_unbiased_and_their_errors_true(peak):
    truth = np.random.default_rng(3).uniform(-1.2, 1.2, 4000)
    found, depth = fit_focus(*drawn(truth, peak, 1.0, seed=4), OFFSETS_UM, DEPTH_UM)
    assert depth == pytest.approx(DEPTH_UM, rel=0.06)
    off = found.offset_um - truth
    assert np.isfinite(off).mean() > 0.99
    assert abs(np.nanmean(off)) < 0.1 * np.nanstd(off)
    # These profiles are Gaussian: what is added for those that are not is taken away again.
    noise = np.sqrt(np.nanmedian(found.offset_sigma_um) ** 2 - (_NOT_GAUSSIAN * depth) ** 2)
    assert np.nanstd(off) == pytest.approx(noise, rel=0.1)
    assert np.nanstd(off / found.offset_sigma_um) < 1.1
    pull = (found.peak - peak) / found.peak_sigma
    assert np.mean(found.peak) == pytest.approx(peak, rel=0.01)
    assert np.std(pull) == pytest.approx(1, abs=0.1)
    assert not found.at_end.any()


def test_the_depth_is_found_from_bright_ones_and_else_the_usual():
    truth = np.random.default_rng(5).uniform(-1, 1, 60)
    bright = drawn(truth, 60.0, 1.0, depth=1.1, seed=6)
    assert fit_focus(*bright, OFFSETS_UM, 1.6)[1] == pytest.approx(1.1, rel=0.1)
    assert fit_focus(*drawn(truth, 8.0, 1.0, depth=1.1), OFFSETS_UM, 1.6)[1] == 1.6  # none is bright
    few = tuple(values[:, :7] for values in bright)
    assert fit_focus(*few, OFFSETS_UM, 1.6)[1] == 1.6


def test_slices_count_by_their_noise_and_missing_ones_not_at_all():
    profile, sigma = drawn(np.full(500, 0.4), 30.0, 1.0, seed=7)
    profile[6], sigma[6] = 500.0, 1e6  # a slice without information
    profile[0] = np.nan
    sigma[1] = np.nan
    found, _ = fit_focus(profile, sigma, OFFSETS_UM, DEPTH_UM)
    assert np.nanmean(found.offset_um) == pytest.approx(0.4, abs=0.02)
    assert np.nanstd(found.offset_um) == pytest.approx(np.nanmedian(found.offset_sigma_um), rel=0.12)
    assert (found.planes <= 4).all()


@pytest.mark.parametrize("truth", [-4.5, 4.5])
def test_what_is_sharpest_at_an_end_is_flagged_and_has_no_focus(truth):
    found, _ = fit_focus(*drawn(np.full(20, truth), 60.0, 0.5), OFFSETS_UM, DEPTH_UM)
    assert found.at_end.all()
    assert np.isnan(found.offset_um).all()
    assert np.isnan(found.offset_sigma_um).all()
    assert (found.peak > 0).all()


def test_the_planes_it_was_seen_in_are_counted():
    profile, sigma = drawn(np.zeros(1), 30.0, 1e-6)
    found, _ = fit_focus(profile, np.ones_like(sigma), OFFSETS_UM, DEPTH_UM)
    assert found.planes.tolist() == [int((profile > 3).sum())]
    assert found.planes.dtype == np.int64


def test_nothing_known_is_nothing_found():
    unknown = np.full((7, 3), np.nan)
    found, depth = fit_focus(unknown, np.ones((7, 3)), OFFSETS_UM, DEPTH_UM)
    assert depth == DEPTH_UM
    assert np.isnan(found.offset_um).all()
    assert not found.at_end.any()
    assert found.planes.tolist() == [0, 0, 0]


def test_darkness_has_no_focus():
    found, _ = fit_focus(np.full((7, 2), -5.0), np.ones((7, 2)), OFFSETS_UM, DEPTH_UM)
    assert np.isnan(found.offset_um).all()
    assert (found.planes == 0).all()


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices_show_no_focus(count):
    offsets = OFFSETS_UM[:count]
    found, _ = fit_focus(np.full((count, 2), 9.0), np.ones((count, 2)), offsets, DEPTH_UM)
    assert np.isnan(found.offset_um).all()


def test_no_particles_no_foci():
    found, _ = fit_focus(np.zeros((7, 0)), np.zeros((7, 0)), OFFSETS_UM, DEPTH_UM)
    assert [len(values) for values in found] == [0] * 6


# --- rings of bright neighbours ---


def foci(offset, peak, at_end=None):
    count = len(offset)
    ends = np.zeros(count, bool) if at_end is None else np.array(at_end)
    one = np.ones(count)
    return AxialFocus(np.array(offset), one, np.array(peak), one, np.ones(count, np.int64), ends)


def places(x):
    return np.full(len(x), 20.0), np.array(x, np.float64), np.full(len(x), 1.5)


def test_a_faint_spot_off_focus_beside_a_bright_one_is_its_ring():
    found = find_halos(
        foci([0.1, 1.6, np.nan], [50.0, 10.0, 8.0], [False, False, True]), places([20, 25, 13]), 1.5
    )
    assert found.tolist() == [False, True, True]


def test_a_bright_spot_off_the_surface_has_rings_too():
    found = find_halos(
        foci([2.2, -1.6, np.nan], [50.0, 10.0, 8.0], [False, False, True]), places([20, 25, 13]), 1.5
    )
    assert found.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("offset", "peak", "x"),
    [
        ([0.1, 0.9], [50.0, 10.0], [20, 25]),  # in focus: a particle
        ([0.1, np.nan], [50.0, 10.0], [20, 25]),  # of unknown focus
        ([0.1, 1.6], [50.0, 30.0], [20, 25]),  # too bright for a ring
        ([0.1, 1.6], [50.0, 10.0], [20, 31]),  # too far away
        ([1.7, 1.6], [50.0, 10.0], [20, 25]),  # both off the surface
        ([1.6], [10.0], [20]),  # alone
    ],
)
def test_what_is_no_ring_stays(offset, peak, x):
    assert not find_halos(foci(offset, peak), places(x), 1.5).any()


def test_without_particles_there_are_no_rings():
    found = foci([], [])
    assert find_halos(found, places([]), 1.5).shape == (0,)


def test_some_can_be_kept():
    found = foci([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]).only(np.array([True, False, True]))
    np.testing.assert_array_equal(found.peak, [1, 3])
    np.testing.assert_array_equal(found.offset_um, [0.1, 0.3])
