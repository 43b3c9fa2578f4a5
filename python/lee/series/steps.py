"""The steps of the analysis of a run, in order, and their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from lee.figures.film import write_film
from lee.runs.scheduler import cores, end_with_parent
from lee.runs.surface_store import WRITTEN, SurfaceStore
from lee.series.alignment.scan_alignment import Alignment, Reference, align, apply_alignment
from lee.series.charge.balance import ChargeBalance, charge_balance
from lee.series.charge.options import ChargeOptions
from lee.series.growth.line_fit import MIN_SCANS
from lee.series.growth.rates import rates
from lee.series.map_store import MAPS_ZARR, create_maps, open_maps, write_phases
from lee.series.options import SeriesOptions, line_through
from lee.series.region_curves import noise_area_px, rate_ratio, region_curves
from lee.series.relation import Relation, relate
from lee.series.report.results import SeriesResults
from lee.series.report.series_report import FILMS, RELIEF_FILM, write_series_report
from lee.series.report.tables import relation_tables, scan_table, write_tables
from lee.storage.description import json_values
from lee.surfaces.areal import areal_over_time
from lee.surfaces.curvature import curvature
from lee.surfaces.profile import Line, Profile, profile
from lee.surfaces.regions import Region, find_regions

if TYPE_CHECKING:
    import pandas as pd

_FILMED = {"height": "height_um", "delta": "delta_um", "rate": "rate_nm_per_s"}
CHARGE_JSON = "charge.json"
_SCANS_FOR_REGIONS = 9
_EARLY, _LATE = 0.2, 0.8  # of a phase: where relations and profiles are measured


class _SurfaceMaps(Sequence[NDArray[np.float32]]):
    """One map of every surface, read when indexed."""

    def __init__(self, store: SurfaceStore, name: str) -> None:
        self._store, self._name = store, name

    def __len__(self) -> int:
        return len(self._store)

    @overload
    def __getitem__(self, k: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, k: slice) -> list[NDArray[np.float32]]: ...
    def __getitem__(self, k: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        if isinstance(k, slice):
            return [self[j] for j in range(*k.indices(len(self)))]
        if not 0 <= k < len(self):
            raise IndexError(k)
        return self._store.read(k, self._name)


class AnalysisSteps:
    """The steps of an analysis; each reads the results of those before it, and reports when it is finished.

    Parameters
    ----------
    store : SurfaceStore
        The run's surfaces.
    place : Path
        Folder to write to.
    progress : callable
        Called with the name of each finished step or file.
    """

    alignment: Alignment

    def __init__(self, store: SurfaceStore, place: Path, progress: Callable[[str], None]) -> None:
        self.store, self.place, self._progress = store, place, progress
        recorded = store.times_s
        self.times_s = recorded - recorded[0]
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
        self.measured = [int(k) for k in np.flatnonzero(store.state == WRITTEN)]
        self.charge: ChargeBalance | None = None
        self.shared_sigmas_nm_per_s = np.full(len(self.times_s), np.nan)
        self.regions: list[Region] = []
        self.tables: dict[str, pd.DataFrame] = {}
        self.relations: dict[str, Relation] = {}
        self.profiles: dict[str, Profile] = {}
        self.line_um: Line | None = None
        self.scale_um = 0.0
        self._films: list[Future[str]] = []

    def align(self, reference: Reference) -> None:
        """Align all surfaces to the first."""
        heights, images = _SurfaceMaps(self.store, "height_um"), _SurfaceMaps(self.store, "refocused")
        self.alignment = align(heights, images, pixel_um=self.store.pixel_um, reference=reference)

        def write_aligned(k: int) -> None:
            self.maps["height_um"][k] = apply_alignment(self.alignment, heights[k], scan=k)
            sigma = self.store.read(k, "height_sigma_um")
            self.maps["height_sigma_um"][k] = apply_alignment(self.alignment, sigma, scan=k, heights=False)

        self._for_each_scan(write_aligned)
        self._progress("alignment")

    def measure_charge(self, options: ChargeOptions, guess_s: float | None) -> None:
        """Lay the record under the scans; its phases go before stated ones, unless one ends in a scan."""
        self.charge = charge_balance(
            options,
            self.times_s,
            self.maps["height_um"],
            self.maps["height_sigma_um"],
            pixel_um=self.store.pixel_um,
            guess_s=guess_s,
            given_growth=self.alignment.reference == "stated mean growth",
        )
        by_scan = zip(self.charge.phases, self.phases, self.charge.turning, strict=True)
        self.phases = [
            stated if stated and turning else found or stated for found, stated, turning in by_scan
        ]
        self.charge.table["phase"] = self.phases
        write_phases(self.place / MAPS_ZARR, self.phases)
        self.tables["charge.csv"] = self.charge.table
        text = json.dumps(json_values(self.charge.to_json()), indent=2, allow_nan=False)
        (self.place / CHARGE_JSON).write_text(text + "\n", encoding="utf-8")
        self._progress("charge")

    def measure_curvature(self, scale_um: float | Literal["auto"]) -> float:
        """Measure the curvature of all surfaces at one scale, which is returned."""
        pixel_um = self.store.pixel_um
        first = self.measured[0]
        scale = curvature(
            self.maps["height_um"][first],
            pixel_um=pixel_um,
            scale_um=scale_um,
            height_sigma_um=self.maps["height_sigma_um"][first],
        ).scale_um

        def write_curvature(k: int) -> None:
            height = self.maps["height_um"][k]
            self.maps["mean_curvature_per_um"][k] = curvature(
                height, pixel_um=pixel_um, scale_um=scale, threads=1
            ).mean_per_um

        self._for_each_scan(write_curvature)
        self.scale_um = scale
        self._progress("curvature")
        return scale

    def measure_growth(self, window: int) -> int:
        """Measure growth and rates; return the window that the number of scans allows."""
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
        if used >= MIN_SCANS:
            for rate in rates(heights, sigmas, self.times_s, window=used, phases=self.phases):
                self.maps["rate_nm_per_s"][rate.scan] = rate.rate_nm_per_s
                self.maps["rate_sigma_nm_per_s"][rate.scan] = rate.rate_sigma_nm_per_s
                self.shared_sigmas_nm_per_s[rate.scan] = rate.shared_sigma_nm_per_s
        self._progress("growth")
        return used

    def start_films(self) -> None:
        """Start to make the films in a process beside this one."""
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
        shared = (self.times_s.tolist(), self.phases, self.store.pixel_um)
        self._films = [pool.submit(_film, self.place, kind, name, *shared) for kind, name in _FILMED.items()]
        pool.shutdown(wait=False)

    def wait_for_films(self) -> None:
        """Wait until nothing writes to the folder any more; films not yet started are cancelled."""
        for film in self._films:
            film.cancel()
        wait(self._films)

    def find_regions(self) -> list[Region]:
        """Find trenches and protrusions from the curvature of several scans."""
        chosen = np.unique(np.linspace(0, len(self.measured) - 1, _SCANS_FOR_REGIONS).round().astype(int))
        maps = np.stack([self.maps["mean_curvature_per_um"][self.measured[k]] for k in chosen])
        return find_regions(maps, pixel_um=self.store.pixel_um)

    def measure_regions(self, regions: list[Region], line_um: Line | None, scale_um: float) -> None:
        """Measure regions, area, volume, the relation of rate to curvature, and profiles along the line."""
        pixel_um = self.store.pixel_um
        maps = self.maps
        self.regions = regions
        self.line_um = line_um or line_through(regions, self.store.shape, pixel_um)
        moments = self._moments()

        def relation_at(k: int) -> Relation | None:
            mean_curvature, rate = maps["mean_curvature_per_um"][k], maps["rate_nm_per_s"][k]
            return relate(mean_curvature, rate, pixel_um=pixel_um) if np.isfinite(rate).any() else None

        with ThreadPoolExecutor(cores()) as pool:
            relations = pool.map(relation_at, moments.values())
            alike = noise_area_px(maps["height_um"], self.times_s)
            curves = pool.submit(
                region_curves,
                regions,
                maps["height_um"],
                maps["rate_nm_per_s"],
                maps["rate_sigma_nm_per_s"],
                self.times_s,
                pixel_um=pixel_um,
                sigmas_um=maps["height_sigma_um"],
                shared_sigmas_nm_per_s=self.shared_sigmas_nm_per_s,
                noise_area=alike,
            )
            areal = pool.submit(
                areal_over_time,
                maps["height_um"],
                self.times_s,
                pixel_um=pixel_um,
                scale_um=scale_um,
                sigmas_um=maps["height_sigma_um"],
                noise_area_px=alike,
            )
            scans = pool.submit(scan_table, self.store, self.alignment, maps)
            for (name, k), relation in zip(moments.items(), relations, strict=True):
                self.profiles[name] = profile(
                    maps["height_um"][k],
                    maps["mean_curvature_per_um"][k],
                    maps["rate_nm_per_s"][k],
                    self.line_um,
                    pixel_um=pixel_um,
                    width_um=scale_um,
                )
                if relation is not None:
                    self.relations[name] = relation
            self.tables["scans.csv"], self.tables["areal.csv"] = scans.result(), areal.result()
            self.tables["regions.csv"] = curves.result()
        self.tables["scans.csv"]["phase"] = self.phases
        if {"trench", "protrusion"} <= {region.kind for region in regions}:
            self.tables["rate_ratio.csv"] = rate_ratio(self.tables["regions.csv"])
        self.tables |= relation_tables(self.relations, self.profiles)
        self._progress("regions, area and relation")

    def write(
        self, name: str, notes: list[str], settings: Mapping[str, object], options: SeriesOptions
    ) -> None:
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
            charge=self.charge,
            failed=self.failed,
            notes=notes,
            settings={**settings, **_reconstruction_settings(self.store.metadata)},
        )
        written = [film.result() for film in self._films]
        if options.relief_film:
            written.append(self._write_relief_film().name)
        write_series_report(
            self.place, results, films=options.films, films_there=written, progress=self._progress
        )

    def _write_relief_film(self) -> Path:
        from lee.figures.film_relief import write_relief_film

        film = write_relief_film(
            self.place / RELIEF_FILM,
            self.maps["height_um"],
            times_s=self.times_s.tolist(),
            pixel_um=self.store.pixel_um,
            phases=self.phases,
        )
        self._progress(film.name)
        return film

    def _for_each_scan(self, work: Callable[[int], None]) -> None:
        with ThreadPoolExecutor(cores()) as pool:
            for _ in pool.map(work, range(len(self.times_s))):
                pass

    def _moments(self) -> dict[str, int]:
        """Name an early and a late scan of each phase."""
        moments: dict[str, int] = {}
        for phase in dict.fromkeys(self.phases[k] for k in self.measured):
            scans = [k for k in self.measured if self.phases[k] == phase]
            for share in (_EARLY, _LATE):
                k = scans[round(share * (len(scans) - 1))]
                if k not in moments.values():
                    moments[f"{phase} {self.times_s[k]:g} s".strip()] = k
        return moments


def _film(place: Path, kind: str, name: str, times_s: list[float], phases: list[str], pixel_um: float) -> str:
    maps = open_maps(place / MAPS_ZARR)[name]
    film = place / FILMS[kind]
    write_film(film, maps, kind=kind, times_s=times_s, pixel_um=pixel_um, phases=phases)
    return film.name


def _reconstruction_settings(metadata: Mapping[str, object]) -> dict[str, object]:
    parameters = metadata.get("parameters")
    known = parameters if isinstance(parameters, Mapping) else {}
    return {f"reconstruction: {name}": value for name, value in known.items()}
