"""Figures of particle density: maps beside curvature, maps over time, density against curvature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.figures.maps import PAGE_IN, ColourScale, colour_scale, draw_map, evenly, map_style, page
from lee.particles.density.curvature_relation import DensityRelation
from lee.particles.density.density_map import Density
from lee.particles.times import time_title
from lee.series.report.relation_figures import draw_relation

_DENSITY, _SIGMA = "viridis", "magma"
_TRENCH_SHARE = 1 / 3  # as in the ratio of trenches to peaks
_LINE = "#0072B2"
_MANY = 1000  # dots whose borders would run together


def density_figure(
    density: Density, curvature_per_um: ArrayLike | None = None, *, title: str = "", trenches: bool = True
) -> Figure:
    """Draw the density of particles, its standard deviation and, beside them, the curvature.

    Parameters
    ----------
    density : Density
    curvature_per_um : (H, W) float32, 1/µm, optional
        Mean curvature on the same grid, a trench positive.
    title : str
        Above the density, such as the time.
    trenches : bool
        Outline the third of the field with the largest curvature in all maps.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide; pixels not measured are hatched.

    Raises
    ------
    InputError
        If the maps differ in shape.
    """
    pixel_um, shape = density.field.pixel_um, density.per_um2.shape
    curvature = None if curvature_per_um is None else np.asarray(curvature_per_um, np.float32)
    if curvature is not None and curvature.shape != shape:
        raise InputError(f"curvature is {curvature.shape}, density {shape}: give two maps of one shape")
    area = "true surface" if density.field.is_true_area else "projected area"
    mean = with_interval(density.mean_per_um2, density.mean_interval)
    summary = f"{density.count} particles, mean {mean} per µm²" if density.count else "no particles found"
    panels: list[tuple[str, NDArray[np.float32], ColourScale, str]] = [
        (
            ", ".join(part for part in (title, summary) if part) + f"\nkernel σ = {density.scale_um:.3g} µm",
            density.per_um2,
            _scale(density.per_um2, _DENSITY, density.mean_interval[1]),
            f"particles per µm² of {area}",
        )
    ]
    if curvature is not None:
        panels.append(
            (
                "mean curvature",
                curvature,
                colour_scale("curvature", curvature[None]),
                map_style("curvature").label,
            )
        )
    panels.append(
        (
            "standard deviation of the density, from counting alone",
            density.sigma_per_um2,
            _scale(density.sigma_per_um2, _SIGMA),
            "σ of the density (1/µm²)",
        )
    )
    if curvature is not None:
        panels.append(("mean curvature and particles", *panels[1][1:]))
    wide = 0.78 * PAGE_IN / 2
    tall = min(wide * shape[0] / shape[1], 6.5) + 0.75
    figure = page(tall * (len(panels) // 2))
    places = figure.subplots(len(panels) // 2, 2, squeeze=False, sharex=True, sharey=True)
    level = np.nan
    if trenches and curvature is not None and np.isfinite(curvature).any():
        level = float(np.nanquantile(curvature, 1 - _TRENCH_SHARE))
    for axes, (heading, values, scale, label) in zip(places.flat, panels, strict=True):
        drawn = draw_map(axes, values, pixel_um, scale)
        figure.colorbar(drawn, ax=axes, label=label, extend=scale.extend, shrink=0.9)
        if curvature is not None and values is not curvature:
            _outline(axes, curvature, level, pixel_um)
        axes.set_title(heading, fontsize=10)
        axes.set(xlim=(0, shape[1] * pixel_um), ylim=(shape[0] * pixel_um, 0))
        axes.tick_params(labelbottom=True, labelleft=True)
        axes.set_xlabel("x (µm)")
        axes.set_ylabel("y, down the image (µm)")
    if curvature is not None:
        rows, columns = np.nonzero(density.counts.per_pixel)
        x, y = (columns + 0.5) * pixel_um, (rows + 0.5) * pixel_um
        places[-1, -1].scatter(
            x, y, s=float(np.clip(3000 / max(len(x), 1), 1.5, 9)), color="black", edgecolors="white",
            linewidths=0.5 if len(x) <= _MANY else 0, zorder=3,
        )  # fmt: skip
        if np.isfinite(level):
            figure.supxlabel(
                f"outlined: the third of the field with the largest curvature, above {level:.2g}/µm",
                fontsize=9.5,
            )
    return figure


def densities_figure(densities: Mapping[float, Density], *, count: int = 6) -> Figure:
    """Draw the densities of several times, all with the same colours.

    Parameters
    ----------
    densities : mapping of time in s to Density
    count : int
        Number of times to draw, evenly chosen, including the first and the last.

    Raises
    ------
    InputError
        If there is none.
    """
    if not densities:
        raise InputError("no density to draw")
    times = list(densities)
    chosen = [times[k] for k in evenly(len(times), count)]
    maps = [densities[time].per_um2 for time in chosen]
    scale = _scale(np.stack(maps), _DENSITY, densities[chosen[0]].mean_interval[1])
    columns = min(len(chosen), 3)
    rows = -(-len(chosen) // columns)
    shape = maps[0].shape
    wide = 0.84 * PAGE_IN / columns
    figure = page(rows * (min(wide * shape[0] / shape[1], 7.5) + 0.35) + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place >= len(chosen):
            axes.set_axis_off()
            continue
        one = densities[chosen[place]]
        drawn = draw_map(axes, one.per_um2, one.field.pixel_um, scale, shown_px=400)
        found = f"{one.mean_per_um2:.2g}/µm²" if one.count else "no particles found"
        axes.set_title(": ".join(part for part in (time_title(chosen[place]), found) if part), fontsize=10)
        if place % columns == 0:
            axes.set_ylabel("y, down the image (µm)")
        if place + columns >= len(chosen):
            axes.set_xlabel("x (µm)")
            axes.tick_params(labelbottom=True)
    area = "true surface" if densities[chosen[0]].field.is_true_area else "projected area"
    figure.colorbar(
        drawn, ax=panels, label=f"particles per µm² of {area}", extend=scale.extend, fraction=0.03, pad=0.01,
        aspect=30,
    )  # fmt: skip
    return figure


def density_relation_figure(relations: Mapping[float, DensityRelation], *, count: int = 3) -> Figure:
    """Draw the density of particles in bins of curvature, and beside it the density map against curvature.

    Parameters
    ----------
    relations : mapping of time in s to DensityRelation
    count : int
        Number of times to draw, evenly chosen, including the first and the last.

    Raises
    ------
    InputError
        If there is none.
    """
    if not relations:
        raise InputError("no relation to draw")
    times = list(relations)
    chosen = [times[k] for k in evenly(len(times), count)]
    figure = page(5.4 * len(chosen))
    places = figure.subplots(len(chosen), 2, squeeze=False)
    for (counted, mapped), time in zip(places, chosen, strict=True):
        _draw_counts(counted, time_title(time), relations[time])
        if relations[time].count.sum():
            draw_relation(mapped, "smoothed density map, pixel by pixel", relations[time].relation)
        else:
            mapped.text(0.5, 0.5, "no particles found", ha="center", va="center", transform=mapped.transAxes)
            mapped.set_axis_off()
    return figure


def _draw_counts(axes: Axes, name: str, relation: DensityRelation) -> None:
    known = np.isfinite(relation.per_um2)
    middle, density = relation.centres_per_um[known], relation.per_um2[known]
    across = [middle - relation.edges_per_um[:-1][known], relation.edges_per_um[1:][known] - middle]
    up = [density - relation.low[known], relation.high[known] - density]
    axes.errorbar(
        middle, density, yerr=np.maximum(up, 0), xerr=np.maximum(across, 0), fmt="o", color=_LINE, capsize=3,
        elinewidth=1.5, markersize=5, zorder=3,
        label=f"particles over area, {100 * relation.confidence:.0f} % intervals",
    )  # fmt: skip
    axes.plot(middle, density, color=_LINE, linewidth=1, alpha=0.6, zorder=2)
    total = float(relation.area_um2.sum())
    if total > 0:
        mean = float(relation.count.sum()) / total
        axes.axhline(mean, color="black", linestyle="--", linewidth=1, label="mean of the field")
    axes.axvline(0, color="grey", linewidth=0.8, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("mean curvature (1/µm):  peaks −, trenches +")
    axes.set_ylabel("particle density (1/µm²)")
    axes.grid(color="#dddddd", linewidth=0.6)
    heading = ["no particles found"]
    if relation.count.sum():
        ratio = with_interval(relation.trench_to_peak, relation.trench_to_peak_interval)
        chance = with_interval(relation.chance, relation.chance_interval)
        heading = [
            f"density ratio of trenches to peaks, a third of the area each: {ratio}",
            f"probability of larger curvature at a particle than elsewhere: {chance}",
        ]
    axes.set_title("\n".join([name, *heading] if name else heading), fontsize=9.5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """Format a number and its interval."""
    if np.isnan(value):
        return "unknown"
    low, high = interval
    return (
        f"{value:.3g} ({low:.3g} to {high:.3g})" if not np.isnan(low) else f"{value:.3g} (interval unknown)"
    )


def _outline(axes: Axes, curvature: NDArray[np.float32], level: float, pixel_um: float) -> None:
    if not np.isfinite(level) or min(curvature.shape) < 2:
        return
    y, x = ((np.arange(n) + 0.5) * pixel_um for n in curvature.shape)
    for colour, width in (("black", 1.6), ("white", 0.8)):
        axes.contour(x, y, curvature, levels=[level], colors=colour, linewidths=width, zorder=2)


def _scale(values: NDArray[np.float32], colours: str, otherwise: float = 1.0) -> ColourScale:
    """Return a scale from 0 to the largest value, or to another if all are 0."""
    known = values[np.isfinite(values)]
    high = float(known.max()) if known.size else 0.0
    return ColourScale(colours, 0.0, high if high > 0 else otherwise if otherwise > 0 else 1.0, "neither")
