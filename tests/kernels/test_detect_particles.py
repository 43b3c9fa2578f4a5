"""Particles between two frames, against definitions and against the truth.

What noise, texture and crowds do is in test_detect_particles_statistics.py, what is refused in
test_detect_particles_bad_input.py.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lee
from bench.scenes.spot_fields import drawn, frames, matched
from lee.errors import InputError
from lee.kernels.detect_particles import FLAG_BITS, DetectedParticles
from tests.reference import detect_particles as reference

SIGMA_PX = 1.4
ARRAYS = DetectedParticles._fields[:9]
# Next to no false particles, so that those found can be counted.
SURE = {"spot_sigma_px": SIGMA_PX, "false_alarms": 1e-3}


def detect(backend, before, after, *, axial=None, **options):
    """Run where the backend's kernels do; arrays come back as NumPy's."""
    before, after = (np.ascontiguousarray(frame) for frame in (before, after))
    change = None if axial is None else backend.array(np.ascontiguousarray(axial, np.float32))
    found = lee.detect_particles(backend.array(before), backend.array(after), axial=change, **options)
    return found._replace(**{name: backend.numpy(getattr(found, name)) for name in ARRAYS})


def places(found):
    return np.stack([found.y_px, found.x_px], axis=1).astype(np.float64)


def values(found, k):
    """y, x and peak of one particle, and their standard deviations."""
    of = np.array([found.y_px[k], found.x_px[k], found.peak[k]])
    return of, np.array([found.y_sigma_px[k], found.x_sigma_px[k], found.peak_sigma[k]])


def assert_equal(one, other, rtol=0.0):
    for name in DetectedParticles._fields:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, err_msg=name)


def assert_sorted(found):
    np.testing.assert_array_equal(np.lexsort((found.x_px, found.y_px)), np.arange(len(found.snr)))


# --- which pixels take part ---

SHIFTS = st.sampled_from([0.0, 0.37, -0.5, 0.94])


@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 9)),
    gap=st.sampled_from([np.nan, np.inf, -np.inf, 200.0]),
    saturation=st.sampled_from([np.inf, 200.0]),
    shift_px=st.tuples(SHIFTS, SHIFTS),
    whole_px=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    disappearing=st.booleans(),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_pixels_that_take_no_part(backend, shape, gap, saturation, shift_px, whole_px, disappearing, data):
    """Counted exactly, and no particle's middle lies on one."""
    pair = [
        data.draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([100.0, 99.0, 104.5, 180.0, gap])))
        for _ in range(2)
    ]
    options = {
        "shift_px": tuple(
            part + min(max(whole, 1 - n), n - 1) if n > 1 else 0.0
            for part, whole, n in zip(shift_px, whole_px, shape, strict=True)
        ),
        "saturation": saturation,
        "disappearing": disappearing,
    }
    if any(abs(shift) >= n for shift, n in zip(options["shift_px"], shape, strict=True)):
        with pytest.raises(InputError, match="which leaves nothing of frames"):
            detect(backend, *pair, **options)
        return
    expected = reference.difference(*pair, **options)
    found = detect(backend, *pair, **options)
    assert (found.not_measured, found.saturated) == (expected.not_measured, expected.saturated)
    for y, x in np.floor(places(found) + 0.5).astype(int):
        assert np.isfinite(expected.values[y, x])


def test_saturated_middles_are_counted_and_hold_no_particle(backend):
    places_yx = np.array([(20.3, 20.6), (20.0, 60.0), (50.4, 41.2)])
    peaks = np.array([400.0, 60.0, 300.0])
    before, after = frames(drawn((70, 80), places_yx, peaks, SIGMA_PX), 1)
    for dtype in (np.uint8, np.uint16, np.float32):
        earlier, later = (frame.clip(0, 255).astype(dtype) for frame in (before, after))
        found = detect(backend, earlier, later, saturation=255, **SURE)
        masked = later >= 255
        assert masked.sum() > 10
        assert (found.saturated, found.not_measured) == (masked.sum(), 0)
        on = np.floor(places(found) + 0.5).astype(int)
        assert not masked[on[:, 0], on[:, 1]].any()
        flagged = found.flags & FLAG_BITS["masked"] > 0
        near = np.hypot(*(places(found) - places_yx[1]).T) < 1
        assert near.sum() == 1
        assert not flagged[near].any()
        assert flagged[~near].all()


