"""The current in the microscope's window, beyond the anode's edge, against that under the anode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.twin.cell import Cell
from lee.twin.electrode.kinetics import Kinetics
from lee.twin.solver.forms import Symbol, import_ngsolve

_NEWTON_STEPS, _TOLERANCE = 60, 1e-10
_ORDER = 3
# Against the gap. At the anode's edge the current is singular, or nearly so.
_COARSEST, _NEAR, _FINEST = 0.25, 0.05, 1e-4
_PROFILE_POINTS = 401
_CATHODE = "under|between|window|rest"
Kind = Literal["primary", "secondary"]


@dataclass(frozen=True)
class CellSection:
    """A cell in section: a plane anode over a plane cathode that reaches further.

    Places are counted along the cathode from below the anode's edge, positive outward.

    Parameters
    ----------
    gap_um : float
        Between the electrodes; the paper's is about 2 mm.
    anode_um : float
        Width of the anode, or of one half of it where the cell is the same on both sides: the left end is an
        insulating wall or a plane of symmetry.
    extension_um : float
        How far the cathode reaches past the anode's edge. The paper does not state it; nothing influences the
        result more.
    beyond_um : float
        Electrolyte over an insulating floor beyond the cathode's end; 0: a wall stands there.
    above_um : float
        Electrolyte above the anode's face; 0: an insulating plane (a window, the objective) lies flush with
        it.
    anode_thickness_um : float
        Where there is electrolyte above: of the plate. The paper's zinc is 250 µm thick.
    anode_back : {"insulated", "active"}
        Where there is electrolyte above: whether the plate's edge and back dissolve, too.
    window_um : (float, float)
        Part that the microscope sees; the paper's is 200 to 400 µm.

    Raises
    ------
    InputError
        If a length is out of its bounds, or the window does not lie on the cathode.
    """

    gap_um: float = 2000.0
    anode_um: float = 10_000.0
    extension_um: float = 500.0
    beyond_um: float = 0.0
    above_um: float = 0.0
    anode_thickness_um: float = 250.0
    anode_back: Literal["insulated", "active"] = "insulated"
    window_um: tuple[float, float] = (200.0, 400.0)

    def __post_init__(self) -> None:
        for name in ("gap_um", "anode_um", "extension_um", "anode_thickness_um"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"window: {name} is {value}; give µm above 0")
        for name in ("beyond_um", "above_um"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"window: {name} is {value}; give µm, 0 or more")
        if self.above_um and not self.above_um > self.anode_thickness_um:
            raise InputError(
                f"window: {self.above_um:g} µm of electrolyte above the anode's face do not cover a plate of "
                f"{self.anode_thickness_um:g} µm; give more, or 0"
            )
        if self.anode_back not in ("insulated", "active"):
            raise InputError(f"window: anode_back is {self.anode_back!r}; give insulated or active")
        low, high = self.window_um
        if not 0 <= low < high <= self.extension_um:
            raise InputError(
                f"window: it spans {low:g} to {high:g} µm beyond the anode's edge, the cathode 0 to "
                f"{self.extension_um:g} µm; give a longer extension_um or another window"
            )


@dataclass(frozen=True, eq=False)
class WindowCurrent:
    """The window's current over that under the anode, and over the cell's.

    Attributes
    ----------
    ratio : float
        Mean current density in the window over the mean under the anode.
    share : float
        Mean current density in the window over the cell's, which is that of the anode's face on the mean.
    under_ma_per_cm2, window_ma_per_cm2 : float
        The two.
    x_um, current_density_ma_per_cm2 : (N,) float64
        Profile along the cathode.
    wagner : float
        Conductivity times slope of the cathode's kinetics over the gap; 0 for a primary distribution.
    unknowns : int
    residuals : tuple of float
        Of Newton's steps, relative.
    assumptions : tuple of str
        What the ratio assumes.
    """

    ratio: float
    share: float
    under_ma_per_cm2: float
    window_ma_per_cm2: float
    x_um: NDArray[np.float64]
    current_density_ma_per_cm2: NDArray[np.float64]
    wagner: float
    unknowns: int
    residuals: tuple[float, ...]
    assumptions: tuple[str, ...]

    @property
    def loss(self) -> float:
        """Share by which the current in the window is lower; the paper states 0.05."""
        return 1 - self.ratio

    def at_full_current(self, rate_nm_per_s: ArrayLike) -> NDArray[np.float64]:
        """Scale rates measured in the window to the cell's current density, for which the twin is solved."""
        return np.asarray(rate_nm_per_s, np.float64) / self.share


