"""The figures of a detection of particles, and the page that tells it from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lee.figures.maps import time_text
from lee.figures.report import Section, write_report
from lee.particles.evaluation import Evaluation, ParticleResults, evaluate
from lee.particles.figures.density_figures import (
    densities_figure,
    density_figure,
    density_relation_figure,
    size_figure,
    with_interval,
)
from lee.particles.figures.overlays import overlay_figure
from lee.particles.figures.relief import Renderer, has_relief, relief_figure
from lee.particles.sizes import median_text
from lee.particles.table import FLAGS, has_flag
from lee.particles.times import of_time, time_title
from lee.storage.atomic import new_file

FIGURES = (
    "particles.png", "particle_flags.png", "particles_3d.png", "density.png", "density_over_time.png",
    "sizes.png", "density_curvature.png",
)  # fmt: skip
REPORT = "report.html"
FILES = frozenset({*FIGURES, REPORT})

Rows = list[dict[str, object]]
_INTERVALS = (
    "Intervals are of {confidence:.0%}. Those of densities and sizes tell what chance in counting does, not "
    "what the calibration or a missed particle may add. Hatched: not measured or not seen; such places take "
    "no part in any density."
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
        Made if missing; files of the same names are replaced, each once it is whole. The names are `FILES`;
        what is not known is not drawn.
    results : ParticleResults
    evaluation : Evaluation, optional
        What `lee.particles.evaluation.evaluate` made of the results, where it is at hand.
    renderer : {"auto", "pyvista", "matplotlib"}
        As in `lee.particles.figures.relief.relief_figure`.
    progress : callable, optional
        Called with the name of each file that is done.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        If something cannot be evaluated, drawn or written.
    """
    writer = _Writer(Path(folder), results, evaluation or evaluate(results), renderer, progress)
    sections = [
        writer.outcome(),
        *writer.detection(),
        writer.images(),
        *writer.relief(),
        writer.density(),
        writer.sizes(),
        *writer.relation(),
        *writer.flags(),
        writer.meaning(),
    ]
    return write_report(writer.folder / REPORT, _title(results.name), sections)


def _title(name: str) -> str:
    return f"{name}: particles on the surface" if name else "Particles on the surface"


