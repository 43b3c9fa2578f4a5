"""The circles that stand for particles: their sizes, colours and reference circles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import NDArray

from lee.errors import InputError
from lee.figures.maps import round_length
from lee.particles.sizes import is_calibrated
from lee.particles.table import has_flag

# Diameter of a typical circle, of the field: well visible without covering it.
_VISIBLE_SHARE = 0.03
_OF_SPACING = 0.6
_MIN_SHARE = 0.006
NO_FLAG = "no flag"
# Okabe and Ito, "Color universal design" (2008). Particles beyond the calibration range have markers of their
# own.
FLAG_COLOURS = {
    "wide": "#E69F00",
    "crowded": "#56B4E9",
    "masked": "#CC79A7",
    "edge": "#009E73",
    "off_surface": "#D55E00",
    "end_of_scan": "#F0E442",
    "below_range": "white",
    "above_range": "white",
    NO_FLAG: "white",
}
SIZED, SMALLER, LARGER, UNKNOWN = "o", "v", "^", "x"


@dataclass(frozen=True)
class Circles:
    """The scale of circles and colours, the same at all times.

    Parameters
    ----------
    by_size : bool
        The circle's diameter is the particle's, magnified; otherwise its area is the intensity.
    factor : float
        Drawn µm per µm of the particle; without sizes, drawn µm² per count.
    limits : (float, float), nm or counts
        Of the colours.
    """

    by_size: bool
    factor: float
    limits: tuple[float, float]

    @classmethod
    def for_particles(
        cls, particles: pd.DataFrame, field_um: tuple[float, float], *, magnification: float | None = None
    ) -> Circles:
        """Choose a scale at which circles are visible and do not cover each other.

        Parameters
        ----------
        particles : DataFrame
            Of all times drawn.
        field_um : (float, float), µm
            Height and width.
        magnification : float, optional
            Of the diameters; ignored without sizes.

        Raises
        ------
        InputError
            If the magnification is not a positive number.
        """
        if magnification is not None and not (np.isfinite(magnification) and magnification > 0):
            raise InputError(f"magnification is {magnification}: it must be a positive number")
        by_size = is_calibrated(particles)
        values = particles["diameter_nm" if by_size else "intensity_counts"].to_numpy(np.float64)
        values = values[np.isfinite(values) & (values > 0)]
        if values.size == 0:
            return cls(by_size, magnification or 1.0, (0.0, 1.0))
        low, middle, high = (float(v) for v in np.percentile(values, (2, 50, 98)))
        times = max(particles["time_s"].nunique(), 1)
        spacing = np.sqrt(field_um[0] * field_um[1] * times / len(particles))
        wanted = min(_VISIBLE_SHARE * max(field_um), _OF_SPACING * spacing)
        wanted = max(wanted, _MIN_SHARE * max(field_um))
        if by_size:
            factor = magnification or round_length(1.3 * wanted / (middle / 1e3))
        else:
            factor = np.pi / 4 * wanted**2 / middle
        return cls(by_size, float(factor), (low, high) if high > low else (0.9 * low, 1.1 * low))

    def values(self, particles: pd.DataFrame) -> NDArray[np.float64]:
        """Return the values that circles and colours show, (N,), nm or counts; NaN for none."""
        shown = particles["diameter_nm" if self.by_size else "intensity_counts"].to_numpy(np.float64)
        return np.where(shown > 0, shown, np.nan)

    def drawn_um(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the diameters of the circles, µm."""
        if self.by_size:
            return values / 1e3 * self.factor
        return np.asarray(np.sqrt(values * self.factor * 4 / np.pi))

    def references(self) -> list[tuple[float, str]]:
        """Return three reference circles of round values: their drawn diameters, µm, and labels."""
        middle = _nearest_round(float(np.sqrt(max(self.limits[0], 1e-12) * self.limits[1])))
        step = 2.0 if self.by_size else 4.0
        unit = "nm" if self.by_size else "counts"
        values = np.array([middle / step, middle, middle * step])
        return [(float(d), f"{v:g} {unit}") for d, v in zip(self.drawn_um(values), values, strict=True)]

    @property
    def legend(self) -> str:
        """The meaning of the circles."""
        if self.by_size:
            return f"circles: particles, diameter × {self.factor:g}"
        return "no calibration: the area of a circle is the intensity, not the size"

    @property
    def label(self) -> str:
        """Label of the colour bar."""
        return "particle diameter (nm)" if self.by_size else "intensity (counts)"

    @property
    def norm(self) -> Normalize:
        """From values to colours."""
        return Normalize(*self.limits)


def size_colours() -> LinearSegmentedColormap:
    """Return the colours of sizes: plasma without its darkest, which would be invisible on an image."""
    shades = colormaps["plasma"](np.linspace(0.35, 1, 256))
    return LinearSegmentedColormap.from_list("particle sizes", shades)


def first_flags(particles: pd.DataFrame) -> NDArray[np.object_]:
    """Return the flag that colours each particle, (N,): the first of `FLAG_COLOURS` it carries."""
    flags = np.full(len(particles), NO_FLAG, dtype=object)
    for flag in reversed([name for name in FLAG_COLOURS if name != NO_FLAG]):
        flags[has_flag(particles, flag).to_numpy()] = flag
    return flags


def markers(particles: pd.DataFrame, circles: Circles) -> NDArray[np.object_]:
    """Return the marker of each particle, (N,): triangles are beyond the calibration range."""
    kinds = np.full(len(particles), UNKNOWN, dtype=object)
    if circles.by_size:
        kinds[has_flag(particles, "below_range").to_numpy()] = SMALLER
        kinds[has_flag(particles, "above_range").to_numpy()] = LARGER
    kinds[np.isfinite(circles.values(particles))] = SIZED
    return kinds


def _nearest_round(value: float) -> float:
    power = 10.0 ** np.floor(np.log10(max(value, 1e-12)))
    return float(power * min((1, 2, 5, 10), key=lambda k: abs(np.log(k * power / max(value, 1e-12)))))