def window_current(
    cell: Cell, section: CellSection | None = None, *, kind: Kind = "secondary", refined: int = 0
) -> WindowCurrent:
    """Compute how much lower the current is in the window than under the anode.

    Laplace's equation in the section, finite elements of third order that shrink toward the anode's edge.
    ``primary``: both electrodes equipotential. ``secondary``: Butler-Volmer kinetics of `cell` on both, at
    the concentration of the bulk, the total current given.

    Parameters
    ----------
    cell : Cell
        Conductivity, kinetics, and current density, taken as the mean over the anode's face.
    section : CellSection, optional
        By default the paper's gap and window, a cathode that ends 0.5 mm past the edge, flush walls.
    kind : {"primary", "secondary"}
    refined : int
        Halve all elements so many times, to show that the mesh is fine enough.

    Returns
    -------
    WindowCurrent

    Raises
    ------
    InputError
        If an argument cannot be used, Newton's method does not converge, or the cell has no current.
    MissingDependency
        If NGSolve is not installed.
    """
    section = section or CellSection()
    if kind not in ("primary", "secondary"):
        raise InputError(f"window: kind is {kind!r}; give primary or secondary")
    if cell.current_density_ma_per_cm2 == 0:
        raise InputError("window: the cell's current density is 0; give the current that flows")
    ng = import_ngsolve()
    ng.ngsglobals.msg_level = 0
    mesh = _mesh(ng, section, refined)
    drawn = 10 * abs(cell.current_density_ma_per_cm2)
    # Lengths in gaps, currents in the cell's: potentials are in their product over the conductivity.
    scale = drawn * section.gap_um * 1e-6 / cell.conductivity_s_per_m / cell.thermal_voltage_v
    total = section.anode_um / section.gap_um
    space = ng.H1(mesh, order=_ORDER, dirichlet=f"anode|{_CATHODE}" if kind == "primary" else "")
    potential = ng.GridFunction(space)
    outward: Symbol
    residuals: tuple[float, ...] = ()
    wagner = 0.0
    if kind == "primary":
        _solve_primary(ng, mesh, space, potential)
        outward = ng.BoundaryFromVolumeCF(ng.grad(potential)[1])
        # Any voltage does: the current is scaled to the cell's. With 1 V between them, power is current.
        power = ng.Integrate(ng.grad(potential) * ng.grad(potential), mesh, order=2 * _ORDER)
        outward = outward * (total / float(power))
    else:
        sign = math.copysign(1.0, cell.current_density_ma_per_cm2)
        law = _Kinetics(cell.kinetics, cell.exchange_current_a_per_m2 / drawn, scale, sign)
        residuals = _solve_secondary(ng, mesh, space, potential, law, total)
        outward = law.current(ng, potential)
        wagner = law.slope_at(1.0)
    spans = {"under": (-section.anode_um, 0.0), "window": section.window_um}
    mean = {
        name: float(ng.Integrate(outward, mesh, definedon=mesh.Boundaries(name), order=2 * _ORDER + 4))
        * section.gap_um
        / (high - low)
        for name, (low, high) in spans.items()
    }
    x = np.linspace(-section.anode_um, section.extension_um, _PROFILE_POINTS)
    inside = np.clip(x / section.gap_um, x[0] / section.gap_um + 1e-9, x[-1] / section.gap_um - 1e-9)
    profile = np.array([float(outward(mesh(place, 0.0, ng.BND))) for place in inside])
    current = float(cell.current_density_ma_per_cm2)
    return WindowCurrent(
        ratio=mean["window"] / mean["under"],
        share=mean["window"],
        under_ma_per_cm2=current * mean["under"],
        window_ma_per_cm2=current * mean["window"],
        x_um=x,
        current_density_ma_per_cm2=current * profile,
        wagner=wagner,
        unknowns=int(space.ndof),
        residuals=residuals,
        assumptions=_assumptions(section, kind),
    )


