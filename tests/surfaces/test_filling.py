"""Holes are filled as smoothly as their surroundings go on, and nothing that was measured changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lee.surfaces.filling import fill


def plane(shape, slope=(0.02, -0.03)):
    y, x = np.indices(shape)
    return (1.0 + slope[0] * y + slope[1] * x).astype(np.float32)


def holed(shape, *boxes):
    valid = np.ones(shape, bool)
    for box in boxes:
        valid[box] = False
    return valid


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)), seed=st.integers(0, 999), share=st.floats(0, 1)
)
@settings(max_examples=60, deadline=None)
def test_what_is_valid_stays_and_the_rest_lies_near_its_range(shape, seed, share):
    rng = np.random.default_rng(seed)
    height = rng.normal(size=shape).astype(np.float32)
    valid = rng.random(shape) < share
    # What stands in the holes must not matter.
    filled = fill(np.where(valid, height, np.nan).astype(np.float32), valid)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[valid], height[valid])
    assert np.isfinite(filled).all()
    if valid.any():
        low, high = height[valid].min(), height[valid].max()
        slack = 0.5 * (high - low) + 1e-5
        assert filled.min() >= low - slack
        assert filled.max() <= high + slack


def test_nothing_valid_is_all_zero():
    assert not fill(np.full((5, 6), np.nan, np.float32), np.zeros((5, 6), bool)).any()


@pytest.mark.parametrize(
    "boxes",
    [
        [np.s_[20:40, 30:50]],
        [np.s_[0:20, 30:60]],  # at the border the plate is free
        [np.s_[5:25, 5:25], np.s_[28:60, 8:30], np.s_[40:60, 60:80]],
    ],
    ids=["inside", "border", "several"],
)
def test_a_plane_continues_through_holes(boxes):
    height = plane((64, 90))
    valid = holed(height.shape, *boxes)
    np.testing.assert_allclose(fill(height, valid), height, atol=0.1)


def test_slopes_go_on_where_averages_would_be_flat():
    y, x = np.indices((80, 80)) - 39.5
    dome = (10 - 0.004 * (x**2 + y**2)).astype(np.float32)
    valid = np.hypot(x, y) > 14
    filled = fill(dome, valid)
    # A membrane would stay below its rim, 0.78 below the top.
    assert dome[valid].max() + 0.15 < filled[39, 39] < dome.max()


def test_a_hole_larger_than_is_solved_whole_is_filled_as_well():
    height = plane((220, 230), (0.01, 0.02))
    valid = holed(height.shape, np.s_[30:190, 30:200])
    filled = fill(height, valid)
    error = np.abs(filled - height)
    assert error.max() < 0.5
    # No seam: along the edge a step is no larger than the slope makes it.
    assert np.abs(np.diff(filled, axis=0)).max() < 0.1
    assert np.abs(np.diff(filled, axis=1)).max() < 0.1


def test_holes_do_not_see_each_other_s_fill():
    height = plane((60, 120), (0.0, 0.05))
    one = fill(height, holed(height.shape, np.s_[20:40, 20:40]))
    both = fill(height, holed(height.shape, np.s_[20:40, 20:40], np.s_[20:40, 80:100]))
    np.testing.assert_array_equal(both[:, :60], one[:, :60])


@pytest.mark.parametrize("measured", [1, 2, 3, 5, 20])
def test_a_field_with_hardly_a_pixel_measured_is_filled_from_the_nearest(measured):
    rng = np.random.default_rng(measured)
    height = np.full((96, 160), np.nan, np.float32)
    places = rng.choice(height.size, measured, replace=False)
    height.flat[places] = rng.normal(0, 5, measured)
    valid = np.isfinite(height)
    filled = fill(height, valid)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[valid], height[valid])
    low, high = np.nanmin(height), np.nanmax(height)
    slack = 0.5 * (high - low) + 1e-5
    assert low - slack <= filled.min() <= filled.max() <= high + slack
