"""Noise, repeatability and flatness of made maps whose errors are known."""

import numpy as np
import pytest

from lee.devices.virtual.scene.texture import smooth_field
from lee.errors import InputError
from lee.metrology import RepeatedMaps, flatness, noise, read_maps, repeatability
from lee.runs.run import SURFACES
from lee.runs.surface_store import SurfaceStore
from lee.storage.map_tiff import write_map
from lee.surfaces.noise_correlation import correlated_noise
from lee.surfaces.provenance import Provenance
from lee.surfaces.surface import Surface

SHAPE = (80, 96)
NOISE_UM = 0.05


def scanned(rng, count, correlation_px=0.0, relief_um=1.0, drift_um=0.0):
    """Maps of one place, each with errors, a piston and a tilt of its own."""
    truth = relief_um * smooth_field(SHAPE, 20, rng)
    x = np.arange(SHAPE[1]) / SHAPE[1]
    maps = [
        truth
        + NOISE_UM * correlated_noise(rng.standard_normal(SHAPE, dtype=np.float32), correlation_px)
        + rng.normal(0, 0.1)
        + drift_um * k
        + rng.normal(0, 0.1) * x
        for k in range(count)
    ]
    stack = np.stack(maps).astype(np.float64)
    stack[:, 10:20, 30:40] = np.nan
    stack[0, 40, 50:60] = np.nan
    return stack


@pytest.mark.parametrize(
    ("count", "correlation_px"),
    [(2, 2.0), pytest.param(2, 0.0, marks=pytest.mark.slow), pytest.param(5, 1.0, marks=pytest.mark.slow)],
)
def test_the_noise_and_its_standard_error(count, correlation_px):
    rng = np.random.default_rng(1)
    found = [noise(scanned(rng, count, correlation_px), pixel_um=0.5) for _ in range(40)]
    off = np.array([(one["noise_um"].value - NOISE_UM) / one["noise_um"].sigma for one in found])
    assert 0.5 < np.mean(np.abs(off) < 1) < 0.88
    assert np.mean(np.abs(off) < 3) > 0.95
    assert abs(off.mean()) < 0.5
    length = np.mean([one["correlation_px"].value for one in found])
    assert length == pytest.approx(correlation_px, rel=0.12)
    assert found[0]["noise_robust_um"].value == pytest.approx(NOISE_UM, rel=0.12)
    assert found[0]["beyond_3_percent"].value < 1


def test_two_maps_are_their_difference_over_the_square_root_of_two():
    first, second = np.random.default_rng(0).normal(size=(2, 30, 40))
    found = noise([first, second], pixel_um=1.0, form_order=0, interval_s=4.0)
    expected = np.std(first - second) / np.sqrt(2)
    assert found["noise_um"].value == pytest.approx(expected, rel=2e-3)
    assert found.by_lag["noise_um"][0] == pytest.approx(expected, rel=1e-9)
    assert found["noise_density_um_sqrt_s"].value == pytest.approx(2 * found["noise_um"].value)
    assert found["time_s"].value == 4


def test_a_lateral_shift_is_told_from_noise():
    relief = smooth_field(SHAPE, 12, np.random.default_rng(3)).astype(np.float64)
    found = noise([relief[:, :-1], relief[:, 1:]], pixel_um=1.0)
    assert found["shift_percent"].value > 90
    assert found["shift_percent"].note == "the maps moved sideways: align them first, or scan again"


@pytest.mark.parametrize("stated", [1.0, 2.0])
def test_stated_standard_deviations_are_judged(stated):
    stack = scanned(np.random.default_rng(2), 3)
    sigma = np.full(stack.shape, stated * NOISE_UM, np.float32)
    found = noise(RepeatedMaps(stack, 0.5, sigma))
    assert found["stated_ratio"].value == pytest.approx(1 / stated, rel=0.03)


def test_repeatability_sees_drift_and_errors_that_persist():
    rng = np.random.default_rng(4)
    stack = scanned(rng, 8, drift_um=0.3)
    maps = RepeatedMaps(stack, 0.5, times_s=10.0 * np.arange(8))
    found = repeatability(maps)
    assert found["repeatability_um"].value == pytest.approx(NOISE_UM, rel=0.03)
    drift = found["drift_um_per_scan"]
    assert drift.value == pytest.approx(0.3, abs=3 * drift.sigma)
    assert found["drift_um_per_s"].value == pytest.approx(drift.value / 10)
    assert found["with_drift_um"].value > 0.5
    assert found["next_noise_um"].value == pytest.approx(found["farthest_noise_um"].value, rel=0.05)
    assert found["Sz_um"].value < 0.2
    assert list(found.details["scan"]) == list(range(8))
    persistent = np.cumsum(rng.normal(0, NOISE_UM, (8, *SHAPE)), axis=0)
    found = repeatability(persistent, pixel_um=0.5)
    assert found["farthest_noise_um"].value > 2 * found["next_noise_um"].value


