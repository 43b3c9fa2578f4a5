"""The secondary distribution: kinetics and ohmic drop, at the concentration of the bulk everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

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
    if problem.held is not None:
        guess = _flat_at(cell, problem, fields, problem.held(0.0))
    free = problem.free.copy()
    free[0] = False
    solver = make_solver(replace(problem, free=free))
    return solver.solve(volume, np.zeros(fields[0].size), 1.0, 0.0, guess)


def _flat_at(cell: Cell, problem: Problem, fields: NDArray[np.float64], held: float) -> State:
    """Return the state of a flat electrode whose cell is held at a potential, over RT/F."""
    scales, kinetics = problem.scales, cell.kinetics
    over_exchange = scales.current_a_per_m2 / cell.exchange_current_a_per_m2

    def potentials(current: float) -> tuple[float, float, float]:
        """Return ψ at the plane and at the electrode, and the potential of the metal."""
        plane = 0.0 if problem.anode is None else -kinetics.overpotential(-current * over_exchange)
        electrode = plane - current * cell.distance_um / scales.conductance
        eta = cell.flat_overpotential(current * scales.current_a_per_m2)
        return plane, electrode, electrode + eta

    # The more is plated, the more negative the cell.
    low, high = -1.0, 1.0
    while potentials(low)[2] - problem.resistance * low < held:
        low *= 2
    while potentials(high)[2] - problem.resistance * high > held:
        high *= 2
    for _ in range(100):
        middle = 0.5 * (low + high)
        above = potentials(middle)[2] - problem.resistance * middle > held
        low, high = (middle, high) if above else (low, middle)
    plane, electrode, metal = potentials(low)
    share = np.linspace(0, 1, fields.shape[2])
    fields[1] = electrode + share * (plane - electrode)
    return State(fields, metal)


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
