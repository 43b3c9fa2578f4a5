"""The twin in time: flat electrodes against Sand's solution and the series of a closed gap."""

import numpy as np
import pytest

from lee.twin import Cell, MeshSize, solve

FLAT = np.zeros((1, 1))
FARADAY = 96485.33212
# So thick that nothing of the bulk is felt within the Sand time.
DEEP = Cell(layer_um=2500.0)


def flat(cell, times_s, layers=60, **more):
    size = MeshSize(columns=(1, 1), layers=layers)
    return solve(FLAT, pixel_um=10.0, cell=cell, times_s=times_s, report=None, mesh=size, **more)


def at_electrode(solution):
    return solution.fields.concentration_mol_per_l[:, 0, 0, 0]


def assert_balanced(solution):
    assert max(b.charge_error for b in solution.balances) <= 1e-6
    assert max(b.mass_error for b in solution.balances) <= 1e-6


def test_sand_transient_to_eight_tenths_of_the_sand_time():
    times = np.array([0.02, 0.1, 0.3, 0.5, 0.8]) * DEEP.sand_time_s
    solution = flat(DEEP, times)
    exact = 2.0 * (1 - np.sqrt(times / DEEP.sand_time_s))
    np.testing.assert_allclose(at_electrode(solution), exact, rtol=0.005)
    assert solution.times_s == pytest.approx(times, rel=1e-15)
    assert solution.stopped == ""
    assert_balanced(solution)


@pytest.mark.parametrize(
    "gap_um",
    [pytest.param(500.0, marks=pytest.mark.slow), pytest.param(2500.0, marks=pytest.mark.slow), 5000.0],
)
def test_the_default_layers_follow_the_diffusion_layer_of_a_closed_gap(gap_um):
    """Sand's transient with the anode on the other side, to 0.8 of the Sand time."""
    cell = Cell(gap_um=gap_um)
    times = np.array([0.05, 0.2, 0.8]) * cell.sand_time_s
    solution = flat(cell, times, layers=None)
    slope = (1 - 0.398) * 800 / (2 * FARADAY * 2000) * 1e6 / 847.0
    odd = np.arange(1, 20001, 2)
    fading = np.exp(-847.0 * (odd * np.pi / gap_um) ** 2 * times[:, None])
    exact = 2 * (1 + slope * (-gap_um / 2 + 4 * gap_um / np.pi**2 * np.sum(fading / odd**2, axis=1)))
    np.testing.assert_allclose(at_electrode(solution), exact, rtol=0.0015)
    assert_balanced(solution)


@pytest.mark.parametrize("current", [1e-2, -1e-4])
def test_small_currents_are_solved_to_what_rounding_leaves(current):
    cell = Cell(current_density_ma_per_cm2=current)
    solution = flat(cell, [10.0, 1000.0], layers=None)
    assert solution.stopped == ""
    # Steady: the whole current diffuses through the layer.
    used = 2.0 * current / cell.limiting_current_ma_per_cm2
    assert 2.0 - at_electrode(solution)[1] == pytest.approx(used, rel=1e-3)
    assert max(b.charge_error for b in solution.balances) <= 1e-4


def test_sand_transient_is_of_second_order_in_the_step():
    """On one mesh, so that only the error of the steps is left in the differences."""
    end = 0.8 * DEEP.sand_time_s
    values = [at_electrode(flat(DEEP, end, step_s=end / n))[0] for n in (12, 24, 48)]
    assert values[-1] == pytest.approx(2 * (1 - np.sqrt(0.8)), rel=0.005)
    ratio = (values[1] - values[0]) / (values[2] - values[1])
    assert np.log2(ratio) >= 1.9


def test_tighter_steps_are_taken_for_a_smaller_tolerance():
    end = 0.3 * DEEP.sand_time_s
    loose, tight = (flat(DEEP, end, tolerance=t) for t in (1e-3, 1e-5))
    assert len(tight.balances) > 1.5 * len(loose.balances)
    steps = np.array([b.step_s for b in tight.balances])
    assert steps[0] < 1e-2 * steps.max()


