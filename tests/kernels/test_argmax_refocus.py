"""Argmax over z and the fit of the focus curve, against their definition, and what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lee import _core
from lee.errors import InputError
from lee.kernels.argmax_refocus import Refocused
from lee.kernels.argmax_refocus import argmax_refocus as argmax_refocus_of
from tests.reference import argmax_refocus as reference


def argmax_refocus(backend, stack, focus, **options):
    return Refocused(
        *map(backend.numpy, argmax_refocus_of(backend.array(stack), backend.array(focus), **options))
    )


@st.composite
def curves(draw):
    """Arbitrary values, ties and gaps included."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 5)))
    values = st.sampled_from([-1.0, 0.0, 1e-20, 0.5, 1.0, 2.0, np.nan, np.inf, -np.inf])
    return draw(hnp.arrays(np.float32, shape, elements=values))


def bells(shape, seed, noise=0.02):
    """Noisy Gaussian focus curves about a random height, with gaps; (focus, centre)."""
    rng = np.random.default_rng(seed)
    z = np.arange(shape[0])[:, None, None]
    centre = rng.uniform(-1, shape[0], shape[1:])
    focus = np.exp(-0.5 * ((z - centre) / 3) ** 2) * rng.uniform(1, 90, shape[1:])
    focus *= 1 + noise * rng.standard_normal(shape)
    focus[rng.random(shape) < 0.03] = np.nan
    return focus.astype(np.float32), centre


@given(focus=curves())
@settings(max_examples=150, deadline=None)
def test_plane_equals_its_definition(backend, focus):
    stack = np.arange(focus.size, dtype=np.uint16).reshape(focus.shape)
    got = argmax_refocus(backend, stack, focus)
    sharp, plane, _, _ = reference.argmax_refocus(stack, focus, np.arange(float(len(focus))), 6)
    np.testing.assert_array_equal(got.plane, plane)
    np.testing.assert_array_equal(got.sharp, sharp)


@pytest.mark.parametrize("reach", [1, 2, 6, 50])
@pytest.mark.parametrize("falling", [False, True])
def test_fit_equals_its_definition(backend, reach, falling):
    focus, _ = bells((17, 9, 31), seed=reach)
    z_um = np.cumsum(np.random.default_rng(1).uniform(0.1, 0.4, 17))
    z_um = z_um[::-1].copy() if falling else z_um
    got = argmax_refocus(backend, focus, focus, z_um=z_um, reach=reach)
    _, _, height, sigma = reference.argmax_refocus(focus, focus, z_um, reach)
    # float32 output, normal equations in float64: 2e-6 of a step.
    np.testing.assert_allclose(got.height_um, height, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.sigma_um, sigma, rtol=1e-4, atol=1e-6)
    assert np.isfinite(height).sum() > 100


def test_finds_the_centre_of_a_gaussian_to_a_thousandth_of_a_step(backend):
    z_um = 0.2 * np.arange(40)
    centre = np.linspace(1.0, 6.8, 300).reshape(3, 100)
    focus = np.exp(-0.5 * ((z_um[:, None, None] - centre) / 0.9) ** 2).astype(np.float32)
    got = argmax_refocus(backend, np.zeros(focus.shape, np.uint8), focus, z_um=z_um)
    np.testing.assert_allclose(got.height_um, centre, atol=2e-4)
    assert (got.sigma_um < 1e-4).all()


def test_sigma_is_the_scatter_of_the_heights(backend):
    rng = np.random.default_rng(2)
    z_um = 0.2 * np.arange(30)
    bell = np.exp(-0.5 * ((z_um - 3.03) / 1.2) ** 2)[:, None, None]
    noisy = (bell + 0.01 * rng.standard_normal((30, 80, 80))).astype(np.float32)
    got = argmax_refocus(backend, noisy, noisy, z_um=z_um, reach=6)
    errors = (got.height_um - 3.03) / got.sigma_um
    assert 0.6 < (np.abs(errors) < 1).mean() < 0.75
    assert got.height_um.std() == pytest.approx(np.sqrt((got.sigma_um**2).mean()), rel=0.1)


