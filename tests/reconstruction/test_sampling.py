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
    np.testing.assert_array_equal(sampling_sigma_um(height, np.array([1.0]), 1.0), 0)


def test_the_wider_step_beside_a_height_counts():
    z_um = np.array([0.0, 0.5, 1.0, 2.0, 2.5, 3.0])
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
