"""What the instrument's stated errors are held against: maps of known noise, steps and edges."""

import sys

import numpy as np
import pytest

from bench import metrology_accuracy
from bench.metrology_accuracy import rows_of
from bench.scenes.made_maps import bow, edge, groove, noise, repeated, rough


@pytest.mark.parametrize("correlation_px", [0.0, 2.0])
def test_noise_has_its_size_and_correlation(correlation_px):
    drawn = noise(np.random.default_rng(1), (400, 420), 0.05, correlation_px)
    assert drawn.shape == (400, 420)
    assert np.std(drawn) == pytest.approx(0.05, rel=0.03)
    apart = np.mean(drawn[:, 2:] * drawn[:, :-2]) / np.mean(drawn**2)
    expected = np.exp(-((2 / 4) ** 2)) if correlation_px else 0.0
    assert apart == pytest.approx(expected, abs=0.03)


def test_maps_are_of_one_surface_with_the_stated_relief():
    rng = np.random.default_rng(2)
    assert np.std(rough(rng, (600, 600), 8.0)) == pytest.approx(1, rel=0.1)
    maps = repeated(rng, 2, 0.0, 0.0, (64, 72))
    away = np.gradient(np.gradient(maps[1] - maps[0], axis=0), axis=0)
    assert np.nanmax(np.abs(away)) < 1e-12
    flat = bow((33, 65))
    assert (np.ptp(flat), flat.mean()) == (pytest.approx(0.6), pytest.approx(0, abs=0.01))
    y, x = np.mgrid[-1:1:33j, -1:1:65j]
    assert [np.sum(flat * axis) for axis in (x, y)] == pytest.approx([0, 0], abs=1e-9)


def test_steps_are_as_high_as_stated():
    rng = np.random.default_rng(3)
    for made, height in ((groove(rng, 5.0, 0.0, 0.0), 5.0), (edge(rng, 0.8, 0.0, 0.0), 2.0)):
        along = made.mean(axis=0)
        assert np.ptp(along) == pytest.approx(height, abs=0.4)
        assert np.abs(np.diff(along)).max() > 0.2 * height


def test_rows_tell_errors_in_their_own_units():
    def draw(rng):
        return {"noise": (1.0 + 0.1 * rng.normal(), 0.1, 1.0), "Sa_um": (1.0, 0.1, 0.9)}

    off, errors, share, biased = rows_of("a", draw, [1, 2], 400, off=(10, 3), share=True)[:4]
    assert off.got == pytest.approx((10, 10), rel=0.1)
    assert errors.got == pytest.approx((1, 1), rel=0.1)
    assert max(share.got) < 8
    assert (biased.unit, biased.got) == ("its errors", pytest.approx((1, 1)))


def test_the_table_is_printed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(metrology_accuracy, "QUICK", (2, 1))
    to = tmp_path / "table.csv"
    monkeypatch.setattr(sys, "argv", ["metrology_accuracy", "--quick", "--seeds", "1", "--csv", str(to)])
    metrology_accuracy.main()
    printed = capsys.readouterr().out
    for name in ("noise", "flatness", "amplification", "linearity", "lateral period", "Sq_corrected_um"):
        assert name in printed
    assert len(to.read_text().splitlines()) == 42
