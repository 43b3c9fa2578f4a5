"""What the accuracy of a run over time is held against: exact surfaces, exact growth, fair figures."""

import sys

import numpy as np
import pytest

pytest.importorskip("cv2")

from bench import series_accuracy
from bench.judged_row import Row
from bench.scenes import growing_runs
from bench.scenes.analytic_surfaces import FIELD_UM, SURFACES, area_um2, sampled
from bench.scenes.growing_runs import (
    MeasuredRun,
    noisy_run,
    persistent_run,
    rays_run,
    rig_run,
    sloped_run,
    still_heights,
)
from bench.series_accuracy import displacements, ratio_error, rms, run_errors, surface_errors
from lee.surfaces.resampling import shift_map


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_derivatives_are_those_of_the_height(name, seed):
    exact, pixel = sampled(SURFACES[name](np.random.default_rng(seed)), 400)
    inner = (slice(2, -2), slice(2, -2))
    for of, along, expected in (
        (exact.height, 0, exact.y),
        (exact.height, 1, exact.x),
        (exact.y, 0, exact.yy),
        (exact.y, 1, exact.xy),
        (exact.x, 1, exact.xx),
    ):
        found = np.gradient(of, pixel, axis=along)
        assert np.abs(found - expected)[inner].max() < 2e-3 * np.abs(expected).max() + 1e-6
    assert np.isfinite(exact.mean_per_um).all()


def test_the_bowl_of_a_sphere_has_one_curvature_everywhere_and_its_area_is_known():
    rng = np.random.default_rng(4)
    surface = SURFACES["sphere"](rng)
    exact, _ = sampled(surface, 64)
    curvature_error = exact.mean_per_um
    assert np.ptp(curvature_error) < 1e-12
    assert curvature_error[0, 0] > 0
    radius = 1 / curvature_error[0, 0]
    # The projected area of a small piece is that of the sphere times the cosine of its slope.
    assert np.max(np.abs(exact.stretch * -exact.height - radius)) < 1e-9
    assert area_um2(surface, 64) == pytest.approx(area_um2(surface, 256), rel=1e-5)
    assert area_um2(surface, 64) > FIELD_UM**2


def test_surface_errors_are_small_without_noise(monkeypatch):
    monkeypatch.setattr(series_accuracy, "NOISE", 0.0)
    curvature_error, area = surface_errors("sinusoid", 1, 128)
    assert curvature_error < 1
    assert area < 0.1


def test_a_row_is_judged_by_its_worst_seed():
    assert Row("a", "b", "%", 8, 2, (1.0, 1.9)).verdict == "aim"
    assert Row("a", "b", "%", 8, 2, (1.0, 7.9)).verdict == "must"
    assert Row("a", "b", "%", 8, 2, (8.1, 1.0)).verdict == "MISSED"
    assert Row("a", "b", "%", 8, 2, (np.nan, 1.0)).verdict == "MISSED"
    assert Row("a", "b", "%", 8, 2, (1.0, 8.1)).cells()["seeds"] == "1 8.1"
    assert Row("a", "b", "", 0.9, 0.95, (0.96, 0.97), at_least=True).verdict == "aim"
    assert Row("a", "b", "", 0.9, 0.95, (0.92, 0.97), at_least=True).verdict == "must"
    assert Row("a", "b", "", 0.9, 0.95, (0.89, 0.97), at_least=True).verdict == "MISSED"


def test_noisy_truth_is_the_truth_and_noise():
    run = noisy_run(48, 1, 3, noise_um=0.05)
    assert np.std(run.height_um - run.truth_um) == pytest.approx(0.05, rel=0.03)
    lead = run.rate_nm_per_s[0, run.trenches].mean() - run.rate_nm_per_s[0, run.protrusions].mean()
    assert lead == pytest.approx(50, abs=1e-3)
    change = (run.truth_um[1] - run.truth_um[0]) * 100
    np.testing.assert_allclose(change, run.rate_nm_per_s[:2].mean(axis=0), atol=1.5)


