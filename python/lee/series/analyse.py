"""Analysis of a run over time: surfaces are aligned, growth, curvature and regions measured and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.runs.lock import run_locked
from lee.runs.reconstruct import reconstruct_run as reconstruct_run
from lee.runs.run import RESULTS, Run
from lee.runs.scheduler import cores
from lee.runs.surface_store import WRITTEN
from lee.series.alignment.scan_alignment import Alignment
from lee.series.charge.balance import ChargeBalance
from lee.series.charge.clocks import stated_offset_s
from lee.series.growth.line_fit import MIN_SCANS
from lee.series.map_store import MAPS_ZARR, StoredMaps, open_maps
from lee.series.options import SeriesOptions, load_regions, parse_reference
from lee.series.relation import Relation
from lee.series.report.notes import notes_of
from lee.series.report.series_report import FILES as REPORT_FILES
from lee.series.report.tables import TABLES
from lee.series.steps import CHARGE_JSON, AnalysisSteps
from lee.storage.atomic import new_folder
from lee.surfaces.profile import Profile, profile
from lee.surfaces.regions import Region

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FILES", "Series", "analyse", "reconstruct_run"]

FILES = frozenset({MAPS_ZARR, CHARGE_JSON, *REPORT_FILES, *TABLES})


# Smallest share of the field that some scan must measure; noise alone gives a few percent.
MIN_COVERAGE = 0.05


@dataclass(frozen=True, eq=False)
class Series:
    """Results of a run; made by `analyse`.

    Attributes
    ----------
    path : Path
        The folder with the tables, figures, films and the report.
    times_s : (T,) float64, s
        From the first scan.
    phases : (T,) str
    pixel_um, scale_um : float, µm
        Size of a pixel; scale of the curvature, of slopes and of areas.
    alignment : Alignment
    regions : list of Region
    tables : dict of str to DataFrame
        By file name, as the CSV files hold them.
    relations : dict of str to Relation
    profiles : dict of str to Profile
    failed : dict of str to str
        Scans without a surface, and the reasons.
    notes : list of str
        Warnings and remarks on the results, one sentence each.
    charge : ChargeBalance, optional
        Where the potentiostat's record was given.
    """

    path: Path
    times_s: NDArray[np.float64]
    phases: list[str]
    pixel_um: float
    scale_um: float
    alignment: Alignment
    regions: list[Region]
    tables: dict[str, pd.DataFrame]
    relations: dict[str, Relation]
    profiles: dict[str, Profile]
    failed: dict[str, str]
    notes: list[str]
    charge: ChargeBalance | None = None

    def maps(self, name: str) -> StoredMaps:
        """Return maps of all scans, read one at a time; `lee.series.map_store.MAPS` lists the names."""
        return open_maps(self.path / MAPS_ZARR)[name]


def analyse(
    run: Run,
    options: SeriesOptions | None = None,
    *,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Series:
    """Measure a run's surfaces over time and write the results to the run's folder ``series``.

    Parameters
    ----------
    run : Run
        Reconstructed by `reconstruct_run`.
    options : SeriesOptions, optional
    workers : int
        With more than 1, or 0 and more than one core, the films are made in a process of their own; see
        `reconstruct_run` for what that requires of a script.
    progress : callable, optional
        Called with the name of each step or file as it is finished.

    Returns
    -------
    Series

    Raises
    ------
    InputError
        If there is no surface, hardly anything was measured in any, an option does not fit the run, or the
        folder holds other files.
    """
    options = options or SeriesOptions()
    store = run.surfaces
    if store is None:
        raise InputError(f"{run.path}: has no surfaces yet; reconstruct the run first")
    state = store.state
    if not (state == WRITTEN).any():
        reasons = store.reasons
        first = f"; {run.names[min(reasons)]}: {reasons[min(reasons)]}" if reasons else ""
        raise InputError(f"{run.path}: none of its {len(store)} scans has a surface{first}")
    written = np.flatnonzero(state == WRITTEN)
    if not any(np.isfinite(store.read(int(k))).mean() >= MIN_COVERAGE for k in written):
        raise InputError(
            f"{run.path}: less than {100 * MIN_COVERAGE:.0f} % of the field was measured in each of its "
            f"{len(store)} scans; they missed the sample: scan it at other heights"
        )
    if options.fit_scans < MIN_SCANS:
        raise InputError(f"a rate is fitted to {options.fit_scans} scans; it needs {MIN_SCANS} or more")
    if options.line_um is not None:  # before the long work
        blank = np.zeros(store.shape, np.float32)
        profile(blank, blank, blank, options.line_um, pixel_um=store.pixel_um)
    drawn = load_regions(options.regions, store.shape, store.pixel_um)
    reference = parse_reference(options.reference, drawn, store.times_s)
    with run_locked(run.path), new_folder(run.path / RESULTS, overwrite=True, known=FILES) as place:
        steps = AnalysisSteps(store, place, progress or (lambda _: None))
        try:
            steps.align(reference)
            if options.charge is not None:
                steps.measure_charge(options.charge, stated_offset_s(run.scans[0], options.charge.record))
            scale = steps.measure_curvature(options.scale_um)
            used = steps.measure_growth(options.fit_scans)
            if options.films and (workers or cores()) > 1:
                steps.start_films()
            steps.measure_regions(drawn or steps.find_regions(), options.line_um, scale)
            notes = notes_of(
                store,
                steps.alignment,
                steps.tables,
                phases=steps.phases,
                relations=steps.relations,
                window=options.fit_scans,
                used=used,
            )
            notes += [] if steps.charge is None else steps.charge.notes
            settings = {
                "times": str(store.metadata.get("times_source", "")),
                "scale of the curvature (µm)": f"{scale:.3g}"
                + (" (automatic)" if options.scale_um == "auto" else ""),
                "window of the rate (scans)": used,
                "reference of the heights": options.reference,
                "regions": "given" if drawn else "found from the curvature",
            }
            steps.write(run.path.absolute().name, notes, settings, options)
        finally:
            steps.wait_for_films()
    return Series(
        path=run.path / RESULTS,
        times_s=steps.times_s,
        phases=steps.phases,
        pixel_um=store.pixel_um,
        scale_um=scale,
        alignment=steps.alignment,
        regions=steps.regions,
        tables=steps.tables,
        relations=steps.relations,
        profiles=steps.profiles,
        failed=steps.failed,
        notes=notes,
        charge=steps.charge,
    )