def test_nothing_is_measured(backend):
    for shape in ((1, 1), (5, 7), (70, 3)):
        found = detect(backend, np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32))
        assert (len(found.snr), found.not_measured) == (0, shape[0] * shape[1])
        found = detect(backend, np.full(shape, 9, np.uint8), np.zeros(shape, np.uint8), saturation=9)
        assert (len(found.snr), found.saturated) == (0, shape[0] * shape[1])
        assert found.threshold_snr == 2


# --- shapes, dtypes, ties ---


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (77, 1), (2, 2), (33, 131)])
def test_constant_frames_hold_nothing(backend, shape, dtype):
    for later in (0, 100, 255):
        found = detect(backend, np.full(shape, 100, dtype), np.full(shape, later, dtype))
        assert len(found.snr) == found.not_measured == found.saturated == found.left_out == 0
        assert found.threshold_snr == pytest.approx(reference.threshold(shape[0] * shape[1], 1.4, 1))


@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (3, 101), (65, 67), (130, 31)])
def test_a_spot_in_frames_of_any_shape(backend, shape):
    y, x = (shape[0] - 1) // 2 + 0.3 * (shape[0] > 1), (shape[1] - 1) // 2 - 0.2 * (shape[1] > 1)
    before, after = frames(drawn(shape, [(y, x)], 40.0, SIGMA_PX), 5)
    found = detect(backend, before, after, **SURE)
    assert len(found.snr) == 1
    # A single row does not locate a spot across it.
    for at, true, n in ((found.y_px[0], y, shape[0]), (found.x_px[0], x, shape[1])):
        assert at == pytest.approx(true, abs=0.15 if n > 1 else 0.5)
    assert found.flags[0] == (FLAG_BITS["edge"] if min(shape) < 6 else 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64, np.float16, np.float64])
def test_any_real_dtype(dtype):
    spots = drawn((80, 90), [(30.2, 40.7), (61.0, 12.5)], [25.0, 12.0], SIGMA_PX)
    before, after = (np.rint(frame) for frame in frames(spots, 3, noise=2))
    options = {**SURE, "threads": 1}
    expected = lee.detect_particles(before.astype(np.float32), after.astype(np.float32), **options)
    found = lee.detect_particles(before.astype(dtype), after.astype(dtype), **options)
    assert len(expected.snr) == 2
    np.testing.assert_allclose(places(found), places(expected), atol=1e-5)
    assert (found.y_px.dtype, found.flags.dtype) == (np.float32, np.uint8)
    mixed = lee.detect_particles(before.astype(dtype), after.astype(np.float32), **options)
    assert_equal(mixed, expected)


def test_strided_and_flipped_frames_and_lists():
    before, after = frames(drawn((60, 70), [(30.2, 40.7)], 25.0, SIGMA_PX), 3)
    expected = lee.detect_particles(before, after, **SURE)
    wide = np.zeros((120, 140), np.float32)
    wide[::2, ::2] = before
    assert_equal(lee.detect_particles(wide[::2, ::2], np.asfortranarray(after), **SURE), expected)
    assert_equal(lee.detect_particles(before[::-1].copy()[::-1], after.tolist(), **SURE), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(3, 3), (2, 2), (4, 1), (2, 3)])
