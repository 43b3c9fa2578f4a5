"""Figures of the relation of a map to curvature: joint density of all pixels, and profiles along a line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from lee.errors import InputError
from lee.figures.maps import page

if TYPE_CHECKING:
    from lee.series.relation import Relation
    from lee.surfaces.profile import Profile

_MEDIAN, _BAND = "#D55E00", "#f6b48a"


def relation_figure(relations: "Mapping[str, Relation]") -> Figure:
    """Draw mean curvature against rate, or another map, as a joint density with binned medians.

    Parameters
    ----------
    relations : mapping of str to Relation
        One panel each, for example ``plating`` and ``stripping``.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.

    Raises
    ------
    InputError
        If there is none.
    """
    if not relations:
        raise InputError("no relation to draw")
    count = len(relations)
    rows = -(-count // 2)
    figure = page(5.2 * rows)
    places = figure.subplots(rows, 2, squeeze=False)
    for axes, (name, relation) in zip(places.flat, relations.items(), strict=False):
        draw_relation(axes, name, relation)
    for axes in places.flat[count:]:
        axes.set_axis_off()
    return figure


def profile_figure(profiles: "Mapping[str, Profile]") -> Figure:
    """Draw height, mean curvature and rate along a line, one below the other.

    Parameters
    ----------
    profiles : mapping of str to Profile
        Name, such as ``t = 120 s``, to profile; several are drawn over each other, in order of time.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not profiles:
        raise InputError("no profile to draw")
    figure = page(7.5)
    height, curvature, rate = figure.subplots(3, 1, sharex=True)
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(profiles)))
    for colour, (name, profile) in zip(shades, profiles.items(), strict=True):
        for axes, values in (
            (height, profile.height_um),
            (curvature, profile.mean_per_um),
            (rate, profile.rate_nm_per_s),
        ):
            axes.plot(profile.distance_um, values, color=colour, linewidth=1.6, label=name)
    for axes, label in (
        (height, "height (µm)"),
        (curvature, "mean curvature (1/µm)\npeak −   trench +"),
        (rate, "rate (nm/s)"),
    ):
        axes.set_ylabel(label)
        axes.grid(color="#cccccc", linewidth=0.6)
        axes.margins(x=0.01)
    for axes in (curvature, rate):
        axes.axhline(0, color="black", linewidth=0.8)
    rate.set_xlabel("distance along the line (µm)")
    figure.align_ylabels()
    if len(profiles) > 1:
        figure.legend(*height.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def draw_relation(axes: Axes, name: str, relation: "Relation") -> None:
    """Draw one relation into its axes."""
    density = np.ma.masked_less_equal(np.asarray(relation.density, np.float64), 0)
    if density.count():
        high, low = float(density.max()), float(density.min())
        drawn = axes.pcolormesh(
            relation.curvature_edges_per_um,
            relation.value_edges,
            density.T,
            cmap="Blues",
            norm=LogNorm(min(max(high * 1e-3, low), 0.5 * high), high),
        )
        label = f"share of pixels per 1/µm and {relation.unit}, logarithmic"
        axes.figure.colorbar(drawn, ax=axes, label=label, extend="min", shrink=0.9)
    centres = np.asarray(relation.bin_centres_per_um)
    axes.fill_between(
        centres, relation.low, relation.high, color=_BAND, alpha=0.85, linewidth=0,
        zorder=2, label=f"its {100 * relation.confidence:.0f} % band",
    )  # fmt: skip
    halo = [withStroke(linewidth=4, foreground="white")]
    axes.plot(
        centres, relation.median, color=_MEDIAN, linewidth=2, path_effects=halo,
        label=f"median of the {relation.value}", zorder=3,
    )  # fmt: skip
    axes.axvline(0, color="grey", linewidth=0.8, linestyle="--", zorder=1)
    if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
        axes.axhline(0, color="grey", linewidth=0.8, zorder=1)
    axes.locator_params(axis="x", nbins=6)  # more labels of curvatures would touch each other
    axes.set_xlabel("mean curvature (1/µm):  peaks −, trenches +")
    axes.set_ylabel(f"{relation.value} ({relation.unit})")
    axes.set_title(
        f"{name}\nSpearman ρ = {_with_interval(relation.spearman, relation.spearman_interval)}, "
        f"Pearson r = {_with_interval(relation.pearson, relation.pearson_interval)}\n"
        f"{100 * relation.confidence:.0f} % intervals, from {relation.blocks} blocks of "
        f"{relation.block_um:.3g} µm",
        fontsize=9.5,
    )
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2,
                frameon=False)  # fmt: skip


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    if not np.isfinite(value):
        return "unknown"
    known = np.isfinite(interval).all()
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if known else " (interval unknown)")
