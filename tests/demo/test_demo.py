"""The demonstration: its errors and tables are what they claim."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from lee.demo import following, growing, nucleation
from lee.demo import twin as demo_twin
from lee.demo.baseline_focus import baseline_heights
from lee.demo.demo import STEP_UM, run_demo
from lee.demo.growing import GrowingDemo
from lee.demo.height_errors import height_errors
from lee.demo.size import QUICK
from lee.devices.virtual import DEMO_DRIFT_PX, RunTruth, render_scan
from lee.errors import InputError
from lee.figures.report import Section
from tests.support.blank_figures import undrawn as no_pictures


@pytest.fixture(scope="module")
def one_run():
    """A demo whose run costs nothing."""
    times = np.array([0.0, 10.0])
    maps = np.ones((2, 8, 8), np.float32)
    truth = RunTruth(
        times_s=times,
        phases=np.array(["plating", "stripping"]),
        height_um=maps,
        seen_um=maps,
        rate_nm_per_s=np.stack([40 * maps[0], -30 * maps[0]]),
        curvature_per_um=maps,
        shift_px=np.zeros((2, 2)),
        axial_um=np.zeros(2),
        trenches=np.eye(8, dtype=bool),
        protrusions=np.eye(8, dtype=bool)[::-1],
        pixel_um=0.25,
    )
    rate = truth.rate_nm_per_s + np.float32(2)
    rate[0, 0, 0] = np.nan
    sigma = np.stack([maps[0], 3 * maps[0]])
    found = GrowingDemo(truth, rate, sigma, np.array([[0.0, 0.0], [0.3, 0.4]]))

    def run_growing(folder, **options):
        (folder / "series").mkdir(parents=True)
        (folder / "series" / "rate.mp4").write_bytes(b"film")
        return found

    def run_nuclei(folder, run, **options):
        folder.mkdir()
        run.mkdir()
        return SimpleNamespace(rows=lambda: [{"time": "10 s"}], section=lambda place: Section("Nuclei", ""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "run_growing", run_growing)
        patch.setattr(nucleation, "run_nuclei", run_nuclei)
        patch.setattr(demo_twin, "run_twin", lambda *given, **options: demo_twin.NoTwin())
        patch.setattr(following, "run_following", lambda *given, **options: None)
        yield found


@pytest.fixture(scope="module")
def one_demo(one_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "demo"
    with no_pictures():
        return folder, run_demo(folder, quick=True, seed=1, threads=1)


def test_errors_are_those_of_the_measured_pixels():
    truth = np.zeros((10, 10), np.float32)
    truth[0] = np.nan
    height = np.full((10, 10), 0.1, np.float32)
    height[1] = np.nan
    height[2, :5] = 1.0
    sigma = np.full((10, 10), 0.1, np.float32)
    found = height_errors("x", height, truth, sigma_um=sigma, step_um=STEP_UM)
    assert found.coverage == pytest.approx(80 / 90)
    assert found.median_um == pytest.approx(0.1)
    assert found.gross == pytest.approx(5 / 80)
    assert found.within_sigma == pytest.approx(75 / 80)
    assert found.rms_um == pytest.approx(np.sqrt((75 * 0.01 + 5) / 80))
    assert found.p95_um == pytest.approx(1.0)


def test_errors_look_only_where_asked():
    truth = np.zeros((4, 4), np.float32)
    height = np.arange(16, dtype=np.float32).reshape(4, 4)
    found = height_errors("x", height, truth, where=height == 7, step_um=STEP_UM)
    assert (found.rms_um, found.median_um, found.gross, found.coverage) == (7.0, 7.0, 1.0, 1.0)
    assert np.isnan(found.within_sigma)


def test_nothing_measured_has_no_errors():
    found = height_errors(
        "x", np.full((3, 3), np.nan, np.float32), np.zeros((3, 3), np.float32), step_um=STEP_UM
    )
    assert found.coverage == 0.0
    assert np.isnan([found.rms_um, found.median_um, found.p95_um, found.gross]).all()


def test_baseline_heights_take_the_sharpest_frame():
    rng = np.random.default_rng(0)
    texture = rng.normal(size=(40, 40))
    contrast = np.array([1, 5, 20, 5, 1])[:, None, None]
    frames = (100 + contrast * texture).astype(np.float32)
    for height in baseline_heights(frames, np.array([1.0, 2.0, 3.5, 4.0, 5.0]), 5).values():
        assert (height == 3.5).all()


def test_the_table_of_rates_holds_their_errors(one_run):
    rows = one_run.rows()
    assert [(row["phase"], row["where"]) for row in rows[:3]] == [
        ("plating", "trenches"),
        ("plating", "protrusions"),
        ("plating", "whole field"),
    ]
    assert (rows[2]["true nm/s"], rows[2]["measured nm/s"]) == ("40.0", "42.0")
    assert rows[5]["rms error of a pixel nm/s"] == "2.00"
    assert (rows[2]["within 1 sigma"], rows[5]["within 1 sigma"]) == ("0.0 %", "100.0 %")
    assert one_run.shift_error_px() == pytest.approx(np.sqrt((0.09 + 0.16) / 2))


def test_its_table_holds_lee_and_the_baseline_measures(one_demo):
    found = one_demo[1]
    heights, rates, _, twin = found.text().split("\n\n")
    assert twin.splitlines()[1] == demo_twin.MISSING
    assert [line.split()[1] for line in rates.splitlines()[1:]] == ["trenches", "protrusions", "whole"] * 2
    lines = heights.splitlines()
    assert all(line.endswith("-") for line in lines[1:] if line.startswith("baseline"))  # they have no sigma
    assert lines[0].split("  ")[0] == "heights"
    names = [errors.what for errors in found.errors]
    assert [line[: len(name)] for line, name in zip(lines[1:], names, strict=True)] == names
    assert {
        "lee",
        "lee, occluded, filled",
        "baseline variance, 9 px",
        "baseline Tenengrad, 9 px",
    } <= set(names)
    mine, *baseline = (
        e for e in found.errors if e.what in ("lee", "baseline variance, 9 px", "baseline Tenengrad, 9 px")
    )
    assert all(mine.median_um < other.median_um for other in baseline)


def test_the_seed_is_that_of_surface_and_noise(one_demo):
    scan = one_demo[1].scan
    scene = QUICK.scene(1)
    again = render_scan(scene, z_um=scan.z_um, drift_px=DEMO_DRIFT_PX, seed=1)
    assert np.array_equal(scan.frames, again.frames)
    assert not np.array_equal(scan.truth_um, QUICK.scene(0).height_um)


def test_it_replaces_an_older_demo_and_nothing_else(one_demo, tmp_path, undrawn):
    shutil.copytree(one_demo[0], tmp_path / "demo")
    before = (tmp_path / "demo" / "report.html").stat().st_mtime_ns
    run_demo(tmp_path / "demo", quick=True)
    assert (tmp_path / "demo" / "report.html").stat().st_mtime_ns > before
    (tmp_path / "demo" / "thesis.doc").write_text("mine")
    with pytest.raises(InputError, match=r"also holds 'thesis.doc', which is no part of a result"):
        run_demo(tmp_path / "demo", quick=True)
    assert (tmp_path / "demo" / "thesis.doc").read_text() == "mine"