class _Writer:
    """Sections of one report, figures written as they are made."""

    def __init__(
        self,
        folder: Path,
        results: ParticleResults,
        found: Evaluation,
        renderer: Renderer,
        progress: Callable[[str], None] | None,
    ) -> None:
        self.folder, self._results, self._found = folder, results, found
        self._renderer, self._progress = renderer, progress

    def outcome(self) -> Section:
        r, found = self._results, self._found
        rows: Rows = []
        over_time = {what: told for what, told in r.summaries.items() if isinstance(told, Mapping)}
        for time, density in found.densities.items():
            size, relation = found.sizes[time], found.relations.get(time)
            row: dict[str, object] = {} if np.isnan(time) else {"t": time_text(time)}
            row["particles"] = size.count
            row["density (1/µm²)"] = with_interval(density.mean_per_um2, density.mean_interval)
            row["median size" if size.is_calibrated else "median intensity"] = median_text(size)
            if relation is not None:
                row["trenches to peaks"] = with_interval(
                    relation.trench_to_peak, relation.trench_to_peak_interval
                )
            for what, told in over_time.items():
                row[what] = of_time(told, time, what)
            rows.append(row)
        return Section("What it came to", "\n\n".join([*self._said(), *self._results.notes]), rows)

    def _said(self) -> list[str]:
        found, time = self._found, self._found.fullest
        density, size, relation = found.densities[time], found.sizes[time], found.relations.get(time)
        if not size.count:
            return ["No particles were found."]
        area = "true surface" if density.field.is_true_area else "the area seen from above"
        said = [
            f"{f'At {time_title(time)} there' if time_title(time) else 'There'} are {size.count} particles, "
            f"{with_interval(density.mean_per_um2, density.mean_interval)} per µm² of {area}. Their median "
            f"{'diameter' if size.is_calibrated else 'intensity'} is {median_text(size)}."
        ]
        if relation is not None and np.isfinite(relation.trench_to_peak_interval[0]):
            ratio = with_interval(relation.trench_to_peak, relation.trench_to_peak_interval)
            low, high = relation.trench_to_peak_interval
            told = (
                f"Per area there are {ratio} times as many in trenches as on peaks."
                if low > 1 or high < 1
                else f"Trenches and peaks do not differ beyond chance: their densities are as {ratio} to 1."
            )
            said.append(told)
        return said

    def meaning(self) -> Section:
        """Tell what the numbers rest on."""
        found = self._found
        density = found.densities[found.fullest]
        area = f"{density.area_um2:.0f} µm²"
        if density.field.is_true_area:
            said = [
                f"Densities are per µm² of true surface, of which {area} was looked at; its slopes are taken "
                f"at a scale of {density.field.slope_scale_um:.3g} µm."
            ]
        else:
            said = [
                f"Without a surface densities are per µm² seen from above, of which {area} was looked at. On "
                "slopes that is less than the true area."
            ]
        left_out = sum(one.left_out for one in found.densities.values())
        if left_out:
            said.append(
                f"{left_out} particles lie where nothing was measured or seen, and are in no density."
            )
        if len(self._results.particles) and not found.sizes[found.fullest].is_calibrated:
            said.append("There is no calibration, so no sizes are known: intensities are given instead.")
        if found.relations:
            said.append(
                "Trenches to peaks: density on the third of the area with the largest mean curvature over "
                "that on the third with the smallest; 1 where curvature makes no difference."
            )
        return Section(
            "What the numbers rest on", "\n\n".join([*said, _INTERVALS.format(confidence=density.confidence)])
        )

    def detection(self) -> list[Section]:
        rows: Rows = [
            {"what": what, "value": told}
            for what, told in self._results.summaries.items()
            if not isinstance(told, Mapping)
        ]
        return [Section("How they were found", "", rows)] if rows else []

    def images(self) -> Section:
        r = self._results
        times = list(self._found.particles)
        calibrated = self._found.sizes[self._found.fullest].is_calibrated
        meant = (
            "the diameter of a circle is the particle's, magnified"
            if calibrated
            else "the area of a circle is the particle's intensity"
        )
        pictures = {
            f"Particles on the image; {meant}": self._figure(
                "particles.png", overlay_figure(r.particles, r.image, pixel_um=r.pixel_um, times_s=times)
            )
        }
        if (r.particles["flag"].astype(str).str.strip() != "").any():
            pictures["What there is to know about them, by colour"] = self._figure(
                "particle_flags.png",
                overlay_figure(r.particles, r.image, pixel_um=r.pixel_um, times_s=times, colour="flag"),
            )
        return Section("Where they are", "", pictures=pictures)

    def relief(self) -> list[Section]:
        r, time = self._results, self._found.fullest
        surface = of_time(r.surface, time, "surface")
        if surface is None or not has_relief(surface):
            return []
        figure = relief_figure(
            surface, self._found.particles[time], title=time_title(time), renderer=self._renderer
        )
        pictures = {"The surface seen obliquely": self._figure("particles_3d.png", figure)}
        return [Section("On the surface", "", pictures=pictures)]

    def density(self) -> Section:
        r, found = self._results, self._found
        time = found.fullest
        one = found.densities[time]
        at = f", at a scale of {r.curvature_scale_um:.3g} µm" if r.curvature_scale_um is not None else ""
        beside = f", and the mean curvature{at}: trenches positive (red), peaks negative (blue)"
        caption = "Density, its standard deviation" + (beside if r.curvature_per_um is not None else "")
        bent = of_time(r.curvature_per_um, time, "curvature")
        figure = density_figure(one, bent, title=time_title(time))
        pictures = {caption: self._figure("density.png", figure)}
        if len(found.densities) > 1:
            pictures["Density over time"] = self._figure(
                "density_over_time.png", densities_figure(found.densities)
            )
        text = (
            f"Particles under a Gaussian kernel, σ = {one.scale_um:.3g} µm, over the area under it. The "
            f"scale: {one.scale_rule}."
        )
        return Section("Density", text, pictures=pictures)

    def sizes(self) -> Section:
        r = self._results
        figure = size_figure(r.particles, times_s=list(self._found.particles))
        name = "Sizes" if self._found.sizes[self._found.fullest].is_calibrated else "Intensities"
        return Section(name, "", pictures={f"{name} at each time": self._figure("sizes.png", figure)})

    def relation(self) -> list[Section]:
        relations = self._found.relations
        if not relations:
            return []
        text = (
            "Left: particles counted over the area in bins of curvature, each of the same area. Right: the "
            "smoothed map against curvature, pixel by pixel, by the statistics that growth rates are given; "
            "smoothing and the chance of counting pull its correlations toward 0. All intervals come from "
            "resampling whole blocks of the field, those on the left also from Poisson's law, whichever is "
            "wider."
        )
        weak = dict.fromkeys(one.note for one in relations.values() if one.note)
        weak |= dict.fromkeys(one.relation.note for one in relations.values() if one.relation.note)
        figure = density_relation_figure(relations)
        pictures = {
            "Density of particles against mean curvature": self._figure("density_curvature.png", figure)
        }
        return [
            Section(
                "Does curvature draw particles?",
                "\n\n".join([text, *(f"{one[0].upper()}{one[1:]}." for one in weak)]),
                pictures=pictures,
            )
        ]

    def flags(self) -> list[Section]:
        particles: pd.DataFrame = self._results.particles
        counted = {flag: int(has_flag(particles, flag).sum()) for flag in FLAGS}
        rows: Rows = [
            {"flag": flag, "particles": number, "meaning": FLAGS[flag]}
            for flag, number in counted.items()
            if number
        ]
        return [Section("What there is to know about single particles", "", rows)] if rows else []

    def _figure(self, name: str, figure: Figure) -> Path:
        place = self.folder / name
        with new_file(place) as partial:
            # Packed less, in half the time.
            figure.savefig(partial, format="png", pil_kwargs={"compress_level": 3})
        if self._progress is not None:
            self._progress(name)
        return place
