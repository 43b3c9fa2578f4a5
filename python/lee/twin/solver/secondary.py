"""The secondary distribution: kinetics and ohmic drop, at the concentration of the bulk everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lee.errors import InputError
from lee.twin.cell import Cell
from lee.twin.solver.equations import Problem, State, Substep, Volume
from lee.twin.solver.newton import Solver


def secondary_state(
    cell: Cell,
    problem: Problem,
    volume: Volume,
    columns: int,
    make_solver: Callable[[Problem], Solver],
) -> Substep:
    """Solve for the potential at the bulk concentration.

    Parameters
    ----------
    cell : Cell
        Its flat electrode gives the first guess.
    problem, volume
        See `Equations`.
    columns : int
        Columns at hand.
    make_solver : callable
        Makes the solver of a problem.

    Returns
    -------
    Substep
        Check its residuals with `check_start`.
    """
    nz = problem.free.shape[1]
    fields = np.stack([np.ones((columns, nz)), np.zeros((columns, nz))])
    guess = State(fields, cell.overpotential_v / cell.thermal_voltage_v)
    free = problem.free.copy()
    free[0] = False
    solver = make_solver(replace(problem, free=free))
    return solver.solve(volume, np.zeros(fields[0].size), 1.0, 0.0, guess)


def check_start(residuals: Sequence[float], *, converged: bool) -> None:
    """Refuse to begin where the potential at the bulk concentration was not found.

    Raises
    ------
    InputError
        If it did not converge.
    """
    if not converged:
        raise InputError(
            f"the potential at the bulk concentration is not found (residuals {listed(residuals)}); give a "
            "smoother surface, or check the cell's kinetics"
        )


def listed(residuals: Sequence[float]) -> str:
    """Write residuals in one line."""
    return ", ".join(f"{r:.1e}" for r in residuals)
