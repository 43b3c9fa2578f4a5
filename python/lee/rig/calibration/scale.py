"""Scale of a stage from a step of known height in the camera's field, with its standard error."""

from __future__ import annotations

from math import hypot, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.rig.calibration.backlash import FULL_STEP_UM, Measured, Pass, measured_in_all, median_sigma

Rectangle = tuple[int, int, int, int]
# Within this distance of the step's edge, px, the focus measure mixes the two levels.
_EDGE_PX = 6
_MIN_PX = 100
# A measured height that differs from the known one by a larger share is that of another step.
MAX_DIFFERENCE = 0.1
# Smallest distance of two levels in units of the sum of their spreads.
_MIN_SEPARATION = 4.0


class HeightStep(NamedTuple):
    """A step in height as measured with the present scale: ``um``, its two levels, scans, and a note."""

    um: Measured
    lower: str
    higher: str
    scans: int
    note: str


class StageScale(NamedTuple):
    """Scale of a stage that makes the measured step the known one, and the scale ``before``."""

    counts_per_um: Measured
    step: HeightStep
    known_um: Measured
    before: float


def measure_step(passes: list[Pass], levels: tuple[Rectangle, Rectangle] | None = None) -> HeightStep:
    """Measure the step between two levels in every scan; their common tilt is fitted.

    Parameters
    ----------
    passes : list of Pass
        From `lee.rig.calibration.backlash.scan_both_ways`; a difference does not depend on the direction.
    levels : two (top, left, height, width), px, optional
        Rectangles on the levels; by default the two modes of the heights, without 6 px along their edge.

    Raises
    ------
    InputError
        If a level leaves the field or holds too few measured pixels, or no two levels are found.
    """
    valid = measured_in_all(passes)
    mean = np.where(valid, np.mean([one.height_um for one in passes], axis=0), np.nan)
    masks = _find_levels(mean, valid) if levels is None else [_inside(one, valid) for one in levels]
    if levels is not None and _fitted(mean, masks)[0] < 0:
        levels, masks = (levels[1], levels[0]), [masks[1], masks[0]]
    counts = [int(mask.sum()) for mask in masks]
    if min(counts) < _MIN_PX:
        raise InputError(
            f"calibrate: the two levels hold {counts[0]} and {counts[1]} measured px, but need {_MIN_PX}; "
            "give larger ones with --level-px"
        )
    steps = [_fitted(one.height_um, masks)[0] for one in passes]
    _, residuals = _fitted(mean, masks)
    errors = [median_sigma(np.where(mask, residuals, np.nan)) for mask in masks]
    repeat_sigma = float(np.std(steps, ddof=1)) / sqrt(len(steps))
    note = ""
    spans = [float(np.subtract(*np.percentile(mean[mask], [97.5, 2.5]))) for mask in masks]
    if min(spans) < FULL_STEP_UM:
        note = (
            f"a level spans {min(spans):.2g} µm, less than a full step of the motor ({FULL_STEP_UM:g} µm): "
            "the error of the microsteps is in the step and not in its standard error; tilt the standard"
        )
    places = [str(list(one)) for one in levels] if levels else [f"{count} px" for count in counts]
    sigma = hypot(repeat_sigma, *errors)
    return HeightStep(Measured(float(np.mean(steps)), sigma), places[0], places[1], len(steps), note)


