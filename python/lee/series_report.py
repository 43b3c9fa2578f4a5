"""What a run over time came to: its figures, films and the page that is read from top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.atomic import new_file
from lee.film import write_film
from lee.report import Section, write_report
from lee.series_curves import (
    area_and_volume,
    areal_curves,
    curves_of_regions,
    drift_figure,
    profile_figure,
    relation_figure,
)
from lee.series_figures import map_figure, maps_over_time
from lee.series_maps import Maps

if TYPE_CHECKING:
    import pandas as pd

    from lee.alignment import Alignment
    from lee.profile import Profile
    from lee.regions import Region
    from lee.relation import Relation

FILMS = {"height": "surface.mp4", "delta": "growth.mp4", "rate": "rate.mp4"}
REPORT = "report.html"
_MOST_ROWS = 12


@dataclass
class SeriesResults:
    """What is known of a run once it is analysed; what was not done is left out.

    Attributes
    ----------
    name : str
        Of the run.
    times_s : (T,) float, s
    phases : (T,) str
        ``plating``, ``stripping``, ``rest`` or empty.
    pixel_um : float, um
    heights, delta : (T, H, W) float32, um
        Aligned heights and growth since the first scan; anything indexed by scan, read one map at a time.
    rate, rate_sigma : (T, H, W) float32, nm/s
        From the fit over a window of scans.
    curvature : (H, W) float32, 1/um, optional
        Mean curvature of the first scan, what the regions are shown on.
    scale_um : float, um, optional
        Of the curvature.
    regions : sequence of Region
    region_table : DataFrame, optional
        As `lee.series_curves.curves_of_regions` takes it.
    areal_table : DataFrame, optional
        One row a scan: ``time_s``, areal parameters, ``area_um2``, ``volume_um3`` and
        ``area_per_volume_per_um``.
    relations : mapping of str to Relation
    profiles : mapping of str to Profile
    line_um : (y0, x0, y1, x1), um, optional
        Where the profiles were taken.
    alignment : Alignment, optional
    failed : mapping of str to str
        Scans that have no surface, and why.
    notes : sequence of str
        Warnings a reader must know, one sentence each.
    settings : mapping of str to object
        What the analysis was asked for.
    """

    name: str
    times_s: Sequence[float]
    phases: Sequence[str]
    pixel_um: float
    heights: Maps
    delta: Maps
    rate: Maps
    rate_sigma: Maps | None = None
    curvature: NDArray[np.float32] | None = None
    scale_um: float | None = None
    regions: "Sequence[Region]" = ()
    region_table: "pd.DataFrame | None" = None
    areal_table: "pd.DataFrame | None" = None
    relations: "Mapping[str, Relation]" = field(default_factory=dict)
    profiles: "Mapping[str, Profile]" = field(default_factory=dict)
    line_um: tuple[float, float, float, float] | None = None
    alignment: "Alignment | None" = None
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)


def write_series_report(
    folder: str | Path,
    results: SeriesResults,
    *,
    films: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write all figures (PNG), films (MP4) and ``report.html``, which holds them all in one file.

    Parameters
    ----------
    folder : str or Path
        Made if missing; files of the same names are replaced, one by one, each once it is whole.
    results : SeriesResults
    films : bool
    progress : callable, optional
        Called with the name of each file that is done.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        If something cannot be drawn or written.
    """
    folder = Path(folder)
    writer = _Writer(folder, results, films, progress)
    sections = [
        _summary(results),
        _alignment(writer, results),
        *_maps(writer, results),
        *_regions(writer, results),
        *_areal(writer, results),
        *_relation(writer, results),
        _how(results),
    ]
    return write_report(folder / REPORT, f"{results.name}: a surface over time", sections)


@dataclass
class _Writer:
    folder: Path
    results: SeriesResults
    films: bool
    progress: Callable[[str], None] | None

    def figure(self, name: str, figure: Figure) -> Path:
        place = self.folder / name
        with new_file(place) as partial:
            figure.savefig(partial, format="png")
        self._done(name)
        return place

    def film(self, kind: str, maps: Maps) -> Path:
        r = self.results
        write_film(
            self.folder / FILMS[kind],
            maps,
            kind=kind,
            times_s=r.times_s,
            pixel_um=r.pixel_um,
            phases=r.phases,
        )
        self._done(FILMS[kind])
        return self.folder / FILMS[kind]

    def _done(self, name: str) -> None:
        if self.progress is not None:
            self.progress(name)


def _summary(r: SeriesResults) -> Section:
    count = len(r.times_s)
    span = float(r.times_s[-1] - r.times_s[0]) if count else 0.0
    table: list[dict[str, object]] = [
        {"what": "scans", "value": f"{count}, {len(r.failed)} without a surface"},
        {"what": "time", "value": f"{span:.4g} s from first to last scan"},
    ]
    for phase in dict.fromkeys(p for p in r.phases if p):
        scans = [k for k in range(count) if r.phases[k] == phase]
        table.append({"what": phase, "value": f"{len(scans)} scans; {_rates(r, scans)}"})
    if not any(r.phases):
        table.append({"what": "rate", "value": _rates(r, list(range(count)))})
    if count:
        first = np.asarray(r.heights[0])
        rows, columns = first.shape
        table.append(
            {
                "what": "field",
                "value": f"{columns * r.pixel_um:.4g} × {rows * r.pixel_um:.4g} µm, "
                f"{columns} × {rows} pixels of {r.pixel_um:.4g} µm",
            }
        )
    said = [f"Not measured: {scan}: {reason}." for scan, reason in r.failed.items()]
    return Section("Summary", "\n\n".join([*r.notes, *said]), table)


