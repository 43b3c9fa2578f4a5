"""Figures of particles: density beside curvature, sizes over time, density against curvature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.figures.maps import PAGE_IN, Scale, colour_scale, draw_map, evenly, look, page
from lee.particles.density.curvature_relation import DensityRelation
from lee.particles.density.density_map import Density
from lee.particles.sizes import Sizes, is_calibrated, median_text, sizes_of
from lee.particles.times import by_time, time_title
from lee.series.report.relation_figures import draw_relation

_DENSITY, _SIGMA = "viridis", "magma"
_TRENCH_SHARE = 1 / 3  # as in the ratio of trench to peak
_MOST_SHADES = 0.85
_LINE = "#0072B2"
_MANY = 1000  # dots whose borders would run together


def density_figure(
    density: Density, curvature_per_um: ArrayLike | None = None, *, title: str = "", trenches: bool = True
) -> Figure:
    """Draw the density of particles, its standard deviation and, beside them, the curvature.

    Parameters
    ----------
    density : Density
    curvature_per_um : (H, W) float32, 1/um, optional
        Mean curvature on the same grid, a trench positive.
    title : str
        Over the density, such as the time.
    trenches : bool
        Outline the third of the field with the largest curvature in all maps.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide; what was not measured is hatched.

    Raises
    ------
    InputError
        If the maps differ in shape.
    """
    pixel_um, shape = density.field.pixel_um, density.per_um2.shape
    bent = None if curvature_per_um is None else np.asarray(curvature_per_um, np.float32)
    if bent is not None and bent.shape != shape:
        raise InputError(f"curvature is {bent.shape}, density {shape}: give two equal maps")
    area = "true surface" if density.field.is_true_area else "area seen from above"
    mean = with_interval(density.mean_per_um2, density.mean_interval)
    found = f"{density.count} particles, mean {mean} per µm²" if density.count else "no particles found"
    panels: list[tuple[str, NDArray[np.float32], Scale, str]] = [
        (
            ", ".join(part for part in (title, found) if part) + f"\nkernel σ = {density.scale_um:.3g} µm",
            density.per_um2,
            _scale(density.per_um2, _DENSITY, density.mean_interval[1]),
            f"particles per µm² of {area}",
        )
    ]
    if bent is not None:
        panels.append(
            ("mean curvature", bent, colour_scale("curvature", bent[None]), look("curvature").label)
        )
    panels.append(
        (
            "standard deviation of the density, counting alone",
            density.sigma_per_um2,
            _scale(density.sigma_per_um2, _SIGMA),
            "σ of the density (1/µm²)",
        )
    )
    if bent is not None:
        panels.append(("mean curvature and particles", *panels[1][1:]))
    wide = 0.78 * PAGE_IN / 2
    tall = min(wide * shape[0] / shape[1], 6.5) + 0.75
    figure = page(tall * (len(panels) // 2))
    places = figure.subplots(len(panels) // 2, 2, squeeze=False, sharex=True, sharey=True)
    level = np.nan
    if trenches and bent is not None and np.isfinite(bent).any():
        level = float(np.nanquantile(bent, 1 - _TRENCH_SHARE))
    for axes, (heading, values, scale, label) in zip(places.flat, panels, strict=True):
        drawn = draw_map(axes, values, pixel_um, scale)
        figure.colorbar(drawn, ax=axes, label=label, extend=scale.extend, shrink=0.9)
        if bent is not None and values is not bent:
            _outline(axes, bent, level, pixel_um)
        axes.set_title(heading, fontsize=10)
        axes.set(xlim=(0, shape[1] * pixel_um), ylim=(shape[0] * pixel_um, 0))
        axes.tick_params(labelbottom=True, labelleft=True)
        axes.set_xlabel("x (µm)")
        axes.set_ylabel("y, down the image (µm)")
    if bent is not None:
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
    """Draw densities of several times, all with the same colours.

    Parameters
    ----------
    densities : mapping of time in s to Density
    count : int
        How many times are drawn, evenly chosen, first and last among them.

    Raises
    ------
    InputError
        If there are none.
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
    area = "true surface" if densities[chosen[0]].field.is_true_area else "area seen from above"
    figure.colorbar(
        drawn, ax=panels, label=f"particles per µm² of {area}", extend=scale.extend, fraction=0.03, pad=0.01,
        aspect=30,
    )  # fmt: skip
    return figure