def stage_scale(
    step: HeightStep, known_um: Measured, *, counts_per_um: float, precision: float
) -> StageScale:
    """Return the scale that makes the measured step the known one.

    Parameters
    ----------
    step : HeightStep
    known_um : Measured
        Height of the standard, with its own standard error.
    counts_per_um : float
        Scale with which `step` was measured.
    precision : float
        Largest relative standard error that is accepted.

    Raises
    ------
    InputError
        If the step has another height, or is too small for the precision.
    """
    ratio = step.um.value / known_um.value
    if abs(ratio - 1) > MAX_DIFFERENCE:
        raise InputError(
            f"calibrate: the step found is {step.um.value:.4g} µm high and the known one {known_um.value:g} "
            "µm; give the two levels of the known one with --level-px"
        )
    relative = hypot(step.um.sigma / step.um.value, known_um.sigma / known_um.value)
    if not relative <= precision:
        raise InputError(
            f"calibrate: a step of {known_um.value:g} µm, measured to {step.um.sigma:.2g} µm and known to "
            f"{known_um.sigma:.2g} µm, gives the scale to {100 * relative:.2f} % and not to "
            f"{100 * precision:.2f} %; take a higher step, more repeats, or another --precision"
        )
    scale = counts_per_um * ratio
    return StageScale(Measured(scale, scale * relative), step, known_um, counts_per_um)


def _inside(place: Rectangle, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    top, left, height, width = place
    if (
        min(top, left) < 0
        or min(height, width) < 1
        or top + height > valid.shape[0]
        or (left + width > valid.shape[1])
    ):
        raise InputError(
            f"calibrate: level {place} leaves the field of {valid.shape} px; give top left height width"
        )
    mask = np.zeros_like(valid)
    mask[top : top + height, left : left + width] = True
    return mask & valid


def _find_levels(mean: NDArray[np.floating], valid: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Find two levels by their heights; their common tilt, which conceals them, is fitted iteratively."""
    flat = mean.copy()
    rows, columns = np.indices(mean.shape)
    for _ in range(4):
        high = flat > _between_modes(flat[valid])
        masks = [_core(valid & ~high, valid & high), _core(valid & high, valid & ~high)]
        if min(int(mask.sum()) for mask in masks) < _MIN_PX:
            break
        tilt = _solved(mean, masks)
        flat = mean - tilt[1] * rows - tilt[2] * columns
    else:
        low, top = (flat[mask] for mask in masks)
        separation = float(np.median(top) - np.median(low))
        if separation > _MIN_SEPARATION * (_spread(low) + _spread(top)):
            return masks
    raise InputError("calibrate: no two levels stand out in the field; give them with --level-px, twice")


def _core(level: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the part of a level that is not close to the other one."""
    if not other.any():
        return level
    return np.asarray(level & (ndimage.distance_transform_edt(~other) > _EDGE_PX), dtype=np.bool_)


def _between_modes(heights: NDArray[np.floating]) -> float:
    """Return the height that separates two modes with the least variance within them (Otsu 1979)."""
    ordered = np.sort(heights)
    before = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    low, high = sums[:-1] / before, (sums[-1] - sums[:-1]) / before[::-1]
    k = int(np.argmax(before * before[::-1] * (high - low) ** 2))
    return float(ordered[k] + ordered[k + 1]) / 2


def _fitted(
    height_um: NDArray[np.floating], masks: list[NDArray[np.bool_]]
) -> tuple[float, NDArray[np.float64]]:
    """Return the step from the first level to the second, and the residuals of all heights, (H, W)."""
    found = _solved(height_um, masks)
    rows, columns = np.indices(height_um.shape)
    fit = found[0] + found[1] * rows + found[2] * columns + found[3] * masks[1]
    return float(found[3]), np.asarray(height_um - fit, dtype=np.float64)


def _solved(height_um: NDArray[np.floating], masks: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Fit one plane and a step to two levels; outliers are excluded."""
    rows, columns = np.nonzero(masks[0] | masks[1])
    heights = height_um[rows, columns].astype(np.float64)
    design = np.stack([np.ones(len(rows)), rows, columns, masks[1][rows, columns]], axis=1)
    keep = np.ones(len(rows), dtype=np.bool_)
    for _ in range(3):
        found, _, _, _ = np.linalg.lstsq(design[keep], heights[keep], rcond=None)
        residuals = np.abs(heights - design @ found)
        keep = residuals <= 4 * 1.4826 * np.median(residuals[keep]) + 1e-9
    return np.asarray(found, dtype=np.float64)


def _spread(values: NDArray[np.floating]) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
