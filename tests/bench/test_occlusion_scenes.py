"""Occlusions of the second renderer, and how they are drawn, classed and scored."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2")

from bench import accuracy
from bench.noise_limit import curve_width_um, noise_limit_um, repeated
from bench.scenes import gaussian_gather_renderer as rays
from bench.scenes import gaussian_gather_specimens as specimens
from bench.scenes import taken_scans
from bench.scenes.accuracy_cases import all_cases
from bench.scenes.gaussian_gather_bodies import Body, in_front, occluded
from bench.scenes.occlusion_kinds import KINDS, as_virtual, drawn
from bench.scenes.taken_scans import Conditions, renderer_b, virtual_rig, without_texture
from bench.scores import called, focus_classes, within_sigma
from lee.devices import virtual

PIXEL_UM = 0.25
SIDE = 96
LENS = rays.Lens()
LEVEL = np.ones((SIDE, SIDE), np.float32)
GREY = Body(12.0, 12.0, 4.0, 4.0, rim=0.0, glint=0.0, passes=0.0, fill=0.6)


def seen(body: Body, z_um: float, time: float = 0.0, below: np.ndarray = LEVEL) -> np.ndarray:
    return in_front(below, body, z_um, time, PIXEL_UM, LENS)


def area_px(radius_um: float) -> float:
    return np.pi * (radius_um / PIXEL_UM) ** 2


# --- light ---


@pytest.mark.parametrize("fill", [0.5, 0.9, 3.0])
@pytest.mark.parametrize("z_um", [-6.0, 0.0, 4.0, 9.0])
def test_defocus_spreads_the_light_of_a_body_and_keeps_its_sum(fill, z_um):
    change = seen(replace(GREY, fill=fill), z_um) - LEVEL
    assert change.sum() == pytest.approx((fill - 1) * area_px(4.0), rel=0.02)
    distance = np.hypot(*(np.indices(LEVEL.shape) - 48)) * PIXEL_UM
    outside = (change * (distance > 4.3)).sum() / change.sum()
    assert outside < 0.05 if z_um == 4.0 else outside > 0.08


def test_a_texture_changes_a_body_and_not_the_light_beside_it():
    plain, grained = seen(GREY, 4.0), seen(replace(GREY, texture=0.2), 4.0)
    inside = (slice(40, 57), slice(40, 57))
    assert grained[inside].std() == pytest.approx(0.2 * 0.6, rel=0.4)
    assert plain[inside].std() < 0.01
    np.testing.assert_array_equal(grained[:28], plain[:28])
    moved = seen(replace(GREY, texture=0.2, motion_um=(0.0, 5.0)), 4.0, time=1.0)
    np.testing.assert_allclose(moved[40:57, 60:77], grained[inside], atol=0.02)


def test_a_spark_is_bright_in_focus_and_keeps_its_light():
    spark = Body(12.0, 12.0, 0.0, 0.4, rim=0.0, glint=0.0, passes=1.0, fill=8.0)
    sharp, blurred = seen(spark, 0.0) - LEVEL, seen(spark, 6.0) - LEVEL
    assert sharp.sum() == pytest.approx(blurred.sum(), rel=0.01)
    assert sharp.max() > 20 * blurred.max()
    assert not spark.hides


def test_a_clear_body_displaces_what_is_below_and_shades_it_beside():
    below = np.random.default_rng(3).uniform(0.5, 1.5, LEVEL.shape).astype(np.float32)
    below = np.kron(below[:24, :24], np.ones((4, 4), np.float32))
    clear = replace(GREY, fill=0.0, passes=0.9, bend=0.5)
    through = seen(clear, 4.0, below=below)
    inner = np.hypot(*(np.indices(LEVEL.shape) - 48)) < 12
    assert np.corrcoef(through[inner], below[inner])[0, 1] < 0.8
    middle = (slice(46, 51), slice(46, 51))  # hardly bent there
    assert through[middle].mean() == pytest.approx(0.9 * below[middle].mean(), rel=0.1)
    shaded = seen(replace(clear, shadow=0.4), 0.0)
    assert shaded[48, 70] == pytest.approx(0.6, abs=0.05)
    assert shaded[48, 26] == pytest.approx(1.0, abs=0.01)
    assert clear.hides


def test_bodies_rise_grow_and_come_and_go():
    grown = replace(GREY, z_um=1.0, radius_um=1.0, growth_um=4.0, rise_um=4.0)
    for time in (0.0, 0.5, 1.0):
        at = grown.at(time)
        assert at.z_um - at.radius_um == 0
        lost = (LEVEL - seen(grown, at.z_um, time)).sum()
        assert lost == pytest.approx(0.4 * area_px(1 + 4 * time), rel=0.06)
    late = replace(GREY, present=(0.6, 1.0))
    assert [late.is_there(time) for time in (0.0, 0.5, 0.6, 1.0)] == [False, False, True, True]
    specimen = specimens.Specimen(np.zeros_like(LEVEL), LEVEL, PIXEL_UM)
    light = np.ones((5, SIDE, SIDE), np.float32)
    frames = rays.exposed(light, specimen, np.full(5, 4.0), bodies=[late]).frames.astype(float)
    dark = frames[:, 44:53, 44:53].mean(axis=(1, 2)) / frames[:, :10].mean(axis=(1, 2))
    np.testing.assert_allclose(dark, [1, 1, 1, 0.6, 0.6], atol=0.05)


def test_a_body_outside_the_field_leaves_the_image_alone():
    for y in (-20.0, 60.0):
        assert seen(replace(GREY, y_um=y), 4.0) is LEVEL
    half = seen(replace(GREY, y_um=0.0), 4.0)
    assert half[:10, 48].max() < 0.7
    assert half[30:].min() == 1


def test_flicker_multiplies_whole_frames():
    specimen = specimens.Specimen(np.zeros_like(LEVEL), LEVEL, PIXEL_UM)
    light = np.ones((3, SIDE, SIDE), np.float32)
    lamp = [1.0, 0.8, 1.2]
    frames = rays.exposed(light, specimen, np.arange(3.0), lamp=lamp).frames
    means = frames.mean(axis=(1, 2))
    np.testing.assert_allclose(means / means[0], lamp, rtol=0.01)


# --- truth ---


def test_both_renderers_state_the_same_truth():
    scene = virtual.gentle((SIDE, SIDE), PIXEL_UM, 3, relief_um=8.0)
    z = scene.z_range(0.4)
    for kind in ("grey, sliding", "white, from the first", "grey, growing attached", "clear, in mid scan"):
        bodies = drawn(kind, scene.height_um, z, PIXEL_UM, 5)
        touched, share = occluded(bodies, scene.height_um, z, PIXEL_UM)
        scan = virtual.render_scan(as_virtual(scene, bodies), z_um=z)
        assert np.mean(scan.touched != touched) < 2e-3  # pixels on an edge
        assert np.mean(np.abs(scan.hidden_share - share) > 0.2) < 2e-3
        assert touched.any()


def test_sparks_touch_and_hide_nothing():
    height = np.zeros((SIDE, SIDE), np.float32)
    z = np.arange(-3, 3, 0.2)
    sparks = drawn("sparks", height, z, PIXEL_UM, 1)
    touched, share = occluded(sparks, height, z, PIXEL_UM)
    assert 0.001 < touched.mean() < 0.05
    assert not share.any()
    scene = as_virtual(virtual.Scene(height, np.full_like(height, 0.4), PIXEL_UM), sparks)
    assert len(scene.spikes) == len(sparks)
    assert not scene.bubbles


def test_focus_is_classed_by_the_share_that_was_hidden():
    touched = np.array([False, True, True, True, True])
    classes = focus_classes(touched, np.array([0.0, 0.0, 0.3, 0.5, 0.9]))
    assert [np.flatnonzero(one).tolist() for one in classes.values()] == [[1], [2, 3], [4]]
    assert list(classes) == ["free", "partly", "hidden"]


# --- kinds ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_drawn_anew_for_each_seed_and_as_it_says(kind):
    height = specimens.trenches((SIDE, SIDE), PIXEL_UM, np.random.default_rng(1))
    z = np.arange(-8, 8, 0.2)
    bodies, again, other = (drawn(kind, height, z, PIXEL_UM, seed) for seed in (1, 1, 2))
    assert bodies == again != other
    slides = any(any(body.motion_um) for body in bodies)
    assert slides == (kind.endswith("sliding") or kind.startswith("debris"))
    for body in bodies:
        assert (body.rise_um > 0) == ("rising" in kind or "growing" in kind)
        assert (body.growth_um > 0) == ("growing" in kind)
        if "from the first" in kind:
            assert body.present[0] == 0 < body.present[1] < 1
        if "to the last" in kind:
            assert 0 < body.present[0] < body.present[1] == 1
        if "mid scan" in kind:
            assert 0 < body.present[0] < body.present[1] < 1
        if kind.startswith("grey"):
            assert 0.5 <= body.fill <= 0.9
            assert body.passes <= 0.1
        assert body.hides == (kind != "sparks")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "mid scan" in kind or kind == "clear, sliding"])
def test_a_kind_that_stands_in_front_hides_focus(kind):
    height = specimens.caps((SIDE, SIDE), PIXEL_UM, np.random.default_rng(1))
    z = np.arange(-6, 6, 0.2)
    _, share = occluded(drawn(kind, height, z, PIXEL_UM, 1), height, z, PIXEL_UM)
    assert (share > 0.5).mean() > 0.03


# --- conditions ---


def test_patches_have_no_texture_and_keep_their_brightness():
    bright = specimens.dressed(np.zeros((160, 160), np.float32), PIXEL_UM, np.random.default_rng(1))
    out, blank = without_texture(bright.reflectance, 2)
    assert 0.05 < blank.mean() < 0.4
    changed = out != bright.reflectance
    assert changed[blank].mean() > 0.99
    assert out.mean() == pytest.approx(bright.reflectance.mean(), rel=1e-4)
    gradient = np.hypot(*np.gradient(out))
    assert gradient[blank].max() == 0
    assert gradient[~changed].mean() > 0.01


def test_a_scan_that_ends_early_leaves_surface_outside():
    how = Conditions(scanned=0.6)
    taken = renderer_b((64, 64), 1, surface=specimens.caps, how=how)
    assert taken.outside().mean() == pytest.approx(0.4, abs=0.06)
    assert (taken.truth_um[taken.outside()] > taken.z_um.max()).all()


@pytest.mark.parametrize("take", ["rig", "rays"])
def test_a_vibrating_scan_shows_its_truth_in_the_first_frame(take):
    how = Conditions(vibration_px=0.7, flicker=0.2)
    if take == "rig":
        taken = virtual_rig((64, 64), 1, scene=virtual.gentle, how=how)
    else:
        taken = renderer_b((64, 64), 1, surface=specimens.caps, how=how)
    assert taken.path_px.std() == pytest.approx(0.7, rel=0.2)
    assert 0.75 < taken.seen_throughout().mean() < 0.98
    dy, dx = taken.path_px[0]
    slope_y, slope_x = np.gradient(taken.mean_truth_um)
    moved = taken.mean_truth_um - dy * slope_y - dx * slope_x
    inside = (slice(4, -4), slice(4, -4))
    assert np.abs(moved - taken.truth_um)[inside].max() < 0.05
    brightness = taken.frames.mean(axis=(1, 2)) / taken.frames.mean()
    np.testing.assert_allclose(brightness, how.lamp(len(brightness)), atol=0.04)


@pytest.mark.slow
def test_scans_that_differ_in_bodies_share_their_light():
    taken_scans._lit.cache_clear()
    for kind in ("grey, throughout", "sparks"):
        case = next(c for c in all_cases() if c.renderer == "Gaussian gather" and c.name == kind)
        case.draw((48, 48), 1)
    assert taken_scans._lit.cache_info().misses == 1


# --- scores ---


def test_called_measured_counts_all_pixels_and_wrong_ones():
    errors = np.array([0.1, 0.7, -0.9, np.nan])
    judged = called(errors, 0.2)
    assert (judged.measured, judged.wrong) == (0.75, 0.5)
    assert np.isnan(called(errors[:0], 0.2).wrong)
    assert within_sigma(errors, np.full(4, 0.31), 3) == pytest.approx(1.0)
    assert within_sigma(errors, np.full(4, 0.25), 3) == pytest.approx(2 / 3)


def test_the_noise_limit_is_that_of_a_made_up_scan():
    z = np.arange(-6, 6, 0.2)
    rng = np.random.default_rng(1)
    texture = 20 * rng.standard_normal((60, 60))
    blur = np.exp(-0.25 * (z / 1.2) ** 2)  # its square, the variance's curve, has a deviation of 1.2
    quiet = 100 + texture * blur[:, None, None]
    frames = np.clip(np.rint(quiet + 4 * rng.standard_normal(quiet.shape)), 0, 255).astype(np.uint8)
    truth = np.zeros((60, 60))
    away = np.broadcast_to(z[:, None, None], quiet.shape)
    assert curve_width_um((quiet - 100) ** 2, away, 0.2) == pytest.approx(1.2, rel=0.08)
    limit = noise_limit_um(frames, quiet, z, truth, 25)
    assert limit == pytest.approx(1.26 * np.sqrt(1.2 * 0.2 / 25) / 5, rel=0.08)
    other = repeated(frames, quiet)
    assert (other - quiet).std() == pytest.approx((frames - quiet).std(), rel=0.02)
    assert abs(np.corrcoef((other - quiet).ravel(), (frames - quiet).ravel())[0, 1]) < 0.02


# --- the tables ---


def test_every_table_has_rows_of_both_renderers():
    for table in accuracy.COLUMNS:
        assert {case.renderer for case in all_cases() if case.table == table} == {
            "virtual rig",
            "Gaussian gather",
        }
    names = [(case.renderer, case.name) for case in all_cases()]
    assert len(names) == len(set(names))


@pytest.mark.slow
def test_the_tables_are_printed_and_written(tmp_path, monkeypatch, capsys):
    chosen = {"clean": "caps", "occluded": "grey, in mid scan", "unseen": "caps, no texture"}
    chosen["disturbed"] = "caps, drift 8 px"
    cases = [c for c in all_cases() if c.renderer == "Gaussian gather" and c.name == chosen[c.table]]
    monkeypatch.setattr(accuracy, "all_cases", lambda: cases)
    monkeypatch.setattr(accuracy, "QUICK_PX", 96)
    monkeypatch.setattr(accuracy, "data_folder", lambda name: None)
    monkeypatch.setattr(
        sys, "argv", ["accuracy", "--quick", "--jobs", "1", "--csv", str(tmp_path / "table.csv")]
    )
    accuracy.main()
    printed = capsys.readouterr().out
    for words in ("clean scans, Gaussian gather", "hidden wrong %", "blank off 3 sigma %", "mean of 1 clean"):
        assert words in printed
    with (tmp_path / "table.csv").open() as file:
        rows = {row["table"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(accuracy.COLUMNS)
    assert all(0 <= float(row["in 3 sigma %"]) <= 100 for row in rows.values())
    assert float(rows["clean"]["rms / limit"]) > float(rows["clean"]["noise / limit"]) > 0.5
    assert rows["clean"]["hidden wrong %"] == ""
    assert "rms with a drift of 8 px to that without: caps" in printed
