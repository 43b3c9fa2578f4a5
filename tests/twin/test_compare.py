"""Measured rates beside computed ones: on maps whose relation is known."""

import numpy as np
import pytest
from scipy import ndimage

from lee.errors import InputError
from lee.surfaces.regions import Region
from lee.twin import Cell, Fields, Solution
from lee.twin.comparison.compare import compare, height_rate
from lee.twin.comparison.window import window_current
from lee.twin.mesh.area import mesh_area_ratio

SHAPE = (96, 128)
PIXEL_UM = 1.0


def noise(seed, sigma=1.0, alike_px=0.0):
    made = np.random.default_rng(seed).standard_normal(SHAPE)
    if alike_px:
        made = ndimage.gaussian_filter(made, alike_px, mode="wrap")
    return sigma * made / made.std()


def model():
    return 35.0 + noise(1, 6.0, alike_px=6)


def solution(rates, times_s, height=None, pixels=None):
    """A solution with nothing in it but normal rates and the surface, on the mesh and on the pixels."""
    rates = np.asarray(rates, np.float32)
    height = np.zeros(SHAPE) if height is None else height
    pixels = height if pixels is None else pixels
    # Nodes in the pixels' middles.
    y, x = ((np.arange(n) + 0.5) * PIXEL_UM for n in SHAPE)
    z = np.repeat(height[None, :, :, None], len(rates), axis=0)
    fields = Fields(x, y, z, z, z, *(z[..., 0],) * 4)
    ratio = mesh_area_ratio(height, y, x)[None].astype(np.float32)
    return Solution(
        np.asarray(times_s, float), rates, rates, rates, rates, ratio * rates, rates,
        np.repeat(ratio, len(rates), axis=0), np.zeros(len(rates)),
        np.repeat(pixels[None], len(rates), axis=0).astype(np.float32), np.zeros(SHAPE, bool), PIXEL_UM,
        "tertiary", Cell(), fields,
    )  # fmt: skip


def test_a_known_relation_is_found_with_its_errors():
    computed = model()
    measured = 4 + 0.7 * computed + noise(3, 2.0)
    found = compare(computed, measured, pixel_um=PIXEL_UM, sigma_nm_per_s=2.0)
    row = found.statistics.iloc[0]
    assert row.slope_low < 0.7 < row.slope_high
    assert row.slope == pytest.approx(0.7, abs=0.03)
    assert row.bias == pytest.approx((measured - computed).mean())
    assert row.bias_low < 4 - 0.3 * computed.mean() < row.bias_high
    assert row.rms == pytest.approx(np.sqrt(np.mean((measured - computed) ** 2)))
    assert row.correlation == pytest.approx(np.corrcoef(computed.ravel(), measured.ravel())[0, 1])
    assert row.correlation_low < row.correlation < row.correlation_high
    assert row.chi2 == pytest.approx(row.rms**2 / 4)
    assert row.ratio == pytest.approx(measured.mean() / computed.mean())
    assert np.allclose(found.difference_nm_per_s[0], measured - computed)


def test_intervals_hold_what_they_claim_though_errors_are_alike():
    computed, inside = model(), 0
    for seed in range(60):
        measured = computed + noise(seed + 100, 2.0, alike_px=3)
        row = compare(computed, measured, pixel_um=PIXEL_UM).statistics.iloc[0]
        inside += row.slope_low <= 1 <= row.slope_high
    # 95 % of 60 are 57; few blocks make intervals a little short.
    assert inside >= 51


def test_maps_that_have_nothing_to_do_with_each_other_are_not_called_related():
    row = compare(model(), 35 + noise(9, 3.0, alike_px=6), pixel_um=PIXEL_UM).statistics.iloc[0]
    assert row.correlation_low < 0 < row.correlation_high


def test_gaps_and_invalid_pixels_count_for_nothing():
    computed = model()
    measured = computed + 1
    measured[:20] = np.nan
    measured[30:40] = 1e6
    valid = np.ones(SHAPE, bool)
    valid[30:40] = False
    found = compare(computed, measured, pixel_um=PIXEL_UM, valid=valid)
    row = found.statistics.iloc[0]
    assert row.n == 66 * SHAPE[1]
    assert row.bias == pytest.approx(1) == row.rms
    assert np.isnan(found.difference_nm_per_s[0, 30:40]).all()


