"""The figures and films of a run, and the page that tells it from top to bottom."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lee.figures.curves import area_and_volume, areal_curves, curves_of_regions, drift_figure
from lee.figures.film import write_film
from lee.figures.maps import Maps, time_text
from lee.figures.maps_over_time import in_order, map_figure, maps_over_time
from lee.figures.report import Section, write_report
from lee.series.report.relation_figures import profile_figure, relation_figure
from lee.series.report.results import SeriesResults
from lee.series.report.summary import areal_rows, ratio_of_kinds, said_of_ratio, summary
from lee.storage.atomic import new_file

Pictures = dict[str, Figure | str | Path]

FILMS = {"height": "surface.mp4", "delta": "growth.mp4", "rate": "rate.mp4"}
RELIEF_FILM = "surface_3d.mp4"
FIGURES = (
    "height.png", "delta.png", "rate.png", "rate_sigma.png", "regions.png", "region_curves.png",
    "profile.png", "relation.png", "area_volume.png", "areal.png", "drift.png",
)  # fmt: skip
REPORT = "report.html"
FILES = frozenset({*FILMS.values(), RELIEF_FILM, *FIGURES, REPORT})


def write_series_report(
    folder: str | Path,
    results: SeriesResults,
    *,
    films: bool = True,
    films_there: Collection[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write all figures (PNG), films (MP4), and ``report.html``, which holds them all in one file.

    Parameters
    ----------
    folder : str or Path
        Made if missing; files of the same names are replaced, each once it is whole. The names are `FILES`;
        what is not known is not drawn.
    results : SeriesResults
    films : bool
    films_there : names of `FILMS`, and `RELIEF_FILM`
        Which of them lie in the folder already, and are not made again.
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
    writer = _Writer(Path(folder), results, films, films_there, progress)
    sections = [
        Section("Summary", *summary(results)),
        *(writer.maps(kind) for kind in FILMS),
        *writer.regions(),
        *writer.relation(),
        *writer.areal(),
        *writer.alignment(),
        Section("Settings", "", [{"setting": k, "value": v} for k, v in results.settings.items()]),
    ]
    return write_report(writer.folder / REPORT, f"{results.name}: a surface over time", sections)


_TOLD = {
    "height": ("Surface", "Height of the surface, all scans laid over the first."),
    "delta": ("Growth", "Height gained since the first scan; negative where more was lost than gained."),
    "rate": (
        "Rate",
        "Growth rate at the time of each scan, from a robust fit to the scans around it. Plating is positive "
        "(red), stripping negative (blue).",
    ),
}


class _Writer:
    def __init__(
        self,
        folder: Path,
        results: SeriesResults,
        films: bool,
        films_there: Collection[str],
        progress: Callable[[str], None] | None,
    ) -> None:
        self.folder, self._results, self._films, self._progress = folder, results, films, progress
        self._films_there = films_there

    def maps(self, kind: str) -> Section:
        r = self._results
        heading, text = _TOLD[kind]
        maps: Maps = {"height": r.heights, "delta": r.delta, "rate": r.rate}[kind]
        pictures: Pictures = {}
        if self._films:
            film = self.folder / FILMS[kind]
            if film.name not in self._films_there:
                write_film(film, maps, kind=kind, times_s=r.times_s, pixel_um=r.pixel_um, phases=r.phases)
            self._done(film.name)
            pictures[f"{heading} over time, one frame a scan"] = film
        if kind == "height" and RELIEF_FILM in self._films_there:
            pictures["The same seen obliquely"] = self.folder / RELIEF_FILM
        figure = maps_over_time(maps, kind=kind, times_s=r.times_s, pixel_um=r.pixel_um, phases=r.phases)
        pictures[f"{heading} at some of the scans; hatched: not measured"] = self._figure(
            f"{kind}.png", figure
        )
        if kind == "rate" and r.rate_sigma is not None:
            shown = _most_varied(maps)
            values = np.asarray(r.rate[shown], np.float32)
            usual = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
            panels = {
                f"rate beyond its median of {usual:.3g} nm/s": ("rate", values - np.float32(usual)),
                "standard deviation of the rate": ("rate_sigma", r.rate_sigma[shown]),
            }
            caption = (
                f"Where the rate differed most over the field, t = {time_text(r.times_s[shown])}: what grew "
                "(or dissolved) faster and slower than the rest, and how well that is known"
            )
            pictures[caption] = self._figure("rate_sigma.png", map_figure(panels, pixel_um=r.pixel_um))
        return Section(heading, text, pictures=pictures)

    def regions(self) -> list[Section]:
        r = self._results
        regions = in_order(r.regions)
        pictures: Pictures = {}
        text = ""
        if r.curvature is not None:
            scale = f", at a scale of {r.scale_um:.3g} µm" if r.scale_um is not None else ""
            panels = {
                "height": ("height", r.heights[_first_measured(r.heights)]),
                f"mean curvature{scale}": ("curvature", r.curvature),
            }
            figure = map_figure(panels, pixel_um=r.pixel_um, regions=regions, line_um=r.line_um)
            caption = "The first scan: trenches have positive curvature (red), peaks negative (blue)"
            if regions:
                caption += "; outlined: the regions followed"
            if r.line_um is not None:
                caption += "; arrow: the line of the profile"
            pictures[caption] = self._figure("regions.png", figure)
        if r.region_table is not None and len(r.region_table):
            ratio = ratio_of_kinds(r.region_table)
            names = [region.name for region in regions] or None
            figure = curves_of_regions(r.region_table, phases=r.phases, ratio=ratio, names=names)
            caption = "Height and rate of the regions; bands and bars: two standard errors to each side"
            pictures[caption] = self._figure("region_curves.png", figure)
            text = said_of_ratio(ratio, r.phases)
        if r.profiles:
            figure = profile_figure(r.profiles)
            pictures["Height, mean curvature and rate along the line"] = self._figure("profile.png", figure)
        return (
            [Section("Trenches, protrusions and other regions", text, pictures=pictures)] if pictures else []
        )

    def relation(self) -> list[Section]:
        relations = self._results.relations
        if not relations:
            return []
        text = (
            "Mean curvature against rate, pixel by pixel. Neighbouring pixels are not independent: intervals "
            "and bands come from resampling whole blocks of the field. A rank correlation (Spearman) of +1 "
            "would mean that the rate always rises with curvature, 0 that they are unrelated."
        )
        weak = [f"{name}: {relation.note}" for name, relation in relations.items() if relation.note]
        text = "\n\n".join([text, *weak])
        pictures: Pictures = {
            "Density of pixels and the median rate at each curvature": self._figure(
                "relation.png", relation_figure(relations)
            )
        }
        return [Section("Does curvature drive the rate?", text, pictures=pictures)]

    def areal(self) -> list[Section]:
        table, phases = self._results.areal_table, self._results.phases
        if table is None or not len(table):
            return []
        rows, text = areal_rows(table)
        pictures: Pictures = {
            "True area, volume over the datum and their ratio": self._figure(
                "area_volume.png", area_and_volume(table, phases=phases)
            ),
            "Areal parameters (ISO 25178-2) of the levelled surface": self._figure(
                "areal.png", areal_curves(table, phases=phases)
            ),
        }
        return [Section("Area, volume and roughness", text, rows, pictures)]

    def alignment(self) -> list[Section]:
        r = self._results
        if r.alignment is None:
            return []
        a = r.alignment
        figure = drift_figure(
            np.asarray(a.shift_px) * r.pixel_um,
            r.times_s,
            axial_um=a.axial_um,
            axial_sigma_um=a.axial_sigma_um,
            phases=r.phases,
        )
        caption = "How far each scan shows the surface displaced against the first; taken out of all maps"
        text = f"Reference for the height: {a.reference}.\n\n{a.implies}"
        return [Section("Alignment", text, pictures={caption: self._figure("drift.png", figure)})]

    def _figure(self, name: str, figure: Figure) -> Path:
        place = self.folder / name
        with new_file(place) as partial:
            # Packed less, in half the time.
            figure.savefig(partial, format="png", pil_kwargs={"compress_level": 3})
        self._done(name)
        return place

    def _done(self, name: str) -> None:
        if self._progress is not None:
            self._progress(name)


def _most_varied(maps: Maps) -> int:
    """Find the scan whose values differ most over the field."""
    spreads = []
    for k in range(len(maps)):
        values = np.asarray(maps[k], np.float32)[::4, ::4]
        known = values[np.isfinite(values)]
        spreads.append(float(np.subtract(*np.percentile(known, (95, 5)))) if known.size else -1.0)
    return int(np.argmax(spreads))


def _first_measured(maps: Maps) -> int:
    return next((k for k in range(len(maps)) if np.isfinite(maps[k]).any()), 0)
