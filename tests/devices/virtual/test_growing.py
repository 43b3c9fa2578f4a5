"""Growing scenes: their rates are the derivative of their heights, and a run's folder is complete."""

import csv

import numpy as np
import pytest

from lee.devices.virtual import (
    GrowingScene,
    GrowthLaw,
    Phase,
    RunTruth,
    electrode,
    flat,
    growing_electrode,
    iter_scans,
    render_run,
    render_scan,
    stage_walk,
)
from lee.devices.virtual.scene.scan_part import part_of_scan
from lee.errors import InputError
from lee.stacks.stack import open_stack

PIXEL_UM = 0.25
UNIFORM = GrowthLaw((Phase("plating", 100.0, (50.0, 50.0)), Phase("stripping", 100.0, (-40.0, -40.0))))


@pytest.fixture(scope="module")
def grown():
    return growing_electrode((96, 80), PIXEL_UM, 3, plating_s=300.0, stripping_s=300.0)


@pytest.mark.parametrize("time_s", [1.0, 90.0, 299.0, 350.0, 550.0])
def test_the_rate_is_the_derivative_of_the_height(grown, time_s):
    step = 0.5
    change = grown.height_um(time_s + step).astype(np.float64) - grown.height_um(time_s - step)
    found = 1e3 * change / (2 * step)
    np.testing.assert_allclose(grown.rate_nm_per_s(time_s), found, atol=0.02)
    np.testing.assert_allclose(grown.mean_rate_nm_per_s(time_s - step, time_s + step), found, atol=2e-3)


def test_what_drives_growth_is_the_curvature_of_a_shallow_wave():
    at = (np.arange(128) + 0.5) * PIXEL_UM
    turn = 2 * np.pi / (128 * PIXEL_UM)
    wave = np.broadcast_to(0.1 * np.cos(turn * at), (64, 128)).astype(np.float32)
    law = GrowthLaw((Phase("plating", 500.0, (40.0, 40.0), (2.0, 2.0)),), smoothing_um=0.5)
    scene = GrowingScene(flat((64, 128), PIXEL_UM, 0), law)
    growing = GrowingScene(type(scene.scene)(wave, scene.scene.reflectance, PIXEL_UM), law)
    smoothed = np.exp(-0.5 * (turn * 0.5) ** 2)
    expected = -0.5 * turn**2 * smoothed * wave
    np.testing.assert_allclose(growing.curvature_per_um(0.0), expected, atol=1e-6)
    faded = wave * np.exp(-0.5 * turn**2 * smoothed * 2.0 * 100) + 4.0
    np.testing.assert_allclose(growing.height_um(100.0), faded, atol=1e-5)


def test_trenches_lead_and_their_lead_decays(grown):
    trench, peak = grown.trenches(), grown.protrusions()
    assert trench.mean() == pytest.approx(0.1, abs=0.01)
    early, late = grown.rate_nm_per_s(0.0), grown.rate_nm_per_s(299.0)
    assert early[trench].mean() > 1.8 * early[peak].mean() > 0
    assert early[trench].mean() > late[trench].mean() > late[peak].mean()
    assert late[trench].mean() < 1.3 * late[peak].mean()


def test_stripping_is_uniform_first_and_faster_in_trenches_later(grown):
    first, late = grown.rate_nm_per_s(300.0), grown.rate_nm_per_s(599.0)
    assert np.ptp(first) < 1e-3
    assert first.mean() == pytest.approx(-40.0, abs=0.01)
    assert late[grown.trenches()].mean() < late[grown.protrusions()].mean() - 0.5


@pytest.mark.parametrize("time_s", [-5.0, 600.0, 1e4])
def test_nothing_moves_outside_the_law(grown, time_s):
    assert not grown.rate_nm_per_s(time_s).any()
    end = grown.height_um(0.0 if time_s < 0 else 600.0)
    np.testing.assert_allclose(grown.height_um(time_s), end, atol=1e-5)


def test_texture_stays_where_it_is_and_is_slowly_replaced(grown):
    first = np.log(grown.reflectance(0.0))
    np.testing.assert_allclose(np.exp(first), grown.scene.reflectance, rtol=1e-5)
    shared = [
        float(np.corrcoef(first.ravel(), np.log(grown.reflectance(t)).ravel())[0, 1])
        for t in (10, 200, 500, 1000)
    ]
    assert shared == sorted(shared, reverse=True)
    assert shared[0] > 0.999
    assert shared[-1] < 0.5
    before, after = grown.reflectance(999.9), grown.reflectance(1000.1)
    assert np.abs(before - after).max() < 2e-3
    still = GrowingScene(grown.scene, grown.law, texture_s=np.inf)
    assert np.array_equal(still.reflectance(500.0), grown.scene.reflectance)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Phase("plating", 0.0), r"phase 'plating' has duration_s 0\.0"),
        (lambda: Phase("plating", 1.0, (np.nan, 1.0)), r"give times above 0 and finite numbers"),
        (lambda: GrowthLaw(()), r"a law needs at least one phase"),
        (lambda: GrowthLaw(UNIFORM.phases, smoothing_um=0), r"smoothing_um 0 must be above 0"),
        (
            lambda: GrowingScene(flat((9, 9), 0.25, 0), UNIFORM, texture_s=0),
            r"texture_s 0 must be above 0; inf keeps it",
        ),
    ],
)
def test_laws_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()


