"""Figures of a surface: the preview of a result, and a measured surface compared with the truth."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from lee.errors import InputError
from lee.export.mesh import texture_rgb
from lee.figures.maps import round_length
from lee.surfaces.block_mean import block_mean

if TYPE_CHECKING:
    from mpl_toolkits.mplot3d.axes3d import Axes3D

    from lee.surfaces.surface import Surface

_SHOWN_PX = 1000  # more pixels than a panel has would cost time and memory and show nothing
_RELIEF_PX = 160
_NOT_MEASURED = "#d9d9d9"
_HEIGHT, _SIGMA, _DIFFERENCE = "viridis", "magma", "RdBu_r"


def preview(surface: "Surface") -> Figure:
    """Draw height map, refocused image, standard deviation and a 3D view on one page.

    Parameters
    ----------
    surface : Surface

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide at 100 dpi. Pixels that were not measured are grey.
    """
    figure = Figure(figsize=(16, 11.6), dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, 2)
    height = _map(figure.add_subplot(grid[0, 0]), surface, surface.height_um, "height (µm)", _HEIGHT)
    height.set_title(f"height, {100 * surface.coverage:.1f} % measured")
    image = figure.add_subplot(grid[0, 1])
    _image(image, surface, _shown(texture_rgb(surface)))
    image.set_title("all in focus" if np.isfinite(surface.refocused).any() else "no image, height shown")
    if np.isfinite(surface.height_sigma_um).any():
        sigma = _map(
            figure.add_subplot(grid[1, 0]), surface, surface.height_sigma_um, "σ (µm)", _SIGMA, from_zero=True
        )
        median = np.nanmedian(surface.height_sigma_um)
        sigma.set_title(f"standard deviation of the height, median {median:.3g} µm")
    else:
        absent = figure.add_subplot(grid[1, 0])
        absent.text(0.5, 0.5, "no standard deviation", ha="center", va="center")
        absent.set_axis_off()
    relief(cast("Axes3D", figure.add_subplot(grid[1, 1], projection="3d")), surface)
    return figure


def height_picture(surface: "Surface") -> Figure:
    """Draw the height map alone, 420 pixels wide, as notebooks show a surface."""
    figure = Figure(figsize=(4.2, 3.4), dpi=100, layout="constrained")
    _map(figure.add_subplot(), surface, surface.height_um, "height (µm)", _HEIGHT)
    return figure


def plot_heights(surface: "Surface", axes: Axes | None = None) -> Axes:
    """Draw the height map into given axes, or those of a new figure of pyplot; return the axes."""
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.figure(layout="constrained").add_subplot()
    return _map(axes, surface, surface.height_um, "height (µm)", _HEIGHT)


def save_preview(surface: "Surface", path: Path) -> None:
    """Write `preview` as PNG; written in place, so give a temporary name."""
    preview(surface).savefig(path, format="png")


def error_maps(surface: "Surface", truth_um: npt.ArrayLike) -> Figure:
    """Draw truth, measurement, their difference, and the errors divided by their standard deviation.

    Parameters
    ----------
    surface : Surface
    truth_um : (H, W) float, µm
        The true height on the same grid and from the same zero.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide at 100 dpi.

    Raises
    ------
    InputError
        If the shapes differ or nothing was measured.
    """
    truth = np.asarray(truth_um, np.float32)
    if truth.shape != surface.shape:
        raise InputError(
            f"the true height has shape {truth.shape}, the surface {surface.shape}: they must agree"
        )
    if not surface.valid.any():
        raise InputError("nothing was measured, so there are no errors to draw")
    error = surface.height_um - truth
    known = error[np.isfinite(error)]
    size = np.abs(known)
    limits = _robust(truth)
    figure = Figure(figsize=(16, 11.6), dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, 2)
    first = _map(figure.add_subplot(grid[0, 0]), surface, truth, "height (µm)", _HEIGHT, limits=limits)
    first.set_title("truth")
    second = _map(
        figure.add_subplot(grid[0, 1]), surface, surface.height_um, "height (µm)", _HEIGHT, limits=limits
    )
    second.set_title(f"measured, {100 * surface.coverage:.1f} % of the field")
    reach = float(np.percentile(size, 99)) or 1e-3
    third = _map(
        figure.add_subplot(grid[1, 0]), surface, error, "error (µm)", _DIFFERENCE, limits=(-reach, reach)
    )
    third.set_title(
        f"measured − truth: rms {np.sqrt(np.mean(known**2)):.3f} µm, "
        f"median {np.median(size):.3f}, p95 {np.percentile(size, 95):.3f}"
    )
    _error_histogram(figure.add_subplot(grid[1, 1]), error, surface.height_sigma_um)
    return figure


def spiky_and_clean(surface: "Surface", sharpest_um: npt.ArrayLike) -> Figure:
    """Draw the heights of the sharpest frames, with the spikes of bubbles and glints, beside the surface.

    Parameters
    ----------
    surface : Surface
    sharpest_um : (H, W) float, µm
        Height of the frame in which a focus measure is highest at each pixel.

    Returns
    -------
    matplotlib.figure.Figure
        1600 pixels wide at 100 dpi; both reliefs to one scale, what was filled in grey.
    """
    from lee.surfaces.surface import Surface

    spiky = np.asarray(sharpest_um, np.float32)
    everywhere = np.ones(spiky.shape, bool)
    raw = Surface(spiky, spiky, 0 * spiky, everywhere, surface.refocused, surface.pixel_um)
    limits = _robust(spiky)
    figure = Figure(figsize=(16, 6.6), dpi=100, layout="constrained")
    for place, of, title in ((1, raw, "the sharpest frame at each pixel"), (2, surface, "measured")):
        axes = cast("Axes3D", figure.add_subplot(1, 2, place, projection="3d"))
        relief(axes, of, limits_um=limits)
        axes.set_title(f"{title}: {axes.get_title()}")
    return figure


def relief(
    axes: "Axes3D",
    surface: "Surface",
    *,
    colour: str = "height",
    stretch: float | None = None,
    limits_um: tuple[float, float] | None = None,
) -> None:
    """Draw the surface into a 3D axes as a shaded relief; the title states a stretched height.

    Parameters
    ----------
    axes : mpl_toolkits.mplot3d.axes3d.Axes3D
    surface : Surface
    colour : {"height", "image"}
        Colour by height (grey where not measured), or by the refocused image.
    stretch : float, optional
        Factor on the height as drawn; by default one that makes the relief readable, at least 1.
    limits_um : (low, high), optional
        Of the height axis; by default those of nearly all heights.
    """
    block = max(1, -(-max(surface.shape) // _RELIEF_PX))
    height = block_mean(surface.height_filled_um, block)[0].astype(np.float64)
    measured = block_mean(surface.valid, block)[0] >= 0.5
    rows, columns = height.shape
    step_um = block * surface.pixel_um
    x, y = np.meshgrid(np.arange(columns) * step_um, np.arange(rows)[::-1] * step_um)
    low, high = limits_um or _robust(height)
    span = max(high - low, 1e-6)
    field = max(rows, columns) * step_um
    stretch = round_length(max(1.0, 0.25 * field / span)) if stretch is None else stretch
    if colour == "image":
        texture = texture_rgb(surface, tint_filled=True)
        rgb = np.stack([block_mean(texture[..., k], block)[0] for k in range(3)], axis=-1) / 255
    else:
        rgb = colormaps[_HEIGHT](Normalize(low, high)(height))[..., :3]
        rgb[~measured] = np.array([0.85, 0.85, 0.85])
    light = LightSource(azdeg=315, altdeg=45)
    shade = light.hillshade(height, vert_exag=stretch, dx=step_um, dy=-step_um)  # rows run down
    rgb *= (0.35 + 0.65 * shade)[..., None]
    axes.plot_surface(
        x, y, np.clip(height, low, high), facecolors=np.clip(rgb, 0, 1), rstride=1, cstride=1, shade=False,
        linewidth=0, antialiased=False,
    )  # fmt: skip
    axes.set_box_aspect((columns * step_um, rows * step_um, span * stretch), zoom=1.02)
    axes.locator_params(axis="z", nbins=4)
    axes.set_zlim(low, high)
    axes.view_init(elev=38, azim=-65)
    axes.set_xlabel("x (µm)", labelpad=10)
    y_down_the_image(axes, (rows - 1) * step_um)
    axes.set_zlabel("height (µm)")
    axes.set_title("relief" if stretch == 1 else f"relief, height stretched ×{stretch:g}")


def y_down_the_image(axes: "Axes3D", length_um: float) -> None:
    """Label y as it runs down the image, whose top is far away; the drawn axis runs the other way."""
    ticks = [y for y in MaxNLocator(5).tick_values(0, length_um) if 0 <= y <= length_um]
    axes.set_yticks([length_um - y for y in ticks], [f"{y:g}" for y in ticks])
    axes.set_ylabel("y, down the image (µm)", labelpad=10)


def _map(
    axes: Axes,
    surface: "Surface",
    values: npt.NDArray[np.float32],
    label: str,
    colours: str,
    *,
    limits: tuple[float, float] | None = None,
    from_zero: bool = False,
) -> Axes:
    low, high = limits or _robust(values)
    shown = block_mean(values, _shown_block(values.shape))[0]
    drawn = _image(axes, surface, shown, cmap=colours, vmin=0.0 if from_zero else low, vmax=high)
    axes.figure.colorbar(drawn, ax=axes, label=label, extend="max" if from_zero else "both", shrink=0.9)
    return axes


def _image(
    axes: Axes,
    surface: "Surface",
    shown: npt.NDArray[np.float32] | npt.NDArray[np.uint8],
    *,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> AxesImage:
    rows, columns = surface.shape
    axes.set_facecolor(_NOT_MEASURED)
    extent = (0, columns * surface.pixel_um, rows * surface.pixel_um, 0)
    drawn = axes.imshow(shown, extent=extent, interpolation="nearest", cmap=cmap, vmin=vmin, vmax=vmax)
    axes.set_xlabel("x (µm)")
    axes.set_ylabel("y, down the image (µm)")
    return drawn


def _shown_block(shape: tuple[int, ...]) -> int:
    return max(1, -(-max(shape[:2]) // _SHOWN_PX))


def _shown(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    block = _shown_block(rgb.shape)
    if block == 1:
        return rgb
    return np.stack([block_mean(rgb[..., k], block)[0] for k in range(3)], axis=-1).astype(np.uint8)


def _error_histogram(axes: Axes, error: npt.NDArray[np.float32], sigma: npt.NDArray[np.float32]) -> None:
    usable = np.isfinite(error) & np.isfinite(sigma) & (sigma > 0)
    if not usable.any():
        known = error[np.isfinite(error)]
        axes.hist(known, bins=100, color="#31688e")
        axes.set_xlabel("error (µm)")
        axes.set_title("errors; no standard deviation")
        return
    ratio = error[usable] / sigma[usable]
    within, beyond = np.mean(np.abs(ratio) <= 1), np.mean(np.abs(ratio) > 5)
    axes.hist(np.clip(ratio, -5, 5), bins=101, range=(-5, 5), density=True, color="#31688e", label="measured")
    z = np.linspace(-5, 5, 301)
    axes.plot(z, np.exp(-z * z / 2) / np.sqrt(2 * np.pi), color="black", label="normal distribution")
    for edge in (-1, 1):
        axes.axvline(edge, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xlabel("error / σ (beyond ±5 in the outer bins)")
    axes.set_ylabel("density")
    axes.set_title(
        f"{100 * within:.0f} % of the errors within one σ (ideal 68 %); {100 * beyond:.2f} % beyond five"
    )
    axes.legend()


def _robust(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.5)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)
