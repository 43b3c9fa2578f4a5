"""Particles drawn as circles over an image of the surface, at one time or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredOffsetbox, AuxTransformBox, DrawingArea, HPacker, TextArea
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.figures.maps import PAGE_IN, ColourScale, draw_map, evenly, page
from lee.particles.figures.circles import (
    FLAG_COLOURS,
    LARGER,
    NO_FLAG,
    SIZED,
    SMALLER,
    UNKNOWN,
    Circles,
    first_flags,
    markers,
    size_colours,
)
from lee.particles.table import has_flag
from lee.particles.times import by_time, of_time, time_title

Colour = Literal["size", "flag"]
Images = ArrayLike | Mapping[float, ArrayLike]
_LINE, _MARKER = 1.2, 26
_MANY = 1000  # from here on circles would run together
_HALO = 1.2  # points of black on both sides of a line: seen on bright and dark alike
_MAX_IN_ROW = 3
_MAX_HEIGHT_IN = 7.5


def overlay_figure(
    particles: pd.DataFrame,
    image: Images,
    *,
    pixel_um: float,
    colour: Colour = "size",
    times_s: Sequence[float] | None = None,
    magnification: float | None = None,
    count: int = 6,
) -> Figure:
    """Draw particles as circles over an image of the surface.

    The diameter of a circle is the particle's, magnified by a factor given in the legend, which shows
    reference circles. Without any calibration the circle's area is the intensity, as stated in the legend.
    Particles beyond the calibration range are triangles, other particles without a size crosses.

    Parameters
    ----------
    particles : DataFrame
        With the columns of `lee.particles.table`; may be empty.
    image : (H, W), or mapping of time in s to (H, W)
        Refocused image of the surface, or the later frame, counts; NaN where there is none. One for all
        times, or one for each time.
    pixel_um : float, µm
    colour : {"size", "flag"}
    times_s : sequence of float, s, optional
        As in `lee.particles.times.by_time`.
    magnification : float, optional
        By default chosen so that circles are visible and do not cover each other; the same at all times.
    count : int
        Number of times to draw, evenly chosen, including the first and the last.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.

    Raises
    ------
    InputError
        If images differ in shape or one is missing, or an argument is out of range.
    """
    if colour not in ("size", "flag"):
        raise InputError(f"colour is {colour!r}: use 'size' or 'flag'")
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"pixel_um is {pixel_um}: it must be a positive number of µm")
    parts = by_time(particles, times_s)
    chosen = [list(parts)[k] for k in evenly(len(parts), count)]
    images = {time: image_of(image, time) for time in chosen}
    shape = next(iter(images.values())).shape
    if len({one.shape for one in images.values()}) > 1:
        raise InputError("the images of different times differ in shape: give them on one grid")
    scale = _grey(list(images.values()))
    field = (shape[0] * pixel_um, shape[1] * pixel_um)
    circles = Circles.for_particles(particles, field, magnification=magnification)
    columns = min(len(chosen), _MAX_IN_ROW)
    rows = -(-len(chosen) // columns)
    wide = 0.84 * PAGE_IN / columns
    figure = page(
        rows * (min(wide * shape[0] / shape[1], _MAX_HEIGHT_IN) + 0.35) + (1.7 if colour == "flag" else 1.1)
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(panels.flat):
        if place >= len(chosen):
            axes.set_axis_off()
            continue
        time = chosen[place]
        draw_map(axes, images[time], pixel_um, scale, shown_px=1200 // columns)
        draw_circles(axes, parts[time], circles, pixel_um=pixel_um, colour=colour)
        axes.set(xlim=(0, field[1]), ylim=(field[0], 0))
        axes.set_title(_title(time, parts[time]), fontsize=10)
        if place % columns == 0:
            axes.set_ylabel("y, down the image (µm)")
        if place + columns >= len(chosen):
            axes.set_xlabel("x (µm)")
            axes.tick_params(labelbottom=True)
    if len(particles):
        shown = pd.concat([parts[time] for time in chosen])
        # As large as they will be, or a little less.
        per_um = min(wide / field[1], _MAX_HEIGHT_IN / field[0])
        reference_circles(figure, panels[0, 0], shown, circles, in_per_um=per_um)
        if colour == "flag":
            _flag_legend(figure, particles)
        elif np.isfinite(circles.values(shown)).any():
            colours = ScalarMappable(circles.norm, size_colours())
            figure.colorbar(
                colours, ax=panels, label=circles.label, extend="both", fraction=0.03, pad=0.01, aspect=30
            )
    return figure


def image_of(image: Images, time_s: float) -> NDArray[np.float32]:
    """Return the image of a time; InputError if there is none, or it has not two dimensions."""
    selected = np.asarray(of_time(image, time_s, "image"), np.float32)
    if selected.ndim != 2 or 0 in selected.shape:
        raise InputError(f"an image has shape {selected.shape}: give (H, W)")
    return selected


def draw_circles(
    axes: Axes, particles: pd.DataFrame, circles: Circles, *, pixel_um: float, colour: Colour = "size"
) -> None:
    """Draw particles into axes in µm whose origin is the corner of the first pixel."""
    # Maps start at the corner of their first pixel, positions of particles at its middle.
    place = particles[["x_um", "y_um"]].to_numpy(np.float64) + pixel_um / 2
    values, kinds = circles.values(particles), markers(particles, circles)
    line = _LINE if len(particles) <= _MANY else _LINE / 2
    shades = np.ones((len(particles), 4))
    if colour == "flag":
        shades = to_rgba_array([FLAG_COLOURS[name] for name in first_flags(particles)]).reshape(-1, 4)
    else:
        shades[kinds == SIZED] = size_colours()(circles.norm(values[kinds == SIZED]))
    for kind in (SIZED, SMALLER, LARGER, UNKNOWN):
        here = kinds == kind
        if not here.any():
            continue
        drawn = circles.drawn_um(values[here])
        for width, edge in ((line + _HALO, "black"), (line, shades[here])):
            if kind == SIZED:
                rings = EllipseCollection(
                    drawn, drawn, np.zeros_like(drawn), units="xy", offsets=place[here],
                    offset_transform=axes.transData, facecolors="none", edgecolors=edge, linewidths=width,
                    zorder=3,
                )  # fmt: skip
                axes.add_collection(rings, autolim=False)
            else:
                # A cross has no face: matplotlib takes its colour from `c`.
                cross = kind == UNKNOWN
                axes.scatter(
                    place[here, 0], place[here, 1], s=_MARKER, marker=kind, linewidths=width, zorder=3,
                    c=edge if cross else None, facecolors=None if cross else "none",
                    edgecolors=None if cross else edge,
                )  # fmt: skip


def reference_circles(
    figure: Figure, axes: Axes, particles: pd.DataFrame, circles: Circles, *, in_per_um: float
) -> None:
    """Draw circles of round sizes along the bottom of a figure, as large as they are in a map.

    The room for them follows from `in_per_um`, the largest number of inches that a µm of the map may take.
    """
    largest = max(drawn for drawn, _ in circles.references())
    share = max(0.55, largest * in_per_um + 0.2) / figure.get_figheight()
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, share, 1, 1 - share))
    children: list[Artist] = [_text(circles.legend)]
    for drawn, label in circles.references():
        ring = AuxTransformBox(axes.transData)
        ring.add_artist(Ellipse((0, 0), drawn, drawn, facecolor="none", edgecolor="black", linewidth=_LINE))
        children += [ring, _text(label)]
    kinds = set(markers(particles, circles))
    for kind, meaning in (
        (SMALLER, "smaller"),
        (LARGER, "larger than the calibration range"),
        (UNKNOWN, "no size"),
    ):
        if kind in kinds:
            sign = DrawingArea(10, 10)
            sign.add_artist(
                Line2D(
                    [5], [5], marker=kind, markersize=7, color="black", markerfacecolor="none", linewidth=0
                )
            )
            children += [_text(" "), sign, _text(meaning)]
    packed = HPacker(children=children, align="center", pad=0, sep=6)
    legend = AnchoredOffsetbox(
        "center", child=packed, pad=0, borderpad=0, frameon=False, bbox_to_anchor=(0.5, share / 2),
        bbox_transform=figure.transFigure,
    )  # fmt: skip
    legend.set_in_layout(False)
    figure.add_artist(legend)


def _text(text: str) -> TextArea:
    return TextArea(text, textprops={"size": 9.5})


def _flag_legend(figure: Figure, particles: pd.DataFrame) -> None:
    carried = {name: int(has_flag(particles, name).sum()) for name in FLAG_COLOURS if name != NO_FLAG}
    carried[NO_FLAG] = int((first_flags(particles) == NO_FLAG).sum())
    special = {"below_range": SMALLER, "above_range": LARGER}
    handles = [
        Line2D([], [], linewidth=0, marker=special.get(name, SIZED), markerfacecolor="none", markersize=9,
               markeredgecolor=shade, markeredgewidth=1.6,
               label=f"{name.replace('_', ' ')} ({carried[name]})")
        for name, shade in FLAG_COLOURS.items() if carried[name]
    ]  # fmt: skip
    legend = figure.legend(handles=handles, loc="outside upper center", ncols=5, labelcolor="white")
    legend.get_frame().set(facecolor="#444444", edgecolor="none", alpha=1)


def _grey(images: Sequence[NDArray[np.float32]]) -> ColourScale:
    known = np.concatenate([one[np.isfinite(one)][:: max(1, one.size // 100_000)] for one in images])
    if known.size == 0:
        return ColourScale("gray", 0, 1, "neither")
    low, high = (float(v) for v in np.percentile(known, (0.5, 99.7)))
    return (
        ColourScale("gray", low, high, "both")
        if high > low
        else ColourScale("gray", low - 0.5, low + 0.5, "neither")
    )


def _title(time_s: float, particles: pd.DataFrame) -> str:
    found = (
        f"{len(particles)} particle{'s' * (len(particles) != 1)}" if len(particles) else "no particles found"
    )
    return ": ".join(part for part in (time_title(time_s), found) if part)
