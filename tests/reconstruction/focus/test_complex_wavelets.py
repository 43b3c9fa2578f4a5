"""Focus from complex wavelets: the transform's own laws, heights of a rendered scan, memory, bad input."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import render_scan
from lee.devices.virtual.scene.scene import gentle
from lee.errors import InputError
from lee.reconstruction.focus import complex_wavelets as wavelets
from lee.reconstruction.focus.complex_wavelets import wavelet_focus, wavelet_heights
from lee.reconstruction.focus.peak_tracker import PeakTracker


@pytest.fixture(scope="module")
def scan():
    scene = gentle((120, 140), 0.25, seed=3)
    return render_scan(scene, z_um=scene.z_range(0.2), seed=1)


def texture(shape=(60, 70), seed=0):
    return 100 + 10 * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_filters_are_the_symmetric_daubechies_of_six_taps():
    low, high = wavelets.LOW_PASS, wavelets.HIGH_PASS
    for shift in (0, 2, 4):
        n = 6 - shift
        assert np.vdot(low[shift:], low[:n]) == pytest.approx(float(shift == 0), abs=1e-12)
        assert np.vdot(high[shift:], high[:n]) == pytest.approx(float(shift == 0), abs=1e-12)
        assert np.vdot(high[shift:], low[:n]) == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(low, low[::-1])
    # Three moments vanish: quadratic shading gives no detail.
    assert low.sum() == pytest.approx(np.sqrt(2))
    for power in range(3):
        assert (high * np.arange(6.0) ** power).sum() == pytest.approx(0, abs=1e-10)


def test_the_transform_keeps_the_energy():
    image = texture((64, 64))
    low, high = wavelets._along(image, 0)
    parts = [*wavelets._along(low, 1), *wavelets._along(high, 1)]
    assert sum((np.abs(part) ** 2).sum() for part in parts) == pytest.approx((image**2).sum(), rel=1e-5)


def test_focus_falls_with_blur_and_stands_where_the_texture_is():
    sharp = texture()
    focus = [np.median(wavelet_focus(ndimage.gaussian_filter(sharp, s))) for s in (0.0, 0.7, 1.5, 3.0)]
    assert all(b < 0.6 * a for a, b in pairwise(focus))
    half = sharp.copy()
    half[:, 35:] = 100
    found = wavelet_focus(half)
    assert found[:, 50:].max() < 1e-3 * np.median(found[:, :25])


def test_scaling_counts_scales_focus_and_smooth_shading_gives_none():
    frame = texture()
    np.testing.assert_allclose(wavelet_focus(3 * frame), 3 * wavelet_focus(frame), rtol=1e-4)
    y, x = np.mgrid[:60, :70].astype(np.float32)
    assert wavelet_focus(100 + 0.5 * x + 0.01 * y**2)[12:-12, 12:-12].max() < 1e-4
    assert wavelet_focus(np.full((9, 5), 80, np.uint8)).max() < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (17, 23), (64, 64)])
def test_any_shape(shape):
    focus = wavelet_focus(texture(shape))
    assert focus.shape == shape
    assert focus.dtype == np.float32
    assert np.isfinite(focus).all()


def test_gaps_have_no_focus_and_do_not_reach_far():
    frame = texture()
    whole = wavelet_focus(frame)
    frame[20, 20] = np.nan
    focus = wavelet_focus(frame)
    assert np.isnan(focus[20, 20])
    np.testing.assert_allclose(focus[40:, 40:], whole[40:, 40:], rtol=1e-4)


def test_heights_of_a_rendered_scan(scan):
    got = wavelet_heights(scan.frames, scan.z_um, reach=6)
    error = got.height_um - scan.truth_um
    known = np.isfinite(error)
    assert known.mean() > 0.97
    assert np.sqrt(np.mean(error[known] ** 2)) < 0.15
    assert (got.sigma_um[known] >= 0).all()
    np.testing.assert_array_equal(np.isfinite(got.sigma_um), known)
    # Of the planes of the scan, the chosen one is where the counts come from.
    assert (got.sharp[..., None] == np.moveaxis(scan.frames, 0, -1)).any(axis=-1).all()


def test_uneven_and_falling_heights_give_the_same_surface(scan):
    keep = np.random.default_rng(0).random(len(scan.z_um)) < 0.8
    frames, z_um = scan.frames[keep], scan.z_um[keep]
    rising = wavelet_heights(frames, z_um, reach=5)
    falling = wavelet_heights(frames[::-1], z_um[::-1], reach=5)
    error = rising.height_um - scan.truth_um
    assert np.sqrt(np.nanmean(error**2)) < 0.2
    both = np.isfinite(rising.height_um) & np.isfinite(falling.height_um)
    assert both.mean() > 0.95
    assert np.abs(rising.height_um - falling.height_um)[both].max() < 1e-3


def test_what_subbands_or_neighbours_contradict_is_not_measured(scan):
    tracker, votes = PeakTracker(scan.truth_um.shape, 3), wavelets.SubbandVotes()
    for frame in scan.frames.astype(np.float32):
        votes.take(wavelets.subband_energies(frame)[0])
        tracker.push(wavelet_focus(frame), frame)
    tracker.finish()
    plane = tracker.plane[0]
    assert votes.agree(plane, 3).mean() > 0.97
    plane[20, 30] += 12  # its neighbours contradict
    plane[60:80, 60:80] += 12  # neighbours agree, but no subband does
    agrees = votes.agree(plane, 3)
    assert not agrees[20, 30]
    assert not agrees[60:80, 60:80].any()
    assert agrees[:18].mean() > 0.97


def test_memory_does_not_grow_with_the_scan():
    frame = texture((128, 128))

    def peak(count):
        tracemalloc.start()
        wavelet_heights((frame + k for k in range(count)), np.arange(float(count)))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(48) < 1.1 * peak(16)


@pytest.mark.parametrize(
    ("frames", "z_um", "message"),
    [
        (
            np.zeros((3, 8, 8)),
            [0, 1],
            "wavelet: more than 2 frames but 2 heights; give a height for each frame",
        ),
        (np.zeros((1, 8, 8)), [0, 1], "wavelet: 1 frames but 2 heights"),
        (np.zeros((2, 8, 8)), [1, 1], "wavelet: z_um is not a strictly rising or falling list of heights"),
        (np.zeros((2, 8, 8)), [0, np.nan], "wavelet: z_um is not a strictly rising or falling list"),
        ([np.zeros((8, 8)), np.zeros((8, 9))], [0, 1], r"wavelet: frame 1 is \(8, 9\), the first \(8, 8\)"),
        (
            np.zeros((2, 8)),
            [0, 1],
            r"wavelet: a frame of float64 with shape \(8,\); give a grey one, \(H, W\)",
        ),
    ],
)
def test_bad_input_is_refused(frames, z_um, message):
    with pytest.raises(InputError, match=message):
        wavelet_heights(frames, z_um)
    with pytest.raises(InputError, match="wavelet: reach is 0; give a number of planes >= 1"):
        wavelet_heights(np.zeros((2, 8, 8)), [0, 1], reach=0)
