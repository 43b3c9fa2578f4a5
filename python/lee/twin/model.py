"""A cell laid over a surface: mesh, equations and kinetics put together, and states read as maps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.filling import fill
from lee.twin.cell import Cell
from lee.twin.electrode.kinetics import Kinetics, Scales
from lee.twin.mesh.columns import Columns, MeshSize, make_columns
from lee.twin.solver.forms import Forms
from lee.twin.solver.newton import Problem, StageSolver, State, Volume
from lee.twin.solver.primary import primary_state

KINDS = ("primary", "secondary", "tertiary")


@dataclass(frozen=True)
class Model:
    """All that a solve needs.

    Attributes
    ----------
    cell : Cell
    kind : str
    columns : Columns
    forms : Forms
    problem : Problem
        Of the tertiary distribution.
    efficiency : (H, W) float64
    notes : tuple of str
    """

    cell: Cell
    kind: str
    columns: Columns
    forms: Forms
    problem: Problem
    efficiency: NDArray[np.float64]
    notes: tuple[str, ...]

    def volume(self, z_um: NDArray[np.float64]) -> Volume:
        """Assemble the matrices of a mesh that is at rest."""
        self.forms.move(z_um)
        return Volume(self.forms.mass(), self.forms.laplace(), None, self.forms.electrode_area())

    def uniform(self, volume: Volume) -> tuple[State, tuple[float, ...]]:
        """Solve for the potential at the bulk concentration: the secondary (or primary) distribution.

        Returns
        -------
        State
        tuple of float
            Newton's residuals; the last one is too large where it did not converge.
        """
        ny, nx, nz = self.columns.shape
        fields = np.stack([np.ones((ny * nx, nz)), np.zeros((ny * nx, nz))])
        guess = State(fields, self.cell.overpotential_v / self.cell.thermal_voltage_v)
        if self.kind == "primary":
            return primary_state(self.problem, volume, self.columns.shape)
        free = self.problem.free.copy()
        free[0] = False
        solver = StageSolver(replace(self.problem, free=free), self.columns.shape)
        stage = solver.solve(volume, np.zeros(fields[0].size), 1.0, 0.0, guess)
        return stage.state, stage.residuals

    def current_density(self, state: State, volume: Volume | None) -> NDArray[np.float64]:
        """Return mA/cm² of true area at the columns, (ny, nx), positive where metal is plated."""
        u, psi = state.fields[:, :, 0]
        if self.kind == "primary":
            assert volume is not None
            # The flux the equation of each electrode node asks for.
            rows = volume.laplace @ state.fields[1].ravel()
            taken = -rows.reshape(state.fields[1].shape)[:, 0] / volume.area
            current = self.problem.scales.conductance * taken
        else:
            current = self.problem.electrode.plating(u, psi, state.electrode).current
        unit_ma_per_cm2 = self.problem.scales.current_a_per_m2 / 10
        return np.asarray(current.reshape(self.columns.shape[:2]) * unit_ma_per_cm2)

    def potential_v(self, state: State) -> NDArray[np.float64]:
        """φ at all nodes, (ny, nx, nz)."""
        u, psi = state.fields
        phi = psi + self.problem.scales.diffusion_potential * np.log(u)
        return np.asarray(phi.reshape(self.columns.shape) * self.cell.thermal_voltage_v)

    def plane_um(self, height_um: NDArray[np.float64]) -> float:
        """Return where the bulk plane or the anode is over an electrode of these heights, (ny, nx).

        The bulk keeps its distance from the highest point. The anode dissolves as fast, in the mean, as the
        deposit grows, and so keeps its distance from the mean height.
        """
        start = self.columns.height_um
        if self.cell.gap_um is None:
            return self.columns.plane_um + float(height_um.max() - start.max())
        return self.columns.plane_um + float(height_um.mean() - start.mean())

    def growth_nm_per_s(self, current_density: NDArray[np.float64]) -> NDArray[np.float64]:
        """Growth along the normal by mA/cm² at an efficiency of 1."""
        one = replace(self.cell, efficiency=1.0, current_density_ma_per_cm2=1.0)
        return current_density * one.growth_nm_per_s


def make_model(
    height_um: ArrayLike,
    *,
    pixel_um: float,
    cell: Cell,
    kind: str,
    exchange_current: ArrayLike | None,
    efficiency: ArrayLike | None,
    mesh: MeshSize | None,
) -> Model:
    """Lay a cell over a surface; see `lee.twin.solve`.

    Raises
    ------
    InputError
        If what is given cannot be used.
    """
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; kinds are {', '.join(KINDS)}")
    columns = make_columns(height_um, pixel_um=pixel_um, cell=cell, size=mesh or MeshSize())
    exchange, yields, notes = surface_maps(cell, columns, exchange_current, efficiency)
    forms = Forms(columns.x_um, columns.y_um, columns.share)
    scales = Scales.of(cell)
    ny, nx, nz = columns.shape
    flat = np.full(ny * nx, cell.exchange_current_a_per_m2 / scales.current_a_per_m2)
    anode = Kinetics(flat, cell.alpha_c, cell.alpha_a, cell.gamma, scales.diffusion_potential)
    at_nodes = columns.to_nodes(exchange).ravel() / scales.current_a_per_m2
    free = np.ones((2, nz), bool)
    if cell.gap_um is None:
        free[:, -1] = False
    forms.move(columns.z_um(columns.height_um, columns.plane_um))
    problem = Problem(
        scales=scales,
        electrode=replace(anode, exchange=at_nodes),
        anode=None if cell.gap_um is None else anode,
        free=free,
        seen_area=columns.seen_area_um2,
        plane_area=forms.plane_area(),
    )
    notes = (*columns.notes, *notes, *assumed(cell, kind))
    return Model(cell, kind, columns, forms, problem, yields, notes)


def surface_maps(
    cell: Cell, columns: Columns, exchange_current: ArrayLike | None, efficiency: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """Return exchange current (A/m²) and efficiency on the surface's pixels, and notes on what was filled in.

    Raises
    ------
    InputError
        If one of them is of another shape, or out of its bounds.
    """
    shape = columns.pixels_um.shape
    exchange, note_e = _map("exchange_current", exchange_current, cell.exchange_current_a_per_m2, shape)
    yields, note_y = _map("efficiency", efficiency, cell.efficiency, shape)
    if exchange.min() <= 0:
        raise InputError(f"exchange_current is {exchange.min():g} A/m2 somewhere; it must be above 0")
    if yields.min() < 0 or yields.max() > 1.5:
        worst = yields.min() if yields.min() < 0 else yields.max()
        raise InputError(f"efficiency is {worst:g} somewhere; it must be from 0 to 1.5")
    return exchange, yields, (*note_e, *note_y)


def _map(
    name: str, given: ArrayLike | None, default: float, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    values = np.asarray(default if given is None else given, dtype=np.float64)
    if values.ndim not in (0, 2) or (values.ndim == 2 and values.shape != shape):
        raise InputError(f"{name} has the shape {values.shape}; give one number or a map {shape}")
    if np.isinf(values).any() or np.isnan(values).all():
        raise InputError(f"{name} holds infinite values, or nothing but NaN")
    values = np.broadcast_to(values, shape).copy()
    missing = np.isnan(values)
    if not missing.any():
        return values, ()
    values[missing] = fill(values.astype(np.float32), ~missing)[missing]
    return values, (f"{name} is NaN over {missing.mean():.1%} of the surface and filled in there",)


def assumed(cell: Cell, kind: str) -> tuple[str, ...]:
    """Say what a solve of this kind takes for granted."""
    told = [
        "constant diffusivity, transference number and conductivity; potentials against a reference "
        "electrode of the deposited metal; all current counts as the metal's in the electrolyte",
        "sides of the field are mirrors: no flux",
    ]
    if cell.gap_um is None:
        told.append(f"bulk held {cell.distance_um:g} um above the highest point, as by stirring")
    else:
        told.append(f"closed gap of {cell.gap_um:g} um above the mean height, planar anode of the same metal")
    if kind != "tertiary":
        told.append(f"{kind} distribution: the concentration is the bulk's everywhere")
    above = abs(cell.current_density_ma_per_cm2) > cell.limiting_current_ma_per_cm2
    if above and kind == "tertiary":
        told.append(
            f"the current is above the limiting one, {cell.limiting_current_ma_per_cm2:.4g} mA/cm2: a flat "
            f"electrode runs out of ions near the Sand time, {cell.sand_time_s:.4g} s"
        )
    return tuple(told)
