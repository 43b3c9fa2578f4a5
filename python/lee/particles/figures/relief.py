"""Particles on the surface seen obliquely, those behind a hill left out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, TextArea, VPacker
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError, MissingDependency
from lee.figures.maps import PAGE_IN, page, round_length
from lee.figures.surface import relief
from lee.figures.view import draw_surface, import_pyvista, rendering_unavailable
from lee.particles.figures.circles import Circles
from lee.surfaces.block_mean import block_mean
from lee.surfaces.surface import Surface

Renderer = Literal["auto", "pyvista", "matplotlib"]
_RELIEF_PX = 160  # of `lee.figures.surface.relief`
_HEIGHT_IN = 8.0
_ELEVATION = 50.0  # degrees: steeper than a relief alone is drawn, to look into its trenches
_FACE = "white"
_FILLED = 0.9
_MOST_STRETCH = 50.0  # a plane's noise is no relief


def relief_figure(
    surface: Surface,
    particles: pd.DataFrame,
    *,
    magnification: float | None = None,
    stretch: float | None = None,
    title: str = "",
    renderer: Renderer = "auto",
) -> Figure:
    """Draw the surface obliquely with the particles of one time where they lie on it.

    Parameters
    ----------
    surface : Surface
    particles : DataFrame
        With the columns of `lee.particles.table`, on the grid of the surface; may be empty. Those beyond its
        border are not drawn.
    magnification : float, optional
        Of the diameters, as in `lee.particles.figures.overlays.overlay_figure`.
    stretch : float, optional
        Factor on the height as drawn; by default one that makes the relief readable, 50 at most.
    title : str
    renderer : {"auto", "pyvista", "matplotlib"}
        By default pyvista where it can draw, which shades balls on a fine surface. Without it particles are
        circles, and those behind a hill are left out and counted.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.

    Raises
    ------
    InputError
        If an argument is out of range, the surface a line, or pyvista is asked for and cannot draw.
    """
    if renderer not in ("auto", "pyvista", "matplotlib"):
        raise InputError(f"renderer is {renderer!r}: use 'auto', 'pyvista' or 'matplotlib'")
    if stretch is not None and not (np.isfinite(stretch) and stretch > 0):
        raise InputError(f"stretch is {stretch}: it must be a positive number")
    if not has_relief(surface):
        raise InputError(f"a surface of {surface.shape} pixels is too narrow to be seen obliquely")
    missing = rendering_unavailable() if renderer != "matplotlib" else "not asked for"
    if renderer == "pyvista" and missing:
        raise MissingDependency(f"the surface cannot be drawn by pyvista: {missing}")
    rows, columns = surface.shape
    field = (rows * surface.pixel_um, columns * surface.pixel_um)
    circles = Circles.for_particles(particles, field, magnification=magnification)
    row, column = (particles[name].to_numpy(np.float64) / surface.pixel_um for name in ("y_um", "x_um"))
    with np.errstate(invalid="ignore"):
        inside = (row >= -0.5) & (row < rows - 0.5) & (column >= -0.5) & (column < columns - 0.5)
    shown = particles[inside]
    drawn = circles.drawn_um(circles.values(shown))
    # Without a size as large as the smallest that are told apart by their colour elsewhere.
    drawn = np.where(np.isfinite(drawn), drawn, circles.drawn_um(np.array([circles.limits[0]]))[0])
    if stretch is None:
        low, high = np.percentile(surface.height_filled_um, (0.5, 99.5))
        readable = 0.25 * max(field) / max(float(high - low), 1e-6)
        stretch = round_length(float(np.clip(readable, 1.0, _MOST_STRETCH)))
    draw = _by_matplotlib if missing else _by_pyvista
    figure = draw(surface, shown, drawn, stretch, circles, title)
    return figure


def has_relief(surface: Surface) -> bool:
    """Tell whether a surface is wide enough both ways to be drawn obliquely."""
    return -(-min(surface.shape) // _block(surface)) >= 2


def _block(surface: Surface) -> int:
    """Pixels that `lee.figures.surface.relief` averages, each way."""
    return max(1, -(-max(surface.shape) // _RELIEF_PX))


def _by_matplotlib(
    surface: Surface,
    particles: pd.DataFrame,
    drawn_um: NDArray[np.float64],
    stretch: float,
    circles: Circles,
    title: str,
) -> Figure:
    figure = page(_HEIGHT_IN)
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    axes.set_proj_type("ortho")
    relief(axes, surface, stretch=stretch)
    block = _block(surface)
    step = block * surface.pixel_um
    height = block_mean(surface.height_filled_um, block)[0].astype(np.float64)
    rows, columns = height.shape
    low, high = axes.get_zlim()
    # Without margins, so that lengths along all axes are drawn alike, height stretched.
    wide, deep = max(columns - 1, 1) * step, max(rows - 1, 1) * step
    axes.set(xlim=(0, wide), ylim=(0, deep), ylabel="y, up the image (µm)")
    axes.view_init(elev=_ELEVATION, azim=axes.azim)
    box = np.array([wide, deep, (high - low) * stretch])
    axes.set_box_aspect(box, zoom=_zoom(box, axes.elev, axes.azim))
    height = np.clip(height, low, high)
    row, column = (
        (particles[name].to_numpy(np.float64) / surface.pixel_um - (block - 1) / 2) / block
        for name in ("y_um", "x_um")
    )
    on = ndimage.map_coordinates(height, [row, column], order=1, mode="nearest")
    # On the surface as it is drawn, which is smoother than the one measured.
    z = np.fmax(np.clip(particles["z_um"].to_numpy(np.float64), low, high), on)
    x, y = column * step, (rows - 1 - row) * step
    hidden = _hidden(height, row, column, z, step_um=step, stretch=stretch, view=(axes.elev, axes.azim))
    seen = ~hidden
    figure.draw_without_rendering()
    points_per_um = _points_per_um(axes, stretch)
    if seen.any():
        axes.scatter(
            x[seen], y[seen], z[seen], s=(drawn_um[seen] * points_per_um) ** 2, c=_FACE, edgecolors="black",
            linewidths=0.8, depthshade=False, zorder=5,
        )  # fmt: skip
    # A zoomed relief reaches beyond the square of its axes.
    for drawn in axes.collections:
        drawn.set_clip_on(False)
    behind = f", {int(hidden.sum())} behind hills not drawn" if hidden.any() else ""
    axes.set_title(_said(title, len(particles), stretch, surface, "grey") + behind, fontsize=11)
    if len(particles):
        _references(figure, circles, points_per_um)
    return figure


def _zoom(box: NDArray[np.float64], elevation: float, azimuth: float) -> float:
    """Choose how large a box is drawn, so that it fills the page; matplotlib holds its diagonal constant."""
    up, around = np.radians((elevation, azimuth))
    across = box[0] * abs(np.sin(around)) + box[1] * abs(np.cos(around))
    upward = (box[0] * abs(np.cos(around)) + box[1] * abs(np.sin(around))) * np.sin(up) + box[2] * np.cos(up)
    return float(_FILLED * np.linalg.norm(box) / max(upward, across / 1.35))


def _hidden(
    height: NDArray[np.float64],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    z: NDArray[np.float64],
    *,
    step_um: float,
    stretch: float,
    view: tuple[float, float],
) -> NDArray[np.bool_]:
    """Tell which points the surface hides: the line of sight from the point passes below it somewhere.

    Parameters
    ----------
    height : (H, W) um
        Its first row far away.
    row, column, z : (N,) px, px, um
    view : (float, float), degrees
        Elevation and azimuth of the camera, which is far away.
    """
    elevation, azimuth = np.radians(view)
    slope = np.tan(elevation) * step_um / stretch  # um up a pixel toward the camera
    along, down = np.cos(azimuth), -np.sin(azimuth)
    hidden = np.zeros(len(z), dtype=bool)
    margin = 0.02 * (float(height.max() - height.min()) if height.size else 0.0)
    reach = float(np.hypot(*height.shape))
    for far in np.arange(1.0, reach, 0.5):
        sight = z + slope * far
        r, c = row + down * far, column + along * far
        within = (r >= 0) & (r <= height.shape[0] - 1) & (c >= 0) & (c <= height.shape[1] - 1)
        if not (within & (sight < height.max())).any():
            break
        there = ndimage.map_coordinates(height, [r, c], order=1, mode="nearest")
        hidden |= within & (there > sight + margin)
    return hidden


def _points_per_um(axes: Any, stretch: float) -> float:
    """Measure how long a um, seen straight on, is drawn; axes are orthographic and all scales alike."""
    matrix = axes.get_proj()
    # A step to the right as it is seen lies in the plane of x and y.
    azimuth = np.radians(axes.azim)
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    ends = [matrix @ np.append(place, 1.0) for place in (np.zeros(3), right)]
    pixels = axes.transData.transform([end[:2] / end[3] for end in ends])
    return float(np.hypot(*(pixels[1] - pixels[0])) * 72 / axes.figure.dpi)


def _by_pyvista(
    surface: Surface,
    particles: pd.DataFrame,
    drawn_um: NDArray[np.float64],
    stretch: float,
    circles: Circles,
    title: str,
) -> Figure:
    pyvista = import_pyvista()
    # VTK tries X11 first and complains on stderr before it turns to EGL.
    pyvista.vtk_verbosity("off")
    plotter = pyvista.Plotter(off_screen=True, window_size=[1600, 1000])
    try:
        draw_surface(pyvista, plotter, surface, "height", stretch, False)
        if len(particles):
            x, y = (particles[name].to_numpy(np.float64) for name in ("x_um", "y_um"))
            row, column = y / surface.pixel_um, x / surface.pixel_um
            on = ndimage.map_coordinates(
                surface.height_filled_um.astype(np.float64), [row, column], order=1, mode="nearest"
            )
            z = np.fmax(particles["z_um"].to_numpy(np.float64), on) * stretch + drawn_um / 2
            cloud = pyvista.PolyData(np.stack([x, (surface.shape[0] - 1) * surface.pixel_um - y, z], axis=1))
            cloud["drawn_um"] = drawn_um
            balls = cloud.glyph(scale="drawn_um", orient=False, geom=pyvista.Sphere(radius=0.5))
            plotter.add_mesh(balls, color=_FACE, specular=0.3, ambient=0.3)
        picture = np.asarray(plotter.screenshot(None, return_img=True))[..., :3]
    finally:
        plotter.close()
    drawn = np.argwhere((picture < 250).any(axis=-1))
    (top, left), (bottom, right) = drawn.min(axis=0), drawn.max(axis=0) + 1
    picture = picture[top:bottom, left:right]
    figure = page(min(0.97 * PAGE_IN * picture.shape[0] / picture.shape[1], _HEIGHT_IN) + 0.7)
    axes = figure.add_subplot()
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_title(_said(title, len(particles), stretch, surface, "orange"), fontsize=11)
    if len(particles):
        figure.supxlabel(circles.said.replace("circles", "balls"), fontsize=9.5)
    return figure


def _said(title: str, count: int, stretch: float, surface: Surface, gaps: str) -> str:
    found = f"{count} particle{'s' * (count != 1)} on the surface" if count else "no particles found"
    stretched = "" if stretch == 1 else f"height stretched ×{stretch:g}"
    told = "" if surface.valid.all() else f"{gaps}: not measured"
    return ", ".join(part for part in (title, found, stretched, told) if part)


def _references(figure: Figure, circles: Circles, points_per_um: float) -> None:
    lines: list[Any] = [TextArea(circles.said.replace(": ", ":\n"), textprops={"size": 9.5})]
    for drawn, label in circles.references():
        side = drawn * points_per_um
        ring = DrawingArea(side, side)
        round_one = Circle((side / 2, side / 2), side / 2, facecolor=_FACE, edgecolor="black", linewidth=0.8)
        ring.add_artist(round_one)
        told = TextArea(label, textprops={"size": 9.5})
        lines.append(HPacker(children=[ring, told], align="center", pad=0, sep=6))
    packed = VPacker(children=lines, align="left", pad=0, sep=6)
    key = AnchoredOffsetbox(
        "upper left", child=packed, pad=0, borderpad=0, frameon=False, bbox_to_anchor=(0.01, 0.95),
        bbox_transform=figure.transFigure,
    )  # fmt: skip
    key.set_in_layout(False)
    figure.add_artist(key)
