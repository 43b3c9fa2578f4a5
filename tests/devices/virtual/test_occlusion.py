"""Bodies in front of a rendered surface: the light they take and give, when and where they are, the truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lee.devices.virtual import Bubble, Debris, Scene, Sensor, Spike, flat, render_scan
from lee.devices.virtual.scene.bodies import place

PIXEL_UM = 0.25
SIDE = 128
LEVEL = 0.4
CLEAR = Sensor(noise=False, shading=0.0, bit_depth=16, mean_share=0.2)
PLAIN = Scene(np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), LEVEL), PIXEL_UM)
GREY = Bubble(16.0, 16.0, 4.0, 5.0, glint=0.0, rim=0.0, veil=0.0, fill=0.6 * LEVEL)
Z = np.linspace(-2.0, 10.0, 13)


def light(scene: Scene, z_um: np.ndarray = Z) -> np.ndarray:
    """Return the light (Z, H, W) of a scan against white, without noise."""
    frames = render_scan(scene, z_um=z_um, sensor=CLEAR).frames
    return frames / 65535 / CLEAR.mean_share * float(scene.reflectance.mean())


def with_bubbles(*bubbles: Bubble) -> Scene:
    return replace(PLAIN, bubbles=bubbles)


def area_px(radius_um: float) -> float:
    return np.pi * (radius_um / PIXEL_UM) ** 2


# --- light ---


@pytest.mark.parametrize("texture", [0.0, 0.2])
@pytest.mark.parametrize("fill", [0.5, 0.9, 2.0])
def test_defocus_spreads_the_light_of_a_filled_bubble_and_keeps_its_sum(fill, texture):
    change = light(with_bubbles(replace(GREY, fill=fill * LEVEL, texture=texture))) - LEVEL
    expected = (fill - 1) * LEVEL * area_px(5.0)
    np.testing.assert_allclose(change.sum(axis=(1, 2)), expected, rtol=0.02)
    # At its own height all of it is inside its edge, 6 µm away a good part is not.
    distance = np.hypot(*(np.indices((SIDE, SIDE)) - 64)) * PIXEL_UM
    outside = (change * (distance > 5.5)).sum(axis=(1, 2)) / expected
    assert abs(outside[6]) < 0.05
    assert min(outside[0], outside[12]) > 2 * abs(outside[6])


def test_a_spark_keeps_its_light_and_shows_only_near_focus():
    spark = replace(PLAIN, spikes=[Spike(16.0, 16.0, radius_um=0.3, brightness=2.0)])
    added = light(spark, np.array([0.0, 4.0, 8.0])) - LEVEL
    np.testing.assert_allclose(added.sum(axis=(1, 2)), 2.0 * area_px(0.3), rtol=0.02)
    peak = added.max(axis=(1, 2))
    assert peak[1] < 0.2 * peak[0]
    assert peak[2] < 0.05 * peak[0]


def test_a_texture_is_the_bubbles_own_and_moves_with_it():
    moving = replace(GREY, texture=0.2, motion_um=(0.0, 6.0))
    first, last = light(with_bubbles(moving), np.array([4.0, 4.0]))
    inside = first[55:74, 55:74]
    assert inside.std() / inside.mean() == pytest.approx(0.2, rel=0.4)
    assert inside.mean() == pytest.approx(0.6 * LEVEL, rel=0.05)
    np.testing.assert_allclose(last[55:74, 79:98], inside, atol=0.01 * LEVEL)
    plain = light(with_bubbles(replace(moving, texture=0.0)), np.array([4.0, 4.0]))[0, 55:74, 55:74]
    assert plain.std() < 0.02 * inside.std()


def test_a_refracting_bubble_shows_the_surface_displaced_and_shades_it_beside():
    scene = flat((SIDE, SIDE), PIXEL_UM, 2)
    clear = Bubble(16.0, 16.0, 5.0, 5.0, glint=0.0, rim=0.0, veil=1.0, refraction=0.4)
    without, inside = light(scene, np.zeros(1))[0], slice(52, 77)
    seen = light(replace(scene, bubbles=[clear]), np.zeros(1))[0][inside, inside]
    at = 64 + 1.4 * (np.arange(SIDE) - 64)
    displaced = ndimage.map_coordinates(without, np.meshgrid(at, at, indexing="ij"), order=1)[inside, inside]
    assert np.corrcoef(seen.ravel(), displaced.ravel())[0, 1] > 0.8
    assert np.corrcoef(seen.ravel(), without[inside, inside].ravel())[0, 1] < 0.6
    shaded = light(with_bubbles(replace(clear, shadow=0.4)), np.zeros(1))[0]
    assert shaded[83, 83] == pytest.approx(0.6 * LEVEL, rel=0.1)  # along the lamp, beside the bubble
    assert shaded[45, 45] == pytest.approx(LEVEL, rel=0.05)
    assert shaded[64, 64] == pytest.approx(LEVEL, rel=0.1)


# --- time ---


@pytest.mark.parametrize("present", [(0.0, 1.0), (0.0, 0.4), (0.6, 1.0), (0.3, 0.7)])
def test_a_bubble_is_there_from_its_first_moment_to_its_last(present):
    change = np.abs(light(with_bubbles(replace(GREY, present=present))) - LEVEL).max(axis=(1, 2))
    time = np.linspace(0, 1, len(Z))
    there = (time >= present[0]) & (time <= present[1])
    assert change[there].min() > 0.3 * LEVEL
    assert change[~there].max(initial=0.0) < 0.001


def test_a_rising_bubble_is_sharp_where_it_is_by_then():
    focus = np.full(5, 8.0)
    rising = light(with_bubbles(replace(GREY, rise_um=8.0)), focus)
    edge = np.abs(np.diff(rising[:, 64], axis=1)).max(axis=1)
    assert edge.argmax() == 2  # 4 + 8 / 2 µm
    assert edge[[0, 4]].max() < 0.5 * edge[2]
    assert place(replace(GREY, rise_um=8.0), 0.5) == (16.0, 16.0, 8.0, 5.0)


def test_an_attached_bubble_grows_from_its_footpoint():
    attached = replace(GREY, z_um=1.0, radius_um=1.0, growth_um=6.0, rise_um=6.0)
    for time in (0.0, 0.3, 1.0):
        at = place(attached, time)
        assert at.z_um - at.radius_um == pytest.approx(0.0)
        assert at[:2] == (16.0, 16.0)
    scene = with_bubbles(attached)
    change = LEVEL - light(scene, np.array([1.0, 4.0, 7.0]))
    covered = change.sum(axis=(1, 2)) / (0.4 * LEVEL)
    np.testing.assert_allclose(covered, [area_px(r) for r in (1.0, 4.0, 7.0)], rtol=0.03)


def test_debris_that_has_left_does_not_come_in_again_at_the_other_side():
    flake = Debris(16.0, 10.0, 6.0, 4.0, motion_um=(0.0, 60.0))
    frames = light(replace(PLAIN, debris=[flake]), np.full(4, 6.0))
    assert frames[0].min() < 0.5 * LEVEL
    np.testing.assert_allclose(frames[3], LEVEL, rtol=0.01)


# --- truth ---


def test_the_truth_says_of_which_pixels_the_focus_was_hidden():
    tilted = flat((SIDE, SIDE), PIXEL_UM, 1, tilt_um=(0.0, 8.0))
    z = np.arange(-6.0, 6.01, 0.2)
    bubble = Bubble(16.0, 16.0, 8.0, 8.0, present=(0.5, 1.0))  # from the moment 0 µm is in focus
    scan = render_scan(replace(tilted, bubbles=[bubble]), z_um=z, sensor=CLEAR)
    disk = np.hypot(*(np.indices((SIDE, SIDE)) - 64)) * PIXEL_UM <= 8.0
    np.testing.assert_array_equal(scan.touched, disk)
    assert not scan.hidden_share[~disk].any()
    inner = np.hypot(*(np.indices((SIDE, SIDE)) - 64)) * PIXEL_UM <= 7.0
    free, hidden = disk & (tilted.height_um < -1.6), inner & (tilted.height_um > 1.6)
    assert min(free.sum(), hidden.sum()) > 50
    assert not scan.hidden_share[free].any()
    assert (scan.hidden_share[hidden] == 1).all()
    edge = disk & (np.hypot(*(np.indices((SIDE, SIDE)) - 64)) * PIXEL_UM > 7.93)
    assert (scan.hidden_share[edge & (tilted.height_um > 1.6)] == 0.5).all()
    assert scan.hidden_share[64, 64] == pytest.approx(0.5, abs=0.1)


def test_what_passes_far_from_a_pixels_focus_does_not_hide_it():
    flake = Debris(16.0, -20.0, 20.0, 3.0, motion_um=(0.0, 72.0))  # over the middle at time 0.5
    z = np.linspace(0.0, 12.0, 61)
    scan = render_scan(replace(PLAIN, debris=[flake]), z_um=z, sensor=CLEAR)
    assert scan.touched[64].all()
    assert not scan.touched[:48].any()
    assert not scan.hidden_share[64, 32:].any()
    assert scan.hidden_share[64, 0] == 0


@pytest.mark.parametrize(("z_um", "share"), [(4.0, 1.0), (9.0, 1.0), (22.0, 0.5)])
def test_a_body_hides_if_it_cuts_half_of_the_cone_of_light(z_um, share):
    # The cone from the surface is 0.396 µm wide for each µm; half of it passes around where it is 7.1 µm.
    high = replace(GREY, z_um=z_um)
    scan = render_scan(with_bubbles(high), z_um=np.array([-0.5, 0.0, 0.5]), sensor=CLEAR)
    assert scan.hidden_share[64, 64] == share
    assert scan.touched.sum() == pytest.approx(area_px(5.0), rel=0.02)


def test_where_no_frame_is_in_focus_the_nearest_one_counts():
    bubble = replace(GREY, present=(0.0, 0.0))
    scan = render_scan(with_bubbles(bubble), z_um=np.array([3.0, 5.0]), sensor=CLEAR)
    assert scan.hidden_share[64, 64] == 1
    other = render_scan(with_bubbles(bubble), z_um=np.array([5.0, 3.0]), sensor=CLEAR)
    assert other.hidden_share[64, 64] == 0
