"""Maxima in a hole are recovered where they are strong, as wide as the optics demand, and near the fill."""

import numpy as np
import pytest

from lee.reconstruction.focus.measure import FocusMaxima
from lee.reconstruction.occluded_heights import recover_heights

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


def recovered_in(filled, valid, *levels):
    height, recovered = recover_heights(filled, valid, list(levels), noise=NOISE, depth_um=DEPTH_UM)
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
