"""Artefact masks, one a reason: no focus, uncertain, beneath a bubble, specular spike."""

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import Bubble, gentle, render_scan
from lee.reconstruction.artefact_masks import CELL_PX, mask_artefacts
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.stacks.stack import ZStack

SHAPE = (160, 200)
CELLS = (10, 13)
DEPTH_UM = 3.5
REASONS = ("no focus", "uncertain", "bubble", "spike")


def quiet(cells=CELLS):
    return (
        np.full(cells, 95, np.float32),
        np.full(cells, 105, np.float32),
        np.zeros(cells, np.float32),
    )


def relief():
    y, x = np.indices(SHAPE)
    return (2 * np.sin(x / 40) + np.cos(y / 35)).astype(np.float32)


def masks_of(height, sigma=None, brightness=None):
    sigma = np.full(height.shape, 0.05, np.float32) if sigma is None else sigma
    masks = mask_artefacts(height, sigma, brightness=brightness or quiet(), pixel_um=0.25, depth_um=DEPTH_UM)
    assert tuple(masks) == REASONS
    assert all(mask.shape == height.shape and mask.dtype == bool for mask in masks.values())
    assert (np.sum(list(masks.values()), axis=0) <= 1).all()
    return masks


def test_smooth_relief_is_masked_nowhere():
    assert not any(mask.any() for mask in masks_of(relief()).values())


def test_no_focus_and_uncertain_heights_are_themselves():
    height, sigma = relief(), np.full(SHAPE, 0.05, np.float32)
    height[10:20, 30:50] = sigma[10:20, 30:50] = np.nan
    sigma[60:70, 80:100] = 0.5 * DEPTH_UM
    masks = masks_of(height, sigma)
    expected = {reason: np.zeros(SHAPE, bool) for reason in REASONS}
    expected["no focus"][10:20, 30:50] = True
    expected["uncertain"][60:70, 80:100] = True
    for reason in REASONS:
        np.testing.assert_array_equal(masks[reason], expected[reason])


@pytest.mark.parametrize("sign", [1, -1])
def test_spikes_either_way_are_found_and_broad_hills_are_none(sign):
    height = relief()
    height[40:44, 60:64] += sign * 3.0
    y, x = np.indices(SHAPE)
    height += sign * 4 * np.exp(-((y - 110) ** 2 + (x - 140) ** 2) / (2 * 12.0**2)).astype(np.float32)
    spike = masks_of(height)["spike"]
    assert spike[40:44, 60:64].all()
    assert spike.sum() <= 36
    assert not spike[80:140, 110:170].any()


def bubble_brightness():
    lowest, highest, saturated = quiet()
    highest[3:7, 4:8] = 250
    saturated[4:6, 5:7] = 0.5
    return lowest, highest, saturated


def test_a_bubble_s_cells_are_masked_where_the_height_jumps():
    height = relief()
    height[56:104, 72:120] += 9.0
    bubble = masks_of(height, brightness=bubble_brightness())["bubble"]
    assert bubble[60:100, 76:116].all()
    reach = ndimage.binary_dilation(np.pad(np.ones((64, 64), bool), 60), iterations=50)
    assert bubble.sum() < reach.sum()
    assert not bubble[:, 160:].any()


def test_surface_that_continues_through_unsteady_cells_stays():
    masks = masks_of(relief(), brightness=bubble_brightness())
    assert masks["bubble"].mean() < 0.05


def test_unsteady_cells_that_never_saturate_mask_nothing():
    lowest, highest, _ = bubble_brightness()
    height = relief()
    height[56:104, 72:120] += 9.0
    assert not masks_of(height, brightness=(lowest, highest, np.zeros(CELLS, np.float32)))["bubble"].any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 16)])
def test_small_fields(shape):
    cells = tuple(-(-n // CELL_PX) for n in shape)
    masks = masks_of(np.zeros(shape, np.float32), brightness=quiet(cells))
    assert not any(mask.any() for mask in masks.values())


def test_a_rendered_bubble_is_masked_and_the_rest_is_not():
    scene = gentle((256, 256), 0.25, 4).with_bubbles(1, 6, (7.0, 8.0))
    assert isinstance(scene.bubbles[0], Bubble)
    scan = render_scan(scene, seed=1)
    stack = ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
    surface = reconstruct(stack, params=ReconstructParams(drift=False))
    far = ~ndimage.binary_dilation(scan.touched, iterations=30)
    assert surface.valid[far].mean() > 0.99
    wrong = np.abs(surface.height_um - scan.truth_um) > 1.5
    assert wrong[scan.touched].mean() < 0.05
    assert (~surface.valid[scan.touched]).mean() > 0.5
