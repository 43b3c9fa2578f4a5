"""The streaming refocuser's kernel against its definition, and what it promises."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lee import _core
from tests.reference import refocuser as reference
from tests.support.refocuser_scans import (
    DEPTH_UM,
    TYPES,
    contrasts,
    core_of,
    drift_of,
    of_backend,
    of_the_processor_alone,
    pushed,
    scan_of,
)


@pytest.fixture(autouse=True, scope="module")
def _every_backend(backend):
    with of_backend(backend.name):
        yield


def assert_equals_definition(
    frames, z, drift=None, *, window=(5, 5), detail_px=5, saturation=np.inf, threads=1
):
    """Codes, counts and brightness bit for bit, heights to a nanometre where rounding does not decide it.

    Return the share of the largest maxima where it does.
    """
    core = pushed(
        frames, z, drift, window=window, detail_px=detail_px, saturation=saturation, threads=threads
    )
    want = reference.refocus(
        frames, z, drift, depth_um=DEPTH_UM, window=window, detail_px=detail_px, saturation=saturation
    )
    assert core.levels == len(want.levels)
    maxima = uncertain = 0
    for k, level in enumerate(want.levels):
        height, peak, width = core.peaks(k)
        np.testing.assert_array_equal(peak, reference.decode(level.peak))
        np.testing.assert_array_equal(np.isnan(height), np.isnan(level.z_um))
        sure, found = level.certain & (level.peak > 0), level.peak > 0
        np.testing.assert_allclose(height[sure], level.z_um[sure], atol=1e-3, rtol=1e-6)
        curvature = level.curvature[sure]
        np.testing.assert_array_equal(np.isnan(width[sure]), curvature == 0)
        fitted = curvature > 0
        # Eight bits of mantissa: half a step of them on the curvature is a quarter of a percent on its root.
        np.testing.assert_allclose(width[sure][fitted], curvature[fitted] ** -0.5, rtol=4e-3)
        maxima, uncertain = maxima + found[0].sum(), uncertain + (found & ~level.certain)[0].sum()
    np.testing.assert_array_equal(core.counts(), want.levels[0].counts)
    z_um, *recorded = core.record()
    np.testing.assert_allclose(z_um, [want.groups[g].z_um for g in want.recorded], rtol=1e-12)
    for got, expected in zip(recorded, (want.brightness, want.focus, want.saturated), strict=True):
        np.testing.assert_array_equal(got, expected)
    return uncertain / max(maxima, 1)


@st.composite
def scans(draw):
    """Scans of few grey levels, for ties, in any direction and spacing, with any drift, window and holes."""
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 40)))
    count = draw(st.integers(1, 14))
    dtype = draw(st.sampled_from(TYPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = rng.integers(0, draw(st.sampled_from([1, 2, 4, 200])), (count, *shape)).astype(dtype)
    if dtype == np.float32:
        frames[rng.random(frames.shape) < draw(st.sampled_from([0.0, 0.02]))] = np.nan
    z = np.cumsum(rng.uniform(*draw(st.sampled_from([(0.05, 0.3), (0.7, 0.8), (0.05, 3.0)])), count))
    z = draw(st.sampled_from([z, -z, z - 50.0]))
    drift = drift_of(count, draw(st.sampled_from(["none", "whole", "fractional"])), draw(st.integers(0, 99)))
    return frames, z, drift


@given(
    scan=scans(),
    window=st.sampled_from([(5, 5), (3, 3), (3, 9), (7, 5)]),
    detail_px=st.sampled_from([3, 5, 7]),
    threads=st.sampled_from([1, 2]),
)
@settings(max_examples=120, deadline=None)
def test_equals_its_definition(scan, window, detail_px, threads):
    assert_equals_definition(*scan, window=window, detail_px=detail_px, saturation=3, threads=threads)


# On, below and above the tiles of 64 by 256 pixels, and halves of them.
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(63, 255), (64, 256), (65, 257), (66, 259), (129, 70), (2, 515)])
def test_tiles_leave_no_seam(shape, dtype):
    frames, z = scan_of(shape, 9, dtype)
    drift = drift_of(9, "fractional", shape[0])
    assert_equals_definition(frames, z, drift, saturation=150, threads=2)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("noise", [0.0, 1.0, 10.0])
def test_curves_of_a_textured_plane_leave_little_to_rounding(noise, sign):
    frames, z = scan_of((80, 90), 40, np.uint16, noise=noise)
    assert assert_equals_definition(frames, sign * z) < 1e-3


def test_a_group_holds_256_frames_at_most():
    frames = np.random.default_rng(1).integers(200, 256, (600, 6, 7)).astype(np.uint8)
    assert_equals_definition(frames, 1e-4 * np.arange(600))


@pytest.mark.parametrize("dtype", TYPES)
def test_frames_of_one_brightness_have_no_focus(dtype):
    core = pushed(np.full((12, 20, 30), 7, dtype), 0.7 * np.arange(12))
    height, sigma, sharp = core.finish()
    assert np.isnan(height).all()
    assert np.isnan(sigma).all()
    assert (sharp == 7).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_groups_have_no_maximum(count):
    """Of three groups the middle one's energy is the mean of the others', which never exceeds both."""
    frames = contrasts((10, 30, 5)[:count])
    height, _, sharp = pushed(frames, np.arange(1.0, 1.0 + count)).finish()
    assert np.isnan(height).all()
    np.testing.assert_array_equal(sharp, frames[0].astype(np.float32))


def test_four_groups_have_one_between_the_middle_two():
    frames = contrasts((5, 30, 31, 4))
    z_um = pushed(frames, [1.0, 2.0, 3.0, 4.0]).peaks(0)[0][0]
    assert ((z_um > 1.9) & (z_um < 3.1)).mean() > 0.9


def test_where_two_groups_tie_the_first_wins():
    rng = np.random.default_rng(2)
    sharp, blurred = rng.integers(0, 256, (2, 20, 30)).astype(np.uint8)
    blurred = (128 + blurred // 16).astype(np.uint8)
    frames = [blurred, blurred, sharp, sharp, blurred, blurred]
    z, peak, _ = pushed(frames, np.arange(6.0)).peaks(0)
    assert (peak[0] > 0).all()
    # Both neighbours lend the middle its energy, so the two sharp groups are alike, and the fit halfway.
    np.testing.assert_allclose(z[0], 2.5, atol=0.01)


def test_nan_pixels_lend_no_focus_and_spread_no_farther_than_their_windows():
    frames, z = scan_of((40, 60), 12, np.float32, uneven=False)
    holed = frames.copy()
    holed[1:, 20, 30] = np.nan  # the first one sets the dark level
    whole, with_hole = pushed(frames, z).peaks(0)[0], pushed(holed, z).peaks(0)[0]
    away = np.ones((40, 60), bool)
    away[15:26, 25:36] = False  # detail reaches two pixels, its gradient one more, the window two
    np.testing.assert_array_equal(with_hole[:, away], whole[:, away])
    assert (pushed(holed, z).peaks(0)[1][0, 20, 30]) < (pushed(frames, z).peaks(0)[1][0, 20, 30])


def test_noise_is_what_differs_between_neighbours():
    rng = np.random.default_rng(3)
    frames = (100 + 3 * rng.normal(size=(12, 62, 200))).astype(np.float32)
    core = core_of((62, 200))
    assert np.isnan(core.noise)
    for k, frame in enumerate(frames):
        core.push(frame, 0.7 * k)
    core.close()
    want = reference.refocus(frames, 0.7 * np.arange(12), depth_um=DEPTH_UM)
    assert core.noise == pytest.approx(want.tile_noise[0] * 12 / 64, rel=1e-5)
    # 9 counts squared over 100 counts, about a mean of 25 pixels; the least of a dozen estimates, each +-3 %.
    assert core.noise == pytest.approx(0.09 * 24 / 25 / 1.01 * 12 / 64, rel=0.15)


def test_noise_is_distinguished_from_texture_that_is_in_focus_all_over():
    frames, _ = scan_of((62, 200), 20, np.float32, noise=0.0, uneven=False)
    noise = 3 * np.random.default_rng(3).normal(size=frames.shape).astype(np.float32)
    core = pushed(frames + noise, 0.7 * np.arange(20))
    assert core.noise == pytest.approx(0.09 * 24 / 25 / 1.01 * 12 / 64, rel=0.25)


@pytest.mark.parametrize("rows", [3, 26])
def test_noise_does_not_hang_on_the_rows_of_the_last_tile(rows):
    frames = (100 + 3 * np.random.default_rng(3).normal(size=(12, rows, 2000))).astype(np.float32)
    core = pushed(frames, 0.7 * np.arange(12))
    assert core.noise == pytest.approx(0.09 * 24 / 25 / 1.01 * 12 / 64, rel=0.15)


def test_drift_taken_back_leaves_the_inside_as_it_was():
    frames, _ = scan_of((60, 80), 16, np.uint8, noise=0.0)
    moved = [np.roll(frame, (k // 3, -k // 4), (0, 1)) for k, frame in enumerate(frames)]
    drift = [(k // 3, -k // 4) for k in range(16)]
    # Frames of a group share its first frame's whole shift: one frame a group keeps all of them whole.
    spread = 0.8 * np.arange(16)
    back, still = pushed(moved, spread, drift).peaks(0)[0], pushed(frames, spread).peaks(0)[0]
    inside = np.s_[:, 12:-12, 12:-12]
    np.testing.assert_array_equal(back[inside], still[inside])


def test_preview_is_there_at_any_time_and_ends_as_the_second_level():
    frames, z = scan_of((50, 61), 20)
    core = core_of((50, 61))
    assert np.isnan(core.preview()).all()
    seen = []
    for frame, height in zip(frames, z, strict=True):
        core.push(frame, height)
        seen.append(np.isfinite(core.preview()).mean())
    core.close()
    assert seen[0] == 0.0
    assert np.all(np.diff(seen) >= 0)
    second = core.peaks(1)[0][0]
    rows, columns = np.minimum(np.arange(50) // 2, 24), np.minimum(np.arange(61) // 2, 29)
    np.testing.assert_array_equal(core.preview(), second[rows][:, columns])


@pytest.mark.parametrize("dtype", TYPES)
def test_memory_is_bounded_and_does_not_grow(dtype):
    frames, z = scan_of((128, 160), 40, dtype)
    core = core_of((128, 160))
    held = []
    for frame, height in zip(frames, z, strict=True):
        core.push(frame, height)
        held.append(core.state_bytes_per_pixel)
    core.finish()
    # The record of what cells showed grows with the groups, up to 128.
    assert max(held) == held[-1] <= held[0] + 128 / 16
    assert held[0] + 128 / 16 <= 80
    assert core.frames == 40


def everything(core):
    result = core.finish()
    peaks = [plane for level in range(core.levels) for plane in core.peaks(level)]
    return [*result, *peaks, core.counts(), *core.record(), np.float32(core.noise)]


@pytest.mark.parametrize("dtype", TYPES)
def test_threads_do_not_change_the_result(dtype):
    of_the_processor_alone()
    frames, z = scan_of((150, 530), 12, dtype)
    drift = drift_of(12, "fractional")
    one = everything(pushed(frames, z, drift, threads=1))
    for threads in (2, 5):
        for got, expected in zip(everything(pushed(frames, z, drift, threads=threads)), one, strict=True):
            np.testing.assert_array_equal(got, expected)


_FINGERPRINT = """
import hashlib, numpy as np
from lee import _core
from tests.kernels.test_refocuser import everything
from tests.support.refocuser_scans import TYPES, drift_of, pushed, scan_of
digest = hashlib.sha256()
for dtype in TYPES:
    frames, z = scan_of((71, 333), 14, dtype)
    for plane in everything(pushed(frames, z, drift_of(14, "fractional"), threads=2)):
        digest.update(np.ascontiguousarray(plane).tobytes())
