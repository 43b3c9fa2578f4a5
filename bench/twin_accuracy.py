"""Accuracy of the twin: Sand's transient, walls and ripples against an independent solution, followed runs.

``sand``     a closed gap to 0.8 of the Sand time on the default mesh, against the series ``walls``    a
trench 80 µm wide with walls of 45 to 90 degrees: height rates of its floor, its top and its walls
             on the default mesh, against finite elements of fourth order on triangles that follow the walls
``ripple``   half a field with a ripple of 2 µm, true area 1.28, against the same with the ripple resolved
``exact``    `follow` over exact surfaces against the `grow` that made them
``rig``      `follow` over a run of the virtual rig that was grown by a known twin: minutes
"""

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.table import lines, machine
from lee.twin import Cell, MeshSize, follow, grow, solve

FIELD_UM, PIXEL_UM = 200.0, 0.5
# Of the trench: its zones along x keep clear of what the mesh smooths at the edges.
ZONES = {"top": (0.0, 45.0), "floor": (90.0, 110.0)}
WALLS = tuple((angle, depth) for angle in (45.0, 60.0, 75.0, 90.0) for depth in (20.0, 40.0))
# An independent solution takes some seconds; its mesher may never end.
_LONGEST_S = 120.0
RIPPLE_UM, AMPLITUDE_UM, RIPPLED_UM = 2.0, 0.3692, 100.0
Row = dict[str, object]
Points = list[tuple[float, float]]


def sand() -> list[Row]:
    """Concentration at the electrode to 0.8 of the Sand time."""
    rows: list[Row] = []
    for gap_um in (500.0, 1000.0, 2500.0, 5000.0):
        cell = Cell(gap_um=gap_um)
        times = np.array([0.01, 0.05, 0.2, 0.5, 0.8]) * cell.sand_time_s
        found = solve(
            np.zeros((1, 1)),
            pixel_um=10.0,
            cell=cell,
            times_s=times,
            mesh=MeshSize(columns=(1, 1)),
            report=None,
        )
        errors = found.fields.concentration_mol_per_l[:, 0, 0, 0] / closed_gap(cell, times) - 1
        layers = found.fields.z_um.shape[-1] - 1
        rows.append(
            {"gap µm": gap_um, "layers": layers, "largest error %": 100 * float(np.abs(errors).max())}
        )
    return rows


