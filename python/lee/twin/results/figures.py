"""Figures of a solution: maps of the local environment with a section through the electrolyte, potentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LightSource, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.figures.film_file import new_film, watchable_rate
from lee.figures.film_frame import FilmFrame
from lee.figures.maps import ColourScale, draw_map, evenly, page, scale_bar, time_text
from lee.figures.surface import y_down_the_image
from lee.twin.comparison.window import WindowCurrent
from lee.twin.results.fields import CrossSection, cross_section
from lee.twin.results.solution import Solution

_MAX_TIMES = 3
_NARROW = 0.15  # such a field is stretched, so that it can be seen at all
_METAL = "#8a8d91"
# Share of the common colours that the maps of one time span where they need none of their own.
_SEEN = 1 / 3


@dataclass(frozen=True)
class Quantity:
    """A map of a solution as it is drawn: title, colour bar's label with the unit, colour map."""

    title: str
    label: str
    colours: str


QUANTITIES = {
    "concentration_mol_per_l": Quantity("concentration", "c (mol/L)", "viridis"),
    "current_density_ma_per_cm2": Quantity("current density", "i (mA/cm²)", "inferno"),
    "height_rate_nm_per_s": Quantity("height rate", "height rate (nm/s)", "plasma"),
    "normal_rate_nm_per_s": Quantity("normal rate", "normal rate (nm/s)", "plasma"),
    "potential_v": Quantity("potential in the electrolyte", "φ (mV)", "cividis"),
    "overpotential_v": Quantity("overpotential", "η (mV)", "magma"),
    "grown_um": Quantity("growth since the start", "ΔH (µm)", "viridis"),
}
ENVIRONMENT = ("concentration_mol_per_l", "current_density_ma_per_cm2", "height_rate_nm_per_s")
POTENTIALS = ("potential_v", "overpotential_v")


