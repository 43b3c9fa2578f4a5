"""A comparison of measured and computed rates on disk: tables, difference maps, a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.figures.maps import DIVERGING, ColourScale, draw_map, page, scale_bar, time_text
from lee.storage.atomic import new_folder
from lee.storage.description import json_values, versions
from lee.storage.map_tiff import write_map
from lee.twin.comparison.compare import Comparison
from lee.twin.comparison.inversion import Inversion
from lee.twin.results.figures import scale_of

FORMAT, FORMAT_VERSION = "lee twin comparison", 1
FILES = frozenset(
    {"comparison.png", "comparison.json", "statistics.csv", "curves.csv", "difference", "efficiency.tif",
     "efficiency_sigma.tif", "exchange_current_a_per_m2.tif"}
)  # fmt: skip
_REGION_COLOURS = {"trench": "#b2182b", "protrusion": "#2166ac"}
_BINS = 80


def save_comparison(
    comparison: Comparison,
    folder: str | Path,
    *,
    efficiency: Inversion | None = None,
    exchange_current: Inversion | None = None,
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a comparison as a folder, which appears under its name only when all of it is written.

    ``statistics.csv`` and ``curves.csv`` hold the tables, ``difference`` a TIFF of measured less computed
    rates (nm/s) for each time, ``comparison.png`` the figure, ``comparison.json`` what was assumed; with an
    efficiency or exchange-current map, its TIFFs.

    Parameters
    ----------
    comparison : Comparison
    folder : str or Path
        Must not exist unless `overwrite`.
    efficiency, exchange_current : Inversion, optional
    overwrite : bool
        Replace an older folder of this kind.
    metadata : mapping, optional
        Where the maps came from; must fit into JSON.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder exists or cannot be written.
    """
    pixel_um = comparison.pixel_um
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        comparison.statistics.to_csv(place / "statistics.csv", index=False)
        if len(comparison.curves):
            comparison.curves.to_csv(place / "curves.csv", index=False)
        (place / "difference").mkdir()
        for k, time in enumerate(comparison.times_s):
            name = f"difference_nm_per_s_{k:04d}_{time:.6g}s.tif"
            write_map(place / "difference" / name, _single(comparison.difference_nm_per_s[k]), pixel_um)
        if efficiency is not None:
            write_map(place / "efficiency.tif", _single(efficiency.value), pixel_um)
            write_map(place / "efficiency_sigma.tif", _single(efficiency.sigma), pixel_um)
        if exchange_current is not None:
            write_map(place / "exchange_current_a_per_m2.tif", _single(exchange_current.value), pixel_um)
        figure = draw_comparison(comparison, efficiency=efficiency, exchange_current=exchange_current)
        figure.savefig(place / "comparison.png", format="png")
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": comparison.notes,
            "statistics": comparison.statistics.to_dict(orient="records"),
            "efficiency": _explained(efficiency),
            "exchange_current": _explained(exchange_current),
            "versions": versions(),
            "metadata": metadata or {},
        }
        text = json.dumps(json_values(description), indent=2, allow_nan=False)
        (place / "comparison.json").write_text(text + "\n", encoding="utf-8")
    return Path(folder)


