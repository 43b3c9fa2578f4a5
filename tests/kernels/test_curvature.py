"""Curvature against its definition, against surfaces whose curvature is known, and under noise."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lee
from lee import _core
from lee.errors import InputError
from lee.kernels.curvature import height_derivatives
from tests.reference import curvature as reference

PIXEL_UM = 0.5
FAMILIES = ["savgol", "gaussian"]
MAPS = ("mean_per_um", "gaussian_per_um2", "max_per_um", "min_per_um")


def on(backend, values):
    """Contiguous float32, where the backend's kernels run."""
    return backend.array(np.ascontiguousarray(values, np.float32))


def same(got, expected, within):
    """Equal to a share of the largest value there is, and NaN at the same places."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    largest = np.nanmax(np.abs(expected), initial=1e-6)  # of heights near 1
    assert np.nanmax(np.abs(got - expected), initial=0) <= within * largest


@given(
    height=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 14), st.integers(1, 22)),
        elements=st.sampled_from([0.0, 1.0, -2.5, 3.25, 0.125, np.nan, np.inf]),
    ),
    family=st.sampled_from(FAMILIES),
    scale_px=st.sampled_from([0.7, 1.0, 1.3, 2.0]),
)
@settings(max_examples=60, deadline=None)
def test_equals_its_definition(backend, height, family, scale_px):
    options = {"pixel_um": PIXEL_UM, "scale_um": scale_px * PIXEL_UM, "family": family}
    got = height_derivatives(on(backend, height), **options)
    expected, _ = reference.height_derivatives(height, family, scale_px, PIXEL_UM)
    for one, other in zip(got, expected, strict=True):
        same(backend.numpy(one), other, 2e-6)
    curved = lee.curvature(on(backend, height), **options)
    for name, other in zip(MAPS, reference.curvatures(expected), strict=True):
        same(backend.numpy(getattr(curved, name)), other, 5e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_equals_its_definition_over_several_strips(backend, family, missing):
    rng = np.random.default_rng(3)
    height = (rng.normal(size=(23, 150)) + 0.3 * np.arange(150)).astype(np.float32)
    height[rng.random(height.shape) < missing] = np.nan
    options = {"pixel_um": PIXEL_UM, "scale_um": 1.2 * PIXEL_UM, "family": family}
    got = height_derivatives(on(backend, height), **options)
    expected, _ = reference.height_derivatives(height, family, 1.2, PIXEL_UM)
    for one, other in zip(got, expected, strict=True):
        same(backend.numpy(one), other, 2e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_uncertainty_is_that_of_simulated_errors(family, missing):
    rng = np.random.default_rng(8)
    y, x = (PIXEL_UM * c for c in np.mgrid[:40, :44])
    relief = 0.02 * (x - 9) ** 2 + 0.01 * (y - 10) ** 2 + 0.3 * x
    relief[rng.random(relief.shape) < missing] = np.nan
    sigma = 0.02
    options = {"pixel_um": PIXEL_UM, "scale_um": 1.5, "family": family}
    estimated = lee.curvature(relief, height_sigma_um=sigma, noise_correlation_px=0, **options)
    draws = [lee.curvature(relief + sigma * rng.standard_normal(relief.shape), **options) for _ in range(250)]
    pairs = [
        (estimated.mean_sigma_per_um, [d.mean_per_um for d in draws]),
        (estimated.gaussian_sigma_per_um2, [d.gaussian_per_um2 for d in draws]),
    ]
    for stated, seen in pairs:
        ratio = np.std(seen, axis=0) / stated
        known = np.isfinite(relief)
        np.testing.assert_array_equal(np.isfinite(ratio), known)
        assert 0.93 < np.median(ratio[known]) < 1.07
        low, high = np.percentile(ratio[known], (1, 99))
        assert 0.75 < low < high < (1.2 if family == "savgol" else 1.4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_device_gives_what_the_processor_gives(cuda, family, missing):
    rng = np.random.default_rng(4)
    height = (0.1 * rng.normal(size=(50, 70)) + 0.3 * np.arange(70)).astype(np.float32)
    height[rng.random(height.shape) < missing] = np.nan
    sigma = np.linspace(0.01, 0.1, 70, dtype=np.float32) * np.ones((50, 1), np.float32)
    options = {"pixel_um": PIXEL_UM, "scale_um": 1.5, "family": family}
    here = lee.curvature(height, height_sigma_um=sigma, **options)
    there = lee.curvature(on(cuda, height), height_sigma_um=on(cuda, sigma), **options)
    for name in MAPS:
        same(cuda.numpy(getattr(there, name)), getattr(here, name), 5e-5)
    for name in ("mean_sigma_per_um", "gaussian_sigma_per_um2"):
        ratio = cuda.numpy(getattr(there, name)) / getattr(here, name)
        np.testing.assert_array_equal(np.isnan(ratio), np.isnan(here.mean_per_um))
        assert np.nanmax(np.abs(ratio - 1)) < 1e-3
    with pytest.raises(InputError, match="give scale_um for heights on a CUDA device"):
        lee.curvature(on(cuda, height), pixel_um=PIXEL_UM)
    with pytest.raises(TypeError, match="curvature"):
        lee.curvature(on(cuda, height), height_sigma_um=sigma, **options)


def test_uncertainty_is_that_of_the_heights_around():
    sigma = np.full((60, 60), 0.1, np.float32)
    sigma[:, 30:] = 0.3
    curved = lee.curvature(np.zeros((60, 60)), pixel_um=1, scale_um=2, height_sigma_um=sigma)
    left, right = curved.mean_sigma_per_um[30, 10], curved.mean_sigma_per_um[30, 50]
    assert right == pytest.approx(3 * left, rel=1e-5)
    assert left < curved.mean_sigma_per_um[30, 30] < right
    unknown = lee.curvature(np.zeros((60, 60)), pixel_um=1, scale_um=2, height_sigma_um=sigma * np.nan)
    assert np.isfinite(unknown.mean_per_um).all()
    assert np.isnan(unknown.mean_sigma_per_um).all()


def test_families_are_equally_noisy_at_the_same_scale():
    noise = np.random.default_rng(1).normal(size=(400, 400))
    scales = {}
    for family in FAMILIES:
        d = height_derivatives(noise, pixel_um=1, scale_um=3.0, family=family)
        scales[family] = np.std((d.xx + d.yy)[40:-40, 40:-40])
    # The square's whole pixels give 2.9 instead of 3, and the sixth power of that ratio is in the variance.
    assert scales["savgol"] == pytest.approx(scales["gaussian"], rel=0.15)


# --- surfaces whose curvature is known ---


def field(pixels):
    along = (np.arange(pixels) - pixels / 2 + 0.5) * 100.0 / pixels
    return (*np.meshgrid(along, along), 100.0 / pixels)


def sphere(x, y):
    return -np.sqrt(75.0**2 - x**2 - y**2)


def sinusoid(x, y):
    return 5 * np.sin(2 * np.pi * x / 50) * np.sin(2 * np.pi * y / 50)


def torus(x, y):
    return np.sqrt(60.0**2 - (np.hypot(x + 120, y) - 120) ** 2)


def saddle(x, y):
    return (x**2 - y**2) / 200


def hills(x, y):
    return 8 * np.exp(-(x**2 + y**2) / 300) - 6 * np.exp(-((x - 20) ** 2 + (y + 25) ** 2) / 150)


def wavy_steps(x, y):
    return 4 * np.tanh((x + 10 * np.sin(y / 15)) / 6)


def true_derivatives(surface, x, y, step=0.02):
    def along(of, dx, dy):
        def central(a, b, far):
            return of(a + far * dx, b + far * dy) - of(a - far * dx, b - far * dy)

        return lambda a, b: (8 * central(a, b, 1) - central(a, b, 2)) / (12 * step)

    fx, fy = along(surface, step, 0), along(surface, 0, step)
    second = (along(fx, step, 0), along(fx, 0, step), along(fy, 0, step))
    return [f(x, y) for f in (fx, fy, *second)]


def true_mean(surface, x, y):
    p, q, xx, xy, yy = true_derivatives(surface, x, y)
    return ((1 + q**2) * xx - 2 * p * q * xy + (1 + p**2) * yy) / (2 * (1 + p**2 + q**2) ** 1.5)


@pytest.mark.parametrize(
    ("surface", "must"),
    [
        (hills, 0.1),
        (sphere, 0.04),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in ((sinusoid, 0.04), (torus, 0.07), (saddle, 0.04), (wavy_steps, 0.16))
        ),
    ],
)
def test_automatic_scale_at_one_percent_noise(surface, must):
    """Over the whole map, border and corners included, against the surface that was not smoothed."""
    x, y, pixel_um = field(512)
    height, truth = surface(x, y), true_mean(surface, x, y)
    sigma = 0.01 * np.ptp(height)
    noisy = height + np.random.default_rng(11).normal(size=height.shape) * sigma
    curved = lee.curvature(noisy, pixel_um=pixel_um)
    assert np.isfinite(curved.mean_per_um).all()
    error = np.sqrt(np.mean((curved.mean_per_um - truth) ** 2) / np.mean(truth**2))
    assert error <= must
    assert curved.automatic["height_sigma_um"] == pytest.approx(sigma, rel=0.02)
    # No scale is much better than the one that was chosen, while windows fit into the field.
    for factor in (0.6, 1.6):
        if factor * curved.radius_px < 250:
            other = lee.curvature(noisy, pixel_um=pixel_um, scale_um=factor * curved.scale_um).mean_per_um
            assert np.sqrt(np.mean((other - truth) ** 2) / np.mean(truth**2)) > 0.7 * error


def test_automatic_scale_takes_the_stated_noise():
    x, y, pixel_um = field(256)
    noisy = hills(x, y) + np.random.default_rng(2).normal(size=x.shape) * 0.05
    fine = lee.curvature(noisy, pixel_um=pixel_um, height_sigma_um=0.05)
    coarse = lee.curvature(noisy, pixel_um=pixel_um, height_sigma_um=0.5)
    assert fine.scale_um == lee.curvature(noisy, pixel_um=pixel_um).scale_um
    assert coarse.scale_um > 1.3 * fine.scale_um


def test_automatic_scale_without_noise_or_without_heights():
    x, y, pixel_um = field(128)
    exact = lee.curvature(sinusoid(x, y), pixel_um=pixel_um)
    error = exact.mean_per_um - true_mean(sinusoid, x, y)
    assert np.sqrt(np.mean(error**2)) < 1e-3
    for shape in ((1, 1), (3, 50), (40, 40)):
        empty = lee.curvature(np.full(shape, np.nan), pixel_um=1)
        assert np.isnan(empty.mean_per_um).all()
        assert np.isfinite(empty.scale_um)


@pytest.mark.parametrize("family", FAMILIES)
def test_trenches_are_positive_and_peaks_negative(family):
    x, _, pixel_um = field(128)
    trench = lee.curvature(5 * np.cos(2 * np.pi * x / 50), pixel_um=pixel_um, scale_um=2, family=family)
    bottom, top = np.argmin(np.abs(x[0] - 25)), np.argmin(np.abs(x[0]))
    expected = 5 * (2 * np.pi / 50) ** 2
    assert trench.max_per_um[64, bottom] == pytest.approx(expected, rel=0.07)
    assert trench.min_per_um[64, top] == pytest.approx(-expected, rel=0.07)
    assert abs(trench.gaussian_per_um2[64, bottom]) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tilted_plane_with_gaps_is_flat_up_to_its_border(family):
    x, y, pixel_um = field(150)
    plane = 1000 + 0.7 * x - 0.4 * y
    plane[np.random.default_rng(1).random(plane.shape) < 0.1] = np.nan
    plane[60:90, 20:50] = np.nan
    # Rounding to float32 near 1000 um is noise of 1.8e-5 um.
    curved = lee.curvature(plane, pixel_um=pixel_um, scale_um=2, family=family, height_sigma_um=1.8e-5)
    known = np.isfinite(curved.mean_per_um)
    assert not known[np.isnan(plane)].any()
    # Beside the large gap a quartic fit has its window's half, which is too little for some.
    assert known[np.isfinite(plane)].mean() > (0.99 if family == "savgol" else 0.9999)
    assert known[0].sum() == np.isfinite(plane[0]).sum()
    assert np.nanmax(np.abs(curved.mean_per_um) / curved.mean_sigma_per_um) < 6
    assert np.nanmax(np.abs(curved.mean_per_um)) < 5e-4


def test_small_relief_on_a_large_offset():
    x, y, pixel_um = field(256)
    relief = 0.01 * np.sin(2 * np.pi * (x + 0.37 * y) / 10)
    high = lee.curvature(relief + 1000, pixel_um=pixel_um, scale_um=1.0).mean_per_um
    low = lee.curvature(relief, pixel_um=pixel_um, scale_um=1.0).mean_per_um
    # Rounding to float32 at 1000 um is noise of 1.8e-5 um; the sum itself adds nothing to that.
    noise = lee.curvature(relief, pixel_um=pixel_um, scale_um=1.0, height_sigma_um=1.8e-5)
    assert np.std((high - low)[30:-30, 30:-30]) < 1.5 * np.median(noise.mean_sigma_per_um)


def test_an_isolated_patch_too_small_for_a_fit_gives_nothing():
    height = np.full((40, 40), np.nan)
    height[10:13, 10:13] = 1.0
    curved = lee.curvature(height, pixel_um=1, scale_um=2)
    assert np.isnan(curved.mean_per_um).all()


# --- what every kernel promises ---


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_do_not_change_the_result(family):
    height = np.random.default_rng(2).normal(size=(300, 210)).astype(np.float32)
    height[40:50, 100:] = np.nan
    options = {"pixel_um": 1, "scale_um": 2, "family": family, "height_sigma_um": 0.1}
    one = lee.curvature(height, threads=1, **options)
    for threads in (2, 5):
        many = lee.curvature(height, threads=threads, **options)
        for name in (*MAPS, "mean_sigma_per_um", "gaussian_sigma_per_um2"):
            np.testing.assert_array_equal(getattr(many, name), getattr(one, name))


_FINGERPRINT = """
import hashlib, numpy as np, lee
from lee import _core
height = np.random.default_rng(5).normal(size=(300, 233)).astype(np.float32)
height[height > 2.5] = np.nan
whole = np.nan_to_num(height)
digest = hashlib.sha256()
for family in ("savgol", "gaussian"):
    for h in (height, whole):
        got = lee.curvature(h, pixel_um=1, scale_um=2.2, family=family, height_sigma_um=0.1)
        for part in (got.mean_per_um, got.gaussian_per_um2, got.max_per_um, got.mean_sigma_per_um):
            digest.update(np.nan_to_num(part).tobytes())
