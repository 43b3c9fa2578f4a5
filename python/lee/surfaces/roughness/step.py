"""Height of a step in a profile or a map, evaluated as ISO 5436-1 does a groove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.statistics.grouped_lines import beyond_groups

Kind = Literal["edge", "groove"]
KINDS: tuple[Kind, ...] = ("edge", "groove")
_SEARCHED = 600  # points among which edges are searched
_STRAIGHT = 1e-18  # residuals of a straight profile, which rounding leaves, over its square
_LEAST_POINTS = 3  # measured points of each portion
_GROUPS, _LEAST_LINES = 16, 8  # lines of a map; fewer lines share their errors with the next group
_CORRECTED = 2000  # points of a profile whose standard error is corrected for what the fit takes

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StepHeight:
    """A step.

    Parameters
    ----------
    height_um : float, µm
        Behind the edge minus before it; of a groove its bottom minus the surface beside it, negative for a
        groove and positive for a bar.
    se_um : float, µm
        Standard error: of a profile from the residuals and their correlation, of a map from the spread over
        lines across the step, and how far errors reach along it. Errors that all lines share are not in it.
    edges_um : tuple of float, µm
        Where the edges are, one or two.
    portions_um : tuple of (float, float), µm
        What was evaluated: before, behind, and within a groove.
    kind : {"edge", "groove"}
    across : {"profile", "x", "y"}
        The axis of a map that crosses the step.
    lines : int
        Groups of 8 or more lines that `se_um` comes from, NaN for a single one; 1 for a profile.
    """

    height_um: float
    se_um: float
    edges_um: tuple[float, ...]
    portions_um: tuple[tuple[float, float], ...]
    kind: Kind
    across: Literal["profile", "x", "y"] = "profile"
    lines: int = 1


def step_of_profile(distance_um: Values, height_um: Values, kind: Kind) -> StepHeight:
    """Measure the step in a profile.

    Two parallel lines are fitted by least squares, one on each level. A third of the width next to an edge is
    ignored: of a groove of width W, the middle third of the bottom and, on each side, what lies W/3 to W from
    the edge count; of a single edge the shorter side takes the place of W. Edges are where two levels on one
    slope explain most of the profile.

    Parameters
    ----------
    distance_um, height_um : (N,) float64, µm
        Equally spaced; NaN where not measured.
    kind : {"edge", "groove"}
        A groove is also a bar.

    Raises
    ------
    InputError
        If too little of the profile is measured, or it ends within a groove's width of its edge.
    """
    if kind not in KINDS:
        raise InputError(f"step: kind is {kind!r}; give one of {', '.join(KINDS)}")
    edges, _ = _edges(distance_um, height_um, kind)
    portions = _portions(distance_um, edges)
    design, used = _design(distance_um, height_um, portions)
    inverse = np.asarray(np.linalg.pinv(design), np.float64)
    fitted = inverse @ height_um[used]
    error_um = _standard_error(
        design, inverse, np.asarray(height_um[used] - design @ fitted), np.flatnonzero(used)
    )
    return StepHeight(float(fitted[2]), error_um, edges, portions, kind)


def step_of_map(height_um: Values, *, pixel_um: float, kind: Kind) -> StepHeight:
    """Measure the step in a map whose edges run along x or y.

    The mean profile across the step finds its edges; groups of lines across it are then evaluated each as
    `step_of_profile` does, and averaged.

    Parameters
    ----------
    height_um : (H, W) float64, µm
        NaN where not measured.
    pixel_um : float, µm
    kind : {"edge", "groove"}

    Raises
    ------
    InputError
        As `step_of_profile`.
    """
    if kind not in KINDS:
        raise InputError(f"step: kind is {kind!r}; give one of {', '.join(KINDS)}")
    if height_um.ndim != 2 or min(height_um.shape) < 2:
        raise InputError(f"step: the map has shape {height_um.shape}; give (H, W) of 2 pixels or more a side")
    tried: list[tuple[float, Literal["x", "y"], Values, Values, tuple[float, ...]]] = []
    problem: InputError | None = None
    sides: tuple[tuple[Literal["x", "y"], Values], ...] = (("x", height_um), ("y", height_um.T))
    for across, lines in sides:
        distance = np.arange(lines.shape[1], dtype=np.float64) * pixel_um
        try:
            edges, explained = _edges(distance, _mean(lines), kind)
        except InputError as error:
            problem = error
            continue
        tried.append((explained, across, distance, lines, edges))
    if not tried:
        assert problem is not None
        raise problem
    _, across, distance, lines, edges = max(tried, key=lambda one: one[0])
    portions = _portions(distance, edges)
    found = []
    for group in np.array_split(lines, min(_GROUPS, max(len(lines) // _LEAST_LINES, 1))):
        mean = _mean(group)
        try:
            design, used = _design(distance, mean, portions)
        except InputError as error:
            problem = error
            continue
        found.append(float((np.linalg.pinv(design) @ mean[used])[2]))
    if not found:
        assert problem is not None
        raise problem
    heights = np.array(found)
    count = len(heights)
    error_um = np.nan
    if count > 1:
        each = _of_lines(distance, lines, portions)
        wider = beyond_groups((each - heights.mean())[:, None], len(lines) / count)
        error_um = wider * float(heights.std(ddof=1) / np.sqrt(count))
    return StepHeight(float(heights.mean()), error_um, edges, portions, kind, across, lines=count)


def _of_lines(distance: Values, lines: Values, portions: tuple[tuple[float, float], ...]) -> Values:
    """Return the step in each line that is measured as far as their mean is; NaN in the others."""
    design, used = _design(distance, _mean(lines), portions)
    out: Values = lines[:, used] @ np.linalg.pinv(design)[2]
    return out


def _mean(lines: Values) -> Values:
    known = np.isfinite(lines)
    count = known.sum(axis=0)
    total = np.where(known, lines, 0.0).sum(axis=0)
    # A mean of a few lines of a tilted map would lie beside that of the others.
    out: Values = np.where(2 * count >= max(count.max(), 1), total / np.maximum(count, 1), np.nan)
    return out


def _edges(distance: Values, height: Values, kind: Kind) -> tuple[tuple[float, ...], float]:
    """Return the edges, µm, and the mean square that the step explains, µm²."""
    known = np.flatnonzero(np.isfinite(height))
    if known.size < 4 * _LEAST_POINTS:
        raise InputError(
            f"step: {known.size} points of the profile were measured; give at least {4 * _LEAST_POINTS}"
        )
    # Where long profiles are searched, a few points more or less do not matter: edges are ignored after.
    groups = np.array_split(known, min(known.size, _SEARCHED))
    x = np.array([distance[group].mean() for group in groups])
    y = np.array([height[group].mean() for group in groups])
    x0 = x - x.mean()
    slope = float(x0 @ y / (x0 @ x0))
    rest = y - y.mean() - slope * x0
    total = float(rest @ rest)
    if not total > _STRAIGHT * float(y @ y):
        raise InputError("step: the profile is straight: there is no step in it")
    n = len(x)
    sums = np.concatenate([[0.0], np.cumsum(rest)])
    moments = np.concatenate([[0.0], np.cumsum(x0)])
    places = np.arange(_LEAST_POINTS, n - _LEAST_POINTS + 1)

    def explained(start: NDArray[np.intp], end: NDArray[np.intp] | int) -> Values:
        """Fall of the sum of squares by a second level from point `start` to before `end`."""
        count = end - start
        own = count - count**2 / n - (moments[end] - moments[start]) ** 2 / (x0 @ x0)
        with np.errstate(invalid="ignore", divide="ignore"):
            gain = (sums[end] - sums[start]) ** 2 / own
        out: Values = np.where((count >= _LEAST_POINTS) & (own > 1e-9 * n), gain, -1.0)
        return out

    def edge(k: int) -> float:
        return float((x[k - 1] + x[k]) / 2)

    if kind == "edge":
        gain = explained(places, n)
        k = int(np.argmax(gain))
        return (edge(int(places[k])),), float(gain[k]) / n
    gain = explained(places[:, None], places[None, :])
    first, last = np.unravel_index(int(np.argmax(gain)), gain.shape)
    return (edge(int(places[first])), edge(int(places[last]))), float(gain[first, last]) / n


def _portions(distance: Values, edges: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    start, end = float(distance[0]), float(distance[-1])
    first, last = edges[0], edges[-1]
    if len(edges) == 1:
        width = min(first - start, end - first)
        return (first - width, first - width / 3), (first + width / 3, first + width)
    width = last - first
    if first - start < width / 2 or end - last < width / 2:
        raise InputError(
            f"step: the groove is {width:.3g} µm wide, and beside it are {first - start:.3g} and "
            f"{end - last:.3g} µm: show at least half its width on either side"
        )
    return (
        (max(first - width, start), first - width / 3),
        (last + width / 3, min(last + width, end)),
        (first + width / 3, last - width / 3),
    )


def _design(
    distance: Values, height: Values, portions: tuple[tuple[float, float], ...]
) -> tuple[Values, NDArray[np.bool_]]:
    """Return the columns (1, x, level) of the points evaluated, and which points they are."""
    known = np.isfinite(height)
    inside = [known & (distance >= low) & (distance <= high) for low, high in portions]
    for (low, high), part in zip(portions, inside, strict=True):
        if part.sum() < _LEAST_POINTS:
            raise InputError(
                f"step: {int(part.sum())} points from {low:.4g} to {high:.4g} µm were measured; give a "
                f"longer profile, or finer pixels: {_LEAST_POINTS} are needed on each level"
            )
    level = np.zeros(len(distance))
    level[inside[-1]] = 1.0  # behind the edge, or within the groove
    used = np.logical_or.reduce(inside)
    x = distance[used]
    return np.stack([np.ones(len(x)), x - x.mean(), level[used]], axis=1), used


def _standard_error(design: Values, inverse: Values, off: Values, places: NDArray[np.intp]) -> float:
    """Propagate the residuals, with their correlation along the profile, to the height of the step.

    Parameters
    ----------
    design, inverse : (N, 3), (3, N)
        Of the fit.
    off : (N,)
        Residuals.
    places : (N,)
        Where the points are, in steps.
    """
    count = len(off)
    if count <= 3:
        return float("nan")
    apart = np.abs(places[:, None] - places[None, :]) if count <= _CORRECTED else None
    lags = int(places[-1] - places[0]) + 1
    line = np.zeros(lags)
    line[places - places[0]] = off
    there = np.zeros(lags)
    there[places - places[0]] = 1.0
    weight = np.zeros(lags)
    weight[places - places[0]] = inverse[2]
    pairs = np.maximum(np.rint(_lagged(there)), 1)
    seen = _lagged(line) / pairs
    # Beyond the first lag at which it is negative, the estimate is noise.
    negative = np.flatnonzero(seen <= 0)
    seen[int(negative[0]) if negative.size else lags :] = 0.0
    covariance = seen
    if apart is not None:
        # The fit takes part of the errors: what it leaves of errors as found is as much smaller again.
        left = covariance[apart]
        left = left - design @ (inverse @ left)
        left = left - (left @ inverse.T) @ design.T
        expected: Values = np.bincount(apart.ravel(), left.ravel(), minlength=lags)[:lags] / 2
        expected[0] *= 2
        covariance = np.where(seen > 0, np.maximum(2 * seen - expected / pairs, seen), 0.0)
    shared = _lagged(weight)
    variance = covariance[0] * shared[0] + 2 * float(covariance[1:] @ shared[1:])
    return float(np.sqrt(max(variance, 0.0)))


def _lagged(values: Values) -> Values:
    """Return the sum of products of values so many steps apart, by their lag."""
    out: Values = np.correlate(values, values, "full")[len(values) - 1 :]
    return out
