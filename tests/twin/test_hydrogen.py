"""Hydrogen evolution: the split of the current on a flat electrode, on one that grows, and at rest."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from lee.errors import InputError
from lee.twin import Cell, MeshSize, grow, solve
from lee.twin.comsol.model import record_model
from lee.twin.mesh.columns import make_columns
from lee.twin.results.folder import load_maps, save_solution

# So much that some fifth of the current is hydrogen's.
HYDROGEN = Cell(hydrogen_exchange_current_a_per_m2=2e-4)
FLAT, PIXEL_UM = np.zeros((2, 2)), 10.0


def currents(cell, u, eta):
    """Return the metal's and hydrogen's current density by their laws, A/m²; η in V."""
    f = 1 / cell.thermal_voltage_v
    metal = cell.exchange_current_a_per_m2 * u**cell.gamma
    metal *= np.exp(-cell.alpha_c * f * eta) - np.exp(cell.alpha_a * f * eta)
    tafel = np.exp(-cell.hydrogen_alpha * f * (eta - cell.hydrogen_potential_v))
    return metal, cell.hydrogen_exchange_current_a_per_m2 * tafel


def solved(cell, **options):
    pytest.importorskip("ngsolve")
    size = MeshSize(columns=(2, 2), layers=40, first_um=0.5)
    return solve(FLAT, pixel_um=PIXEL_UM, cell=cell, mesh=size, report=None, **options)


@pytest.mark.parametrize("ma_per_cm2", [80.0, 5.0, 0.0])
def test_a_flat_electrode_splits_its_current_as_both_laws_say(ma_per_cm2):
    cell = replace(HYDROGEN, current_density_ma_per_cm2=ma_per_cm2)
    found = solved(cell, kind="secondary")

    def beyond(eta):
        return sum(currents(cell, 1.0, eta)) - 10 * ma_per_cm2

    metal, hydrogen = currents(cell, 1.0, brentq(beyond, -1, 1, xtol=1e-14))
    evolved = found.fields.hydrogen_current_density_ma_per_cm2
    np.testing.assert_allclose(evolved, hydrogen / 10, rtol=1e-6)
    np.testing.assert_allclose(found.normal_rate_nm_per_s, metal / 10 * cell.faraday_nm_per_s, rtol=1e-5)
    assert cell.growth_nm_per_s == pytest.approx(metal / 10 * cell.faraday_nm_per_s, rel=1e-9)
    assert f"{hydrogen / 10:.3g} mA/cm² hydrogen" in cell.summary()
    if ma_per_cm2 == 0:
        # At rest the metal dissolves as fast as hydrogen evolves.
        assert metal == pytest.approx(-hydrogen, rel=1e-9)


def test_where_ions_run_low_hydrogen_takes_more_of_the_current():
    # The concentration over a steady layer follows from the total current, the split from the concentration.
    cell = replace(HYDROGEN, layer_um=50.0)
    found = solved(cell, times_s=[0.0, 60.0])
    u = 1 - cell.current_density_ma_per_cm2 / cell.limiting_current_ma_per_cm2
    a, f = cell.diffusion_potential, 1 / cell.thermal_voltage_v
    eta = brentq(lambda eta: sum(currents(cell, u, eta)) - 800, -1, 1, xtol=1e-14)
    assert found.overpotential_v[1] == pytest.approx(eta, rel=1e-4)
    metal, _ = currents(cell, u, eta)
    np.testing.assert_allclose(found.current_efficiency[1], metal / 800, rtol=5e-4)
    assert (found.current_efficiency[1] < found.current_efficiency[0]).all()
    phi = found.potential_v[1, 0, 0]
    assert phi == pytest.approx((a * np.log(u)) / f - 800 * 50e-6 / cell.conductivity_s_per_m, rel=1e-3)


def test_a_rough_electrode_grows_by_the_metals_charge_alone():
    pytest.importorskip("ngsolve")
    y, x = np.mgrid[:12, :12] * 8.0
    rough = 4 * np.cos(x / 14) * np.cos(y / 14)
    cell, times = replace(HYDROGEN, current_density_ma_per_cm2=60.0), [0.0, 5.0, 20.0]
    found = grow(
        rough, pixel_um=8.0, cell=cell, times_s=times, mesh=MeshSize(columns=(12, 12), layers=12), report=None
    )
    for book in found.balances:
        assert book.charge_error < 1e-6
    fields, weight = found.fields, np.outer(*(np.convolve([1] * 12, [0.5, 0.5]) for _ in range(2))) / 144
    area = fields.height_rate_nm_per_s / fields.normal_rate_nm_per_s
    for k in range(3):
        evolved = (weight * area[k] * fields.hydrogen_current_density_ma_per_cm2[k]).sum()
        deposited = (weight * fields.height_rate_nm_per_s[k]).sum() / cell.faraday_nm_per_s
        assert 6 < evolved < 20
        assert evolved + deposited == pytest.approx(60.0, rel=1e-6)
    # What has grown by the end is the metal's charge, to the error of the steps.
    raised = (weight * (fields.z_um[2, ..., 0] - fields.z_um[0, ..., 0])).sum()
    rate = (weight * fields.height_rate_nm_per_s).sum(axis=(1, 2)) * 1e-3
    assert raised == pytest.approx(np.trapezoid(rate, times), rel=5e-3)


def test_a_folder_holds_hydrogen_where_there_is_some(tmp_path):
    found = solved(HYDROGEN, kind="secondary")
    save_solution(found, tmp_path / "with")
    assert (tmp_path / "with/maps/current_efficiency_0000_0s.tif").is_file()
    assert load_maps(tmp_path / "with").cell == HYDROGEN
    without = solved(Cell(), kind="secondary")
    assert without.hydrogen_current_density_ma_per_cm2 is None
    assert without.current_efficiency is None


def test_the_export_to_comsol_has_both_reactions():
    columns = make_columns(FLAT, pixel_um=PIXEL_UM, cell=HYDROGEN, size=MeshSize(columns=(2, 2), layers=4))
    files = ("mesh", "height", "exchange", "efficiency")
    recorded = record_model(HYDROGEN, columns, np.array([1.0]), files=files, results="out")
    text = str(vars(recorded))
    assert "i0_H2*exp(-alpha_H2*(eta/RT_F-E_H2))" in text
    assert "imetal+ihydrogen" in text
    assert "efficiency_map(x,y)*imetal*M_metal" in text


def test_what_hydrogen_cannot_be_is_refused():
    with pytest.raises(InputError, match="hydrogen_alpha is 0; it must be above 0"):
        Cell(hydrogen_alpha=0)
    with pytest.raises(InputError, match="hydrogen_exchange_current_a_per_m2 is -1 A/m²; it must be"):
        Cell(hydrogen_exchange_current_a_per_m2=-1)
