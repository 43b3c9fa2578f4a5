"""Curves over time as figures: regions, area and volume, areal parameters, drift."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from lee.errors import InputError
from lee.figures.maps import page
from lee.figures.maps_over_time import MAX_REGIONS, REGION_COLOURS, region_style
from lee.figures.phases import shade_phases

if TYPE_CHECKING:
    import pandas as pd

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


def curves_of_regions(
    table: "pd.DataFrame",
    *,
    phases: Sequence[str] | None = None,
    ratio: "pd.DataFrame | None" = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Draw height and rate of regions over time, with bands of two standard errors to each side.

    Parameters
    ----------
    table : DataFrame
        From `region_curves`: columns ``region time_s height_um rate_nm_per_s`` and, for the
        bands, ``height_se_um`` and ``rate_se_nm_per_s``.
    phases : sequence of str, optional
        One for each distinct time, in order.
    ratio : DataFrame, optional
        Trench over protrusion rate, columns ``time_s ratio ratio_se``; also drawn.
    names : sequence of str, optional
        Order of the regions, which decides their colours; the first eight are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.

    Raises
    ------
    InputError
        If a column is missing.
    """
    _need(table, "region", "time_s", "height_um", "rate_nm_per_s")
    times = np.unique(table["time_s"])
    present = list(dict.fromkeys(table["region"]))
    ordered = [name for name in names or present if name in present]
    figure = page(4.8)
    height, rate, *rest = figure.subplots(1, 2 if ratio is None else 3, sharex=True)
    for k, name in enumerate(ordered[:MAX_REGIONS]):
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
    _time_axis(height, times, phases, "mean height (µm)")
    _time_axis(rate, times, phases, "mean rate (nm/s)")
    rate.axhline(0, color="black", linewidth=0.8)
    if ratio is not None:
        _ratio(rest[0], ratio)
        _time_axis(rest[0], times, phases, "trench rate / protrusion rate")
    more = f", {MAX_REGIONS} of {len(ordered)}" if len(ordered) > MAX_REGIONS else ""
    figure.legend(
        *height.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=MAX_REGIONS,
        title=f"region{more}",
        frameon=False,
    )
    return figure


def _ratio(axes: Axes, ratio: "pd.DataFrame") -> None:
    axes.errorbar(
        ratio["time_s"], ratio["ratio"], yerr=2 * ratio["ratio_se"], color="black", marker="o", markersize=3,
        elinewidth=0.8,
    )  # fmt: skip
    axes.axhline(1, color="black", linewidth=0.8)
    # Where plating turns to stripping, both rates pass zero and their ratio is meaningless.
    precise = ratio["ratio"][np.isfinite(ratio["ratio"]) & (ratio["ratio_se"] < 0.5)]
    if len(precise):
        low, high = min(float(precise.min()), 1.0), max(float(precise.max()), 1.0)
        margin = 0.15 * (high - low) + 0.05
        axes.set_ylim(low - margin, high + margin)


def area_and_volume(table: "pd.DataFrame", *, phases: Sequence[str] | None = None) -> Figure:
    """Draw true area, volume over the datum and their ratio over time.

    Parameters
    ----------
    table : DataFrame
        Columns ``time_s``, ``area_um2``, ``volume_um3`` and ``area_per_volume_per_um``.
    phases : sequence of str, optional
        One per row.

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
    figure = page(3.4)
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
    figure = page(2.5 * rows)
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
    phases: Sequence[str] | None = None,
) -> Figure:
    """Draw the drift of each scan against the first: lateral, and axial if known.

    Parameters
    ----------
    shift_um : (T, 2) float, µm
        Displacement along y and x.
    times_s : (T,) float, s
    axial_um, axial_sigma_um : (T,) float, µm, optional
        Not drawn if zero throughout, as without a reference. The band extends two standard deviations to each
        side.
    phases : (T,) str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    shift, times = np.asarray(shift_um, np.float64), np.asarray(times_s, np.float64)
    drifts = axial_um is not None and bool(np.nan_to_num(np.asarray(axial_um, np.float64)).any())
    figure = page(3.4)
    lateral, *rest = figure.subplots(1, 2 if drifts else 1, squeeze=False)[0]
    for column, name in ((1, "x, to the right"), (0, "y, down the image")):
        lateral.plot(
            times, shift[:, column], color=REGION_COLOURS[column], marker="o", markersize=3, label=name
        )
    lateral.legend(frameon=False)
    _time_axis(lateral, times, phases, "lateral drift (µm)")
    if not drifts:
        return figure
    height = np.asarray(axial_um, np.float64)
    if axial_sigma_um is not None:
        margin = 2 * np.asarray(axial_sigma_um, np.float64)
        rest[0].fill_between(
            times, height - margin, height + margin, color=REGION_COLOURS[2], alpha=0.25, linewidth=0
        )
    rest[0].plot(times, height, color=REGION_COLOURS[2], marker="o", markersize=3)
    _time_axis(rest[0], times, phases, "axial drift (µm)")
    return figure


def _band(axes: Axes, rows: "pd.DataFrame", value: str, error: str, colour: str) -> None:
    if error in rows.columns:
        low, high = (rows[value] + sign * 2 * rows[error] for sign in (-1, 1))
        axes.fill_between(rows["time_s"], low, high, color=colour, alpha=0.2, linewidth=0)


def _time_axis(
    axes: Axes, times_s: ArrayLike, phases: Sequence[str] | None, label: str, *, named: bool = True
) -> None:
    shade_phases(axes, times_s, phases, named=named)
    axes.set_xlabel("time (s)")
    axes.set_ylabel(label)
    axes.grid(color="#cccccc", linewidth=0.6)
    axes.set_axisbelow(True)


def _need(table: "pd.DataFrame", *columns: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            f"the table lacks the column {missing[0]!r}: it has {', '.join(map(str, table.columns))}"
        )
