"""`roughness` on surfaces of known roughness: filters, uncertainty that holds, profiles, and bad input."""

import numpy as np
import pytest

from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError
from lee.surfaces.noise_correlation import correlated_noise
from lee.surfaces.provenance import Provenance
from lee.surfaces.roughness.line import LineOptions
from lee.surfaces.roughness.measure import roughness
from lee.surfaces.surface import Surface

PIXEL_UM = 0.5


def wave(amplitude, period_um, shape=(120, 160)):
    along = np.arange(shape[1]) * PIXEL_UM
    return amplitude * np.cos(2 * np.pi * along / period_um) * np.ones((shape[0], 1))


def test_a_wave_on_a_bowl_between_two_filters():
    y, x = np.mgrid[-1:1:120j, -1:1:160j]
    bowl = 5 * x**2 - 3 * y * x + 2
    height = wave(1.0, 8.0) + bowl + wave(0.5, 2.0) + wave(0.5, 1.25)
    rough = roughness(height, pixel_um=PIXEL_UM, form_order=2, s_filter_um=4.0, l_filter_um=32.0)
    inner = rough.surface_um[:, 40:-40]
    # exp2(-(cut-off / period)^2) is what a Gaussian passes.
    passed = 2.0 ** -((4 / 8) ** 2) * (1 - 2.0 ** -((32 / 8) ** 2))
    assert np.ptp(inner) / 2 == pytest.approx(passed, rel=0.01)
    assert rough["Sq_um"].value == pytest.approx(passed / np.sqrt(2), rel=0.03)
    assert rough["Ssk"].value == pytest.approx(0, abs=0.05)
    assert np.isnan(rough["Sq_um"].sigma)
    assert rough["Sq_corrected_um"].note == "errors of the heights are not known: give noise_um"
    assert 0 < rough.one_sided < 1


def test_a_sinusoid_has_the_parameters_of_a_sinusoid():
    period = 20 * PIXEL_UM
    rough = roughness(wave(0.1, period), pixel_um=PIXEL_UM)
    assert rough["Sa_um"].value == pytest.approx(0.2 / np.pi, rel=0.01)
    assert rough["Sq_um"].value == pytest.approx(0.1 / np.sqrt(2), rel=0.01)
    assert rough["Sku"].value == pytest.approx(1.5, rel=0.01)
    # Of differences over one pixel: a sinusoid's slope times the sinc of half a step.
    slope = 0.1 / np.sqrt(2) * 2 * np.sin(np.pi / 20) / PIXEL_UM
    assert rough["Sdq"].value == pytest.approx(slope, rel=0.01)
    assert np.isnan(rough["Str"].value)
    assert "along the lay" in rough["Str"].note
    # cos falls to 0.2 at acos(0.2) / 2 pi of a period.
    assert rough["Sal_um"].value == pytest.approx(period * np.arccos(0.2) / (2 * np.pi), rel=0.02)


@pytest.mark.parametrize(
    ("correlation_px", "s_filter_um"),
    [(1.5, 3.0), pytest.param(0.0, None, marks=pytest.mark.slow)],
)
def test_the_uncertainty_holds(correlation_px, s_filter_um):
    rng = np.random.default_rng(7)
    within = {}
    options = {"pixel_um": PIXEL_UM, "s_filter_um": s_filter_um, "l_filter_um": 15.0}
    for seed in range(20):
        truth = 0.2 * smooth_field((48, 56), 12, rng).astype(np.float64)
        truth[rng.random(truth.shape) < 0.02] = np.nan
        noise = 0.05 * correlated_noise(rng.standard_normal(truth.shape, dtype=np.float32), correlation_px)
        exact = roughness(truth, **options)
        found = roughness(
            truth + noise, noise_um=0.05, noise_correlation_px=correlation_px, draws=8, seed=seed, **options
        )
        for name in ("Sq_corrected_um", "Sdq_corrected", "Sa_um", "Sz_um", "Sk_um", "Sdr_percent"):
            off = found[name].value - exact[name.replace("_corrected", "")].value
            within.setdefault(name, []).append(abs(off) / found[name].sigma)
    if s_filter_um is None:
        # An extreme of an unfiltered map is one that noise has made.
        assert found["Sz_um"].note == "ruled by noise: give an S-filter, or a coarser one"
        del within["Sz_um"]
    for name, off in within.items():
        off = np.array(off)
        # Standard deviations of 8 draws spread widely.
        assert np.mean(off < 2) > 0.8, name
        assert np.mean(off < 3) > 0.95, name
        # Those that are not corrected hold their bias too, which is no random error.
        if "corrected" in name:
            assert 0.5 < np.mean(off < 1) < 0.9, name


