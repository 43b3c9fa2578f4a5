"""The report of a series: all figures and films, and one HTML page that shows them."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lee.figures.curves import area_and_volume, areal_curves, curves_of_regions, drift_figure
from lee.figures.film import write_film
from lee.figures.maps import Maps, time_text
from lee.figures.maps_over_time import in_order, map_figure, maps_over_time
from lee.figures.report import FigureFolder, Section, write_report
from lee.series.charge.report import charge_figure, charge_rows, charge_sentences
from lee.series.report.methods import methods
from lee.series.report.relation_figures import profile_figure, relation_figure
from lee.series.report.results import SeriesResults
from lee.series.report.summary import areal_section, ratio_of_kinds, ratio_sentences, summary

Pictures = dict[str, Figure | str | Path]

FILMS = {"height": "surface.mp4", "delta": "growth.mp4", "rate": "rate.mp4"}
RELIEF_FILM = "surface_3d.mp4"
FIGURES = (
    "height.png", "delta.png", "rate.png", "rate_sigma.png", "regions.png", "region_curves.png",
    "profile.png", "relation.png", "area_volume.png", "areal.png", "drift.png", "charge.png",
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
        Created if missing; existing files of the same names are replaced, each once it is complete. `FILES`
        are the names; figures without data are not drawn.
    results : SeriesResults
    films : bool
    films_there : names of `FILMS`, and `RELIEF_FILM`
        Films that are already in the folder, and are not written again.
    progress : callable, optional
        Called with the name of each finished file.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        If something cannot be drawn or written.
    """
    figures = FigureFolder(Path(folder), progress)
    sections = [
        Section("Summary", *summary(results)),
        *(_maps(results, figures, kind, films, films_there) for kind in FILMS),
        *_regions(results, figures),
        *_relation(results, figures),
        *_areal(results, figures),
        *_charge(results, figures),
        *_alignment(results, figures),
        Section("Methods, as a paragraph for a paper", methods(results)),
        Section("Settings", "", [{"setting": k, "value": v} for k, v in results.settings.items()]),
    ]
    return write_report(figures.path / REPORT, f"{results.name}: a surface over time", sections)


_MAPS = {
    "height": ("Surface", "Height of the surface, with all scans aligned to the first."),
    "delta": ("Growth", "Height gained since the first scan; negative where more was stripped than plated."),
    "rate": (
        "Rate",
        "Growth rate at the time of each scan, from a robust fit to the scans around it. Plating is positive "
        "(red), stripping negative (blue).",
    ),
}


def _maps(
    results: SeriesResults, figures: FigureFolder, kind: str, films: bool, films_there: Collection[str]
) -> Section:
    times, phases, pixel_um = results.times_s, results.phases, results.pixel_um
    heading, text = _MAPS[kind]
    maps: Maps = {"height": results.heights, "delta": results.delta, "rate": results.rate}[kind]
    pictures: Pictures = {}
    if films:
        film = figures.path / FILMS[kind]
        if film.name not in films_there:
            write_film(film, maps, kind=kind, times_s=times, pixel_um=pixel_um, phases=phases)
        figures.finished(film.name)
        pictures[f"{heading} over time, one frame per scan"] = film
    if kind == "height" and RELIEF_FILM in films_there:
        pictures["The same in an oblique view"] = figures.path / RELIEF_FILM
    figure = maps_over_time(maps, kind=kind, times_s=times, pixel_um=pixel_um, phases=phases)
    pictures[f"{heading} at some of the scans; hatched: not measured"] = figures.save(f"{kind}.png", figure)
    if kind == "rate" and results.rate_sigma is not None:
        shown = _most_varied(maps)
        values = np.asarray(results.rate[shown], np.float32)
        median = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
        panels = {
            f"rate minus its median of {median:.3g} nm/s": ("rate", values - np.float32(median)),
            "standard deviation of the rate": ("rate_sigma", results.rate_sigma[shown]),
        }
        caption = (
            f"The scan whose rate varied most over the field, t = {time_text(times[shown])}: where growth "
            "(or dissolution) was faster or slower than the median, and the standard deviation"
        )
        pictures[caption] = figures.save("rate_sigma.png", map_figure(panels, pixel_um=pixel_um))
    return Section(heading, text, pictures=pictures)


