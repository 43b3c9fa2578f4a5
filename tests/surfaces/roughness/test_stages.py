"""Form, filters, material ratio and autocorrelation on surfaces whose values are known, and of a package."""

import numpy as np
import pytest
from scipy import special

from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError
from lee.surfaces.roughness.areal_filter import ArealGaussian
from lee.surfaces.roughness.autocorrelation import autocorrelation
from lee.surfaces.roughness.form import form
from lee.surfaces.roughness.material_ratio import material_ratio


def rough(shape=(90, 120), seed=0):
    rng = np.random.default_rng(seed)
    relief = smooth_field(shape, 9, rng).astype(np.float64)
    return relief + 0.15 * relief**2


def holed(height, seed=1):
    out = height.copy()
    out[np.random.default_rng(seed).random(height.shape) < 0.1] = np.nan
    out[20:40, 30:50] = np.nan
    return out


@pytest.mark.parametrize("order", [0, 1, 4, 7])
def test_a_polynomial_is_its_own_form(order):
    y, x = np.mgrid[-1:1:60j, -1:1:80j]
    height = 1000 + sum(0.7**k * x ** (order - k) * y**k for k in range(order + 1))
    np.testing.assert_allclose(form(height, order), height, atol=1e-9)
    np.testing.assert_allclose(form(holed(height), order), height, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_form_is_that_of_a_metrology_package(order):
    surfalize = pytest.importorskip("surfalize")
    height = rough()
    _, trend = surfalize.Surface(height.copy(), 1, 1).detrend_polynomial(order, return_trend=True)
    np.testing.assert_allclose(form(height, order), trend.data, atol=1e-9)


def test_form_needs_as_many_pixels_as_coefficients():
    few = np.full((8, 8), np.nan)
    few[0, :5] = 1.0
    with pytest.raises(InputError, match="order 2 has 6 coefficients, and 5 pixels were measured"):
        form(few, 2)
    with pytest.raises(InputError, match=r"the order is 11; give 0 \(mean\), 1 \(plane\) up to 10"):
        form(few, 11)


@pytest.mark.parametrize(("cutoff", "period"), [(16, 16), (16, 32), (16, 8), (2.5, 10)])
def test_the_filter_passes_what_the_standard_states(cutoff, period):
    """Half the amplitude at the cut-off, exp(-pi (a L / wavelength)^2) elsewhere."""
    x = np.arange(256)
    wave = np.cos(2 * np.pi * x / period) * np.ones((64, 1))
    low = ArealGaussian(np.ones(wave.shape, bool), cutoff, "filter").low(wave)
    middle = slice(64, 192)
    passed = np.ptp(low[32, middle]) / np.ptp(wave[32, middle])
    assert passed == pytest.approx(2.0 ** -((cutoff / period) ** 2), rel=1e-3)


def test_the_filter_is_that_of_a_metrology_package_away_from_the_border():
    surfalize = pytest.importorskip("surfalize")
    height = rough((200, 220))
    theirs = surfalize.Surface(height.copy(), 0.5, 0.5).filter("lowpass", 10.0).data
    ours = ArealGaussian(np.ones(height.shape, bool), 20.0, "filter").low(height)
    inner = slice(40, -40)
    np.testing.assert_allclose(ours[inner, inner], theirs[inner, inner], atol=2e-4)


def test_the_filter_fills_nothing_and_keeps_a_constant():
    known = np.isfinite(holed(rough()))
    gaussian = ArealGaussian(known, 12.0, "filter")
    low = gaussian.low(np.where(known, 3.0, np.nan))
    np.testing.assert_array_equal(np.isfinite(low), known)
    np.testing.assert_allclose(low[known], 3.0)
    assert 0.2 < gaussian.one_sided() < 1


@pytest.mark.parametrize("cutoff", [1.9, 91, np.inf])
def test_a_filter_must_fit_the_map(cutoff):
    with pytest.raises(InputError, match=r"L-filter: its cut-off is .* pixels; give at least 2 and"):
        ArealGaussian(np.ones((90, 120), bool), cutoff, "L-filter")


def test_the_core_of_a_normal_surface():
    """Of normal heights: the flattest 40 % is the middle, and both sides are alike."""
    ratio = (np.arange(200_000) + 0.5) / 200_000
    found = material_ratio(special.ndtri(1 - ratio))
    core = ratio[(ratio >= 0.3) & (ratio <= 0.7)]
    slope, _ = np.polyfit(core, special.ndtri(1 - core), 1)
    assert found.Sk_um == pytest.approx(-slope, rel=1e-3)
    top = -slope / 2
    assert found.Smr1_percent == pytest.approx(100 * special.ndtr(-top), rel=1e-3)
    assert found.Smr2_percent == pytest.approx(100 - found.Smr1_percent, rel=1e-3)
    above = np.exp(-(top**2) / 2) / np.sqrt(2 * np.pi) - top * special.ndtr(
        -top
    )  # mean of what exceeds the core
    assert found.Spk_um == pytest.approx(2 * above / special.ndtr(-top), rel=1e-3)
    assert found.Svk_um == pytest.approx(found.Spk_um, rel=1e-3)


def test_a_constant_has_no_core():
    found = material_ratio(np.full(50, 2.0))
    assert (found.Sk_um, found.Spk_um, found.Svk_um) == (0, 0, 0)
    assert np.isnan([found.Smr1_percent, found.Smr2_percent]).all()


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("stretch", [1, 3])
def test_autocorrelation_of_a_random_surface_of_known_length(stretch, gaps):
    """Its autocorrelation is exp(-r^2 / 2 s^2), which falls to 0.2 at s sqrt(2 ln 5)."""
    size = 8.0
    length = size / 2.355 * np.sqrt(2 * np.log(5))
    rng = np.random.default_rng(2)
    height = smooth_field((420, 420), size, rng).astype(np.float64)
    height = np.repeat(height[: 420 // stretch], stretch, axis=0)
    found = autocorrelation(holed(height) if gaps else height)
    assert found.Sal_px == pytest.approx(length, rel=0.06)
    assert found.Str == pytest.approx(1 / stretch, rel=0.12)
    assert found.note == ""


def test_autocorrelation_is_that_of_a_metrology_package():
    surfalize = pytest.importorskip("surfalize")
    height = np.repeat(rough((150, 300), 4), 2, axis=0)
    theirs = surfalize.Surface(height.copy(), 0.5, 0.5)
    found = autocorrelation(height)
    assert 0.5 * found.Sal_px == pytest.approx(theirs.Sal(), rel=0.01)
    assert found.Str == pytest.approx(theirs.Str(), rel=0.02)


def test_a_lay_that_leaves_the_map_has_no_aspect_ratio():
    x = np.arange(200)
    height = np.random.default_rng(0).normal(size=200)[None, :] * np.ones((150, 1)) + 0 * x
    found = autocorrelation(height)
    assert found.Sal_px == pytest.approx(0.8, abs=0.15)
    assert np.isnan(found.Str)
    assert "along the lay the autocorrelation does not fall to 0.2 within half the map" in found.note


def test_a_map_of_few_lengths_has_no_length():
    height = smooth_field((60, 60), 30, np.random.default_rng(0)).astype(np.float64)
    found = autocorrelation(height)
    assert np.isnan([found.Sal_px, found.Str]).all()
    assert "the map is less than 10 autocorrelation lengths wide" in found.note
    assert autocorrelation(np.zeros((20, 20))).note == "the surface is constant"
