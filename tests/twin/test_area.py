"""True area at the columns: that of the mesh, and that of the pixels without what their errors add."""

import numpy as np
import pytest

from lee.surfaces.noise_correlation import correlated_noise
from lee.twin.mesh.area import mesh_area_ratio, pixel_area_ratio, seen_areas

PIXEL_UM = 0.25
SHAPE = (80, 160)
Y, X = (np.linspace(0, n * PIXEL_UM, n // 10 + 1) for n in SHAPE)
y, x = (np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5) * PIXEL_UM


def whole(ratio):
    seen = seen_areas(Y, X)
    return float((ratio * seen).sum() / seen.sum())


def of_pixels(height, sigma_um=None):
    sigma = None if sigma_um is None else np.full(SHAPE, sigma_um)
    return whole(pixel_area_ratio(height, sigma, PIXEL_UM, Y, X)[0])


def test_the_seen_areas_add_to_the_field():
    assert seen_areas(Y, X).sum() == pytest.approx(20 * 40)


def test_a_tilted_plane_has_the_area_of_its_slope():
    nodes = 0.5 * X[None] - 0.3 * Y[:, None]
    np.testing.assert_allclose(mesh_area_ratio(nodes, Y, X), np.sqrt(1 + 0.25 + 0.09), rtol=1e-12)
    inner = pixel_area_ratio(0.5 * x - 0.3 * y, None, PIXEL_UM, Y, X)[0][1:-1, 1:-1]
    np.testing.assert_allclose(inner, np.sqrt(1 + 0.25 + 0.09), rtol=1e-9)


@pytest.mark.parametrize("wave_um", [2.0, 12.0])
def test_a_ripple_has_its_area_whether_or_not_the_columns_show_it(wave_um):
    steep = 1.16
    slope = steep * np.sin(np.linspace(0, 2 * np.pi, 4001)[:-1])
    ripple = steep * wave_um / (2 * np.pi) * np.cos(2 * np.pi * x / wave_um)
    assert of_pixels(ripple) == pytest.approx(np.sqrt(1 + slope**2).mean(), rel=0.012)


def test_a_vertical_step_has_the_area_of_its_wall():
    assert of_pixels(np.where(x > 20, 10.0, 0.0)) == pytest.approx(1 + 10 / 40, rel=1e-3)


@pytest.mark.parametrize("degrees", [15, 30, 45, 75])
def test_a_wall_across_the_pixels_rows_is_no_longer_than_it_is(degrees):
    """It is a staircase of pixels, whose steps would add up to 1.2 times its area."""
    angle = np.radians(degrees)
    across = (x - 20) * np.cos(angle) + (y - 10) * np.sin(angle)
    whole_um = min(SHAPE[0] * PIXEL_UM / np.cos(angle), SHAPE[1] * PIXEL_UM / np.sin(angle))
    wall = of_pixels(np.where(across > 0, 10.0, 0.0)) - 1
    assert wall == pytest.approx(10 * whole_um / (20 * 40), rel=0.08)


def test_area_is_spread_as_the_heights_are():
    step = np.where(x > 20, 10.0, 0.0)
    spread, _ = pixel_area_ratio(step, None, PIXEL_UM, Y, X, (0.0, 4.0))
    sharp, _ = pixel_area_ratio(step, None, PIXEL_UM, Y, X)
    assert whole(spread) == pytest.approx(whole(sharp), rel=1e-6)
    assert sharp[4, 6] == 1.0
    assert spread[4, 6] > 1.2


@pytest.mark.parametrize("alike_px", [0, 1, 3])
@pytest.mark.parametrize("relief_um", [0.0, 2.0])
def test_errors_of_the_heights_are_no_area(alike_px, relief_um):
    relief = relief_um * np.cos(x / 3) * np.cos(y / 3)
    white = 0.1 * np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    noisy = relief + correlated_noise(white, alike_px)
    assert of_pixels(noisy, 0.1) == pytest.approx(of_pixels(relief), rel=0.012)
    if alike_px == 0:
        assert of_pixels(noisy) == pytest.approx(of_pixels(relief), rel=0.012)
