"""Surfaces over time: aligned, their growth, curvature and regions measured, and all of it written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.runs.lock import run_locked
from lee.runs.reconstruct import reconstruct_run as reconstruct_run
from lee.runs.run import RESULTS, Run
from lee.runs.scheduler import cores
from lee.runs.surface_store import WRITTEN
from lee.series.alignment.scan_alignment import Alignment
from lee.series.map_store import StoredMaps, open_maps
from lee.series.options import Line, load_regions, reference_for_align
from lee.series.relation import Relation
from lee.series.report.notes import notes_of
from lee.series.report.series_report import FILES as REPORT_FILES
from lee.series.report.tables import TABLES
from lee.series.steps import LEAST_SCANS, MAPS_ZARR, Analysis
from lee.storage.atomic import new_folder
from lee.surfaces.profile import Profile, profile
from lee.surfaces.regions import Region

if TYPE_CHECKING:
    import pandas as pd

FILES = frozenset({MAPS_ZARR, *REPORT_FILES, *TABLES})


@dataclass(frozen=True, eq=False)
class Series:
    """What was found of a run; made by `analyse`.

    Attributes
    ----------
    path : Path
        The folder with the tables, figures, films and the report.
    times_s : (T,) float64, s
        From the first scan.
    phases : (T,) str
    pixel_um, scale_um : float, um
        Size of a pixel; scale of the curvature, of slopes and of areas.
    alignment : Alignment
    regions : list of Region
    tables : dict of str to DataFrame
        By file name, as the CSV files hold them.
    relations : dict of str to Relation
    profiles : dict of str to Profile
    failed : dict of str to str
        Scans without a surface, and why.
    notes : list of str
        What a reader of the numbers must know.
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

    def maps(self, name: str) -> StoredMaps:
        """Return maps of all scans, read one at a time; `lee.series.map_store.MAPS` names them."""
        return open_maps(self.path / MAPS_ZARR)[name]


def analyse(
    run: Run,
    *,
    scale_um: float | str = "auto",
    window: int = 5,
    reference: str = "none",
    regions: str | Path | Mapping[str, Any] | None = None,
    line_um: Line | None = None,
    films: bool = True,
    relief_film: bool = False,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Series:
    """Measure a run's surfaces over time and write it all to the run's folder ``series``.

    Parameters
    ----------
    run : Run
        Reconstructed by `reconstruct_run`.
    scale_um : float, um, or "auto"
        Of the curvature; found on the first surface by default, and then the same for all.
    window : int
        Scans a rate is fitted to.
    reference : str
        What heights are held against; see `lee.series.options.reference_for_align`.
    regions : path or mapping, optional
        What `read_regions` takes, or a JSON file with it; trenches and protrusions are found by
        themselves where none are given.
    line_um : ((y0, x0), (y1, x1)), um, optional
        Of the profiles; by default through the largest trench, along the field.
    films : bool
        Write films too.
    relief_film : bool
        Write a film of the surface seen obliquely; needs pyvista and takes about a second a scan.
    workers : int
        With more than 1, or 0 and more than one core, a process beside this one makes the films; see
        `reconstruct_run` for what that asks of a script.
    progress : callable, optional
        Called with what was done, as it is done.

    Returns
    -------
    Series

    Raises
    ------
    InputError
        If there is no surface, something asked for does not fit the run, or the folder holds foreign files.
    """
    store = run.surfaces
    if store is None:
        raise InputError(f"{run.path}: no surfaces there yet; reconstruct the run first")
    state = store.state
    if not (state == WRITTEN).any():
        reasons = store.reasons
        said = f"; {run.names[min(reasons)]}: {reasons[min(reasons)]}" if reasons else ""
        raise InputError(f"{run.path}: not one of its {len(store)} scans has a surface{said}")
    if window < LEAST_SCANS:
        raise InputError(f"the window is {window} scans; a rate needs {LEAST_SCANS} or more")
    if line_um is not None:  # before the long work
        blank = np.zeros(store.shape, np.float32)
        profile(blank, blank, blank, line_um, pixel_um=store.pixel_um)
    drawn = load_regions(regions, store.shape, store.pixel_um)
    held = reference_for_align(reference, drawn, store.times_s)
    with run_locked(run.path), new_folder(run.path / RESULTS, overwrite=True, known=FILES) as place:
        work = Analysis(store, place, progress or (lambda _: None))
        try:
            work.align(held)
            scale = work.curve(scale_um)
            used = work.grow(window)
            if films and (workers or cores()) > 1:
                work.film_aside()
            work.measure(drawn or work.find(), line_um, scale)
            notes = notes_of(
                store, work.alignment, work.tables, relations=work.relations, window=window, used=used
            )
            settings = {
                "times": str(store.metadata.get("times_source", "")),
                "scale of the curvature (um)": f"{scale:.3g}" + (" (found)" if scale_um == "auto" else ""),
                "window of the rate (scans)": used,
                "reference of the heights": reference,
                "regions": "drawn" if drawn else "found from the curvature",
            }
            work.write(run.path.absolute().name, notes, settings, films, relief_film)
        finally:
            work.end()
    return Series(
        path=run.path / RESULTS,
        times_s=work.times_s,
        phases=work.phases,
        pixel_um=store.pixel_um,
        scale_um=scale,
        alignment=work.alignment,
        regions=work.regions,
        tables=work.tables,
        relations=work.relations,
        profiles=work.profiles,
        failed=work.failed,
        notes=notes,
    )


__all__ = ["Series", "analyse", "reconstruct_run"]
