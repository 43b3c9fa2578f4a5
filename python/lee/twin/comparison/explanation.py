"""Maps that would explain measured rates, inverted from a solution and its comparison with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.twin.comparison.compare import Comparison, at_full_efficiency, height_rates
from lee.twin.comparison.inversion import Inversion, efficiency_map, exchange_current_map
from lee.twin.mesh.columns import MeshSize
from lee.twin.results.folder import SolutionMaps
from lee.twin.solve import solve


def explain_by_efficiency(computed: SolutionMaps, comparison: Comparison) -> Inversion:
    """Find the efficiency that would explain the measured rates of a comparison's last time.

    Parameters
    ----------
    computed : SolutionMaps
        Those compared.
    comparison : Comparison
        With standard deviations.
    """
    full = height_rates(at_full_efficiency(computed), comparison.times_s)
    return efficiency_map(
        full[-1],
        comparison.measured_nm_per_s[-1],
        comparison.sigma_nm_per_s[-1],
        pixel_um=comparison.pixel_um,
    )


def explain_by_exchange_current(
    computed: SolutionMaps,
    comparison: Comparison,
    *,
    mesh: MeshSize,
    start_a_per_m2: float,
    progress: Callable[[int, float], None] | None = None,
) -> Inversion:
    """Find the exchange current that would explain them, by solving the twin again.

    Parameters
    ----------
    computed : SolutionMaps
        Those compared.
    comparison : Comparison
        With standard deviations.
    mesh : MeshSize
        As the solution was computed.
    start_a_per_m2 : float
        Exchange current to begin from, and geometric mean of the result.
    progress : callable, optional
        Called with the number of solves and the squared misfit per pixel.
    """

    def rate(exchange: NDArray[np.float64]) -> ArrayLike:
        solved = solve(
            computed.height_um[-1],
            pixel_um=computed.pixel_um,
            cell=computed.cell,
            kind=computed.kind,
            times_s=[float(comparison.times_s[-1])],
            exchange_current=exchange,
            mesh=mesh,
            report=None,
        )
        full = at_full_efficiency(
            replace(computed, current_density_ma_per_cm2=solved.current_density_ma_per_cm2)
        )
        return np.asarray(full.height_rate_nm_per_s[-1])

    return exchange_current_map(
        rate,
        comparison.measured_nm_per_s[-1],
        comparison.sigma_nm_per_s[-1],
        pixel_um=comparison.pixel_um,
        start_a_per_m2=start_a_per_m2,
        progress=progress,
    )


def times_within(solution_s: NDArray[np.float64], measured_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices of the measured times that a solution covers."""
    first, last = solution_s[0] - 1e-6, solution_s[-1] + 1e-6
    return np.flatnonzero((measured_s >= first) & (measured_s <= last))