def environment(solution: Solution, y_um: float | None = None) -> Figure:
    """Draw concentration, current density and height rate at up to three times, with sections.

    Colours mean the same at all times; where that leaves a time less than a third of them, its maps are
    drawn again below, on scales of their own. The sections show concentration and the lines of the current,
    cut where the dashed line runs.

    Parameters
    ----------
    solution : Solution
    y_um : float, optional
        Position of the section down the image; by default through the deepest point.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _draw(solution, ENVIRONMENT, y_um, sections=True)


def potentials(solution: Solution) -> Figure:
    """Draw potential in the electrolyte and overpotential at up to three times, in mV, as `environment`."""
    return _draw(solution, POTENTIALS, None, sections=False)


def shown(solution: Solution, name: str) -> NDArray[np.float32]:
    """Return the maps of a quantity, (T, H, W), in the unit they are drawn in."""
    if name == "grown_um":
        return np.asarray(solution.height_um - solution.height_um[0], np.float32)
    maps: NDArray[np.float32] = getattr(solution, name)
    return maps * np.float32(1000) if name.endswith("_v") else maps


def scale_of(maps: NDArray[np.float32], colours: str) -> ColourScale:
    """Choose limits from the 0.5 and 99.5 percentiles over all times; a uniform map is of middle colour."""
    known = maps[np.isfinite(maps)]
    if known.size == 0:
        return ColourScale(colours, 0.0, 1.0, "neither")
    low, high = (float(v) for v in np.percentile(known, (0.5, 99.5)))
    # Below a thousandth of the value, colours would show what the solver left over.
    narrowest = max(1e-3 * max(abs(low), abs(high)), 1e-9)
    if high - low < narrowest:
        low, high = (low + high - narrowest) / 2, (low + high + narrowest) / 2
    below, above = bool((known < low).any()), bool((known > high).any())
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    return ColourScale(colours, low, high, extend)


def _draw(solution: Solution, names: tuple[str, ...], y_um: float | None, *, sections: bool) -> Figure:
    count = len(solution.times_s)
    # With enough later times, the uniform electrolyte of the start would only stretch the colours.
    first = int(count > _MAX_TIMES and solution.times_s[0] == 0)
    times = [first + k for k in evenly(count - first, _MAX_TIMES)]
    height, width = solution.height_um.shape[1:]
    map_in = (10.5 / len(names) - 0.55) * min(max(height / width, 0.4), 1.4) + 0.55
    section_in = 3.1
    scales = {name: scale_of(shown(solution, name)[times], QUANTITIES[name].colours) for name in names}
    maps = [drawn for k in times for drawn in _scaled(solution, k, scales)]
    figure = page(0.6 + len(maps) * map_in + sections * section_in)
    kind = {"primary": "primary distribution", "secondary": "secondary distribution"}
    figure.suptitle(
        f"{kind.get(solution.kind, 'tertiary distribution')}, "
        f"{solution.cell.current_density_ma_per_cm2:g} mA/cm², "
        f"{solution.cell.concentration_mol_per_l:g} mol/L"
        + ("; outlined: not measured, filled" if solution.filled.any() else "")
    )
    rows = figure.add_gridspec(
        len(maps) + sections, 1, height_ratios=[map_in] * len(maps) + [section_in] * sections
    )
    place_um = cross_section(solution, times[0], y_um).y_um if sections else None
    cuts = [cross_section(solution, k, place_um) for k in times] if sections else []
    for row, (k, own) in enumerate(maps):
        panels = rows[row].subgridspec(1, len(names), wspace=0.12)
        for column, name in enumerate(names):
            axes = figure.add_subplot(panels[column])
            _map(figure, axes, solution, name, k, own[name], cuts[times.index(k)] if sections else None)
            if own is not scales:
                axes.set_title(f"{axes.get_title()}, own scale", fontsize=10)
    if sections:
        panels = rows[len(maps)].subgridspec(1, len(times), wspace=0.12)
        for place, k in enumerate(times):
            axes = figure.add_subplot(panels[place])
            draw_section(axes, cuts[place], scales[names[0]], figure)
            moment = time_text(float(solution.times_s[k]))
            axes.set_title(f"section at y = {cuts[place].y_um:.3g} µm, {moment}", fontsize=10)
    return figure


def _scaled(
    solution: Solution, k: int, common: dict[str, ColourScale]
) -> list[tuple[int, dict[str, ColourScale]]]:
    """Return a time with the scales to draw it on: the common ones, then its own where those hide it."""
    own = {name: scale_of(shown(solution, name)[k], scale.colours) for name, scale in common.items()}
    hidden = [
        own[name].high - own[name].low < _SEEN * (scale.high - scale.low) for name, scale in common.items()
    ]
    return [(k, common), (k, own)] if any(hidden) else [(k, common)]


def _map(
    figure: Figure,
    axes: Axes,
    solution: Solution,
    name: str,
    k: int,
    scale: ColourScale,
    sliced: CrossSection | None,
) -> None:
    quantity = QUANTITIES[name]
    drawn = draw_map(axes, shown(solution, name)[k], solution.pixel_um, scale)
    if not _NARROW < solution.height_um.shape[1] / solution.height_um.shape[2] < 1 / _NARROW:
        axes.set_aspect("auto")
    _bar(figure, drawn, axes, quantity.label, scale.extend)
    axes.set_title(f"{quantity.title}, {time_text(float(solution.times_s[k]))}", fontsize=10)
    scale_bar(axes, solution.height_um.shape[2] * solution.pixel_um)
    if sliced is not None:
        axes.axhline(sliced.y_um, color="white", linestyle="--", linewidth=1.2)
    if solution.filled.any():
        rows, columns = solution.filled.shape
        extent = (0, columns * solution.pixel_um, rows * solution.pixel_um, 0)
        axes.contour(
            solution.filled.astype(float), levels=[0.5], colors="white", linewidths=0.6, extent=extent,
            origin="upper",
        )  # fmt: skip


def _bar(figure: Figure, drawn: Any, axes: Axes, label: str, extend: str = "neither") -> None:
    """Hang a colour bar as high as the map beside it."""
    figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0, 0.045, 1)), label=label, extend=extend)


def draw_section(axes: Axes, sliced: CrossSection, scale: ColourScale, figure: Figure) -> None:
    """Draw a cut: concentration by colour, lines of the current, the metal in grey."""
    x = np.repeat(sliced.x_um[:, None], sliced.z_um.shape[1], axis=1)
    values = sliced.concentration_mol_per_l
    low, high = min(scale.low, float(values.min())), max(scale.high, float(values.max()))
    drawn = axes.pcolormesh(
        x, sliced.z_um, values, shading="gouraud", cmap=scale.colours, vmin=low, vmax=high, rasterized=True
    )
    _bar(figure, drawn, axes, "c (mol/L)")
    grid_x, grid_z, along_x, along_z = sliced.on_grid()
    starts = np.linspace(sliced.x_um[0], sliced.x_um[-1], 26)[1:-1]
    top = grid_z[-1] - 0.02 * (grid_z[-1] - grid_z[0])
    axes.streamplot(
        grid_x, grid_z, np.nan_to_num(along_x), np.nan_to_num(along_z), color="white", linewidth=0.6,
        arrowsize=0.6, density=8, start_points=np.stack([starts, np.full_like(starts, top)], axis=1),
        broken_streamlines=False,
    )  # fmt: skip
    bottom = float(sliced.z_um.min()) - 0.05 * float(np.ptp(sliced.z_um))
    axes.fill_between(sliced.x_um, bottom, sliced.z_um[:, 0], color=_METAL, linewidth=0, zorder=3)
    axes.set_xlim(sliced.x_um[0], sliced.x_um[-1])
    axes.set_ylim(bottom, float(sliced.z_um.max()))
    axes.set_aspect("equal" if np.ptp(sliced.z_um) < 2 * np.ptp(sliced.x_um) else "auto")
    axes.set_xlabel("x (µm)")
    axes.set_ylabel("height (µm)")
    axes.set_title(
        f"section at y = {sliced.y_um:.3g} µm: concentration and lines of the current", fontsize=10
    )


def write_film(
    path: Path, solution: Solution, name: str, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a film (MP4) of a quantity over all times of a solution, colours meaning the same throughout.

    Raises
    ------
    InputError
        If ffmpeg is missing or fails.
    """
    maps, quantity = shown(solution, name), QUANTITIES[name]
    frame = FilmFrame(
        maps.shape[1:],
        pixel_um=solution.pixel_um,
        title=quantity.title,
        label=quantity.label,
        scale=scale_of(maps, quantity.colours),
        times_s=solution.times_s,
    )
    with new_film(path, frame.size_px, frames=len(maps), frames_per_s=watchable_rate(len(maps))) as write:
        for k in range(len(maps)):
            write(frame.draw(maps[k], k))
            if progress is not None:
                progress(k + 1, len(maps))


