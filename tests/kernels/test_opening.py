"""The modified morphological opening against its definition, and what it promises."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lee import _core
from lee.errors import InputError
from lee.kernels.footprint import Footprint, disk, ellipse, rectangle
from lee.kernels.opening import Opened
from lee.kernels.opening import flat_morphology as flat_morphology_of
from lee.kernels.opening import opening as opening_of
from tests.reference import opening as reference

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 20))
HEIGHTS = hnp.arrays(
    np.float32,
    SHAPES,
    # Few values make ties; the special ones must be skipped or kept.
    elements=st.sampled_from([-3.0, -1.0, -0.0, 0.0, 0.25, 1.0, 7.5, np.nan, np.inf, -np.inf]),
)
THRESHOLDS = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0, 4.0]))


@st.composite
def footprints(draw):
    mask = draw(hnp.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 24)), elements=st.booleans()))
    h, w = mask.shape
    mask[draw(st.integers(0, h - 1)), draw(st.integers(0, w - 1))] = True
    return Footprint(mask, (draw(st.integers(0, h - 1)), draw(st.integers(0, w - 1))))


def opening(backend, height, **options):
    return Opened(*map(backend.numpy, opening_of(backend.array(height), **options)))


def flat_morphology(backend, operation, height, **options):
    return backend.numpy(flat_morphology_of(operation, backend.array(height), **options))


def bits(height):
    return height.view(np.int32)


@given(height=HEIGHTS, footprint=footprints())
@settings(max_examples=60, deadline=None)
def test_flat_operations_equal_their_definition(backend, height, footprint):
    for name in ("erosion", "dilation"):
        expected = getattr(reference, name)(height, footprint.mask, footprint.centre)
        np.testing.assert_array_equal(flat_morphology(backend, name, height, footprint=footprint), expected)
    for name in ("opening", "closing"):
        expected = getattr(reference, f"flat_{name}")(height, footprint.mask, footprint.centre)
        np.testing.assert_array_equal(flat_morphology(backend, name, height, footprint=footprint), expected)


@given(height=HEIGHTS, footprint=footprints(), threshold=THRESHOLDS, peaks=st.booleans(), pits=st.booleans())
@settings(max_examples=80, deadline=None)
def test_equals_its_definition(backend, height, footprint, threshold, peaks, pits):
    got = opening(backend, height, footprint=footprint, threshold=threshold, peaks=peaks, pits=pits)
    expected, removed = reference.opening(
        height, footprint.mask, footprint.centre, threshold, peaks=peaks, pits=pits
    )
    np.testing.assert_array_equal(got.height_um, expected)
    np.testing.assert_array_equal(got.removed, removed)


@given(height=HEIGHTS, footprint=footprints(), threshold=THRESHOLDS)
@settings(max_examples=60, deadline=None)
def test_only_marked_pixels_change(backend, height, footprint, threshold):
    got = opening(backend, height, footprint=footprint, threshold=threshold)
    kept = got.removed == 0
    np.testing.assert_array_equal(bits(got.height_um)[kept], bits(height)[kept])
    assert (got.height_um[got.removed == 1] < height[got.removed == 1]).all()
    assert (got.height_um[got.removed == -1] > height[got.removed == -1]).all()
    assert (got.removed[~np.isfinite(height)] == 0).all()


@given(
    height=HEIGHTS, footprint=footprints(), threshold=st.sampled_from([0.0, 0.5, 4.0]), peaks=st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_one_sided_opening_is_idempotent_and_on_one_side(backend, height, footprint, threshold, peaks):
    sides = {"peaks": peaks, "pits": not peaks}
    once = opening(backend, height, footprint=footprint, threshold=threshold, **sides)
    twice = opening(backend, once.height_um, footprint=footprint, threshold=threshold, **sides)
    np.testing.assert_array_equal(bits(twice.height_um), bits(once.height_um))
    assert (twice.removed == 0).all()
    finite = np.isfinite(height)
    change = once.height_um[finite] - height[finite]
    assert (change <= 0).all() if peaks else (change >= 0).all()


def test_automatic_threshold_is_local_and_equals_its_definition(backend):
    rng = np.random.default_rng(4)
    # Quiet on the left, noisy on the right, in an image large enough for tiles and for every fourth pixel.
    noise = np.where(np.arange(300) < 150, 0.01, 1.0).astype(np.float32)
    height = rng.normal(size=(230, 300)).astype(np.float32) * noise
    height[150:200, 200:] = np.nan
    height[20, 10] = 1.0  # a hundred standard deviations here
    height[20, 290] = 1.0  # one standard deviation there
    footprint = disk(2)
    got = opening(backend, height, footprint=footprint)
    expected, removed = reference.opening(height, footprint.mask, footprint.centre, None)
    np.testing.assert_array_equal(got.height_um, expected)
    np.testing.assert_array_equal(got.removed, removed)
    assert got.removed[20, 10] == 1
    assert got.removed[20, 290] == 0


@pytest.mark.parametrize(
    "footprint",
    [
        disk(15),
        ellipse(4, 21.5, angle_rad=0.4),
        rectangle(40, 33),
        rectangle(8, 1),
        rectangle(65, 64),
        disk(200),
    ],
    ids=lambda footprint: f"{footprint.mask.shape}",
)
def test_large_footprints_equal_the_extremes_of_shifted_copies(backend, footprint):
    """Several strips and chunks, with the expectation built from whole shifted images."""
    if getattr(backend, "emulated", False) and footprint.area_px > 5000:
        pytest.skip("half a minute where CUDA kernels run on the host")
    height = np.random.default_rng(1).normal(size=(150, 310)).astype(np.float32)
    H, W = height.shape
    expected = np.full((H, W), np.inf, np.float32)
    for j, i in np.argwhere(footprint.mask) - footprint.centre:
        if abs(j) < H and abs(i) < W:
            to = np.s_[max(0, -j) : H - max(0, j), max(0, -i) : W - max(0, i)]
            source = np.s_[max(0, j) : H - max(0, -j), max(0, i) : W - max(0, -i)]
            expected[to] = np.minimum(expected[to], height[source])
    np.testing.assert_array_equal(flat_morphology(backend, "erosion", height, footprint=footprint), expected)


def test_spikes_both_ways_go_and_the_relief_stays(backend):
    y, x = np.mgrid[:120, :160].astype(np.float32)
    relief = (3 * np.sin(x / 25) + 2 * np.cos(y / 30)).astype(np.float32)
    spikes = np.zeros(relief.shape, np.int8)
    spikes[30:33, 40:44] = 1
    spikes[1, 1] = 1
    spikes[80:82, 100:103] = -1
    spikes[118, 2] = -1
    height = relief + 9 * spikes.astype(np.float32)
    got = opening(backend, height, footprint=disk(4), threshold=1.0)
    np.testing.assert_array_equal(got.removed, spikes)
    assert np.abs(got.height_um - relief).max() < 1.0


def test_a_pixel_touched_by_both_steps_keeps_its_height(backend):
    """Every placement over the corner reaches the pit: the peak step lowers what the pit step restores."""
    height = np.zeros((12, 12), np.float32)
    height[1, 1] = -5.0
    got = opening(backend, height, footprint=disk(3), threshold=1.0)
    assert got.removed[0, 0] == 0
    assert got.removed[1, 1] == -1
    assert (got.height_um == 0).all()


def test_plain_opening_is_the_modified_one_without_threshold(backend):
    height = np.random.default_rng(3).normal(size=(40, 50)).astype(np.float32)
    plain = flat_morphology(backend, "opening", height, footprint=disk(3))
    np.testing.assert_array_equal(
        opening(backend, height, footprint=disk(3), threshold=0, pits=False).height_um, plain
    )
    assert (plain <= height).all()


def test_threads_do_not_change_the_result():
    height = np.random.default_rng(2).normal(size=(700, 400)).astype(np.float32)
    one = opening_of(height, footprint=disk(6), threads=1)
    for threads in (2, 5):
        many = opening_of(height, footprint=disk(6), threads=threads)
        np.testing.assert_array_equal(bits(many.height_um), bits(one.height_um))
        np.testing.assert_array_equal(many.removed, one.removed)


_FINGERPRINT = """
import hashlib, numpy as np
from lee import _core
from lee.kernels.footprint import disk
from lee.kernels.opening import opening
height = np.random.default_rng(5).normal(size=(300, 333)).astype(np.float32)
height[height > 2.5] = np.nan
got = opening(height, footprint=disk(7))
print(_core.instruction_set(), hashlib.sha256(got.height_um.tobytes() + got.removed.tobytes()).hexdigest())
"""


def run_with(isa):
    environment = {**os.environ, "LEE_ISA": isa}
    return subprocess.run(
        [sys.executable, "-c", _FINGERPRINT], env=environment, capture_output=True, text=True, check=False
    )


def test_instruction_sets_agree_bit_for_bit():
    best = _core.instruction_set()
    supported = ["plain", "avx2", "avx512"][: ["plain", "avx2", "avx512"].index(best) + 1]
    prints = [run_with(isa) for isa in supported]
    assert [done.stdout.split()[0] for done in prints] == supported, prints[-1].stderr
    assert len({done.stdout.split()[1] for done in prints}) == 1


def test_an_unknown_instruction_set_is_refused():
    assert "LEE_ISA=sse9: give plain, avx2 or avx512, or unset it" in run_with("sse9").stderr


def test_other_dtypes_and_layouts_are_converted():
    height = np.asfortranarray(np.random.default_rng(0).integers(0, 9, (8, 9)))
    np.testing.assert_array_equal(
        flat_morphology_of("closing", height, footprint=disk(1)),
        flat_morphology_of("closing", height.astype(np.float32), footprint=disk(1)),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height_um": np.zeros(3)}, r"opening: height_um has shape \(3,\); give a non-empty two-dim"),
        ({"height_um": np.zeros((0, 4))}, r"opening: height_um has shape \(0, 4\)"),
        ({"height_um": np.array([["a"]])}, "opening: height_um holds <U1; give real numbers"),
        ({"threshold": -1.0}, "opening: threshold is -1.0; give a height >= 0, or None"),
        ({"threshold": float("nan")}, "opening: threshold is nan"),
        ({"mad_factor": -2.0}, "opening: mad_factor is -2.0; give a number >= 0"),
        ({"threads": -1}, "opening: threads is -1; give 0 for all cores"),
        ({"footprint": np.zeros((3, 3))}, r"footprint: no pixel of the \(3, 3\) mask is set"),
        ({"footprint": np.ones(3)}, "footprint: the mask has 1 dimensions"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        opening_of(**{"height_um": np.zeros((4, 4)), "footprint": disk(1), **arguments})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: disk(-1), "disk: the radius is -1 px; give a finite radius >= 0"),
        (lambda: disk(float("nan")), "disk: the radius is nan px"),
        (lambda: ellipse(1, -2), "ellipse: radii 1 and -2 px turned by 0.0 rad; give finite radii >= 0"),
        (lambda: rectangle(0, 3), "rectangle: 0 by 3 px; both extents must be at least 1"),
        (
            lambda: Footprint(np.ones((2, 2)), (2, 0)),
            r"the centre \(2, 0\) is outside the mask of shape \(2, 2\)",
        ),
    ],
)
def test_bad_footprints_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_footprints_have_the_shape_they_name():
    assert disk(0).mask.tolist() == [[True]]
    assert disk(1).area_px == 5
    assert disk(15).area_px == 709
    assert rectangle(2, 5).mask.shape == (2, 5)
    assert rectangle(2, 5).centre == (1, 2)
    assert np.array_equal(ellipse(2, 6).mask, ellipse(6, 2, angle_rad=np.pi / 2).mask)


def test_the_core_takes_only_what_it_is_made_for():
    call = {"centre": (0, 0), "threshold": 0.0, "mad_factor": 6.0, "peaks": True, "pits": True, "threads": 1}
    mask = np.ones((1, 1), np.uint8)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.opening(np.zeros((3, 3)), mask, **call)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.opening(np.zeros((3, 6), np.float32)[:, ::2], mask, **call)
    with pytest.raises(ValueError, match="opening: the footprint's centre"):
        _core.opening(np.zeros((3, 3), np.float32), mask, **{**call, "centre": (1, 0)})
