"""Scans are aligned to a few hundredths of a pixel though the surface grows in between."""

from __future__ import annotations

import numpy as np
import pytest

from lee.devices.virtual import Optics
from lee.devices.virtual.scene.texture import facing, grains
from lee.errors import InputError
from lee.reconstruction.motion.subpixel_shift import shift_frame
from lee.series.alignment.lateral_drift import lateral_drift
from lee.series.alignment.scan_alignment import align, apply_alignment
from lee.surfaces.resampling import shift_map
from tests.support.growing_relief import PIXEL_UM, Grown, grown, rms

SEEDS = (1, 2, 3)
SHAPE = (192, 208)
COUNT = 12


def recorded(
    seed: int, *, sway_px: float = 0.8, axial_um: float = 0.3, gaps: bool = True
) -> tuple[Grown, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, heights and images of a drifting run, lateral drift (T, 2) px and axial drift (T,) um.

    The surface's texture gives way to another while it grows, and its slopes shade it anew at every scan.
    """
    truth = grown(seed, shape=SHAPE, scans=COUNT)
    rng = np.random.default_rng(100 + seed)
    before, after = (grains(SHAPE, PIXEL_UM, rng) for _ in range(2))
    drift = np.cumsum(rng.normal(0, sway_px, (COUNT, 2)), axis=0)
    axial = np.cumsum(rng.normal(0, axial_um, COUNT))
    drift, axial = drift - drift[0], axial - axial[0]
    heights, images = [], []
    for k, height in enumerate(truth.height_um.astype(np.float32)):
        share = 0.5 * k / COUNT
        image = 500 * ((1 - share) * before + share * after) * facing(height, PIXEL_UM, Optics())
        images.append(shift_frame(image.astype(np.float32), *drift[k]) + rng.normal(0, 10, SHAPE))
        heights.append(shift_frame(height, *drift[k]) + rng.normal(0, 0.05, SHAPE) + axial[k])
    height, image = np.array(heights, np.float32), np.array(images, np.float32)
    if gaps:
        height[rng.random(height.shape) < 0.02] = np.nan
        height[3:7, 40:80, 60:110] = np.nan
    return truth, height, image, drift, axial


@pytest.mark.parametrize("seed", SEEDS)
def test_images_align_to_three_hundredths_of_a_pixel(seed: int) -> None:
    _, height, image, drift, _ = recorded(seed)
    found = align(height, image, pixel_um=PIXEL_UM)
    assert rms(found.shift_px - drift) < 0.03  # must 0.1
    assert found.shift_px[0].tolist() == [0, 0]
    assert rms((found.shift_px - drift)[1:] / found.shift_sigma_px[1:]) < 4


@pytest.mark.parametrize("seed", SEEDS)
def test_heights_alone_align_to_a_tenth_of_a_pixel(seed: int) -> None:
    _, height, _, drift, _ = recorded(seed)
    assert rms(align(height, pixel_um=PIXEL_UM).shift_px - drift) < 0.1


def test_a_still_stage_is_found_still() -> None:
    _, height, image, _, _ = recorded(1, sway_px=0)
    assert rms(align(height, image, pixel_um=PIXEL_UM).shift_px) < 0.02


def test_far_drift_is_followed() -> None:
    _, _, image, drift, _ = recorded(2, sway_px=5)
    assert np.abs(drift).max() > 12
    assert rms(lateral_drift(image).shift_px - drift) < 0.05


def test_large_fields_are_compared_at_full_resolution() -> None:
    rng = np.random.default_rng(7)
    texture = 500 * grains((700, 1300), PIXEL_UM, rng)
    truth = np.array([[0, 0], [3.37, -1.62], [-7.21, 2.9]])
    images = [shift_frame(texture, *shift) + rng.normal(0, 10, texture.shape) for shift in truth]
    assert rms(lateral_drift([one.astype(np.float32) for one in images]).shift_px - truth) < 0.02


def test_a_scan_that_failed_is_a_hole() -> None:
    _, height, image, drift, _ = recorded(3)
    height[4] = image[4] = np.nan
    found = align(height, image, pixel_um=PIXEL_UM)
    assert np.isnan(found.shift_px[4]).all()
    rest = np.arange(COUNT) != 4
    assert rms((found.shift_px - drift)[rest]) < 0.03
    assert np.isnan(apply_alignment(found, height)[4]).all()


def test_a_failed_first_scan_leaves_the_next_as_reference() -> None:
    _, height, image, drift, _ = recorded(1)
    height[0] = image[0] = np.nan
    found = align(height, image, pixel_um=PIXEL_UM)
    assert np.isnan(found.shift_px[0]).all()
    assert rms(found.shift_px[1:] - (drift[1:] - drift[1])) < 0.04


def test_one_scan_of_something_else_does_not_bend_the_chain() -> None:
    _, _, image, drift, _ = recorded(2)
    image[6] = 500 * grains(SHAPE, PIXEL_UM, np.random.default_rng(99))
    found = lateral_drift(image)
    rest = np.arange(COUNT) != 6
    assert rms((found.shift_px - drift)[rest]) < 0.1


@pytest.mark.parametrize("kind", ["region", "fiducial"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_does_not_grow_gives_the_axial_drift(seed: int, kind: str) -> None:
    truth, height, image, drift, axial = recorded(seed)
    still = np.zeros(SHAPE, np.bool_)
    still[120:170, 30:90] = True
    rng = np.random.default_rng(seed)
    for k in range(COUNT):  # a part of the field stays as it was
        kept = shift_frame(truth.height_um[0].astype(np.float32), *drift[k])
        wide = shift_frame(still.astype(np.float32), *drift[k]) > 0.01
        height[k][wide] = (kept + axial[k] + rng.normal(0, 0.05, SHAPE))[wide]
    height[5, 130:150, 40:60] = np.nan
    height[7, 125:140, 60:80] += 2.0  # a bubble on the reference
    found = align(height, image, pixel_um=PIXEL_UM, reference=(kind, "R0", still))
    assert found.reference == f"{kind} R0"
    assert "assumed not to grow" in found.implies
    assert np.abs(found.axial_um - axial).max() < 0.015
    assert (found.axial_sigma_um[1:] < 0.02).all()
    bare = align(height, image, pixel_um=PIXEL_UM, reference=still)
    np.testing.assert_array_equal(bare.axial_um, found.axial_um)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stated_mean_growth_gives_the_axial_drift(seed: int) -> None:
    truth, height, image, _, axial = recorded(seed)
    model = (truth.height_um - truth.height_um[0]).mean(axis=(1, 2))
    found = align(height, image, pixel_um=PIXEL_UM, reference=("model", model))
    # Where nothing is measured, growth is taken as elsewhere.
    assert np.abs(found.axial_um - axial).max() < 0.1
    assert "stated" in found.implies


def test_without_a_reference_axial_drift_is_left_and_reported() -> None:
    _, height, image, _, _ = recorded(1)
    found = align(height, image, pixel_um=PIXEL_UM)
    assert found.reference == "none"
    assert not found.axial_um.any()
    assert np.isnan(found.axial_sigma_um).all()
    assert "cannot distinguish it from uniform growth" in found.implies


@pytest.mark.parametrize("seed", SEEDS)
def test_aligned_heights_are_those_of_a_stage_that_stood_still(seed: int) -> None:
    truth, height, image, _, axial = recorded(seed)
    moved = apply_alignment(align(height, image, pixel_um=PIXEL_UM), height)
    error = moved - axial[:, None, None] - truth.height_um
    inner = error[:, 20:-20, 20:-20]
    assert rms(inner) < 0.07  # the heights' own error is 0.05
    assert np.isfinite(inner).mean() > np.isfinite(height[:, 20:-20, 20:-20]).mean() - 0.07


def test_one_map_is_moved_like_the_whole() -> None:
    _, height, image, _, _ = recorded(1)
    found = align(height, image, pixel_um=PIXEL_UM)
    np.testing.assert_array_equal(
        apply_alignment(found, height)[3], apply_alignment(found, height[3], scan=3)
    )


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (0.4, 0.7), (-6.3, 5.5), (0.01, -0.02)])
def test_maps_move_and_gaps_stay_gaps(shift: tuple[float, float]) -> None:
    y, x = np.mgrid[:80, :90]

    def relief(dy: float, dx: float) -> np.ndarray:
        return 5 * np.sin(2 * np.pi * (y - dy) / 23) * np.cos(2 * np.pi * (x - dx) / 31)

    values = relief(0, 0).astype(np.float32)
    values[30:40, 50:60] = np.nan
    values[10, 10] = np.nan
    moved = shift_map(values, *shift)
    error = moved - relief(*shift)
    assert np.nanmax(np.abs(error)) < 0.12  # bilinear beside gaps, at 0.4 um of bend a pixel
    assert np.nanmedian(np.abs(error)) < 1e-3
    gap = np.s_[32 + round(shift[0]) : 38 + round(shift[0]), 52 + round(shift[1]) : 58 + round(shift[1])]
    assert np.isnan(moved[gap]).all()
    outside = (y - shift[0] < -0.5) | (y - shift[0] > 79.5) | (x - shift[1] < -0.5) | (x - shift[1] > 89.5)
    assert np.isnan(moved[outside]).all()
    assert np.isnan(moved).sum() <= 2 * (101 + outside.sum()) + 250


def test_an_unknown_shift_leaves_nothing() -> None:
    assert np.isnan(shift_map(np.ones((5, 5), np.float32), np.nan, 0)).all()


def test_bad_input_is_one_line() -> None:
    height = np.zeros((3, 64, 64), np.float32)
    with pytest.raises(InputError, match=r"holds no scan"):
        align(height[:0], pixel_um=0.25)
    with pytest.raises(InputError, match=r"heights_um\[1\] is \(32, 64\), the first scan \(64, 64\)"):
        align([height[0], height[0, :32]], pixel_um=0.25)
    with pytest.raises(InputError, match=r"2 images for 3 height maps"):
        align(height, height[:2], pixel_um=0.25)
    with pytest.raises(InputError, match=r"pixel_um is 0"):
        align(height, pixel_um=0)
    with pytest.raises(InputError, match=r'reference is .somewhere.; give "none"'):
        align(height, pixel_um=0.25, reference="somewhere")
    with pytest.raises(InputError, match=r"reference R9 is empty: it is outside the field"):
        align(height, pixel_um=0.25, reference=("region", "R9", np.zeros((64, 64), np.bool_)))
    with pytest.raises(InputError, match=r"reference is bool \(8, 8\); give bool \(64, 64\)"):
        align(height, pixel_um=0.25, reference=np.ones((8, 8), np.bool_))
    with pytest.raises(InputError, match=r"model has shape \(2,\); give 3 finite"):
        align(height, pixel_um=0.25, reference=("model", [0, 1]))
    with pytest.raises(InputError, match=r"reference must be"):
        align(height, pixel_um=0.25, reference=("moon", 1))
    found = align(np.random.default_rng(0).normal(size=(3, 64, 64)), pixel_um=0.25)
    with pytest.raises(InputError, match=r"give \(3, H, W\)"):
        apply_alignment(found, height[:2])
    with pytest.raises(InputError, match=r"scan 3 of 3"):
        apply_alignment(found, height[0], scan=3)
