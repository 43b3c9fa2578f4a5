"""The roughness of a surface on disk: scale-limited surface, table, figure, and how it was measured."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lee.figures.maps import colour_scale, draw_map, page, scale_bar
from lee.storage.atomic import new_folder
from lee.storage.description import json_values, versions
from lee.storage.map_tiff import write_map
from lee.surfaces.roughness.result import UNITS, Roughness

FORMAT = "lee roughness"
FORMAT_VERSION = 1
FILES = frozenset({"surface_um.tif", "parameters.csv", "profile.csv", "roughness.png", "roughness.json"})
HOLDS = (
    "± holds random errors of the heights, if they are as large as stated, spread and bias; not relief that "
    "the instrument does not resolve, other places of the sample, nor the scales of z and of the pixel"
)
_LEFT_OUT = ("Sp_um", "Sv_um", "Smr1_percent", "Smr2_percent")  # of the figure


def save_roughness(
    rough: Roughness,
    folder: str | Path,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Write roughness as a folder: the scale-limited surface, a table of the parameters, a figure, JSON.

    Parameters
    ----------
    rough : Roughness
    folder : str or Path
        Must not exist unless `overwrite`.
    overwrite : bool
        Replace an older folder of this kind. One that holds anything else is never replaced.
    metadata : mapping, optional
        Where the heights came from; must fit into JSON.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder exists.
    StorageError
        If it cannot be written, or the disk is full.
    """
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        write_map(place / "surface_um.tif", rough.surface_um.astype(np.float32), rough.pixel_um)
        rough.table().to_csv(place / "parameters.csv", index=False)
        if rough.line is not None:
            columns = ("distance_um", "height_um", "roughness_um")
            pd.DataFrame({name: getattr(rough.line, name) for name in columns}).to_csv(
                place / "profile.csv", index=False
            )
        roughness_figure(rough).savefig(place / "roughness.png", format="png")
        text = json.dumps(json_values(_described(rough, metadata or {})), indent=2, allow_nan=False)
        (place / "roughness.json").write_text(text + "\n", encoding="utf-8")
    return Path(folder)


def quantity(name: str, value: float, sigma: float) -> tuple[str, str]:
    """Return a parameter's symbol and its value with uncertainty and unit, as text."""
    symbol, unit = name, ""
    for ending, shown in UNITS.items():
        if name.endswith("_" + ending):
            symbol, unit = name.removesuffix("_" + ending), " " + shown
    symbol = symbol.replace("_", " ")
    if not np.isfinite(value):
        return symbol, "–"
    if not np.isfinite(sigma):
        return symbol, f"{value:.4g}{unit}"
    digits = 0 if sigma == 0 else max(0, 1 - int(np.floor(np.log10(sigma))))
    if digits > 6 or sigma == 0:
        return symbol, f"{value:.4g}{unit}"
    return symbol, f"{value:.{digits}f} ± {sigma:.{digits}f}{unit}"


def roughness_figure(rough: Roughness) -> Figure:
    """Draw the scale-limited surface, its material ratio, its autocorrelation, parameters, and a profile.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.
    """
    figure = page(8.6 if rough.line is None else 11.6)
    grid = figure.add_gridspec(2 if rough.line is None else 3, 2)
    _surface(figure.add_subplot(grid[0, 0]), rough)
    _ratio(figure.add_subplot(grid[0, 1]), rough)
    _correlation(figure.add_subplot(grid[1, 0]), rough)
    _parameters(figure.add_subplot(grid[1, 1]), rough)
    if rough.line is not None:
        _line(figure.add_subplot(grid[2, :]), rough)
    return figure


def _surface(axes: Axes, rough: Roughness) -> None:
    values = rough.surface_um.astype(np.float32)
    drawn = draw_map(axes, values, rough.pixel_um, colour_scale("height", [values]))
    axes.figure.colorbar(drawn, ax=axes, label="height (µm)")
    filters = [
        f"{name}-filter {cutoff:g} µm"
        for name, cutoff in (("S", rough.s_filter_um), ("L", rough.l_filter_um))
        if cutoff is not None
    ]
    limited = ", ".join([f"form of order {rough.form_order} removed", *filters])
    axes.set_title(f"{limited}; {100 * rough.coverage:.1f} % measured", fontsize="medium")
    scale_bar(axes, values.shape[1] * rough.pixel_um)


