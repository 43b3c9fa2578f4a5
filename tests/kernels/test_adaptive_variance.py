"""The normalised local variance against its definition, and what it promises."""

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
from lee.kernels.adaptive_variance import AdaptiveVariance
from lee.kernels.adaptive_variance import adaptive_variance as adaptive_variance_of
from lee.kernels.footprint import Footprint, disk, ellipse, rectangle
from tests.reference import adaptive_variance as reference

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 12))
STACKS = st.one_of(
    hnp.arrays(np.uint8, SHAPES),
    hnp.arrays(np.uint16, SHAPES),
    hnp.arrays(
        np.float32, SHAPES, elements=st.sampled_from([-7.5, 0.0, 0.25, 3.0, 100.5, np.nan, np.inf, -np.inf])
    ),
)


def adaptive_variance(backend, stack, **options):
    got = adaptive_variance_of(backend.array(stack), **options)
    return AdaptiveVariance(backend.numpy(got.focus), backend.numpy(got.window), float(got.noise))


@st.composite
def footprints(draw):
    mask = draw(hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans()))
    h, w = mask.shape
    mask[draw(st.integers(0, h - 1)), draw(st.integers(0, w - 1))] = True
    return Footprint(mask, (draw(st.integers(0, h - 1)), draw(st.integers(0, w - 1))))


@given(stack=STACKS, footprint=footprints(), detail_px=st.sampled_from([None, 3, 5]))
@settings(max_examples=80, deadline=None)
def test_equals_its_definition(backend, stack, footprint, detail_px):
    got = adaptive_variance(backend, stack, footprint=footprint, detail_px=detail_px)
    focus, _ = reference.adaptive_variance(stack, [(footprint.mask, footprint.centre)], detail_px=detail_px)
    # Float sums run along a row, so the rounding of its largest square stays with it: 100^2 * 2^-53.
    np.testing.assert_allclose(got.focus, focus, rtol=3e-7, atol=1e-9)
    assert (got.window == 0).all()
    assert np.isnan(got.noise)


@pytest.mark.parametrize(
    "footprint",
    [disk(15), ellipse(4, 21.5, angle_rad=0.4), rectangle(40, 33), rectangle(1, 300), disk(200), disk(0)],
    ids=lambda footprint: f"{footprint.mask.shape}",
)
def test_8_bit_is_correctly_rounded_over_several_tiles(backend, footprint):
    """Whole-number sums, row by row of the footprint; only the division and the cut to float32 round."""
    # Seconds a footprint where CUDA kernels run on the host; nine tiles are several, too.
    shape = (52, 90) if getattr(backend, "emulated", False) else (150, 310)
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    (H, W), value = image.shape, image.astype(np.int64)
    totals = n, s, q = [np.zeros((H, W), np.int64) for _ in range(3)]
    until = [np.pad(np.cumsum(one, axis=1), ((0, 0), (1, 0))) for one in (value**0, value, value**2)]
    for j, row in enumerate(footprint.mask, -footprint.centre[0]):
        first, last = np.flatnonzero(row)[[0, -1]] - footprint.centre[1]
        assert row.sum() == last - first + 1
        low, high = (np.clip(np.arange(W) + i, 0, W) for i in (first, last + 1))
        if abs(j) < H:
            to, source = np.s_[max(0, -j) : H - max(0, j)], np.s_[max(0, j) : H - max(0, -j)]
            for total, sums in zip(totals, until, strict=True):
                total[to] += sums[source][:, high] - sums[source][:, low]
    expected = np.where(s > 0, (n * q - s * s) / np.maximum(n * s, 1), 0.0).astype(np.float32)
    if footprint.area_px <= 66051:
        np.testing.assert_array_equal(adaptive_variance(backend, image, footprint=footprint).focus, expected)
    for dtype in (np.uint16, np.float32):
        got = adaptive_variance(backend, image.astype(dtype), footprint=footprint).focus
        np.testing.assert_allclose(got, expected, rtol=3e-7, atol=1e-9)


