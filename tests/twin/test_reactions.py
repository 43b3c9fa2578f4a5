"""Reactions: the registry, and a reaction of one's own against the closed form of a flat cell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lee.errors import InputError
from lee.twin import Cell, MeshSize, export_comsol, solve, window_current
from lee.twin.electrode import reactions
from lee.twin.electrode.butler_volmer import ButlerVolmer
from lee.twin.electrode.electrode import Electrode
from lee.twin.electrode.kinetics import Rates

PIXEL_UM = 10.0


@dataclass(frozen=True)
class Linear:
    """A reaction whose current is proportional to the overpotential: i = −i₀ u η."""

    @classmethod
    def of(cls, cell: Any) -> "Linear":
        return cls()

    def current(self, exchange: Any, u: Any, eta: Any, exp: Callable[[Any], Any]) -> Any:
        return exchange * u * -eta

    def slope(self, exchange: Any, u: Any, eta: Any, exp: Callable[[Any], Any]) -> Any:
        return exchange * u

    def rates(self, exchange: Any, u: Any, eta: Any) -> Rates:
        return Rates(-exchange * u * eta, -exchange * u * eta, exchange * u)

    def overpotential(self, ratio: float) -> float:
        return -ratio


@pytest.fixture
def linear(monkeypatch):
    """Register the reaction for one test."""
    monkeypatch.setattr(reactions, "_REACTIONS", dict(reactions._REACTIONS))
    reactions.register_reaction("linear", Linear.of)
    return Cell(reaction="linear", current_density_ma_per_cm2=20.0)


@pytest.mark.parametrize("kind", ["secondary", "tertiary"])
def test_a_flat_cell_with_another_reaction_follows_its_closed_form(linear, kind):
    pytest.importorskip("ngsolve")
    cell, times = linear, [0.0, 3.0]
    flat = np.zeros((2, 2))
    size = MeshSize(columns=(2, 2), layers=60, first_um=0.3)
    found = solve(flat, pixel_um=PIXEL_UM, cell=cell, times_s=times, kind=kind, mesh=size, report=None)
    current = 10 * cell.current_density_ma_per_cm2
    u = found.concentration_mol_per_l / cell.concentration_mol_per_l
    eta = -current / (cell.exchange_current_a_per_m2 * u) * cell.thermal_voltage_v
    np.testing.assert_allclose(found.overpotential_v, eta, rtol=1e-5)
    np.testing.assert_allclose(found.current_density_ma_per_cm2, 20.0, rtol=1e-5)
    drop = current * 100e-6 / cell.conductivity_s_per_m
    phi = cell.thermal_voltage_v * cell.diffusion_potential * np.log(u) - drop
    np.testing.assert_allclose(found.potential_v, phi, rtol=1e-5)
    if kind == "tertiary":
        # Sand: c falls with the root of time, 1 - sqrt(t / Sand time), until the layer's end is felt.
        assert float(u[1].mean()) == pytest.approx(1 - np.sqrt(3.0 / cell.sand_time_s), abs=5e-4)


def test_the_cell_knows_its_reaction(linear, tmp_path):
    assert linear.overpotential_v == pytest.approx(-200 / 30 * linear.thermal_voltage_v)
    assert linear.polarisation_slope_ohm_m2 == pytest.approx(linear.thermal_voltage_v / 30)
    linear.save(tmp_path / "cell.toml")
    assert Cell.load(tmp_path / "cell.toml") == linear


def test_window_and_comsol_export_use_the_reaction(linear, tmp_path):
    pytest.importorskip("ngsolve")
    assert window_current(linear).wagner == pytest.approx(linear.wagner_number(2000.0))
    folder = export_comsol(
        np.zeros((2, 2)), tmp_path / "comsol", pixel_um=PIXEL_UM, cell=linear, times_s=[1], build="never"
    )
    assert '"i0_map(x,y)*max(c/c0,eps)*(-eta/RT_F)"' in (folder / "LeeTwin.java").read_text()


def test_an_unknown_reaction_and_a_taken_name_are_refused():
    with pytest.raises(InputError, match="cell: reaction is 'corrosion'; reactions are butler_volmer"):
        Cell(reaction="corrosion")
    with pytest.raises(InputError, match="'butler_volmer' is registered already; choose another name"):
        reactions.register_reaction("butler_volmer", Linear.of)


@pytest.mark.parametrize("kinetics", [ButlerVolmer(0.5, 1.5, 0.5), Linear()], ids=["butler_volmer", "linear"])
def test_a_reaction_agrees_with_itself(kinetics):
    """Arrays against symbols, derivatives against differences, and the inverse."""
    exchange, u = np.array([0.4, 2.0, 1.0]), np.array([0.3, 1.0, 1.7])
    eta = np.array([-2.0, 0.1, 0.8])
    rates = kinetics.rates(exchange, u, eta)
    np.testing.assert_allclose(rates.current, kinetics.current(exchange, u, eta, np.exp), rtol=1e-14)
    np.testing.assert_allclose(rates.slope, kinetics.slope(exchange, u, eta, np.exp), rtol=1e-14)
    step = 1e-6
    up, down = (kinetics.rates(exchange, u, eta + d).current for d in (step, -step))
    np.testing.assert_allclose(rates.slope, (down - up) / (2 * step), rtol=1e-8)
    up, down = (kinetics.rates(exchange, u * np.exp(d), eta).current for d in (step, -step))
    np.testing.assert_allclose(rates.by_log_concentration, (up - down) / (2 * step), rtol=1e-8, atol=1e-9)
    for ratio in (-3.0, 0.0, 25.0):
        found = kinetics.rates(np.ones(1), np.ones(1), np.array([kinetics.overpotential(ratio)]))
        assert found.current[0] == pytest.approx(ratio, abs=1e-12)


def test_an_electrode_differentiates_by_the_concentration_beside_it():
    electrode = Electrode(np.array([0.4]), ButlerVolmer(0.5, 1.5, 0.5), 0.6)
    u, psi, step = np.array([0.7]), np.array([-0.2]), 1e-6
    up, down = (electrode.plating(u + d, psi, -1.5).current for d in (step, -step))
    found = electrode.plating(u, psi, -1.5)
    np.testing.assert_allclose(found.by_concentration, (up - down) / (2 * step), rtol=1e-8)
    assert electrode.overpotential(u, psi, -1.5)[0] == pytest.approx(-1.5 + 0.2 - 0.6 * np.log(0.7))