def test_rates_along_the_normal_are_turned_into_rates_of_height():
    # A slope of one: the height grows root two times as fast as the surface moves.
    height = np.arange(SHAPE[1]) * PIXEL_UM * np.ones(SHAPE)
    assert np.allclose(height_rate(model(), height, PIXEL_UM), np.sqrt(2) * model())
    measured = np.sqrt(2) * model()
    with_surface = compare(model(), measured, pixel_um=PIXEL_UM, height_um=height)
    assert with_surface.statistics.iloc[0].rms < 1e-9
    assert compare(solution([model()], [100.0], height), measured).statistics.iloc[0].rms < 1e-4
    # The pixels' own noise is steep, but the mesh is smooth, and it is its area that the current is per.
    noisy = height + noise(5, 0.5)
    beside = compare(solution([model()], [100.0], height, pixels=noisy), measured)
    assert beside.statistics.iloc[0].rms < 1e-4
    without = compare(model(), measured, pixel_um=PIXEL_UM)
    assert without.statistics.iloc[0].ratio == pytest.approx(np.sqrt(2))
    assert any("taken to be vertical" in message for message in without.notes)


def test_measured_rates_are_scaled_to_the_current_the_twin_was_given():
    pytest.importorskip("ngsolve")
    window = window_current(Cell())
    measured = model() * window.share
    found = compare(model(), measured, pixel_um=PIXEL_UM, window=window, sigma_nm_per_s=1.0)
    assert found.statistics.iloc[0].ratio == pytest.approx(1)
    assert found.sigma_nm_per_s.max() == pytest.approx(1 / window.share)
    half = compare(model(), measured, pixel_um=PIXEL_UM, window=0.5).statistics.iloc[0]
    assert half.ratio == pytest.approx(2 * window.share)


def test_curves_follow_trench_and_protrusion_over_time():
    trench, protrusion = (np.zeros(SHAPE, bool) for _ in range(2))
    trench[10:30, 10:50], protrusion[50:80, 60:100] = True, True
    regions = [Region("R2", "trench", trench), Region("R1", "protrusion", protrusion)]
    held = solution([np.full(SHAPE, 30.0), np.full(SHAPE, 40.0)], [0.0, 100.0])
    measured = np.stack([np.where(trench, 70.0, 20.0) + noise(k, 5.0) for k in range(3)])
    found = compare(held, measured, times_s=[0, 25, 100], regions=regions)
    assert list(found.curves.region) == ["R2"] * 3 + ["R1"] * 3
    first = found.curves[found.curves.region == "R2"]
    assert np.allclose(first.computed_nm_per_s, [30, 32.5, 40])
    assert np.allclose(first.measured_nm_per_s, 70, atol=1)
    # 800 pixels of independent noise.
    assert np.allclose(first.measured_se_nm_per_s, 5 / np.sqrt(800), rtol=0.4)
    assert list(first.n) == [800] * 3
    assert len(found.statistics) == 3


def test_a_uniform_rate_has_nothing_to_correlate_with():
    row = compare(np.full(SHAPE, 38.0), model(), pixel_um=PIXEL_UM).statistics.iloc[0]
    assert np.isnan(row.correlation)
    assert np.isnan(row.slope)
    assert row.bias == pytest.approx(model().mean() - 38)


@pytest.mark.parametrize(
    ("computed", "measured", "changed", "message"),
    [
        (
            np.ones(SHAPE),
            np.ones((3, 3)),
            {},
            r"computed rates are \(1, 96, 128\), measured ones \(1, 3, 3\)",
        ),
        (np.ones(SHAPE), np.ones(3), {}, r"measured rates have shape \(3,\)"),
        (np.ones(SHAPE), np.full(SHAPE, np.nan), {}, "only 0 pixels at 0 s have both rates"),
        (np.ones(SHAPE), np.ones(SHAPE), {"pixel_um": None}, "pixel_um is None"),
        (np.ones(SHAPE), np.ones(SHAPE), {"window": 0.0}, "share of the current is 0.0"),
        (np.ones(SHAPE), np.ones(SHAPE), {"valid": np.ones(3)}, r"valid has shape \(3,\)"),
        (np.ones(SHAPE), np.ones(SHAPE), {"height_um": np.ones((3, 3))}, r"height_um is \(3, 3\)"),
        (np.ones(SHAPE), np.ones(SHAPE), {"times_s": [1, 2]}, "2 times for 1 measured maps"),
        (
            np.ones(SHAPE),
            np.ones(SHAPE),
            {"regions": [Region("R1", "drawn", np.ones((2, 2), bool))]},
            "region R1 is",
        ),
    ],
)
def test_what_does_not_fit_is_refused(computed, measured, changed, message):
    with pytest.raises(InputError, match=message):
        compare(computed, measured, **({"pixel_um": PIXEL_UM} | changed))


def test_times_beyond_the_solution_are_reported():
    held = solution([model()] * 2, [10.0, 20.0])
    with pytest.raises(InputError, match="measured from 5 to 5 s, computed from 10 to 20 s"):
        compare(held, model(), times_s=5.0)
    with pytest.raises(InputError, match="2 measured maps without times"):
        compare(held, np.stack([model()] * 2))
    assert compare(held, model()).times_s == [20.0]
