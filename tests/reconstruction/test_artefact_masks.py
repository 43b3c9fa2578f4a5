"""Artefact masks, one a reason: no texture, beyond the scan, uncertain, specular spike."""

import numpy as np
import pytest
from scipy import ndimage

from lee.reconstruction.artefact_masks import (
    bare_patches,
    out_of_range,
    sigma_beside_bare_patches,
    spikes,
    uncertain,
)
from lee.reconstruction.focus.cells import CellRecord
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.stacks.stack import ZStack
from tests.support.focal_stacks import focal_stack, hill, texture

SHAPE = (160, 200)
DEPTH_UM = 3.5


def relief():
    y, x = np.indices(SHAPE)
    return (2 * np.sin(x / 40) + np.cos(y / 35)).astype(np.float32)


def test_smooth_relief_is_masked_nowhere():
    assert not spikes(relief(), DEPTH_UM).any()
    assert not bare_patches(np.isfinite(relief())).any()


def test_uncertain_heights_are_those_of_a_large_standard_deviation():
    sigma = np.array([[0.1, 0.34 * DEPTH_UM, 0.36 * DEPTH_UM, np.nan]], np.float32)
    np.testing.assert_array_equal(uncertain(sigma, DEPTH_UM), [[False, False, True, True]])


@pytest.mark.parametrize("sign", [1, -1])
def test_spikes_either_way_are_found_and_broad_hills_are_none(sign):
    height = relief()
    height[40:44, 60:64] += sign * 3.0
    y, x = np.indices(SHAPE)
    height += sign * 4 * np.exp(-((y - 110) ** 2 + (x - 140) ** 2) / (2 * 12.0**2)).astype(np.float32)
    spike = spikes(height, DEPTH_UM)
    assert spike[40:44, 60:64].all()
    assert spike.sum() <= 36
    assert not spike[80:140, 110:170].any()


def test_wide_patches_with_nothing_in_focus_are_bare_with_their_edges_and_specks_without():
    height = relief()
    height[50:90, 60:110] = np.nan
    height[20, 30] = height[120, 20:22] = np.nan
    bare = bare_patches(np.isfinite(height))
    assert bare[50:90, 60:110].all()
    assert bare[70, 57:113].all()
    assert bare[20, 30]
    assert bare[120, 20:22].all()
    assert bare.sum() < 50 * 60 + 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (17, 16)])
def test_small_fields(shape):
    height = np.zeros(shape, np.float32)
    none = np.zeros((5, 0, 0), np.float32)
    record = CellRecord(np.arange(5.0), none, none, none[0])
    assert not bare_patches(np.isfinite(height)).any()
    assert not out_of_range(height, record, np.zeros(shape, bool)).any()
    assert bare_patches(np.zeros(shape, bool)).all()


def test_windows_beside_a_bare_patch_see_the_height_beside():
    x = np.indices(SHAPE)[1]
    bare = np.zeros(SHAPE, bool)
    bare[60:100, 80:120] = True
    sigma = sigma_beside_bare_patches((0.1 * x).astype(np.float32), bare)
    np.testing.assert_allclose(sigma[80, 76:80], 0.175, rtol=0.01)
    assert (sigma[:, :70] == 0).all()
    np.testing.assert_array_equal(sigma_beside_bare_patches(relief(), np.zeros(SHAPE, bool)), 0)


def surface_of(frames, z_um):
    stack = ZStack.from_array(frames, z_um, 0.5)
    return reconstruct(stack, params=ReconstructParams(drift=False))


@pytest.mark.parametrize("contrast", [0.06, 0.25], ids=["weak", "strong"])
def test_patches_without_texture_are_not_measured_and_texture_beside_them_is(contrast):
    bright = texture(SHAPE, contrast=contrast)
    patch = np.zeros(SHAPE, bool)
    patch[30:75, 40:90] = patch[95:140, 110:150] = True
    bright[patch] = 120
    heights, frames, z_um = focal_stack(SHAPE, 41, bright=bright)
    surface = surface_of(frames, z_um)
    assert surface.valid[patch].mean() < 0.1
    assert surface.valid[~ndimage.binary_dilation(patch, iterations=5)].mean() > 0.97
    assert surface.metadata["not_measured_px"]["no texture"] > 0.8 * patch.sum()
    error = np.abs(surface.height_um - heights)[surface.valid & patch]
    assert np.mean(error > 3 * surface.height_sigma_um[surface.valid & patch]) < 0.05


@pytest.mark.parametrize("z_um", [(6.0, 14.0), (-3.0, 5.2)], ids=["above its foot", "below its top"])
def test_a_surface_beyond_the_scan_is_not_measured(z_um):
    heights, frames, at = focal_stack(SHAPE, 41, heights=hill(SHAPE), z_um=z_um)
    surface = surface_of(frames, at)
    beyond = (heights < at[0]) | (heights > at[-1])
    inside = (heights > at[0] + 1) & (heights < at[-1] - 1)
    assert beyond.mean() > 0.2
    assert surface.valid[beyond].mean() < 0.01
    assert surface.valid[inside].mean() > 0.9
    reasons = surface.metadata["not_measured_px"]
    assert reasons["out of range"] > 0.5 * beyond.sum()


@pytest.mark.parametrize("apart_um", [pytest.param(2.0, marks=pytest.mark.slow), 5.0])
def test_of_two_surfaces_as_good_none_is_measured(apart_um):
    """A film and what lies beneath: each pixel's larger maximum would be of one or the other by chance."""
    heights, lower, z_um = focal_stack(SHAPE, 61, z_um=(0.0, 18.0))
    film = texture(SHAPE, seed=9)
    _, upper, _ = focal_stack(SHAPE, 61, heights=heights + apart_um, bright=film, z_um=(0.0, 18.0), seed=3)
    frames = ((lower.astype(float) + upper) / 2).round().astype(np.uint8)
    surface = surface_of(frames, z_um)
    assert surface.coverage < 0.1
    assert surface.metadata["not_measured_px"]["two maxima"] > 0.7 * surface.valid.size


def test_a_weak_second_surface_changes_nothing():
    heights, lower, z_um = focal_stack(SHAPE, 61, z_um=(0.0, 18.0))
    _, upper, _ = focal_stack(
        SHAPE, 61, heights=heights + 4, bright=texture(SHAPE, seed=9), z_um=(0.0, 18.0), seed=3
    )
    frames = (0.75 * lower.astype(float) + 0.25 * upper).round().astype(np.uint8)
    surface = surface_of(frames, z_um)
    assert surface.coverage > 0.95
    assert np.quantile(np.abs(surface.height_um - heights)[surface.valid], 0.99) < 0.5


def test_noise_alone_is_measured_nowhere():
    frames = np.random.default_rng(0).normal(1000, 30, (31, 96, 128)).astype(np.uint16)
    assert surface_of(frames, np.arange(31) * 0.4).coverage < 0.01