def size_figure(
    particles: pd.DataFrame,
    *,
    times_s: Sequence[float] | None = None,
    confidence: float = 0.95,
    count: int = 6,
) -> Figure:
    """Draw histograms of the sizes at some times, one under the other, with the same bins.

    Medians count what lies beyond the calibration. Where nothing is calibrated intensities are drawn.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`.
    times_s : sequence of float, s, optional
        As in `lee.particles.times.by_time`.
    confidence : float
        Of the medians' intervals.
    count : int
        How many times are drawn, evenly chosen, first and last among them.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.
    """
    parts = by_time(particles, times_s)
    chosen = [list(parts)[k] for k in evenly(len(parts), count)]
    calibrated = is_calibrated(particles) or not len(particles)
    found = {t: sizes_of(parts[t], calibrated=calibrated, confidence=confidence) for t in chosen}
    edges = shared_edges([one.values for one in found.values()], logarithmic=not calibrated)
    figure = page(1.7 * len(chosen) + 1.2)
    panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
    shades = colormaps["viridis"](np.linspace(0, _MOST_SHADES, len(chosen)))
    most = 1
    for axes, time, shade in zip(panels, chosen, shades, strict=True):
        one = found[time]
        number, _, _ = axes.hist(one.values, bins=list(edges), color=shade, edgecolor="white", linewidth=0.5)
        most = max(most, int(np.max(number)))
        if np.isfinite(one.median):
            axes.axvline(one.median, color="black", linewidth=1.5)
            if np.isfinite(one.median_interval).all():
                axes.axvspan(*one.median_interval, color="black", alpha=0.18, linewidth=0)
        axes.text(
            1.01, 0.5, _beside(time, one), transform=axes.transAxes, va="center", ha="left", fontsize=9.5
        )
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.margins(x=0)
    for axes in panels:
        axes.set_ylim(0, 1.1 * most)
        axes.set_ylabel("particles")
        axes.yaxis.get_major_locator().set_params(integer=True)
        if not calibrated:
            axes.set_xscale("log")
    panels[-1].set_xlabel(
        "particle diameter (nm)"
        if calibrated
        else "intensity (counts); no calibration, so no sizes are known"
    )
    panels[0].set_title(
        f"line and band: median and its {confidence:.0%} interval, from counting alone", fontsize=10
    )
    return figure


def shared_edges(values: Sequence[NDArray[np.float64]], *, logarithmic: bool = False) -> NDArray[np.float64]:
    """Choose bins for several histograms by the rule of Freedman and Diaconis, 8 to 30 of them."""
    pooled = np.concatenate([np.empty(0), *values])
    if logarithmic:
        pooled = np.log10(pooled)
    if pooled.size == 0:
        return np.logspace(2, 4, 9) if logarithmic else np.linspace(0, 500, 11)
    low, high = float(pooled.min()), float(pooled.max())
    if high <= low:
        reach = 0.05 if logarithmic else 0.1 * abs(low) + 1e-9
        low, high = low - reach, high + reach
    apart = np.subtract(*np.percentile(pooled, (75, 25)))
    bins = (high - low) / (2 * apart * pooled.size ** (-1 / 3)) if apart > 0 else 8
    edges = np.linspace(low, high, int(np.clip(np.ceil(bins), 8, 30)) + 1)
    return 10**edges if logarithmic else edges