def test_plateaus_are_one_particle_in_their_middle(backend, size, dtype):
    before = np.full((40, 41), 100, dtype)
    after = before.copy()
    after[15 : 15 + size[0], 20 : 20 + size[1]] = 150
    found = detect(backend, before, after, **SURE)
    middle = [(15 + (size[0] - 1) / 2, 20 + (size[1] - 1) / 2)]
    np.testing.assert_allclose(places(found), middle, atol=0.02)


def test_equal_spots_are_reported_in_order(backend):
    """Whole pixels between them, so that maxima tie."""
    true = np.array([(y, x) for y in (12, 32, 52) for x in (12, 32, 52, 72)], float)
    after = (100 + 50 * drawn((64, 84), true, 1.0, SIGMA_PX)).astype(np.float32)
    found = detect(backend, np.full_like(after, 100), after, **SURE)
    of_truth, _ = matched(true, places(found), 0.01)
    assert len(of_truth) == len(found.snr) == len(true)
    assert_sorted(found)
    np.testing.assert_allclose(found.peak, 50, rtol=2e-3)


# --- shift, difference, fits: against the definition ---


def fitted(difference, noise, start):
    """Spots (N, 3) fitted to a difference without its background, which is what the spots leave; and that."""
    spots = np.reshape(start, (-1, 3))
    for _ in range(2):
        without = difference.values - drawn(difference.values.shape, spots[:, :2], spots[:, 2], SIGMA_PX)
        alone = difference.values - reference.background(without, SIGMA_PX)
        found = reference.fitted(alone, noise, spots, SIGMA_PX)
        spots = found.values
    return found, alone


@pytest.mark.parametrize("disappearing", [False, True])
@pytest.mark.parametrize("shift_px", [(0.0, 0.0), (2.0, -3.0), (0.5, 0.25), (-2.71, 1.36), (0.0, 0.999)])
def test_the_shift_is_the_windowed_sinc(backend, shift_px, disappearing):
    """Frames of deep white noise agree to what is added: any other taps leave far more."""
    rng = np.random.default_rng(4)
    before = rng.normal(500, 100, (86, 91)).astype(np.float32)
    (move_y, _), (move_x, _) = (
        reference.matrix_of_shift(n, shift) for n, shift in zip(before.shape, shift_px, strict=True)
    )
    noise, true = 0.05, (41.3, 40.6)
    spot = 20 * noise * drawn(before.shape, [true], 1.0, SIGMA_PX)
    after = move_y @ before @ move_x.T + (-spot if disappearing else spot)
    after = (after + rng.normal(0, noise, after.shape)).astype(np.float32)
    options = {"shift_px": shift_px, "disappearing": disappearing}
    found = detect(backend, before, after, **SURE, **options)
    difference = reference.difference(before, after, **options)
    assert found.noise == pytest.approx(noise, rel=0.04)
    assert found.not_measured == difference.not_measured
    assert len(found.snr) == 1
    expected, _ = fitted(difference, found.noise, [*true, 20 * noise])
    of, _ = values(found, 0)
    assert np.all(np.abs(of - expected.values[0]) < 0.15 * expected.sigmas[0])


