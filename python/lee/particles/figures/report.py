"""The report of a detection of particles: all figures, and one HTML page that shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from lee.figures.maps import time_text
from lee.figures.report import FigureFolder, Rows, Section, write_report
from lee.particles.evaluation import Evaluation, ParticleResults, evaluate
from lee.particles.figures.density_figures import (
    densities_figure,
    density_figure,
    density_relation_figure,
    with_interval,
)
from lee.particles.figures.overlays import overlay_figure
from lee.particles.figures.relief import Renderer, has_relief, relief_figure
from lee.particles.figures.size_figure import size_figure
from lee.particles.sizes import median_text
from lee.particles.table import FLAGS, has_flag
from lee.particles.times import of_time, time_title

FIGURES = (
    "particles.png", "particle_flags.png", "particles_3d.png", "density.png", "density_over_time.png",
    "sizes.png", "density_curvature.png",
)  # fmt: skip
REPORT = "report.html"
FILES = frozenset({*FIGURES, REPORT})

_INTERVALS = (
    "All intervals have {percent:.0f} % confidence. Those of densities and sizes include counting statistics "
    "only, not the errors of the calibration or of missed particles. Hatched areas were not measured or not "
    "searched and are excluded from all densities."
)


def write_particle_report(
    folder: str | Path,
    results: ParticleResults,
    *,
    evaluation: Evaluation | None = None,
    renderer: Renderer = "auto",
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write all figures (PNG), and ``report.html``, which holds them all in one file.

    Parameters
    ----------
    folder : str or Path
        Created if missing; existing files of the same names are replaced, each once it is complete. `FILES`
        are the names; figures without data are not drawn.
    results : ParticleResults
    evaluation : Evaluation, optional
        Of the results, as returned by `lee.particles.evaluation.evaluate`, if already known.
    renderer : {"auto", "pyvista", "matplotlib"}
        As in `lee.particles.figures.relief.relief_figure`.
    progress : callable, optional
        Called with the name of each finished figure.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        If something cannot be evaluated, drawn or written.
    """
    evaluation = evaluation or evaluate(results)
    figures = FigureFolder(Path(folder), progress)
    sections = [
        _summary(results, evaluation),
        *_detection(results),
        _images(results, evaluation, figures),
        *_relief(results, evaluation, figures, renderer),
        _density(results, evaluation, figures),
        _sizes(results, evaluation, figures),
        *_relation(evaluation, figures),
        *_flags(results),
        _meaning(results, evaluation),
    ]
    title = f"{results.name}: particles on the surface" if results.name else "Particles on the surface"
    return write_report(figures.path / REPORT, title, sections)


def _summary(results: ParticleResults, evaluation: Evaluation) -> Section:
    rows: Rows = []
    over_time = {name: value for name, value in results.summaries.items() if isinstance(value, Mapping)}
    for time, density in evaluation.densities.items():
        sizes, relation = evaluation.sizes[time], evaluation.relations.get(time)
        row: dict[str, object] = {} if np.isnan(time) else {"t": time_text(time)}
        row["particles"] = sizes.count
        row["density (1/µm²)"] = with_interval(density.mean_per_um2, density.mean_interval)
        row["median size" if sizes.is_calibrated else "median intensity"] = median_text(sizes)
        if relation is not None:
            row["trenches to peaks"] = with_interval(
                relation.trench_to_peak, relation.trench_to_peak_interval
            )
        for name, value in over_time.items():
            row[name] = of_time(value, time, name)
        rows.append(row)
    return Section("Summary", "\n\n".join([*_sentences(evaluation), *results.notes]), rows)


def _sentences(evaluation: Evaluation) -> list[str]:
    time = evaluation.fullest
    density, sizes = evaluation.densities[time], evaluation.sizes[time]
    relation = evaluation.relations.get(time)
    if not sizes.count:
        return ["No particles were found."]
    area = "true surface" if density.field.is_true_area else "projected area"
    found = "is 1 particle" if sizes.count == 1 else f"are {sizes.count} particles"
    when = f"At {time_title(time)} there" if time_title(time) else "There"
    sentences = [
        f"{when} {found}, "
        f"{with_interval(density.mean_per_um2, density.mean_interval)} per µm² of {area}. The median "
        f"{'diameter' if sizes.is_calibrated else 'intensity'} is {median_text(sizes)}."
    ]
    if relation is not None and np.isfinite(relation.trench_to_peak_interval[0]):
        ratio = with_interval(relation.trench_to_peak, relation.trench_to_peak_interval)
        low, high = relation.trench_to_peak_interval
        sentences.append(
            f"The density of particles in trenches is {ratio} times that on peaks."
            if low > 1 or high < 1
            else "The densities in trenches and on peaks do not differ significantly: their ratio is "
            f"{ratio}."
        )
    return sentences


