"""Curves of a run as figures: regions, area and volume, areal parameters, drift, relation, profile."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from lee.errors import InputError
from lee.series_figures import REGION_COLOURS, region_style
from lee.series_phases import shade_phases

if TYPE_CHECKING:
    import pandas as pd

    from lee.profile import Profile
    from lee.relation import Relation

MOST_REGIONS = 8  # more curves on one figure are told apart by nobody
_AREAL_LABELS = {
    "Sa_um": "Sa (µm)",
    "Sq_um": "Sq (µm)",
    "Sz_um": "Sz (µm)",
    "Ssk": "Ssk",
    "Sku": "Sku",
    "Sdq": "Sdq",
    "Sdr_percent": "Sdr (%)",
    "Sdr": "Sdr",
}


def curves_of_regions(table: "pd.DataFrame", *, phases: Sequence[str] | None = None) -> Figure:
    """Draw height and rate of every region over time, with bands of two standard errors.

    Parameters
    ----------
    table : DataFrame
        Columns ``region``, ``time_s``, ``height_um``, ``rate_nm_per_s`` and, for the bands, ``height_se_um``
        and ``rate_se_nm_per_s``; one row a region and scan. The first eight regions are drawn.
    phases : sequence of str, optional
        One for each time that occurs, in order.

    Returns
    -------
    matplotlib.figure.Figure
    """
    _need(table, "region", "time_s", "height_um", "rate_nm_per_s")
    names = list(dict.fromkeys(table["region"]))
    figure = Figure(figsize=(16, 6.2), dpi=100, layout="constrained")
    height, rate = figure.subplots(1, 2, sharex=True)
    for k, name in enumerate(names[:MOST_REGIONS]):
        rows = table[table["region"] == name].sort_values("time_s")
        colour, line = region_style(k)
        for axes, value, error in (
            (height, "height_um", "height_se_um"),
            (rate, "rate_nm_per_s", "rate_se_nm_per_s"),
        ):
            _band(axes, rows, value, error, colour)
            axes.plot(
                rows["time_s"],
                rows[value],
                color=colour,
                linestyle=line,
                marker="o",
                markersize=3,
                label=name,
            )
    for axes, label in ((height, "mean height (µm)"), (rate, "mean rate (nm/s)")):
        _time_axis(axes, np.unique(table["time_s"]), phases, label)
    rate.axhline(0, color="black", linewidth=0.8)
    more = f"; {MOST_REGIONS} of {len(names)}" if len(names) > MOST_REGIONS else ""
    figure.legend(
        *height.get_legend_handles_labels(), loc="outside right center", title=f"region{more}", frameon=False
    )
    return figure


def area_and_volume(table: "pd.DataFrame", *, phases: Sequence[str] | None = None) -> Figure:
    """Draw true area, volume over the datum and their ratio over time.

    Parameters
    ----------
    table : DataFrame
        Columns ``time_s``, ``area_um2``, ``volume_um3`` and ``area_per_volume_per_um``.
    phases : sequence of str, optional
        One a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    named = {
        "area_um2": "true area (µm²)",
        "volume_um3": "volume over the datum (µm³)",
        "area_per_volume_per_um": "area / volume (1/µm)",
    }
    _need(table, "time_s", *named)
    figure = Figure(figsize=(16, 4.6), dpi=100, layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 3), named.items(), strict=True):
        axes.plot(table["time_s"], table[name], color=REGION_COLOURS[0], marker="o", markersize=3)
        _time_axis(axes, table["time_s"], phases, label)
    return figure


def areal_curves(table: "pd.DataFrame", *, phases: Sequence[str] | None = None) -> Figure:
    """Draw the areal parameters of ISO 25178-2 that a table has, each over time."""
    names = [name for name in _AREAL_LABELS if name in table.columns]
    if not names:
        raise InputError(f"the table has none of the columns {', '.join(_AREAL_LABELS)}")
    _need(table, "time_s")
    columns = 4
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(16, 3.3 * rows), dpi=100, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for k, axes in enumerate(places.flat):
        if k >= len(names):
            axes.set_axis_off()
            continue
        axes.plot(table["time_s"], table[names[k]], color=REGION_COLOURS[0], marker="o", markersize=3)
        _time_axis(axes, table["time_s"], phases, _AREAL_LABELS[names[k]], named=False)
        axes.tick_params(labelbottom=True)
    return figure


