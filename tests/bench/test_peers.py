"""The benchmarks' own parts: what they compare with must be sound, or their ratios mean nothing."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from bench.peers import opencv_focus as peers
from bench.peers import spot_detectors
from bench.peers.opencv_refocuser import OpenCvRefocuser, fitted_offset
from bench.scenes import gaussian_gather_renderer as renderer_b
from bench.scenes import gaussian_gather_specimens as specimens_b
from bench.scenes import heat_sink
from bench.scenes import spot_fields as spots
from bench.scenes.accuracy_cases import all_cases
from bench.scores import score, within_sigma
from bench.table import lines, write_csv
from lee import _core
from lee.devices import virtual

ROOT = Path(__file__).resolve().parents[2]
PIXEL_UM = 0.25


@pytest.fixture(scope="module")
def gentle_scan():
    return virtual.render_scan(virtual.gentle((96, 96), PIXEL_UM, 3), seed=3)


# --- the baselines ---


@pytest.mark.parametrize("direction", [1, -1])
def test_a_gaussian_focus_curve_is_fitted_exactly(direction):
    z = np.cumsum(np.random.default_rng(0).uniform(0.1, 0.3, 40))
    centre = np.linspace(z[8], z[-9], 20).reshape(4, 5)
    curves = np.exp(-0.5 * ((z[:, None, None] - centre) / 1.2) ** 2).astype(np.float32)
    found = peers.fitted_heights(curves[::direction], z[::direction])
    assert np.allclose(found, centre, atol=1e-3)


def test_a_focus_curve_without_a_top_takes_its_largest_frame():
    z = np.arange(20.0)
    rising = np.broadcast_to(np.exp(z)[:, None, None], (20, 2, 2)).astype(np.float32)
    assert np.array_equal(peers.fitted_heights(rising, z), np.full((2, 2), 19.0))


def test_variance_and_tenengrad_are_as_stated():
    frame = np.random.default_rng(1).uniform(0, 255, (15, 15)).astype(np.float32)
    window = frame[5:10, 5:10].astype(np.float64)
    assert peers.variance(frame, 5)[7, 7] == pytest.approx(window.var(), rel=1e-3)
    ramp = np.broadcast_to(np.arange(15, dtype=np.float32), (15, 15)).copy()
    assert peers.tenengrad(ramp, 5)[7, 7] == pytest.approx(64.0)  # the Sobel sum of a slope of 1 is 8


def test_the_best_baseline_is_near_the_truth(gentle_scan):
    found = peers.all_peers(gentle_scan.frames, gentle_scan.z_um)
    assert len(found) == 6
    best = peers.best_peer(found, gentle_scan.truth_um)
    errors = [float(np.std(peer.height_um - gentle_scan.truth_um)) for peer in found]
    assert np.std(best.height_um - gentle_scan.truth_um) <= min(errors) + 1e-6
    assert min(errors) < 0.12


# --- the refocuser's measure composed from OpenCV calls ---


def test_five_samples_of_a_gaussian_give_its_centre():
    u = np.array([-1.6, -0.8, 0.0, 0.8, 1.6], np.float32)
    centre = np.array([-0.3, 0.0, 0.25], np.float32)
    samples = [np.exp(-0.5 * ((at - centre) / 1.4) ** 2).astype(np.float32) for at in u]
    assert np.allclose(fitted_offset(samples, u), centre, atol=1e-4)


@pytest.mark.parametrize("shape", [(96, 96), (91, 93)])
def test_the_composed_measure_finds_the_heights_of_the_refocuser(gentle_scan, shape):
    frames = np.ascontiguousarray(gentle_scan.frames[:, : shape[0], : shape[1]])
    theirs = OpenCvRefocuser(shape, 3.5)
    ours = _core.Refocuser(
        *shape, depth_of_field_um=3.5, window_y_px=5, window_x_px=5, detail_px=5, threads=1
    )
    for frame, z in zip(frames, gentle_scan.z_um, strict=True):
        theirs.push(frame, float(z))
        ours.push(frame, float(z))
    theirs.close()
    ours.close()
    for k, level in enumerate(theirs.levels):
        z_um, peak, _ = ours.peaks(k)
        apart = np.abs(level.z_um[0] - z_um[0])
        # Ours keeps focus in 16 bits, so a few equal peaks change places.
        assert np.mean(apart < 1e-2) > 0.98
        # The same measure, not only the same heights.
        assert np.median(np.abs(level.peak[0] / peak[0] - 1)) < 4e-3


# --- the second renderer ---


def test_the_second_renderer_focuses_where_the_surface_is():
    rng = np.random.default_rng(2)
    tilted = np.tile(np.linspace(-1, 1, 64, dtype=np.float32), (64, 1))
    specimen = specimens_b.dressed(tilted, PIXEL_UM, rng)
    z = np.arange(-4, 4, 0.25)
    taken = renderer_b.record(specimen, z, seed=4)
    assert taken.frames.dtype == np.uint8
    assert not taken.touched.any()
    best = peers.best_peer(peers.all_peers(taken.frames, z), tilted)
    assert np.median(np.abs(best.height_um - tilted)) < 0.1


def test_a_ring_saturates_moves_and_marks_what_it_touched():
    specimen = specimens_b.dressed(np.zeros((64, 64), np.float32), PIXEL_UM, np.random.default_rng(5))
    z = np.array([-1.0, 2.0, 5.0])
    ring = renderer_b.Body(6.0, 6.0, 2.0, 3.0, motion_um=(0.0, 4.0), present=(0.4, 1.0))
    taken = renderer_b.record(specimen, z, bodies=[ring], sensor=renderer_b.Sensor(bits=12), seed=5)
    assert taken.frames.dtype == np.uint16
    assert taken.frames[0].max() < 4095
    assert taken.frames[1].max() == 4095
    row = np.flatnonzero(taken.touched[24]) * PIXEL_UM
    assert row.min() == pytest.approx(5.0, abs=0.3)
    assert row.max() == pytest.approx(13.0, abs=0.3)


@pytest.mark.parametrize("name", ["caps", "trenches", "terraces", "rough_slope"])
def test_surfaces_are_drawn_anew_for_each_seed(name):
    one, again, other = (
        getattr(specimens_b, name)((48, 48), PIXEL_UM, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert abs(float(one.min()) + float(one.max())) < 1e-4


def test_a_drifting_case_shows_its_truth_in_the_first_frame():
    for case in all_cases():
        if case.name in ("gentle, drift 8 px", "caps, drift 8 px"):
            taken = case.draw((64, 64), 1)
            # The first frame shows the scene moved by half the drift, backwards.
            dy, dx = (round(by) for by in taken.path_px[0])
            moved = np.roll(taken.mean_truth_um, (dy, dx), axis=(0, 1))
            inside = taken.seen_throughout()
            assert 0.7 < inside.mean() < 0.85
            assert np.nanmax(np.abs(moved - taken.truth_um)[inside]) < 0.15


# --- scores, tables, the real scan ---


def test_scores_leave_out_what_is_not_known():
    errors = np.array([0.1, -0.1, 0.7, np.nan])
    found = score(errors, 0.2)
    assert found.far == pytest.approx(1 / 3)
    assert found.median == pytest.approx(0.1)
    assert found.rms == pytest.approx(np.sqrt((0.01 + 0.01 + 0.49) / 3))
    assert within_sigma(errors, np.array([0.2, 0.05, np.nan, 1.0])) == pytest.approx(0.5)
    assert np.isnan(score(errors[3:], 0.2).rms)


def test_tables_line_up_and_csv_holds_the_same(tmp_path):
    rows = [{"case": "a", "rms": 0.1234567}, {"case": "long name", "rms": float("nan")}]
    shown = lines(rows)
    assert shown == ["case         rms", "a          0.123", "long name      -"]
    write_csv(rows, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["a", "long name"]
    assert list(tmp_path.iterdir()) == [tmp_path / "table.csv"]


def test_flatness_finds_levels_and_counts_outliers_inside_them():
    rng = np.random.default_rng(6)
    height = rng.normal(20, 0.1, (200, 300)).astype(np.float32)
    height[:, 180:] += 4 + np.linspace(0, 0.5, 120, dtype=np.float32)
    height[100, 200:280:8] += 5
    ridge, floor = heat_sink.levels(height)
    assert ridge == pytest.approx(24.25, abs=0.35)
    assert floor == pytest.approx(20, abs=0.15)
    inside = heat_sink.region(height, ridge)
    assert not inside[:, :180].any()
    found = heat_sink.flatness(height, inside)
    assert found.core_rms == pytest.approx(0.1, abs=0.01)
    assert found.outliers == pytest.approx(10 / found.pixels, rel=0.3)
    assert found.rms > found.core_rms
    assert len(heat_sink.parts(inside)) == 1


# --- spots ---


def test_fields_of_spots_are_as_stated():
    field = spots.random_field(300, 60, seed=1, peaks=(3.0, 9.0), share=0.25)
    assert (len(field.places), field.clustered.sum()) == (60, 15)
    assert np.all((field.peaks >= 3) & (field.peaks <= 9))
    assert not (field.isolated() & field.clustered).any()
    image = field.drawn()
    assert image.sum() == pytest.approx(2 * np.pi * 1.4**2 * field.peaks.sum(), rel=1e-3)
    before, after = spots.frames(image, 2, dtype=np.uint16, level=500, noise=20)
    left = after.astype(float) - before - 20 * image
    assert np.std(left) == pytest.approx(20, rel=0.02)
    assert abs(left.mean()) < 0.4


def test_found_spots_are_paired_once_and_nearest_first():
    truth = [(10, 10), (10, 11), (50, 50), (80, 80)]
    found = [(10, 10.8), (10, 9.7), (50, 51.4), (80, 81.6), (10, 11.1)]
    of_truth, of_found = spots.matched(truth, found)
    assert sorted(zip(of_truth.tolist(), of_found.tolist(), strict=True)) == [(0, 1), (1, 4), (2, 2)]
    assert len(spots.matched(truth, [])[0]) == len(spots.matched([], found)[0]) == 0


def test_scores_of_spots_are_shares_of_what_was_drawn():
    field = spots.Field(
        (100, 100),
        np.array([(20.0, 20.0), (20.0, 60.0), (70.0, 70.0), (73.0, 70.0)]),
        np.array([10.0, 20.0, 10.0, 10.0]),
        np.array([False, False, True, True]),
    )
    got = spots.scores(field, [(20.1, 20.0), (20.0, 60.05), (70.0, 70.0), (90.0, 10.0), (5.0, 5.0)])
    assert (got.precision, got.recall, got.cluster_recall) == (0.6, 0.75, 0.5)
    assert got.f1 == pytest.approx(6 / 9)
    assert got.over_bound == pytest.approx(np.sqrt(0.5) / spots.BOUND_PX)
    nothing = spots.scores(field, np.zeros((0, 2)))
    assert (nothing.f1, nothing.recall) == (0, 0)
    assert np.isnan(nothing.over_bound)


@pytest.mark.parametrize(
    "detector", spot_detectors.DETECTORS, ids=lambda one: f"{one.name} {bool(one.thresholds)}"
)
def test_other_detectors_find_bright_spots(detector):
    if not detector.is_here():
        pytest.skip(f"{detector.distribution} is not installed")
    true = np.array([(y, x) for y in range(20, 120, 20) for x in range(20, 120, 20)]) + 0.3
    before, after = spots.frames(spots.drawn((130, 130), true, 20.0, 1.4), 3)
    threshold = detector.thresholds[-1] if detector.thresholds else float("nan")
    found = detector.find(after - before, 1.4, threshold)
    assert len(spots.matched(true, found)[0]) >= 24
    assert not detector.thresholds or len(found) <= 27


# --- the programs ---


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bench.bench_refocuser", "--quick", "--runs", "1"], "400x320 noise"),
        pytest.param(
            ["bench.accuracy", "--quick", "--only", "rig gentle, low"],
            "gentle, low light",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["bench.bench_detect_particles", "--quick"], "tuned on the truth", marks=pytest.mark.slow
        ),
    ],
)
def test_benchmarks_run_as_programs(arguments, expected):
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.slow
def test_the_z_interval_figure_is_written_whole(tmp_path):
    figure = tmp_path / "figure.png"
    command = [sys.executable, "-m", "bench.z_interval", "-o", str(figure)]
    command += ["--side", "96", "--intervals", "0.4", "1.0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [figure]