@pytest.mark.parametrize("seed", range(6))
def test_an_isolated_spot_is_fitted_by_least_squares(backend, seed):
    rng = np.random.default_rng(seed)
    true, peak = rng.uniform(28, 36, 2), np.exp(rng.uniform(np.log(8), np.log(50)))
    before, after = frames(drawn((64, 66), [true], peak, SIGMA_PX), seed)
    if seed % 2:
        before[rng.random(before.shape) < 0.05] = np.nan
        before[tuple(np.rint(true).astype(int))] = 100
    found = detect(backend, before, after, **SURE)
    assert len(found.snr) == 1
    expected, alone = fitted(reference.difference(before, after), found.noise, [*true, peak])
    of, sigmas = values(found, 0)
    assert np.all(np.abs(of - expected.values[0]) < 0.15 * expected.sigmas[0])
    # One tile gives its noise behind the filter to a tenth.
    np.testing.assert_allclose(sigmas, expected.sigmas[0], rtol=0.25)
    snr = reference.snr_at(alone, found.noise, of[0], of[1], SIGMA_PX)
    assert found.snr[0] == pytest.approx(snr * expected.sigmas[0][2] / sigmas[2], rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_are_fitted_together(backend, seed):
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi)
    apart = 2.6 * SIGMA_PX * np.array([np.sin(turn), np.cos(turn)])
    true = 32 + rng.uniform(-1, 1, 2) + np.array([-apart, [0, 0], apart])
    peaks = np.array([30.0, 45.0, 25.0])
    before, after = frames(drawn((64, 66), true, peaks, SIGMA_PX), seed)
    found = detect(backend, before, after, **SURE)
    of_truth, of_found = matched(true, places(found))
    assert len(found.snr) == len(of_truth) == 3
    start = np.column_stack([true, peaks])
    expected, _ = fitted(reference.difference(before, after), found.noise, start)
    for i, k in zip(of_truth, of_found, strict=True):
        of, sigmas = values(found, k)
        assert np.all(np.abs(of - expected.values[i]) < 0.3 * expected.sigmas[i])
        np.testing.assert_allclose(sigmas, expected.sigmas[i], rtol=0.3)
    assert (found.flags & FLAG_BITS["crowded"] > 0).all()


