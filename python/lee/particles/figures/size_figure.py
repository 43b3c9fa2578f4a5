"""Histograms of particle sizes at several times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.figures.maps import evenly, page
from lee.particles.sizes import Sizes, is_calibrated, median_text, sizes_of
from lee.particles.times import by_time, time_title

_MAX_SHADE = 0.85


def size_figure(
    particles: pd.DataFrame,
    *,
    times_s: Sequence[float] | None = None,
    confidence: float = 0.95,
    count: int = 6,
) -> Figure:
    """Draw histograms of the sizes at several times, one below the other, with the same bins.

    Medians include the particles beyond the calibration range. Without a calibration, intensities are drawn.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`.
    times_s : sequence of float, s, optional
        As in `lee.particles.times.by_time`.
    confidence : float
        Confidence of the medians' intervals.
    count : int
        Number of times to draw, evenly chosen, including the first and the last.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.
    """
    parts = by_time(particles, times_s)
    chosen = [list(parts)[k] for k in evenly(len(parts), count)]
    calibrated = is_calibrated(particles) or not len(particles)
    sizes = {t: sizes_of(parts[t], calibrated=calibrated, confidence=confidence) for t in chosen}
    edges = shared_edges([one.values for one in sizes.values()], logarithmic=not calibrated)
    figure = page(1.7 * len(chosen) + 1.2)
    panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
    shades = colormaps["viridis"](np.linspace(0, _MAX_SHADE, len(chosen)))
    highest = 1
    for axes, time, shade in zip(panels, chosen, shades, strict=True):
        one = sizes[time]
        number, _, _ = axes.hist(one.values, bins=list(edges), color=shade, edgecolor="white", linewidth=0.5)
        highest = max(highest, int(np.max(number)))
        if np.isfinite(one.median):
            axes.axvline(one.median, color="black", linewidth=1.5)
            if np.isfinite(one.median_interval).all():
                axes.axvspan(*one.median_interval, color="black", alpha=0.18, linewidth=0)
        axes.text(
            1.01, 0.5, _annotation(time, one), transform=axes.transAxes, va="center", ha="left", fontsize=9.5
        )
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.margins(x=0)
    for axes in panels:
        axes.set_ylim(0, 1.1 * highest)
        axes.set_ylabel("particles")
        axes.yaxis.get_major_locator().set_params(integer=True)
        if not calibrated:
            axes.set_xscale("log")
    panels[-1].set_xlabel(
        "particle diameter (nm)"
        if calibrated
        else "intensity (counts); sizes are unknown without a calibration"
    )
    panels[0].set_title(
        f"line and band: median and its {100 * confidence:.0f} % interval from counting statistics",
        fontsize=10,
    )
    return figure


def shared_edges(values: Sequence[NDArray[np.float64]], *, logarithmic: bool = False) -> NDArray[np.float64]:
    """Choose 8 to 30 common bins for several histograms by the rule of Freedman and Diaconis."""
    pooled = np.concatenate([np.empty(0), *values])
    if logarithmic:
        pooled = np.log10(pooled)
    if pooled.size == 0:
        return np.logspace(2, 4, 9) if logarithmic else np.linspace(0, 500, 11)
    low, high = float(pooled.min()), float(pooled.max())
    if high <= low:
        reach = 0.05 if logarithmic else 0.1 * abs(low) + 1e-9
        low, high = low - reach, high + reach
    quartile_range = np.subtract(*np.percentile(pooled, (75, 25)))
    bins = (high - low) / (2 * quartile_range * pooled.size ** (-1 / 3)) if quartile_range > 0 else 8
    edges = np.linspace(low, high, int(np.clip(np.ceil(bins), 8, 30)) + 1)
    return 10**edges if logarithmic else edges


def _annotation(time_s: float, one: Sizes) -> str:
    name = time_title(time_s)
    lines = [f"{name}: {one.count} particles" if name else f"{one.count} particles"] if one.count else [
        f"{name}: no particles found" if name else "no particles found"
    ]  # fmt: skip
    if one.count:
        lines.append(f"median {median_text(one)}")
    if one.below:
        lines.append(f"{one.below} fainter than the calibration range")
    if one.above:
        lines.append(f"{one.above} brighter than the calibration range")
    if one.without:
        lines.append(
            f"{one.without} without a size" if one.is_calibrated else f"{one.without} without intensity"
        )
    return "\n".join(lines)
