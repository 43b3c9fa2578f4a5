"""A solution of the twin: maps on the electrode, fields in the electrolyte, balances."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lee.twin.cell import Cell


@dataclass(frozen=True)
class Fields:
    """The solution at the nodes of the mesh, for each of its times.

    Nodes stand in columns: ``[t, y, x, k]``, k = 0 on the electrode, the last on the bulk plane or the anode.

    Attributes
    ----------
    x_um, y_um : (nx,), (ny,) float64
        Positions of the columns; 0 is the outer edge of the first pixel.
    z_um : (T, ny, nx, nz) float64
        Heights of the nodes, in the height map's own zero.
    concentration_mol_per_l, potential_v : (T, ny, nx, nz) float64
        Potential against a reference electrode of the deposited metal, zero in the bulk (stirred cell) or on
        the anode's metal (closed cell).
    current_density_ma_per_cm2, overpotential_v, height_rate_nm_per_s, normal_rate_nm_per_s : (T, ny, nx)
    float64
        On the electrode's nodes, as in `Solution`.
    hydrogen_current_density_ma_per_cm2 : (T, ny, nx) float64 or None
        The same.
    """

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    z_um: NDArray[np.float64]
    concentration_mol_per_l: NDArray[np.float64]
    potential_v: NDArray[np.float64]
    current_density_ma_per_cm2: NDArray[np.float64]
    overpotential_v: NDArray[np.float64]
    height_rate_nm_per_s: NDArray[np.float64]
    normal_rate_nm_per_s: NDArray[np.float64]
    hydrogen_current_density_ma_per_cm2: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Balance:
    """Balance of charge and salt in one time step; errors are shares of what passed through the electrode.

    Attributes
    ----------
    time_s, step_s : float
        End of the step, and its length.
    charge_error : float
        Current into the electrode against current out of the bulk plane or the anode, and against the
        current of the cell; the larger of the two.
    mass_error : float
        Salt gained by the electrolyte against what crossed its borders, in shares of what the electrode took.
    residuals : tuple of float
        Newton's residuals, relative, first to last, of the step's substeps one after another.
    linear_iterations : int
        Iterations of the linear solver in the step.
    electrode_v : float
        Potential of the electrode at the end of the step.
    current_ma_per_cm2 : float
        Total current over the area as seen from above, at the end of the step.
    charge_c_per_cm2 : float
        Charge that passed in the step, over the same area.
    """

    time_s: float
    step_s: float
    charge_error: float
    mass_error: float
    residuals: tuple[float, ...]
    linear_iterations: int
    electrode_v: float
    current_ma_per_cm2: float = float("nan")
    charge_c_per_cm2: float = float("nan")


@dataclass(frozen=True)
class Solution:
    """The local electrochemical environment over the electrode.

    Maps are on the height map's pixels, (T, H, W) float32. Filled pixels are computed like the others;
    `filled` marks them.

    Attributes
    ----------
    times_s : (T,) float64
        Times reached. Where the solve `stopped`, the last one is that of the last good state.
    concentration_mol_per_l, potential_v, overpotential_v : (T, H, W) float32
        In the electrolyte at the electrode; overpotential V − φ, negative where metal is plated.
    current_density_ma_per_cm2 : (T, H, W) float32
        Per true area, of all reactions; positive where metal is plated or hydrogen evolves.
    height_rate_nm_per_s : (T, H, W) float32
        Growth rate: the change of height with time, as a microscope measures it. Its mean is Faraday's, of
        the metal's current.
    normal_rate_nm_per_s : (T, H, W) float32
        Growth along the surface's normal, by Faraday's law from the metal's current density.
    area_ratio : (T, H, W) float32
        True area over that seen from above, the height rate over the normal rate: that of the mesh, times
        what it smooths away.
    electrode_v : (T,) float64
        Potential of the electrode.
    mean_current_ma_per_cm2 : (T,) float64
        Over the area as seen from above: that of the cell, or what a held potential draws.
    cell_voltage_v : (T,) float64
        Potential of the electrode with its contacts against the reference in the bulk (stirred cell) or
        against the anode, whose kinetics it includes (closed cell); negative where metal is plated.
    hydrogen_current_density_ma_per_cm2 : (T, H, W) float32 or None
        The part of the current density that evolves hydrogen; None where the cell has no such reaction.
    height_um : (T, H, W) float32
        The surface, holes filled; it changes with time where the electrode grows.
    filled : (H, W) bool
        Where the height was not measured.
    pixel_um : float
    kind : str
        "primary", "secondary" or "tertiary".
    cell : Cell
    fields : Fields
    balances : tuple of Balance
        One for each step.
    timings_s : dict of float
        Seconds spent: mesh, assembly, solver, all. A growth assembles in its solver.
    notes : tuple of str
        What is assumed, what was smoothed away, what else to know; one line each.
    stopped : str
        Empty, or why the solve ended before the last time.
    """

    times_s: NDArray[np.float64]
    concentration_mol_per_l: NDArray[np.float32]
    potential_v: NDArray[np.float32]
    overpotential_v: NDArray[np.float32]
    current_density_ma_per_cm2: NDArray[np.float32]
    height_rate_nm_per_s: NDArray[np.float32]
    normal_rate_nm_per_s: NDArray[np.float32]
    area_ratio: NDArray[np.float32]
    electrode_v: NDArray[np.float64]
    height_um: NDArray[np.float32]
    filled: NDArray[np.bool_]
    pixel_um: float
    kind: str
    cell: Cell
    fields: Fields
    balances: tuple[Balance, ...] = ()
    timings_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stopped: str = ""
    mean_current_ma_per_cm2: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    cell_voltage_v: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    hydrogen_current_density_ma_per_cm2: NDArray[np.float32] | None = None

    @property
    def current_efficiency(self) -> NDArray[np.float32] | None:
        """Share of the current that deposits metal, (T, H, W); None where the cell evolves no hydrogen."""
        hydrogen = self.hydrogen_current_density_ma_per_cm2
        if hydrogen is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 - hydrogen / self.current_density_ma_per_cm2, np.float32)

    @property
    def rate_nm_per_s(self) -> NDArray[np.float32]:
        """The normal rate, by its earlier name."""
        return self.normal_rate_nm_per_s

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Where the height was measured, (H, W)."""
        return ~self.filled
