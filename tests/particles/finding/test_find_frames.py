"""Particles between two single frames, their sizes, and the table they come in."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lee.devices import virtual as rig
from lee.errors import InputError
from lee.kernels.detect_particles import detect_particles
from lee.particles.calibration.size_calibration import Calibration
from lee.particles.finding.axial_focus import AxialFocus
from lee.particles.finding.detection import table_of
from lee.particles.finding.find import detect_between, find_particles
from lee.particles.table import (
    COLUMNS,
    TRACKPY,
    empty_table,
    has_flag,
    read_table,
    with_trackpy_columns,
    write_table,
)
from lee.stacks.stack import ZStack
from tests.support.particle_relief import surface_of
from tests.support.particle_scans import IN_GAUSSIAN, PIXEL_UM, matched, scan_pair, truth_of

SCENE = rig.flat((192, 192), PIXEL_UM, 3)
SEEDED = SCENE.with_nuclei(40, 5, (150.0, 300.0))
FOCUS_UM = 0.1


@pytest.fixture(scope="module", params=["uint8", "uint16", "float32"])
def frames(request):
    """Two frames in focus, and the truth in their counts."""
    sensor = rig.Sensor(bit_depth=16 if request.param == "uint16" else 8)
    one, two = (
        rig.render_scan(scene, z_um=[FOCUS_UM], sensor=sensor, seed=seed).frames[0].astype(request.param)
        for scene, seed in ((SCENE, 1), (SEEDED, 2))
    )
    return one, two, truth_of(SEEDED, sensor)


def alone(truth, found, rows, columns):
    """Those of matched pairs that have no near neighbour and no flag."""
    plain = (truth["apart_um"].to_numpy()[rows] > 2) & (found["flag"].to_numpy()[columns] == "")
    return truth.iloc[rows[plain]].reset_index(drop=True), found.iloc[columns[plain]].reset_index(drop=True)


# --- two frames ---


def test_two_frames_are_enough(frames):
    before, after, truth = frames
    found = find_particles(before, after, pixel_um=PIXEL_UM, time_s=5.0)
    i, j = matched(truth, found)
    bright = truth["counts"] > truth["counts"].quantile(0.2)
    assert set(truth.index[bright & (truth["apart_um"] > 2)]) <= set(i)
    assert len(found) - len(j) <= 4
    there, reported = alone(truth, found, i, j)
    assert len(there) >= 12
    for axis in ("y", "x"):
        off = reported[f"{axis}_um"] - there[f"{axis}_um"]
        assert np.median(np.abs(off)) < 0.1 * PIXEL_UM
        assert np.sqrt(np.mean((off / reported[f"{axis}_sigma_um"]) ** 2)) < 1.6
    ratio = reported["intensity_counts"] / there["counts"]
    assert np.median(ratio) == pytest.approx(IN_GAUSSIAN, abs=0.04)
    assert np.std(ratio) < 0.1
    assert (found["time_s"] == 5).all()
    assert found[["z_um", "z_focus_um", "z_surface_um"]].isna().all(axis=None)
    assert (found["planes"] == 1).all()
    json.dumps(found.attrs, allow_nan=False)


def test_what_was_not_measured_takes_no_part(frames):
    before, after, _ = frames
    whole = find_particles(before, after, pixel_um=PIXEL_UM)
    after = after.astype(np.float32)
    after[50:70, 60:90] = np.nan
    found = detect_between(before, after, pixel_um=PIXEL_UM)
    table = found.particles
    y, x = (table[axis].to_numpy() / PIXEL_UM for axis in ("y_um", "x_um"))
    assert not ((y > 50) & (y < 69) & (x > 60) & (x < 89)).any()
    assert not found.searched[50:70, 60:90].any()
    assert found.searched.sum() >= found.searched.size - 600 - 20
    assert found.details["not_measured_px"] >= 600
    i, _ = matched(whole, table, 0.1)
    assert len(i) >= 0.9 * len(whole)


def test_an_unknown_field_holds_nothing():
    unknown = np.full((64, 64), np.nan, np.float32)
    found = detect_between(unknown, unknown, pixel_um=PIXEL_UM)
    assert len(found.particles) == 0
    assert not found.searched.any()
    assert found.details["shared_texture"] is None


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (1, 200), (40, 63)])
def test_frames_of_any_size_are_taken(shape):
    rng = np.random.default_rng(1)
    one, two = (rng.normal(90, 2, shape).astype(np.float32) for _ in range(2))
    assert len(find_particles(one, two, pixel_um=PIXEL_UM, false_alarms=1e-3)) == 0


def test_equal_frames_hold_nothing(frames):
    assert len(find_particles(frames[1], frames[1], pixel_um=PIXEL_UM)) == 0


def test_a_frame_that_moved_is_registered(frames):
    before, after, truth = frames
    moved = np.roll(before, (4, -3), axis=(0, 1))  # all but its borders
    found = find_particles(moved, after, pixel_um=PIXEL_UM)
    np.testing.assert_allclose(found.attrs["shift_px"], (-4, 3), atol=0.05)
    inside = found[found["y_um"].between(2, 36) & found["x_um"].between(2, 36)]
    i, j = matched(truth, inside)
    assert len(i) >= 20
    assert len(inside) - len(j) <= 3


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_saturated_pixels_are_counted_and_are_no_particles(kind):
    sensor = rig.Sensor(bit_depth=8 if kind == "uint8" else 16)
    one, two = (rig.render_scan(SCENE, z_um=[FOCUS_UM], sensor=sensor, seed=k).frames[0] for k in (1, 2))
    two = two.copy()
    before = detect_between(one, two, pixel_um=PIXEL_UM).details["saturated_px"]
    two[40:46, 50:56] = np.iinfo(kind).max
    two[120, 130] = np.iinfo(kind).max
    found = detect_between(one, two, pixel_um=PIXEL_UM)
    assert found.details["saturated_px"] == before + 37
    assert not found.searched[40:46, 50:56].any()
    table = found.particles
    for y, x in ((42.5, 52.5), (120.0, 130.0)):
        assert (
            np.hypot(table["y_um"] / PIXEL_UM - y, table["x_um"] / PIXEL_UM - x).min() > 1.5
            or len(table) == 0
        )


def test_saturated_pixels_of_scans_are_no_particles():
    scene = rig.flat((96, 96), PIXEL_UM, 4)
    pair = scan_pair(scene, 0, z_um=np.arange(-2, 2.1, 0.25))
    later = np.stack(list(pair.after))
    later[:, 40:46, 50:56] = 255
    found = detect_between(pair.before, ZStack.from_array(later, pair.after.z_um, PIXEL_UM))
    assert found.details["saturated_px"] >= 36
    assert not found.searched[41:45, 51:55].any()
    table = found.particles
    near = np.hypot(table["y_um"] / PIXEL_UM - 42.5, table["x_um"] / PIXEL_UM - 52.5) < 3
    assert not near.any()


# --- sizes ---


def known_sizes(low_nm, high_nm):
    """A calibration without errors over a range of diameters."""
    diameter = np.geomspace(low_nm, high_nm, 60)
    return Calibration.fit(IN_GAUSSIAN * rig.intensity_counts(diameter, SCENE), diameter)


def eight_bit():
    one, two = (rig.render_scan(s, z_um=[FOCUS_UM], seed=k).frames[0] for s, k in ((SCENE, 1), (SEEDED, 2)))
    return one, two


def test_without_a_calibration_there_are_no_diameters():
    found = find_particles(*eight_bit(), pixel_um=PIXEL_UM)
    assert found[["diameter_nm", "diameter_sigma_nm"]].isna().all(axis=None)
    assert found["intensity_counts"].notna().all()
    assert not has_flag(found, "below_range").any()


def test_a_calibration_gives_diameters():
    found = find_particles(*eight_bit(), pixel_um=PIXEL_UM, calibration=known_sizes(120, 360))
    truth = truth_of(SEEDED, rig.Sensor())
    there, reported = alone(truth, found, *matched(truth, found))
    assert len(reported) >= 12
    ratio = reported["diameter_nm"] / there["diameter_nm"]
    # The lamp is brighter in the middle than at the borders, which no calibration knows.
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert np.abs(ratio - 1).max() < 0.12
    assert (reported["diameter_sigma_nm"] > 0).all()


def test_what_the_calibration_does_not_reach_is_flagged():
    found = find_particles(*eight_bit(), pixel_um=PIXEL_UM, calibration=known_sizes(180, 240))
    low, high = known_sizes(180, 240).range_counts
    below, above = has_flag(found, "below_range"), has_flag(found, "above_range")
    assert below.sum() >= 3
    assert above.sum() >= 3
    np.testing.assert_array_equal(below, found["intensity_counts"] < low)
    np.testing.assert_array_equal(above, found["intensity_counts"] > high)
    np.testing.assert_array_equal(found["diameter_nm"].isna(), below | above)
    assert found["diameter_nm"].dropna().between(175, 245).all()


# --- heights in the table ---


def three_spots():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:64, :64]
    spots = sum(60 * np.exp(-((y - at) ** 2 + (x - at) ** 2) / 4.5) for at in (12, 32, 52))
    noise = rng.normal(0, 1, (2, 64, 64))
    before, after = (90 + noise[0]).astype(np.float32), (90 + spots + noise[1]).astype(np.float32)
    return detect_particles(before, after, false_alarms=1e-4)


def heights_of(surface, offset, at_end=(False, False, False)):
    detected = three_spots()
    assert len(detected.y_px) == 3
    one = np.ones(3)
    focus = AxialFocus(np.array(offset), 0.1 * one, 50 * one, one, np.array([5, 0, 7]), np.array(at_end))
    return table_of(detected, pixel_um=0.5, time_s=1.0, focus=focus, depth_um=4.0, surface=surface)


def test_a_focus_far_from_the_surface_is_flagged():
    table = heights_of(surface_of(np.full((64, 64), 7.0), 0.5), [0.3, -2.5, np.nan], [False, False, True])
    assert table["flag"].tolist() == ["", "off_surface", "end_of_scan"]
    np.testing.assert_allclose(table["z_focus_um"], [7.3, 4.5, np.nan])
    np.testing.assert_allclose(table["z_um"], 7.0)
    np.testing.assert_allclose(table["z_surface_sigma_um"], 0.05)
    assert table["planes"].tolist() == [5, 1, 7]
    # A particle's brightness comes from its own focus, where there is one.
    assert table["intensity_counts"].to_numpy()[:2] == pytest.approx(2 * np.pi * 1.5**2 * 50, rel=0.3)


def test_without_a_surface_there_its_own_focus_is_its_height():
    height = np.full((64, 64), 7.0)
    height[:, 40:] = np.nan
    table = heights_of(surface_of(height, 0.5), [0.3, 0.0, -0.2])
    assert table["z_surface_um"].isna().tolist() == [False, False, True]
    np.testing.assert_allclose(table["z_um"], [7.0, 7.0, 6.8])
    np.testing.assert_allclose(table["z_sigma_um"], [0.05, 0.05, 0.1])


def test_frames_on_a_surface_have_its_heights():
    tilted = np.broadcast_to(np.arange(192) * 0.1, (192, 192)).astype(np.float32)
    found = find_particles(*eight_bit(), pixel_um=PIXEL_UM, surface=surface_of(tilted, PIXEL_UM))
    np.testing.assert_allclose(found["z_um"], found["x_um"] / PIXEL_UM * 0.1, atol=0.15)
    assert found["z_focus_um"].isna().all()


# --- the table elsewhere ---


def test_trackpy_links_the_table(tmp_path):
    trackpy = pytest.importorskip("trackpy")
    one, two = eight_bit()
    tables = [
        find_particles(one, frame, pixel_um=PIXEL_UM, time_s=t) for t, frame in ((0.0, two), (9.0, two))
    ]
    both = with_trackpy_columns(pd.concat(tables, ignore_index=True), pixel_um=PIXEL_UM, spot_sigma_px=1.2)
    assert set(TRACKPY) <= set(both)
    assert sorted(both["frame"].unique()) == [0, 1]
    np.testing.assert_allclose(both["x"] * PIXEL_UM, both["x_um"])
    trackpy.quiet()
    linked = trackpy.link(both, search_range=1.0)
    assert linked["particle"].nunique() == len(tables[0])
    assert (linked.groupby("particle").size() == 2).all()


def test_trackpys_columns_of_no_particles():
    out = with_trackpy_columns(empty_table(), pixel_um=0.2, spot_sigma_px=1.2)
    assert len(out) == 0
    assert set(TRACKPY) <= set(out)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_come_back_as_they_went(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    table = find_particles(*eight_bit(), pixel_um=PIXEL_UM)
    path = write_table(table, tmp_path / f"found{suffix}")
    back = read_table(path)
    assert list(back) == list(COLUMNS)
    assert back["flag"].tolist() == table["flag"].tolist()
    assert back["planes"].dtype == np.int64
    for name in COLUMNS:
        if name != "flag":
            np.testing.assert_allclose(back[name], table[name], rtol=1e-6)
    nothing = read_table(write_table(empty_table(), tmp_path / f"nothing{suffix}"))
    assert list(nothing) == list(COLUMNS)
    assert len(nothing) == 0
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == [f"found{suffix}", f"nothing{suffix}"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "none.csv",
            None,
            r"none\.csv: cannot be read \(No such file .*give a table written by `lee particles`",
        ),
        ("odd.csv", "a,b\n1,2\n", r"odd\.csv: has no column time_s; give a table written by `lee particles`"),
        ("empty.csv", "", r"empty\.csv: cannot be read as a table"),
        ("no.parquet", "text", r"no\.parquet: cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / name)


def test_a_table_is_written_as_csv_or_parquet(tmp_path):
    with pytest.raises(InputError, match=r"t\.xlsx: a table of particles is written as \.csv or \.parquet"):
        write_table(empty_table(), tmp_path / "t.xlsx")
    assert not list(tmp_path.iterdir())
