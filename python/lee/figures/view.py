"""A surface in 3D: an interactive window, or a picture that needs no display."""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lee.errors import InputError, MissingDependency, install_extra
from lee.export.mesh import build_mesh
from lee.storage.atomic import new_file

if TYPE_CHECKING:
    from mpl_toolkits.mplot3d.axes3d import Axes3D

    from lee.surfaces.surface import Surface

_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_MAX_VERTICES = 1_000_000
COLOURS = ("height", "image")
PyVista = Any  # its modules and objects, which have no types of their own
_NO_PYVISTA = f"pyvista is missing: {install_extra('view')}"
_TRIAL = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkRenderWindow
window = vtkRenderWindow()
window.OffScreenRenderingOn()
window.SetSize(8, 8)
window.Render()
"""


def view(
    surface: "Surface",
    *,
    screenshot: str | Path | None = None,
    colour: str = "height",
    stretch: float = 1.0,
    size_px: tuple[int, int] = (1600, 1000),
    from_above: bool = False,
    overwrite: bool = False,
) -> Path | None:
    """Show a surface in an interactive 3D window, or draw that view into a picture.

    Axes and colour bar are in µm. Where nothing was measured, the filled height is shown in orange. A picture
    needs no display; if pyvista or a graphics library is missing, it is drawn coarsely, with a warning.

    Parameters
    ----------
    surface : Surface
    screenshot : str or Path, optional
        Write a picture here instead of opening a window; works without a display.
    colour : {"height", "image"}
        Colour by height, or by the refocused image.
    stretch : float
        Factor on the height as drawn; the axis still shows the true height in µm.
    size_px : (int, int)
        Width and height of window or picture.
    from_above : bool
        Look straight down, the image's top at the top, instead of obliquely.
    overwrite : bool
        Replace an older picture of that name.

    Returns
    -------
    Path or None
        The picture, if one was asked for.

    Raises
    ------
    InputError
        If there is no display for a window, an option is unknown, or the picture exists and `overwrite` is
        not set.
    MissingDependency
        If pyvista is not installed.
    StorageError
        If the picture cannot be written.

    Warns
    -----
    UserWarning
        If a picture is drawn coarsely; it names what to install.
    """
    if colour not in COLOURS:
        raise InputError(f"colour is {colour!r}: use one of {', '.join(COLOURS)}")
    if not (np.isfinite(stretch) and stretch > 0):
        raise InputError(f"stretch is {stretch}: it must be a positive number")
    target = None if screenshot is None else Path(screenshot)
    if target is not None and target.suffix.lower() not in _PICTURES:
        raise InputError(
            f"{target.name!r} is not a picture: give the screenshot a suffix of {', '.join(_PICTURES)}"
        )
    if target is None:
        pyvista = import_pyvista()
        if not _has_display():
            raise InputError(
                "there is no display to open a window on: ask for a picture (--screenshot view.png)"
            )
        plotter = pyvista.Plotter(window_size=list(size_px))
        draw_surface(pyvista, plotter, surface, colour, stretch, from_above)
        plotter.show(title="lee")
        return None
    missing = rendering_unavailable()
    with new_file(target, overwrite=overwrite) as partial:
        if missing:
            warnings.warn(f"the 3D picture is drawn coarsely: {missing}", stacklevel=2)
            _draw_coarsely(partial, surface, colour, stretch, size_px, from_above)
        else:
            pyvista = import_pyvista()
            # VTK tries X11 first and complains on stderr before it turns to EGL.
            pyvista.vtk_verbosity("off")
            plotter = pyvista.Plotter(off_screen=True, window_size=list(size_px))
            try:
                draw_surface(pyvista, plotter, surface, colour, stretch, from_above)
                plotter.screenshot(str(partial))
            finally:
                plotter.close()
    return target


def draw_surface(
    pyvista: PyVista, plotter: PyVista, surface: "Surface", colour: str, stretch: float, from_above: bool
) -> None:
    """Put the surface into a plotter of pyvista, with light and camera."""
    mesh = build_mesh(surface, filled=True, max_vertices=_MAX_VERTICES)
    faces = np.insert(mesh.triangles.astype(np.int64), 0, 3, axis=1)
    low, high = (float(v) for v in np.percentile(mesh.position_um[:, 2], (0.2, 99.8)))
    position = mesh.position_um * np.array([1, 1, stretch], np.float32)
    solid = pyvista.PolyData(position, faces)
    solid.point_data["height (µm)"] = mesh.position_um[:, 2]
    solid.compute_normals(
        inplace=True, cell_normals=False, consistent_normals=False, auto_orient_normals=False
    )
    lit = {"smooth_shading": False, "specular": 0.1, "ambient": 0.2}
    if colour == "image":
        solid.active_texture_coordinates = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], axis=-1)
        plotter.add_mesh(solid, texture=pyvista.numpy_to_texture(mesh.texture), **lit)
    else:
        column = (mesh.uv[:, 0] * surface.shape[1]).astype(int)
        row = (mesh.uv[:, 1] * surface.shape[0]).astype(int)
        shown = np.where(surface.valid[row, column], mesh.position_um[:, 2], np.float32(np.nan))
        solid.point_data["height (µm)"] = shown
        bar = {
            "vertical": True,
            "title": "height (µm)",
            "fmt": "%.3g",
            "position_x": 0.92,
            "position_y": 0.25,
        }
        plotter.add_mesh(
            solid, scalars="height (µm)", cmap="viridis", clim=(low, high), nan_color="darkorange",
            scalar_bar_args=bar, **lit,
        )  # fmt: skip
    plotter.set_background("white")
    rows, columns = surface.shape
    if from_above:
        plotter.view_xy()
        plotter.enable_parallel_projection()
        wide = columns * plotter.window_size[1] / plotter.window_size[0]
        plotter.camera.parallel_scale = 0.5 * surface.pixel_um * max(rows, wide) * 1.05
        return
    lowest, highest = np.floor(mesh.position_um[:, 2].min()), np.ceil(mesh.position_um[:, 2].max())
    wide, deep = columns * surface.pixel_um, rows * surface.pixel_um
    # The image's top is far away: y is labelled down it. VTK's font has no µ: it would show metres.
    plotter.show_bounds(
        bounds=(0, wide, 0, deep, lowest * stretch, highest * stretch),
        axes_ranges=(0, wide, deep, 0, lowest, highest),
        xtitle="x (um)", ytitle="y, down the image (um)", ztitle="height (um)", location="outer",
        font_size=14, n_zlabels=3, fmt="%.4g", color="black",
    )  # fmt: skip
    plotter.view_vector((-0.45, -1.0, 0.75), viewup=(0, 0, 1))
    plotter.camera.zoom(1.25)
    plotter.camera.SetWindowCenter(0.12, 0.0)  # room for the colour bar


def _draw_coarsely(
    path: Path, surface: "Surface", colour: str, stretch: float, size_px: tuple[int, int], from_above: bool
) -> None:
    from matplotlib.figure import Figure

    from lee.figures.surface import relief

    figure = Figure(figsize=(size_px[0] / 100, size_px[1] / 100), dpi=100)
    axes = cast("Axes3D", figure.add_subplot(projection="3d"))
    relief(axes, surface, colour=colour, stretch=stretch)
    if from_above:
        axes.view_init(elev=90, azim=-90)
    figure.savefig(path)


def import_pyvista() -> PyVista:
    """Import pyvista, or raise an error that names how to install it."""
    try:
        import pyvista
    except ImportError as error:
        raise MissingDependency(f"the 3D window: {_NO_PYVISTA}") from error
    return pyvista


def rendering_unavailable() -> str | None:
    """Return why pyvista cannot draw, or None; tried in a separate process, since VTK may crash."""
    if find_spec("pyvista") is None:
        return _NO_PYVISTA
    trial = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, check=False)
    if trial.returncode != 0:
        return "VTK finds no graphics library: install EGL (Debian: apt install libegl1 libgl1-mesa-dri)"
    return None


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