def test_a_maximum_at_an_end_has_a_plane_but_no_height(backend):
    z = np.arange(9.0)[:, None, None]
    for centre, plane in ((-1.0, 0), (9.5, 8)):
        focus = np.exp(-0.5 * ((z - centre) / 2) ** 2).astype(np.float32)
        got = argmax_refocus(backend, 10 * focus, focus)
        assert got.plane.item() == plane
        assert got.sharp.item() == pytest.approx(10 * focus[plane].item())
        assert np.isnan(got.height_um).all()
        assert np.isnan(got.sigma_um).all()


def test_flat_and_empty_curves(backend):
    focus = np.zeros((5, 1, 3), np.float32)
    focus[:, 0, 1] = np.nan
    focus[:, 0, 2] = 7
    got = argmax_refocus(backend, np.ones((5, 1, 3), np.uint8), focus)
    assert got.plane.tolist() == [[0, -1, 0]]
    np.testing.assert_array_equal(got.sharp, [[1, np.nan, 1]])
    assert np.isnan(got.height_um).all()


def test_threads_and_dtypes_do_not_change_the_result():
    focus, _ = bells((20, 33, 70), seed=9)
    stack = np.random.default_rng(0).integers(0, 255, focus.shape).astype(np.uint8)
    one = argmax_refocus_of(stack, focus, threads=1)
    for other in (
        argmax_refocus_of(stack, focus, threads=3),
        argmax_refocus_of(stack.astype(np.uint16), focus),
        argmax_refocus_of(stack.astype(np.int64), np.asfortranarray(focus.astype(np.float64))),
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("shape", "reach"),
    [((1, 1, 1), 6), ((2, 1, 300), 1), ((3, 257, 1), 4), ((23, 13, 41), 6), ((5, 7, 9), 99)],
)
def test_both_backends_agree_bit_for_bit(cuda, shape, reach, dtype):
    focus, _ = bells(shape, seed=shape[1])
    # Ties, gaps, and values that no fit can use.
    focus[:, shape[1] // 2] = np.round(focus[:, shape[1] // 2] / 20)
    focus[:, 0, 0] = np.nan
    focus[0, -1] = np.inf
    focus[-1, :, -1] = 1e-30
    rng = np.random.default_rng(4)
    stack = rng.integers(0, 250, shape).astype(dtype)
    z_um = 7.0 - np.cumsum(rng.uniform(0.1, 0.4, shape[0]))
    host = argmax_refocus_of(stack, focus, z_um=z_um, reach=reach)
    for got, expected in zip(argmax_refocus(cuda, stack, focus, z_um=z_um, reach=reach), host, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


class OnlyInterface:
    """What another library may offer of an array on a CUDA device."""

    def __init__(self, array):
        self.__cuda_array_interface__ = array.__cuda_array_interface__
        self._keep = array


class OnlyDlpack:
    def __init__(self, array):
        self._array = array

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)


@pytest.mark.parametrize("foreign", [OnlyInterface, OnlyDlpack])
def test_arrays_of_other_libraries_are_taken_as_they_are(cuda, foreign):
    focus, _ = bells((9, 5, 8), seed=3)
    stack = np.arange(focus.size, dtype=np.uint16).reshape(focus.shape)
    got = argmax_refocus_of(foreign(cuda.array(stack)), foreign(cuda.array(focus)))
    for ours, expected in zip(got, argmax_refocus_of(stack, focus), strict=True):
        np.testing.assert_array_equal(cuda.numpy(ours), expected)


def test_nothing_is_moved_between_host_and_device(cuda):
    frames = np.zeros((4, 2, 3), np.float32)
    device = cuda.array(frames)
    with pytest.raises(
        TypeError, match="argmax_refocus: focus on the CUDA device but stack not; nothing is moved silently"
    ):
        argmax_refocus_of(frames, device)
    with pytest.raises(
        TypeError, match="argmax_refocus: stack on the CUDA device but focus not; nothing is moved silently"
    ):
        argmax_refocus_of(device, frames)
    with pytest.raises(InputError, match="argmax_refocus: z_um is on the CUDA device; give heights in the"):
        argmax_refocus_of(device, device, z_um=cuda.array(np.arange(4.0)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"stack": np.zeros((4, 2, 3))},
            "stack on the CUDA device holds float64; convert it to uint8 or uint16 or float32",
        ),
        ({"focus": np.zeros((4, 2, 3))}, "focus on the CUDA device holds float64; convert it to float32"),
        ({"stack": np.zeros((2, 3), np.uint8)}, r"stack has shape \(2, 3\); give a non-empty \(Z, H, W\)"),
        ({"focus": np.zeros((4, 0, 3), np.float32)}, r"focus has shape \(4, 0, 3\); give a non-empty"),
        ({"focus": np.zeros((4, 2, 2), np.float32)}, r"stack is \(4, 2, 3\) but focus is \(4, 2, 2\)"),
        ({"z_um": [0, 1]}, r"z_um has shape \(2,\); give a height for each of 4 planes"),
        ({"reach": 0}, "reach is 0; give a number of planes >= 1"),
    ],
)
def test_bad_arguments_on_the_device_are_refused(cuda, arguments, message):
    frames = {name: np.zeros((4, 2, 3), np.float32) for name in ("stack", "focus")}
    inputs = {**frames, **arguments}
    on_device = {name: cuda.array(inputs.pop(name)) for name in ("stack", "focus")}
    with pytest.raises(InputError, match=f"argmax_refocus: {message}"):
        argmax_refocus_of(**on_device, **inputs)


