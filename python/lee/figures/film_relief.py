"""A film of a run in three dimensions: the surface seen obliquely while it grows."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, MissingDependency
from lee.figures.film import checked
from lee.figures.film_file import new_film, watchable_rate
from lee.figures.maps import Map, Maps, Times, colour_scale, round_length, time_text
from lee.figures.view import PyVista, import_pyvista, rendering_unavailable
from lee.surfaces.block_mean import block_mean
from lee.surfaces.filling import fill

_MAX_VERTICES_PER_SIDE = 300
_HEIGHT = "height (µm)"


def write_relief_film(
    path: str | Path,
    heights: Maps,
    *,
    times_s: Times,
    pixel_um: float,
    phases: Sequence[str] | None = None,
    stretch: float | None = None,
    size_px: tuple[int, int] = (960, 720),
    frames_per_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a film (MP4) of a run's surface seen obliquely, from a camera that stands still.

    Needs pyvista and a graphics library; about 1 s a frame of 512 x 512 without a graphics card.

    Parameters
    ----------
    path : str or Path
        Where to, ending in ``.mp4``.
    heights : (T, H, W) float32, µm
        Read one at a time. What was not measured is shown in orange, at a height that suits its border.
    times_s : (T,) float, s
    pixel_um : float, µm
    phases : (T,) str, optional
    stretch : float, optional
        Factor on the height as drawn, stated in the frame; by default one that makes the relief readable.
    size_px : (int, int)
        Width and height, even.
    frames_per_s : float, optional
    progress : callable, optional
        Called with frames done and frames in all.

    Returns
    -------
    Path
        The film.

    Raises
    ------
    InputError
        As `lee.figures.film.write_film`, and if pyvista or a graphics library is missing.
    """
    path = Path(path)
    shape = checked(path, heights, times_s, phases, pixel_um, frames_per_s)
    if any(side < 2 or side % 2 for side in size_px):
        raise InputError(f"size_px is {size_px}: width and height must be even")
    if stretch is not None and not (np.isfinite(stretch) and stretch > 0):
        raise InputError(f"stretch is {stretch:g}: it must be a positive number")
    missing = rendering_unavailable()
    if missing:
        raise MissingDependency(f"a film in three dimensions cannot be drawn: {missing}")
    scale = colour_scale("height", heights)
    block = -(-max(shape) // _MAX_VERTICES_PER_SIDE)
    field = max(shape) * pixel_um
    if stretch is None:
        stretch = round_length(max(1.0, 0.25 * field / (scale.high - scale.low)))
    scene = _Scene(size_px, scale.limits, block * pixel_um, stretch)
    try:
        with new_film(
            path, size_px, frames=len(heights), frames_per_s=frames_per_s or watchable_rate(len(heights))
        ) as write:
            for k in range(len(heights)):
                phase = f", {phases[k]}" if phases is not None and phases[k] else ""
                write(scene.draw(_thinned(heights[k], block), f"t = {time_text(times_s[k])}{phase}"))
                if progress is not None:
                    progress(k + 1, len(heights))
    finally:
        scene.close()
    return path


def _thinned(height: ArrayLike, block: int) -> Map:
    return block_mean(np.asarray(height, np.float32), block)[0]


class _Scene:
    """One plotter for all frames: only the surface and the words in it change."""

    def __init__(
        self, size_px: tuple[int, int], limits: tuple[float, float], step_um: float, stretch: float
    ) -> None:
        self._pyvista = import_pyvista()
        # VTK tries X11 first and complains on stderr before it turns to EGL.
        self._pyvista.vtk_verbosity("off")
        self._plotter = self._pyvista.Plotter(off_screen=True, window_size=list(size_px))
        self._plotter.set_background("white")
        self._limits, self._step_um, self._stretch = limits, step_um, stretch
        self._grid: PyVista = None
        self._surface: PyVista = None

    def draw(self, height: Map, caption: str) -> NDArray[np.uint8]:
        known = np.isfinite(height)
        low, high = self._limits
        filled = fill(height, known) if known.any() else np.full(height.shape, low, np.float32)
        # Rows run down the image, y runs away from the camera: the image's top is far away.
        drawn, shown = (
            values[::-1] for values in (np.clip(filled, low, high), np.where(known, height, np.nan))
        )
        if self._grid is None:
            self._begin(height.shape)
        self._grid.points[:, 2] = drawn.ravel(order="F") * self._stretch
        self._grid.point_data[_HEIGHT] = shown.ravel(order="F").astype(np.float32)
        self._surface.copy_from(self._solid())
        words = caption if known.any() else f"{caption}: not measured"
        self._plotter.add_text(
            words, position=(0.02, 0.93), viewport=True, font_size=14, color="black", name="t"
        )
        self._plotter.render()
        picture: NDArray[np.uint8] = np.asarray(self._plotter.screenshot(None, return_img=True))[..., :3]
        return picture

    def close(self) -> None:
        self._plotter.close()

    def _solid(self) -> PyVista:
        solid = self._grid.extract_surface(algorithm="dataset_surface")
        return solid.compute_normals(cell_normals=False, consistent_normals=False, auto_orient_normals=False)

    def _begin(self, shape: tuple[int, ...]) -> None:
        low, high = self._limits
        rows, columns = shape
        x, y = np.meshgrid(np.arange(columns) * self._step_um, np.arange(rows) * self._step_um)
        self._grid = self._pyvista.StructuredGrid(x, y, np.full(shape, low * self._stretch))
        self._grid.point_data[_HEIGHT] = np.full(rows * columns, low, np.float32)
        self._surface = self._solid()
        self._plotter.add_mesh(
            self._surface, scalars=_HEIGHT, cmap="viridis", clim=self._limits, nan_color="darkorange",
            specular=0.1, ambient=0.2,
            scalar_bar_args={"vertical": True, "title": _HEIGHT, "fmt": "%.3g", "position_x": 0.88,
                             "position_y": 0.25, "color": "black"},
        )  # fmt: skip
        stretched = "" if self._stretch == 1 else f"height stretched ×{self._stretch:g}; "
        self._plotter.add_text(
            f"{stretched}orange: not measured",
            position=(0.02, 0.02),
            viewport=True,
            font_size=10,
            color="black",
        )
        wide, deep = (columns - 1) * self._step_um, (rows - 1) * self._step_um
        bounds = (0, wide, 0, deep, low * self._stretch, high * self._stretch)
        # The image's top is far away: y is labelled down it. VTK's font has no µ: it would show metres.
        self._plotter.show_bounds(
            bounds=bounds, axes_ranges=(0, wide, deep, 0, low, high),
            xtitle="x (um)", ytitle="y, down the image (um)", ztitle="height (um)", location="outer",
            font_size=14, n_xlabels=4, n_ylabels=4, n_zlabels=3, fmt="%.0f",
            color="black",
        )  # fmt: skip
        self._plotter.view_vector((-0.45, -1.0, 0.75), viewup=(0, 0, 1))
        self._plotter.reset_camera(bounds=bounds)
        self._plotter.camera.zoom(1.05)
        self._plotter.camera.SetWindowCenter(0.16, 0.0)  # room for the colour bar
