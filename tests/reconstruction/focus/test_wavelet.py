"""The wavelets search like the variance: streamed or whole, with artefact masks, recovery and uncertainty."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import gentle, render_scan, rugged
from lee.errors import InputError
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.refocuser import Refocuser
from lee.stacks.stack import ZStack

SHAPE, PIXEL_UM = (208, 224), 0.25
INSIDE = np.s_[16:-16, 16:-16]
WAVELET = ReconstructParams(focus="wavelet", drift=False, depth_of_field_um=3.4)


def surface_of(scan, params=WAVELET):
    return reconstruct(ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um), params=params)


@pytest.fixture(scope="module")
def scan():
    return render_scan(gentle(SHAPE, PIXEL_UM, 3), seed=1)


@pytest.mark.parametrize("scene", [gentle, rugged])
def test_two_thirds_of_the_heights_lie_within_one_sigma(scene):
    scan = render_scan(scene(SHAPE, PIXEL_UM, 8), seed=1)
    surface = surface_of(scan)
    error, sigma = (surface.height_um - scan.truth_um)[INSIDE], surface.height_sigma_um[INSIDE]
    known = np.isfinite(error)
    assert 0.58 < np.mean(np.abs(error[known]) < sigma[known]) < 0.8
    assert np.mean(np.abs(error[known]) < 3 * sigma[known]) > 0.95


@pytest.mark.slow
def test_a_bubble_is_masked_and_filled_from_its_surroundings():
    scan = render_scan(gentle((256, 256), 0.25, 4).with_bubbles(1, 6, (7.0, 8.0)), seed=1)
    surface = surface_of(scan, ReconstructParams(focus="wavelet", drift=False))
    far = ~ndimage.binary_dilation(scan.touched, iterations=30)
    assert surface.valid[far].mean() > 0.98
    wrong = np.abs(surface.height_um - scan.truth_um) > 1.5
    assert wrong[scan.touched].mean() < 0.05
    assert (~surface.valid[scan.touched]).mean() > 0.5
    assert surface.metadata["not_measured_px"]["occluded"] > 0
    assert np.abs(surface.height_filled_um - scan.truth_um)[scan.touched].mean() < 1.0


def test_streamed_equals_whole(scan):
    whole = surface_of(scan, replace(WAVELET, second_look=False))
    streamed = Refocuser(SHAPE, pixel_um=PIXEL_UM, params=WAVELET)
    assert np.isnan(streamed.preview()).all()
    for frame, z in zip(scan.frames, scan.z_um, strict=True):
        streamed.push(frame, z)
    assert np.nanmedian(np.abs(streamed.preview() - scan.truth_um)[INSIDE]) < 0.4
    result = streamed.finish()
    for name in ("height_um", "height_filled_um", "height_sigma_um", "valid", "refocused"):
        np.testing.assert_array_equal(getattr(result, name), getattr(whole, name))
    assert 100 < streamed.state_bytes_per_pixel < 250


def test_texture_that_is_noise_alone_is_not_measured():
    rng = np.random.default_rng(0)
    frames = (100 + 3 * rng.standard_normal((60, 64, 64))).astype(np.uint8)
    surface = reconstruct(ZStack.from_array(frames, np.arange(60) * 0.5, 0.25), params=WAVELET)
    assert surface.coverage < 0.02


@pytest.mark.slow
def test_drift_is_corrected():
    scene = rugged(SHAPE, PIXEL_UM, 4, relief_um=8.0)
    moved = render_scan(scene, drift_px=(8.0, -3.0), seed=1)
    truth = moved.truth_seen_in(0)

    def wrong(drift):
        surface = surface_of(moved, ReconstructParams(focus="wavelet", drift=drift))
        return np.nanmean(np.abs(surface.height_um - truth)[INSIDE] > 0.6)

    assert wrong(True) < 0.5 * wrong(False)


def test_z_that_turns_back_is_refused():
    streamed = Refocuser(
        (8, 9), pixel_um=0.25, params=ReconstructParams("wavelet", reject_frames=False, drift=False)
    )
    for z in (1.0, 2.0):
        streamed.push(np.zeros((8, 9), np.uint8), z)
    with pytest.raises(InputError, match=r"z_um goes from 2\.0+ to 1\.50+; it must rise or fall"):
        streamed.push(np.zeros((8, 9), np.uint8), 1.5)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_short_scans(count):
    rng = np.random.default_rng(1)
    sharp = rng.normal(100, 20, (40, 48))
    frames = np.stack([ndimage.gaussian_filter(sharp, 0.6 + abs(k - count // 2)) for k in range(count)])
    stack = ZStack.from_array(frames.astype(np.float32), np.arange(count), 0.25)
    surface = reconstruct(stack, params=ReconstructParams("wavelet", drift=False, depth_of_field_um=2.0))
    assert surface.refocused.shape == (40, 48)
    if count == 7:
        assert np.abs(np.nanmedian(surface.height_um) - count // 2) < 0.2