def _meaning(results: ParticleResults, evaluation: Evaluation) -> Section:
    density = evaluation.densities[evaluation.fullest]
    area = f"{density.area_um2:.0f} µm²"
    if density.field.is_true_area:
        sentences = [
            f"Densities are per µm² of true surface, of which {area} were searched. Its slopes are measured "
            f"at a scale of {density.field.slope_scale_um:.3g} µm."
        ]
    else:
        sentences = [
            f"Without a surface, densities are per µm² of projected area, of which {area} were searched. On "
            "slopes this is less than the true area."
        ]
    outside = sum(one.left_out for one in evaluation.densities.values())
    if outside:
        sentences.append(
            f"{outside} particles are outside the area that was measured and searched; no density includes "
            "them."
        )
    if len(results.particles) and not evaluation.sizes[evaluation.fullest].is_calibrated:
        sentences.append("Without a calibration no sizes are known: intensities are given instead.")
    if evaluation.relations:
        sentences.append(
            "Trenches to peaks: the density on the third of the area with the largest mean curvature, "
            "divided by that on the third with the smallest; 1 if curvature makes no difference."
        )
    intervals = _INTERVALS.format(percent=100 * density.confidence)
    return Section("Definitions and uncertainty", "\n\n".join([*sentences, intervals]))


def _detection(results: ParticleResults) -> list[Section]:
    rows: Rows = [
        {"quantity": name, "value": value}
        for name, value in results.summaries.items()
        if not isinstance(value, Mapping)
    ]
    return [Section("Detection", "", rows)] if rows else []


def _images(results: ParticleResults, evaluation: Evaluation, figures: FigureFolder) -> Section:
    times = list(evaluation.particles)
    meaning = (
        "the diameter of a circle is the particle's, magnified"
        if evaluation.sizes[evaluation.fullest].is_calibrated
        else "the area of a circle is the particle's intensity"
    )
    figure = overlay_figure(results.particles, results.image, pixel_um=results.pixel_um, times_s=times)
    pictures = {f"Particles on the image; {meaning}": figures.save("particles.png", figure)}
    if (results.particles["flag"].astype(str).str.strip() != "").any():
        figure = overlay_figure(
            results.particles, results.image, pixel_um=results.pixel_um, times_s=times, colour="flag"
        )
        pictures["Flags of the particles, by colour; one that carries several counts for each"] = (
            figures.save("particle_flags.png", figure)
        )
    return Section("Positions", "", pictures=pictures)


def _relief(
    results: ParticleResults, evaluation: Evaluation, figures: FigureFolder, renderer: Renderer
) -> list[Section]:
    time = evaluation.fullest
    surface = of_time(results.surface, time, "surface")
    if surface is None or not has_relief(surface):
        return []
    figure = relief_figure(surface, evaluation.particles[time], title=time_title(time), renderer=renderer)
    pictures = {"The surface in an oblique view": figures.save("particles_3d.png", figure)}
    return [Section("On the surface", "", pictures=pictures)]


def _density(results: ParticleResults, evaluation: Evaluation, figures: FigureFolder) -> Section:
    time = evaluation.fullest
    density = evaluation.densities[time]
    scale_um = results.curvature_scale_um
    at = f", at a scale of {scale_um:.3g} µm" if scale_um is not None else ""
    beside = f", and the mean curvature{at}: trenches positive (red), peaks negative (blue)"
    caption = "Density, its standard deviation" + (beside if results.curvature_per_um is not None else "")
    figure = density_figure(
        density, of_time(results.curvature_per_um, time, "curvature"), title=time_title(time)
    )
    pictures = {caption: figures.save("density.png", figure)}
    if len(evaluation.densities) > 1:
        pictures["Density over time"] = figures.save(
            "density_over_time.png", densities_figure(evaluation.densities)
        )
    text = (
        f"Number of particles under a Gaussian kernel, σ = {density.scale_um:.3g} µm, divided by the area "
        f"under it. Choice of the scale: {density.scale_rule}."
    )
    return Section("Density", text, pictures=pictures)


def _sizes(results: ParticleResults, evaluation: Evaluation, figures: FigureFolder) -> Section:
    figure = size_figure(results.particles, times_s=list(evaluation.particles))
    name = "Sizes" if evaluation.sizes[evaluation.fullest].is_calibrated else "Intensities"
    return Section(name, "", pictures={f"{name} at each time": figures.save("sizes.png", figure)})


def _relation(evaluation: Evaluation, figures: FigureFolder) -> list[Section]:
    relations = evaluation.relations
    if not relations:
        return []
    text = (
        "Left: particles counted in bins of curvature, divided by the area of each bin; all bins have the "
        "same area. Right: the smoothed density map against curvature, pixel by pixel, with the same "
        "statistics as for growth rates; smoothing and counting noise pull its correlations toward 0. All "
        "intervals come from resampling whole blocks of the field; those on the left also from the Poisson "
        "distribution, whichever is wider."
    )
    notes = dict.fromkeys(one.note for one in relations.values() if one.note)
    notes |= dict.fromkeys(one.relation.note for one in relations.values() if one.relation.note)
    figure = density_relation_figure(relations)
    pictures = {"Density of particles against mean curvature": figures.save("density_curvature.png", figure)}
    return [
        Section(
            "Relation to curvature",
            "\n\n".join([text, *(f"{note[0].upper()}{note[1:]}." for note in notes)]),
            pictures=pictures,
        )
    ]


def _flags(results: ParticleResults) -> list[Section]:
    counts = {flag: int(has_flag(results.particles, flag).sum()) for flag in FLAGS}
    rows: Rows = [
        {"flag": flag, "particles": count, "meaning": FLAGS[flag]} for flag, count in counts.items() if count
    ]
    return [Section("Flags", "", rows)] if rows else []
