"""Maxima continue the surface where they go on where it ends; what remains hidden is filled from afar."""

import numpy as np
import pytest
from scipy import ndimage

from lee.reconstruction.focus.measure import FocusMaxima
from lee.reconstruction.occlusion.heights import SurfaceMaxima, continue_surface, continued_behind
from lee.surfaces.filling import fill

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


@pytest.mark.parametrize(
    "what",
    [{"peak": 0.5}, {"width_um": 0.5}, {"width_um": 2.0}, {"width_um": np.nan}],
    ids=["weak", "narrow", "wide", "no width"],
)
def test_maxima_that_cannot_be_the_surface_do_not_continue_it(filled, valid, what):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    _, _, known = continued_in(height, valid, ~valid, maxima_at(filled, **what))
    np.testing.assert_array_equal(known, valid)


def test_the_second_maximum_serves_where_the_first_is_elsewhere(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    maxima = maxima_at(filled + 8.0)
    for plane, value in zip(maxima, (filled, 5.0, 1.0), strict=True):
        plane[1] = value
    out, _, known = continued_in(height, valid, ~valid, maxima)
    assert known[~valid].mean() > 0.95
    np.testing.assert_array_equal(out[known], filled[known])


def test_coarser_maxima_stand_for_all_pixels_they_cover(filled, valid):
    """Of an odd width, the last column belongs to the last coarse pixel."""
    valid[:, 70:] = False
    height = np.where(valid, filled, np.nan).astype(np.float32)
    none = maxima_at(np.full(SHAPE, np.nan, np.float32))
    _, _, known = continued_in(height, valid, ~valid, none, maxima_at(filled[::2, :80:2]))
    assert known[:, 80].any()


def test_opaque_samples_hold_no_surface(filled, valid):
    height = np.where(valid, filled, np.nan).astype(np.float32)
    opaque = np.ones((61, 8, 10), bool)
    _, _, known = continued_in(height, valid, ~valid, maxima_at(filled), opaque=opaque)
    np.testing.assert_array_equal(known, valid)


def test_a_hole_is_filled_past_the_errors_of_its_rim(filled, valid):
    """Seen past an occlusion, the rim leans; the fill of a gentle surface must not lean with it."""
    gentle = 0.5 * filled
    height = gentle.copy()
    rim = ndimage.binary_dilation(~valid, iterations=8) & valid
    away = ndimage.distance_transform_edt(valid)
    # As measured beside bubbles: errors fall to a third over four pixels.
    height[rim] += 0.75 * np.exp(-away[rim] / 4)
    behind, rims = continued_behind(height, valid, ndimage.binary_dilation(~valid, iterations=8))
    assert rims[rim].all()
    assert not (rims & ~valid).any()
    leaning = fill(height, valid)
    assert np.abs(behind - gentle)[~valid].mean() < 0.5 * np.abs(leaning - gentle)[~valid].mean()
    np.testing.assert_array_equal(behind[valid & ~rims], height[valid & ~rims])


def test_specks_and_holes_outside_the_zone_have_no_rim(filled, valid):
    _, rims = continued_behind(filled, valid, np.zeros(SHAPE, bool))
    assert not rims.any()
    speck = np.ones(SHAPE, bool)
    speck[30:33, 30:33] = False
    assert not continued_behind(filled, speck, np.ones(SHAPE, bool))[1].any()


def test_an_empty_zone_changes_nothing(filled, valid):
    _, _, known = continued_in(filled, valid, np.zeros(SHAPE, bool), maxima_at(filled))
    np.testing.assert_array_equal(known, valid)