def drift_figure(
    shift_um: ArrayLike,
    times_s: ArrayLike,
    *,
    axial_um: ArrayLike | None = None,
    axial_sigma_um: ArrayLike | None = None,
    reference: str = "",
) -> Figure:
    """Draw how far each scan was moved to lie on the first: along x and y, and along the height.

    Parameters
    ----------
    shift_um : (T, 2) float, um
        Along y and x.
    times_s : (T,) float, s
    axial_um, axial_sigma_um : (T,) float, um, optional
    reference : str
        What the height was held to.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shift, times = np.asarray(shift_um, np.float64), np.asarray(times_s, np.float64)
    figure = Figure(figsize=(16, 4.6), dpi=100, layout="constrained")
    lateral, axial = figure.subplots(1, 2)
    for column, name in ((1, "x"), (0, "y, down the image")):
        lateral.plot(
            times, shift[:, column], color=REGION_COLOURS[column], marker="o", markersize=3, label=name
        )
    lateral.legend(frameon=False)
    _time_axis(lateral, times, None, "lateral shift (µm)")
    if axial_um is None or not np.any(axial_um):
        axial.text(0.5, 0.5, "height as measured: no axial reference", ha="center", va="center")
        axial.set_axis_off()
        return figure
    height = np.asarray(axial_um, np.float64)
    if axial_sigma_um is not None:
        sigma = np.asarray(axial_sigma_um, np.float64)
        axial.fill_between(
            times, height - 2 * sigma, height + 2 * sigma, color=REGION_COLOURS[2], alpha=0.25, linewidth=0
        )
    axial.plot(times, height, color=REGION_COLOURS[2], marker="o", markersize=3)
    axial.set_title(f"held to: {reference}" if reference else "")
    _time_axis(axial, times, None, "axial shift (µm)")
    return figure


def relation_figure(relations: "Mapping[str, Relation]") -> Figure:
    """Draw mean curvature against rate as a density map, with the binned median and its band.

    Parameters
    ----------
    relations : mapping of str to Relation
        One panel each, for example ``plating`` and ``stripping``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not relations:
        raise InputError("no relation to draw")
    count = len(relations)
    figure = Figure(
        figsize=(max(9.0, 8 * min(count, 2)), 7.0 * -(-count // 2)), dpi=100, layout="constrained"
    )
    places = figure.subplots(-(-count // 2), min(count, 2), squeeze=False)
    for axes, (name, relation) in zip(places.flat, relations.items(), strict=False):
        _relation(axes, name, relation)
    for axes in places.flat[count:]:
        axes.set_axis_off()
    return figure


def profile_figure(profiles: "Mapping[str, Profile]") -> Figure:
    """Draw height, mean curvature and rate along a line, one under the other.

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
    figure = Figure(figsize=(16, 9), dpi=100, layout="constrained")
    height, curvature, rate = figure.subplots(3, 1, sharex=True)
    from matplotlib import colormaps

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
        axes.grid(color="#e6e6e6")
        axes.margins(x=0.01)
    for axes in (curvature, rate):
        axes.axhline(0, color="black", linewidth=0.8)
    rate.set_xlabel("distance along the line (µm)")
    figure.align_ylabels()
    if len(profiles) > 1:
        figure.legend(*height.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def _relation(axes: Axes, name: str, relation: "Relation") -> None:
    density = np.ma.masked_less_equal(np.asarray(relation.density, np.float64), 0)
    x, y = np.asarray(relation.curvature_edges_per_um), np.asarray(relation.rate_edges_nm_per_s)
    if density.shape == (x.size - 1, y.size - 1):
        density = density.T
    figure = axes.figure
    if density.count():
        top = float(density.max())
        drawn = axes.pcolormesh(
            x, y, density, cmap="viridis", norm=LogNorm(max(top * 1e-3, float(density.min())), top)
        )
        figure.colorbar(drawn, ax=axes, label="density of pixels (logarithmic)", extend="min", shrink=0.9)
    halo = [withStroke(linewidth=4, foreground="black")]
    centres = np.asarray(relation.bin_centres_per_um)
    axes.fill_between(
        centres,
        relation.low_nm_per_s,
        relation.high_nm_per_s,
        color="white",
        alpha=0.55,
        linewidth=0,
        zorder=2,
    )
    axes.plot(
        centres,
        relation.median_nm_per_s,
        color="white",
        linewidth=2,
        path_effects=halo,
        label="binned median, 95 % band",
        zorder=3,
    )
    axes.axvline(0, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xlabel("mean curvature (1/µm):  peaks −   trenches +")
    axes.set_ylabel("rate (nm/s)")
    low, high = relation.spearman_interval
    less, more = relation.pearson_interval
    axes.set_title(
        f"{name}: Spearman ρ = {relation.spearman:.2f} ({low:.2f} … {high:.2f}), "
        f"Pearson r = {relation.pearson:.2f} ({less:.2f} … {more:.2f})\n"
        f"95 % intervals; {relation.n_effective:.0f} independent patches",
        fontsize=11,
    )
    axes.legend(loc="upper left", facecolor="#777777", labelcolor="white", framealpha=0.8)


def _band(axes: Axes, rows: "pd.DataFrame", value: str, error: str, colour: str) -> None:
    if error in rows.columns:
        low, high = (rows[value] + sign * 2 * rows[error] for sign in (-1, 1))
        axes.fill_between(rows["time_s"], low, high, color=colour, alpha=0.2, linewidth=0)


def _time_axis(
    axes: Axes, times_s: Any, phases: Sequence[str] | None, label: str, *, named: bool = True
) -> None:
    shade_phases(axes, times_s, phases, named=named)
    axes.set_xlabel("time (s)")
    axes.set_ylabel(label)
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.margins(x=0.01)


def _need(table: "pd.DataFrame", *columns: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            f"the table lacks the column {missing[0]!r}: it has {', '.join(map(str, table.columns))}"
        )
