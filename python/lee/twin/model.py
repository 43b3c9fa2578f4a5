"""A cell over a surface: mesh, equations and kinetics put together, and states read as maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.filling import fill
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.electrode.electrode import Electrode
from lee.twin.electrode.hydrogen import HydrogenAtColumns
from lee.twin.mesh.columns import Columns, MeshSize, make_columns
from lee.twin.solver.equations import Problem, State, Volume
from lee.twin.solver.forms import Forms
from lee.twin.solver.newton import TOLERANCE, SubstepSolver
from lee.twin.solver.primary import primary_state
from lee.twin.solver.scales import Scales
from lee.twin.solver.secondary import check_start, secondary_state

KINDS = ("primary", "secondary", "tertiary")


@dataclass(frozen=True)
class Model:
    """Everything that a solution is computed from.

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

    def start(self, volume: Volume) -> State:
        """Solve for the potential at the bulk concentration: the secondary (or primary) distribution.

        Raises
        ------
        InputError
            If it is not found.
        """
        ny, nx, _ = shape = self.columns.shape
        if self.kind == "primary":
            state, residuals = primary_state(self.problem, volume, shape)
            check_start(residuals, converged=residuals[-1] <= TOLERANCE)
        else:
            substep = secondary_state(
                self.cell, self.problem, volume, ny * nx, lambda problem: SubstepSolver(problem, shape)
            )
            state = substep.state
            check_start(substep.residuals, converged=substep.converged)
        return state

    def current_density(self, state: State, volume: Volume | None) -> NDArray[np.float64]:
        """Return mA/cm² of true area at the columns, (ny, nx), positive where metal is plated."""
        u, psi = state.fields[:, :, 0]
        if self.kind == "primary":
            assert volume is not None
            # The flux that the equation of each electrode node requires.
            rows = volume.laplace @ state.fields[1].ravel()
            taken = -rows.reshape(state.fields[1].shape)[:, 0] / volume.area
            current = self.problem.scales.conductance * taken
        else:
            current = self.problem.electrode.plating(u, psi, state.metal).current
        return self._per_true_area(current)

    def hydrogen_current_density(self, state: State) -> NDArray[np.float64]:
        """Return the part of the current density that evolves hydrogen, mA/cm² of true area, (ny, nx)."""
        u, psi = state.fields[:, :, 0]
        evolved = None
        if self.kind != "primary":
            evolved = self.problem.electrode.plating(u, psi, state.metal).hydrogen
        return self._per_true_area(np.zeros_like(u) if evolved is None else evolved)

    def _per_true_area(self, current: NDArray[np.float64]) -> NDArray[np.float64]:
        unit_ma_per_cm2 = self.problem.scales.current_a_per_m2 / 10
        on_mesh = current.reshape(self.columns.shape[:2]) * unit_ma_per_cm2
        return np.asarray(on_mesh / self.columns.area_factor)

    def potential_v(self, state: State) -> NDArray[np.float64]:
        """φ at all nodes, (ny, nx, nz)."""
        u, psi = state.fields
        phi = psi + self.problem.scales.diffusion_potential * np.log(u)
        return np.asarray(phi.reshape(self.columns.shape) * self.cell.thermal_voltage_v)

    def plane_um(self, height_um: NDArray[np.float64]) -> float:
        """Height of the bulk plane or the anode over an electrode of these heights, (ny, nx).

        The bulk keeps its distance from the highest point. The anode dissolves as fast, in the mean, as the
        deposit grows, and so keeps its distance from the mean height.
        """
        start = self.columns.height_um
        if self.cell.gap_um is None:
            return self.columns.plane_um + float(height_um.max() - start.max())
        return self.columns.plane_um + float(height_um.mean() - start.mean())


def make_model(
    height_um: ArrayLike | Surface,
    *,
    pixel_um: float | None = None,
    cell: Cell,
    kind: str,
    exchange_current: ArrayLike | None,
    efficiency: ArrayLike | None,
    mesh: MeshSize | None,
) -> Model:
    """Put a cell over a surface; see `lee.twin.solve`.

    Raises
    ------
    InputError
        If what is given cannot be used.
    """
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; kinds are {', '.join(KINDS)}")
    columns = make_columns(height_um, pixel_um=pixel_um, cell=cell, size=mesh or MeshSize())
    return model_over(columns, cell, kind, exchange_current, efficiency)


