"""The linear solver: one V-cycle is a good inverse, and stays one on larger and stretched meshes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lee.twin import Cell
from lee.twin.electrode.butler_volmer import ButlerVolmer
from lee.twin.electrode.electrode import Electrode
from lee.twin.solver.coupling import Coupling
from lee.twin.solver.equations import Problem, State, Volume
from lee.twin.solver.forms import Forms
from lee.twin.solver.gmres import gmres
from lee.twin.solver.multigrid import Multigrid
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.scales import Scales

ROOT = Path(__file__).resolve().parents[2]


def test_gmres_solves_a_small_system_exactly_and_reports_when_it_does_not():
    random = np.random.default_rng(1)
    matrix = np.eye(12) * 4 + random.normal(size=(12, 12))
    right = random.normal(size=12)
    x, count, reached = gmres(lambda v: matrix @ v, right, lambda v: v, tolerance=1e-12, iterations=20)
    np.testing.assert_allclose(matrix @ x, right, atol=1e-10)
    assert reached
    assert count <= 12
    assert gmres(lambda v: matrix @ v, right, lambda v: v, tolerance=1e-12, iterations=3)[1:] == (3, False)
    zero, none, fine = gmres(lambda v: matrix @ v, 0 * right, lambda v: v, tolerance=1e-9, iterations=3)
    assert (none, fine) == (0, True)
    assert not zero.any()


def substep(side, *, layers=12, exchange=30.0, distance_um=100.0, relief_um=20.0):
    """Solve one implicit step over egg-box relief; return it, and the number of unknowns."""
    cell = Cell(layer_um=distance_um, exchange_current_a_per_m2=exchange)
    x = np.linspace(0, 200, side + 1)
    steps = 1.3 ** np.arange(layers)
    share = np.append(0, np.cumsum(steps)) / steps.sum()
    forms = Forms(x, x, share)
    height = relief_um * np.outer(np.cos(np.pi * x / 50), np.cos(np.pi * x / 50))
    forms.move(height[..., None] * (1 - share) + (height.max() + distance_um) * share)
    volume = Volume(forms.mass(), forms.laplace(), None, forms.electrode_area())
    scales = Scales.of(cell)
    columns = (side + 1) ** 2
    electrode = Electrode(
        np.full(columns, exchange / scales.current_a_per_m2),
        ButlerVolmer(0.5, 1.5, 0.5),
        scales.diffusion_potential,
    )
    free = np.ones((2, layers + 1), bool)
    free[:, -1] = False
    problem = Problem(scales, electrode, None, free, 200.0**2, forms.plane_area())
    fields = np.stack([np.ones((columns, layers + 1)), np.zeros((columns, layers + 1))])
    start = State(fields, cell.overpotential_v / cell.thermal_voltage_v)
    solver = SubstepSolver(problem, forms.shape)
    return solver.solve(volume, volume.mass @ fields[0].ravel(), 5.0, 5.0, start), fields.size


def test_a_direct_grid_and_a_cycle_on_more_columns_agree():
    forms = Forms(np.linspace(0, 9, 10), np.linspace(0, 9, 10), np.array([0.0, 0.2, 0.5, 1.0]))
    forms.move(np.broadcast_to(np.array([0.0, 1.0, 3.0, 8.0]), forms.shape))
    free = np.ones((2, 4), bool)
    free[:, -1] = False
    multigrid = Multigrid(forms.mass(), forms.laplace(), forms.shape, free)
    multigrid.set_volume((0.1, 1.0, 2.0))
    area = forms.electrode_area()
    multigrid.set_coupling(Coupling.of(0.5 * area, 0.8 * area, held=(False, False)), None)
    top = multigrid._levels[0]
    random = np.random.default_rng(2)
    exact = random.normal(size=(2, 100, 4)) * free[:, None, :]
    right = top.times(exact)
    x = np.zeros_like(exact)
    sizes = []
    for _ in range(6):
        x += multigrid.cycle(right - top.times(x))
        sizes.append(np.abs(exact - x).max())
    assert sizes[-1] < 1e-5
    assert sizes[-1] / sizes[-2] < 0.2
    assert not x[:, :, -1].any()


@pytest.mark.parametrize("exchange", [0.3, 30.0, 3000.0])
def test_iterations_stay_flat_as_columns_are_added(exchange):
    small, few = substep(12, layers=8, exchange=exchange)
    large, many = substep(32, layers=8, exchange=exchange)
    assert many > 5 * few
    assert small.converged
    assert large.converged
    per_newton = [s.linear_iterations / (len(s.residuals) - 1) for s in (small, large)]
    assert per_newton[1] <= 1.3 * per_newton[0] + 0.5
    assert per_newton[1] < 8
    assert large.charge_error < 1e-6


def test_iterations_bear_cells_a_thousand_times_as_long_at_the_top_as_at_the_electrode():
    found, _ = substep(24, layers=28, distance_um=2000.0)
    assert found.converged
    assert found.linear_iterations / (len(found.residuals) - 1) < 8


def test_newton_falls_faster_and_faster():
    residuals = substep(12)[0].residuals
    assert residuals[-1] <= 1e-8
    assert residuals[2] / residuals[1] < residuals[1] / residuals[0]


@pytest.mark.slow
def test_a_step_of_two_hundred_thousand_unknowns_in_15_s_of_processor_time_and_1500_mb():
    """In a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, "-m", "bench.bench_twin", "--case", "[64, 24, null]"]
    printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(printed.splitlines()[-1])
    assert found["unknowns"] >= 200_000
    assert found["step cpu s"] + found["matrices cpu s"] <= 15
    assert found["peak GB"] <= 1.5
    assert max(found["charge error"], found["mass error"]) <= 1e-6
