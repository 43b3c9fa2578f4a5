"""Particles on the surface in an oblique view, without those behind a hill."""

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
_ELEVATION = 50.0  # degrees: steeper than for a relief alone, to look into its trenches
_FACE = "white"
_FILLED = 0.9
_MAX_STRETCH = 50.0  # so that the noise of a plane is not drawn as a relief


def relief_figure(
    surface: Surface,
    particles: pd.DataFrame,
    *,
    magnification: float | None = None,
    stretch: float | None = None,
    title: str = "",
    renderer: Renderer = "auto",
) -> Figure:
    """Draw the surface obliquely with the particles of one time on it.

    Parameters
    ----------
    surface : Surface
    particles : DataFrame
        With the columns of `lee.particles.table`, on the grid of the surface; may be empty. Particles
        beyond its border are not drawn.
    magnification : float, optional
        Of the diameters, as in `lee.particles.figures.overlays.overlay_figure`.
    stretch : float, optional
        Factor on the height as drawn; by default chosen so that the relief is readable, at most 50.
    title : str
    renderer : {"auto", "pyvista", "matplotlib"}
        By default pyvista if it can draw: shaded balls on a finely drawn surface. With matplotlib particles
        are circles, and those behind a hill are not drawn but counted.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide.

    Raises
    ------
    InputError
        If an argument is out of range, the surface is a line, or pyvista is requested and cannot draw.
    """
    if renderer not in ("auto", "pyvista", "matplotlib"):
        raise InputError(f"renderer is {renderer!r}: use 'auto', 'pyvista' or 'matplotlib'")
    if stretch is not None and not (np.isfinite(stretch) and stretch > 0):
        raise InputError(f"stretch is {stretch}: it must be a positive number")
    if not has_relief(surface):
        raise InputError(f"a surface of {surface.shape} pixels is too narrow for an oblique view")
    missing = rendering_unavailable() if renderer != "matplotlib" else "not requested"
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
    # Particles without a size are drawn as large as the smallest of the colour scale.
    drawn = np.where(np.isfinite(drawn), drawn, circles.drawn_um(np.array([circles.limits[0]]))[0])
    if stretch is None:
        low, high = np.percentile(surface.height_filled_um, (0.5, 99.5))
        readable = 0.25 * max(field) / max(float(high - low), 1e-6)
        stretch = round_length(float(np.clip(readable, 1.0, _MAX_STRETCH)))
    draw = _by_matplotlib if missing else _by_pyvista
    figure = draw(surface, shown, drawn, stretch, circles, title)
    return figure


