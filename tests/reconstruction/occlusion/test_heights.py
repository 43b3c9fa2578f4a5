"""Maxima continue the surface, and are recovered in holes: strong, as wide as the optics demand, near it."""

import numpy as np
import pytest

from lee.reconstruction.focus.measure import FocusMaxima
from lee.reconstruction.occlusion.heights import SurfaceMaxima, continue_surface, recover_heights

SHAPE = (64, 81)
DEPTH_UM, NOISE = 2.355, 0.1  # a standard deviation of 1 um
HOLE = np.s_[16:48, 20:60]


@pytest.fixture
def filled():
    """Relief that varies by about a micron over the width of the hole."""
    y, x = np.indices(SHAPE)
    return (np.sin(x / 9) + np.cos(y / 8)).astype(np.float32)


@pytest.fixture
def valid():
    out = np.ones(SHAPE, bool)
    out[HOLE] = False
    return out


def maxima_at(z, *, peak=10.0, width_um=1.0, slot=0):
    """Maxima at `z` in one of the two places, none in the other."""
    planes = [np.full((2, *z.shape), np.nan, np.float32) for _ in range(3)]
    planes[1][:] = 0
    for plane, value in zip(planes, (z, peak, width_um), strict=True):
        plane[slot] = value
    return FocusMaxima(*planes)


def surface_maxima(*levels, opaque=None):
    z_um = np.linspace(-30, 30, 61)
    opaque = np.zeros((61, 8, 10), bool) if opaque is None else opaque
    return SurfaceMaxima(list(levels), z_um, opaque, NOISE, DEPTH_UM)


def recovered_in(filled, valid, *levels):
    height, recovered = recover_heights(filled, valid, surface_maxima(*levels))
    assert height.shape == recovered.shape == SHAPE
    assert height.dtype == np.float32
    assert recovered.dtype == bool
    assert not (recovered & valid).any()
    np.testing.assert_array_equal(height[~recovered], filled[~recovered])
    return height, recovered


@pytest.mark.parametrize("slot", [0, 1])
def test_maxima_near_the_fill_are_taken(filled, valid, slot):
    height, recovered = recovered_in(filled, valid, maxima_at(filled + 0.1, slot=slot))
    assert recovered[20:44, 26:54].all()
    np.testing.assert_allclose(height[24:40, 30:50], filled[24:40, 30:50] + 0.1, atol=0.1)


@pytest.mark.parametrize(
    "what",
    [{"peak": 0.5}, {"width_um": 0.5}, {"width_um": 2.0}, {"width_um": np.nan}],
    ids=["weak", "narrow", "wide", "no width"],
)
def test_maxima_that_cannot_be_the_surface_are_not(filled, valid, what):
    _, recovered = recovered_in(filled, valid, maxima_at(filled + 0.1, **what))
    assert not recovered.any()


def test_maxima_far_from_the_fill_are_not_taken(filled, valid):
    _, recovered = recovered_in(filled, valid, maxima_at(filled + 20.0))
    assert not recovered.any()


def test_the_nearer_of_two_is_taken(filled, valid):
    maxima = maxima_at(filled + 0.3)
    for plane, value in zip(maxima, (filled + 0.02, 5.0, 1.0), strict=True):
        plane[1] = value
    height, _ = recovered_in(filled, valid, maxima)
    np.testing.assert_allclose(height[24:40, 30:50], filled[24:40, 30:50] + 0.02, atol=0.1)


def test_coarser_maxima_stand_for_all_pixels_they_cover(filled, valid):
    """Of an odd width, the last column belongs to the last coarse pixel."""
    coarse = filled[:64:2, :80:2] + np.float32(0.05)
    none = maxima_at(np.full(SHAPE, np.nan, np.float32))
    valid[:, 70:] = False
    height, recovered = recovered_in(filled, valid, none, maxima_at(coarse))
    assert recovered[:, 80].any()
    assert np.abs(height[HOLE] - filled[HOLE] - 0.05).mean() < 0.1


def test_without_maxima_or_holes_nothing_is_recovered(filled, valid):
    none = maxima_at(np.full(SHAPE, np.nan, np.float32))
    assert not recovered_in(filled, valid, none)[1].any()
    assert not recovered_in(filled, np.ones(SHAPE, bool), maxima_at(filled))[1].any()


def continued_in(height, valid, zone, *levels, opaque=None):
    sigma = np.full(SHAPE, 0.05, np.float32)
    before = height.copy()
    out, deviation, known = continue_surface(
        height, sigma, valid, zone, surface_maxima(*levels, opaque=opaque)
    )
    np.testing.assert_array_equal(height, before)
    assert not (known & ~valid & ~zone).any()
    assert known[valid].all()
    np.testing.assert_array_equal(out[valid], height[valid])
    return out, deviation, known


def test_maxima_that_go_on_where_the_surface_ends_continue_it(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    out, deviation, known = continued_in(height, valid, ~valid, maxima_at(filled))
    assert known[~valid].mean() > 0.95
    np.testing.assert_array_equal(out[known], filled[known])
    assert (deviation[known & ~valid] >= 0.05).all()
    assert np.mean(np.abs(out - filled)[known & ~valid] < 3 * deviation[known & ~valid]) == 1


def test_the_surface_is_continued_in_the_zone_alone(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    zone = ~valid
    zone[:, 40:] = False
    _, _, known = continued_in(height, valid, zone, maxima_at(filled))
    assert known[HOLE][:, :18].mean() > 0.9
    assert not known[HOLE][:, 20:].any()


def test_maxima_above_the_surface_do_not_continue_it(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    _, _, known = continued_in(height, valid, ~valid, maxima_at(filled + 3.0))
    np.testing.assert_array_equal(known, valid)


def test_scattered_agreement_is_chance(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    found = filled + 3.0
    some = np.random.default_rng(0).random(SHAPE) < 0.15
    found[some] = filled[some]
    _, _, known = continued_in(height, valid, ~valid, maxima_at(found))
    assert known[~valid].mean() < 0.02


def test_opaque_samples_hold_no_surface_but_may_serve_the_fill(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    opaque = np.ones((61, 8, 10), bool)
    _, _, known = continued_in(height, valid, ~valid, maxima_at(filled), opaque=opaque)
    np.testing.assert_array_equal(known, valid)
    maxima = surface_maxima(maxima_at(filled + 0.1), opaque=opaque)
    assert recover_heights(filled, valid, maxima)[1].any()


def test_an_empty_zone_changes_nothing(filled, valid):
    _, _, known = continued_in(filled, valid, np.zeros(SHAPE, bool), maxima_at(filled))
    np.testing.assert_array_equal(known, valid)