def closed_gap(cell: Cell, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the concentration at a flat electrode of a closed gap, mol/L."""
    gap, diffusivity = float(cell.gap_um or 0), cell.diffusivity_m2_per_s * 1e12
    stored = cell.charge * 96485.33212 * cell.concentration_mol_per_l * 1e3
    slope = (1 - cell.transference) * cell.current_density_ma_per_cm2 * 10 / stored * 1e6 / diffusivity
    odd = np.arange(1, 40_001, 2)
    fading = np.exp(-diffusivity * (odd * np.pi / gap) ** 2 * times_s[:, None])
    series = np.sum(fading / odd**2, axis=1)
    return np.asarray(cell.concentration_mol_per_l * (1 + slope * (4 * gap / np.pi**2 * series - gap / 2)))


def trench(angle: float, depth_um: float) -> Points:
    """Return the outline of a trench from x = 60 to 140 µm, as (x, z)."""
    run = 0.0 if angle == 90 else depth_um / np.tan(np.radians(angle))
    return [(0, 0), (45, 0), (60, 0), (60 + run, -depth_um), (90, -depth_um), (110, -depth_um),
            (140 - run, -depth_um), (140, 0), (FIELD_UM, 0)]  # fmt: skip


def ripple() -> Points:
    """Return the outline of a field whose first half is rippled."""
    x = np.unique(np.concatenate([np.linspace(0, RIPPLED_UM / 2, 601), [75.0, RIPPLED_UM]]))
    z = np.where(x < RIPPLED_UM / 2, AMPLITUDE_UM * (np.cos(2 * np.pi * x / RIPPLE_UM) - 1), 0.0)
    return [(float(a), float(b)) for a, b in zip(x, z, strict=True)]


def resolved(outline: Points, zones: Sequence[tuple[float, float]], fine_um: float) -> list[float]:
    """Solve the secondary distribution in two dimensions; return mA/cm² of seen area in zones of x.

    An independent solution: triangles that follow the outline, of order 4, Newton's method on the weak form.
    """
    import ngsolve as ng
    from netgen.geom2d import SplineGeometry

    # Its direct solver is quickest, and safest, on one thread.
    ng.SetNumThreads(1)
    cell, width = Cell(), outline[-1][0]
    plane = max(z for _, z in outline) + cell.distance_um
    geometry = SplineGeometry()
    points = [geometry.AppendPoint(x, z, maxh=fine_um) for x, z in outline]
    corners = [geometry.AppendPoint(width, plane), geometry.AppendPoint(0, plane)]
    for begin, end in pairwise(points):
        geometry.Append(["line", begin, end], leftdomain=1, rightdomain=0, bc="electrode")
    for begin, end, name in (
        (points[-1], corners[0], "side"), (*corners, "plane"), (corners[1], points[0], "side")
    ):  # fmt: skip
        geometry.Append(["line", begin, end], leftdomain=1, rightdomain=0, bc=name)
    mesh = ng.Mesh(geometry.GenerateMesh(maxh=width / 30))
    space = ng.H1(mesh, order=4, dirichlet="plane") * ng.NumberSpace(mesh)
    (psi, volt), (test, other) = space.TnT()

    def current(psi: object, volt: object) -> object:
        eta = (volt - psi) / cell.thermal_voltage_v  # type: ignore[operator]
        forth, back = ng.exp(-cell.alpha_c * eta), ng.exp(cell.alpha_a * eta)
        return cell.exchange_current_a_per_m2 * (forth - back)

    electrode = ng.ds("electrode", bonus_intorder=6)
    form = ng.BilinearForm(space)
    form += cell.conductivity_s_per_m * 1e6 * ng.grad(psi) * ng.grad(test) * ng.dx
    form += current(psi, volt) * (test + other) * electrode
    form += -10 * cell.current_density_ma_per_cm2 * other * ng.ds("plane")
    found = ng.GridFunction(space)
    found.components[1].vec[0] = cell.overpotential_v
    for _ in range(30):
        rest, change = found.vec.CreateVector(), found.vec.CreateVector()
        form.Apply(found.vec, rest)
        form.AssembleLinearization(found.vec)
        change.data = form.mat.Inverse(space.FreeDofs()) * rest
        found.vec.data -= change
        if ng.Norm(change) < 1e-11:
            break
    flux = current(*found.components)
    inside = [ng.IfPos(ng.x - a, 1, 0) * ng.IfPos(b - ng.x, 1, 0) for a, b in zones]
    return [
        float(ng.Integrate(flux * one * electrode, mesh)) / (b - a) / 10
        for one, (a, b) in zip(inside, zones, strict=True)
    ]


def apart(solve_it: Callable[..., list[float]], *given: object) -> list[float]:
    """Run in a process of its own: NGSolve's triangles do not always survive those of another mesh."""
    for _ in range(5):
        with tempfile.TemporaryDirectory() as place:
            answer = Path(place) / "answer.json"
            child = multiprocessing.get_context("spawn").Process(
                target=_answer, args=(answer, solve_it, given)
            )
            child.start()
            child.join(_LONGEST_S)
            child.kill()
            child.join()
            if answer.is_file():
                return [float(value) for value in json.loads(answer.read_text())]
    raise RuntimeError("the independent solution crashed, or did not end, five times")


def _answer(place: Path, solve_it: Callable[..., list[float]], given: tuple[object, ...]) -> None:
    place.write_text(json.dumps(solve_it(*given)))


def on_the_mesh(
    outline: Points, zones: Sequence[tuple[float, float]], pixel_um: float, columns: int
) -> list[float]:
    """Solve on the twin's mesh; return mA/cm² of seen area in zones of x."""
    width = outline[-1][0]
    x = (np.arange(round(width / pixel_um)) + 0.5) * pixel_um
    at = np.array([point[0] for point in outline]) + 1e-9 * np.arange(len(outline))
    height = np.tile(np.interp(x, at, [point[1] for point in outline]), (2, 1))
    found = solve(
        height,
        pixel_um=pixel_um,
        cell=Cell(),
        kind="secondary",
        mesh=MeshSize(columns=(1, columns)),
        report=None,
    )
    cell = found.cell
    current = found.height_rate_nm_per_s[0, 0] * cell.current_density_ma_per_cm2 / cell.growth_nm_per_s
    return [float(current[(x > a) & (x < b)].mean()) for a, b in zones]


def walls() -> list[Row]:
    """Compare currents on the floor, the top and the walls of trenches."""
    rows: list[Row] = []
    for angle, depth_um in WALLS:
        outline, zones = trench(angle, depth_um), [*ZONES.values(), (45.0, 90.0)]
        exact = apart(resolved, outline, zones, 0.5)
        found = on_the_mesh(outline, zones, PIXEL_UM, 64)
        errors = {name: 100 * (f / e - 1) for name, f, e in zip((*ZONES, "wall"), found, exact, strict=True)}
        rows.append({"degrees": angle, "depth µm": depth_um}
                    | {f"{name} mA/cm²": value for name, value in zip((*ZONES, "wall"), exact, strict=True)}
                    | {f"{name} error %": value for name, value in errors.items()})  # fmt: skip
    return rows


def ripples() -> list[Row]:
    """Compare the currents of a rippled and a smooth half."""
    zones = [(0.0, 40.0), (75.0, 100.0)]
    exact = apart(resolved, ripple(), zones, 3.0)
    found = on_the_mesh(ripple(), zones, 0.125, 32)
    return [
        {"half": name, "resolved mA/cm²": e, "error %": 100 * (f / e - 1)}
        for name, f, e in zip(("rippled", "smooth"), found, exact, strict=True)
    ]


def exact() -> list[Row]:
    """Follow the surfaces that a growth has made."""
    side, pixel_um = 24, 200 / 24
    y, x = (np.mgrid[:side, :side] + 0.5) * pixel_um
    height = -10 * (1 + np.cos(2 * np.pi * x / 100)) * (1 + 0.3 * np.cos(np.pi * y / 100))
    times = 15.0 * np.arange(12)
    common = {"pixel_um": pixel_um, "cell": Cell(), "mesh": MeshSize(), "report": None}
    grown = grow(height, times_s=times, **common)  # type: ignore[arg-type]
    maps = list(grown.height_um.astype(np.float64))
    followed = follow(maps, times_s=times, **common).solution  # type: ignore[arg-type]
    return [
        {
            "time s": float(times[k]),
            "c error %": _worst(followed.concentration_mol_per_l[k], grown.concentration_mol_per_l[k]),
            "height rate error %": _worst(followed.height_rate_nm_per_s[k], grown.height_rate_nm_per_s[k]),
        }
        for k in (1, 5, 11)
    ]


def _worst(found: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    return 100 * float(np.abs(found / true - 1).max())


@dataclass(frozen=True)
class _Course:
    """Heights of a growth at any time, linear between those computed."""

    times_s: NDArray[np.float64]
    height_um: NDArray[np.float32]

    def at(self, time_s: float) -> NDArray[np.float32]:
        k = int(np.clip(np.searchsorted(self.times_s, time_s) - 1, 0, len(self.times_s) - 2))
        share = (time_s - self.times_s[k]) / (self.times_s[k + 1] - self.times_s[k])
        share = float(np.clip(share, 0, 1))
        return np.asarray((1 - share) * self.height_um[k] + share * self.height_um[k + 1], np.float32)


def rig(scans: int = 9, interval_s: float = 15.0, columns: int = 20, seed: int = 0) -> list[Row]:
    """Render a run that a known twin has grown, measure it as `lee series` does, and follow it."""
    from lee.devices.virtual import GrowingScene, growing_electrode, render_run, stage_walk
    from lee.devices.virtual.scene.growth_law import GrowthLaw, Phase
    from lee.runs.reconstruct import reconstruct_run, series_params
    from lee.runs.run import open_run
    from lee.series.analyse import analyse

    scene = growing_electrode((160, 160), 0.3, seed, relief_um=6.0)
    times = interval_s * np.arange(scans)
    mesh = MeshSize(columns=(columns, columns))
    every = np.arange(0.0, times[-1] + interval_s + 1, 5.0)
    twin = grow(
        scene.scene.height_um,
        pixel_um=0.3,
        cell=Cell(),
        times_s=every,
        mesh=mesh,
        report=None,
        tolerance=3e-4,
    )
    course = _Course(twin.times_s, twin.height_um)

    class Grown(GrowingScene):
        """The scene as the twin grows it."""

        def height_um(self, time_s: float) -> NDArray[np.float32]:
            return course.at(time_s)

    law = GrowthLaw([Phase("plating", 1e4, (Cell().growth_nm_per_s,) * 2)])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        truth = render_run(
            folder, Grown(scene.scene, law), times_s=times, shift_px=stage_walk(scans, 0.5, seed), seed=seed
        )
        run = open_run(folder)
        reconstruct_run(run, params=series_params())
        found = analyse(run)
        maps = {name: found.maps(name)[:] for name in
                ("height_um", "height_sigma_um", "rate_nm_per_s", "rate_sigma_nm_per_s")}  # fmt: skip
    followed = follow(
        list(maps["height_um"]), sigmas_um=list(maps["height_sigma_um"]), times_s=times, pixel_um=0.3,
        cell=Cell(), mesh=mesh, report=None, tolerance=3e-4,
    ).solution  # fmt: skip
    # The run shows the middle of the scene, whatever the stage's walk.
    side = truth.height_um.shape[1]
    margin = (twin.height_um.shape[1] - side) // 2
    shown = np.s_[margin : margin + side, margin : margin + side]
    assert np.allclose(truth.height_um[0], twin.height_um[0][shown], atol=1e-3)
    inside = np.s_[8:-8, 8:-8]
    rows: list[Row] = []
    for k in (1, scans // 2, scans - 1):
        at = int(np.abs(twin.times_s - times[k]).argmin())
        names = ("concentration_mol_per_l", "height_rate_nm_per_s")
        c, rate = (
            getattr(followed, name)[k][inside] - getattr(twin, name)[at][shown][inside] for name in names
        )
        measured = maps["rate_nm_per_s"][k][inside] - twin.height_rate_nm_per_s[at][shown][inside]
        rows.append(
            {
                "time s": float(times[k]),
                "c rms mmol/L": 1e3 * _rms(c),
                "computed height rate rms nm/s": _rms(rate),
                "measured σ nm/s": _rms(maps["rate_sigma_nm_per_s"][k][inside]),
                "measured rate rms nm/s": _rms(measured),
            }
        )
    return rows


def _rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.nanmean(np.square(values, dtype=np.float64))))


PARTS: dict[str, Callable[[], list[Row]]] = {
    "sand": sand, "walls": walls, "ripple": ripples, "exact": exact, "rig": rig,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all but rig without it")
    given = parser.parse_args(arguments)
    print(f"accuracy of the twin; {machine()}")
    for name in given.parts or [part for part in PARTS if part != "rig"]:
        print(f"\n{name}")
        print("\n".join(lines(PARTS[name](), {})), flush=True)


if __name__ == "__main__":
    main()