print(_core.instruction_set(), digest.hexdigest())
"""


def test_instruction_sets_agree_bit_for_bit():
    of_the_processor_alone()
    sets = ["plain", "avx2", "avx512"]
    supported = sets[: sets.index(_core.instruction_set()) + 1]
    prints = [
        subprocess.run(
            [sys.executable, "-c", _FINGERPRINT],
            env={**os.environ, "LEE_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        for isa in supported
    ]
    assert [done.stdout.split()[:1] for done in prints] == [[isa] for isa in supported], prints[-1].stderr
    assert len({done.stdout.split()[1] for done in prints}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (4, 5)}, "refocuser: window_y_px is 4; give an odd number from 3 to 63"),
        ({"window": (5, 65)}, "refocuser: window_x_px is 65; give an odd number from 3 to 63"),
        ({"detail_px": 1}, "refocuser: detail_px is 1; give an odd number from 3 to 63"),
        ({"depth_um": 0.0}, "refocuser: depth_of_field_um is 0.000000; give a length above 0"),
        ({"depth_um": float("nan")}, "refocuser: depth_of_field_um is nan"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        core_of((8, 9), **options)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_frames_without_pixels_are_refused(shape):
    with pytest.raises(ValueError, match=r"refocuser: the frame shape is .*; both must be at least 1"):
        core_of(shape)


@pytest.mark.parametrize(
    ("frame", "at", "message"),
    [
        (np.zeros((8, 8), np.uint8), (3.0,), r"frame is \(8, 8\) but the refocuser was made for \(8, 9\)"),
        (np.zeros((8, 9), np.uint8), (np.nan,), "z_um is not finite"),
        (np.zeros((8, 9), np.uint8), (2.0,), "z_um goes from 2.000000 to 2.000000; it must rise or fall"),
        (np.zeros((8, 9), np.uint8), (1.5,), "z_um goes from 2.000000 to 1.500000"),
        (
            np.zeros((8, 9), np.uint8),
            (3.0, np.nan, 0.0),
            "the drift is not finite, or beyond a million",
        ),
        (np.zeros((8, 9), np.uint8), (3.0, 0.0, -2e6), "the drift is not finite, or beyond a million"),
        (np.zeros((8, 9), np.uint16), (3.0,), "frames of 8 bits and others cannot be mixed"),
    ],
)
def test_bad_frames_are_refused_and_change_nothing(frame, at, message):
    frames, _ = scan_of((8, 9), 6)
    core = core_of((8, 9))
    for z, one in zip((1.0, 2.0), frames, strict=False):
        core.push(one, z)
    with pytest.raises(ValueError, match=message):
        core.push(frame, *at)
    assert core.frames == 2
    for z, one in enumerate(frames[2:], start=3):
        core.push(one, float(z))
    untouched = pushed(frames, np.arange(1.0, 7.0))
    for got, expected in zip(everything(core), everything(untouched), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_core_takes_only_what_it_is_made_for():
    core = core_of((8, 9))
    for frame in (np.zeros((8, 9)), np.zeros((8, 18), np.uint8)[:, ::2], [[0]]):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            core.push(frame, 0.0)
    with pytest.raises(ValueError, match="frame has 3 dimensions, not 2"):
        core.push(np.zeros((1, 8, 9), np.uint8), 0.0)


def test_a_finished_scan_takes_no_frame():
    frames, z = scan_of((8, 9), 4)
    core = pushed(frames, z)
    first = core.finish()
    with pytest.raises(ValueError, match="the scan has been closed; start a new refocuser for the next one"):
        core.push(frames[0], 99.0)
    for got, expected in zip(core.finish(), first, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_level_beyond_the_last_is_refused():
    core = core_of((8, 9))
    assert core.levels == 1
    with pytest.raises(IndexError, match="1"):
        core.peaks(1)