def _mesh(ng: ModuleType, section: CellSection, refined: int) -> Symbol:
    from netgen.geom2d import SplineGeometry

    gap = section.gap_um
    left, end = -section.anode_um / gap, section.extension_um / gap
    right, top = end + section.beyond_um / gap, 1 + section.above_um / gap
    low, high = (place / gap for place in section.window_um)
    fine = _FINEST
    # Corners counterclockwise, the size of elements there, and the name of the side that follows.
    corners: list[tuple[float, float, float, str]] = [(left, 0, _COARSEST, "under")]
    corners += [(0, 0, _NEAR, "between")] if low > 0 else []
    last = fine if right > end else _NEAR
    corners += [(low, 0, _NEAR, "window"), (high, 0, *((_NEAR, "rest") if high < end else (last, "wall")))]
    corners += [(end, 0, last, "wall")] if high < end else []
    corners += [(right, 0, _COARSEST, "wall")] if right > end else []
    corners.append((right, top, _COARSEST, "wall"))
    if section.above_um:
        plate = 1 + section.anode_thickness_um / gap
        back = "anode" if section.anode_back == "active" else "wall"
        corners += [
            (left, top, _COARSEST, "wall"),
            (left, plate, _COARSEST, back),
            (0, plate, fine, back),
            (0, 1, fine, "anode"),
        ]
    else:
        corners.append((0, 1, fine, "anode"))
    corners.append((left, 1, _COARSEST, "wall"))
    geometry = SplineGeometry()
    points = [geometry.AppendPoint(x, y, maxh=size) for x, y, size, _ in corners]
    for k, (_, _, _, name) in enumerate(corners):
        geometry.Append(["line", points[k], points[(k + 1) % len(points)]], bc=name)
    mesh = ng.Mesh(geometry.GenerateMesh(maxh=_COARSEST, grading=0.25))
    for _ in range(refined):
        mesh.Refine()
    return mesh


def _solve_primary(ng: ModuleType, mesh: Symbol, space: Symbol, potential: Symbol) -> None:
    u, v = space.TnT()
    stiffness = ng.BilinearForm(ng.grad(u) * ng.grad(v) * ng.dx).Assemble()
    potential.Set(1.0, definedon=mesh.Boundaries("anode"))
    left_over = (-stiffness.mat * potential.vec).Evaluate()
    potential.vec.data += stiffness.mat.Inverse(space.FreeDofs(), inverse="sparsecholesky") * left_over


@dataclass(frozen=True)
class _Kinetics:
    """Current of an electrode at 0 V by the potential u in the electrolyte beside it, positive outward.

    Stripping is plating with the signs of current and potential changed, so that the cell's current is
    always positive.

    Attributes
    ----------
    kinetics : Kinetics
    exchange : float
        Over the cell's current density.
    scale : float
        Unit of u, over RT/F.
    sign : float
        1 where the cathode plates, -1 where it is stripped.
    """

    kinetics: Kinetics
    exchange: float
    scale: float
    sign: float

    def current(self, ng: ModuleType, u: Symbol) -> Symbol:
        return self.sign * self.kinetics.current(self.exchange, 1.0, -self.sign * self.scale * u, ng.exp)

    def slope(self, ng: ModuleType, u: Symbol) -> Symbol:
        return self.scale * self.kinetics.slope(self.exchange, 1.0, -self.sign * self.scale * u, ng.exp)

    def potential_at(self, current: float) -> float:
        """Invert `current`."""
        return -self.sign * self.kinetics.overpotential(self.sign * current / self.exchange) / self.scale

    def slope_at(self, current: float) -> float:
        """du/di at a current: the Wagner number, lengths being in gaps."""
        return 1 / float(self.slope(math, self.potential_at(current)))


