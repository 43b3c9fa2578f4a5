"""The second look against the truth: less noise than the first, honest sigmas, nothing measured that was not.

The scans are drawn here, by layers: the texture of every height is blurred for its distance from the focus,
by a Gaussian or by a disk, and the layers are added.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import j1

from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.second_look.focal_moments import TextureMatch
from lee.reconstruction.second_look.preference import first_share
from lee.reconstruction.second_look.window_choice import choose_windows, measured_only
from lee.stacks.stack import ZStack

PIXEL_UM = 0.25
# The layers are blurred as if the field went on beyond its edge with the opposite side.
INSIDE = np.s_[12:-12, 12:-12]
ONCE = ReconstructParams(second_look=False, drift=False)
TWICE = replace(ONCE, second_look=True)


def noise_of(shape, sd, rng):
    field = gaussian_filter(rng.normal(size=shape), sd, mode="wrap")
    return field / field.std()


def transfer(frequency, away_um, disk):
    """Contrast of a frequency, cycles/px, at a distance from the focus: NA 0.5 in water."""
    q = 2 * np.pi * frequency / PIXEL_UM
    radius = 0.406 * abs(away_um)
    sharp = np.exp(-0.5 * (0.23 * q) ** 2)
    if disk:
        a = np.maximum(radius * q, 1e-6)
        return sharp * 2 * j1(a) / a
    return sharp * np.exp(-0.5 * (0.6 * radius * q) ** 2)


def scan_of(heights, texture, *, snr, disk=False, step_um=0.2, seed=1, layer_um=0.2):
    """Frames (Z, H, W), uint8, and their heights."""
    low = heights.min()
    layers = np.arange(low, heights.max() + layer_um, layer_um)
    grey = np.maximum(1 + 0.3 * texture, 0.02)
    parts = [np.fft.rfft2(grey * np.clip(1 - np.abs(heights - z) / layer_um, 0, 1)) for z in layers]
    shape = heights.shape
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    focus = np.fft.irfft2(np.fft.rfft2(grey) * transfer(frequency, 0, disk), shape).std()
    z = np.arange(low - 4, heights.max() + 4, step_um)
    rng = np.random.default_rng(seed)
    frames = []
    for at in z:
        light = sum(
            part * transfer(frequency, at - layer, disk) for part, layer in zip(parts, layers, strict=True)
        )
        frames.append(np.fft.irfft2(light, shape) + focus / snr * rng.normal(size=shape))
    return np.clip(np.round(110 * np.array(frames)), 0, 255).astype(np.uint8), z


def looked(frames, z, params):
    return reconstruct(ZStack.from_array(frames, z, PIXEL_UM), params=params)


def rms(surface, heights):
    error = (surface.height_um - heights)[INSIDE]
    return float(np.sqrt(np.nanmean(error**2)))


def relief(kind, shape, rng):
    y, x = np.mgrid[: shape[0], : shape[1]] * PIXEL_UM
    if kind == "gentle":
        return 0.6 * noise_of(shape, 20, rng)
    if kind == "waves":
        return 1.2 * np.sin(2 * np.pi * x / 14) * np.sin(2 * np.pi * y / 18)
    if kind == "rock":
        return 1.5 * noise_of(shape, 14, rng) + 0.3 * noise_of(shape, 5, rng)
    return 0.02 * noise_of(shape, 30, rng)


# Kind of relief, grain of the texture (px), signal over noise, disk or Gaussian, and at most how much of the
# first look's error is left.
SCANS = [
    ("gentle", 0.7, 8.0, False, 0.6),
    ("gentle", 1.2, 2.0, True, 0.75),
    pytest.param("waves", 1.2, 6.0, True, 0.75, marks=pytest.mark.slow),
    ("rock", 1.5, 6.0, False, 0.85),
    pytest.param("plane", 1.2, 3.0, False, 0.8, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "grain_px", "snr", "disk", "most"), SCANS)
def test_the_error_falls_and_sigma_follows(kind, grain_px, snr, disk, most):
    rng = np.random.default_rng(7)
    shape = (144, 144)
    heights, texture = relief(kind, shape, rng), noise_of(shape, grain_px, rng)
    frames, z = scan_of(heights, texture, snr=snr, disk=disk)
    once, twice = looked(frames, z, ONCE), looked(frames, z, TWICE)
    assert rms(twice, heights) < most * rms(once, heights)
    share = np.abs(twice.height_um - heights)[INSIDE] / twice.height_sigma_um[INSIDE]
    share = share[np.isfinite(share)]
    assert 0.5 < np.mean(share < 1) < 0.96
    assert np.mean(share < 3) > 0.95
    assert not (twice.valid & ~once.valid).any()
    assert np.mean(once.valid & ~twice.valid) < 0.01
    np.testing.assert_array_equal(twice.refocused, once.refocused)


def test_beside_steps_the_first_look_is_kept():
    """Light from the other side of a step is foreign texture, which the first look bears better."""
    rng = np.random.default_rng(11)
    shape = (144, 144)
    heights = gaussian_filter(2.0 * np.round(1.3 * noise_of(shape, 16, rng)), 0.7, mode="wrap")
    frames, z = scan_of(heights, noise_of(shape, 1.2, rng), snr=5.0)
    once, twice = looked(frames, z, ONCE), looked(frames, z, TWICE)
    assert rms(twice, heights) < 1.06 * rms(once, heights)


def test_the_better_look_is_preferred():
    valid = np.ones((60, 80), bool)
    valid[:, 30:34] = False
    first, second = np.full(valid.shape, 0.1, np.float32), np.full(valid.shape, 0.1, np.float32)
    second[:, 40:] = 0.3
    first[~valid] = second[~valid] = np.nan
    share = first_share(first, second, valid)
    assert np.isfinite(share).all()
    assert (share[:, :10] < 0.2).all()
    assert (share[:, 70:] > 0.99).all()


def test_a_flat_texture_is_measured_close_to_the_noise_limit():
    """The limit of a window of N pixels is 1.26 √(w·dz/N)/SNR; on a plane a window may be as large as any."""
    rng = np.random.default_rng(3)
    shape = (144, 144)
    heights = relief("plane", shape, rng)
    frames, z = scan_of(heights, noise_of(shape, 0.8, rng), snr=3.0)
    surface = looked(frames, z, TWICE)
    width = surface.provenance.depth_of_field.um / 2.355
    of_finest_window = 1.26 * np.sqrt(width * 0.2 / 25) / 3.0
    assert rms(surface, heights) < 0.4 * of_finest_window


def test_steps_uneven_in_z_and_a_scan_that_falls_are_the_same_surface():
    rng = np.random.default_rng(5)
    shape = (112, 128)
    heights, texture = relief("gentle", shape, rng), noise_of(shape, 1.0, rng)
    frames, z = scan_of(heights, texture, snr=6.0, step_um=0.1)
    chosen = np.sort(rng.choice(len(z), len(z) // 2, replace=False))
    even, uneven = looked(frames[::2], z[::2], TWICE), looked(frames[chosen], z[chosen], TWICE)
    falling = looked(frames[::-2], z[::-2], TWICE)
    assert rms(falling, heights) < 1.2 * rms(even, heights)
    assert rms(uneven, heights) < 1.6 * rms(even, heights)
    assert rms(uneven, heights) < rms(looked(frames[chosen], z[chosen], ONCE), heights)


def test_frames_that_drift_are_followed():
    rng = np.random.default_rng(6)
    shape = (160, 176)
    heights, texture = relief("gentle", shape, rng), noise_of(shape, 1.5, rng)
    frames, z = scan_of(heights, texture, snr=8.0)
    shifts = np.linspace(0, 5, len(z)).round().astype(int)
    moved = np.stack([np.roll(frame, k, axis=1) for frame, k in zip(frames, shifts, strict=True)])
    left = (looked(moved, z, replace(TWICE, drift=True)).height_um - heights)[INSIDE]
    first = (looked(moved, z, replace(ONCE, drift=True)).height_um - heights)[INSIDE]
    assert np.sqrt(np.nanmean(left**2)) < 0.8 * np.sqrt(np.nanmean(first**2))


def test_what_the_first_look_did_not_measure_stays_so():
    rng = np.random.default_rng(8)
    shape = (128, 128)
    texture = noise_of(shape, 1.0, rng)
    texture[40:90, 40:90] = 0
    heights = relief("gentle", shape, rng)
    frames, z = scan_of(heights, texture, snr=6.0)
    once, twice = looked(frames, z, ONCE), looked(frames, z, TWICE)
    assert not once.valid[50:80, 50:80].all()
    assert not (twice.valid & ~once.valid).any()
    assert np.mean(once.valid & ~twice.valid) < 0.01
    np.testing.assert_array_equal(np.isnan(twice.height_um), ~twice.valid)
    np.testing.assert_array_equal(np.isnan(twice.height_sigma_um), ~twice.valid)
    assert np.isfinite(twice.height_filled_um).all()


@pytest.mark.parametrize("shape", [(3, 5), (17, 9), (33, 70)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_small_and_odd_frames_of_every_type(shape, dtype):
    rng = np.random.default_rng(2)
    frames, z = scan_of(np.zeros(shape), noise_of(shape, 0.8, rng), snr=8.0)
    surface = looked(frames.astype(dtype), z, TWICE)
    assert surface.height_um.shape == surface.height_sigma_um.shape == shape
    assert surface.height_um.dtype == surface.height_sigma_um.dtype == np.float32
    assert (surface.height_sigma_um[surface.valid] > 0).all()


def test_the_result_does_not_depend_on_threads():
    rng = np.random.default_rng(4)
    shape = (80, 300)
    frames, z = scan_of(relief("rock", shape, rng), noise_of(shape, 1.0, rng), snr=5.0)
    one, many = (looked(frames, z, replace(TWICE, threads=threads)) for threads in (1, 4))
    np.testing.assert_array_equal(one.height_um, many.height_um)
    np.testing.assert_array_equal(one.height_sigma_um, many.height_sigma_um)


def test_it_is_recorded_and_left_out_where_steps_are_too_wide():
    rng = np.random.default_rng(1)
    shape = (96, 96)
    frames, z = scan_of(relief("gentle", shape, rng), noise_of(shape, 1.0, rng), snr=8.0)
    twice = looked(frames, z, TWICE)
    assert twice.provenance.second_look
    assert twice.metadata["second_look"] is True
    assert twice.metadata["parameters"]["second_look"] is True
    once = looked(frames, z, ONCE)
    assert not once.provenance.second_look
    assert "second_look" not in once.metadata
    wide = replace(TWICE, depth_of_field_um=2.0)
    assert not looked(frames[::8], z[::8], wide).provenance.second_look


def test_a_few_measured_pixels_leave_numbers_everywhere():
    """Cells without any texture weigh nothing; the inverse of their weight squared must not overflow."""
    rng = np.random.default_rng(9)
    shape = (64, 96)
    valid = np.zeros(shape, bool)
    valid[rng.integers(0, 64, 5), rng.integers(0, 96, 5)] = True
    planes = [
        rng.uniform(0.5, 2, (3, shape[0] // side, shape[1] // side)).astype(np.float32) for side in (1, 2)
    ]
    matches = [TextureMatch(side, *of) for side, of in zip((1, 2), planes, strict=True)]
    first = rng.normal(size=shape).astype(np.float32)
    refined = choose_windows(
        first,
        np.where(valid, np.float32(0.01), np.float32(np.inf)),
        measured_only(valid, matches),
        shape=shape,
        width_um=1.5,
        finest_px=1.4,
    )
    assert all(np.isfinite(of).all() for of in vars(refined).values())
