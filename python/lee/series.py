"""Surfaces over time: aligned, their growth, curvature and regions measured, and all of it written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lee.alignment import Alignment, align, apply
from lee.areal import areal_over_time
from lee.atomic import new_folder
from lee.curvature import curvature
from lee.errors import InputError
from lee.growth import rates
from lee.profile import Profile, profile
from lee.region_curves import rate_ratio, region_curves
from lee.regions import Region, find_regions
from lee.relation import Relation, relate
from lee.run import RESULTS, Run
from lee.run_lock import run_locked
from lee.run_reconstruct import reconstruct_run as reconstruct_run
from lee.scheduler import cores
from lee.series_notes import notes_of
from lee.series_options import Line, line_through, load_regions, reference_for_align
from lee.series_report import FILES as REPORT_FILES
from lee.series_report import write_series_report
from lee.series_results import SeriesResults
from lee.series_store import StoredMaps, create_maps, open_maps
from lee.series_tables import TABLES, relation_tables, scan_table, write_tables
from lee.store import WRITTEN, SurfaceStore

if TYPE_CHECKING:
    import pandas as pd

MAPS_ZARR = "maps.zarr"
FILES = frozenset({MAPS_ZARR, *REPORT_FILES, *TABLES})
_LEAST_SCANS = 3  # for a rate
_SCANS_FOR_REGIONS = 9
_EARLY, _LATE = 0.2, 0.8  # of a phase: where relations and profiles are taken


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
        """Return maps of all scans, read one at a time; `lee.series_store.MAPS` names them."""
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
        What heights are held against; see `lee.series_options.reference_for_align`.
    regions : path or mapping, optional
        What `lee.regions.read_regions` takes, or a JSON file with it; trenches and protrusions are found by
        themselves where none are given.
    line_um : ((y0, x0), (y1, x1)), um, optional
        Of the profiles; by default through the largest trench, along the field.
    films : bool
        Write films too.
    workers : int
        Processes that draw figures and films; as in `reconstruct_run`.
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
    drawn = load_regions(regions, store.shape, store.pixel_um)
    held = reference_for_align(reference, drawn, store.times_s)
    with run_locked(run.path), new_folder(run.path / RESULTS, overwrite=True, known=FILES) as place:
        work = _Analysis(store, place, progress or (lambda _: None))
        work.align(held)
        scale = work.curve(scale_um)
        used = work.grow(window)
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
        work.write(run.path.absolute().name, notes, settings, films)
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


class _Read:
    """One map of every surface, read when asked for."""

    def __init__(self, store: SurfaceStore, name: str) -> None:
        self._store, self._name = store, name

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, k: int) -> NDArray[np.float32]:
        if not 0 <= k < len(self):
            raise IndexError(k)
        return self._store.read(k, self._name)


class _Analysis:
    """The steps of an analysis, one after another, and what they found."""

    alignment: Alignment

    def __init__(self, store: SurfaceStore, place: Path, said: Callable[[str], None]) -> None:
        self.store, self.place, self.said = store, place, said
        self.state = store.state
        given = store.times_s
        self.times_s = given - given[0]
        self.phases = store.phases
        self.failed = {store.scans[k]: reason for k, reason in store.reasons.items()}
        self.maps = create_maps(
            place / MAPS_ZARR,
            times_s=self.times_s,
            scans=store.scans,
            phases=self.phases,
            shape=store.shape,
            pixel_um=store.pixel_um,
            settings=store.metadata,
        )
        self.measured = [int(k) for k in np.flatnonzero(self.state == WRITTEN)]
        self.regions: list[Region] = []
        self.tables: dict[str, pd.DataFrame] = {}
        self.relations: dict[str, Relation] = {}
        self.profiles: dict[str, Profile] = {}
        self.line_um: Line | None = None
        self.scale_um = 0.0

    def align(self, reference: Any) -> None:
        """Lay all surfaces over the first."""
        heights: Any = _Read(self.store, "height_um")
        images: Any = _Read(self.store, "refocused")
        self.alignment = align(heights, images, pixel_um=self.store.pixel_um, reference=reference)

        def laid(k: int) -> None:
            self.maps["height_um"][k] = apply(self.alignment, heights[k], scan=k)
            sigma = self.store.read(k, "height_sigma_um")
            self.maps["height_sigma_um"][k] = apply(self.alignment, sigma, scan=k, heights=False)

        self._each(laid)
        self.said("alignment")

    def curve(self, scale_um: float | str) -> float:
        """Measure the curvature of all surfaces at one scale, which is returned."""
        pixel_um = self.store.pixel_um
        first = self.measured[0]
        found = curvature(
            self.maps["height_um"][first],
            pixel_um=pixel_um,
            scale_um=scale_um,  # type: ignore[arg-type]
            height_sigma_um=self.maps["height_sigma_um"][first],
        )

        def bent(k: int) -> None:
            height = self.maps["height_um"][k]
            self.maps["mean_curvature_per_um"][k] = curvature(
                height, pixel_um=pixel_um, scale_um=found.scale_um, threads=1
            ).mean_per_um

        self._each(bent)
        self.scale_um = found.scale_um
        self.said("curvature")
        return found.scale_um

    def grow(self, window: int) -> int:
        """Measure growth and rates; return the window that the number of scans allowed."""
        heights, sigmas = self.maps["height_um"], self.maps["height_sigma_um"]
        start = heights[self.measured[0]]
        before: NDArray[np.float32] | None = None
        for k in range(len(heights)):
            now = heights[k]
            self.maps["delta_um"][k] = now - start
            if before is not None:
                step_s = np.float32(self.times_s[k] - self.times_s[k - 1])
                self.maps["adjacent_rate_nm_per_s"][k] = np.float32(1e3) * (now - before) / step_s
            before = now
        used = min(window, len(heights))
        if used >= _LEAST_SCANS:
            for rate in rates(heights, sigmas, self.times_s, window=used, phases=self.phases):
                self.maps["rate_nm_per_s"][rate.scan] = rate.rate_nm_per_s
                self.maps["rate_sigma_nm_per_s"][rate.scan] = rate.rate_sigma_nm_per_s
        self.said("growth")
        return used

    def find(self) -> list[Region]:
        """Find trenches and protrusions."""
        chosen = np.unique(np.linspace(0, len(self.measured) - 1, _SCANS_FOR_REGIONS).round().astype(int))
        bent = np.stack([self.maps["mean_curvature_per_um"][self.measured[k]] for k in chosen])
        return find_regions(bent, pixel_um=self.store.pixel_um)

    def measure(self, regions: list[Region], line_um: Line | None, scale_um: float) -> None:
        """Follow regions, area and volume; relate rate and curvature; read the line."""
        pixel_um = self.store.pixel_um
        maps = self.maps
        self.regions = regions
        self.line_um = line_um or line_through(regions, self.store.shape, pixel_um)
        for name, k in self._moments().items():
            bent, rate = maps["mean_curvature_per_um"][k], maps["rate_nm_per_s"][k]
            self.profiles[name] = profile(
                maps["height_um"][k], bent, rate, self.line_um, pixel_um=pixel_um, width_um=scale_um
            )
            if np.isfinite(rate).any():
                self.relations[name] = relate(bent, rate, pixel_um=pixel_um)
        self.said("relation")
        self.tables["regions.csv"] = region_curves(
            regions,
            maps["height_um"],
            maps["rate_nm_per_s"],
            maps["rate_sigma_nm_per_s"],
            self.times_s,
            pixel_um=pixel_um,
            sigmas_um=maps["height_sigma_um"],
        )
        kinds = {region.kind for region in regions}
        if {"trench", "protrusion"} <= kinds:
            self.tables["rate_ratio.csv"] = rate_ratio(self.tables["regions.csv"])
        self.said("regions")
        self.tables["areal.csv"] = areal_over_time(
            maps["height_um"], self.times_s, pixel_um=pixel_um, scale_um=scale_um
        )
        self.tables["scans.csv"] = scan_table(self.store, self.alignment, maps)
        self.tables |= relation_tables(self.relations, self.profiles)
        self.said("area and volume")

    def write(self, name: str, notes: list[str], settings: dict[str, Any], films: bool) -> None:
        """Write tables, figures, films and the report."""
        write_tables(self.place, self.tables)
        first = self.measured[0]
        results = SeriesResults(
            name=name,
            times_s=self.times_s.tolist(),
            phases=self.phases,
            pixel_um=self.store.pixel_um,
            heights=self.maps["height_um"],
            delta=self.maps["delta_um"],
            rate=self.maps["rate_nm_per_s"],
            rate_sigma=self.maps["rate_sigma_nm_per_s"],
            curvature=self.maps["mean_curvature_per_um"][first],
            scale_um=self.scale_um,
            regions=self.regions,
            region_table=self.tables["regions.csv"],
            areal_table=self.tables["areal.csv"],
            relations=self.relations,
            profiles=self.profiles,
            line_um=self.line_um,
            alignment=self.alignment,
            failed=self.failed,
            notes=notes,
            settings={**settings, **_flat(self.store.metadata)},
        )
        write_series_report(self.place, results, films=films, progress=self.said)

    def _each(self, work: Callable[[int], None]) -> None:
        with ThreadPoolExecutor(cores()) as pool:
            for _ in pool.map(work, range(len(self.times_s))):
                pass

    def _moments(self) -> dict[str, int]:
        """Name early and late scans of each phase."""
        found: dict[str, int] = {}
        for phase in dict.fromkeys(self.phases[k] for k in self.measured):
            scans = [k for k in self.measured if self.phases[k] == phase]
            for share in (_EARLY, _LATE):
                k = scans[round(share * (len(scans) - 1))]
                if k not in found.values():
                    found[f"{phase} {self.times_s[k]:g} s".strip()] = k
        return found


def _flat(metadata: Mapping[str, Any]) -> dict[str, Any]:
    parameters = metadata.get("parameters") or {}
    return {f"reconstruction: {name}": value for name, value in parameters.items()}


__all__ = ["Series", "analyse", "reconstruct_run"]
