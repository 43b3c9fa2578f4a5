"""A fit on disk: the cell that was found, a table, and a figure of what it explains."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lee.figures.maps import DIVERGING, ColourScale, draw_map, page, scale_bar, time_text
from lee.storage.atomic import new_folder
from lee.storage.description import json_values, versions
from lee.twin.cell import Cell
from lee.twin.fitting.fit import Fit
from lee.twin.results.figures import scale_of

FORMAT, FORMAT_VERSION = "lee twin fit", 1
FILES = frozenset({"cell.toml", "parameters.csv", "correlation.csv", "fit.json", "fit.png"})


def save_fit(
    found: Fit, folder: str | Path, *, overwrite: bool = False, metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write a fit as a folder, which appears under its name only when all of it is written.

    ``cell.toml`` is the cell with the values found, ``parameters.csv`` and ``correlation.csv`` hold them with
    their errors, ``fit.png`` what they explain, ``fit.json`` all of it with what is not determined.

    Raises
    ------
    InputError
        If the folder exists or cannot be written.
    """
    table = parameters(found)
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        found.cell.save(place / "cell.toml")
        table.to_csv(place / "parameters.csv", index=False)
        pd.DataFrame(found.correlation, index=list(found.names), columns=list(found.names)).to_csv(
            place / "correlation.csv"
        )
        draw_fit(found).savefig(place / "fit.png", format="png")
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "parameters": table.to_dict(orient="records"),
            "correlation_of_logarithms": found.correlation,
            "chi2_per_observation": found.chi2,
            "observations_that_count_as_one": dict(zip(found.chi2, found.result.together, strict=True)),
            "solves": found.result.evaluations,
            "notes": found.notes,
            "assumed": found.solution.notes,
            "versions": versions(),
            "metadata": metadata or {},
        }
        text = json.dumps(json_values(description), indent=2, allow_nan=False)
        (place / "fit.json").write_text(text + "\n", encoding="utf-8")
    return Path(folder)


def parameters(found: Fit) -> pd.DataFrame:
    """Return a row a parameter: ``name value low high unit``; low and high one standard deviation off."""
    units = {parameter.name: parameter.metadata["unit"] for parameter in fields(Cell)}
    return pd.DataFrame(
        {
            "name": found.names,
            "value": found.values,
            "low": found.low,
            "high": found.high,
            "unit": [units[name] for name in found.names],
        }
    )


def draw_fit(found: Fit) -> Figure:
    """Draw measured and computed rates of the last time, their difference, and voltages over time."""
    maps, curves = bool(found.rate_times_s.size), bool(found.voltage_times_s.size)
    rows, columns = found.solution.height_um.shape[1:]
    map_in = 3.5 * min(max(rows / columns, 0.4), 1.4) + 0.6
    figure = page((map_in if maps else 0.0) + (3.4 if curves else 0.0) + 0.4)
    grid = figure.add_gridspec(
        int(maps) + int(curves), 3, height_ratios=[h for h, on in ((map_in, maps), (3.4, curves)) if on]
    )
    if maps:
        _rates(figure, [figure.add_subplot(grid[0, k]) for k in range(3)], found)
    if curves:
        _voltages(figure.add_subplot(grid[-1, :]), found)
    return figure


def _rates(figure: Figure, axes: list[Axes], found: Fit) -> None:
    moment = time_text(float(found.rate_times_s[-1]))
    k = int(np.searchsorted(found.solution.times_s, found.rate_times_s[-1]))
    measured, computed = found.rates_nm_per_s[-1], found.solution.height_rate_nm_per_s[k]
    off = (measured - computed) / found.sigma_nm_per_s[-1]
    both = np.stack([measured, computed])
    shared = scale_of(both[:, np.isfinite(measured)].astype(np.float32), "plasma")
    for place, (title, values, scale, label) in enumerate(
        (
            (f"measured, {moment}", measured, shared, "height rate (nm/s)"),
            (f"computed, {moment}", computed, shared, "height rate (nm/s)"),
            ("measured − computed", off, ColourScale(DIVERGING, -4, 4, "both"), "standard deviations"),
        )
    ):
        drawn = draw_map(axes[place], values.astype(np.float32), found.solution.pixel_um, scale)
        bar = axes[place].inset_axes((1.03, 0, 0.045, 1))
        figure.colorbar(drawn, cax=bar, label=label, extend=scale.extend)
        axes[place].set_title(title, fontsize=10)
        scale_bar(axes[place], values.shape[1] * found.solution.pixel_um)


def _voltages(axes: Axes, found: Fit) -> None:
    times = found.voltage_times_s
    computed = found.solution.cell_voltage_v[np.searchsorted(found.solution.times_s, times)]
    axes.errorbar(times, 1e3 * found.voltages_v, 1e3 * found.voltage_sigma_v, fmt="o", markersize=4,
                  color="black", linewidth=1, label="measured")  # fmt: skip
    axes.plot(times, 1e3 * computed, color="#b2182b", label="computed")
    if times.size > 2 and times[0] > 0 and times[-1] > 30 * times[0]:
        axes.set_xscale("log")
    axes.set_xlabel("time since the current was switched on (s)")
    axes.set_ylabel("voltage of the cell (mV)")
    axes.legend()
