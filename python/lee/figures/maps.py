"""How maps are drawn: colours, limits, scale bar, and the marking of what was not measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.offsetbox import AnchoredOffsetbox, AuxTransformBox, HPacker, TextArea
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.surfaces.block_mean import block_mean

Map = NDArray[np.float32]
Times = Sequence[float] | NDArray[np.float64]

PAGE_IN = 12.0
_SAMPLED_SCANS = 40
_SAMPLED_PX = 40_000  # of one scan; a percentile needs no more
_NO_DATA, _NO_DATA_LINES = "#d9d9d9", "#9a9a9a"


class Maps(Protocol):
    """Maps of a run, (T, H, W): an array, a Zarr array, or anything that gives one (H, W) map per scan."""

    def __len__(self) -> int:
        """How many scans there are."""

    def __getitem__(self, scan: int, /) -> ArrayLike:
        """Give the map of one scan, (H, W), NaN where not measured."""


@dataclass(frozen=True)
class MapStyle:
    """How a kind of map is drawn.

    Attributes
    ----------
    title : str
    label : str
        Label of the colour bar, with the unit.
    colours : str
        Name of the colour map.
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


DIVERGING = "RdBu_r"  # distinguishable with every kind of colour vision
MAP_STYLES = {
    "height": MapStyle("height", "height (µm)", "viridis"),
    "delta": MapStyle("growth since the first scan", "ΔH since the first scan (µm)", "plasma", "signs", True),
    "rate": MapStyle("growth rate", "rate (nm/s)", DIVERGING, "always"),
    "rate_sigma": MapStyle("standard deviation of the rate", "σ of the rate (nm/s)", "magma", from_zero=True),
    "curvature": MapStyle("mean curvature", "mean curvature (1/µm)", DIVERGING, "always"),
}


def map_style(kind: str) -> MapStyle:
    """Return the style of a kind of map; InputError if there is none."""
    try:
        return MAP_STYLES[kind]
    except KeyError:
        raise InputError(f"no maps of kind {kind!r}: use one of {', '.join(MAP_STYLES)}") from None


@dataclass(frozen=True)
class ColourScale:
    """Colour map, its limits, and at which ends values exceed them ("both", "max" …)."""

    colours: str
    low: float
    high: float
    extend: str

    @property
    def limits(self) -> tuple[float, float]:
        """Low and high."""
        return self.low, self.high


def colour_scale(kind: str, maps: Maps, *, limits: tuple[float, float] | None = None) -> ColourScale:
    """Choose colours and limits for all maps of a run.

    Parameters
    ----------
    kind : str
        A key of `MAP_STYLES`.
    maps : (T, H, W)
        Read one at a time; of a long run, an even choice of scans is read.
    limits : (float, float), optional
        Used as given.

    Returns
    -------
    ColourScale
        Limits from the 0.5 and 99.5 percentiles of the measured pixels, so that single outliers do not
        decide; symmetrical about zero where the colours diverge.

    Raises
    ------
    InputError
        If there is no such kind, or the limits are not in order.
    """
    found = map_style(kind)
    if limits is not None and not limits[1] > limits[0]:
        raise InputError(f"limits are {limits[0]:g} to {limits[1]:g}: the second must be larger")
    known = np.concatenate([np.empty(0, np.float32), *_samples(maps)])
    colours, low, high = _chosen(found, known)
    low, high = limits or (low, high)
    below, above = (known.size > 0 and bool(side) for side in ((known < low).any(), (known > high).any()))
    return ColourScale(colours, low, high, _EXTEND[below, above])


_EXTEND = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}


def _chosen(found: MapStyle, known: Map) -> tuple[str, float, float]:
    if known.size == 0:
        return found.colours, (-1.0 if found.centre == "always" else 0.0), 1.0
    low, high = (float(v) for v in np.percentile(known, (0.5, 99.5)))
    both_signs = min(-low, high) > 0.05 * max(-low, high)
    if found.centre == "always" or (found.centre == "signs" and both_signs):
        reach = max(-low, high, 1e-9)
        return DIVERGING, -reach, reach
    if found.from_zero:
        low, high = (0.0, high) if high > -low else (low, 0.0)
    return (found.colours, low, high) if high > low else (found.colours, low - 0.5, low + 0.5)


def draw_map(
    axes: Axes, values: Map, pixel_um: float, scale: ColourScale, *, shown_px: int = 800
) -> AxesImage:
    """Draw one map, in axes in µm; pixels that were not measured are hatched grey.

    Parameters
    ----------
    axes : Axes
    values : (H, W) float
    pixel_um : float, µm
    scale : ColourScale
    shown_px : int
        A larger map is averaged over blocks of pixels.

    Returns
    -------
    matplotlib.image.AxesImage
        For the colour bar.
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
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        zorder=1,
    )
    return drawn


def not_measured_patch(place: tuple[float, float], width: float, height: float) -> Rectangle:
    """Return the hatched grey rectangle that marks pixels that were not measured."""
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


def scale_bar(axes: Axes, width_um: float) -> None:
    """Hide the ticks of a map in µm, and draw a scale bar of a round length below it."""
    axes.set(xticks=[], yticks=[])
    bar = AuxTransformBox(axes.transData)
    length = round_length(0.25 * width_um)
    bar.add_artist(Rectangle((0, 0), length, 0.012 * width_um, color="black", linewidth=0))
    text = TextArea(f"{length:g} µm", textprops={"size": 9})
    packed = HPacker(children=[bar, text], align="center", pad=0, sep=5)
    box = AnchoredOffsetbox(
        "upper left", child=packed, pad=0, borderpad=0.4, frameon=False, bbox_to_anchor=(0, 0),
        bbox_transform=axes.transAxes,
    )  # fmt: skip
    axes.add_artist(box)


def page(height_in: float) -> Figure:
    """Return a figure as wide as the page of a report, 1600 pixels, with text as large as the page's."""
    return Figure(figsize=(PAGE_IN, height_in), dpi=1600 / PAGE_IN, layout="constrained")


def time_text(time_s: float) -> str:
    """Format a time, from fractions of a second to days."""
    return f"{time_s:.0f} s" if abs(time_s) >= 100 else f"{time_s:.3g} s"


def round_length(value: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(k for k in (1, 2, 5) if k * power <= value * (1 + 1e-9)))


def evenly(count: int, wanted: int) -> list[int]:
    """Choose at most `wanted` of `count` scans, evenly, including first and last."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, wanted))}) if count else []


def _samples(maps: Maps) -> Iterator[Map]:
    for k in evenly(len(maps), _SAMPLED_SCANS):
        values = np.asarray(maps[k], np.float32)
        step = max(1, int(np.sqrt(values.size / _SAMPLED_PX)))
        thinned = values[::step, ::step]
        yield thinned[np.isfinite(thinned)]
