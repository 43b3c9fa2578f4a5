"""Parameters of a cell found again from rates and voltages that the twin made, with their errors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lee.cli import run as lee_cli
from lee.errors import InputError
from lee.storage.map_tiff import write_map
from lee.twin import Cell, MeshSize, fit, solve

PIXEL_UM = 8.0
NAMES = ("exchange_current_a_per_m2", "efficiency")
TRUE = Cell(exchange_current_a_per_m2=60.0, efficiency=0.9)
SIZE = MeshSize(columns=(4, 5), layers=8)
TIMES, RATE_S = np.array([0.3, 3.0, 30.0]), 30.0
SIGMA, SIGMA_V = 1.0, 2e-3


def relief():
    y, x = (np.mgrid[:12, :15] + 0.5) * PIXEL_UM
    return 6 * np.cos(x / 20) * np.cos(y / 25)


@pytest.fixture(scope="module")
def made():
    """What the cell would give: height rates at the end, voltages."""
    pytest.importorskip("ngsolve")
    solution = solve(
        relief(), pixel_um=PIXEL_UM, cell=TRUE, times_s=TIMES, mesh=SIZE, kind="secondary", report=None
    )
    return solution.height_rate_nm_per_s[-1].astype(float), solution.cell_voltage_v


def fitted(made, rng, **changed):
    rates, voltages = made
    options = {
        "cell": Cell(),
        "pixel_um": PIXEL_UM,
        "rates_nm_per_s": rates + rng.normal(0, SIGMA, rates.shape),
        "sigma_nm_per_s": SIGMA,
        "rate_times_s": RATE_S,
        "voltages_v": voltages + rng.normal(0, SIGMA_V, voltages.shape),
        "voltage_sigma_v": SIGMA_V,
        "voltage_times_s": TIMES,
        "mesh": SIZE,
        "kind": "secondary",
    }
    return fit(relief(), NAMES, **(options | changed))


def off(found):
    truth = np.array([getattr(TRUE, name) for name in found.names])
    return np.log(found.values / truth) / found.result.sigma_log


def test_parameters_are_found_again_within_their_errors(made):
    found = fitted(made, np.random.default_rng(3))
    assert (np.abs(off(found)) < 3).all()
    assert (found.result.sigma_log < 0.2).all()
    assert found.cell == replace(Cell(), **dict(zip(NAMES, found.values.tolist(), strict=True)))
    assert 0.7 < found.chi2["rates"] < 1.3
    np.testing.assert_allclose(found.low * found.high, found.values**2)


@pytest.mark.slow
def test_a_layer_and_a_diffusivity_are_found_from_how_concentrations_fall():
    cell = Cell(layer_um=70.0, diffusivity_m2_per_s=0.7e-9)
    times = np.geomspace(0.5, 60, 8)
    truth = solve(
        relief(), pixel_um=PIXEL_UM, cell=cell, times_s=times, mesh=SIZE, tolerance=3e-4, report=None
    )
    noise = np.random.default_rng(5).normal(0, 2e-4, times.size)
    found = fit(
        relief(), ["layer_um", "diffusivity_m2_per_s"], cell=Cell(), pixel_um=PIXEL_UM, mesh=SIZE,
        voltages_v=truth.cell_voltage_v + noise, voltage_sigma_v=2e-4, voltage_times_s=times,
    )  # fmt: skip
    truths = np.array([cell.layer_um, cell.diffusivity_m2_per_s])
    assert (np.abs(np.log(found.values / truths)) < 2 * found.result.sigma_log).all()
    assert (found.result.sigma_log < 0.1).all()


@pytest.mark.slow
def test_forty_draws_cover_the_truth_as_often_as_they_say(made):
    rng = np.random.default_rng(0)
    within = np.array([np.abs(off(fitted(made, rng))) for _ in range(40)])
    assert 0.60 < (within < 1).mean() < 0.76
    assert (within < 2).mean() > 0.9


def test_the_command_writes_the_cell_that_was_found(made, tmp_path, capsys):
    rates, voltages = made
    write_map(tmp_path / "height.tif", relief().astype(np.float32), PIXEL_UM)
    write_map(tmp_path / "rate.tif", rates.astype(np.float32), PIXEL_UM)
    pd.DataFrame({"time_s": TIMES, "cell_voltage_v": voltages}).to_csv(tmp_path / "voltage.csv", index=False)
    TRUE.save(tmp_path / "cell.toml")
    command = [
        *("twin", "fit", str(tmp_path / "height.tif"), "-o", str(tmp_path / "out"), "--kind", "secondary"),
        *("--fit", "exchange_current_a_per_m2", "--cell", str(tmp_path / "cell.toml")),
        *("--rate", str(tmp_path / "rate.tif"), "--times-s", "30", "--sigma", "1"),
        *("--voltage", str(tmp_path / "voltage.csv"), "--columns", "5", "--layers", "8"),
    ]
    assert lee_cli(command) == 0
    out = capsys.readouterr().out
    assert "exchange_current_a_per_m2 = 6" in out
    assert "voltages: squared misfit" in out
    table = pd.read_csv(tmp_path / "out/parameters.csv")
    assert table["value"][0] == pytest.approx(60, rel=0.05)
    assert Cell.load(tmp_path / "out/cell.toml").exchange_current_a_per_m2 == pytest.approx(table["value"][0])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "cell.toml", "parameters.csv", "correlation.csv", "fit.json", "fit.png"
    }  # fmt: skip
    (tmp_path / "voltage.csv").write_text("time_s,cell_voltage_v\n1,-0.1\n2,high\n")
    assert lee_cli([*command, "--overwrite"]) == 1
    assert "voltage.csv, line 3: 2, high; give two numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "changed", "message"),
    [
        ((), {}, "give one or more parameters, each once, of concentration_mol_per_l"),
        (("charge",), {}, "'charge' cannot be fitted; parameters are"),
        (("contact_ohm_cm2",), {}, "contact_ohm_cm2 is 0 in the cell; give a value above 0 to begin with"),
        (("layer_um",), {"cell": Cell(gap_um=500.0)}, "the cell has no layer_um; fit another parameter"),
        (("layer_um",), {"rates_nm_per_s": None, "rate_times_s": ()}, "nothing was measured"),
        (("layer_um",), {"sigma_nm_per_s": None}, "rates have no standard deviation; give sigma"),
        (("layer_um",), {"rate_times_s": (1.0, 2.0)}, r"rates are \(1, 12, 15\) with 2 time\(s\)"),
        (("layer_um",), {"sigma_nm_per_s": 0.0}, "a standard deviation of a rate is not above 0"),
        (("layer_um",), {"rates_nm_per_s": np.full((12, 15), np.nan)}, r"0 pixel\(s\) have a rate"),
        (("layer_um",), {"voltages_v": [1.0], "voltage_times_s": ()}, r"1 voltage\(s\) for 0 time\(s\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(names, changed, message):
    options = {
        "cell": Cell(),
        "pixel_um": PIXEL_UM,
        "rates_nm_per_s": np.ones((12, 15)),
        "sigma_nm_per_s": 1.0,
        "rate_times_s": 1.0,
    }
    with pytest.raises(InputError, match=message):
        fit(relief(), names, **(options | changed))


def test_a_parameter_that_nothing_depends_on_is_refused(made):
    cell = Cell(hydrogen_exchange_current_a_per_m2=1e-12)
    rates = {"rates_nm_per_s": made[0], "rate_times_s": RATE_S, "sigma_nm_per_s": SIGMA}
    with pytest.raises(InputError, match="nothing that was measured depends on hydrogen_exchange_current"):
        fit(
            relief(), ["hydrogen_exchange_current_a_per_m2"], cell=cell, pixel_um=PIXEL_UM, kind="secondary",
            mesh=SIZE, **rates,
        )  # fmt: skip
