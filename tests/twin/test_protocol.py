"""Protocols in the twin: potentials held, limits that end a step, and the cell's voltage."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from lee.electrochemistry import Protocol
from lee.errors import InputError
from lee.twin import Cell, MeshSize, follow, grow, solve

pytest.importorskip("ngsolve")
FARADAY = 96485.33212
CLOSED = Cell(gap_um=500.0, contact_ohm_cm2=0.5)


def flat(cell, times_s, layers=16, **more):
    size = MeshSize(columns=(1, 1), layers=layers)
    return solve(np.zeros((1, 1)), pixel_um=10.0, cell=cell, times_s=times_s, mesh=size, report=None, **more)


def held(cell, potential_v, times_s, layers=16):
    return flat(replace(cell, protocol=Protocol.held_potential(potential_v, 1e3)), times_s, layers)


def test_a_large_potential_held_draws_the_current_of_cottrell():
    fast = Cell(layer_um=1000.0, exchange_current_a_per_m2=1e5, conductivity_s_per_m=1e4)
    times = np.array([1.0, 10.0])
    found = held(fast, -0.3, times, 60)
    flux = 2 * FARADAY * 2000.0 * np.sqrt(0.847e-9 / (np.pi * times))
    np.testing.assert_allclose(found.mean_current_ma_per_cm2, flux / (1 - 0.398) / 10, rtol=0.003)
    assert found.cell_voltage_v == pytest.approx([-0.3] * 2, abs=1e-9)
    assert max(max(b.charge_error, b.mass_error) for b in found.balances) <= 1e-6


@pytest.mark.parametrize("potential_v", [-0.2, 0.05])
def test_charge_transfer_electrolyte_and_contacts_share_a_potential_held(potential_v):
    """At the beginning, before concentrations change, on a flat electrode."""
    cell = Cell(contact_ohm_cm2=0.7)
    found = held(cell, potential_v, [0.0])

    def missing(current):
        resistance = 100e-6 / 5.0 + 0.7e-4
        eta = replace(cell, current_density_ma_per_cm2=current / 10).overpotential_v
        return eta - resistance * current - potential_v

    exact = brentq(missing, -1e4, 1e4, xtol=1e-9) / 10
    assert found.mean_current_ma_per_cm2[0] == pytest.approx(exact, rel=1e-6)
    # 80 mA/cm² are 38.0 nm/s of dense zinc.
    assert found.height_rate_nm_per_s.mean() == pytest.approx(exact * 37.963 / 80, rel=1e-3)


@pytest.fixture(scope="module")
def cc_cv():
    """80 mA/cm² until -0.36 V, then that voltage until 79 mA/cm²; recorded in every time step."""
    protocol = Protocol.cc_cv(80.0, -0.36, until_ma_per_cm2=79.0, duration_s=400.0)
    return flat(replace(CLOSED, protocol=protocol), [300.0])


def test_cc_cv_switches_where_the_limit_is_met(cc_cv):
    current = np.array([balance.current_ma_per_cm2 for balance in cc_cv.balances])
    times = np.array([balance.time_s for balance in cc_cv.balances])
    constant = np.isclose(current, 80.0, rtol=1e-7)
    switch = times[constant][-1]
    assert not constant[times > switch].any()
    alone = flat(CLOSED, [switch])
    assert alone.cell_voltage_v[0] == pytest.approx(-0.36, abs=1e-4)
    assert any(f"ended at {switch:.6g} s: its limit" in note for note in cc_cv.notes)


@pytest.mark.slow
def test_cc_cv_holds_its_voltage_when_its_current_is_applied(cc_cv):
    """The second half against itself: the current that it drew, applied as a measured one."""
    times = np.array([0.0, *(balance.time_s for balance in cc_cv.balances)])
    drawn = np.array([80.0, *(balance.current_ma_per_cm2 for balance in cc_cv.balances)])
    end = int(np.argmax(drawn < 79.0 + 1e-3))
    again = flat(
        replace(CLOSED, protocol=Protocol.measured(times[: end + 1], drawn[: end + 1])), [times[end]]
    )
    assert again.cell_voltage_v[0] == pytest.approx(-0.36, abs=1e-3)
    assert drawn[end] == pytest.approx(79.0, rel=1e-4)
    assert drawn[-1] == pytest.approx(0.0, abs=1e-6)


def test_pulses_are_followed_and_a_pause_rests():
    found = flat(replace(CLOSED, protocol=Protocol.pulses(80.0, 0.2, 0.3, 2)), [0.1, 0.4, 0.6])
    assert found.mean_current_ma_per_cm2 == pytest.approx([80.0, 0.0, 80.0], abs=1e-6)


def grown(cell, times_s, layers=16, **more):
    size = MeshSize(columns=(1, 1), layers=layers)
    return grow(np.zeros((1, 1)), pixel_um=10.0, cell=cell, times_s=times_s, mesh=size, report=None, **more)


def passed_c_per_cm2(solution):
    """Charge at each of the times, from the accounts of the steps."""
    ends = np.array([balance.time_s for balance in solution.balances])
    charge = np.cumsum([balance.charge_c_per_cm2 for balance in solution.balances])
    return np.append(0.0, charge)[np.searchsorted(ends, solution.times_s, side="right")]


KNOWN = {
    "pulses": Protocol.pulses(80.0, 0.2, 0.3, 2, off_ma_per_cm2=-20.0),
    "measured": Protocol.measured([0.0, 0.3, 0.3, 1.0], [80.0, 40.0, -20.0, 60.0]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_charge_of_a_growth_is_that_of_its_protocol(name):
    times = [0.15, 0.3, 0.9]
    protocol = KNOWN[name]
    found = grown(replace(CLOSED, protocol=protocol), times, layers=4, tolerance=1e-3)
    np.testing.assert_allclose(passed_c_per_cm2(found), protocol.charge_density_at(times), rtol=1e-8)
    # The current jumps; the deposit follows it, 38 nm/s at 80 mA/cm².
    risen = found.height_um.mean(axis=(1, 2))
    assert risen == pytest.approx(passed_c_per_cm2(found) / 0.08 * 0.037963, rel=2e-4)


@pytest.fixture(scope="module")
def grown_cc_cv():
    protocol = Protocol.cc_cv(80.0, -0.36, until_ma_per_cm2=79.0, duration_s=400.0)
    return grown(replace(CLOSED, protocol=protocol), [42.0, 60.0], tolerance=1e-3)


def test_a_growth_in_a_gap_that_is_kept_switches_when_the_cell_at_rest_does(cc_cv, grown_cc_cv):
    def ended(solution):
        lines = [note.split(" at ")[1] for note in solution.notes if "of the protocol ended" in note]
        return [float(line.split(" s")[0]) for line in lines]

    assert ended(grown_cc_cv) == pytest.approx(ended(cc_cv), rel=5e-3)
    assert len(ended(cc_cv)) == 2
    risen = grown_cc_cv.height_um.mean(axis=(1, 2))
    assert risen == pytest.approx(passed_c_per_cm2(grown_cc_cv) / 0.08 * 0.037963, rel=2e-4)
    assert max(max(b.charge_error, b.mass_error) for b in grown_cc_cv.balances) <= 1e-6


def test_a_followed_run_switches_when_its_growth_did(grown_cc_cv):
    """The protocol begins 50 s after the first scan: until then the cell rests."""
    times = np.append(0.0, grown_cc_cv.times_s)
    heights = np.concatenate([np.zeros((1, 1, 1)), grown_cc_cv.height_um])
    found = follow(
        [heights[0], *heights], times_s=np.append(10.0, 60.0 + times), pixel_um=10.0, cell=grown_cc_cv.cell,
        protocol_begins_s=60.0, mesh=MeshSize(columns=(1, 1), layers=16), tolerance=1e-3, report=None,
    )  # fmt: skip
    table = found.intervals.iloc[1:]
    np.testing.assert_allclose(
        table["charge_c_per_cm2"], np.append(0, passed_c_per_cm2(grown_cc_cv)), rtol=1e-3, atol=1e-8
    )
    np.testing.assert_allclose(table["cell_voltage_v"].iloc[1:], grown_cc_cv.cell_voltage_v, atol=1e-4)
    assert found.intervals["current_ma_per_cm2"].iloc[:2].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert any("its limit" in note for note in found.solution.notes)


def test_a_growth_under_a_protocol_resumes_to_the_same_result(grown_cc_cv, tmp_path):
    def interrupt(balance):
        if balance.time_s > 45:
            raise KeyboardInterrupt("stopped")

    times, cell = grown_cc_cv.times_s, grown_cc_cv.cell
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        grown(cell, times, folder=tmp_path, tolerance=1e-3, progress=interrupt)
    again = grown(cell, times, folder=tmp_path, tolerance=1e-3)
    np.testing.assert_array_equal(again.height_um, grown_cc_cv.height_um)
    assert again.notes == grown_cc_cv.notes


def test_what_computes_at_constant_current_refuses_a_protocol():
    cell = replace(Cell(), protocol=Protocol.constant(40.0, 10.0))
    assert cell.current_density_ma_per_cm2 == 40.0
    with pytest.raises(InputError, match="a secondary distribution: computes at a constant current"):
        flat(cell, [0.0], kind="secondary")
