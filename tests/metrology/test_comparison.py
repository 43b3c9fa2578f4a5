"""Two made instruments over one truth: place, orientation, amplification, noise and resolution come back."""

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual.scene.texture import mixed_field
from lee.errors import InputError
from lee.metrology import compare
from lee.metrology.transfer import half_period, transfer

FINE_UM = 0.1
# A Gaussian of standard deviation s passes half of the period pi sqrt(2 / ln 2) s.
HALF_PERIOD = np.pi * np.sqrt(2 / np.log(2))


@pytest.fixture(scope="module")
def truth():
    return mixed_field((900, 900), (6, 15, 40, 100), 0.7, np.random.default_rng(0)).astype(np.float64)


def measured(
    truth, pixel_um, shape, middle_um, *, turn_deg=0.0, scale=1.0, blur_um=0.0, noise_um=0.01, seed=0
):
    """What an instrument of this resolution and noise shows around a place, with an offset and a tilt."""
    shown = ndimage.gaussian_filter(truth, blur_um / FINE_UM) if blur_um else truth
    y, x = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * pixel_um * scale for n in shape), indexing="ij")
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    at = np.array([middle_um[0] + cos * y + sin * x, middle_um[1] - sin * y + cos * x]) / FINE_UM
    read = ndimage.map_coordinates(shown, at, order=3)
    return read + noise_um * np.random.default_rng(seed).normal(size=shape) + 0.02 * x + 5


@pytest.fixture(scope="module")
def reference(truth):
    return measured(truth, 0.25, (280, 280), (45, 45), seed=1)


@pytest.fixture(scope="module")
def blurred(truth):
    height = measured(
        truth, 0.4, (130, 140), (47, 44), turn_deg=1.0, scale=1.01, blur_um=0.6, noise_um=0.02, seed=3
    )
    height[30:40, 50:70] = np.nan
    return 1.05 * height


def test_everything_that_was_put_in_comes_back(blurred, reference):
    found = compare(blurred, reference, first_pixel_um=0.4, second_pixel_um=0.25)
    for name, value in (("shift_y_um", 2), ("shift_x_um", -1), ("pixel_scale", 1.01), ("rotation_deg", 1)):
        one = found[name]
        assert one.value == pytest.approx(value, abs=5 * one.sigma), name
    assert found["shift_y_um"].note == "first map as given"
    assert found["shift_y_um"].sigma < 0.02
    assert found["amplification"].value == pytest.approx(1.05, abs=0.01)
    assert found["slope"].value < found["amplification"].value
    # In pixels of the first map, which are 1 % larger than stated.
    period = found["lateral_period_limit_um"]
    assert period.value == pytest.approx(HALF_PERIOD * 0.6 / 1.01, abs=2 * period.sigma)
    assert found["correlation"].value > 0.97
    assert found.maps.pixel_um == 0.4
    assert np.isnan(found.difference_um[32:38, 55:65]).all()


def test_two_alike_maps_show_their_noise(truth, reference):
    again = measured(truth, 0.25, (240, 260), (46.3, 44.2), noise_um=0.03, seed=5)
    found = compare(again, reference, first_pixel_um=0.25, second_pixel_um=0.25)
    expected = np.hypot(0.03, 0.01)
    assert found["difference_um"].value == pytest.approx(expected, rel=0.03)
    assert found["noise_each_um"].value == pytest.approx(expected / np.sqrt(2), rel=0.03)
    assert found["slope"].value == pytest.approx(1, abs=4 * found["slope"].sigma)
    assert abs(found["bias_um"].value) < 5 * found["bias_um"].sigma + 1e-3
    assert np.isnan(found["lateral_period_limit_um"].value)
    assert "the shortest coherent period" in found["lateral_period_limit_um"].note


@pytest.mark.parametrize(
    ("turned", "named"),
    [
        (lambda h: np.rot90(h, -1), "turned by 90°"),
        (lambda h: h[:, ::-1], "mirrored left to right"),
        (lambda h: h[::-1], "mirrored left to right, then turned by 180°"),
    ],
)
def test_orientations_are_named(truth, reference, turned, named):
    upright = measured(truth, 0.4, (130, 140), (47, 44), noise_um=0.02)
    found = compare(turned(upright), reference, first_pixel_um=0.4, second_pixel_um=0.25)
    assert found.maps.orientation == named
    assert found["shift_y_um"].value == pytest.approx(2, abs=0.02)
    assert found["correlation"].value > 0.99


def test_a_map_is_itself():
    rough = np.random.default_rng(0).normal(size=(60, 70))
    found = compare(rough, rough, first_pixel_um=0.5, second_pixel_um=0.5)
    assert found["difference_um"].value < 1e-3
    assert found["pixel_scale"].value == pytest.approx(1, abs=1e-5)


def test_maps_that_cannot_be_compared(reference):
    rng = np.random.default_rng(0)
    other = ndimage.gaussian_filter(rng.normal(size=(200, 200)), 2)
    with pytest.raises(InputError, match="compare: the maps"):
        compare(other, reference, first_pixel_um=0.25, second_pixel_um=0.25)
    with pytest.raises(InputError, match="the first map has 64 measured pixels of 1 µm, or is constant"):
        compare(other[:8, :8], other, first_pixel_um=1.0, second_pixel_um=1.0)
    with pytest.raises(InputError, match="the second map has 400 measured pixels of 1 µm, or is constant"):
        compare(other, np.zeros((20, 20)), first_pixel_um=1.0, second_pixel_um=1.0)
    with pytest.raises(InputError, match="compare: the size of a pixel is missing"):
        compare(other, other, first_pixel_um=1.0)


def test_the_transfer_of_a_gaussian_is_its_own(truth):
    sharp = truth[:400, :400]
    table = transfer(ndimage.gaussian_filter(truth, 5)[:400, :400], sharp, FINE_UM)
    expected = np.exp(-2 * (np.pi * 0.5 / table["period_um"]) ** 2)
    coherent = table["coherence"] > 0.9
    np.testing.assert_allclose(table["response"][coherent], expected[coherent], atol=0.03)
    found = half_period(table)
    assert found.period_um == pytest.approx(HALF_PERIOD * 0.5, abs=2 * found.period_se_um)
    assert found.gain == pytest.approx(1, abs=0.02)
    same = half_period(transfer(sharp, sharp, FINE_UM))
    assert np.isnan(same.period_um)
    assert half_period(table[:2]).note == "the maps are coherent at too few periods"
