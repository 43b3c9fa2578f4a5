"""Heights between steps as wide as the focus curve state what the steps cost."""

import warnings

import numpy as np
import pytest

from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.reconstruction.sampling import sampling_sigma_um
from lee.stacks.stack import ZStack
from tests.support.focal_stacks import focal_stack


def test_fine_steps_cost_nothing():
    height = np.full((3, 4), 2.0, np.float32)
    np.testing.assert_array_equal(sampling_sigma_um(height, np.arange(10) * 0.5, 1.0), 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_near_an_end_the_focus_curve_is_cut_off(sign):
    height = sign * np.array([[0.0, 0.5, 1.4, 5.0, 9.5]], np.float32)
    sigma = sampling_sigma_um(height, sign * np.arange(101) * 0.1, 2.0)[0]
    np.testing.assert_allclose(sigma, [0.28, 0.18, 0, 0, 0.18], atol=1e-6)


@pytest.mark.parametrize("z_um", [(6.0, 14.0), (-3.0, 5.2)], ids=["from the bottom", "to the top"])
def test_heights_near_the_ends_stay_within_their_standard_deviation(z_um):
    heights, frames, at = focal_stack((96, 112), 41, z_um=z_um)
    params = ReconstructParams(drift=False, second_look=False)
    surface = reconstruct(ZStack.from_array(frames, at, 0.5), params=params)
    depth = surface.provenance.depth_of_field.um
    to_end = np.minimum(surface.height_um - at[0], at[-1] - surface.height_um)
    near = surface.valid & (to_end < 0.6 * depth)
    error = np.abs(surface.height_um - heights)[near]
    assert near.sum() > 100
    assert np.mean(error < 3 * surface.height_sigma_um[near]) > 0.9


def test_the_wider_step_beside_a_height_counts():
    z_um = np.array([-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0])
    height = np.array([[0.4, 0.9, 1.9, np.nan]], np.float32)
    sigma = sampling_sigma_um(height, z_um, 1.0)[0]
    assert sigma[0] == 0
    np.testing.assert_allclose(sigma[1:3], 0.33, rtol=0.01)
    assert np.isnan(sigma[3])
    np.testing.assert_array_equal(sampling_sigma_um(height, z_um[::-1], 1.0)[0], sigma)


def test_steps_too_coarse_are_told():
    with pytest.warns(UserWarning, match="the steps of 2 µm are as wide as the focus curve: .* scan"):
        sampling_sigma_um(np.zeros((2, 2), np.float32), np.arange(5) * 2.0, 2.1)


@pytest.mark.parametrize("count", [7, 10, 13, 16, 22, 40])
@pytest.mark.parametrize("blur_px_per_um", [0.6, 1.0, 1.6])
def test_errors_stay_within_the_standard_deviation_whatever_the_step(count, blur_px_per_um):
    heights, frames, z_um = focal_stack((96, 112), count, blur_px_per_um=blur_px_per_um)
    stack = ZStack.from_array(frames, z_um, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        surface = reconstruct(stack, params=ReconstructParams(drift=False))
    error = np.abs(surface.height_um - heights)[surface.valid]
    assert surface.coverage > 0.7
    assert np.mean(error < 3 * surface.height_sigma_um[surface.valid]) > 0.97