@pytest.mark.parametrize("false_alarms", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("sigma_px", [0.6, 1.4, 3.5])
def test_the_threshold_is_that_of_a_gaussian_random_field(backend, sigma_px, false_alarms):
    before, after = frames(np.zeros((60, 83)), 2)
    before[4:9, 5] = np.nan
    found = detect(backend, before, after, spot_sigma_px=sigma_px, false_alarms=false_alarms)
    area = before.size - found.not_measured
    assert found.threshold_snr == pytest.approx(reference.threshold(area, sigma_px, false_alarms), abs=1e-6)
    assert (found.spot_sigma_px, found.sigma_from) == (sigma_px, 0)
    assert np.all(found.snr >= found.threshold_snr)


def test_a_given_threshold_holds(backend):
    true = np.array([(20.0, 20.0), (20.0, 60.0), (60.0, 20.0), (60.0, 60.0)])
    peaks = np.array([4.0, 8.0, 16.0, 32.0])
    before, after = frames(drawn((80, 80), true, peaks, SIGMA_PX), 7)
    for threshold in (6.0, 30.0, 55.0):
        found = detect(backend, before, after, spot_sigma_px=SIGMA_PX, threshold_snr=threshold)
        assert found.threshold_snr == threshold
        expected = peaks * SIGMA_PX * np.sqrt(np.pi) > threshold
        assert len(found.snr) == len(matched(true[expected], places(found))[0]) == expected.sum()


# --- what disappears, flags ---


def test_disappearing_is_the_frames_swapped(backend):
    true = np.array([(20.2, 30.1), (50.6, 44.8)])
    before, after = frames(drawn((75, 71), true[:1], 20.0, SIGMA_PX), 6)
    before += drawn((75, 71), true[1:], 25.0, SIGMA_PX).astype(np.float32)
    appeared = detect(backend, before, after, **SURE)
    gone = detect(backend, before, after, disappearing=True, **SURE)
    assert len(matched(true[:1], places(appeared))[0]) == len(appeared.snr) == 1
    assert len(matched(true[1:], places(gone))[0]) == len(gone.snr) == 1
    rtol = 0 if backend.name == "cpu" else 1e-4  # sums of another order
    assert_equal(gone, detect(backend, after, before, **SURE), rtol)
    assert_equal(appeared, detect(backend, after, before, disappearing=True, **SURE), rtol)


@pytest.mark.parametrize("shift_px", [(0.4, -0.3), (3.6, -5.2)])
def test_places_lie_on_the_later_frame(backend, shift_px):
    """Of what disappears, too, whatever frame it was in."""
    true = np.array([(30.2, 30.1)])
    spots = drawn((75, 71), true - shift_px, 40.0, SIGMA_PX)
    after, before = frames(spots, 8)
    gone = detect(backend, before, after, shift_px=shift_px, disappearing=True, **SURE)
    np.testing.assert_allclose(places(gone), true, atol=0.12)
    before, after = frames(drawn((75, 71), true, 40.0, SIGMA_PX), 8)
    appeared = detect(backend, before, after, shift_px=shift_px, **SURE)
    np.testing.assert_allclose(places(appeared), true, atol=0.12)
    for found in (gone, appeared):
        assert found.not_measured == reference.difference(before, after, shift_px=shift_px).not_measured > 0


def test_flags(backend):
    true = np.array([(1.2, 40.0), (30.0, 30.0), (30.0, 34.0), (30.0, 60.0), (60.0, 30.0), (60.0, 60.0)])
    spots = drawn((80, 80), true[:-1], 40.0, SIGMA_PX) + drawn((80, 80), true[-1:], 40.0, 1.5 * SIGMA_PX)
    before, after = frames(spots, 9)
    after[60, 31] = np.nan
    found = detect(backend, before, after, **SURE)
    of_truth, of_found = matched(true, places(found))
    np.testing.assert_array_equal(np.sort(of_truth), np.arange(6))
    flags = dict(zip(of_truth.tolist(), found.flags[of_found].tolist(), strict=True))
    bits = [FLAG_BITS[name] for name in ("edge", "crowded", "crowded")] + [0, FLAG_BITS["masked"]]
    assert [flags[k] for k in range(5)] == bits
    assert flags[5] == FLAG_BITS["wide"]
    assert found.width_px[of_found[of_truth == 5]] == pytest.approx(1.5 * SIGMA_PX, rel=0.05)


# --- what every kernel promises ---


def test_threads_do_not_change_the_result():
    spots = drawn((300, 290), np.random.default_rng(1).uniform(0, 290, (150, 2)), 15.0, SIGMA_PX)
    before, after = frames(spots, 1)
    before[100:120, 30:60] = np.nan
    one = lee.detect_particles(before, after, shift_px=(0.3, -0.4), threads=1)
    assert len(one.snr) > 100
    for threads in (2, 3, 7):
        assert_equal(lee.detect_particles(before, after, shift_px=(0.3, -0.4), threads=threads), one)


def test_a_device_gives_what_the_processor_gives(cuda):
    rng = np.random.default_rng(2)
    true = rng.uniform(5, 120, (40, 2))
    spots = drawn((130, 140), true, np.exp(rng.uniform(1.5, 3.5, 40)), SIGMA_PX)
    for dtype, noise in ((np.uint8, 2.0), (np.uint16, 50.0), (np.float32, 1.0)):
        before, after = frames(spots, 3, dtype=dtype, noise=noise)
        for changed in ({}, {"shift_px": (0.3, 1.6), "spot_sigma_px": 1.4}, {"disappearing": True}):
            options = {"false_alarms": 1e-3, **changed}
            here = lee.detect_particles(before, after, **options)
            there = detect(cuda, before, after, **options)
            assert (there.not_measured, there.saturated) == (here.not_measured, here.saturated)
            assert there.noise == pytest.approx(here.noise, rel=1e-4)
            assert there.spot_sigma_px == pytest.approx(here.spot_sigma_px, rel=1e-3)
            assert there.threshold_snr == pytest.approx(here.threshold_snr, rel=1e-3)
            assert len(here.snr) == len(there.snr)
            of_here, of_there = matched(places(here), places(there), 0.02)
            assert len(of_here) == len(here.snr)
            for name in ("peak", "snr", "y_sigma_px", "peak_sigma"):
                np.testing.assert_allclose(
                    getattr(there, name)[of_there], getattr(here, name)[of_here], rtol=0.01
                )