def _rates(r: SeriesResults, scans: list[int]) -> str:
    medians = [float(np.median(known)) for k in scans if (known := _known(r.rate[k])).size]
    if not medians:
        return "no rate measured"
    return f"median rate from {min(medians):.3g} to {max(medians):.3g} nm/s"


def _known(values: Any) -> NDArray[np.float32]:
    array = np.asarray(values, np.float32)
    return array[np.isfinite(array)]


def _alignment(writer: _Writer, r: SeriesResults) -> Section:
    if r.alignment is None:
        return Section("Alignment", "The scans were not aligned.")
    a = r.alignment
    shift = np.asarray(a.shift_px) * r.pixel_um
    figure = drift_figure(
        shift, r.times_s, axial_um=a.axial_um, axial_sigma_um=a.axial_sigma_um, reference=a.reference
    )
    text = f"Heights were held to: {a.reference}. {a.implies}"
    return Section(
        "Alignment",
        text,
        pictures={"Shift of every scan against the first": writer.figure("drift.png", figure)},
    )


def _maps(writer: _Writer, r: SeriesResults) -> list[Section]:
    told = {
        "height": ("Surface", "Aligned height of the surface.", r.heights),
        "delta": ("Growth", "Height gained since the first scan; negative where material was lost.", r.delta),
        "rate": (
            "Rate",
            "Growth rate from a robust fit over neighbouring scans; plating is positive (red), stripping "
            "negative (blue).",
            r.rate,
        ),
    }
    sections = []
    for kind, (heading, text, maps) in told.items():
        pictures: dict[str, Figure | str | Path] = {}
        if writer.films and len(maps):
            pictures[f"{heading} over time, one frame a scan"] = writer.film(kind, maps)
        figure = maps_over_time(maps, kind=kind, times_s=r.times_s, pixel_um=r.pixel_um, phases=r.phases)
        pictures[f"{heading} at some of the scans; hatched: not measured"] = writer.figure(
            f"{kind}.png", figure
        )
        sections.append(Section(heading, text, pictures=pictures))
    return sections


def _regions(writer: _Writer, r: SeriesResults) -> list[Section]:
    pictures: dict[str, Figure | str | Path] = {}
    if r.curvature is not None:
        scale = f", at a scale of {r.scale_um:.3g} µm" if r.scale_um is not None else ""
        panels = {
            "height of the first scan": ("height", r.heights[0]),
            f"mean curvature{scale}": ("curvature", r.curvature),
        }
        figure = map_figure(panels, pixel_um=r.pixel_um, regions=r.regions, line_um=r.line_um)
        pictures["Where the regions lie; trenches are positive (red), peaks negative (blue)"] = writer.figure(
            "regions.png", figure
        )
    if r.region_table is not None and len(r.region_table):
        figure = curves_of_regions(r.region_table, phases=r.phases)
        pictures["Height and rate of the regions; bands: two standard errors of the mean"] = writer.figure(
            "region_curves.png", figure
        )
    if r.profiles:
        pictures["Height, mean curvature and rate along the line"] = writer.figure(
            "profile.png", profile_figure(r.profiles)
        )
    return [Section("Regions", "", pictures=pictures)] if pictures else []


def _areal(writer: _Writer, r: SeriesResults) -> list[Section]:
    table = r.areal_table
    if table is None or not len(table):
        return []
    pictures: dict[str, Figure | str | Path] = {}
    text = ""
    if {"area_um2", "volume_um3", "area_per_volume_per_um"} <= set(table.columns):
        pictures["True area, volume over the datum and their ratio"] = writer.figure(
            "area_volume.png", area_and_volume(table, phases=r.phases)
        )
        text = (
            "A compact deposit fills its trenches: its area falls and settles while its volume grows, and area "
            "over volume falls. A ratio that rises again while plating is an early sign of dendrites."
        )
    pictures["Areal parameters (ISO 25178-2) of the levelled surface"] = writer.figure(
        "areal.png", areal_curves(table, phases=r.phases)
    )
    return [Section("Area, volume and roughness", text, _thinned(table), pictures)]


def _relation(writer: _Writer, r: SeriesResults) -> list[Section]:
    if not r.relations:
        return []
    text = (
        "Every pixel's mean curvature against its rate. Neighbouring pixels are not independent: intervals "
        "and bands come from resampling blocks larger than the correlation length."
    )
    figure = writer.figure("relation.png", relation_figure(r.relations))
    return [
        Section(
            "Does curvature drive the rate?",
            text,
            pictures={"Mean curvature against rate": figure},
        )
    ]


def _how(r: SeriesResults) -> Section:
    text = (
        "Lengths are in µm, times in s from the first scan, rates in nm/s. Height grows away from the "
        "substrate, toward the objective. A trench has positive mean curvature, a peak negative. Hatched pixels were "
        "not measured and take no part in any number."
    )
    return Section("How to read this", text, [{"setting": k, "value": v} for k, v in r.settings.items()])


def _thinned(table: "pd.DataFrame") -> list[dict[str, object]]:
    kept = np.unique(np.linspace(0, len(table) - 1, min(len(table), _MOST_ROWS)).round().astype(int))
    return [{str(name): value for name, value in row.items()} for row in table.iloc[kept].to_dict("records")]