def _ratio(axes: Axes, rough: Roughness) -> None:
    ratio = rough.ratio
    axes.plot(ratio.ratio_percent, ratio.height_um, color="black")
    axes.plot([0, 100], [ratio.top_um, ratio.top_um - ratio.Sk_um], color="#d55e00", linewidth=1)
    for level in (ratio.top_um, ratio.top_um - ratio.Sk_um):
        axes.axhline(level, color="#d55e00", linewidth=0.8, linestyle="--")
    known = rough.surface_um[np.isfinite(rough.surface_um)]
    counts, edges = np.histogram(known, bins=80)
    share = 40 * counts / max(counts.max(), 1)
    axes.barh(edges[:-1], share, height=np.diff(edges), align="edge", color="#0072b2", alpha=0.35)
    axes.set_xlim(0, 100)
    axes.set_xlabel("material ratio (%)")
    axes.set_ylabel("height (µm)")
    axes.set_title("material ratio, core between the dashed lines; heights' histogram", fontsize="medium")


def _correlation(axes: Axes, rough: Roughness) -> None:
    values = rough.correlation.values
    rows, columns = (n // 2 * rough.pixel_um for n in values.shape)
    half = rough.pixel_um / 2
    extent = (-columns - half, columns + half, rows + half, -rows - half)
    drawn = axes.imshow(values, extent=extent, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    if np.isfinite(values).all() and min(values.shape) > 2:
        axes.contour(
            values, levels=[0.2], extent=(*extent[:2], *extent[:1:-1]), colors="black", linewidths=0.8
        )
    axes.figure.colorbar(drawn, ax=axes, label="autocorrelation")
    axes.set_xlabel("lag along x (µm)")
    axes.set_ylabel("lag along y (µm)")
    axes.set_title("autocorrelation; line at 0.2", fontsize="medium")


def _parameters(axes: Axes, rough: Roughness) -> None:
    axes.set_axis_off()
    lines = [
        quantity(one.name, one.value, one.sigma) for one in rough.parameters if one.name not in _LEFT_OUT
    ]
    for k, (symbol, text) in enumerate(lines):
        y = 1 - (k + 0.5) / len(lines)
        axes.text(0.05, y, symbol, transform=axes.transAxes, va="center")
        axes.text(0.4, y, text, transform=axes.transAxes, va="center")
    uncertain = (
        "± holds random errors of the heights" if rough.noise else "errors of the heights are not known"
    )
    axes.set_title(uncertain, fontsize="medium")


def _line(axes: Axes, rough: Roughness) -> None:
    line = rough.line
    assert line is not None
    axes.plot(line.distance_um, line.height_um, color="#0072b2", label="without form")
    axes.plot(line.distance_um, line.roughness_um, color="#d55e00", linewidth=1, label="about its mean line")
    if line.step is not None:
        for low, high in line.step.portions_um:
            axes.axvspan(low, high, color="#009e73", alpha=0.15, linewidth=0)
    axes.set_xlabel("distance along the line (µm)")
    axes.set_ylabel("height (µm)")
    axes.legend(frameon=False)


def _described(rough: Roughness, metadata: Mapping[str, object]) -> dict[str, object]:
    line = rough.line
    step = None if line is None or line.step is None else vars(line.step)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "shape_px": list(rough.surface_um.shape),
        "pixel_um": rough.pixel_um,
        "coverage": rough.coverage,
        "form_order": rough.form_order,
        "s_filter_um": rough.s_filter_um,
        "l_filter_um": rough.l_filter_um,
        "one_sided": rough.one_sided,
        "noise_um": None if rough.noise is None else rough.noise.rms_um,
        "noise_correlation_px": None if rough.noise is None else rough.noise.correlation_px,
        "draws": rough.draws,
        "holds": HOLDS,
        "parameters": {one.name: vars(one) for one in rough.parameters},
        "step": step,
        "versions": versions(),
        "metadata": metadata,
    }
