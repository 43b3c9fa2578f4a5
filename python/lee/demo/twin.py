"""The demonstration's last part: the digital twin over the measured and over the true surface."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.demo.size import WHOLE, DemoSize
from lee.errors import install_extra
from lee.figures.report import Section
from lee.surfaces.surface import Surface

if TYPE_CHECKING:
    from lee.twin import Solution

TIMES_S = (1.0, 10.0, 100.0)
STEPS = 2  # of the progress: one solve each
MISSING = f"NGSolve is missing, so there is no twin: {install_extra('twin')}"


@dataclass(frozen=True, eq=False)
class TwinDemo:
    """Solutions over the measured and over the true surface, at the same times."""

    measured: "Solution"
    true: "Solution"
    columns: int

    def rows(self) -> list[dict[str, str]]:
        """Return concentration, current and rate in the lowest and the highest tenth of the field."""
        rows = []
        height = self.true.height_um[-1]
        low, high = np.quantile(height, (0.1, 0.9))
        places = {"lowest tenth": height <= low, "highest tenth": height >= high}
        last = f"{self.true.times_s[-1]:g} s"
        for name, place in places.items():
            row = {"twin at": last, "where": name}
            for symbol, unit, quantity in _QUANTITIES:
                mine, true = (getattr(s, quantity)[-1] for s in (self.measured, self.true))
                row[f"{symbol} {unit}"] = f"{mine[place].mean():.4g}"
                row[f"true {symbol}"] = f"{true[place].mean():.4g}"
                row[f"rms of {symbol}"] = f"{np.sqrt(np.mean((mine - true)[place] ** 2)):.2g}"
            rows.append(row)
        return rows

    def section(self, folder: Path) -> Section:
        """Return the section of the demo's report, with the figures of its folder."""
        balance_error = max(float(max(b.charge_error, b.mass_error)) for b in self.measured.balances)
        cell = self.measured.cell
        return Section(
            "The digital twin",
            "Quantities that cannot be measured are computed over the measured surface: "
            f"{cell.summary()}. The same was solved over the true surface; the differences are due to the "
            "errors of the measured heights. Uniform kinetics are assumed. The mesh is coarse, "
            f"{self.columns} columns along the field, and resolves no finer relief. Charge and salt balance "
            f"to within {balance_error:.0e} of what passed in each time step.",
            table=self.rows(),
            pictures={
                "Concentration, current density and height rate": folder / "environment.png",
                "The electrode, coloured by its height rate": folder / "electrode.png",
            },
        )


_QUANTITIES = (
    ("c", "mol/L", "concentration_mol_per_l"),
    ("i", "mA/cm2", "current_density_ma_per_cm2"),
    ("height rate", "nm/s", "height_rate_nm_per_s"),
)


@dataclass(frozen=True)
class NoTwin:
    """Takes the place of `TwinDemo` if NGSolve is not installed."""

    def rows(self) -> list[dict[str, str]]:
        """Return why there is no twin."""
        return [{"twin": MISSING}]

    def section(self, folder: Path) -> Section:
        """Return why there is no twin."""
        return Section("The digital twin", MISSING)


def run_twin(
    folder: Path,
    surface: Surface,
    truth_um: NDArray[np.float32],
    *,
    size: DemoSize = WHOLE,
    progress: Callable[[int, int], None] | None = None,
) -> TwinDemo | NoTwin:
    """Solve the default cell over a measured surface and over the true one, and write the former.

    Parameters
    ----------
    folder : Path
        Folder to write the solution to; nothing is written if NGSolve is missing.
    surface : Surface
    truth_um : (H, W) float32, µm
        NaN where not known.
    size : DemoSize
    progress : callable, optional
        Called with the number of solutions done and their total.

    Returns
    -------
    TwinDemo or NoTwin
    """
    if find_spec("ngsolve") is None:
        return NoTwin()
    from lee.twin import Cell, MeshSize, solve
    from lee.twin.results.folder import save_solution

    count, layers = size.twin_mesh
    rows, columns = (max(1, round(count * n / max(surface.shape))) for n in surface.shape)
    mesh = MeshSize(columns=(rows, columns), layers=layers)
    found = []
    solved_over: tuple[Surface | NDArray[np.float32], ...] = (surface, truth_um)
    for done, heights in enumerate(solved_over, 1):
        solution = solve(
            heights,
            pixel_um=surface.pixel_um,
            cell=Cell(),
            times_s=TIMES_S,
            mesh=mesh,
            tolerance=size.tolerance,
            report=None,
        )
        found.append(solution)
        if progress is not None:
            progress(done, STEPS)
    save_solution(found[0], folder, metadata={"surface": "of the demo"}, films=False)
    return TwinDemo(found[0], found[1], count)