@given(stack=STACKS, footprint=footprints(), detail_px=st.sampled_from([None, 3]))
@settings(max_examples=60, deadline=None)
def test_windows_follow_their_rule(backend, stack, footprint, detail_px):
    ours = adaptive_variance(
        backend, stack, footprint=footprint, scales=(1, 2), detail_px=detail_px, noise=2.0, significance=1.0
    )
    single = [
        adaptive_variance(backend, stack, footprint=footprint, scales=(scale,), detail_px=detail_px).focus
        for scale in (1, 2)
    ]
    n = footprint.area_px
    limit = 2.0 * (1 - (1 / n if detail_px is None else 1 / 9)) * (1 + np.sqrt(2 / n))
    stands_out = np.fmax.reduce(single[0], axis=0, initial=-1) > limit
    np.testing.assert_array_equal(ours.window, np.where(stands_out, 0, 1))
    np.testing.assert_array_equal(ours.focus, np.where(stands_out, single[0], single[1]))
    assert ours.noise == 2.0


def test_windows_and_noise_equal_their_definition(backend):
    rng = np.random.default_rng(5)
    texture = np.where(np.arange(24) < 12, 30.0, 1.0) * rng.standard_normal((10, 24))
    sharpness = np.array([0.2, 1.0, 0.3])[:, None, None]
    stack = (120 + sharpness * texture + 2 * rng.standard_normal((3, 10, 24))).astype(np.float32)
    got = adaptive_variance(backend, stack, footprint=rectangle(3, 3), scales=(1, 3, 5))
    masks = [np.ones((k, k), bool) for k in (3, 9, 15)]
    focus, window = reference.adaptive_variance(stack, [(m, (m.shape[0] // 2,) * 2) for m in masks])
    assert got.noise == pytest.approx(reference.noise_of(stack.astype(np.float64)), rel=1e-6)
    np.testing.assert_array_equal(got.window, window)
    np.testing.assert_allclose(got.focus, focus, rtol=1e-6)
    assert set(np.unique(got.window)) == {0, 1, 2}


def test_noise_is_measured_in_counts_per_photon(backend):
    gain = 1.7
    photons = np.random.default_rng(3).poisson(np.linspace(40, 90, 200)[:, None], (4, 200, 200))
    got = adaptive_variance(backend, (gain * photons).astype(np.float32), footprint=disk(2), scales=(1, 2))
    assert got.noise == pytest.approx(gain, rel=0.05)
    assert (got.window == 1).all()


def test_a_constant_stack_has_no_focus(backend):
    for dtype in (np.uint8, np.uint16, np.float32):
        for detail_px in (None, 5):
            stack = (
                np.full((2, 40, 60), 201, dtype)
                if dtype != np.float32
                else np.full((2, 40, 60), np.float32(0.1))
            )
            assert (
                adaptive_variance(backend, stack, footprint=disk(6), detail_px=detail_px).focus == 0
            ).all()


def test_shading_lends_no_focus_to_the_detail(backend):
    ramp = np.tile(np.linspace(50, 200, 90, dtype=np.float32), (60, 1))
    plain = adaptive_variance(backend, ramp, footprint=disk(9)).focus[20:40, 20:70]
    detail = adaptive_variance(backend, ramp, footprint=disk(9), detail_px=3).focus[20:40, 20:70]
    assert plain.min() > 0.3
    assert detail.max() < 1e-6


def test_an_image_is_a_stack_of_one_plane(backend):
    image = np.random.default_rng(0).integers(0, 99, (12, 14)).astype(np.uint8)
    alone = adaptive_variance(backend, image, footprint=disk(2))
    assert alone.focus.shape == (12, 14)
    np.testing.assert_array_equal(
        alone.focus, adaptive_variance(backend, image[None], footprint=disk(2)).focus[0]
    )


def test_threads_and_layout_do_not_change_the_result():
    stack = np.random.default_rng(2).normal(100, 5, (3, 300, 520)).astype(np.float32)
    stack[1, 20:30, 100:300] = np.nan
    one = adaptive_variance_of(stack, footprint=disk(3), scales=(1, 2), significance=2, threads=1)
    for other in (
        adaptive_variance_of(stack, footprint=disk(3), scales=(1, 2), significance=2, threads=3),
        adaptive_variance_of(np.asfortranarray(stack), footprint=disk(3), scales=(1, 2), significance=2),
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


_FINGERPRINT = """
import hashlib, numpy as np
from lee import _core
from lee.kernels.footprint import disk
from lee.kernels.adaptive_variance import adaptive_variance
from lee.kernels.argmax_refocus import argmax_refocus
stack = np.random.default_rng(5).integers(0, 256, (9, 70, 133))
parts = []
for dtype in (np.uint8, np.uint16, np.float32):
    for detail_px in (None, 5):
        frames = stack.astype(dtype)
        focus = adaptive_variance(frames, footprint=disk(4), detail_px=detail_px).focus
        parts += [focus, *argmax_refocus(frames, focus, reach=3)]
print(_core.instruction_set(), hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def test_instruction_sets_agree_bit_for_bit():
    """Of both kernels of a stack held in memory."""
    names = ["plain", "avx2", "avx512"]
    supported = names[: names.index(_core.instruction_set()) + 1]
    prints = [
        subprocess.run(
            [sys.executable, "-c", _FINGERPRINT],
            env={**os.environ, "LEE_ISA": isa},
            capture_output=True,
            text=True,
            check=False,
        )
        for isa in supported
    ]
    assert [done.stdout.split()[:1] for done in prints] == [[isa] for isa in supported], prints[0].stderr
    assert len({done.stdout.split()[1] for done in prints}) == 1


def assert_equal_on_both(cuda, stack, **options):
    """Bit for bit where sums are of whole numbers; else to the bound that the header states."""
    host, device = adaptive_variance_of(stack, **options), adaptive_variance(cuda, stack, **options)
    np.testing.assert_array_equal(device.noise, host.noise)
    np.testing.assert_array_equal(device.window, host.window)
    if stack.dtype != np.float32 and options.get("detail_px") is None:
        np.testing.assert_array_equal(device.focus, host.focus)
    else:
        finite = stack[np.isfinite(stack)].astype(np.float64)
        largest = np.square(finite - finite.mean()).max() if finite.size else 0.0
        np.testing.assert_allclose(device.focus, host.focus, rtol=3e-7, atol=1e-12 * largest)
    assert device.focus.dtype == host.focus.dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("detail_px", [None, 3, 41])
@pytest.mark.parametrize(
    ("shape", "footprint"),
    [
        ((1, 1, 1), disk(3)),
        ((2, 1, 65), rectangle(3, 5)),
        ((1, 49, 2), disk(9)),
        ((3, 25, 33), Footprint(np.eye(7, dtype=bool), (0, 6))),
        ((2, 30, 40), ellipse(4, 40, angle_rad=0.3)),
    ],
    ids=["one pixel", "one row", "two columns", "off centre", "larger than the image"],
)
def test_both_backends_agree(cuda, shape, footprint, detail_px, dtype):
    rng = np.random.default_rng(shape[1])
    stack = rng.integers(0, np.iinfo(dtype).max if dtype != np.float32 else 9000, shape).astype(dtype)
    if dtype == np.float32:
        stack[rng.random(shape) < 0.1] = np.nan
        stack.flat[1:4] = [np.inf, -np.inf, -3.0][: stack.size - 1]
    for scales in ((1.0,), (0.5, 1.0, 1.7)):
        assert_equal_on_both(
            cuda, stack, footprint=footprint, scales=scales, detail_px=detail_px, significance=1.0
        )


def test_float_frames_far_from_zero_lose_little_on_both(cuda):
    """The planes' levels are summed in another order; what they are taken off does not feel it."""
    stack = 60000 + np.random.default_rng(9).normal(0, 2, (2, 50, 70))
    stack[1] += np.linspace(0, 300, 70)
    assert_equal_on_both(cuda, stack.astype(np.float32), footprint=disk(4), scales=(1, 2))


def test_8_bit_over_very_large_footprints_is_summed_in_float64_on_both(cuda):
    stack = np.random.default_rng(8).integers(0, 256, (1, 30, 40)).astype(np.uint8)
    assert_equal_on_both(cuda, stack, footprint=disk(160))


def test_energies_of_few_planes_at_a_time_make_the_same_choice(cuda):
    """More pixels than energies are kept for, so that a window's largest focus waits between launches."""
    rng = np.random.default_rng(6)
    texture = np.where(np.arange(420) < 200, 30.0, 1.0) * rng.standard_normal((420, 420))
    stack = 120 + np.array([0.1, 1.0, 0.1])[:, None, None] * texture
    stack = stack.clip(0, 255).astype(np.uint8)
    assert stack.size > 1 << 19
    assert_equal_on_both(cuda, stack, footprint=disk(2), scales=(1, 2), detail_px=3)


def test_the_noise_stays_on_the_device(cuda):
    stack = np.random.default_rng(0).integers(0, 99, (3, 12, 14)).astype(np.uint8)
    got = adaptive_variance_of(cuda.array(stack), footprint=disk(1), scales=(1, 2))
    assert isinstance(got.noise, cuda.cupy.ndarray)
    assert got.noise.shape == ()
    assert float(got.noise) == adaptive_variance_of(stack, footprint=disk(1), scales=(1, 2)).noise > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.zeros((2, 3)),
            "stack on the CUDA device holds float64; convert it to uint8 or uint16 or float32",
        ),
        (np.zeros(3, np.uint8), r"stack has shape \(3,\); give a non-empty \(H, W\) or \(Z, H, W\) array"),
        (np.zeros((2, 0, 3), np.uint8), r"stack has shape \(2, 0, 3\); give a non-empty"),
        (
            np.zeros((2, 6), np.uint8)[:, ::2],
            r"stack on the CUDA device is not contiguous; give cupy.ascontiguousarray\(stack\)",
        ),
    ],
)
def test_bad_arrays_on_the_device_are_refused(cuda, values, message):
    array = cuda.array(values)
    if not values.flags.c_contiguous:
        array = cuda.array(np.repeat(values, 2, axis=1))[:, ::2]
    with pytest.raises(InputError, match=f"adaptive_variance: {message}"):
        adaptive_variance_of(array, footprint=disk(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stack": np.zeros(3)}, r"adaptive_variance: stack has shape \(3,\); give a non-empty \(H, W\) or"),
        ({"stack": np.zeros((0, 4, 4))}, r"adaptive_variance: stack has shape \(0, 4, 4\)"),
        (
            {"stack": np.zeros((2, 2), complex)},
            "adaptive_variance: stack holds complex128; give real numbers",
        ),
        ({"scales": ()}, r"scales are \(\); give 1 to 255 rising factors > 0"),
        ({"scales": (2, 1)}, r"scales are \(2.0, 1.0\); give 1 to 255 rising"),
        ({"scales": (0, 1)}, "rising factors > 0"),
        ({"scales": (1, float("inf"))}, "rising factors > 0"),
        ({"detail_px": 4}, "detail_px is 4; give an odd number >= 3, or None"),
        ({"noise": -1.0}, "noise is -1.0; give counts >= 0, or None"),
        ({"significance": -1.0}, "significance is -1.0; give a number >= 0"),
        ({"threads": -1}, "adaptive_variance: threads is -1; give 0 for all cores"),
        ({"footprint": np.zeros((3, 3))}, r"footprint: no pixel of the \(3, 3\) mask is set"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        adaptive_variance_of(**{"stack": np.zeros((4, 4)), "footprint": disk(1), **arguments})


def test_the_core_checks_for_itself():
    call = {"centres": [(0, 0)], "detail_px": 0, "noise": 0.0, "significance": 1.0, "threads": 1}
    stack, mask = np.zeros((1, 3, 3), np.uint8), np.ones((1, 1), np.uint8)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.adaptive_variance(stack.astype(np.float64), [mask], **call)
    with pytest.raises(ValueError, match="adaptive_variance: detail_px is 4; give 0, or an odd number >= 3"):
        _core.adaptive_variance(stack, [mask], **{**call, "detail_px": 4})
    with pytest.raises(ValueError, match="adaptive_variance: 0 footprints given; give 1 to 255"):
        _core.adaptive_variance(stack, [], **{**call, "centres": []})
    with pytest.raises(ValueError, match="adaptive_variance: the footprint's centre"):
        _core.adaptive_variance(stack, [mask], **{**call, "centres": [(1, 0)]})


def test_the_core_checks_its_device_arrays_for_itself(cuda):
    mask, xp = np.ones((1, 1), np.uint8), cuda.cupy
    call = {"centres": [(0, 0)], "detail_px": 0, "noise": 0.0, "significance": 1.0, "stream": 0}
    arrays = {
        "focus": xp.empty((1, 3, 3), np.float32),
        "window": xp.empty((3, 3), np.uint8),
        "used": xp.empty(1, np.float32),
    }
    stack = cuda.array(np.zeros((1, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"adaptive_variance: one number is \(1,\) but noise is \(2,\)"):
        _core.adaptive_variance(stack, [mask], **call, **{**arrays, "used": xp.empty(2, np.float32)})
    with pytest.raises(ValueError, match=r"adaptive_variance: a plane is \(3, 3\) but window is \(3, 2\)"):
        _core.adaptive_variance(stack, [mask], **call, **{**arrays, "window": xp.empty((3, 2), np.uint8)})
    with pytest.raises(ValueError, match="adaptive_variance: detail_px is 4; give 0, or an odd number >= 3"):
        _core.adaptive_variance(stack, [mask], **{**call, "detail_px": 4}, **arrays)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.adaptive_variance(np.zeros((1, 3, 3), np.uint8), [mask], **call, **arrays)
