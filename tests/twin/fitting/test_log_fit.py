"""Fits of positive numbers: coverage over many draws, errors that are alike, and what is not determined."""

import numpy as np
import pytest

from lee.errors import InputError
from lee.twin.fitting.log_fit import Observed, log_fit

X = np.linspace(0.1, 3, 60)
TRUE = np.array([2.0, 0.7])
BOUNDS = (TRUE / 1e3, TRUE * 1e3)


def decay(values):
    """Amplitude and decay of a curve."""
    return [values[0] * np.exp(-values[1] * X)]


def fitted(measured, sigma=0.05, predict=decay, names=("amplitude", "decay"), start=(1.0, 1.0), known=None):
    values = np.where(True if known is None else known, measured, np.nan)
    observed = [Observed("curve", values, np.full(values.shape, sigma))]
    return log_fit(names, np.array(start), BOUNDS, observed, predict)


def test_one_standard_deviation_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    off = []
    for _ in range(200):
        found = fitted(decay(TRUE)[0] + rng.normal(0, 0.05, X.size))
        off.append(np.log(found.values / TRUE) / found.sigma_log)
    within = (np.abs(off) < 1).mean()
    assert 0.60 < within < 0.76
    assert (np.abs(off) < 2).mean() > 0.92
    assert found.notes == ()


def test_misfits_that_are_alike_or_too_large_widen_the_error():
    rng = np.random.default_rng(2)
    smooth = np.convolve(rng.normal(0, 1, X.size + 8), np.ones(9) / 3, mode="valid")
    curve = decay(TRUE)[0]
    white, alike = fitted(curve + rng.normal(0, 0.05, X.size)), fitted(curve + 0.05 * smooth)
    assert white.together[0] < 2.5
    assert alike.together[0] > 3
    wide = fitted(curve + rng.normal(0, 0.2, X.size))
    assert wide.sigma_log == pytest.approx(4 * white.sigma_log, rel=0.5)
    assert "the squared misfit is" in wide.notes[0]


def test_what_only_together_is_determined_is_told():
    def product(values):
        return [values[0] * values[1] * np.exp(-0.7 * X)]

    found = fitted(2 * np.exp(-0.7 * X), predict=product, start=(1.0, 1.5))
    assert found.values.prod() == pytest.approx(2.0, rel=1e-3)
    assert any("not determined apart: amplitude and decay" in note for note in found.notes)


def test_a_gap_in_what_was_measured_is_left_out():
    found = fitted(decay(TRUE)[0], known=X > 1)
    np.testing.assert_allclose(found.values, TRUE, rtol=1e-3)


def test_a_value_that_ends_at_its_limit_is_told():
    observed = [Observed("curve", decay(TRUE)[0], np.full(X.size, 0.05))]
    found = log_fit(
        ("amplitude", "decay"), np.array([1.0, 1.0]), (np.array([0.1, 0.9]), np.full(2, 9.0)), observed, decay
    )
    assert any(note.startswith("decay ended at its limit, 0.9") for note in found.notes)


def test_what_nothing_determines_is_refused_by_name():
    with pytest.raises(InputError, match="nothing that was measured depends on decay at its value to begin"):
        fitted(decay(TRUE)[0], predict=lambda values: [values[0] * np.exp(-0.7 * X)])
    with pytest.raises(InputError, match="does not determine decay, even if all else is known; leave it out"):
        fitted(2 * np.exp(-0.7 * X), predict=lambda values: [values[0] * np.exp(-0.7 * X) + 1e-3 * values[1]])
    with pytest.raises(InputError, match=r"1 observation\(s\), 2 parameter\(s\); give more, or fit fewer"):
        fitted(decay(TRUE)[0], known=X < 0.12)
    with pytest.raises(InputError, match="cannot compute what was measured"):
        fitted(decay(TRUE)[0], predict=lambda values: [np.full(X.size, np.nan)])
