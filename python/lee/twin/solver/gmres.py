"""Generalised minimal residuals with a preconditioner on the right (Saad and Schultz, 1986)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Operator = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def gmres(
    apply: Operator,
    right: NDArray[np.float64],
    precondition: Operator,
    *,
    tolerance: float,
    iterations: int,
) -> tuple[NDArray[np.float64], int, bool]:
    """Solve ``apply(x) = right``, from zero, without restart.

    Parameters
    ----------
    apply, precondition : callable
        Take and give (N,) float64.
    right : (N,) float64
    tolerance : float
        Residual to reach, in shares of the right side's norm.
    iterations : int
        Most iterations; each keeps two vectors.

    Returns
    -------
    x : (N,) float64
    count : int
        Iterations made.
    reached : bool
        Whether the tolerance was reached.
    """
    norm = float(np.linalg.norm(right))
    if norm == 0 or not np.isfinite(norm):
        return np.zeros_like(right), 0, norm == 0
    basis = [right / norm]
    directions: list[NDArray[np.float64]] = []
    upper = np.zeros((iterations + 1, iterations))
    turns = np.zeros((iterations, 2))
    rest = np.zeros(iterations + 1)
    rest[0] = norm
    count = 0
    for count in range(1, iterations + 1):
        column = count - 1
        # Kept, not made anew from the sum: the preconditioner costs more than the memory.
        directions.append(precondition(basis[column]))
        vector = apply(directions[column])
        for row, held in enumerate(basis):
            upper[row, column] = vector @ held
            vector -= upper[row, column] * held
        length = float(np.linalg.norm(vector))
        for row in range(column):
            c, s = turns[row]
            above, below = upper[row, column], upper[row + 1, column]
            upper[row, column], upper[row + 1, column] = c * above + s * below, c * below - s * above
        radius = float(np.hypot(upper[column, column], length))
        if radius == 0 or not np.isfinite(radius):
            count = column
            break
        c, s = turns[column] = upper[column, column] / radius, length / radius
        upper[column, column] = radius
        rest[count], rest[column] = -s * rest[column], c * rest[column]
        if abs(rest[count]) <= tolerance * norm or length == 0:
            break
        basis.append(vector / length)
    weights = np.linalg.solve(np.triu(upper[:count, :count]), rest[:count]) if count else np.zeros(0)
    x = np.zeros_like(right)
    for weight, direction in zip(weights, directions, strict=False):
        x += weight * direction
    return x, count, bool(abs(rest[count]) <= tolerance * norm)
