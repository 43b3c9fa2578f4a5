"""Maps of a run as figures: how surface, growth and rate change, and where the regions lie."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.series_maps import Maps, colour_limits, draw_map, evenly, look

if TYPE_CHECKING:
    from lee.regions import Region

# Okabe and Ito, "Color universal design" (2008); the yellow is left out, it is lost on white.
REGION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
REGION_LINES = ("-", "--", ":")
_COLUMNS = 4


def maps_over_time(
    maps: Maps,
    *,
    kind: str,
    times_s: Sequence[float],
    pixel_um: float,
    phases: Sequence[str] | None = None,
    count: int = 8,
) -> Figure:
    """Draw maps of one kind at some times of a run, all with the same colours.

    Parameters
    ----------
    maps : (T, H, W) float32
        As `lee.film.write_film` takes them.
    kind : str
        A key of `lee.series_maps.LOOKS`.
    times_s : (T,) float, s
    pixel_um : float, um
    phases : (T,) str, optional
    count : int
        How many are drawn, evenly chosen, first and last among them.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide at 100 dpi; what was not measured is hatched.

    Raises
    ------
    InputError
        If there are no maps, or not one time for each.
    """
    if len(maps) == 0 or len(times_s) != len(maps):
        raise InputError(f"{len(times_s)} times for {len(maps)} maps: give one for each, and at least one")
    chosen = evenly(len(maps), count)
    colours, low, high = colour_limits(kind, maps)
    told = look(kind)
    first = np.asarray(maps[0])
    rows = -(-len(chosen) // _COLUMNS)
    columns = min(len(chosen), _COLUMNS)
    tall = rows * (14.6 / columns * first.shape[0] / first.shape[1] + 0.75) + 0.6
    figure = Figure(figsize=(16, min(max(tall, 4.5), 24)), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place >= len(chosen):
            axes.set_axis_off()
            continue
        k = chosen[place]
        values = np.asarray(maps[k], np.float32)
        drawn = draw_map(axes, values, pixel_um, colours=colours, limits=(low, high), shown_px=400)
        phase = f", {phases[k]}" if phases is not None and phases[k] else ""
        empty = "" if np.isfinite(values).any() else ", not measured"
        axes.set_title(f"t = {times_s[k]:.4g} s{phase}{empty}", fontsize=11)
        if place % columns == 0:
            axes.set_ylabel("y, down the image (µm)")
        if place + columns >= len(chosen):
            axes.set_xlabel("x (µm)")
            axes.tick_params(labelbottom=True)
    figure.colorbar(drawn, ax=panels, label=told.label, extend="both", fraction=0.025, pad=0.01)
    return figure


def map_figure(
    panels: Mapping[str, tuple[str, ArrayLike]],
    *,
    pixel_um: float,
    regions: "Sequence[Region]" = (),
    line_um: tuple[float, float, float, float] | None = None,
) -> Figure:
    """Draw single maps side by side, each with its own colour bar, with regions and a line over them.

    Parameters
    ----------
    panels : mapping of title to (kind, (H, W) float32)
        Kinds as in `lee.series_maps.LOOKS`.
    pixel_um : float, um
    regions : sequence of Region
        Outlined and named, in the colours `curves_of_regions` gives them.
    line_um : (y0, x0, y1, x1), um, optional
        Drawn as an arrow from first to last point.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide at 100 dpi.
    """
    if not panels:
        raise InputError("no map to draw")
    shape = np.shape(next(iter(panels.values()))[1])
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    tall = min(13.2 / columns * shape[0] / shape[1], 9.0) + 0.9
    figure = Figure(figsize=(16, rows * tall), dpi=100, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False)
    for place, (title, (kind, values)) in zip(places.flat, panels.items(), strict=False):
        array = np.asarray(values, np.float32)
        colours, low, high = colour_limits(kind, array[None])
        drawn = draw_map(place, array, pixel_um, colours=colours, limits=(low, high))
        figure.colorbar(drawn, ax=place, label=look(kind).label, extend="both", shrink=0.9)
        outline_regions(place, regions, pixel_um)
        if line_um is not None:
            _draw_line(place, line_um)
        place.set_title(title)
        place.set_xlabel("x (µm)")
        place.set_ylabel("y, down the image (µm)")
    for place in places.flat[len(panels) :]:
        place.set_axis_off()
    return figure


def outline_regions(axes: Axes, regions: "Sequence[Region]", pixel_um: float) -> None:
    """Outline regions on a map and name each where it is widest."""
    for k, region in enumerate(regions):
        mask = np.asarray(region.mask, bool)
        if not mask.any():
            continue
        colour, line = region_style(k)
        y, x = ((np.arange(n) + 0.5) * pixel_um for n in mask.shape)
        halo: list[AbstractPathEffect] = [withStroke(linewidth=4, foreground="white")]
        outline = axes.contour(
            x, y, mask, levels=[0.5], colors=[colour], linestyles=[line], linewidths=2, zorder=3
        )
        outline.set_path_effects(halo)
        row, column = _widest(mask)
        axes.text(
            x[column], y[row], region.name, color=colour, ha="center", va="center", fontsize=11,
            weight="bold", path_effects=halo, zorder=5, clip_on=True,
        )  # fmt: skip


def region_style(k: int) -> tuple[str, str]:
    """Give colour and line style of the k-th region, the same in every figure."""
    return (
        REGION_COLOURS[k % len(REGION_COLOURS)],
        REGION_LINES[k // len(REGION_COLOURS) % len(REGION_LINES)],
    )


def _draw_line(axes: Axes, line_um: tuple[float, float, float, float]) -> None:
    y0, x0, y1, x1 = line_um
    axes.annotate(
        "", (x1, y1), xytext=(x0, y0), zorder=4,
        arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 2, "shrinkA": 0, "shrinkB": 0,
                    "path_effects": [withStroke(linewidth=4, foreground="white")]},
    )  # fmt: skip


def _widest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(inside)), mask.shape)
    return int(row), int(column)