def _regions(results: SeriesResults, figures: FigureFolder) -> list[Section]:
    regions = in_order(results.regions)
    pictures: Pictures = {}
    text = ""
    if results.curvature is not None:
        scale = f", at a scale of {results.scale_um:.3g} µm" if results.scale_um is not None else ""
        panels = {
            "height": ("height", results.heights[_first_measured(results.heights)]),
            f"mean curvature{scale}": ("curvature", results.curvature),
        }
        figure = map_figure(panels, pixel_um=results.pixel_um, regions=regions, line_um=results.line_um)
        caption = "The first scan: trenches have positive curvature (red), peaks negative (blue)"
        if regions:
            caption += "; outlined: the regions of the curves below"
        if results.line_um is not None:
            caption += "; arrow: the line of the profile"
        pictures[caption] = figures.save("regions.png", figure)
    if results.region_table is not None and len(results.region_table):
        ratio = ratio_of_kinds(results.region_table)
        names = [region.name for region in regions] or None
        figure = curves_of_regions(results.region_table, phases=results.phases, ratio=ratio, names=names)
        caption = "Height and rate of the regions; bands and bars: two standard errors on each side"
        pictures[caption] = figures.save("region_curves.png", figure)
        text = ratio_sentences(ratio, results.phases)
    if results.profiles:
        figure = profile_figure(results.profiles)
        pictures["Height, mean curvature and rate along the line"] = figures.save("profile.png", figure)
    return [Section("Trenches, protrusions and other regions", text, pictures=pictures)] if pictures else []


def _relation(results: SeriesResults, figures: FigureFolder) -> list[Section]:
    relations = results.relations
    if not relations:
        return []
    text = (
        "Mean curvature against rate, pixel by pixel. Neighbouring pixels are not independent: intervals "
        "and bands come from resampling whole blocks of the field. A rank correlation (Spearman) of +1 "
        "means that the rate always rises with curvature, 0 that they are unrelated."
    )
    notes = [f"{name}: {relation.note}" for name, relation in relations.items() if relation.note]
    figure = relation_figure(relations)
    pictures: Pictures = {
        "Density of pixels, and median rate at each curvature": figures.save("relation.png", figure)
    }
    return [Section("Relation of growth rate to curvature", "\n\n".join([text, *notes]), pictures=pictures)]


def _areal(results: SeriesResults, figures: FigureFolder) -> list[Section]:
    table, phases = results.areal_table, results.phases
    if table is None or not len(table):
        return []
    text, rows = areal_section(table)
    pictures: Pictures = {
        "True area, volume above the datum and their ratio": figures.save(
            "area_volume.png", area_and_volume(table, phases=phases)
        ),
        "Areal parameters (ISO 25178-2) of the levelled surface": figures.save(
            "areal.png", areal_curves(table, phases=phases)
        ),
    }
    return [Section("Area, volume and roughness", text, rows, pictures)]


def _charge(results: SeriesResults, figures: FigureFolder) -> list[Section]:
    balance = results.charge
    if balance is None:
        return []
    text = "\n\n".join(f"{one[0].upper()}{one[1:]}." for one in charge_sentences(balance))
    caption = "Current and potential under the scans; measured thickness against that by the charge"
    pictures: Pictures = {caption: figures.save("charge.png", charge_figure(balance))}
    return [Section("Charge and deposit", text, charge_rows(balance), pictures)]


def _alignment(results: SeriesResults, figures: FigureFolder) -> list[Section]:
    alignment = results.alignment
    if alignment is None:
        return []
    figure = drift_figure(
        np.asarray(alignment.shift_px) * results.pixel_um,
        results.times_s,
        axial_um=alignment.axial_um,
        axial_sigma_um=alignment.axial_sigma_um,
        phases=results.phases,
    )
    caption = "Displacement of each scan against the first; corrected in all maps"
    text = f"Reference of the heights: {alignment.reference}.\n\n{alignment.implies}"
    return [Section("Alignment", text, pictures={caption: figures.save("drift.png", figure)})]


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