def model_over(
    columns: Columns,
    cell: Cell,
    kind: str,
    exchange_current: ArrayLike | None,
    efficiency: ArrayLike | None,
) -> Model:
    """Put a cell over columns that were made already; see `lee.twin.solve`.

    Raises
    ------
    InputError
        If what is given cannot be used.
    """
    exchange, yields, notes = surface_maps(cell, columns, exchange_current, efficiency)
    forms = Forms(columns.x_um, columns.y_um, columns.share)
    forms.move(columns.z_um(columns.height_um, columns.plane_um))
    problem = make_problem(cell, columns, exchange, forms.plane_area())
    notes = (*columns.notes, *notes, *assumed(cell, kind))
    return Model(cell, kind, columns, forms, problem, yields, notes)


def make_problem(
    cell: Cell,
    columns: Columns,
    exchange: NDArray[np.float64],
    plane_area: NDArray[np.float64],
    rows: slice = slice(None),
) -> Problem:
    """Put the equations of some rows of columns together.

    The exchange current of a column is that of its true area, also of what the mesh smooths away.

    Parameters
    ----------
    cell : Cell
    columns : Columns
        Of the whole mesh.
    exchange : (H, W) float64, A/m²
        Exchange current on the surface's pixels.
    plane_area : (columns,) float64
        Of these rows.
    rows : slice
    """
    scales, kinetics, hydrogen = Scales.of(cell), cell.kinetics, None
    at_nodes = (columns.to_nodes(exchange) * columns.area_factor)[rows].ravel() / scales.current_a_per_m2
    if cell.hydrogen is not None:
        share = cell.hydrogen_exchange_current_a_per_m2 / scales.current_a_per_m2
        hydrogen = HydrogenAtColumns(columns.area_factor[rows].ravel() * share, cell.hydrogen)
    flat = np.full(at_nodes.shape, cell.exchange_current_a_per_m2 / scales.current_a_per_m2)
    free = np.ones((2, columns.shape[2]), bool)
    free[:, -1] = cell.gap_um is not None
    return Problem(
        scales=scales,
        electrode=Electrode(at_nodes, kinetics, scales.diffusion_potential, hydrogen),
        anode=None if cell.gap_um is None else Electrode(flat, kinetics, scales.diffusion_potential),
        free=free,
        seen_area=columns.seen_area_um2,
        plane_area=plane_area,
        resistance=cell.contact_ohm_cm2 * 1e-4 * scales.current_a_per_m2 / cell.thermal_voltage_v,
    )


def surface_maps(
    cell: Cell, columns: Columns, exchange_current: ArrayLike | None, efficiency: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """Return exchange current (A/m²) and efficiency on the surface's pixels, and notes on what was filled.

    Raises
    ------
    InputError
        If one of them is of another shape, or out of its bounds.
    """
    shape = columns.pixels_um.shape
    exchange, note_e = _map("exchange_current", exchange_current, cell.exchange_current_a_per_m2, shape)
    yields, note_y = _map("efficiency", efficiency, cell.efficiency, shape)
    if exchange.min() <= 0:
        raise InputError(f"exchange_current is {exchange.min():g} A/m² somewhere; it must be above 0")
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
    return values, (f"{name} is NaN over {100 * missing.mean():.1f} % of the surface and filled there",)


def assumed(cell: Cell, kind: str) -> tuple[str, ...]:
    """List what a solution of this kind assumes."""
    notes = [
        "constant diffusivity, transference number and conductivity; potentials against a reference "
        "electrode of the deposited metal; all current counts as the metal's in the electrolyte",
        "sides of the field are mirrors: no flux",
    ]
    if cell.gap_um is None:
        notes.append(f"bulk held {cell.distance_um:g} µm above the highest point, as by stirring")
        notes.append(
            "cell voltage: the electrode against a reference at the bulk, without a counter electrode, with "
            f"{cell.contact_ohm_cm2:g} Ω cm² of contacts, as the cell states"
        )
    else:
        notes.append(
            f"closed gap of {cell.gap_um:g} µm above the mean height, planar anode of the same metal"
        )
        notes.append(
            "cell voltage: the electrode against the anode, kinetics of both and the electrolyte between "
            f"them, with {cell.contact_ohm_cm2:g} Ω cm² of contacts, as the cell states"
        )
    if cell.hydrogen is not None and kind != "primary":
        notes.append(
            "hydrogen evolves by Tafel's law at one pH; the hydroxide left behind binds ions of the metal at "
            "the electrode, so that its current takes as much salt as the metal's"
        )
    if kind != "tertiary":
        notes.append(f"{kind} distribution: the concentration is the bulk's everywhere")
    above = abs(cell.current_density_ma_per_cm2) > cell.limiting_current_ma_per_cm2
    if above and kind == "tertiary":
        notes.append(
            f"the current is above the limiting one, {cell.limiting_current_ma_per_cm2:.4g} mA/cm²: a flat "
            f"electrode runs out of ions near the Sand time, {cell.sand_time_s:.4g} s"
        )
    return tuple(notes)