def test_noise_alone_leaves_nothing():
    noise = np.random.default_rng(0).normal(0, 0.05, (60, 60))
    found = roughness(noise, pixel_um=1.0, noise_um=0.06, draws=6)
    assert np.isnan(found["Sq_corrected_um"].value)
    assert "the errors of the heights alone give 0.0598" in found["Sq_corrected_um"].note
    assert found["Sq_um"].noise_bias == found["Sq_um"].value


def test_a_surface_brings_its_pixel_and_its_errors():
    height = smooth_field((80, 80), 6, np.random.default_rng(1))
    valid = np.ones(height.shape, bool)
    valid[10:14, 5:20] = False
    holed = np.where(valid, height, np.nan)
    sigma = np.where(valid, 0.02, np.nan)
    surface = Surface(holed, height, sigma, valid, 0 * height, PIXEL_UM, Provenance())
    found = roughness(surface, draws=4)
    assert (found.pixel_um, found.draws) == (PIXEL_UM, 4)
    assert found.noise is not None
    assert found.noise.rms_um == pytest.approx(0.02)
    np.testing.assert_array_equal(np.isnan(found.surface_um), ~valid)
    assert list(found.table()["name"])[:3] == ["Sa_um", "Sq_um", "Sq_corrected_um"]
    with pytest.raises(KeyError, match="Sq"):
        found["Sq"]


def test_a_profile_with_its_step():
    step = np.where(np.arange(160) * PIXEL_UM > 40, 2.0, 0.0)
    height = step + wave(0.1, 4.0)
    line = LineOptions(((20.0, 10.0), (20.0, 70.0)), 3.0, "edge")
    found = roughness(height, pixel_um=PIXEL_UM, form_order=0, line=line)
    assert found.line is not None
    assert found["step_um"].value == pytest.approx(2.0, abs=3 * found["step_um"].sigma)
    assert found["step_um"].sigma < 0.2
    flat = LineOptions(((20.0, 0.0), (20.0, 79.5)))
    found = roughness(wave(0.1, 3.7), pixel_um=PIXEL_UM, l_filter_um=16.0, line=flat)
    assert found["Ra_um"].value == pytest.approx(0.2 / np.pi, rel=0.02)
    assert found["Rq_um"].value == pytest.approx(0.1 / np.sqrt(2), rel=0.02)
    assert found["Rz_um"].value == pytest.approx(0.2, rel=0.02)
    assert found["Rz_um"].note == "mean of 4 sections"


@pytest.mark.parametrize(
    ("height", "options", "message"),
    [
        (np.zeros((1, 1)), {}, r"the map has shape \(1, 1\); give \(H, W\) of 2 pixels or more a side"),
        (np.zeros((3, 4, 5)), {}, r"the map has shape \(3, 4, 5\)"),
        (np.full((9, 9), np.nan), {}, "fewer than 4 pixels of the map were measured"),
        (np.zeros((9, 9)), {"pixel_um": 0.0}, "pixel_um is 0.0; give µm above 0"),
        (np.zeros((9, 9)), {"s_filter_um": 4.0, "l_filter_um": 3.0}, r"S-filter \(4 µm\) must be finer"),
        (np.zeros((9, 9)), {"s_filter_um": -1.0}, "S-filter: its cut-off is -1.0 µm; give µm above 0"),
        (np.zeros((9, 9)), {"l_filter_um": 12.0}, "L-filter: its cut-off is 12 pixels"),
        (np.zeros((9, 9)), {"noise_um": 0.0}, "noise_um is 0.0; give µm above 0, or None"),
        (np.zeros((9, 9)), {"noise_um": 1.0, "noise_correlation_px": -1.0}, "noise_correlation_px is -1.0"),
        (np.zeros((9, 9)), {"draws": 1}, "draws is 1; give at least 2"),
        (np.zeros((9, 9)), {"line": LineOptions(((0, 0), (0, 5)))}, "6 points of the line were measured"),
        (
            np.zeros((9, 20)),
            {"line": LineOptions(((0, 0), (8, 0))), "l_filter_um": 8.5},
            "the line is 8 µm long, the L-filter's cut-off 8.5 µm: draw it longer",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(height, options, message):
    with pytest.raises(InputError, match=message):
        roughness(height, **{"pixel_um": 1.0, **options})


def test_a_map_of_two_rows_has_no_hills():
    found = roughness(np.random.default_rng(0).normal(size=(2, 40)), pixel_um=1.0)
    assert np.isnan(found["Spd_per_mm2"].value)
    assert found["Spd_per_mm2"].note == "no pixel has eight measured neighbours"


def test_a_constant_map_has_no_shape():
    found = roughness(np.full((20, 30), 3.0), pixel_um=1.0, noise_um=0.1, draws=2)
    assert found["Sa_um"].value == 0
    for name in ("Ssk", "Sku", "Str", "Sal_um", "Spd_per_mm2", "Smr1_percent"):
        assert np.isnan(found[name].value)
        assert found[name].note == "the surface is constant"