def draw_comparison(
    comparison: Comparison,
    *,
    efficiency: Inversion | None = None,
    exchange_current: Inversion | None = None,
    k: int = -1,
) -> Figure:
    """Draw computed and measured rates, difference, one against the other, and the map that explains them.

    Parameters
    ----------
    comparison : Comparison
    efficiency, exchange_current : Inversion, optional
    k : int
        Index of the time of the maps.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows, columns = comparison.difference_nm_per_s.shape[1:]
    map_in = 3.5 * min(max(rows / columns, 0.4), 1.4) + 0.6
    figure = page(0.5 + map_in + max(map_in, 3.6))
    grid = figure.add_gridspec(2, 3, wspace=0.12, height_ratios=[map_in, max(map_in, 3.6)])
    moment = time_text(float(comparison.times_s[k]))
    both = np.stack([comparison.computed_nm_per_s[k], comparison.measured_nm_per_s[k]])
    shared = scale_of(both[:, np.isfinite(both).all(axis=0)].astype(np.float32), "plasma")
    difference = comparison.difference_nm_per_s[k]
    known = np.abs(difference[np.isfinite(difference)])
    reach = float(np.percentile(known, 99)) or 1e-9
    for place, (title, values, scale, label) in enumerate(
        (
            (f"computed, {moment}", both[0], shared, "height rate (nm/s)"),
            (f"measured, {moment}", both[1], shared, "height rate (nm/s)"),
            ("measured − computed", difference, ColourScale(DIVERGING, -reach, reach, "both"), "(nm/s)"),
        )
    ):
        _panel(figure, figure.add_subplot(grid[0, place]), values, comparison.pixel_um, title, scale, label)
    _against(figure.add_subplot(grid[1, 0]), comparison, k)
    _curves(figure.add_subplot(grid[1, 1]), comparison)
    last = figure.add_subplot(grid[1, 2])
    if exchange_current is not None:
        _panel(
            figure, last, exchange_current.value, comparison.pixel_um,
            "exchange current that would explain the rates",
            scale_of(_single(exchange_current.value), "cividis"),
            "i₀ (A/m²)",
        )  # fmt: skip
    elif efficiency is not None:
        measured = np.isfinite(comparison.measured_nm_per_s[k])
        _panel(
            figure, last, np.where(measured, efficiency.value, np.nan), comparison.pixel_um,
            f"efficiency that would explain the rates\nresolved to {efficiency.resolution_um:.3g} µm",
            scale_of(_single(efficiency.value[measured]), "cividis"), "efficiency",
        )  # fmt: skip
    else:
        last.set_axis_off()
    return figure


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _panel(
    figure: Figure,
    axes: Axes,
    values: NDArray[np.float64],
    pixel_um: float,
    title: str,
    scale: ColourScale,
    label: str,
) -> None:
    drawn = draw_map(axes, _single(values), pixel_um, scale)
    figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0, 0.045, 1)), label=label, extend=scale.extend)
    axes.set_title(title, fontsize=10)
    scale_bar(axes, np.shape(values)[1] * pixel_um)


def _against(axes: Axes, comparison: Comparison, k: int) -> None:
    """Draw measured rates over computed ones, pixel by pixel, with the line of slope 1 and the fitted one."""
    x, y = comparison.computed_nm_per_s[k].ravel(), comparison.measured_nm_per_s[k].ravel()
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    limits = [_wide(np.percentile(values, (0.5, 99.5))) for values in (x, y)]
    axes.hist2d(x, y, bins=_BINS, range=limits, cmap="Greys", norm=LogNorm(), rasterized=True)
    row = comparison.statistics.iloc[k]
    ends = np.array(limits[0])
    axes.plot(ends, ends, color="black", linewidth=0.8, linestyle="--", label="equal")
    if np.isfinite(row.slope):
        line = row.measured_mean + row.slope * (ends - row.computed_mean)
        label = f"slope {row.slope:.2f}"
        if np.isfinite(row.slope_low):
            label += f" ({row.slope_low:.2f} to {row.slope_high:.2f})"
        axes.plot(ends, line, color="#b2182b", label=label)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.set_xlabel("computed height rate (nm/s)")
    axes.set_ylabel("measured height rate (nm/s)")
    correlation = (
        f"r = {row.correlation:.2f}" if np.isfinite(row.correlation) else "computed rates are uniform"
    )
    axes.set_title(f"bias {row.bias:+.2g}, rms {row.rms:.2g} nm/s; {correlation}", fontsize=10)
    axes.legend(fontsize=8, loc="best")


def _wide(span: NDArray[np.float64]) -> tuple[float, float]:
    low, high = (float(v) for v in span)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _curves(axes: Axes, comparison: Comparison) -> None:
    """Draw the rates of regions over time, or the profile of rates over height where there are none."""
    curves = comparison.curves
    if curves.empty:
        _by_height(axes, comparison)
        return
    one = curves["time_s"].nunique() == 1
    for place, (name, part) in enumerate(curves.groupby("region", sort=False)):
        colour = _REGION_COLOURS.get(str(part["kind"].iloc[0]), f"C{place}")
        at = np.full(len(part), float(place)) if one else part["time_s"].to_numpy()
        axes.errorbar(
            at, part["measured_nm_per_s"], yerr=1.96 * part["measured_se_nm_per_s"], color=colour,
            marker="o", markersize=4, linewidth=1, capsize=2, label=f"{name}, measured",
        )  # fmt: skip
        axes.plot(
            at, part["computed_nm_per_s"], color=colour, linestyle="--", marker="x", label=f"{name}, computed"
        )
    if one:
        names = list(dict.fromkeys(curves["region"]))
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        axes.set_title("regions: measured ○ (95 %), computed ×", fontsize=10)
    else:
        axes.set_xlabel("time (s)")
        axes.set_title("regions: measured ○ (95 %), computed ×", fontsize=10)
        if curves["region"].nunique() <= 4:
            axes.legend(fontsize=7)
    axes.set_ylabel("height rate (nm/s)")


def _by_height(axes: Axes, comparison: Comparison, bins: int = 12) -> None:
    if comparison.height_um is None:
        axes.set_axis_off()
        return
    known = np.isfinite(comparison.measured_nm_per_s[-1])
    height = comparison.height_um[known]
    edges = np.unique(np.quantile(height, np.linspace(0, 1, bins + 1)))
    if len(edges) < 3:
        axes.set_axis_off()
        return
    place = np.clip(np.searchsorted(edges, height, side="right") - 1, 0, len(edges) - 2)
    count = np.maximum(np.bincount(place, minlength=len(edges) - 1), 1)
    middle = np.bincount(place, height, minlength=len(edges) - 1) / count
    for name, maps, style in (
        ("measured", comparison.measured_nm_per_s, "o-"),
        ("computed", comparison.computed_nm_per_s, "x--"),
    ):
        axes.plot(
            middle, np.bincount(place, maps[-1][known], minlength=len(edges) - 1) / count, style, label=name
        )
    axes.set_xlabel("height (µm)")
    axes.set_ylabel("mean height rate (nm/s)")
    axes.set_title("rates by height", fontsize=10)
    axes.legend(fontsize=8)


def _explained(found: Inversion | None) -> dict[str, Any] | None:
    if found is None:
        return None
    low, middle, high = (float(v) for v in np.percentile(found.value, (5, 50, 95)))
    return {
        "p05": low,
        "median": middle,
        "p95": high,
        "median_sigma": float(np.nanmedian(found.sigma)) if np.isfinite(found.sigma).any() else None,
        "chi2_per_pixel": found.chi2_per_pixel,
        "expected_chi2_per_pixel": found.expected_chi2_per_pixel,
        "regularisation": found.regularisation,
        "resolution_um": found.resolution_um,
        "uniform_efficiency": found.efficiency,
        "evaluations": found.evaluations,
        "notes": found.notes,
    }
