"""A followed run on disk: what a solution's folder holds, the accounts from scan to scan, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lee.errors import InputError
from lee.figures.maps import time_text
from lee.figures.report import FigureFolder, Section, write_report
from lee.storage.atomic import new_folder
from lee.surfaces.regions import Region
from lee.twin.comparison.compare import Comparison
from lee.twin.following.boundary import MapsOverTime
from lee.twin.following.figures import (
    along_a_line,
    ions_over_time,
    maps_early_and_late,
    rates_over_curvature,
    rates_over_time,
)
from lee.twin.following.follow import Followed
from lee.twin.following.measured_rates import compare_rates
from lee.twin.results.folder import FILES as SOLUTION_FILES
from lee.twin.results.folder import write_solution

INTERVALS, STATISTICS, CURVES, REPORT = "intervals.csv", "rates.csv", "regions.csv", "report.html"
FILES = frozenset(
    {*SOLUTION_FILES, INTERVALS, STATISTICS, CURVES, REPORT, "rates.png", "maps.png", "line.png",
     "curvature.png", "ions.png"}
)  # fmt: skip
# Shares of the run at which maps are drawn.
_EARLY, _LATE = 0.07, 0.9


def save_followed(
    followed: Followed,
    folder: str | Path,
    *,
    rates_nm_per_s: MapsOverTime | None = None,
    sigmas_nm_per_s: MapsOverTime | None = None,
    regions: Sequence[Region] = (),
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
    films: bool = True,
) -> Path:
    """Write a followed run as a folder, which appears under its name only when all of it is written.

    It holds what `lee.twin.results.folder.save_solution` writes, for each scan; ``intervals.csv`` with
    charge, deposit and salt from scan to scan; ``rates.csv`` and ``regions.csv`` with measured and computed
    height rates; figures, and ``report.html`` with all of them.

    Parameters
    ----------
    followed : Followed
    folder : str or Path
        Must not exist unless `overwrite`.
    rates_nm_per_s, sigmas_nm_per_s, regions
        See `lee.twin.following.measured_rates.compare_rates`.
    overwrite : bool
        Replace an older folder of this kind.
    metadata : mapping, optional
        Where the run came from; must fit into JSON.
    films : bool

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If no scan was reached, or the folder exists.
    """
    solution = followed.solution
    if not len(solution.times_s):
        raise InputError(f"nothing to write to {folder}: no scan was reached; {solution.stopped or 'follow'}")
    compared = compare_rates(followed, rates_nm_per_s, sigmas_nm_per_s, regions)
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        about = {
            **(metadata or {}),
            "scans": followed.scans,
            "scans_without_surface": [followed.scans[k] for k in followed.holes],
            "boundary_sigma_um": followed.sigma_um,
        }
        write_solution(place, solution, metadata=about, films=films)
        followed.intervals.to_csv(place / INTERVALS, index=False)
        sections = [_summary(followed)]
        if compared is not None:
            compared.statistics.to_csv(place / STATISTICS, index=False)
            compared.curves.to_csv(place / CURVES, index=False)
            sections += _rates(followed, compared, place, given=rates_nm_per_s is not None)
        sections += _environment(followed, place, films=films)
        write_report(place / REPORT, "The run in the digital twin", sections)
    return Path(folder)


def _summary(followed: Followed) -> Section:
    solution, table = followed.solution, followed.intervals
    last = table.iloc[-1]
    worst = float(table[["charge_error", "salt_error"]].to_numpy().max())
    text = (
        f"{solution.cell.summary()}. {len(followed.scans)} scans, {len(followed.holes)} without a surface; "
        f"the measured surfaces are the boundary. {last['charge_c_per_cm2']:.4g} C/cm² passed: Faraday's law "
        f"gives {last['deposit_um']:.3g} µm at an efficiency of 1, and the boundary rose by "
        f"{last['raised_um']:.3g} µm. Charge and salt balance within {worst:.0e} in every time step."
    )
    notes = "\n\n".join(f"{note[0].upper()}{note[1:]}." for note in solution.notes)
    stopped = f"\n\n{solution.stopped}" if solution.stopped else ""
    return Section("Summary", f"{text}{stopped}\n\n{notes}", table=_rows(followed))


def _rows(followed: Followed, most: int = 12) -> list[dict[str, object]]:
    table = followed.intervals
    step = max(1, -(-len(table) // most))
    return [
        {
            "scan": row.scan,
            "time s": f"{row.time_s:.4g}",
            "surface": "measured" if row.measured else "bridged",
            "current mA/cm²": f"{row.current_ma_per_cm2:.4g}",
            "charge C/cm²": f"{row.charge_c_per_cm2:.4g}",
            "deposit µm": f"{row.deposit_um:.3g}",
            "risen µm": f"{row.raised_um:.3g}",
            "lowest c mol/L": f"{row.concentration_min_mol_per_l:.4g}",
        }
        for row in table.iloc[::step].itertuples()
    ]


def _rates(followed: Followed, compared: Comparison, place: Path, *, given: bool) -> list[Section]:
    solution, figures = followed.solution, FigureFolder(place)
    span = float(compared.times_s[-1] - compared.times_s[0])
    late = len(compared.times_s) - 1
    # The very first scan has the electrolyte at rest.
    times = sorted(
        {
            min(max(int(abs(compared.times_s - compared.times_s[0] - share * span).argmin()), 1), late)
            for share in (_EARLY, _LATE)
        }
    )
    early_and_late = " and ".join(time_text(float(compared.times_s[k])) for k in times)
    source = (
        "Measured rates are those of the run's analysis; bars are two standard errors."
        if given
        else "The run was not analysed: measured rates are the speed of the moving boundary, without errors."
    )
    table = [
        {
            "time s": f"{row.time_s:.4g}",
            "measured nm/s": f"{row.measured_mean:.3g}",
            "computed nm/s": f"{row.computed_mean:.3g}",
            "rms difference nm/s": f"{row.rms:.3g}",
            "stated σ nm/s": "not known" if row.noise_rms != row.noise_rms else f"{row.noise_rms:.3g}",
            "correlation": f"{row.correlation:.2f}",
        }
        for row in (compared.statistics.iloc[k] for k in times)
    ]
    pictures = {
        "Height rates of trenches and protrusions over time, measured and computed": figures.save(
            "rates.png", rates_over_time(compared, solution)
        ),
        f"Height, curvature and height rates after {early_and_late}":
            figures.save("maps.png", maps_early_and_late(compared, solution, times)),
        "Height, curvature and height rates along a line through the deepest point measured": figures.save(
            "line.png", along_a_line(compared, solution, times[0])
        ),
        "Height rate over mean curvature, all pixels and scans": figures.save(
            "curvature.png", rates_over_curvature(compared, solution)
        ),
    }  # fmt: skip
    text = (
        "All rates are height rates: the change of height with time. The computed ones assume uniform "
        f"kinetics and efficiency unless maps were given, and did not move the boundary. {source}"
    )
    return [Section("Measured and computed rates", text, table=table, pictures=pictures)]


def _environment(followed: Followed, place: Path, *, films: bool) -> list[Section]:
    figures = FigureFolder(place)
    pictures = {
        "Concentration, current density and height rate, with sections": place / "environment.png",
        "Potential in the electrolyte and overpotential": place / "potentials.png",
        "Ions over time": figures.save("ions.png", ions_over_time(followed.solution)),
    }
    film = place / "concentration.mp4"
    if films and film.is_file():
        pictures["Concentration over the run"] = film
    return [Section("The local environment", "Computed over the measured surfaces.", pictures=pictures)]
