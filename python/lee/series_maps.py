"""Maps of a run as they are drawn: colours, limits, scale bar, and what was not measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lee.errors import InputError
from lee.mesh import block_mean

Map = NDArray[np.float32]

_SAMPLED_SCANS = 40
_SAMPLED_PX = 40_000  # of one scan; a percentile needs no more
_NO_DATA, _NO_DATA_LINES = "#d9d9d9", "#9a9a9a"


class Maps(Protocol):
    """Maps of a run, (T, H, W): an array, a Zarr array, or anything else that gives one (H, W) map a scan."""

    def __len__(self) -> int:
        """How many scans there are."""

    def __getitem__(self, scan: int, /) -> Any:
        """Give the map of one scan, (H, W), NaN where not measured."""


@dataclass(frozen=True)
class Look:
    """How a kind of map is drawn.

    Attributes
    ----------
    title : str
    label : str
        Of the colour bar, with the unit.
    colours : str
        Colour map for values of one sign, or of any.
    centre : {"never", "signs", "always"}
        Whether zero is the middle of a diverging colour map: where both signs occur, or always.
    from_zero : bool
        Values of one sign start the scale at zero.
    """

    title: str
    label: str
    colours: str
    centre: str = "never"
    from_zero: bool = False


DIVERGING = "RdBu_r"  # told apart by every kind of colour vision
LOOKS = {
    "height": Look("height", "height (µm)", "viridis"),
    "delta": Look("growth since the first scan", "ΔH since the first scan (µm)", "plasma", "signs", True),
    "rate": Look("growth rate", "rate (nm/s)", DIVERGING, "always"),
    "rate_sigma": Look("standard deviation of the rate", "σ of the rate (nm/s)", "magma", from_zero=True),
    "curvature": Look("mean curvature", "mean curvature (1/µm)", DIVERGING, "always"),
}


def look(kind: str) -> Look:
    """Find the look of a kind of map; InputError if there is none."""
    try:
        return LOOKS[kind]
    except KeyError:
        raise InputError(f"no maps of kind {kind!r}: use one of {', '.join(LOOKS)}") from None


def colour_limits(kind: str, maps: Maps) -> tuple[str, float, float]:
    """Choose colour map and limits that hold for all maps of a run.

    Parameters
    ----------
    kind : str
        A key of `LOOKS`.
    maps : (T, H, W)
        Read one at a time; of a long run, evenly chosen scans are.

    Returns
    -------
    (colours, low, high)
        Limits from the 0.5 and 99.5 percentiles of what was measured, so that single wrong pixels do not
        decide; symmetrical about zero where the colours diverge.
    """
    found = look(kind)
    known = np.concatenate([np.empty(0, np.float32), *_samples(maps)])
    if known.size == 0:
        return found.colours, (-1.0 if found.centre == "always" else 0.0), 1.0
    low, high = (float(v) for v in np.percentile(known, (0.5, 99.5)))
    both_signs = min(-low, high) > 0.05 * max(-low, high)
    if found.centre == "always" or (found.centre == "signs" and both_signs):
        reach = max(-low, high, 1e-9)
        return DIVERGING, -reach, reach
    if found.from_zero:
        low, high = (0.0, high) if high > -low else (low, 0.0)
    if not high > low:
        low, high = low - 0.5, low + 0.5
    return found.colours, low, high


def draw_map(
    axes: Axes,
    values: Map,
    pixel_um: float,
    *,
    colours: str,
    limits: tuple[float, float],
    shown_px: int = 800,
) -> Any:
    """Draw one map with its scale bar; what was not measured is hatched grey.

    Parameters
    ----------
    axes : Axes
    values : (H, W) float
    pixel_um : float, um
    colours : str
    limits : (float, float)
        In the unit of `values`.
    shown_px : int
        A larger map is averaged over blocks of pixels.

    Returns
    -------
    matplotlib.image.AxesImage
        To hang a colour bar on.
    """
    rows, columns = values.shape
    width, height = columns * pixel_um, rows * pixel_um
    block = max(1, -(-max(rows, columns) // shown_px))
    shown = block_mean(np.asarray(values, np.float32), block)[0] if block > 1 else values
    axes.add_patch(not_measured_patch((0, 0), width, height))
    drawn = axes.imshow(
        shown,
        extent=(0, width, height, 0),
        interpolation="nearest",
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        zorder=1,
    )
    scale_bar(axes, width, height)
    return drawn


def not_measured_patch(place: tuple[float, float], width: float, height: float) -> Rectangle:
    """Give the hatched grey that stands for what was not measured."""
    return Rectangle(
        place,
        width,
        height,
        facecolor=_NO_DATA,
        edgecolor=_NO_DATA_LINES,
        hatch="////",
        linewidth=0,
        zorder=0,
    )


def scale_bar(axes: Axes, width_um: float, height_um: float) -> None:
    """Draw a scale bar of a round length into a map whose axes are in um, its top at zero."""
    length = round_length(0.25 * width_um)
    left, bottom = 0.04 * width_um, height_um - 0.05 * width_um
    axes.plot(
        (left, left + length), (bottom, bottom), color="white", linewidth=3, solid_capstyle="butt", zorder=4
    )
    axes.annotate(
        f"{length:g} µm",
        (left + length / 2, bottom),
        xytext=(0, 3),
        textcoords="offset points",
        color="white",
        ha="center",
        va="bottom",
        fontsize=10,
        zorder=4,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "black", "alpha": 0.55, "linewidth": 0},
    )


def round_length(value: float) -> float:
    """Give the largest of 1, 2, 5 times a power of ten that is not above `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(k for k in (1, 2, 5) if k * power <= value * (1 + 1e-9)))


def evenly(count: int, wanted: int) -> list[int]:
    """Choose at most `wanted` of `count` scans, evenly, first and last among them."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, wanted))}) if count else []


def _samples(maps: Maps) -> Iterator[Map]:
    for k in evenly(len(maps), _SAMPLED_SCANS):
        values = np.asarray(maps[k], np.float32)
        step = max(1, int(np.sqrt(values.size / _SAMPLED_PX)))
        thinned = values[::step, ::step]
        yield thinned[np.isfinite(thinned)]
