"""The primary distribution: the electrode is an equipotential, whatever the current."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lee.twin.solver.coupling import Coupling
from lee.twin.solver.equations import Problem, State, Volume
from lee.twin.solver.gmres import gmres
from lee.twin.solver.multigrid import Multigrid

_TOLERANCE = 1e-10


def primary_state(
    problem: Problem, volume: Volume, shape: tuple[int, int, int]
) -> tuple[State, tuple[float, ...]]:
    """Solve ∇²ψ = 0 between two equipotentials, scaled to the total current.

    Returns
    -------
    State
        The concentration is the bulk's.
    tuple of float
        Residuals, relative.
    """
    columns, nz = shape[0] * shape[1], shape[2]
    free = np.zeros((2, nz), bool)
    free[1, 1:-1] = True
    multigrid = Multigrid(volume.mass, volume.laplace, shape, free)
    multigrid.set_volume((1.0, 0.0, 1.0))
    none = sparse.csr_array((columns, columns))
    multigrid.set_coupling(Coupling(((none, none), (none, none))), None)
    psi = np.zeros((columns, nz))
    psi[:, 0] = -1.0

    def rows(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((volume.laplace @ vector.ravel()).reshape(columns, nz))

    def apply(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(rows(vector) * free[1]).ravel()

    def precondition(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        both = np.stack([np.zeros_like(psi), vector.reshape(columns, nz)])
        return np.asarray(multigrid.cycle(both)[1]).ravel()

    right = -apply(psi)
    change, _, _ = gmres(apply, right, precondition, tolerance=_TOLERANCE, iterations=60)
    left = float(np.linalg.norm(right - apply(change)) / max(float(np.linalg.norm(right)), 1e-300))
    psi += change.reshape(columns, nz)
    taken = -problem.scales.conductance * float(rows(psi)[:, 0].sum())
    scale = problem.scales.total * problem.seen_area / taken
    return State(np.stack([np.ones_like(psi), scale * psi]), -scale), (1.0, left)
