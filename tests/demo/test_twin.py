"""The demonstration's twin: over the measured and the true surface, and without NGSolve."""

import numpy as np
import pytest

from lee.demo import twin as demo_twin
from lee.demo.size import QUICK
from lee.demo.twin import MISSING, NoTwin, TwinDemo, run_twin
from lee.surfaces.surface import Surface
from lee.twin.results.folder import load_maps

PIXEL_UM = 1.0


def surfaces():
    y, x = np.mgrid[:30, :40] * PIXEL_UM
    truth = (3 * np.sin(x / 8) + 0.05 * y).astype(np.float32)
    height = truth + 0.2 * np.random.default_rng(0).standard_normal(truth.shape).astype(np.float32)
    filled = height.copy()
    height[5:8, 5:8] = np.nan
    sigma = np.where(np.isfinite(height), np.float32(0.2), np.float32(np.nan))
    return Surface(height, filled, sigma, np.isfinite(height), filled, PIXEL_UM), truth


@pytest.mark.slow
def test_the_twin_over_the_measured_surface_is_compared_with_that_over_the_true_one(tmp_path):
    pytest.importorskip("ngsolve")
    surface, truth = surfaces()
    seen = []
    found = run_twin(
        tmp_path / "twin", surface, truth, size=QUICK, progress=lambda done, steps: seen.append((done, steps))
    )
    assert isinstance(found, TwinDemo)
    assert seen == [(1, 2), (2, 2)]
    low, high = found.rows()
    assert (low["where"], high["where"]) == ("lowest tenth", "highest tenth")
    assert float(low["c mol/L"]) < float(high["c mol/L"])
    assert float(low["i mA/cm2"]) < float(high["i mA/cm2"])
    # Errors of 0.2 µm are small beside the layer.
    assert abs(float(low["c mol/L"]) - float(low["true c"])) <= 0.002
    assert 0 < float(low["rms of i"]) < 1
    assert load_maps(tmp_path / "twin").height_rate_nm_per_s.shape == (3, 30, 40)
    section = found.section(tmp_path / "twin")
    assert "Charge and salt balance to within" in section.text
    assert len(section.pictures) == 2


def test_without_ngsolve_a_line_reports_it(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_twin, "find_spec", lambda name: None)
    surface, truth = surfaces()
    found = run_twin(tmp_path / "twin", surface, truth)
    assert isinstance(found, NoTwin)
    assert found.rows() == [{"twin": MISSING}]
    assert found.section(tmp_path / "twin").text == MISSING
    assert not (tmp_path / "twin").exists()
