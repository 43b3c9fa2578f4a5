import numpy as np
import pytest

import lee
from lee.errors import InputError
from lee.surfaces.height_map import height_map
from tests.surfaces.test_surface import some_surface


def smooth_surface():
    y, x = np.indices((60, 70)) * 0.5
    height = (20 + 0.004 * (x - 15) ** 2 + 0.1 * np.sin(y)).astype(np.float32)
    valid = np.ones(height.shape, bool)
    valid[20:30, 30:40] = False
    measured = np.where(valid, height, np.float32(np.nan))
    sigma = np.where(valid, np.float32(0.05), np.float32(np.nan))
    return lee.Surface(measured, height, sigma, valid, np.ones_like(height), 0.5)


def test_a_surface_brings_its_pixel_size_and_its_uncertainty():
    surface = some_surface(pixel_um=0.25)
    found = height_map(surface, operation="curvature")
    assert found.height_um is surface.height_um
    assert found.pixel_um == 0.25
    assert found.height_sigma_um is surface.height_sigma_um
    assert found.measured is surface.valid


def test_a_surface_without_uncertainty_gives_none():
    surface = some_surface()
    surface.height_sigma_um = np.full_like(surface.height_sigma_um, np.nan)
    assert height_map(surface, operation="curvature").height_sigma_um is None


def test_filled_heights_are_taken_where_they_are_asked_for_and_distinguished():
    surface = some_surface()
    found = height_map(surface, operation="twin", filled=True)
    assert found.height_um is surface.height_filled_um
    assert found.measured is surface.valid
    assert not found.measured.all()


def test_the_pixel_size_that_is_given_wins():
    assert height_map(some_surface(pixel_um=0.25), 0.5, operation="curvature").pixel_um == 0.5


def test_an_array_needs_its_pixel_size():
    height = np.zeros((4, 5))
    found = height_map(height, 0.3, operation="curvature")
    assert found.height_um is height
    assert (found.pixel_um, found.height_sigma_um, found.measured) == (0.3, None, None)
    with pytest.raises(InputError, match=r"^curvature: the size of a pixel is missing; give pixel_um in µm"):
        lee.curvature(height)


@pytest.mark.parametrize("scale_um", [2.0, "auto"])
def test_the_curvature_of_a_surface_is_that_of_its_maps(scale_um):
    surface = smooth_surface()
    whole = lee.curvature(surface, scale_um=scale_um)
    parts = lee.curvature(
        surface.height_um,
        pixel_um=surface.pixel_um,
        height_sigma_um=surface.height_sigma_um,
        scale_um=scale_um,
    )
    np.testing.assert_array_equal(whole.mean_per_um, parts.mean_per_um)
    np.testing.assert_array_equal(whole.mean_sigma_per_um, parts.mean_sigma_per_um)
    assert whole.scale_um == parts.scale_um
    assert np.isnan(whole.mean_per_um[25, 35])


def test_what_is_given_wins_over_the_surface():
    surface = smooth_surface()
    wide = lee.curvature(surface, pixel_um=1.0, scale_um=4.0, height_sigma_um=0.1)
    parts = lee.curvature(surface.height_um, pixel_um=1.0, scale_um=4.0, height_sigma_um=0.1)
    np.testing.assert_array_equal(wide.mean_per_um, parts.mean_per_um)
    np.testing.assert_array_equal(wide.mean_sigma_per_um, parts.mean_sigma_per_um)