def density_relation_figure(relations: Mapping[float, DensityRelation], *, count: int = 3) -> Figure:
    """Draw the density of particles at each curvature, counted over area, and the map's relation beside it.

    Parameters
    ----------
    relations : mapping of time in s to DensityRelation
    count : int
        How many times are drawn, evenly chosen, first and last among them.

    Raises
    ------
    InputError
        If there are none.
    """
    if not relations:
        raise InputError("no relation to draw")
    times = list(relations)
    chosen = [times[k] for k in evenly(len(times), count)]
    figure = page(5.4 * len(chosen))
    places = figure.subplots(len(chosen), 2, squeeze=False)
    for (counted, mapped), time in zip(places, chosen, strict=True):
        _counted(counted, time_title(time), relations[time])
        if relations[time].count.sum():
            draw_relation(mapped, "smoothed map, pixel by pixel", relations[time].relation)
        else:
            mapped.text(0.5, 0.5, "no particles found", ha="center", va="center", transform=mapped.transAxes)
            mapped.set_axis_off()
    return figure


def _counted(axes: Axes, name: str, found: DensityRelation) -> None:
    known = np.isfinite(found.per_um2)
    middle, density = found.centres_per_um[known], found.per_um2[known]
    across = [middle - found.edges_per_um[:-1][known], found.edges_per_um[1:][known] - middle]
    up = [density - found.low[known], found.high[known] - density]
    axes.errorbar(
        middle, density, yerr=np.maximum(up, 0), xerr=np.maximum(across, 0), fmt="o", color=_LINE, capsize=3,
        elinewidth=1.5, markersize=5, zorder=3,
        label=f"particles over area, {found.confidence:.0%} intervals",
    )  # fmt: skip
    axes.plot(middle, density, color=_LINE, linewidth=1, alpha=0.6, zorder=2)
    total = float(found.area_um2.sum())
    if total > 0:
        mean = float(found.count.sum()) / total
        axes.axhline(mean, color="black", linestyle="--", linewidth=1, label="mean of all")
    axes.axvline(0, color="grey", linewidth=0.8, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("mean curvature (1/µm):  peaks −, trenches +")
    axes.set_ylabel("particle density (1/µm²)")
    axes.grid(color="#dddddd", linewidth=0.6)
    heading = ["no particles found"]
    if found.count.sum():
        ratio = with_interval(found.trench_to_peak, found.trench_to_peak_interval)
        chance = with_interval(found.chance, found.chance_interval)
        heading = [
            f"trenches to peaks, a third of the area each: {ratio}",
            f"chance that curvature is larger at a particle than elsewhere: {chance}",
        ]
    axes.set_title("\n".join([name, *heading] if name else heading), fontsize=9.5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """Write a number and its interval."""
    if np.isnan(value):
        return "unknown"
    low, high = interval
    return (
        f"{value:.3g} ({low:.3g} to {high:.3g})" if not np.isnan(low) else f"{value:.3g} (interval unknown)"
    )


def _beside(time_s: float, one: Sizes) -> str:
    name = time_title(time_s)
    lines = [f"{name}: {one.count} particles" if name else f"{one.count} particles"] if one.count else [
        f"{name}: no particles found" if name else "no particles found"
    ]  # fmt: skip
    if one.count:
        lines.append(f"median {median_text(one)}")
    if one.below:
        lines.append(f"{one.below} fainter than the calibration")
    if one.above:
        lines.append(f"{one.above} brighter than the calibration")
    if one.without:
        lines.append(
            f"{one.without} without a size" if one.is_calibrated else f"{one.without} without intensity"
        )
    return "\n".join(lines)


def _outline(axes: Axes, bent: NDArray[np.float32], level: float, pixel_um: float) -> None:
    if not np.isfinite(level) or min(bent.shape) < 2:
        return
    y, x = ((np.arange(n) + 0.5) * pixel_um for n in bent.shape)
    for colour, width in (("black", 1.6), ("white", 0.8)):
        axes.contour(x, y, bent, levels=[level], colors=colour, linewidths=width, zorder=2)


def _scale(values: NDArray[np.float32], colours: str, otherwise: float = 1.0) -> Scale:
    """Reach from 0 to the largest value, or where all are 0 to another."""
    known = values[np.isfinite(values)]
    high = float(known.max()) if known.size else 0.0
    return Scale(colours, 0.0, high if high > 0 else otherwise if otherwise > 0 else 1.0, "neither")
