"""Topographic spatial resolution from a step edge: its response, width, and the period that passes half."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from lee.errors import InputError
from lee.metrology.quantity import MeasuredQuantity, named
from lee.statistics.grouped_lines import beyond_groups
from lee.surfaces.height_map import height_map
from lee.surfaces.roughness.step import StepHeight, step_of_map
from lee.surfaces.surface import Surface

_BINS_PER_PX = 4
_GROUPS = 16
_RESAMPLES = 100
_LEAST_LINES = 8
_STANDS_OUT = 10.0  # standard errors
_MOST_OVERSHOOT_PERCENT = 50.0
_FWHM = 2 * np.sqrt(2 * np.log(2))
# A Gaussian response of standard deviation s passes exp(-2 pi^2 s^2 / L^2) of a wave of period L: half at
# this.
_HALF_PERIOD = np.pi * np.sqrt(2 / np.log(2))

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EdgeResolution:
    """Topographic spatial resolution from an edge.

    Parameters
    ----------
    kind : {"resolution"}
    quantities : tuple of MeasuredQuantity
    details : DataFrame
        The edge response: ``distance_um response fitted points``.
    holds : str
    step : StepHeight
    """

    kind: str
    quantities: tuple[MeasuredQuantity, ...]
    details: pd.DataFrame
    holds: str
    step: StepHeight

    def __getitem__(self, name: str) -> MeasuredQuantity:
        """Return the quantity of that name."""
        return named(self.quantities, name)


def edge_resolution(
    height_um: ArrayLike | Surface, *, pixel_um: float | None = None, seed: int = 0
) -> EdgeResolution:
    """Measure how sharply a straight step edge is shown.

    Every line across the edge gives the edge's place; a straight line through these places turns pixels into
    distances from the edge, finer than pixels where the edge is a little tilted. A Gaussian's edge is fitted
    to the response.

    Parameters
    ----------
    height_um : (H, W) array, µm, or Surface
        One edge across the whole map, along x or y within some degrees; NaN where not measured.
    pixel_um : float, µm, optional
        Size of a pixel; an array needs it.
    seed : int
        Of the bootstrap over groups of lines.

    Returns
    -------
    EdgeResolution
        ``lateral_period_limit_um`` (period of which half the height passes, D_LIM of ISO 25178-600, of the
        fitted Gaussian), ``line_spread_um`` (its full width at half maximum), ``width_10_90_um`` (of the
        response itself), ``overshoot_percent`` of the step, ``step_um``, ``edge_tilt_deg`` and
        ``edge_roughness_um`` (deviations of the edge from a straight line, which widen nothing but the
        uncertainty).

    Raises
    ------
    InputError
        If there is no step, fewer than 8 lines cross it, or the edge itself was not measured.

    Notes ----- The size of the pixel is part of the resolution, and so is the width of the edge itself: use
    one that is steeper than what is to be resolved. An edge so high that the optics cannot see its foot shows
    less than flat relief would.
    """
    given = height_map(height_um, pixel_um, operation="resolution")
    height = np.array(given.height_um, dtype=np.float64)
    height[~np.isfinite(height)] = np.nan
    pixel = float(given.pixel_um)
    step = step_of_map(height, pixel_um=pixel, kind="edge")
    if np.isfinite(step.se_um) and abs(step.height_um) < _STANDS_OUT * step.se_um:
        raise InputError(
            f"resolution: the largest step is {step.height_um:.3g} ± {step.se_um:.2g} µm, which does not "
            "stand out: give a map of one edge"
        )
    lines = height if step.across == "x" else height.T
    levels = _Levels(lines, step, pixel)
    response = levels.taken_from(lines, levels.fitted(np.arange(_GROUPS)))
    place = _places(response, step, pixel)
    if np.isfinite(place).sum() < _LEAST_LINES:
        raise InputError(
            f"resolution: {int(np.isfinite(place).sum())} lines cross the edge measured throughout; "
            f"{_LEAST_LINES} are needed: show more of the edge, or one that is measured without gaps"
        )
    down = np.arange(len(lines)) * pixel
    good = np.isfinite(place)
    slope, start = np.polyfit(down[good], place[good], 1)
    roughness = float(np.std(place[good] - start - slope * down[good], ddof=2))
    x = np.arange(lines.shape[1]) * pixel
    distance = (x[None, :] - start - slope * down[:, None]) / np.hypot(1.0, slope)
    window = float(min(step.portions_um[1][0] - step.edges_um[0], step.edges_um[0] - step.portions_um[0][1]))
    used = np.isfinite(response) & (np.abs(distance) < window) & good[:, None]
    group = np.broadcast_to(np.arange(len(lines))[:, None] * _GROUPS // len(lines), lines.shape)[used]
    count = max(int(np.floor(window / pixel * _BINS_PER_PX)), 4)
    edges = np.linspace(-count, count, 2 * count + 1) * pixel / _BINS_PER_PX
    bins = np.clip(np.digitize(distance[used], edges) - 1, 0, 2 * count - 1)
    cell = group * 2 * count + bins
    # Of heights, and of what their levels are a sum of: both levels are known no better than the heights.
    heights, *terms, points = (
        np.bincount(cell, weight[used], minlength=_GROUPS * 2 * count).reshape(_GROUPS, 2 * count)
        for weight in (lines, *levels.terms[1:3], np.ones(lines.shape))
    )
    middle = (edges[:-1] + edges[1:]) / 2

    def measured(groups: NDArray[np.intp]) -> tuple[dict[str, float], tuple[Values, Values]]:
        level, along, down, high = levels.fitted(groups)
        all_heights, x_sum, y_sum, seen = (one[groups].sum(0) for one in (heights, *terms, points))
        sums = (all_heights - level * seen - along * x_sum - down * y_sum) / high
        return _measured(middle, sums, seen, pixel)

    found, curve = measured(np.arange(_GROUPS))
    flat = abs(found["overshoot_percent"]) < _MOST_OVERSHOOT_PERCENT
    if not (found["width_10_90_um"] < window and flat):
        raise InputError(
            "resolution: the map does not show one edge between two flat levels: give a map of one, or crop"
        )
    rng = np.random.default_rng(seed)
    present = np.flatnonzero(points.sum(axis=1) > 0)
    resampled = []
    for _ in range(_RESAMPLES):
        chosen = rng.choice(present, present.size)
        try:
            resampled.append(measured(chosen)[0])
        except InputError:
            continue
    left = np.where(used, response - np.interp(distance, middle, curve[1]), np.nan)
    wider = beyond_groups(left, len(lines) / present.size)
    # Resampled groups scatter about their own mean.
    wider *= float(np.sqrt(present.size / max(present.size - 1, 1)))
    spread = {
        name: wider * float(np.std([one[name] for one in resampled], ddof=1))
        if len(resampled) > 2
        else float("nan")
        for name in found
    }
    quantities = [MeasuredQuantity(name, value, spread[name]) for name, value in found.items()]
    if found["line_spread_um"] < 2 * pixel:
        quantities[1] = MeasuredQuantity(
            "line_spread_um",
            found["line_spread_um"],
            spread["line_spread_um"],
            "finer than two pixels: a bound",
        )
    quantities += [
        MeasuredQuantity("step_um", step.height_um, step.se_um),
        MeasuredQuantity("edge_tilt_deg", float(np.degrees(np.arctan(slope)))),
        MeasuredQuantity("edge_roughness_um", roughness),
    ]
    details = pd.DataFrame(
        {"distance_um": middle, "response": curve[0], "fitted": curve[1], "points": points.sum(0)}
    )
    return EdgeResolution(
        "resolution",
        tuple(quantities),
        details,
        "± holds the scatter along the edge; the widths of the edge itself and of a pixel are in the result",
        step,
    )


class _Levels:
    """Levels before and behind the edge: level, slopes along x and y, height; by least squares.

    ``terms`` are what these four are multiplied by, each (H, W).
    """

    def __init__(self, lines: Values, step: StepHeight, pixel: float) -> None:
        y, x = np.meshgrid(*(np.arange(n) * pixel for n in lines.shape), indexing="ij")
        (a, b), (c, d) = step.portions_um[:2]
        behind = (x >= c) & (x <= d)
        used = np.isfinite(lines) & (((x >= a) & (x <= b)) | behind)
        self.terms = (np.ones(lines.shape), x - x.mean(), y - y.mean(), behind.astype(np.float64))
        # Sums of each group of lines.
        self._normal, self._right = np.zeros((_GROUPS, 4, 4)), np.zeros((_GROUPS, 4))
        for group in range(_GROUPS):
            own = used & (np.arange(len(lines))[:, None] * _GROUPS // len(lines) == group)
            design = np.stack([term[own] for term in self.terms])
            self._normal[group], self._right[group] = design @ design.T, design @ lines[own]

    def fitted(self, groups: NDArray[np.intp]) -> Values:
        """Fit the levels to some groups of lines, (4,)."""
        out: Values = np.linalg.lstsq(self._normal[groups].sum(0), self._right[groups].sum(0), rcond=None)[0]
        return out

    def taken_from(self, lines: Values, fitted: Values) -> Values:
        """Return the lines with both levels made flat, 0 before and 1 behind the edge."""
        level, along, down, height = fitted
        flat: Values = (lines - level - along * self.terms[1] - down * self.terms[2]) / height
        return flat


def _places(response: Values, step: StepHeight, pixel: float) -> Values:
    """Return where the edge is in each line, µm: the area under the response gives its place."""
    x = np.arange(response.shape[1]) * pixel
    low = 0.5 * (step.portions_um[0][1] + step.portions_um[0][0])
    high = 0.5 * (step.portions_um[1][0] + step.portions_um[1][1])
    inside = (x >= low) & (x <= high)
    end = x[inside][-1] + pixel / 2
    out: Values = end - response[:, inside].sum(axis=1) * pixel
    return out


def _measured(
    middle: Values, sums: Values, points: Values, pixel: float
) -> tuple[dict[str, float], tuple[Values, Values]]:
    with np.errstate(invalid="ignore", divide="ignore"):
        response = sums / points
    known = points > 0
    near = middle[known & (np.abs(middle) <= 3 * pixel)]
    # An edge along the pixels has one distance a pixel.
    if known.sum() < 8 or near.size < 3 or np.diff(near).max() > 1.5 * pixel:
        raise InputError(
            "resolution: the edge itself was not measured: pixels beside it are missing along all of it"
        )
    with warnings.catch_warnings():
        # Of an edge within one pixel no covariance can be estimated; it is not used.
        warnings.simplefilter("ignore", optimize.OptimizeWarning)
        (at, width), _ = optimize.curve_fit(
            _edge, middle[known], response[known], p0=(0.0, pixel), sigma=1 / np.sqrt(points[known])
        )
    # A bin averages over its own width.
    own = (pixel / _BINS_PER_PX) ** 2 / 12
    width = float(np.sqrt(max(width**2 - own, own)))
    smooth = np.interp(middle, middle[known], response[known])
    return {
        "lateral_period_limit_um": _HALF_PERIOD * width,
        "line_spread_um": float(_FWHM * width),
        "width_10_90_um": _crossing(middle, smooth, 0.9) - _crossing(middle, smooth, 0.1),
        "overshoot_percent": 100 * float(max(np.nanmax(response) - 1, -np.nanmin(response))),
    }, (response, _edge(middle, float(at), width))


def _edge(x: Values, at: float, width: float) -> Values:
    out: Values = 0.5 * (1 + special.erf((x - at) / (np.sqrt(2) * np.maximum(np.abs(width), 1e-12))))
    return out


def _crossing(x: Values, y: Values, level: float) -> float:
    """Return where the response passes a level, nearest to the edge."""
    rises = np.flatnonzero((y[:-1] < level) & (y[1:] >= level))
    if rises.size == 0:
        return float("nan")
    k = int(rises[np.argmin(np.abs(x[rises]))])
    return float(x[k] + (level - y[k]) / (y[k + 1] - y[k]) * (x[k + 1] - x[k]))
