"""Heights of a surface that grows along its normal, against surfaces known in closed form."""

import numpy as np
import pytest

from lee.twin.mesh.front import height_rate


def grown(height, rate, step, seconds, steps):
    """Go forward in time (Heun)."""
    dt = seconds / steps
    for _ in range(steps):
        first = height_rate(height, rate, step, step)
        second = height_rate(height + dt * first, rate, step, step)
        height = height + 0.5 * dt * (first + second)
    return height


def test_a_slope_rises_by_its_secant_and_a_plane_by_the_rate():
    x = np.arange(20) * 0.5
    slope = np.tile(2 * x, (4, 1))
    rate = height_rate(slope, np.full(slope.shape, 0.3), 0.5, 0.5)
    np.testing.assert_allclose(rate[:, 1:-1], 0.3 * np.sqrt(5))
    np.testing.assert_allclose(height_rate(0 * slope, np.full(slope.shape, 0.3), 0.5, 0.5), 0.3)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ball_grows_to_a_larger_ball_and_is_stripped_to_a_smaller_one(sign):
    """h = √(r² − x² − y²) becomes the same with r + v t; seen over the middle of the ball."""
    errors = []
    for cells in (16, 32):
        x = np.linspace(0, 8, cells + 1)
        across = x[:, None] ** 2 + x**2
        ball = np.sqrt(400 - across)
        found = grown(ball, np.full(ball.shape, 1.0 * sign), x[1], 2.0, 40)
        exact = np.sqrt((20 + 2 * sign) ** 2 - across)
        middle = (x[:, None] < 4) & (x < 4)
        errors.append(np.abs(found - exact)[middle].max())
    assert errors[1] < 0.01
    assert errors[1] < errors[0] / 2.5


def test_a_valley_closes_to_a_kink_and_a_stripped_peak_stays_sharp():
    """The sides of a V move along their normals: its bottom rises by v √(1 + slope²)."""
    x = np.arange(-20, 21) * 0.25
    valley = np.tile(np.abs(x), (3, 1))
    rising = height_rate(valley, np.ones(valley.shape), 0.25, 0.25)
    assert rising[1, 20] == pytest.approx(np.sqrt(2))
    peak = height_rate(-valley, np.ones(valley.shape), 0.25, 0.25)
    assert peak[1, 20] == pytest.approx(1.0)
    stripped = height_rate(-valley, -np.ones(valley.shape), 0.25, 0.25)
    assert stripped[1, 20] == pytest.approx(-np.sqrt(2))


def test_where_there_is_no_surface_there_is_no_rate_and_neighbours_bear_it():
    height = np.tile(np.arange(8.0), (8, 1))
    height[3, 3] = np.nan
    rate = height_rate(height, np.ones((8, 8)), 1.0, 1.0)
    assert np.isnan(rate[3, 3])
    assert np.isnan(rate).sum() == 1
    np.testing.assert_allclose(rate[6, 1:-1], np.sqrt(2))
    assert (rate[np.isfinite(rate)] <= np.sqrt(2) + 1e-12).all()


def test_a_single_row_of_columns_has_slopes_along_it_only():
    height = np.array([[0.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(height_rate(height, np.ones((1, 4)), 1.0, 1.0)[0, 1:3], np.sqrt(2))
