"""What the accuracy of particles is held against: known noise, known light, and both sides of a rate."""

import sys

import numpy as np
import pytest

from bench import particles_accuracy
from bench.particles_accuracy import (
    Sizes,
    false_in_scans,
    false_particles,
    false_rows,
    field_rows,
    is_silent,
    isolated_in,
    scale_rows,
    wide_rows,
)
from bench.scenes.disturbed_pairs import NOISES, SLOW, blinking_pixels, poisson, still_scans

TINY = Sizes(field_px=256, spots=47, pair_px=96, pairs=1, scan_px=64, scans=1, wide=1)


@pytest.mark.parametrize(
    ("name", "spread"),
    [("Gaussian", 3.0), ("Laplace", 3.0), ("Poisson, 3 counts", np.sqrt(3)), ("Poisson, 1 count", 1.0)],
)
def test_noise_has_its_spread_and_spots_their_height(name, spread):
    spots = np.zeros((300, 300))
    spots[:100] = 4.0
    rng = np.random.default_rng(1)
    before, after = (NOISES[name](one, rng).astype(np.float64) for one in (0 * spots, spots))
    assert np.std(before) == pytest.approx(spread, rel=0.05)
    assert np.mean((after - before)[:100]) / (np.sqrt(2) * spread) == pytest.approx(4, rel=0.03)


def test_the_same_pixels_blink_in_every_frame():
    rng = np.random.default_rng(2)
    nothing = np.zeros((200, 200))
    jumped = [NOISES["1 % blink by 100 counts"](nothing, rng) > 250 for _ in range(2)]
    assert np.mean(jumped[0]) == pytest.approx(0.003, rel=0.3)
    assert all(blinking_pixels((200, 200))[one].all() for one in jumped)
    assert np.std(poisson(1e4, 0.15)(nothing, rng)) == pytest.approx(1500, rel=0.05)


def test_slow_differences_are_as_large_as_named():
    assert np.std(SLOW["waves of 256 px, 10 noises"](512, 1)) == pytest.approx(10)
    assert np.abs(SLOW["a lamp that moved, 12 noises"](256, 1)).max() == pytest.approx(12)


def test_still_scans_differ_by_noise_and_blinking():
    quiet, blinking = (
        np.stack([list(scan) for scan in still_scans(64, 1, blink=blink)]).astype(float) for blink in (0, 30)
    )
    assert quiet.shape == blinking.shape
    assert 0 < np.mean(np.abs(blinking - quiet) > 20) < 0.01
    assert not (blinking - quiet)[..., ~blinking_pixels((64, 64))].any()


def test_the_rows_are_computed():
    fields = field_rows([1], TINY)
    assert [row.what for row in fields[:3]] == ["F1 of 47 spots", "recall in clusters", "error of places"]
    assert min(row.got[0] for row in fields if row.what.startswith("F1")) > 0.9
    recall, intensity_off = isolated_in(NOISES["Gaussian"], 1, TINY)
    assert recall > 0.8
    assert 0 <= intensity_off < 40
    assert 0 <= false_particles(NOISES["Laplace"], 1, TINY) < 10
    assert 0 <= false_in_scans(30.0, 1, TINY) < 10
    rows, recall, _ = wide_rows([1], TINY)
    assert rows.got[0] < 5
    assert recall.got == (1.0,)
    assert [row.got for row in scale_rows([1], side_px=96)] == [(0.0,)] * 5


def test_a_rate_is_judged_on_both_sides():
    assert [row.verdict for row in false_rows("a", [1.0, 1.8])] == ["must", "aim"]
    assert [row.verdict for row in false_rows("a", [2.1, 0.4])] == ["MISSED", "MISSED"]
    assert [row.verdict for row in false_rows("a", [0.0])] == ["aim", "MISSED"]


def test_counts_on_one_scale_are_compared_in_silence():
    frame = np.random.default_rng(1).poisson(1000, (96, 96)).astype(np.uint16)
    assert is_silent(frame, frame)
    assert not is_silent(frame, (frame // 16).astype(np.uint8))


def test_the_table_is_printed_and_written(tmp_path, monkeypatch, capsys):
    for name in ("field_rows", "noise_rows", "scale_rows"):
        monkeypatch.setattr(particles_accuracy, name, lambda *_: [])
    monkeypatch.setattr(particles_accuracy, "QUICK", TINY)
    to = tmp_path / "table.csv"
    monkeypatch.setattr(sys, "argv", ["particles_accuracy", "--quick", "--seeds", "1", "--csv", str(to)])
    particles_accuracy.main()
    assert "rows too many or missing" in capsys.readouterr().out
    assert len(to.read_text().splitlines()) == 4
