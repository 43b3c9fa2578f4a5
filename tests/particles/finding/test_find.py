"""Particles between two rendered scans: found where they are, as bright and as high as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import lee
from lee.devices import virtual as rig
from lee.particles.finding.detector import ParticleDetector
from lee.particles.finding.find import detect_between, find_particles
from lee.particles.finding.options import DetectionOptions
from lee.particles.table import COLUMNS, has_flag
from lee.stacks.stack import ZStack
from tests.support.particle_scans import IN_GAUSSIAN, PIXEL_UM, SHAPE, matched, scan_pair

GENTLE = rig.gentle(SHAPE, PIXEL_UM, 3, relief_um=4.0)
Z_UM = GENTLE.z_range(0.25, 2.0)
DRIFT_PX = np.linspace((3.3, -2.4), (5.3, -3.4), len(Z_UM))
# Neighbours nearer than this, um, disturb each other's place and light.
ALONE_UM = 2.0

PAIRS = {
    "gentle": lambda: scan_pair(GENTLE),
    "rugged": lambda: scan_pair(rig.rugged(SHAPE, PIXEL_UM, 3, relief_um=5.0)),
    "other heights": lambda: scan_pair(GENTLE, later_um=Z_UM + 0.13),
    "wider steps": lambda: scan_pair(GENTLE, later_um=GENTLE.z_range(0.37, 2.4)),
    "falling": lambda: scan_pair(GENTLE, later_um=Z_UM[::-1] + 0.1),
    "drifting": lambda: scan_pair(GENTLE, drift_px=DRIFT_PX),
    "grown": lambda: scan_pair(GENTLE, growth_um=0.5),
    "16 bit": lambda: scan_pair(GENTLE, sensor=rig.Sensor(bit_depth=16), seed=2),
}

# Left to make test-all.
SLOW = {"other heights", "falling", "rugged"}


@cache
def made(name):
    return Outcome(PAIRS[name]())


class Outcome:
    """What was found in a pair, row by row beside what is true."""

    def __init__(self, pair):
        self.pair = pair
        self.found = detect_between(pair.before, pair.after, time_s=7.0)
        self.table = self.found.particles
        truth = pair.nuclei
        self.truth_rows, self.rows = matched(truth, self.table)
        y, x = truth["y_um"], truth["x_um"]
        self.inside = (np.minimum(y, x) > 1) & (np.maximum(y, x) < (SHAPE[0] - 1) * PIXEL_UM - 1)
        self.alone = truth["apart_um"] > ALONE_UM

    def beside(self):
        """Tables (truth, found) of those without near neighbours and without flags, row by row."""
        truth, found = self.pair.nuclei.iloc[self.truth_rows], self.table.iloc[self.rows]
        plain = (self.alone & self.inside).to_numpy()[self.truth_rows] & (found["flag"] == "").to_numpy()
        return truth[plain].reset_index(drop=True), found[plain].reset_index(drop=True)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PAIRS],
)
def outcome(request):
    return made(request.param)


@pytest.fixture(scope="module")
def gentle():
    return made("gentle")


# --- what is found ---


def test_all_that_stand_alone_and_stand_out_are_found(outcome):
    peak = outcome.pair.nuclei["counts"] / (2 * np.pi * outcome.found.details["spot_sigma_px"] ** 2)
    wanted = (peak > 8 * outcome.found.details["noise_counts"]) & outcome.inside & outcome.alone
    assert wanted.sum() >= 12
    assert wanted.to_numpy()[outcome.truth_rows].sum() == wanted.sum()


def test_little_else_is_found(outcome):
    # One is expected from noise alone, and one by chance more than its square root.
    assert len(outcome.table) - len(outcome.rows) <= 5


def test_places_are_right_on_the_first_frame_of_the_later_scan(outcome):
    truth, found = outcome.beside()
    off = np.concatenate([found[axis] - truth[axis] for axis in ("y_um", "x_um")])
    sigma = np.concatenate([found[f"{axis}_sigma_um"] for axis in ("y", "x")])
    assert len(truth) >= 10
    assert np.sqrt(np.mean(off**2)) < 0.06 * PIXEL_UM
    assert abs(np.mean(off)) < 0.03 * PIXEL_UM
    assert 0.5 < np.sqrt(np.mean((off / sigma) ** 2)) < 2.0


def test_intensities_are_the_light_of_the_gaussian_part(outcome):
    truth, found = outcome.beside()
    ratio = found["intensity_counts"] / truth["counts"]
    assert np.median(ratio) == pytest.approx(IN_GAUSSIAN, abs=0.05)
    assert np.std(ratio) < 0.05


def test_each_is_sharpest_at_its_own_height(outcome):
    truth, found = outcome.beside()
    off = (found["z_focus_um"] - truth["z_um"]).to_numpy()
    assert np.isfinite(off).all()
    assert abs(np.median(off)) < 0.06
    assert np.std(off) < 0.15
    assert 0.4 < np.sqrt(np.mean((off / found["z_focus_sigma_um"].to_numpy()) ** 2)) < 2.2


def test_the_height_is_the_surfaces(outcome):
    truth, found = outcome.beside()
    np.testing.assert_array_equal(found["z_um"], found["z_surface_um"])
    np.testing.assert_array_equal(found["z_sigma_um"], found["z_surface_sigma_um"])
    off = (found["z_surface_um"] - truth["surface_um"]).to_numpy()
    assert abs(np.median(off)) < 0.12
    assert np.percentile(np.abs(off), 80) < 0.3


def test_the_table_is_plain(outcome):
    table = outcome.table
    assert list(table) == list(COLUMNS)
    assert (table["time_s"] == 7.0).all()
    assert table["diameter_nm"].isna().all()
    assert table["diameter_sigma_nm"].isna().all()
    below = table["snr"] < outcome.found.details["threshold_snr"]  # once its neighbours are taken away
    assert has_flag(table, "crowded")[below].all()
    assert below.sum() <= 2
    assert table["planes"].between(1, 7).all()
    assert not has_flag(table, "off_surface").any()
    json.dumps(table.attrs, allow_nan=False)
    assert table.attrs == outcome.found.details
    assert table.attrs["shared_texture"] > 0.95


def test_what_it_was_looked_for_in_is_handed_on(gentle):
    found = gentle.found
    assert found.searched.shape == found.image.shape == SHAPE
    assert found.searched.mean() > 0.98
    assert np.nanmean(found.image) == pytest.approx(90, abs=15)
    assert found.surface.shape == SHAPE


def test_a_lateral_drift_leaves_the_border_out(gentle):
    drifted = detect_between(*_stacks(PAIRS["drifting"]()))
    assert not drifted.searched[:3].any()
    assert not drifted.searched[:, -2:].any()
    assert drifted.searched[8:, :-8].mean() > 0.98
    assert drifted.details["not_measured_px"] > gentle.found.details["not_measured_px"]


def _stacks(pair):
    return pair.before, pair.after


# --- what is not there ---


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(rig.gentle, marks=pytest.mark.slow),
        pytest.param(rig.rugged, marks=pytest.mark.slow),
        rig.flat,
    ],
)
def test_without_particles_there_are_as_many_false_ones_as_predicted(make):
    counts = []
    for seed in range(3):
        options = {} if make is rig.flat else {"relief_um": 4.0}
        scene = make((160, 160), PIXEL_UM, seed, **options)
        pair = scan_pair(scene, 0, later_um=scene.z_range(0.25, 2.0) + 0.1, seed=seed + 1)
        counts.append(len(find_particles(*_stacks(pair), false_alarms=10)))
    assert 5 < np.mean(counts) < 20


def test_fewer_false_alarms_raise_the_threshold(gentle):
    pair, surface = gentle.pair, gentle.found.surface
    strict = detect_between(*_stacks(pair), DetectionOptions(false_alarms=0.01), surface=surface)
    assert strict.details["threshold_snr"] > gentle.found.details["threshold_snr"] + 0.5
    assert len(strict.particles) <= len(gentle.table)
    i, _ = matched(gentle.table, strict.particles, 0.1)
    assert len(i) == len(strict.particles)


def test_an_empty_table_has_all_columns():
    scene = rig.flat((96, 96), PIXEL_UM, 2)
    pair = scan_pair(scene, 0, z_um=np.linspace(-2, 2, 17))
    table = find_particles(*_stacks(pair), false_alarms=1e-6)
    assert len(table) == 0
    assert list(table) == list(COLUMNS)
    assert table["planes"].dtype == np.int64
    assert table["flag"].dtype == object
    assert table.attrs["particles"] == 0
    json.dumps(table.attrs, allow_nan=False)


# --- other ways to the same ---


def test_what_disappears_is_what_appears_the_other_way_round(gentle):
    pair = gentle.pair
    gone = find_particles(pair.after, pair.before, disappearing=True)
    assert len(gone) == pytest.approx(len(gentle.table), abs=3)
    i, j = matched(gentle.table, gone, 0.3 * PIXEL_UM)
    strong = gentle.table["snr"].to_numpy() > 8
    assert strong[i].sum() == strong.sum()
    i, j = i[strong[i]], j[strong[i]]
    for name, limit in (("intensity_counts", 0.05), ("z_focus_um", None)):
        one, two = gentle.table[name].to_numpy()[i], gone[name].to_numpy()[j]
        assert np.nanmedian(np.abs(one - two) / (one if limit else 1.0)) < (limit or 0.05)
    assert len(find_particles(pair.after, pair.before)) <= 5  # nothing appears that way


def test_frame_by_frame_it_finds_the_same(gentle):
    pair, surface = gentle.pair, gentle.found.surface
    whole = find_particles(*_stacks(pair), surface=surface, time_s=3.0)
    done = []
    finder = ParticleDetector(
        pair.before,
        surface,
        heights_um=pair.after.z_um,
        drift_px=np.zeros((len(pair.before), 2)),
        progress=lambda k, n: done.append((k, n)),
    )
    assert done[-1] == (len(pair.before), len(pair.before))
    for frame, z in zip(pair.after, pair.after.z_um, strict=True):
        reused = frame.copy()
        finder.push(reused, float(z))
        reused[:] = 0  # a camera's buffer is filled again
    streamed = finder.finish(time_s=3.0).particles
    i, j = matched(whole, streamed, 0.1 * PIXEL_UM)
    assert len(i) == pytest.approx(len(whole), abs=1)
    assert len(streamed) == pytest.approx(len(whole), abs=1)
    for name in ("y_um", "x_um", "z_focus_um", "intensity_counts"):
        one, two = whole[name].to_numpy()[i], streamed[name].to_numpy()[j]
        assert np.nanmedian(np.abs(one - two) / np.abs(two)) < 0.005, name
    assert list(streamed) == list(whole)


def test_it_does_not_depend_on_threads(gentle):
    pair, surface = gentle.pair, gentle.found.surface
    one, two = (find_particles(*_stacks(pair), surface=surface, threads=n) for n in (1, 2))
    assert one.equals(two)


def test_progress_rises_to_all_frames(gentle):
    pair, reported = gentle.pair, []
    find_particles(*_stacks(pair), surface=gentle.found.surface, progress=lambda *done: reported.append(done))
    total = len(pair.before) + len(pair.after)
    assert reported == [(k + 1, total) for k in range(total)]


def test_a_given_surface_is_used(gentle):
    surface = lee.reconstruct(gentle.pair.after, device="cpu")
    raised = lee.Surface(
        surface.height_um, surface.height_filled_um, np.full(SHAPE, 0.5, np.float32), surface.valid,
        surface.refocused, PIXEL_UM,
    )  # fmt: skip
    table = find_particles(*_stacks(gentle.pair), surface=raised)
    assert table["z_surface_sigma_um"].dropna().to_numpy() == pytest.approx(0.5)


def test_particles_above_the_surface_keep_their_height_and_show_no_rings():
    scene = rig.flat((160, 160), PIXEL_UM, 5)
    # Ten: from eight bright ones on, how deep a point is in focus is measured.
    lifted = [rig.Nucleus(4.0 + 5 * (k // 2), (8.0, 24.0)[k % 2], 300.0, offset_um=2.2) for k in range(10)]
    z = np.arange(-5, 6, 0.25)
    one, two = (
        rig.render_scan(some, z_um=z, seed=seed)
        for some, seed in ((scene, 1), (replace(scene, nuclei=lifted), 2))
    )
    before, after = (ZStack.from_array(scan.frames, z, PIXEL_UM) for scan in (one, two))
    found = detect_between(before, after, surface=lee.reconstruct(before, device="cpu"))
    table = found.particles[found.particles["snr"] > 8]
    assert len(table) == len(lifted)
    assert len(found.particles) <= len(lifted) + 2
    assert found.details["halos"] > 10
    np.testing.assert_allclose(table["z_focus_um"], 2.2, atol=0.15)
    np.testing.assert_allclose(np.abs(table["x_um"] - 16.0), 8.0, atol=0.05)
