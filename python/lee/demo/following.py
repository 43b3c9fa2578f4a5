"""The demonstration's run in the digital twin: measured, computed and true rates side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lee.demo.growing import GrowingDemo
from lee.demo.size import WHOLE, DemoSize
from lee.figures.maps import time_text
from lee.figures.report import Section
from lee.surfaces.regions import Region

if TYPE_CHECKING:
    from lee.twin.following.follow import Followed

FOLDER = "twin"  # in the run's folder, as `lee twin follow` names it


@dataclass(frozen=True, eq=False)
class FollowingDemo:
    """The run as the twin followed it, beside what was measured and the truth."""

    followed: "Followed"
    grown: GrowingDemo

    def rows(self) -> list[dict[str, str]]:
        """Return height rates and concentration, a row for each phase, early and late, and place."""
        truth, solution = self.grown.truth, self.followed.solution
        rows = []
        for phase, scan in self._moments():
            share = self._efficiency(phase)
            for name, place in self.grown.places().items():
                measured = self.grown.rate_nm_per_s[scan][place]
                rows.append(
                    {
                        "followed": f"{phase}, {time_text(float(truth.times_s[scan]))}",
                        "where": name,
                        "true nm/s": f"{truth.rate_nm_per_s[scan][place].mean():.1f}",
                        "measured nm/s": f"{np.nanmean(measured):.1f}",
                        "computed nm/s": f"{share * solution.height_rate_nm_per_s[scan][place].mean():.1f}",
                        "computed c mol/L": f"{solution.concentration_mol_per_l[scan][place].mean():.3f}",
                    }
                )
        return rows

    def _moments(self) -> Iterator[tuple[str, int]]:
        """Give the second and the last scan of each phase: at its first the electrolyte is still at rest."""
        phases, reached = self.grown.truth.phases, len(self.followed.solution.times_s)
        for phase in dict.fromkeys(phases.tolist()):
            scans = [int(k) for k in np.flatnonzero(phases == phase) if k < reached]
            for scan in dict.fromkeys([*scans[1:2], *scans[-1:]]):
                yield phase, scan

    def _efficiency(self, phase: str) -> float:
        """Return what the charge gave; computed rates are in proportion to it."""
        balance = self.grown.charge
        found = [] if balance is None else [one for one in balance.balance.by_phase if one.phase == phase]
        return found[0].efficiency if found else 1.0

    def section(self, run: Path) -> Section:
        """Return the section of the demo's report, with the figures of the run's folder."""
        solution, table = self.followed.solution, self.followed.intervals
        size_um = float(solution.fields.x_um[1])
        charge, salt = (float(table[name].max()) for name in ("charge_error", "salt_error"))
        passed = float(np.abs(np.diff(table["charge_c_per_cm2"])).sum())
        stopped = f" {solution.stopped}." if solution.stopped else ""
        return Section(
            "The run in the digital twin",
            "The measured surfaces of the run, from scan to scan, are the boundary of the twin, and the "
            f"current is the one recorded under them: {passed:.3g} C/cm² passed, and charge and salt balance "
            f"to within {charge:.0e} and {salt:.0e} in each time step.{stopped} Rates are height rates. "
            "Uniform kinetics are assumed. Computed rates are at the efficiency that the charge gave for the "
            "phase in the table, and at an efficiency of 1 in the figures. The mesh is coarse, cells of "
            f"{size_um:.2g} µm.\n\n"
            "The law that moved this electrode is not a twin: it lets trenches lead by more than uniform "
            "kinetics do, so there is no true concentration and only rates can be compared. Over the whole "
            "field the computed rate has to be the true one, in trenches and on protrusions it need not. The "
            f"report of the twin is in {run.name}/{FOLDER}.",
            table=self.rows(),
            pictures={
                "Height rates over time, measured and computed": run / FOLDER / "rates.png",
                "Height, curvature and height rates, early and late": run / FOLDER / "maps.png",
            },
        )


def run_following(
    run: Path,
    grown: GrowingDemo,
    *,
    size: DemoSize = WHOLE,
    progress: Callable[[int, int], None] | None = None,
) -> FollowingDemo | None:
    """Follow the demo's run in the twin, as `lee twin follow` does, and write the results into its folder.

    Parameters
    ----------
    run : Path
        Folder of the run, analysed with its charge.
    grown : GrowingDemo
        What was measured there, and the truth.
    size : DemoSize
    progress : callable (done, total), optional
        Called when a scan was reached.

    Returns
    -------
    FollowingDemo or None
        None if NGSolve is not installed.
    """
    if find_spec("ngsolve") is None:
        return None
    import pandas as pd

    from lee.runs.run import RESULTS
    from lee.series.map_store import MAPS_ZARR, open_maps
    from lee.twin import Cell, MeshSize, follow
    from lee.twin.following.current import current_of_charge
    from lee.twin.following.folder import save_followed
    from lee.twin.results.solution import Balance

    truth, maps = grown.truth, open_maps(run / RESULTS / MAPS_ZARR)
    charge = pd.read_csv(run / RESULTS / "charge.csv")["charge_c_per_cm2"]
    count, reached = len(truth.times_s), 0
    columns, layers = size.following_mesh

    def report(balance: Balance) -> None:
        nonlocal reached
        while progress is not None and reached < count and balance.time_s >= truth.times_s[reached]:
            reached += 1
            progress(reached, count)

    followed = follow(
        maps["height_um"][:],
        times_s=truth.times_s,
        pixel_um=truth.pixel_um,
        cell=Cell(),
        sigmas_um=maps["height_sigma_um"][:],
        protocol=current_of_charge(truth.times_s, charge),
        mesh=MeshSize.of(truth.trenches.shape, columns, layers=layers),
        tolerance=size.tolerance,
        report=None,
        progress=report,
    )
    save_followed(
        followed,
        run / FOLDER,
        rates_nm_per_s=grown.rate_nm_per_s,
        sigmas_nm_per_s=grown.sigma_nm_per_s,
        regions=[
            Region("trenches", "trench", truth.trenches),
            Region("protrusions", "protrusion", truth.protrusions),
        ],
        metadata={"run": "of the demo"},
        films=False,
    )
    return FollowingDemo(followed, grown)
