"""Figures of the instrument's properties: maps, distributions and curves, one page each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.figures.maps import DIVERGING, ColourScale, draw_map, page

if TYPE_CHECKING:
    from lee.metrology.comparison import MapComparison
    from lee.metrology.edge import EdgeResolution
    from lee.metrology.flatness import Flatness
    from lee.metrology.linearity import Linearity
    from lee.metrology.noise import RepeatedMeasurement
    from lee.metrology.quantity import InstrumentResult

BLUE, ORANGE = "#0072b2", "#d55e00"


def noise_figure(found: RepeatedMeasurement) -> Figure:
    """Draw the last map's deviation, the distribution of all, and the noise against the distance of scans.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.
    """
    figure = page(8.4)
    places = figure.subplots(2, 2)
    deviation_map(
        places[0, 0], found.deviation_um[-1], found.pixel_um, "last map − mean of all, without form"
    )
    level = found.quantities[0].value
    distribution(places[0, 1], found.deviation_um, level * np.sqrt(1 - 1 / len(found.deviation_um)))
    axes = places[1, 0]
    if len(found.by_lag) > 1:
        axes.plot(found.by_lag["lag"], found.by_lag["noise_um"], color=BLUE, marker="o", markersize=3)
        axes.axhline(level, color="black", linewidth=0.8, linestyle="--")
        axes.set_ylim(0, 1.2 * max(float(found.by_lag["noise_um"].max()), level))
        axes.set_xlabel("scans apart")
        axes.set_ylabel("noise (µm)")
        _grid(axes)
    else:
        axes.plot(found.details["scan"], found.details["deviation_um"], color=BLUE, marker="o")
        axes.set_xlabel("map")
        axes.set_ylabel("rms deviation (µm)")
        axes.set_ylim(bottom=0)
    quantities(places[1, 1], found)
    return figure


def flatness_figure(found: Flatness) -> Figure:
    """Draw the deviation from flatness as a map and along both axes."""
    figure = page(8.4)
    places = figure.subplots(2, 2)
    title = f"deviation from flat, S-filter {found.s_filter_um:.3g} µm"
    deviation_map(places[0, 0], found.deviation_um, found.pixel_um, title)
    distribution(places[0, 1], found.deviation_um, None)
    for name, colour in (("x", BLUE), ("y", ORANGE)):
        part = found.details[found.details["axis"] == name]
        places[1, 0].plot(part["position_um"], part["deviation_um"], color=colour, label=f"mean along {name}")
    places[1, 0].legend(frameon=False)
    places[1, 0].set_xlabel("position (µm)")
    places[1, 0].set_ylabel("deviation (µm)")
    _grid(places[1, 0])
    quantities(places[1, 1], found)
    return figure


def linearity_figure(found: Linearity) -> Figure:
    """Draw measured over known heights with the fitted line, and the deviations from it."""
    figure = page(4.8)
    over, off, text = figure.subplots(1, 3)
    table = found.details.sort_values("known_um")
    over.errorbar(
        table["known_um"], table["measured_um"], xerr=table["known_sigma_um"], yerr=table["measured_se_um"],
        fmt="o", color=BLUE, markersize=4,
    )  # fmt: skip
    over.plot(table["known_um"], table["fitted_um"], color=ORANGE, linewidth=1)
    over.set_xlabel("known height (µm)")
    over.set_ylabel("measured height (µm)")
    off.axhline(0, color="black", linewidth=0.8)
    off.errorbar(
        table["known_um"],
        table["deviation_um"],
        yerr=table["measured_se_um"],
        fmt="o",
        color=BLUE,
        markersize=4,
    )
    off.set_xlabel("known height (µm)")
    off.set_ylabel("deviation from the line (µm)")
    for axes in (over, off):
        _grid(axes)
    quantities(text, found)
    return figure


def edge_figure(found: EdgeResolution) -> Figure:
    """Draw the response of the edge with the fitted Gaussian's."""
    figure = page(4.8)
    axes, text = figure.subplots(1, 2, width_ratios=(2, 1))
    table = found.details
    axes.plot(table["distance_um"], table["response"], ".", color=BLUE, label="measured")
    axes.plot(table["distance_um"], table["fitted"], color=ORANGE, label="edge under a Gaussian")
    far = min(8 * found.quantities[1].value, float(table["distance_um"].max()))
    axes.set_xlim(-far, far)
    axes.set_xlabel("distance from the edge (µm)")
    axes.set_ylabel("share of the step")
    axes.legend(frameon=False)
    _grid(axes)
    quantities(text, found)
    return figure


