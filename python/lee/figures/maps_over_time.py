"""Maps of a run as figures: surface, growth and rate over time, and the outlines of regions."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import ArrayLike

from lee.errors import InputError
from lee.figures.maps import PAGE_IN, Maps, Times, colour_scale, draw_map, evenly, map_style, page, time_text

if TYPE_CHECKING:
    from lee.surfaces.profile import Line
    from lee.surfaces.regions import Region

# Okabe and Ito, "Color universal design" (2008); without its yellow, which is invisible on white.
REGION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
REGION_LINES = ("-", "--", ":")
MAX_REGIONS = 8  # nobody can distinguish more
_COLUMNS = 4


def maps_over_time(
    maps: Maps,
    *,
    kind: str,
    times_s: Times,
    pixel_um: float,
    phases: Sequence[str] | None = None,
    count: int = 8,
) -> Figure:
    """Draw maps of one kind at some times of a run, all with the same colours.

    Parameters
    ----------
    maps : (T, H, W) float32
        As `lee.figures.film.write_film` takes them.
    kind : str
        A key of `lee.figures.maps.MAP_STYLES`.
    times_s : (T,) float, s
    pixel_um : float, µm
    phases : (T,) str, optional
    count : int
        Number of maps drawn, evenly chosen, including first and last.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide; pixels that were not measured are hatched.

    Raises
    ------
    InputError
        If there are no maps, or not one time for each.
    """
    if len(maps) == 0 or len(times_s) != len(maps):
        raise InputError(f"{len(times_s)} times for {len(maps)} maps: give one for each, and at least one")
    chosen = evenly(len(maps), count)
    scale = colour_scale(kind, maps)
    style = map_style(kind)
    first = np.asarray(maps[0])
    rows = -(-len(chosen) // _COLUMNS)
    columns = min(len(chosen), _COLUMNS)
    wide = min(0.88 * PAGE_IN / columns, 6.0)
    high = min(wide * first.shape[0] / first.shape[1], 7.0)
    figure = page(rows * (high + 0.3) + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place >= len(chosen):
            axes.set_axis_off()
            continue
        k = chosen[place]
        values = np.asarray(maps[k], np.float32)
        drawn = draw_map(axes, values, pixel_um, scale, shown_px=400)
        phase = f", {phases[k]}" if phases is not None and phases[k] else ""
        empty = "" if np.isfinite(values).any() else ", not measured"
        axes.set_title(f"t = {time_text(times_s[k])}{phase}{empty}", fontsize=10)
        if place % columns == 0:
            axes.set_ylabel("y, down the image (µm)")
        if place + columns >= len(chosen):
            axes.set_xlabel("x (µm)")
            axes.tick_params(labelbottom=True)
    figure.colorbar(
        drawn, ax=panels, label=style.label, extend=scale.extend, fraction=0.025, pad=0.01, aspect=30
    )
    return figure


def map_figure(
    panels: Mapping[str, tuple[str, ArrayLike]],
    *,
    pixel_um: float,
    regions: "Sequence[Region]" = (),
    line_um: "Line | None" = None,
) -> Figure:
    """Draw single maps side by side, each with its own colour bar, with regions and a line over them.

    Parameters
    ----------
    panels : mapping of title to (kind, (H, W) float32)
        Kinds as in `lee.figures.maps.MAP_STYLES`.
    pixel_um : float, µm
    regions : sequence of Region
        Outlined, and named below the maps, in the colours of `curves_of_regions`.
    line_um : ((y0, x0), (y1, x1)), µm, optional
        Drawn as an arrow, as `lee.surfaces.profile.profile` takes it.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.
    """
    if not panels:
        raise InputError("no map to draw")
    shape = np.shape(next(iter(panels.values()))[1])
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    tall = min(0.8 * PAGE_IN / columns * shape[0] / shape[1], 7.0) + 0.8
    figure = page(rows * tall)
    places = figure.subplots(rows, columns, squeeze=False)
    for place, (title, (kind, values)) in zip(places.flat, panels.items(), strict=False):
        array = np.asarray(values, np.float32)
        scale = colour_scale(kind, array[None])
        drawn = draw_map(place, array, pixel_um, scale)
        figure.colorbar(drawn, ax=place, label=map_style(kind).label, extend=scale.extend, shrink=0.9)
        outline_regions(place, regions, pixel_um)
        if line_um is not None:
            _draw_line(place, line_um, pixel_um)
        place.set_title(title)
        place.set_xlabel("x (µm)")
        place.set_ylabel("y, down the image (µm)")
    for place in places.flat[len(panels) :]:
        place.set_axis_off()
    named = []
    for k, region in enumerate(regions[:MAX_REGIONS]):
        if np.any(region.mask):
            look: dict[str, Any] = dict(zip(("color", "linestyle"), region_style(k), strict=True))
            named.append(Line2D([], [], **look, linewidth=2, label=region.name))
    if named:  # below the maps, since names would cover small regions
        figure.legend(handles=named, loc="outside lower center", ncols=MAX_REGIONS, frameon=False)
    return figure


def outline_regions(axes: Axes, regions: "Sequence[Region]", pixel_um: float) -> None:
    """Outline regions on a map; the first eight in their colours."""
    for k, region in enumerate(regions):
        mask = np.asarray(region.mask, bool)
        if not mask.any():
            continue
        named = k < MAX_REGIONS
        colour, line = region_style(k) if named else ("#555555", "-")
        halo: list[AbstractPathEffect] = [withStroke(linewidth=4 if named else 2, foreground="white")]
        # A pixel more on each side, so that a region that reaches the border is closed there.
        y, x = ((np.arange(-1, n + 1) + 0.5) * pixel_um for n in mask.shape)
        outline = axes.contour(
            x, y, np.pad(mask, 1), levels=[0.5], colors=[colour], linestyles=[line],
            linewidths=2 if named else 0.8, zorder=3,
        )  # fmt: skip
        outline.set_path_effects(halo)
        rows, columns = mask.shape
        axes.set(xlim=(0, columns * pixel_um), ylim=(rows * pixel_um, 0))


def in_order(regions: "Sequence[Region]") -> "list[Region]":
    """Put the eight regions that are shown first: given ones, then trenches and protrusions by size."""
    by_size = sorted(regions, key=lambda region: -int(np.count_nonzero(region.mask)))
    found = [[r for r in by_size if r.kind == kind] for kind in ("trench", "protrusion")]
    drawn = [region for region in regions if region.kind not in ("trench", "protrusion")]
    turns = [region for pair in zip_longest(*found) for region in pair if region is not None]
    shown = {region.name for region in [*drawn, *turns][:MAX_REGIONS]}
    return sorted(regions, key=lambda region: region.name not in shown)


def region_style(k: int) -> tuple[str, str]:
    """Return colour and line style of the k-th region, the same in every figure."""
    return (
        REGION_COLOURS[k % len(REGION_COLOURS)],
        REGION_LINES[k // len(REGION_COLOURS) % len(REGION_LINES)],
    )


def _draw_line(axes: Axes, line_um: "Line", pixel_um: float) -> None:
    # Maps are drawn from the edge of their first pixel, lines are given from its centre.
    (y0, x0), (y1, x1) = (tuple(value + pixel_um / 2 for value in end) for end in line_um)
    axes.annotate(
        "", (x1, y1), xytext=(x0, y0), zorder=4,
        arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 2, "shrinkA": 0, "shrinkB": 0,
                    "path_effects": [withStroke(linewidth=4, foreground="white")]},
    )  # fmt: skip
