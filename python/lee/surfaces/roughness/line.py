"""Roughness along a line: the profile, its Ra, Rq and Rz, and the height of a step in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.surfaces.profile import Line, read_line
from lee.surfaces.roughness.areal_filter import ArealGaussian
from lee.surfaces.roughness.form import form
from lee.surfaces.roughness.step import Kind, StepHeight, step_of_profile

_LEAST_POINTS = 8

Values = NDArray[np.float64]


@dataclass(frozen=True)
class LineOptions:
    """A line across the map.

    Parameters
    ----------
    line_um : ((y0, x0), (y1, x1)), µm
    width_um : float, µm
        Average over a band this wide.
    step : {"edge", "groove"}, optional
        A step to measure along it.
    """

    line_um: Line
    width_um: float = 0.0
    step: Kind | None = None


@dataclass(frozen=True, eq=False)
class LineRoughness:
    """A profile after ISO 21920-2.

    Parameters
    ----------
    distance_um, height_um : (N,) float64, µm
        The line as it was read from the surface without its form.
    roughness_um : (N,) float64, µm
        About its mean line: the least-squares line, and with an L-filter the Gaussian mean line too.
    Ra_um, Rq_um, Rz_um : float, µm
        Mean and root mean square distance from the mean line; height from lowest to highest point, averaged
        over the sections. Without an L-filter these are Pa, Pq and Pz of the primary profile.
    sections : int
        Sections, each as long as the cut-off of the L-filter; 1 without one.
    step : StepHeight, optional
    """

    distance_um: Values
    height_um: Values
    roughness_um: Values
    Ra_um: float
    Rq_um: float
    Rz_um: float
    sections: int
    step: StepHeight | None


def line_roughness(
    surface_um: Values, options: LineOptions, *, pixel_um: float, cutoff_um: float | None
) -> LineRoughness:
    """Read a line and measure its roughness, and the step along it if one is asked for.

    Parameters
    ----------
    surface_um : (H, W) float64, µm
        NaN where not measured.
    options : LineOptions
    pixel_um : float, µm
    cutoff_um : float, µm, optional
        Cut-off of the profile's L-filter, the Gaussian of ISO 16610-21.

    Raises
    ------
    InputError
        If the line leaves the map, fewer than 8 of its points were measured, it is shorter than the cut-off,
        or as `step_of_profile`.
    """
    distance, height = read_line(surface_um, options.line_um, pixel_um=pixel_um, width_um=options.width_um)
    known = np.isfinite(height)
    if known.sum() < _LEAST_POINTS:
        raise InputError(
            f"profile: {int(known.sum())} points of the line were measured; {_LEAST_POINTS} are needed: draw "
            "it elsewhere, or wider"
        )
    rough = (height[None, :] - form(height[None, :], 1))[0]
    sections = 1
    spacing = float(distance[1] - distance[0])
    if cutoff_um is not None:
        if cutoff_um > distance[-1]:
            raise InputError(
                f"profile: the line is {distance[-1]:.4g} µm long, the L-filter's cut-off {cutoff_um:.4g} "
                "µm: draw it longer"
            )
        mean_line = ArealGaussian(known[None, :], cutoff_um / spacing, "profile").low(rough[None, :])[0]
        rough = rough - mean_line
        sections = int(distance[-1] / cutoff_um)
    about = rough - rough[known].mean()
    parts = np.array_split(about, sections)
    heights = [float(np.ptp(part[np.isfinite(part)])) for part in parts if np.isfinite(part).sum() > 1]
    return LineRoughness(
        distance,
        height,
        about,
        Ra_um=float(np.abs(about[known]).mean()),
        Rq_um=float(np.sqrt((about[known] ** 2).mean())),
        Rz_um=float(np.mean(heights)),
        sections=sections,
        step=None if options.step is None else step_of_profile(distance, height, options.step),
    )
