"""Input that the twin cannot use: refused in one line, before the solve."""

import numpy as np
import pytest

import lee.twin.solver.newton
from lee.errors import InputError
from lee.twin import Cell, MeshSize, solve

SMALL = {"pixel_um": 5.0, "cell": Cell(), "report": None, "mesh": MeshSize(columns=(1, 1), layers=8)}
FLAT = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "quaternary"}, "kind is 'quaternary'; kinds are primary, secondary, tertiary"),
        ({"times_s": []}, "times_s must be one or more times in s, the first at least 0"),
        ({"times_s": [-1.0]}, "the first at least 0"),
        ({"times_s": [1.0, np.nan]}, "times_s must be one or more times"),
        ({"times_s": [2.0, 1.0]}, "times_s must rise; sort them and give each once"),
        (
            {"exchange_current": np.ones(3)},
            r"exchange_current has the shape \(3,\); give one number or a map",
        ),
        ({"exchange_current": np.zeros((2, 2))}, "exchange_current is 0 A/m² somewhere; it must be above 0"),
        ({"exchange_current": np.nan}, "exchange_current holds infinite values, or nothing but NaN"),
        ({"efficiency": 1.6}, "efficiency is 1.6 somewhere; it must be from 0 to 1.5"),
        (
            {"efficiency": np.array([[0.5, 0.5], [0.5, -0.1]])},
            "efficiency is -0.1 somewhere; it must be from 0",
        ),
    ],
)
def test_what_cannot_be_used_is_reported_in_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        solve(FLAT, **{**SMALL, **given})
    assert "\n" not in str(caught.value)


def test_holes_in_a_map_of_the_reaction_are_filled_and_reported():
    efficiency = np.full((8, 8), 0.8)
    efficiency[2:4, 2:4] = np.nan
    solution = solve(np.zeros((8, 8)), **{**SMALL, "efficiency": efficiency, "kind": "secondary"})
    assert "efficiency is NaN over 6.2 % of the surface and filled there" in solution.notes
    np.testing.assert_allclose(solution.normal_rate_nm_per_s, 0.8 * solution.cell.growth_nm_per_s, rtol=1e-4)


def test_holes_in_the_surface_are_filled_marked_and_reported():
    height = np.zeros((8, 8))
    height[2:4, 2:4] = np.nan
    solution = solve(height, **{**SMALL, "times_s": [1.0]})
    assert solution.filled.sum() == 4
    assert np.isfinite(solution.concentration_mol_per_l).all()
    assert np.isfinite(solution.height_um).all()
    assert any("was not measured and is filled in" in note for note in solution.notes)


def test_a_solver_that_does_not_converge_reports_its_residuals_and_keeps_the_last_good_state(monkeypatch):
    times = [0.01, 1.0]
    real = lee.twin.solver.newton.SubstepSolver.solve

    def failing(self, volume, right, span_s, time_s, guess):
        substep = real(self, volume, right, span_s, time_s, guess)
        if time_s <= 0.011:
            return substep
        return lee.twin.solver.equations.Substep(substep.state, (1.0, 0.5, 0.4), 3, False)

    monkeypatch.setattr(lee.twin.solver.newton.SubstepSolver, "solve", failing)
    with pytest.warns(RuntimeWarning, match="does not converge") as caught:
        solution = solve(FLAT, **{**SMALL, "times_s": times})
    assert "residuals 1.0e+00, 5.0e-01, 4.0e-01); the last good state is kept" in solution.stopped
    assert len(caught) == 1
    assert solution.times_s[0] == 0.01
    assert solution.times_s[-1] < 0.02
    assert np.isfinite(solution.concentration_mol_per_l).all()


def test_a_potential_that_is_not_found_is_reported(monkeypatch):
    monkeypatch.setattr(lee.twin.solver.newton, "ITERATIONS", 1)
    height = 10 * np.cos(np.pi * (np.arange(16) + 0.5) / 16)[None]
    with pytest.raises(InputError, match=r"potential at the bulk concentration is not found \(residuals "):
        solve(height, **{**SMALL, "mesh": MeshSize(columns=(1, 16), layers=8)})
