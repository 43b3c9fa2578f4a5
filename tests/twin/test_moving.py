"""The twin on a mesh that moves: order of the whole scheme, constants that stay, balances that balance."""

import numpy as np
import pytest

from lee.twin import Cell
from lee.twin.electrode.butler_volmer import ButlerVolmer
from lee.twin.electrode.electrode import Electrode
from lee.twin.mesh.moving import MeshPosition, MovingMesh
from lee.twin.solver.equations import Problem, State
from lee.twin.solver.forms import Forms
from lee.twin.solver.newton import SubstepSolver
from lee.twin.solver.scales import Scales
from lee.twin.solver.stepping import Stepper
from tests.support.twin_manufactured import Manufactured


@pytest.mark.parametrize("moving", [False, True])
def test_a_manufactured_solution_is_met_with_second_order(moving):
    coarse, fine = (Manufactured(n, moving=moving).errors(steps=n) for n in (6, 12))
    assert coarse.max() < 0.005
    order = np.log2(coarse / fine)
    assert order.min() >= 1.9, order


@pytest.mark.slow
def test_a_manufactured_solution_on_finer_meshes():
    coarse, fine = (Manufactured(n, moving=True).errors(steps=n) for n in (12, 24))
    order = np.log2(coarse / fine)
    assert order.min() >= 1.9, order


def moved(cell, *, seed, steps=6):
    """Move a mesh at random in 1 s steps; give the start, the stepper and the balances."""
    random = np.random.default_rng(seed)
    x, y = np.linspace(0, 30, 6), np.linspace(0, 20, 5)
    share = np.linspace(0, 1, 9) ** 1.5
    forms = Forms(x, y, share)
    places = [MeshPosition(3 * random.normal(size=(5, 6)), 40 + random.normal()) for _ in range(steps + 1)]
    mesh = MovingMesh(forms, share, places[0])
    scales = Scales.of(cell)
    electrode = Electrode(np.full(30, 0.4), ButlerVolmer(0.5, 1.5, 0.5), scales.diffusion_potential)
    free = np.ones((2, 9), bool)
    free[:, -1] = cell.gap_um is not None
    anode = electrode if cell.gap_um is not None else None
    problem = Problem(scales, electrode, anode, free, 600.0, forms.plane_area())
    start = State(np.stack([np.ones((30, 9)), np.zeros((30, 9))]), 0.0)
    solver = SubstepSolver(problem, forms.shape)
    stepper = Stepper(
        solver, lambda begin, length: mesh.toward(places[round(begin) + 1], begin, length), start, step_s=1.0
    )
    balances = []
    for end in range(1, steps + 1):
        balances.append(stepper.step(end))
        mesh.accept()
        solver.forget()
    return stepper, balances


@pytest.mark.parametrize("cell", [Cell(), Cell(gap_um=40.0)], ids=["stirred", "closed"])
def test_a_constant_concentration_stays_one_while_the_mesh_moves(cell):
    still = Cell(**{**cell.to_dict(), "current_density_ma_per_cm2": 0.0})
    stepper, balances = moved(still, seed=1)
    # What the constant leaves in the equations of the moving mesh, before anything is solved.
    assert max(max(b.residuals) for b in balances) < 1e-10
    np.testing.assert_allclose(stepper.state.fields[0], 1.0, rtol=0, atol=1e-10)
    np.testing.assert_allclose(stepper.state.fields[1], 0.0, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", [Cell(), Cell(gap_um=40.0)], ids=["stirred", "closed"])
def test_charge_and_salt_balance_while_the_mesh_moves(cell):
    _, balances = moved(cell, seed=2)
    assert max(b.charge_error for b in balances) <= 1e-6
    assert max(b.mass_error for b in balances) <= 1e-6
