"""The steps by which a run's surfaces are measured over time, and what each found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lee.figures.film import write_film
from lee.runs.scheduler import cores, end_with_parent
from lee.runs.surface_store import WRITTEN, SurfaceStore
from lee.series.alignment.scan_alignment import Alignment, align, apply
from lee.series.growth.rates import rates
from lee.series.map_store import create_maps, open_maps
from lee.series.options import Line, line_through
from lee.series.region_curves import rate_ratio, region_curves
from lee.series.relation import Relation, relate
from lee.series.report.results import SeriesResults
from lee.series.report.series_report import FILMS, RELIEF_FILM, write_series_report
from lee.series.report.tables import relation_tables, scan_table, write_tables
from lee.surfaces.areal import areal_over_time
from lee.surfaces.curvature import curvature
from lee.surfaces.profile import Profile, profile
from lee.surfaces.regions import Region, find_regions

if TYPE_CHECKING:
    import pandas as pd

MAPS_ZARR = "maps.zarr"
LEAST_SCANS = 3  # for a rate
_FILMED = {"height": "height_um", "delta": "delta_um", "rate": "rate_nm_per_s"}
_SCANS_FOR_REGIONS = 9
_EARLY, _LATE = 0.2, 0.8  # of a phase: where relations and profiles are taken


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


class Analysis:
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
        self._films: list[Future[str]] = []

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
        if used >= LEAST_SCANS:
            for rate in rates(heights, sigmas, self.times_s, window=used, phases=self.phases):
                self.maps["rate_nm_per_s"][rate.scan] = rate.rate_nm_per_s
                self.maps["rate_sigma_nm_per_s"][rate.scan] = rate.rate_sigma_nm_per_s
        self.said("growth")
        return used

    def film_aside(self) -> None:
        """Begin to make the films in a process beside this one."""
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
        told = (self.times_s.tolist(), self.phases, self.store.pixel_um)
        self._films = [pool.submit(_film, self.place, kind, name, *told) for kind, name in _FILMED.items()]
        pool.shutdown(wait=False)

    def end(self) -> None:
        """Wait for what still writes into the folder."""
        for film in self._films:
            film.cancel()
        wait(self._films)

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
        moments = self._moments()

        def related(k: int) -> Relation | None:
            bent, rate = maps["mean_curvature_per_um"][k], maps["rate_nm_per_s"][k]
            return relate(bent, rate, pixel_um=pixel_um) if np.isfinite(rate).any() else None

        with ThreadPoolExecutor(cores()) as pool:
            relations = pool.map(related, moments.values())
            curves = pool.submit(
                region_curves,
                regions,
                maps["height_um"],
                maps["rate_nm_per_s"],
                maps["rate_sigma_nm_per_s"],
                self.times_s,
                pixel_um=pixel_um,
                sigmas_um=maps["height_sigma_um"],
            )
            areal = pool.submit(
                areal_over_time, maps["height_um"], self.times_s, pixel_um=pixel_um, scale_um=scale_um
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
        if {"trench", "protrusion"} <= {region.kind for region in regions}:
            self.tables["rate_ratio.csv"] = rate_ratio(self.tables["regions.csv"])
        self.tables |= relation_tables(self.relations, self.profiles)
        self.said("regions, area and relation")

    def write(
        self, name: str, notes: list[str], settings: dict[str, Any], films: bool, relief_film: bool
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
            failed=self.failed,
            notes=notes,
            settings={**settings, **_flat(self.store.metadata)},
        )
        made = [film.result() for film in self._films]
        if relief_film:
            made.append(self._relief_film().name)
        write_series_report(self.place, results, films=films, films_there=made, progress=self.said)

    def _relief_film(self) -> Path:
        from lee.figures.film_relief import write_relief_film

        film = write_relief_film(
            self.place / RELIEF_FILM,
            self.maps["height_um"],
            times_s=self.times_s.tolist(),
            pixel_um=self.store.pixel_um,
            phases=self.phases,
        )
        self.said(film.name)
        return film

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


def _film(place: Path, kind: str, name: str, times_s: list[float], phases: list[str], pixel_um: float) -> str:
    maps = open_maps(place / MAPS_ZARR)[name]
    film = place / FILMS[kind]
    write_film(film, maps, kind=kind, times_s=times_s, pixel_um=pixel_um, phases=phases)
    return film.name


def _flat(metadata: Mapping[str, Any]) -> dict[str, Any]:
    parameters = metadata.get("parameters") or {}
    return {f"reconstruction: {name}": value for name, value in parameters.items()}