@pytest.mark.parametrize("draw", [rig_run, rays_run])
def test_either_renderer_shows_the_truth_where_stated(draw, monkeypatch):
    monkeypatch.setattr(growing_runs, "_found", plainly_found)
    run = draw(96, 2, 2)
    assert run.height_um.shape == run.truth_um.shape == run.rate_nm_per_s.shape == (2, 96, 96)
    assert run.shift_px[0] == pytest.approx([0, 0])
    assert np.abs(run.shift_px[1]).max() > 0.3
    back = np.stack([shift_map(h, *-s) for h, s in zip(run.height_um, run.shift_px, strict=True)])
    assert np.nanmedian(np.abs(back - run.truth_um)) < 0.2
    assert np.abs(displacements(back, run.truth_um)[1]).max() < 0.15


def plainly_found(frames, z_um, both=True):
    import lee

    stack = lee.ZStack.from_array(frames, z_um, 0.25)
    one = lee.reconstruct(stack, params=lee.ReconstructParams(threads=1, drift=False), device="cpu")
    return one.height_um, one.height_sigma_um, one.refocused, one.refocused


def test_a_displacement_is_found_among_errors():
    truth = noisy_run(96, 3, 2, noise_um=0.0).truth_um
    moved = np.stack([truth[0], shift_map(truth[1], 0.3, -0.2)])
    moved += np.random.default_rng(0).normal(0, 0.05, truth.shape).astype(np.float32)
    moved[1, ::7, ::7] += 5
    assert displacements(moved, truth)[1] == pytest.approx([0.3, -0.2], abs=0.03)


def test_an_exact_run_has_no_errors():
    run = noisy_run(96, 1, 5, noise_um=0.0)
    run = MeasuredRun(**{**vars(run), "sigma_um": np.full_like(run.truth_um, 0.05)})
    found = run_errors(run)
    assert found["rate, whole windows"] < 1
    assert found["ratio"] < 3
    assert max(found[key] for key in ("aligned", "walk", "walk, still")) < 0.01
    assert max(found[key] for key in ("bias, in errors", "area", "volume")) < 1
    assert ratio_error(run.rate_nm_per_s, run) == 0
    assert np.isnan(rms(np.full(3, np.nan)))


@pytest.mark.parametrize(("draw", "correlation"), [(noisy_run, 0.0), (persistent_run, 0.9)])
def test_noise_persists_as_stated(draw, correlation):
    run = draw(48, 1, 4)
    noise = (run.height_um - run.truth_um).reshape(4, -1)
    assert np.std(noise) == pytest.approx(0.08, rel=0.05)
    assert np.corrcoef(noise[1], noise[2])[0, 1] == pytest.approx(correlation, abs=0.05)


def test_sloped_noise_has_its_stated_sigma_everywhere():
    run = sloped_run(96, 1, 4)
    score = (run.height_um - run.truth_um) / run.sigma_um
    assert np.ptp(run.sigma_um[0]) > 0.05
    for part in (run.sigma_um > np.median(run.sigma_um), run.sigma_um < np.median(run.sigma_um)):
        assert np.std(score[part]) == pytest.approx(np.sqrt(2), rel=0.1)


def test_a_still_electrode_is_measured_where_it_is():
    heights, sigmas = still_heights(64, 1, 2)
    assert heights.shape == sigmas.shape == (2, 64, 64)
    assert abs(np.nanmedian(heights[1] - heights[0])) < 0.01


def test_the_table_is_printed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(series_accuracy, "surface_rows", lambda seeds, side: [])
    monkeypatch.setattr(
        series_accuracy, "RUNS", {"noisy truth": lambda side, seed, scans: noisy_run(64, seed, 5)}
    )
    monkeypatch.setattr(series_accuracy, "still_rows", lambda seeds, side: [])
    monkeypatch.setattr(sys, "argv", ["series_accuracy", "--quick", "--csv", str(tmp_path / "table.csv")])
    series_accuracy.main()
    printed = capsys.readouterr().out
    assert "rate map, all scans" in printed
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 12