def deviation_map(axes: Axes, values: NDArray[np.float64], pixel_um: float, title: str) -> None:
    """Draw signed deviations about 0, with their colour bar."""
    known = np.abs(values[np.isfinite(values)])
    reach = (float(np.percentile(known, 99.5)) if known.size else 0.0) or 1e-9
    scale = ColourScale(DIVERGING, -reach, reach, "both")
    drawn = draw_map(axes, values.astype(np.float32), pixel_um, scale)
    axes.figure.colorbar(drawn, ax=axes, label="deviation (µm)", extend="both")
    axes.set_title(title, fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])


def distribution(axes: Axes, values: NDArray[np.float64], sigma_um: float | None) -> None:
    """Draw the distribution of deviations, and the normal one of that standard deviation."""
    known = values[np.isfinite(values)]
    reach = float(np.percentile(np.abs(known), 99.9)) or 1e-9
    heights, edges = np.histogram(known, bins=100, range=(-reach, reach), density=True)
    axes.stairs(heights, edges, fill=True, color=BLUE, alpha=0.4)
    if sigma_um:
        x = np.linspace(-reach, reach, 300)
        normal = np.exp(-((x / sigma_um) ** 2) / 2) / (sigma_um * np.sqrt(2 * np.pi))
        axes.plot(x, normal, color=ORANGE, label="normal, as wide")
        axes.legend(frameon=False)
    axes.set_xlabel("deviation (µm)")
    axes.set_ylabel("density (1/µm)")


def quantities(axes: Axes, found: InstrumentResult) -> None:
    """Write the properties as text."""
    axes.set_axis_off()
    lines = [one.text() for one in found.quantities]
    for k, (name, text) in enumerate(lines):
        y = 1 - (k + 0.5) / max(len(lines), 8)
        axes.text(0.0, y, name, transform=axes.transAxes, va="center")
        axes.text(0.5, y, text, transform=axes.transAxes, va="center")


def _grid(axes: Axes) -> None:
    axes.grid(color="#cccccc", linewidth=0.6)
    axes.set_axisbelow(True)


def comparison_figure(found: MapComparison) -> Figure:
    """Draw both maps, their difference, the difference by height, and the response by period."""
    figure = page(12.0)
    places = figure.subplots(3, 2)
    both = np.concatenate([found.maps.first_um.ravel(), found.maps.second_um.ravel()])
    middles = [float(np.nanmedian(one)) for one in (found.maps.first_um, found.maps.second_um)]
    reach = float(np.nanpercentile(np.abs(both - np.repeat(middles, both.size // 2)), 99.5)) or 1e-9
    for axes, values, middle, title in (
        (places[0, 0], found.maps.first_um, middles[0], f"first map, {found.maps.orientation}"),
        (places[0, 1], found.maps.second_um, middles[1], "second map"),
    ):
        scale = ColourScale("viridis", -reach, reach, "both")
        drawn = draw_map(axes, (values - middle).astype(np.float32), found.maps.pixel_um, scale)
        figure.colorbar(drawn, ax=axes, label="height over the median (µm)", extend="both")
        axes.set_title(title, fontsize="medium")
        axes.set_xticks([])
        axes.set_yticks([])
    deviation_map(places[1, 0], found.difference_um, found.maps.pixel_um, "first − second, without tilt")
    axes = places[1, 1]
    axes.errorbar(
        found.bias["height_um"], found.bias["difference_um"], yerr=found.bias["se_um"], fmt="o", color=BLUE,
        markersize=4,
    )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("height of the second map (µm)")
    axes.set_ylabel("mean difference (µm)")
    _grid(axes)
    _response(places[2, 0], found)
    quantities(places[2, 1], found)
    return figure


def _response(axes: Axes, found: MapComparison) -> None:
    table = found.details
    axes.errorbar(
        table["period_um"], table["response"], yerr=table["response_se"].clip(upper=1), color=BLUE,
        marker="o", markersize=3, linewidth=1, elinewidth=0.6, label="height response",
    )  # fmt: skip
    axes.plot(table["period_um"], table["coherence"], color="#999999", linewidth=1, label="coherence")
    period = found["lateral_period_limit_um"].value
    if np.isfinite(period):
        axes.axvline(period, color=ORANGE, linewidth=1, linestyle="--")
    axes.axhline(0.5, color="black", linewidth=0.6)
    axes.set_xscale("log")
    axes.set_ylim(-0.1, 1.4)
    axes.set_xlabel("period (µm)")
    axes.set_ylabel("response, coherence")
    axes.legend(frameon=False)
    _grid(axes)