def _solve_secondary(
    ng: ModuleType, mesh: Symbol, space: Symbol, potential: Symbol, law: _Kinetics, total: float
) -> tuple[float, ...]:
    """Solve for the potential and the anode's voltage by Newton's method, with the total current given."""
    u, v = space.TnT()
    on_cathode, on_anode = ng.ds(_CATHODE), ng.ds("anode")
    voltage = ng.Parameter(0.0)
    beside = potential - voltage
    tangent = ng.BilinearForm(space)
    tangent += ng.grad(u) * ng.grad(v) * ng.dx + law.slope(ng, potential) * u * v * on_cathode
    tangent += law.slope(ng, beside) * u * v * on_anode
    force = ng.LinearForm(space)
    force += ng.grad(potential) * ng.grad(v) * ng.dx + law.current(ng, potential) * v * on_cathode
    force += law.current(ng, beside) * v * on_anode
    border = ng.LinearForm(space)
    border += law.slope(ng, beside) * v * on_anode
    sides = mesh.Boundaries("anode")

    def residual() -> tuple[float, float]:
        force.Assemble()
        # The anode gives what the cathode takes: its own current is negative there.
        missing = total + float(ng.Integrate(law.current(ng, beside), mesh, definedon=sides, order=12))
        return missing, float(np.hypot(np.linalg.norm(force.vec.FV().NumPy()), missing)) / total

    level = law.potential_at(1.0)
    potential.Set(level + ng.y)
    voltage.Set(level + 1.0 - law.potential_at(-1.0))
    missing, size = residual()
    residuals = [size]
    for _ in range(_NEWTON_STEPS):
        if size < _TOLERANCE:
            break
        tangent.Assemble()
        border.Assemble()
        inverse = tangent.mat.Inverse(inverse="sparsecholesky")
        first, second = (inverse * force.vec).Evaluate(), (inverse * border.vec).Evaluate()
        both = border.vec.FV().NumPy()
        slope = float(ng.Integrate(law.slope(ng, beside), mesh, definedon=sides, order=12))
        step_v = float((missing - both @ first.FV().NumPy()) / (slope - both @ second.FV().NumPy()))
        step = (step_v * second - first).Evaluate()
        before, before_v, share = potential.vec.CreateVector(copy=True), voltage.Get(), 1.0
        while True:
            potential.vec.data = before + share * step
            voltage.Set(before_v + share * step_v)
            missing, trial = residual()
            if trial < size or share < 1e-6:
                break
            share /= 2
        size = trial
        residuals.append(size)
    if not size < 1e-7:
        raise InputError(
            f"window: Newton's method stopped at a residual of {size:.1e}; check the cell's conductivity and "
            "exchange current"
        )
    return tuple(residuals)


def _assumptions(section: CellSection, kind: Kind) -> tuple[str, ...]:
    end = (
        f"electrolyte over an insulating floor for another {section.beyond_um:g} µm"
        if section.beyond_um
        else "a wall there"
    )
    above = (
        f"{section.above_um:g} µm of electrolyte above the anode's face, its back {section.anode_back}"
        if section.above_um
        else "an insulating plane flush with the anode's face"
    )
    kinetics = {
        "primary": "both electrodes equipotential: no kinetics",
        "secondary": "Butler-Volmer kinetics on both electrodes at the bulk concentration",
    }
    return (
        f"gap {section.gap_um:g} µm, anode {section.anode_um:g} µm wide from a wall or plane of symmetry",
        f"the cathode ends {section.extension_um:g} µm past the anode's edge, {end}",
        above,
        kinetics[kind],
        "a plane cathode: the relief is small against the gap",
        "a uniform electrolyte: no concentration gradients, no flow, no bubbles",
        "the cell's current density is the mean over the anode's face",
    )