def window_profile(found: WindowCurrent, window_um: tuple[float, float]) -> Figure:
    """Draw the current along the cathode, the anode's edge at 0, and in the microscope's window.

    Parameters
    ----------
    found : WindowCurrent
    window_um : (float, float)
        As in its `lee.twin.comparison.window.CellSection`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = page(4.6)
    axes = figure.add_subplot()
    end = found.x_um[-1]
    # Further under the anode the current is uniform.
    shown_from = max(found.x_um[0], -4 * max(end, window_um[1]))
    part = found.x_um >= shown_from
    axes.axvspan(shown_from / 1000, 0, color="#dddddd", linewidth=0, label="under the anode")
    axes.axvspan(*(place / 1000 for place in window_um), color="#fdd49e", linewidth=0, label="window")
    axes.plot(found.x_um[part] / 1000, found.current_density_ma_per_cm2[part], color="#b2182b")
    for level, style, label in (
        (found.under_ma_per_cm2, "--", f"mean under the anode {found.under_ma_per_cm2:.1f}"),
        (
            found.window_ma_per_cm2,
            ":",
            f"mean in the window {found.window_ma_per_cm2:.1f}, {100 * found.loss:.1f} % lower",
        ),
    ):
        axes.axhline(level, color="black", linewidth=0.9, linestyle=style, label=label)
    axes.set_xlim(shown_from / 1000, end / 1000)
    axes.set_xlabel("along the cathode, from below the anode's edge (mm)")
    axes.set_ylabel("current density (mA/cm²)")
    axes.legend(fontsize=9)
    return figure


def view(solution: Solution, path: Path, *, name: str = "height_rate_nm_per_s", k: int = -1) -> None:
    """Draw the electrode in three dimensions, coloured by a quantity, into a picture.

    By pyvista where it can draw, coarsely by matplotlib where not. Heights are true to scale.

    Parameters
    ----------
    solution : Solution
    path : Path
        Picture to write; in place, so give a temporary name.
    name : str
        Of the quantity.
    k : int
        Index of the time.
    """
    from lee.figures.view import rendering_unavailable

    quantity, values = QUANTITIES[name], shown(solution, name)
    scale = scale_of(values, quantity.colours)
    # A field of one row or column has no area to be seen.
    wide = [(0, 1 if n == 1 else 0) for n in solution.height_um.shape[1:]]
    z, coloured = (
        np.pad(a, wide, mode="edge").astype(np.float64) for a in (solution.height_um[k], values[k])
    )
    rows, columns = z.shape
    x, y = np.meshgrid(
        (np.arange(columns) + 0.5) * solution.pixel_um, (np.arange(rows)[::-1] + 0.5) * solution.pixel_um
    )
    title = f"{quantity.title}, {time_text(float(solution.times_s[k]))}"
    if rendering_unavailable() is None:
        _view_finely(path, x, y, z, coloured, scale, quantity, title)
    else:
        _view_coarsely(path, x, y, z, coloured, scale, quantity, title)


def _view_finely(
    path: Path, x: Any, y: Any, z: Any, values: Any, scale: ColourScale, quantity: Quantity, title: str
) -> None:
    import pyvista

    # VTK tries X11 first and complains on stderr before it turns to EGL.
    pyvista.vtk_verbosity("off")
    plotter = pyvista.Plotter(off_screen=True, window_size=[1600, 1000])
    try:
        grid = pyvista.StructuredGrid(x, y, z)
        grid.point_data[quantity.label] = values.ravel(order="F").astype(np.float32)
        plotter.add_mesh(
            grid, scalars=quantity.label, cmap=scale.colours, clim=scale.limits, specular=0.1, ambient=0.2,
            smooth_shading=True,
            scalar_bar_args={"vertical": True, "title": quantity.label, "fmt": "%.3g", "position_x": 0.9,
                             "position_y": 0.25, "color": "black"},
        )  # fmt: skip
        plotter.set_background("white")
        plotter.add_text(title, position=(0.02, 0.93), viewport=True, font_size=14, color="black")
        # The image's top is far away: y is labelled down it. VTK's font has no µ: it would show metres.
        down = (x.min(), x.max(), y.max(), y.min(), z.min(), z.max())
        plotter.show_bounds(axes_ranges=down, xtitle="x (um)", ytitle="y, down the image (um)",
                            ztitle="height (um)", location="outer", n_zlabels=3, fmt="%.0f", font_size=14,
                            color="black")  # fmt: skip
        plotter.view_vector((-0.45, -1.0, 0.75), viewup=(0, 0, 1))
        plotter.camera.zoom(1.2)
        plotter.camera.SetWindowCenter(0.1, 0.0)  # room for the colour bar
        plotter.screenshot(str(path))
    finally:
        plotter.close()


def _view_coarsely(
    path: Path, x: Any, y: Any, z: Any, values: Any, scale: ColourScale, quantity: Quantity, title: str
) -> None:
    figure = Figure(figsize=(12, 8), dpi=100)
    axes: Any = figure.add_subplot(projection="3d")
    step = max(1, -(-max(z.shape) // 160))
    norm = Normalize(*scale.limits)
    part = (slice(None, None, step), slice(None, None, step))
    rgb = colormaps[scale.colours](norm(values[part]))[..., :3]
    spacing = float(x[0, 1] - x[0, 0]) * step
    shade = LightSource(azdeg=315, altdeg=45).hillshade(z[part], dx=spacing, dy=-spacing)  # rows run down
    axes.plot_surface(
        x[part], y[part], z[part], facecolors=rgb * (0.4 + 0.6 * shade)[..., None], rstride=1, cstride=1,
        shade=False, linewidth=0, antialiased=False,
    )  # fmt: skip
    across = max(float(np.ptp(x)), float(np.ptp(y)))
    axes.set_box_aspect((np.ptp(x), np.ptp(y), max(float(np.ptp(z)), 0.05 * across)), zoom=1.05)
    axes.view_init(elev=38, azim=-65)
    axes.set(xlabel="x (µm)", zlabel="height (µm)", title=title)
    y_down_the_image(axes, float(y.max() + y.min()))
    axes.locator_params(axis="z", nbins=3)
    figure.colorbar(
        ScalarMappable(norm, colormaps[scale.colours]), ax=axes, label=quantity.label, extend=scale.extend,
        shrink=0.6, pad=0.13,
    )  # fmt: skip
    figure.savefig(path)
