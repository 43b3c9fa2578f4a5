"""Figures of a followed run: rates over time, along a line, as maps and over curvature; ions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.figures.maps import ColourScale, colour_scale, draw_map, page, scale_bar, time_text
from lee.figures.maps_over_time import region_style
from lee.surfaces.curvature import curvature
from lee.surfaces.profile import read_line
from lee.twin.comparison.compare import Comparison
from lee.twin.results.fields import cross_section
from lee.twin.results.figures import QUANTITIES, draw_section, scale_of
from lee.twin.results.solution import Solution

if TYPE_CHECKING:
    import pandas as pd

_BINS = 70
# Of the largest current: below it the cell rests.
_REST = 1e-3
_SHOWN_REGIONS = 4
# Fewer pixels a side have no curvature.
_MIN_SIDE = 16
_FEW = 30  # pixels in a bin of curvature that has a median
Maps = NDArray[np.float64]


def rates_over_time(comparison: Comparison, solution: Solution) -> Figure:
    """Draw measured height rates (left) and computed ones (right) of regions over time, on the same axes.

    Lines end where the current turns: between plating and stripping no rate was measured.
    Below, how far the regions have risen since the first scan: as measured, and the computed rates summed up.
    """
    figure = page(7.6)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    curves = comparison.curves
    names = _shown(curves)
    for place, name in enumerate(names):
        rows = curves[curves["region"] == name]
        times = rows["time_s"].to_numpy()
        colour, line = region_style(place)
        label = name if rows["kind"].iloc[0] in name else f"{name} ({rows['kind'].iloc[0]})"
        for part in _between_turns(times, solution):
            of_part = rows.iloc[part]
            panels[0, 0].errorbar(
                times[part], of_part["measured_nm_per_s"], yerr=2 * of_part["measured_se_nm_per_s"],
                color=colour, linestyle=line, marker="o", markersize=4, capsize=2, linewidth=1.2,
                label=None if part.start else label,
            )  # fmt: skip
            panels[0, 1].plot(
                times[part], of_part["computed_nm_per_s"], color=colour, linestyle=line, marker="x"
            )
        for axes, rates in ((panels[1, 0], "measured_nm_per_s"), (panels[1, 1], "computed_nm_per_s")):
            axes.plot(times, _summed(times, rows[rates].to_numpy()), color=colour, linestyle=line)
    for axes, title in zip(panels[0], ("measured", "computed"), strict=True):
        axes.set_title(f"height rate, {title}", fontsize=11)
        axes.axhline(0, color="black", linewidth=0.8)
    panels[0, 0].set_ylabel("height rate (nm/s)")
    panels[1, 0].set_ylabel("risen since the first scan (µm)")
    for axes in panels[1]:
        axes.set_xlabel("time (s)")
        axes.set_xlim(float(solution.times_s[0]), float(solution.times_s[-1]) or 1.0)
    for axes in panels.flat:
        axes.grid(color="#dddddd", linewidth=0.6)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=_SHOWN_REGIONS,
        frameon=False,
    )
    return figure


def _between_turns(times_s: NDArray[np.float64], solution: Solution) -> list[slice]:
    """Cut times where the current changes its sign, or begins or ends."""
    current = solution.mean_current_ma_per_cm2
    least = _REST * float(np.abs(current).max(initial=0.0))
    nearest = np.abs(solution.times_s[None] - times_s[:, None]).argmin(axis=1)
    sign = np.where(np.abs(current) <= least, 0, np.sign(current))[nearest]
    edges = [0, *(np.flatnonzero(np.diff(sign)) + 1).tolist(), len(times_s)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def _shown(curves: pd.DataFrame) -> list[str]:
    """Choose as many regions of each kind, the first ones, in their order."""
    regions = curves.drop_duplicates("region")
    place = regions.groupby("kind").cumcount()
    first = regions.loc[place.sort_values(kind="stable").index[:_SHOWN_REGIONS]]
    return [str(name) for name in first.sort_index()["region"]]


def _summed(times: Maps, rates: Maps) -> Maps:
    steps = 0.5 * (rates[1:] + rates[:-1]) * np.diff(times)
    return np.concatenate([[0.0], np.cumsum(steps)]) * 1e-3


def maps_early_and_late(comparison: Comparison, solution: Solution, times: Sequence[int]) -> Figure:
    """Draw height, mean curvature, measured and computed height rate at an early and a late scan.

    Parameters
    ----------
    comparison, solution
    times : sequence of int
        Indices into the times of the comparison.
    """
    pixel_um = comparison.pixel_um
    at = [int(np.abs(solution.times_s - comparison.times_s[k]).argmin()) for k in times]
    heights = [solution.height_um[k] for k in at]
    bends = [_curvature(height, solution) for height in heights]
    measured = [comparison.measured_nm_per_s[k] for k in times]
    computed = [comparison.computed_nm_per_s[k] for k in times]
    rates = scale_of(np.stack([*measured, *computed]).astype(np.float32), "plasma")
    rows = (
        ("height", heights, scale_of(np.stack(heights).astype(np.float32), "viridis"), "height (µm)"),
        ("mean curvature", bends, colour_scale("curvature", np.stack(bends)), "mean curvature (1/µm)"),
        ("measured height rate", measured, rates, "height rate (nm/s)"),
        ("computed height rate", computed, rates, "height rate (nm/s)"),
    )
    shape = solution.height_um.shape[1:]
    tall = min(max(shape[0] / shape[1], 0.35), 1.2) * 2.4 + 0.5
    figure = page(tall * len(times) + 0.4)
    panels = figure.subplots(len(times), len(rows), squeeze=False)
    for row, k in enumerate(times):
        for column, (title, maps, scale, label) in enumerate(rows):
            axes = panels[row, column]
            _panel(figure, axes, maps[row], pixel_um, scale, label)
            axes.set_title(f"{title}, {time_text(float(comparison.times_s[k]))}", fontsize=9)
    return figure


def _panel(
    figure: Figure, axes: Axes, values: NDArray[np.floating], pixel_um: float, scale: ColourScale, label: str
) -> None:
    drawn = draw_map(axes, np.asarray(values, np.float32), pixel_um, scale)
    figure.colorbar(
        drawn, ax=axes, label=label, extend=scale.extend, shrink=0.75, location="bottom", pad=0.03
    )
    scale_bar(axes, np.shape(values)[1] * pixel_um)


def along_a_line(comparison: Comparison, solution: Solution, k: int) -> Figure:
    """Draw height, mean curvature, measured and computed rate along x through the deepest point measured.

    Parameters
    ----------
    comparison, solution
    k : int
        Index of the comparison's time.
    """
    pixel_um = comparison.pixel_um
    at = int(np.abs(solution.times_s - comparison.times_s[k]).argmin())
    height = solution.height_um[at]
    # Where the rate was measured: a border seldom is.
    known = np.isfinite(comparison.measured_nm_per_s[k])
    deepest = np.where(known, height, np.inf) if known.any() else height
    row = int(np.unravel_index(int(deepest.argmin()), height.shape)[0])
    line = ((row * pixel_um, 0.0), (row * pixel_um, (height.shape[1] - 1) * pixel_um))
    figure = page(6.6)
    panels = figure.subplots(3, 1, sharex=True)
    for axes, values, label, name, style in (
        (panels[0], height, "height (µm)", "", "-"),
        (panels[1], _curvature(height, solution), "mean curvature (1/µm)\npeak −   trench +", "", "-"),
        (panels[2], comparison.measured_nm_per_s[k], "height rate (nm/s)", "measured", "-"),
        (panels[2], comparison.computed_nm_per_s[k], "height rate (nm/s)", "computed", "--"),
    ):
        distance, along = read_line(values, line, pixel_um=pixel_um)
        colour = "#b2182b" if name == "measured" else "#2166ac"
        axes.plot(distance, along, style, color=colour, linewidth=1.5, label=name)
        axes.set_ylabel(label)
        axes.grid(color="#dddddd", linewidth=0.6)
    panels[1].axhline(0, color="black", linewidth=0.8)
    panels[2].legend(fontsize=9)
    panels[2].set_xlabel(
        f"x (µm), at y = {(row + 0.5) * pixel_um:.3g} µm and {time_text(float(comparison.times_s[k]))}"
    )
    figure.align_ylabels()
    return figure


def rates_over_curvature(comparison: Comparison, solution: Solution) -> Figure:
    """Draw the density of all pixels and scans over curvature and height rate, measured and computed."""
    bends, measured, computed = [], [], []
    for k, moment in enumerate(comparison.times_s):
        height = solution.height_um[int(np.abs(solution.times_s - moment).argmin())]
        bends.append(_curvature(height, solution))
        measured.append(comparison.measured_nm_per_s[k])
        computed.append(comparison.computed_nm_per_s[k])
    bend = np.stack(bends)
    figure = page(5.0)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    both = np.stack([np.stack(measured), np.stack(computed)])
    known = np.isfinite(bend) & np.isfinite(both).all(axis=0)
    if not known.any():
        return figure
    # A scan is plated or stripped as a whole: their medians are not to be mixed.
    plated = np.broadcast_to(np.nanmean(both[1], axis=(1, 2), keepdims=True) > 0, bend.shape)
    limits = [_wide(np.percentile(values, (0.5, 99.5))) for values in (bend[known], both[:, known])]
    for axes, values, title in zip(panels, both, ("measured", "computed"), strict=True):
        x, y, grows = bend[known], values[known], plated[known]
        drawn = axes.hist2d(x, y, bins=_BINS, range=limits, cmap="Blues", norm=LogNorm(), rasterized=True)[3]
        figure.colorbar(drawn, ax=axes, label="pixels and scans", shrink=0.9)
        edges = np.linspace(*limits[0], 16)
        place = np.digitize(x, edges)
        centre = 0.5 * (edges[1:] + edges[:-1])
        for phase, style in (("plating", "-"), ("stripping", "--")):
            of_phase = grows if phase == "plating" else ~grows
            inside = [of_phase & (place == m) for m in range(1, 16)]
            middles = [(centre[m], np.median(y[here])) for m, here in enumerate(inside) if here.sum() >= _FEW]
            if middles:
                axes.plot(*zip(*middles, strict=True), style, color="#D55E00", label=f"median, {phase}")
                axes.legend(fontsize=9)
        axes.set_title(f"height rate, {title}", fontsize=11)
        axes.set_xlabel("mean curvature (1/µm):  peaks −, trenches +")
    panels[0].set_ylabel("height rate (nm/s)")
    return figure


def ions_over_time(solution: Solution) -> Figure:
    """Draw concentration over time at the lowest and the highest point, and sections early and late."""
    height = solution.fields.z_um[0][..., 0]
    places = {"lowest point": int(height.argmin()), "highest point": int(height.argmax())}
    late = len(solution.times_s) - 1
    early = min(1, late)
    figure = page(7.4)
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.05))
    over, columns = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    concentration = solution.fields.concentration_mol_per_l
    for place, (name, node) in enumerate(places.items()):
        y, x = np.unravel_index(node, height.shape)
        colour, _ = region_style(place)
        over.plot(
            solution.times_s, concentration[:, y, x, 0], color=colour, marker="o", markersize=3, label=name
        )
        for k, style in ((early, "--"), (late, "-")):
            z = solution.fields.z_um[k, y, x]
            columns.plot(
                z - z[0], concentration[k, y, x], style, color=colour,
                label=f"{name}, {time_text(float(solution.times_s[k]))}",
            )  # fmt: skip
    over.set(xlabel="time (s)", ylabel="c at the electrode (mol/L)")
    columns.set(xlabel="distance from the electrode (µm)", ylabel="c (mol/L)")
    for axes in (over, columns):
        axes.legend(fontsize=8)
        axes.grid(color="#dddddd", linewidth=0.6)
    quantity = QUANTITIES["concentration_mol_per_l"]
    cuts = [cross_section(solution, k) for k in (early, late)]
    scale = scale_of(
        np.stack([cut.concentration_mol_per_l for cut in cuts]).astype(np.float32), quantity.colours
    )
    for place, (k, cut) in enumerate(zip((early, late), cuts, strict=True)):
        axes = figure.add_subplot(grid[1, place])
        draw_section(axes, cut, scale, figure)
        axes.set_title(f"ions, y = {cut.y_um:.3g} µm, {time_text(float(solution.times_s[k]))}", fontsize=10)
    return figure


def _curvature(height: NDArray[np.floating], solution: Solution) -> NDArray[np.float32]:
    """Mean curvature at the scale of the mesh, which shows nothing finer."""
    if min(height.shape) < _MIN_SIDE:
        return np.full(height.shape, np.nan, np.float32)
    scale_um = max(float(solution.fields.x_um[1]), 1.5 * solution.pixel_um)
    found = curvature(np.asarray(height, np.float32), pixel_um=solution.pixel_um, scale_um=scale_um)
    return np.asarray(found.mean_per_um)


def _wide(span: NDArray[np.float64]) -> tuple[float, float]:
    low, high = (float(v) for v in span)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
