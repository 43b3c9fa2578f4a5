"""Argmax over z and the fit of the focus curve, against their definition, and what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lee import _core
from lee.errors import InputError
from lee.kernels import argmax_refocus
from tests.reference import argmax_refocus as reference


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
def test_plane_equals_its_definition(focus):
    stack = np.arange(focus.size, dtype=np.uint16).reshape(focus.shape)
    got = argmax_refocus(stack, focus)
    sharp, plane, _, _ = reference.argmax_refocus(stack, focus, np.arange(float(len(focus))), 6)
    np.testing.assert_array_equal(got.plane, plane)
    np.testing.assert_array_equal(got.sharp, sharp)


@pytest.mark.parametrize("reach", [1, 2, 6, 50])
@pytest.mark.parametrize("falling", [False, True])
def test_fit_equals_its_definition(reach, falling):
    focus, _ = bells((17, 9, 31), seed=reach)
    z_um = np.cumsum(np.random.default_rng(1).uniform(0.1, 0.4, 17))
    z_um = z_um[::-1].copy() if falling else z_um
    got = argmax_refocus(focus, focus, z_um=z_um, reach=reach)
    _, _, height, sigma = reference.argmax_refocus(focus, focus, z_um, reach)
    # float32 output, normal equations in float64: 2e-6 of a step.
    np.testing.assert_allclose(got.height_um, height, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.sigma_um, sigma, rtol=1e-4, atol=1e-6)
    assert np.isfinite(height).sum() > 100


def test_finds_the_centre_of_a_gaussian_to_a_thousandth_of_a_step():
    z_um = 0.2 * np.arange(40)
    centre = np.linspace(1.0, 6.8, 300).reshape(3, 100)
    focus = np.exp(-0.5 * ((z_um[:, None, None] - centre) / 0.9) ** 2).astype(np.float32)
    got = argmax_refocus(np.zeros(focus.shape, np.uint8), focus, z_um=z_um)
    np.testing.assert_allclose(got.height_um, centre, atol=2e-4)
    assert (got.sigma_um < 1e-4).all()


def test_sigma_is_the_scatter_of_the_heights():
    rng = np.random.default_rng(2)
    z_um = 0.2 * np.arange(30)
    noisy = np.exp(-0.5 * ((z_um - 3.03) / 1.2) ** 2)[:, None, None] + 0.01 * rng.standard_normal(
        (30, 80, 80)
    )
    got = argmax_refocus(noisy, noisy, z_um=z_um, reach=6)
    errors = (got.height_um - 3.03) / got.sigma_um
    assert 0.6 < (np.abs(errors) < 1).mean() < 0.75
    assert got.height_um.std() == pytest.approx(np.sqrt((got.sigma_um**2).mean()), rel=0.1)


def test_a_maximum_at_an_end_has_a_plane_but_no_height():
    z = np.arange(9.0)[:, None, None]
    for centre, plane in ((-1.0, 0), (9.5, 8)):
        focus = np.exp(-0.5 * ((z - centre) / 2) ** 2).astype(np.float32)
        got = argmax_refocus(10 * focus, focus)
        assert got.plane.item() == plane
        assert got.sharp.item() == pytest.approx(10 * focus[plane].item())
        assert np.isnan(got.height_um).all()
        assert np.isnan(got.sigma_um).all()


def test_flat_and_empty_curves():
    focus = np.zeros((5, 1, 3), np.float32)
    focus[:, 0, 1] = np.nan
    focus[:, 0, 2] = 7
    got = argmax_refocus(np.ones((5, 1, 3), np.uint8), focus)
    assert got.plane.tolist() == [[0, -1, 0]]
    np.testing.assert_array_equal(got.sharp, [[1, np.nan, 1]])
    assert np.isnan(got.height_um).all()


def test_threads_and_dtypes_do_not_change_the_result():
    focus, _ = bells((20, 33, 70), seed=9)
    stack = np.random.default_rng(0).integers(0, 255, focus.shape).astype(np.uint8)
    one = argmax_refocus(stack, focus, threads=1)
    for other in (
        argmax_refocus(stack, focus, threads=3),
        argmax_refocus(stack.astype(np.uint16), focus),
        argmax_refocus(stack.astype(np.int64), np.asfortranarray(focus.astype(np.float64))),
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


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
        argmax_refocus(**{"stack": np.zeros((4, 2, 3)), "focus": np.zeros((4, 2, 3)), **arguments})


def test_the_core_checks_for_itself():
    plane = np.zeros((4, 2, 3), np.float32)
    with pytest.raises(ValueError, match=r"argmax_refocus: a pixel's focus is \(4,\) but z_um is \(3,\)"):
        _core.argmax_refocus(plane, plane, z_um=np.arange(3.0), reach=1, threads=1)
    with pytest.raises(ValueError, match="argmax_refocus: z_um neither rises nor falls strictly"):
        _core.argmax_refocus(plane, plane, z_um=np.zeros(4), reach=1, threads=1)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _core.argmax_refocus(plane, plane.astype(np.float64), z_um=np.arange(4.0), reach=1, threads=1)