# --- scans ---


def one_scan(growing, **options):
    return next(iter_scans(growing, [20.0], **options))


def test_a_still_scan_is_that_of_the_scene_at_its_time(grown):
    scan = one_scan(grown, moving=False)
    again = render_scan(grown.at(20.0), z_um=scan.z_um)
    assert np.mean(np.abs(scan.frames.astype(float) - again.frames)) < 6  # the noise is another
    assert np.corrcoef(scan.frames.mean(0).ravel(), again.frames.mean(0).ravel())[0, 1] > 0.999
    np.testing.assert_array_equal(scan.truth_um, grown.height_um(20.0))
    np.testing.assert_array_equal(scan.seen_um, scan.truth_um)


def test_a_surface_that_rises_is_met_where_it_has_risen_to():
    growing = GrowingScene(flat((48, 48), PIXEL_UM, 2), UNIFORM)
    scan = one_scan(growing, z_um=np.arange(-2.0, 6.0, 0.2), frames_per_s=4.0)
    # It is at 1 µm when the scan begins and is met when 0.2 k = 2 + 1 + 0.05 k / 4, k of the frames.
    assert scan.truth_um == pytest.approx(1.0, abs=1e-6)
    met = 3 / (0.2 - 0.05 / 4)
    assert scan.seen_um == pytest.approx(1 + 0.05 * met / 4, abs=3e-3)
    sharp = np.var(scan.frames.astype(float) / scan.frames.mean((1, 2), keepdims=True), axis=(1, 2))
    near = slice(int(np.argmax(sharp)) - 4, int(np.argmax(sharp)) + 5)
    centre = np.sum(scan.z_um[near] * sharp[near] ** 2) / np.sum(sharp[near] ** 2)
    assert centre == pytest.approx(float(scan.seen_um.mean()), abs=0.06)


def test_drift_shows_the_surroundings_and_not_a_mirror_image():
    growing = GrowingScene(electrode((80, 80), PIXEL_UM, 1, relief_um=1.0), UNIFORM, texture_s=np.inf)
    first, last = iter_scans(growing, [0.0, 0.1], shift_px=(3.0, -2.0), moving=False, z_um=[-1.0, 0.0])
    assert first.frames.shape[1:] == (74, 74) == first.truth_um.shape
    lamp_is_even = (slice(None), slice(20, 50), slice(20, 50))
    moved = (slice(None), slice(23, 53), slice(18, 48))
    shown = np.corrcoef(first.frames[lamp_is_even].ravel(), last.frames[moved].ravel())[0, 1]
    assert shown > 0.9
    edge = np.corrcoef(first.frames[:, :4, 10:60].ravel(), last.frames[:, 3:7, 8:58].ravel())[0, 1]
    assert edge > 0.85


def test_an_axial_error_raises_heights_by_as_much():
    growing = GrowingScene(flat((40, 40), PIXEL_UM, 4), UNIFORM)
    z = np.arange(-2.0, 2.0, 0.2)
    low, high = iter_scans(growing, [200.0, 201.0], z_um=z, axial_um=0.4, moving=False, seed=1)
    assert (low.axial_um, high.axial_um) == (0.0, 0.4)
    contrast = [scan.frames.astype(float).std(axis=(1, 2)) for scan in (low, high)]
    assert np.corrcoef(contrast[0][3:-5], contrast[1][5:-3])[0, 1] > 0.995


def test_what_floats_by_does_so_once_in_a_scan_of_many_surfaces():
    growing = GrowingScene(flat((64, 64), PIXEL_UM, 4), UNIFORM)

    def disturb(scene, scan):
        return scene.with_debris(1, scan + 5).with_spikes(4, scan).with_bubbles(1, scan, (2.0, 3.0))

    z = np.arange(-1.0, 6.0, 0.2)
    moving = one_scan(growing, z_um=z, disturb=disturb, frames_per_s=1e6, layer_um=0.1)
    still = one_scan(growing, z_um=z, disturb=disturb, moving=False, layer_um=0.1)
    assert np.argmax(moving.frames.mean((1, 2))) == np.argmax(still.frames.mean((1, 2)))  # the flash
    assert np.mean(np.abs(moving.frames.astype(float) - still.frames)) < 7
    assert not np.array_equal(moving.frames, still.frames)