def test_closed_gap_transient_and_steady_against_the_series():
    gap_um = 100.0
    cell = Cell(gap_um=gap_um)
    diffusivity = 847.0
    slope = (1 - 0.398) * 800 / (2 * FARADAY * 2000) * 1e6 / diffusivity
    times = np.array([0.01, 0.05, 0.2, 1.0, 3.0]) * gap_um**2 / diffusivity
    solution = flat(cell, times, layers=40)
    z = solution.fields.z_um[0, 0, 0]
    odd = np.arange(1, 400, 2)[:, None]
    for moment, found in zip(times, solution.fields.concentration_mol_per_l[:, 0, 0], strict=True):
        fading = np.exp(-diffusivity * (odd * np.pi / gap_um) ** 2 * moment)
        series = 4 * gap_um / np.pi**2 * np.sum(np.cos(odd * np.pi * z / gap_um) / odd**2 * fading, axis=0)
        exact = 2.0 * (1 + slope * (z - gap_um / 2 + series))
        np.testing.assert_allclose(found, exact, rtol=0.005)
    assert solution.electrode_v[-1] < solution.electrode_v[0] < 0
    assert_balanced(solution)


def test_the_potential_of_a_flat_cell_is_ohmic_and_of_concentration():
    solution = flat(Cell(), [100.0], layers=40)
    cell, fields = solution.cell, solution.fields
    c, z = fields.concentration_mol_per_l[0, 0, 0], fields.z_um[0, 0, 0]
    ohmic = 800 / 5.0 * (z - 100.0) * 1e-6
    expected = ohmic + (1 - 0.398) * cell.thermal_voltage_v * np.log(c / 2.0)
    np.testing.assert_allclose(fields.potential_v[0, 0, 0], expected, atol=1e-7)
    np.testing.assert_allclose(solution.current_density_ma_per_cm2, 80.0, rtol=1e-6)
    np.testing.assert_allclose(solution.normal_rate_nm_per_s, cell.growth_nm_per_s, rtol=1e-6)
    np.testing.assert_allclose(
        solution.overpotential_v, solution.electrode_v - solution.potential_v, rtol=1e-5
    )


def test_stripping_makes_the_electrolyte_richer():
    solution = flat(Cell(current_density_ma_per_cm2=-80.0), [100.0])
    assert at_electrode(solution)[0] == pytest.approx(2 + (2 - 1.7053), abs=1e-3)
    assert solution.electrode_v[0] > 0
    assert solution.normal_rate_nm_per_s.max() < 0
    assert_balanced(solution)


def test_no_current_changes_nothing():
    solution = flat(Cell(current_density_ma_per_cm2=0.0), [10.0])
    np.testing.assert_allclose(solution.fields.concentration_mol_per_l, 2.0, rtol=1e-10)
    assert abs(solution.electrode_v[0]) < 1e-10
    assert_balanced(solution)


def test_above_the_limiting_current_it_stops_with_what_it_has_and_reports_the_sand_time():
    cell = Cell(current_density_ma_per_cm2=700.0)
    reported, seen = [], []
    with pytest.warns(RuntimeWarning, match="stopped at"):
        solution = solve(
            FLAT,
            pixel_um=10.0,
            cell=cell,
            times_s=[1.0, 50.0],
            report=reported.append,
            progress=seen.append,
            mesh=MeshSize(columns=(1, 1), layers=40),
        )
    assert "has run out of ions" in solution.stopped
    assert "Sand time 5.58 s, limiting current 543 mA/cm²" in solution.stopped
    assert solution.times_s[0] == 1.0
    assert cell.sand_time_s < solution.times_s[1] < 1.2 * cell.sand_time_s
    assert 0 < solution.concentration_mol_per_l[1].min() < 0.1
    assert "Sand time 5.58 s" in reported[0]
    assert any("above the limiting one" in line for line in reported)
    assert seen == list(solution.balances)
