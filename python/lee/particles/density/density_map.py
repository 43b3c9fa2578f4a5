"""Particles per µm² of true surface: a map at a stated scale and the mean, with their uncertainties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.particles.density.bootstrap import poisson_interval
from lee.particles.density.field import Counts, Field, counts_in, field_of
from lee.particles.density.scale import automatic_scale_px, gaussian, smoothed

if TYPE_CHECKING:
    import pandas as pd

    from lee.surfaces.surface import Surface


@dataclass(frozen=True, eq=False)
class Density:
    """Density of particles, per µm² of true surface.

    Parameters
    ----------
    per_um2 : (H, W) float32, 1/µm²
        NaN where the surface was not measured or no particle could have been seen.
    sigma_per_um2 : (H, W) float32, 1/µm²
        Standard deviation by counting statistics alone; never 0.
    effective_count : (H, W) float32
        Effective number of particles under the kernel: its density times its effective area.
    scale_um : float, µm
        Standard deviation of the Gaussian kernel, in projection.
    scale_rule : str
        How the scale was chosen.
    count, left_out : int
        Particles inside and outside the field, see `lee.particles.density.field.counts_in`.
    mean_per_um2 : float, 1/µm²
        `count` over the area; NaN where nothing was measured.
    mean_interval : (float, float), 1/µm²
        Confidence interval of the mean, for a Poisson-distributed count; the counts of particles that
        cluster or repel each other are not.
    confidence : float
        Of that interval.
    field : Field
        The area, pixel by pixel.
    counts : Counts
        The particles, pixel by pixel.
    """

    per_um2: NDArray[np.float32]
    sigma_per_um2: NDArray[np.float32]
    effective_count: NDArray[np.float32]
    scale_um: float
    scale_rule: str
    mean_per_um2: float
    mean_interval: tuple[float, float]
    confidence: float
    field: Field
    counts: Counts

    @property
    def count(self) -> int:
        """Particles in the field."""
        return self.counts.count

    @property
    def left_out(self) -> int:
        """Particles outside the measured area."""
        return self.counts.left_out

    @property
    def area_um2(self) -> float:
        """Area of the field, µm²."""
        return self.field.total_um2


def density_map(
    particles: pd.DataFrame,
    *,
    pixel_um: float,
    surface: Surface | None = None,
    shape: Sequence[int] | None = None,
    searched: ArrayLike | None = None,
    scale_um: float | Literal["auto"] = "auto",
    slope_scale_um: float | None = None,
    confidence: float = 0.95,
) -> Density:
    """Measure how many particles there are per µm² of true surface area, everywhere in the field.

    Counts under a Gaussian kernel divided by the area under it. At the border and beside unmeasured pixels
    the density is thus unbiased, only less certain; on a slope, where every pixel holds more surface, it is
    lower by the slope's cosine.

    Parameters
    ----------
    particles : DataFrame
        Of one time, with the columns of `lee.particles.table`; may be empty.
    pixel_um : float, µm
        Size of a pixel.
    surface : Surface, optional
        Its slopes give the true area; unmeasured pixels are excluded. Without it the area is the projected
        one, and ``density.field.is_true_area`` is False.
    shape : (H, W), optional
        Of the field; needed if neither `surface` nor `searched` is given.
    searched : (H, W) bool, optional
        Where a particle could have been found: not saturated, and within the overlap of both scans.
    scale_um : float, µm, or "auto"
        Standard deviation of the kernel; by default chosen by
        `lee.particles.density.scale.automatic_scale_px`.
    slope_scale_um : float, µm, optional
        As in `lee.particles.density.field.field_of`.
    confidence : float
        Confidence of the interval of the mean.

    Returns
    -------
    Density

    Raises
    ------
    InputError
        As `field_of` and `counts_in`, or if the scale or confidence is out of range.

    Notes ----- The ratio keeps a uniform density unchanged up to the border (Diggle, Applied Statistics 34
    (1985) 138). The effective area of a kernel is A = (sum w a)^2 / (sum w^2 a); the standard deviation is
    that of the density given n = density A particles under Jeffreys' prior, sqrt(n + 1/2) / A. It does not
    include the smoothing by the kernel. The mean's interval is Garwood's (Biometrika 28 (1936) 437).
    """
    if scale_um != "auto" and not (
        isinstance(scale_um, (int, float)) and np.isfinite(scale_um) and scale_um > 0
    ):
        raise InputError(f'density_map: scale_um is {scale_um!r}; give µm above 0, or "auto"')
    if not 0 < confidence < 1:
        raise InputError(f"density_map: confidence is {confidence}; give a number between 0 and 1")
    field = field_of(
        pixel_um=pixel_um, surface=surface, shape=shape, searched=searched, slope_scale_um=slope_scale_um
    )
    counts = counts_in(particles, field)
    if scale_um == "auto":
        scale_px, rule = automatic_scale_px(counts.per_pixel, field.area_um2)
    else:
        scale_px, rule = float(scale_um) / pixel_um, "given"
    area = field.area_um2.astype(np.float64)
    there = area > 0
    weights = gaussian(scale_px)
    area_under = np.where(there, smoothed(area, weights), np.nan)
    # The same for the squared weights; where the sum has one pixel only, rounding must not make it 0.
    effective_area = area_under**2 / np.where(there, np.maximum(smoothed(area, weights**2), 1e-300), np.nan)
    density = (
        smoothed(counts.per_pixel.astype(np.float64), weights) / area_under
        if counts.count
        else 0 * area_under
    )
    total = field.total_um2
    low, high = poisson_interval(np.array([counts.count]), confidence)
    mean, interval = np.nan, (np.nan, np.nan)
    if total > 0:
        mean, interval = counts.count / total, (float(low[0] / total), float(high[0] / total))
    return Density(
        per_um2=density.astype(np.float32),
        sigma_per_um2=(np.sqrt(density * effective_area + 0.5) / effective_area).astype(np.float32),
        effective_count=(density * effective_area).astype(np.float32),
        scale_um=scale_px * pixel_um,
        scale_rule=rule,
        mean_per_um2=mean,
        mean_interval=interval,
        confidence=confidence,
        field=field,
        counts=counts,
    )
