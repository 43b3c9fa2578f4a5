"""The depth of field is measured on the stack: it follows the optics, not the scan's range or step."""

import numpy as np
import pytest

from lee.devices.virtual import Optics, flat, gentle, render_scan, rugged
from lee.reconstruction.depth_of_field import depth_of_field_um
from lee.stacks.stack import ZStack

SHAPE, PIXEL_UM = (160, 176), 0.25


def depth_of(scene, z_um=None, optics=None):
    scan = render_scan(scene, optics, z_um, seed=1)
    return depth_of_field_um(ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um))


@pytest.fixture(scope="module")
def usual():
    return depth_of(gentle(SHAPE, PIXEL_UM, 3))


def test_of_the_rig_it_is_three_to_four_microns(usual):
    assert 2.8 < usual < 4.0


@pytest.mark.parametrize("make", [flat, gentle, rugged])
def test_relief_changes_it_little(make, usual):
    assert depth_of(make(SHAPE, PIXEL_UM, 5)) == pytest.approx(usual, rel=0.25)


@pytest.mark.parametrize("step_um", [0.1, 0.5, 1.0])
def test_the_step_changes_it_little(step_um, usual):
    scene = gentle(SHAPE, PIXEL_UM, 3)
    assert depth_of(scene, scene.z_range(step_um)) == pytest.approx(usual, rel=0.15)


def test_a_longer_scan_and_a_falling_one_change_it_little(usual):
    scene = gentle(SHAPE, PIXEL_UM, 3)
    z = scene.z_range(0.25, margin_um=12.0)
    assert depth_of(scene, z) == pytest.approx(usual, rel=0.15)
    assert depth_of(scene, z[::-1]) == pytest.approx(usual, rel=0.15)


def test_a_smaller_aperture_makes_it_deeper(usual):
    scene = gentle(SHAPE, PIXEL_UM, 3)
    wide = depth_of(scene, scene.z_range(0.4, margin_um=8.0), Optics(na=0.35))
    # Diffraction alone: as the inverse square of the aperture.
    assert wide == pytest.approx(usual * (0.5 / 0.35) ** 2, rel=0.25)


@pytest.mark.parametrize(
    "frames",
    [
        np.full((12, 40, 50), 9, np.uint8),
        np.random.default_rng(0).integers(90, 110, (3, 40, 50)).astype(np.uint8),
        np.random.default_rng(0).integers(90, 110, (3, 1, 1)).astype(np.uint16),
    ],
    ids=["constant", "noise in three frames", "one pixel"],
)
def test_without_a_focus_curve_there_is_none(frames):
    assert depth_of_field_um(ZStack.from_array(frames, np.arange(len(frames)), 0.25)) is None


def test_curves_cut_off_by_the_end_of_the_scan_do_not_count():
    scene = flat(SHAPE, PIXEL_UM, 3)
    z = np.arange(0.0, 1.5, 0.1) + float(np.median(scene.height_um)) + 0.5
    assert depth_of(scene, z) is None


@pytest.mark.parametrize("course", ["random", "beat"])
def test_a_lamps_flicker_does_not_change_it(usual, course):
    scan = render_scan(gentle(SHAPE, PIXEL_UM, 3), seed=1)
    k = np.arange(len(scan.frames))
    factors = {
        "random": 1 + 0.3 * np.random.default_rng(2).uniform(-1, 1, len(k)),
        "beat": 1 + 0.2 * np.sin(2 * np.pi * k / 20),
    }[course]
    frames = (0.7 * scan.frames * factors[:, None, None]).clip(0, 255).astype(np.uint8)
    found = depth_of_field_um(ZStack.from_array(frames, scan.z_um, scan.pixel_um))
    assert found == pytest.approx(usual, rel=0.02)