def test_a_part_of_a_scan_has_its_own_time():
    scene = flat((32, 32), PIXEL_UM, 0).with_debris(1, 2)
    flake, (flash,) = scene.debris[0], scene.flashes
    part = part_of_scan(scene, 0.5 * flash.at, 1.0)
    assert part.flashes[0].at == pytest.approx(0.5 * flash.at / (1 - 0.5 * flash.at))
    assert not part_of_scan(scene, flash.at + 1e-6, 1.0).flashes
    inner, length = part.debris[0], 1 - 0.5 * flash.at
    assert inner.y_um + inner.motion_um[0] == pytest.approx(flake.y_um + flake.motion_um[0])
    assert inner.present[0] * length + 0.5 * flash.at == pytest.approx(flake.present[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times_s": []}, r"times_s \(0,\) must be a list of rising times"),
        ({"times_s": [0.0, 0.0]}, r"times_s \(2,\) must be a list of rising times"),
        ({"z_um": [1.0]}, r"z_um \(1,\) must be a list of two or more finite heights"),
        ({"frames_per_s": 0}, r"frames_per_s 0 must be above 0"),
        ({"step_um": 0}, r"step_um 0 must be above 0"),
        ({"shift_px": np.zeros((3, 2))}, r"shift_px must be finite, its total or one for each of 2 scans"),
        ({"axial_um": [0.0, 1.0, 2.0]}, r"axial_um must be finite, its total or one for each of 2 scans"),
        ({"shift_px": (30.0, 0.0)}, r"a drift of 30 px leaves nothing of 40 × 40 px"),
    ],
)
def test_runs_that_cannot_be(options, message):
    growing = GrowingScene(flat((40, 40), PIXEL_UM, 4), UNIFORM)
    with pytest.raises(InputError, match=message):
        next(iter_scans(growing, **{"times_s": [0.0, 1.0], **options}))


# --- folders ---


def test_a_run_is_a_folder_with_its_truth(tmp_path):
    growing = GrowingScene(electrode((56, 56), PIXEL_UM, 1, relief_um=2.0), UNIFORM)
    seen = []
    walk = stage_walk(3, 0.5, 1)
    truth = render_run(
        tmp_path / "run",
        growing,
        times_s=[0.0, 50.0, 150.0],
        shift_px=walk,
        axial_um=0.1,
        seed=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"scans", "scans.csv", "truth.npz"}
    with (tmp_path / "run" / "scans.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["scan"], float(row["time_s"]), row["phase"]) for row in rows] == [
        ("scan_000.ome.tif", 0.0, "plating"),
        ("scan_001.ome.tif", 50.0, "plating"),
        ("scan_002.ome.tif", 150.0, "stripping"),
    ]
    again = list(iter_scans(growing, [0.0, 50.0, 150.0], shift_px=walk, axial_um=0.1, seed=3))
    for row, scan in zip(rows, again, strict=True):
        stack = open_stack(tmp_path / "run" / "scans" / row["scan"])
        np.testing.assert_allclose(stack.z_um, scan.z_um)
        assert stack.pixel_um == PIXEL_UM
        assert np.array_equal(stack[7], scan.frames[7])
    loaded = RunTruth.load(tmp_path / "run")
    for name, value in vars(truth).items():
        assert np.array_equal(getattr(loaded, name), value), name
    assert truth.height_um.shape == truth.rate_nm_per_s.shape == (3, *again[0].truth_um.shape)
    np.testing.assert_allclose(np.diff(truth.height_um, axis=0)[0], 2.5, atol=1e-5)
    np.testing.assert_allclose(truth.rate_nm_per_s.mean(axis=(1, 2)), [50, 50, -40], rtol=1e-5)


def test_a_run_replaces_an_older_one_and_nothing_else(tmp_path):
    growing = GrowingScene(flat((32, 32), PIXEL_UM, 1), UNIFORM)
    options = {"scans": 1, "z_um": [0.0, 1.0]}
    render_run(tmp_path / "run", growing, **options)
    with pytest.raises(InputError, match="exists already"):
        render_run(tmp_path / "run", growing, **options)
    render_run(tmp_path / "run", growing, overwrite=True, **options)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"also holds 'notes.txt'"):
        render_run(tmp_path / "run", growing, overwrite=True, **options)


def test_a_default_run_is_plated_and_then_stripped(tmp_path):
    truth = render_run(tmp_path / "run", scans=2, z_um=[0.0, 1.0])
    assert truth.phases.tolist() == ["plating", "stripping"]
    assert truth.height_um.shape == (2, 160, 160)
    assert truth.trenches.any()
    assert not (truth.trenches & truth.protrusions).any()
