"""Backlash of a stage, measured with the rig's own camera: the same sample scanned rising and falling.

A stage without an encoder tells where its motor is. Falling, its carriage is higher than that by the play of
the nut, so the sample is in focus at counts that are lower by it. Drift of the stand is fitted alongside, and
the way the stage goes on during an exposure, which moves the two directions apart, is added.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from math import hypot, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.reconstruction.reconstruct import reconstruct
from lee.rig.acquire import take_scan
from lee.stacks.stack import open_stack

# Fewer of the field's pixels in focus tell too little of the stage.
LEAST_COVERAGE = 0.05
# A surface that spans less shows every scan the same part of the motor's turn, and its microsteps' error.
FULL_STEP_UM = 1.02
_GOLDEN = 0.618034
# The field is cut into so many parts along each axis, which tell how far the whole can be trusted; smaller
# ones would share their windows of focus, and fewer measured pixels tell nothing.
_PARTS, _PART_PX, _LEAST_PX = 4, 8, 10


class Pass(NamedTuple):
    """One scan of the sample: its ``height_um`` (H, W) by the counts, NaN where not measured."""

    height_um: NDArray[np.float32]
    falling: bool
    middle_s: float


class Measured(NamedTuple):
    """A value and its standard error, both in the same unit."""

    value: float
    sigma: float


class Backlash(NamedTuple):
    """What rising and falling scans tell of a stage."""

    um: Measured
    drift_um_per_s: float
    scans: int
    note: str


def scan_both_ways(
    rig: Rig,
    plan: ScanPlan,
    *,
    settings: CameraSettings,
    pixel_um: float,
    repeats: int,
    folder: str | Path,
    told: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Pass]:
    """Scan a sample rising, falling, rising, ..., always the same counts.

    Parameters
    ----------
    rig : Rig
        Its camera configured.
    plan : ScanPlan
        Of a rising scan.
    settings : CameraSettings
        As the camera applied them; triggered.
    pixel_um : float, um
    repeats : int
        Falling scans; there is one rising scan more. At least 2, since their scatter is the error told.
    folder : path
        Where scans lie until they are reconstructed; they are deleted then.
    told : callable, optional
        Called with a line on every scan.
    clock : callable, s
        That of the devices.

    Raises
    ------
    InputError
        If an argument cannot be used, or the sample shows too little to be measured.
    RigFault
        If a scan fails.
    """
    if not settings.triggered:
        raise InputError("calibrate: the camera must be triggered; heights by time are off either way")
    if plan.step_counts < 0:
        raise InputError("calibrate: the plan falls; give a rising one")
    if repeats < 2:
        raise InputError(f"calibrate: repeats is {repeats}; give 2 or more, whose scatter is the error told")
    passes: list[Pass] = []
    with tempfile.TemporaryDirectory(prefix=".calibrate-", dir=folder) as place:
        for k in range(2 * repeats + 1):
            path, begun_s = Path(place) / f"scan_{k:03d}.raw", clock()
            taken = take_scan(
                rig,
                _plan_of(plan, k),
                path,
                settings=settings,
                pixel_um=pixel_um,
                reconstruct=False,
                clock=clock,
            )
            if taken.fault is not None:
                raise taken.fault
            ended_s = clock()
            surface = reconstruct(open_stack(path))
            path.unlink()
            passes.append(Pass(surface.height_um, bool(k % 2), (begun_s + ended_s) / 2))
            if told is not None:
                away = float(np.nanmedian(surface.height_um - passes[0].height_um))
                told(
                    f"scan {k + 1} of {2 * repeats + 1}, {'falling' if k % 2 else 'rising'}: "
                    f"{surface.coverage:.0%} measured, {away:+.3f} um from the first"
                )
    seen = float(in_all(passes).mean())
    if seen < LEAST_COVERAGE:
        raise InputError(
            f"calibrate: {seen:.0%} of the field was measured in every scan; scan a sample with structure, "
            "over a range that holds all of it"
        )
    return passes


def _plan_of(plan: ScanPlan, k: int) -> ScanPlan:
    """Plan scan k: every second falls, and each begins at another part of a step.

    Frames at other heights make other errors, which are then in the scatter of the scans.
    """
    first = plan.first_counts - int(plan.step_counts * (k * _GOLDEN % 1))
    if k % 2 == 0:
        return replace(plan, first_counts=first)
    last = first + plan.step_counts * (plan.pulses - 1)
    return replace(plan, first_counts=last, step_counts=-plan.step_counts)


def in_all(passes: list[Pass]) -> NDArray[np.bool_]:
    """Tell which pixels every scan measured, (H, W)."""
    return np.asarray(np.isfinite([one.height_um for one in passes]).all(axis=0), dtype=np.bool_)


def backlash_of(passes: list[Pass], plan: ScanPlan, exposure_s: float) -> Backlash:
    """Fit backlash and drift to scans of both directions.

    The error is that of the fit to the scans' medians over the field, and that of the field: what parts of
    it tell apart from one another.

    Parameters
    ----------
    passes : list of Pass
        From `scan_both_ways`.
    plan : ScanPlan
        Whose speed the stage had.
    exposure_s : float, s
        Of a frame, which begins at its pulse.
    """
    valid = in_all(passes)
    falling = np.array([one.falling for one in passes])
    away = np.array([np.median((one.height_um - passes[0].height_um)[valid]) for one in passes])
    times = np.array([one.middle_s for one in passes])
    known = np.stack([np.ones(len(passes)), times - times.mean(), -falling.astype(np.float64)], axis=1)
    found, _, _, _ = np.linalg.lstsq(known, away, rcond=None)
    scatter = float(np.sum((away - known @ found) ** 2)) / (len(passes) - 3)
    of_fit = sqrt(scatter * float(np.linalg.inv(known.T @ known)[2, 2]))
    heights = np.stack([one.height_um for one in passes])
    apart = np.where(valid, heights[~falling].mean(axis=0) - heights[falling].mean(axis=0), np.nan)
    spread = float(np.subtract(*np.percentile(heights[0][valid], [97.5, 2.5])))
    note = ""
    if spread < FULL_STEP_UM:
        note = (
            f"the sample spans {spread:.2g} um, less than a full step of the motor ({FULL_STEP_UM:g} um): "
            "the microsteps' error is in the backlash and not in its standard error; tilt the sample"
        )
    way_um = plan.speed_um_per_s * exposure_s
    sigma = hypot(of_fit, error_of_field(apart))
    return Backlash(Measured(float(found[2]) + way_um, sigma), float(found[1]), len(passes), note)


def error_of_field(values: NDArray[np.floating]) -> float:
    """Return the standard error of a map's median, from what its parts tell; NaN is left out."""
    there = np.isfinite(values)
    held = values[np.ix_(there.any(axis=1), there.any(axis=0))]
    down, across = (min(max(side // _PART_PX, 2), _PARTS) for side in held.shape)
    parts = [
        float(np.median(seen))
        for rows in np.array_split(held, down, axis=0)
        for part in np.array_split(rows, across, axis=1)
        if len(seen := part[np.isfinite(part)]) >= _LEAST_PX
    ]
    return float(np.std(parts, ddof=1)) / sqrt(len(parts)) if len(parts) > 1 else float("nan")


def check_way(backlash_um: float, plan: ScanPlan, *, taken_for_um: float, highest_counts: int) -> None:
    """Raise ``InputError`` where falling scans were approached over less than the backlash.

    Parameters
    ----------
    backlash_um : float
        As measured.
    plan : ScanPlan
        Of the rising scans.
    taken_for_um : float
        What the stage was told of its backlash: it comes from twice as high, but never above its limit.
    highest_counts : int
    """
    start = plan.end_counts  # of a falling scan
    room_um = (highest_counts - start) / plan.counts_per_um
    way_um = min(2 * taken_for_um, room_um) + plan.lead_counts / plan.counts_per_um
    if backlash_um > way_um:
        raise InputError(
            f"calibrate: the backlash, {backlash_um:.3g} um or more, was not taken out on {way_um:.3g} um; "
            f"set [stage] backlash_um to {2 * backlash_um:.3g}, leave room above, and measure again"
        )