print(_core.instruction_set(), digest.hexdigest())
"""


def test_instruction_sets_agree_bit_for_bit():
    names = ["plain", "avx2", "avx512"]
    supported = names[: names.index(_core.instruction_set()) + 1]
    prints = [
        subprocess.run(
            [sys.executable, "-c", _FINGERPRINT],
            env={**os.environ, "LEE_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for isa in supported
    ]
    assert [name for name, _ in prints] == supported
    assert len({digest for _, digest in prints}) == 1
    assert prints[0][1] != hashlib.sha256().hexdigest()


def test_the_scale_that_was_used_is_reported():
    curved = lee.curvature(np.zeros((50, 50)), pixel_um=0.5, scale_um=2.0)
    assert curved.scale_um == pytest.approx(2.0, rel=0.1)
    assert curved.scale_um == pytest.approx(0.5 * reference.scale_of(curved.radius_px))
    curved = lee.curvature(np.zeros((50, 50)), pixel_um=0.5, scale_um=2.0, family="gaussian")
    assert (curved.scale_um, curved.radius_px) == (2.0, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height_um": np.zeros(3)}, r"curvature: height_um has shape \(3,\)"),
        ({"height_um": np.zeros((0, 4))}, r"curvature: height_um has shape \(0, 4\)"),
        ({"height_um": np.array([["a"]])}, "curvature: height_um holds <U1; give real numbers"),
        ({"pixel_um": 0.0}, "curvature: pixel_um is 0.0; give µm above 0"),
        ({"pixel_um": float("nan")}, "curvature: pixel_um is nan"),
        ({"scale_um": -1.0}, "curvature: scale_um is -1.000000; give a length in µm above 0"),
        ({"scale_um": "large"}, "curvature: scale_um is 'large'; give µm above 0, or \"auto\""),
        ({"scale_um": 0.2}, "curvature: scale_um is 0.200000, 0.200000 pixels; give at least 0.52"),
        ({"scale_um": 2000.0}, "curvature: scale_um is 2000.0.* average pixels first"),
        ({"scale_um": 1e300}, "curvature: scale_um is 1.* average pixels first"),
        ({"family": "mean"}, "curvature: family is 'mean'; give 'savgol' or 'gaussian'"),
        ({"noise_correlation_px": -1.0}, "noise_correlation_px is -1.0; give px >= 0, or None"),
        ({"noise_correlation_px": float("nan")}, "noise_correlation_px is nan; give px >= 0"),
        ({"threads": -1}, "curvature: threads is -1; give 0 for all cores"),
        ({"height_sigma_um": np.zeros((3, 4))}, r"height_um is \(9, 9\) but height_sigma_um is \(3, 4\)"),
        ({"height_sigma_um": -1.0}, "curvature: height_sigma_um is -1.0; give µm >= 0"),
        ({"height_sigma_um": -np.ones((9, 9))}, "curvature: height_sigma_um is negative somewhere"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        lee.curvature(**{"height_um": np.zeros((9, 9)), "pixel_um": 1.0, "scale_um": 2.0, **arguments})


def test_the_core_takes_only_what_it_is_made_for():
    options = {"family": "savgol", "scale_um": 2.0, "pixel_um": 1.0, "threads": 1}
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.curvature(np.zeros((9, 9)), None, **options)
    with pytest.raises(ValueError, match="curvature: no family called x"):
        _core.curvature(np.zeros((9, 9), np.float32), None, **{**options, "family": "x"})