def test_a_layout_with_gaps_is_refused_on_the_device(cuda):
    frames = cuda.array(np.zeros((4, 2, 6), np.float32))
    with pytest.raises(InputError, match=r"argmax_refocus: focus on the CUDA device is not contiguous; give"):
        argmax_refocus_of(cuda.array(np.zeros((4, 2, 3), np.uint8)), frames[:, :, ::2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"stack": np.zeros((2, 3))},
            r"argmax_refocus: stack has shape \(2, 3\); give a non-empty \(Z, H, W\)",
        ),
        ({"focus": np.zeros((3, 2, 3))}, r"stack is \(4, 2, 3\) but focus is \(3, 2, 3\); give equal shapes"),
        ({"focus": np.full((4, 2, 3), "a")}, "argmax_refocus: focus holds <U1; give real numbers"),
        ({"z_um": [0, 1]}, r"z_um has shape \(2,\); give a height for each of 4 planes"),
        ({"z_um": [0, 1, 1, 2]}, "z_um is not finite and strictly monotonic"),
        ({"z_um": [0, 1, np.nan, 2]}, "z_um is not finite and strictly monotonic"),
        ({"reach": 0}, "argmax_refocus: reach is 0; give a number of planes >= 1"),
        ({"threads": -2}, "argmax_refocus: threads is -2; give 0 for all cores"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        argmax_refocus_of(**{"stack": np.zeros((4, 2, 3)), "focus": np.zeros((4, 2, 3)), **arguments})


def test_the_core_checks_for_itself():
    plane = np.zeros((4, 2, 3), np.float32)
    with pytest.raises(ValueError, match=r"argmax_refocus: a pixel's focus is \(4,\) but z_um is \(3,\)"):
        _core.argmax_refocus(plane, plane, z_um=np.arange(3.0), reach=1, threads=1)
    with pytest.raises(ValueError, match="argmax_refocus: z_um neither rises nor falls strictly"):
        _core.argmax_refocus(plane, plane, z_um=np.zeros(4), reach=1, threads=1)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.argmax_refocus(plane, plane.astype(np.float64), z_um=np.arange(4.0), reach=1, threads=1)