def has_relief(surface: Surface) -> bool:
    """Return whether a surface is wide enough along both axes for an oblique view."""
    return -(-min(surface.shape) // _block(surface)) >= 2


def _block(surface: Surface) -> int:
    """Pixels that `lee.figures.surface.relief` averages along each axis."""
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
    # Without margins, so that all axes have one scale, apart from the stretched height.
    wide, deep = max(columns - 1, 1) * step, max(rows - 1, 1) * step
    axes.set(xlim=(0, wide), ylim=(0, deep))
    axes.view_init(elev=_ELEVATION, azim=axes.azim)
    box = np.array([wide, deep, (high - low) * stretch])
    axes.set_box_aspect(box, zoom=_zoom(box, axes.elev, axes.azim))
    height = np.clip(height, low, high)
    row, column = (
        (particles[name].to_numpy(np.float64) / surface.pixel_um - (block - 1) / 2) / block
        for name in ("y_um", "x_um")
    )
    on = ndimage.map_coordinates(height, [row, column], order=1, mode="nearest")
    # On the surface as drawn, which is smoother than the measured one.
    z = np.fmax(np.clip(particles["z_um"].to_numpy(np.float64), low, high), on)
    x, y = column * step, (rows - 1 - row) * step
    occluded = _occluded(height, row, column, z, step_um=step, stretch=stretch, view=(axes.elev, axes.azim))
    visible = ~occluded
    figure.draw_without_rendering()
    points_per_um = _points_per_um(axes, stretch)
    if visible.any():
        axes.scatter(
            x[visible], y[visible], z[visible], s=(drawn_um[visible] * points_per_um) ** 2, c=_FACE,
            edgecolors="black", linewidths=0.8, depthshade=False, zorder=5,
        )  # fmt: skip
    # A zoomed relief reaches beyond the square of its axes.
    for drawn in axes.collections:
        drawn.set_clip_on(False)
    behind = f", {int(occluded.sum())} behind hills not drawn" if occluded.any() else ""
    axes.set_title(_title(title, len(particles), stretch, surface, "grey") + behind, fontsize=11)
    if len(particles):
        _references(figure, circles, points_per_um)
    return figure


def _zoom(box: NDArray[np.float64], elevation: float, azimuth: float) -> float:
    """Choose the zoom that makes a box fill the page; matplotlib keeps its diagonal constant."""
    up, around = np.radians((elevation, azimuth))
    across = box[0] * abs(np.sin(around)) + box[1] * abs(np.cos(around))
    upward = (box[0] * abs(np.cos(around)) + box[1] * abs(np.sin(around))) * np.sin(up) + box[2] * np.cos(up)
    return float(_FILLED * np.linalg.norm(box) / max(upward, across / 1.35))


def _occluded(
    height: NDArray[np.float64],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    z: NDArray[np.float64],
    *,
    step_um: float,
    stretch: float,
    view: tuple[float, float],
) -> NDArray[np.bool_]:
    """Return which points the surface occludes: their line of sight passes below it somewhere.

    Parameters
    ----------
    height : (H, W) µm
        Its first row far away.
    row, column, z : (N,) px, px, µm
    view : (float, float), degrees
        Elevation and azimuth of the camera, which is far away.
    """
    elevation, azimuth = np.radians(view)
    slope = np.tan(elevation) * step_um / stretch  # µm up a pixel toward the camera
    along, down = np.cos(azimuth), -np.sin(azimuth)
    occluded = np.zeros(len(z), dtype=bool)
    margin = 0.02 * (float(height.max() - height.min()) if height.size else 0.0)
    reach = float(np.hypot(*height.shape))
    for far in np.arange(1.0, reach, 0.5):
        sight = z + slope * far
        r, c = row + down * far, column + along * far
        within = (r >= 0) & (r <= height.shape[0] - 1) & (c >= 0) & (c <= height.shape[1] - 1)
        if not (within & (sight < height.max())).any():
            break
        there = ndimage.map_coordinates(height, [r, c], order=1, mode="nearest")
        occluded |= within & (there > sight + margin)
    return occluded


def _points_per_um(axes: Any, stretch: float) -> float:
    """Measure the drawn length of a µm seen face-on; the axes are orthographic with one scale."""
    matrix = axes.get_proj()
    # A step to the right on the page is in the plane of x and y.
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
    axes.set_title(_title(title, len(particles), stretch, surface, "orange"), fontsize=11)
    if len(particles):
        figure.supxlabel(circles.legend.replace("circles", "balls"), fontsize=9.5)
    return figure


def _title(title: str, count: int, stretch: float, surface: Surface, not_measured: str) -> str:
    particles = f"{count} particle{'s' * (count != 1)} on the surface" if count else "no particles found"
    stretched = "" if stretch == 1 else f"height stretched {stretch:g} ×"
    key = "" if surface.valid.all() else f"{not_measured}: not measured"
    return ", ".join(part for part in (title, particles, stretched, key) if part)


def _references(figure: Figure, circles: Circles, points_per_um: float) -> None:
    lines: list[Any] = [TextArea(circles.legend.replace(": ", ":\n"), textprops={"size": 9.5})]
    for drawn, label in circles.references():
        side = drawn * points_per_um
        ring = DrawingArea(side, side)
        circle = Circle((side / 2, side / 2), side / 2, facecolor=_FACE, edgecolor="black", linewidth=0.8)
        ring.add_artist(circle)
        text = TextArea(label, textprops={"size": 9.5})
        lines.append(HPacker(children=[ring, text], align="center", pad=0, sep=6))
    packed = VPacker(children=lines, align="left", pad=0, sep=6)
    key = AnchoredOffsetbox(
        "upper left", child=packed, pad=0, borderpad=0, frameon=False, bbox_to_anchor=(0.01, 0.95),
        bbox_transform=figure.transFigure,
    )  # fmt: skip
    key.set_in_layout(False)
    figure.add_artist(key)
