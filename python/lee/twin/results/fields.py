"""What follows from a solution's fields: current in the electrolyte, cross-sections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.twin.results.solution import Solution


def current_density(solution: Solution, k: int) -> NDArray[np.float64]:
    """Compute the current density in the electrolyte at time k from the gradient of the fields.

    Parameters
    ----------
    solution : Solution
    k : int
        Index of the time.

    Returns
    -------
    (ny, nx, nz, 3) float64, mA/cm²
        Components along x, y (down the image) and z at the nodes; second differences, one-sided at the
        borders. On the electrode less exact than the solution's own current.
    """
    cell, fields = solution.cell, solution.fields
    ratio = fields.concentration_mol_per_l[k] / cell.concentration_mol_per_l
    psi = fields.potential_v[k] - cell.thermal_voltage_v * cell.diffusion_potential * np.log(ratio)
    z = fields.z_um[k]
    along_z = _along_columns(psi, z)
    slope = np.empty((*psi.shape, 3))
    for axis, places, part in ((1, fields.x_um, 0), (0, fields.y_um, 1)):
        # At constant height: what a step along the layer changes, less the layer's own slope does.
        slope[..., part] = _gradient(psi, places, axis) - along_z * _gradient(z, places, axis)
    slope[..., 2] = along_z
    # V/um times S/m is 1e6 A/m2, 1e5 mA/cm2.
    current: NDArray[np.float64] = -cell.conductivity_s_per_m * slope * 1e5
    return current


def _gradient(values: NDArray[np.float64], places: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    if len(places) > 2:
        return np.asarray(np.gradient(values, places, axis=axis, edge_order=2))
    return np.asarray(np.gradient(values, places, axis=axis))


def _along_columns(values: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differentiate along the last axis, over uneven places that differ from column to column."""
    step = np.diff(z, axis=-1)
    slope = np.diff(values, axis=-1) / step
    out = np.empty_like(values)
    low, high = step[..., :-1], step[..., 1:]
    out[..., 1:-1] = (high * slope[..., :-1] + low * slope[..., 1:]) / (low + high)
    for end, near, far in ((0, 0, 1), (-1, -1, -2)):
        share = step[..., near] / (step[..., near] + step[..., far])
        out[..., end] = slope[..., near] + share * (slope[..., near] - slope[..., far])
    return out


@dataclass(frozen=True, eq=False)
class CrossSection:
    """A plane through the electrolyte along x, at one row of the mesh.

    Attributes
    ----------
    y_um : float
        Position down the image.
    x_um : (nx,) float64
    z_um, concentration_mol_per_l, potential_v : (nx, nz) float64
        At the nodes.
    current_ma_per_cm2 : (nx, nz, 2) float64
        Along x and z.
    """

    y_um: float
    x_um: NDArray[np.float64]
    z_um: NDArray[np.float64]
    concentration_mol_per_l: NDArray[np.float64]
    potential_v: NDArray[np.float64]
    current_ma_per_cm2: NDArray[np.float64]

    def on_grid(self, columns: int = 160, rows: int = 120) -> tuple[NDArray[np.float64], ...]:
        """Read the current on an even grid, for field lines.

        Returns
        -------
        x, z : (columns,), (rows,) float64, µm
        along_x, along_z : (rows, columns) float64, mA/cm²
            NaN inside the electrode.
        """
        x = np.linspace(self.x_um[0], self.x_um[-1], columns)
        z = np.linspace(self.z_um.min(), self.z_um.max(), rows)
        parts = np.full((2, rows, columns), np.nan)
        place = np.clip(np.searchsorted(self.x_um, x) - 1, 0, len(self.x_um) - 2)
        share = (x - self.x_um[place]) / (self.x_um[place + 1] - self.x_um[place])
        for column, (left, s) in enumerate(zip(place, share, strict=True)):
            heights = (1 - s) * self.z_um[left] + s * self.z_um[left + 1]
            values = (1 - s) * self.current_ma_per_cm2[left] + s * self.current_ma_per_cm2[left + 1]
            for part in range(2):
                parts[part, :, column] = np.interp(z, heights, values[:, part], left=np.nan)
        return x, z, parts[0], parts[1]


def cross_section(solution: Solution, k: int, y_um: float | None = None) -> CrossSection:
    """CrossSection through the fields at time k along x.

    Parameters
    ----------
    solution : Solution
    k : int
    y_um : float, optional
        Position down the image; the nearest row of nodes is taken. By default through the deepest point.

    Raises
    ------
    InputError
        If it is outside the field.
    """
    fields = solution.fields
    if y_um is None:
        row = int(np.unravel_index(int(fields.z_um[k][..., 0].argmin()), fields.z_um[k].shape[:2])[0])
    else:
        if not fields.y_um[0] <= y_um <= fields.y_um[-1]:
            raise InputError(f"section: y = {y_um:g} µm is outside the field, 0 to {fields.y_um[-1]:g} µm")
        row = int(np.abs(fields.y_um - y_um).argmin())
    return CrossSection(
        y_um=float(fields.y_um[row]),
        x_um=fields.x_um,
        z_um=fields.z_um[k][row],
        concentration_mol_per_l=fields.concentration_mol_per_l[k][row],
        potential_v=fields.potential_v[k][row],
        current_ma_per_cm2=current_density(solution, k)[row][..., [0, 2]],
    )