def test_flatness_of_a_bowl_under_noise():
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    bowl = 0.1 * (x**2 + y**2)
    truth = flatness(bowl[None], pixel_um=0.5)
    assert truth["flatness_um"].value == pytest.approx(0.2, rel=0.1)  # the filter rounds its corners
    assert np.isnan(truth["flatness_um"].sigma)
    assert "the noise is not known" in truth["noise_left_um"].note
    rng = np.random.default_rng(5)
    off = []
    for _ in range(12):
        maps = bowl + NOISE_UM * rng.normal(size=(4, *SHAPE)) + rng.normal(size=(4, 1, 1))
        found = flatness(maps, pixel_um=0.5)
        assert found["flatness_um"].value == pytest.approx(
            truth["flatness_um"].value, abs=2 * found["flatness_um"].sigma
        )
        corrected = found["flatness_corrected_um"]
        off.append((corrected.value - truth["flatness_um"].value) / corrected.sigma)
    assert np.mean(np.abs(off) < 1) > 0.5
    assert np.mean(np.abs(off) < 3) == 1
    assert flatness(bowl[None], pixel_um=0.5, form_order=2)["flatness_um"].value < 0.01


def test_maps_come_from_surfaces_and_from_a_run(tmp_path):
    stack = scanned(np.random.default_rng(6), 3).astype(np.float32)
    store = SurfaceStore.create(
        tmp_path / "run" / SURFACES,
        times_s=[0, 5, 11, 20],
        scans=["a", "b", "c", "d"],
        shape=SHAPE,
        pixel_um=0.5,
    )
    for k, height in enumerate(stack):
        write_map(tmp_path / f"{k}.tif", height, 0.5)
        valid = np.isfinite(height)
        sigma = np.where(valid, 0.05, np.nan)
        surface = Surface(height, np.nan_to_num(height), sigma, valid, 0 * sigma, 0.5, Provenance())
        store.write((0, 1, 3)[k], surface)
    store.fail(2, "lamp off")
    single = read_maps([tmp_path / f"{k}.tif" for k in range(3)], interval_s=4)
    np.testing.assert_array_equal(single.height_um, stack)
    assert (single.interval_s, single.sigma_um) == (4, None)
    for place in (tmp_path / "run", tmp_path / "run" / SURFACES):
        run = read_maps([place])
        np.testing.assert_array_equal(run.height_um, stack)
        assert run.names == ("a", "b", "d")
        assert run.interval_s == 10
        assert run.sigma_um is not None
    write_map(tmp_path / "other.tif", stack[0, :-1], 0.5)
    with pytest.raises(InputError, match=r"other.tif: 96 × 79 px of 0.5 µm, but .*0.tif is 96 × 80 px"):
        read_maps([tmp_path / "0.tif", tmp_path / "other.tif"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise(np.zeros((1, 8, 8)), pixel_um=1.0), "1 maps were given; 2 or more are"),
        (lambda: repeatability(np.zeros((2, 8, 8)), pixel_um=1.0), "2 maps were given; 3 or more are"),
        (lambda: noise(np.zeros((8, 8)), pixel_um=1.0), r"noise: the maps have shape \(8, 8\); give"),
        (lambda: noise(np.zeros((2, 8, 8))), "pixel_um is None; give the size of a pixel in µm"),
        (lambda: noise(np.zeros((2, 3, 8)), pixel_um=1.0), "the maps are 8 × 3 pixels; 4 × 4 or more"),
        (lambda: noise(np.full((2, 8, 8), np.nan), pixel_um=1.0), "0 pixels were measured in all maps"),
        (lambda: flatness(np.full((1, 8, 8), np.nan), pixel_um=1.0), "0 pixels were measured in all maps"),
        (lambda: flatness(np.zeros((1, 8, 8)), pixel_um=1.0, noise_um=-1.0), "noise_um is -1.0; give µm"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_equal_maps_are_no_repetition():
    with pytest.raises(
        InputError, match="noise: the maps are identical: give separate measurements of one place"
    ):
        noise(np.zeros((3, 8, 8)), pixel_um=1.0)
