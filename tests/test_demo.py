"""The demonstration: its errors are what they claim, and it writes what it says."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from lee import demo, demo_growing, demo_nuclei
from lee.demo import FILES, errors_of, run_demo
from lee.demo_growing import GrowingDemo
from lee.devices.virtual import DEMO_DRIFT_PX, RunTruth, electrode, growing_electrode, render_scan
from lee.errors import InputError
from lee.particles.table import read_table
from lee.plain_focus import plain_heights
from lee.report import Section
from lee.run import open_run
from lee.stack import open_stack
from lee.surface import Surface


def small_scene(seed):
    scene = electrode((96, 96), 0.25, seed, relief_um=4.0)
    return scene.with_spikes(2, seed + 1).with_bubbles(1, seed + 2, (2.0, 3.0)).with_debris(1, seed + 3)


def small_growing(seed):
    return growing_electrode((84, 84), 0.25, seed, relief_um=2.0, plating_s=60.0, stripping_s=60.0)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "demo_scene", small_scene)
    monkeypatch.setattr(demo_growing, "growing_demo_scene", small_growing)
    monkeypatch.setattr(demo_growing, "SCANS", 6)
    monkeypatch.setattr(demo_growing, "INTERVAL_S", 20.0)
    monkeypatch.setattr(demo_growing, "WALK_PX", 0.3)
    monkeypatch.setattr(demo_nuclei, "SIDE_PX", 144)
    monkeypatch.setattr(demo_nuclei, "TIMES_S", (0.0, 10.0, 40.0, 50.0))
    monkeypatch.setattr(demo_nuclei, "AT_S", (10.0, 50.0))
    monkeypatch.setattr(demo_nuclei, "STEPS", 6)
    monkeypatch.setattr(demo_nuclei, "KNOWN", 50)


@pytest.fixture
def one_run(monkeypatch):
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

    monkeypatch.setattr(demo, "demo_scene", small_scene)

    def run_nuclei(folder, run, **options):
        folder.mkdir()
        run.mkdir()
        return SimpleNamespace(rows=lambda: [{"time": "10 s"}], section=lambda place: Section("Nuclei", ""))

    monkeypatch.setattr(demo_growing, "run_growing", run_growing)
    monkeypatch.setattr(demo_nuclei, "run_nuclei", run_nuclei)
    return found


def test_errors_are_those_of_the_measured_pixels():
    truth = np.zeros((10, 10), np.float32)
    truth[0] = np.nan
    height = np.full((10, 10), 0.1, np.float32)
    height[1] = np.nan
    height[2, :5] = 1.0
    found = errors_of("x", height, truth, sigma_um=np.full((10, 10), 0.1, np.float32))
    assert found.coverage == pytest.approx(80 / 90)
    assert found.median_um == pytest.approx(0.1)
    assert found.gross == pytest.approx(5 / 80)
    assert found.within_sigma == pytest.approx(75 / 80)
    assert found.rms_um == pytest.approx(np.sqrt((75 * 0.01 + 5) / 80))
    assert found.p95_um == pytest.approx(1.0)


def test_errors_look_only_where_asked():
    truth = np.zeros((4, 4), np.float32)
    height = np.arange(16, dtype=np.float32).reshape(4, 4)
    found = errors_of("x", height, truth, where=height == 7)
    assert (found.rms_um, found.median_um, found.gross, found.coverage) == (7.0, 7.0, 1.0, 1.0)
    assert np.isnan(found.within_sigma)


def test_nothing_measured_has_no_errors():
    found = errors_of("x", np.full((3, 3), np.nan, np.float32), np.zeros((3, 3), np.float32))
    assert found.coverage == 0.0
    assert np.isnan([found.rms_um, found.median_um, found.p95_um, found.gross]).all()


def test_plain_heights_take_the_sharpest_frame():
    rng = np.random.default_rng(0)
    texture = rng.normal(size=(40, 40))
    contrast = np.array([1, 5, 20, 5, 1])[:, None, None]
    frames = (100 + contrast * texture).astype(np.float32)
    for height in plain_heights(frames, np.array([1.0, 2.0, 3.5, 4.0, 5.0]), 5).values():
        assert (height == 3.5).all()


def test_it_writes_what_it_says(tmp_path, small):
    seen = []
    found = run_demo(
        tmp_path / "demo", seed=3, threads=1, progress=lambda done, total: seen.append((done, total))
    )
    folder = tmp_path / "demo"
    assert {path.name for path in folder.iterdir()} == FILES
    stack = open_stack(folder / "scan.ome.tif")
    assert np.allclose(stack.z_um, found.scan.z_um)
    assert stack.pixel_um == 0.25
    assert np.array_equal(stack[5], found.scan.frames[5])
    assert np.array_equal(Surface.load(folder / "surface").height_um, found.surface.height_um, equal_nan=True)
    truth = tifffile.imread(folder / "truth_um.tif")
    assert np.array_equal(truth, found.scan.truth_seen_in(demo.REFERENCE_FRAME), equal_nan=True)
    assert seen == [(k + 1, len(stack) + 18) for k in range(len(stack))] + seen[len(stack) :]
    assert seen[-1] == (len(stack) + 18, len(stack) + 18)
    page = (folder / "report.html").read_text()
    assert all(row["rms um"] in page for row in found.rows())
    assert all(row["measured nm/s"] in page for row in found.growing.rows())
    assert "data:video/mp4" in page
    run = open_run(folder / "run")
    assert len(run) == 6
    assert run.phases[0] == "plating" != run.phases[-1] == "stripping"
    assert (folder / "run" / "series" / "report.html").is_file()
    assert all(row["diameter, median error"] in page for row in found.nuclei.rows())
    assert (folder / "nuclei" / "report.html").is_file()


def test_nuclei_are_found_where_they_appeared(tmp_path, small):
    found = demo_nuclei.run_nuclei(tmp_path / "nuclei", tmp_path / "run", seed=1, threads=1)
    assert [row["time"] for row in found.rows()] == ["10 s", "50 s"]
    for row in found.rows():
        assert int(row["clear"]) >= 5
        assert float(row["of these found"].rstrip("%")) >= 80
        assert int(row["false"]) <= 4
        assert float(row["place, median error um"]) < 0.05
        assert float(row["own focus, median error um"]) < 0.3
        assert abs(float(row["diameter, median error"].rstrip("%"))) < 4
    truth = RunTruth.load(tmp_path / "run")
    table = read_table(tmp_path / "nuclei" / "particles.csv")
    row = demo_nuclei.compared(table.iloc[:0], truth, 0.0, 10.0, {"threshold_snr": 4.0, "spot_sigma_px": 1.2,
                               "noise_counts": 0.6, "noise_excess": 1.0})  # fmt: skip
    assert (row["of these found"], row["found"], row["false"]) == ("0%", "0", "0")
    assert row["diameter, median error"] == row["within 1 sigma"] == "-"


def test_a_growing_run_is_measured_as_it_grew(tmp_path, small):
    found = demo_growing.run_growing(tmp_path / "run", seed=2, threads=1)
    assert found.shift_error_px() < 0.1
    error = found.rate_nm_per_s - found.truth.rate_nm_per_s
    assert np.nanmedian(np.abs(error)) < 3
    loaded = RunTruth.load(tmp_path / "run")
    assert np.array_equal(loaded.rate_nm_per_s, found.truth.rate_nm_per_s)
    trenches, protrusions = (loaded.rate_nm_per_s[0][m].mean() for m in (loaded.trenches, loaded.protrusions))
    assert trenches > 1.2 * protrusions


def test_the_table_of_rates_says_how_far_they_are_off(one_run):
    rows = one_run.rows()
    assert [(row["phase"], row["where"]) for row in rows[:3]] == [
        ("plating", "trenches"),
        ("plating", "protrusions"),
        ("plating", "whole field"),
    ]
    assert (rows[2]["true nm/s"], rows[2]["measured nm/s"]) == ("40.0", "42.0")
    assert rows[5]["rms error of a pixel nm/s"] == "2.00"
    assert (rows[2]["within 1 sigma"], rows[5]["within 1 sigma"]) == ("0.0%", "100.0%")
    assert one_run.shift_error_px() == pytest.approx(np.sqrt((0.09 + 0.16) / 2))


def test_its_table_holds_lee_and_the_plain_measures(tmp_path, one_run):
    found = run_demo(tmp_path / "demo", threads=1)
    heights, rates, _ = found.text().split("\n\n")
    assert [line.split()[1] for line in rates.splitlines()[1:]] == ["trenches", "protrusions", "whole"] * 2
    lines = heights.splitlines()
    assert all(line.endswith("-") for line in lines[1:] if line.startswith("plain"))  # they tell no sigma
    assert lines[0].split("  ")[0] == "heights"
    names = [errors.what for errors in found.errors]
    assert [line[: len(name)] for line, name in zip(lines[1:], names, strict=True)] == names
    assert {"lee", "lee, under bubbles, gaps filled", "plain variance, 9 px", "plain Tenengrad, 9 px"} <= set(
        names
    )
    mine, *plain = (
        e for e in found.errors if e.what in ("lee", "plain variance, 9 px", "plain Tenengrad, 9 px")
    )
    assert all(mine.median_um < other.median_um for other in plain)


def test_the_seed_is_that_of_surface_and_noise(tmp_path, one_run):
    scan = run_demo(tmp_path / "demo", seed=1).scan
    scene = small_scene(1)
    again = render_scan(scene, z_um=scan.z_um, drift_px=DEMO_DRIFT_PX, seed=1)
    assert np.array_equal(scan.frames, again.frames)
    assert not np.array_equal(scan.truth_um, small_scene(0).height_um)


def test_it_replaces_an_older_demo_and_nothing_else(tmp_path, one_run):
    run_demo(tmp_path / "demo")
    before = (tmp_path / "demo" / "report.html").stat().st_mtime_ns
    run_demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "report.html").stat().st_mtime_ns > before
    (tmp_path / "demo" / "thesis.doc").write_text("mine")
    with pytest.raises(InputError, match=r"also holds 'thesis.doc', which is no part of a result"):
        run_demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "thesis.doc").read_text() == "mine"
