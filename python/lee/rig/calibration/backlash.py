"""Backlash of a stage, measured with the rig's own camera: the same sample scanned rising and falling.

A stage without an encoder counts the steps of its motor. When it falls, its carriage is higher than the
counts by the play of the nut, so the sample comes into focus at counts that are lower by the backlash. Drift
of the stand is fitted alongside. The distance that the stage travels during an exposure has opposite effects
on the two directions and is added.
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

# Smallest share of the field that every scan must measure.
MIN_COVERAGE = 0.05
# A full step of the motor. On a surface that spans less, every scan sees the same microsteps and their error.
FULL_STEP_UM = 1.02
_GOLDEN = 0.618034
# The scatter between parts of the field gives the standard error of the whole: number of parts along an axis,
# their smallest side (smaller ones would share the windows of the focus measure) and measured pixels.
_MAX_PARTS, _MIN_PART_PX, _MIN_MEASURED_PX = 4, 8, 10


class Pass(NamedTuple):
    """One scan of the sample: its ``height_um`` (H, W) by the stage's counts, NaN where not measured."""

    height_um: NDArray[np.float32]
    falling: bool
    middle_s: float


class Measured(NamedTuple):
    """A value and its standard error, both in the same unit."""

    value: float
    sigma: float


class Backlash(NamedTuple):
    """Backlash of a stage from rising and falling scans, the drift meanwhile, and a note on its limits."""

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
    report: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Pass]:
    """Scan a sample rising, falling, rising and so on, always over the same counts.

    Parameters
    ----------
    rig : Rig
        With its camera configured.
    plan : ScanPlan
        Plan of a rising scan.
    settings : CameraSettings
        As the camera applied them; triggered.
    pixel_um : float, µm
    repeats : int
        Number of falling scans; there is one rising scan more. At least 2, since their scatter gives the
        standard error.
    folder : path
        Where scans are kept until they are reconstructed; then they are deleted.
    report : callable, optional
        Called with a line about every scan.
    clock : callable, s
        Clock of the devices.

    Raises
    ------
    InputError
        If an argument cannot be used, or too little of the sample was measured.
    RigFault
        If a scan fails.
    """
    if not settings.triggered:
        raise InputError(
            "calibrate: the camera must be triggered; heights from timestamps share an unknown offset"
        )
    if plan.step_counts < 0:
        raise InputError("calibrate: the plan is one of a falling scan; give that of a rising one")
    if repeats < 2:
        raise InputError(
            f"calibrate: repeats is {repeats}; give 2 or more: their scatter gives the standard error"
        )
    passes: list[Pass] = []
    with tempfile.TemporaryDirectory(prefix=".calibrate-", dir=folder) as place:
        for k in range(2 * repeats + 1):
            path, begun_s = Path(place) / f"scan_{k:03d}.raw", clock()
            result = take_scan(
                rig,
                _plan_of(plan, k),
                path,
                settings=settings,
                pixel_um=pixel_um,
                reconstruct=False,
                clock=clock,
            )
            if result.fault is not None:
                raise result.fault
            ended_s = clock()
            surface = reconstruct(open_stack(path))
            path.unlink()
            passes.append(Pass(surface.height_um, bool(k % 2), (begun_s + ended_s) / 2))
            if report is not None:
                offset = float(np.nanmedian(surface.height_um - passes[0].height_um))
                report(
                    f"scan {k + 1} of {2 * repeats + 1}, {'falling' if k % 2 else 'rising'}: "
                    f"{100 * surface.coverage:.0f} % measured, {offset:+.3f} µm from the first"
                )
    coverage = float(measured_in_all(passes).mean())
    if coverage < MIN_COVERAGE:
        raise InputError(
            f"calibrate: only {100 * coverage:.0f} % of the field was measured in every scan; scan a sample "
            "with structure, over a range that holds all of it"
        )
    return passes


def _plan_of(plan: ScanPlan, k: int) -> ScanPlan:
    """Plan scan k: every second one falls, and each begins at another fraction of a step.

    Frames at other heights make other errors, which then show in the scatter of the scans.
    """
    first = plan.first_counts - int(plan.step_counts * (k * _GOLDEN % 1))
    if k % 2 == 0:
        return replace(plan, first_counts=first)
    last = first + plan.step_counts * (plan.pulses - 1)
    return replace(plan, first_counts=last, step_counts=-plan.step_counts)


def measured_in_all(passes: list[Pass]) -> NDArray[np.bool_]:
    """Return which pixels every scan measured, (H, W)."""
    return np.asarray(np.isfinite([one.height_um for one in passes]).all(axis=0), dtype=np.bool_)


def fit_backlash(passes: list[Pass], plan: ScanPlan, exposure_s: float) -> Backlash:
    """Fit backlash and drift to scans of both directions.

    The standard error has two parts: that of the fit to the scans' medians over the field, and the scatter
    between parts of the field.

    Parameters
    ----------
    passes : list of Pass
        From `scan_both_ways`.
    plan : ScanPlan
        Plan of a rising scan, for the speed of the stage.
    exposure_s : float, s
        Exposure of a frame, which begins at its pulse.
    """
    valid = measured_in_all(passes)
    falling = np.array([one.falling for one in passes])
    offsets = np.array([np.median((one.height_um - passes[0].height_um)[valid]) for one in passes])
    times = np.array([one.middle_s for one in passes])
    design = np.stack([np.ones(len(passes)), times - times.mean(), -falling.astype(np.float64)], axis=1)
    found, _, _, _ = np.linalg.lstsq(design, offsets, rcond=None)
    variance = float(np.sum((offsets - design @ found) ** 2)) / (len(passes) - 3)
    fit_sigma = sqrt(variance * float(np.linalg.inv(design.T @ design)[2, 2]))
    heights = np.stack([one.height_um for one in passes])
    differences = np.where(valid, heights[~falling].mean(axis=0) - heights[falling].mean(axis=0), np.nan)
    spread = float(np.subtract(*np.percentile(heights[0][valid], [97.5, 2.5])))
    note = ""
    if spread < FULL_STEP_UM:
        note = (
            f"the sample spans {spread:.2g} µm, less than a full step of the motor ({FULL_STEP_UM:g} µm): "
            "the error of the microsteps is in the backlash and not in its standard error; tilt the sample"
        )
    travel_um = plan.speed_um_per_s * exposure_s
    sigma = hypot(fit_sigma, median_sigma(differences))
    return Backlash(Measured(float(found[2]) + travel_um, sigma), float(found[1]), len(passes), note)


def median_sigma(values: NDArray[np.floating]) -> float:
    """Return the standard error of a map's median from the scatter of its parts; NaN is ignored."""
    known = np.isfinite(values)
    inside = values[np.ix_(known.any(axis=1), known.any(axis=0))]
    down, across = (min(max(side // _MIN_PART_PX, 2), _MAX_PARTS) for side in inside.shape)
    parts = [
        float(np.median(measured))
        for rows in np.array_split(inside, down, axis=0)
        for part in np.array_split(rows, across, axis=1)
        if len(measured := part[np.isfinite(part)]) >= _MIN_MEASURED_PX
    ]
    return float(np.std(parts, ddof=1)) / sqrt(len(parts)) if len(parts) > 1 else float("nan")


def check_approach(
    backlash_um: float, plan: ScanPlan, *, assumed_backlash_um: float, highest_counts: int
) -> None:
    """Raise ``InputError`` if falling scans were approached over a distance shorter than the backlash.

    Parameters
    ----------
    backlash_um : float
        As measured.
    plan : ScanPlan
        Plan of the rising scans.
    assumed_backlash_um : float
        Backlash that the stage was configured with: it approaches over twice as much, within its limit.
    highest_counts : int
        Upper limit of the stage.
    """
    start = plan.end_counts  # of a falling scan
    room_um = (highest_counts - start) / plan.counts_per_um
    approach_um = min(2 * assumed_backlash_um, room_um) + plan.lead_counts / plan.counts_per_um
    if backlash_um > approach_um:
        raise InputError(
            f"calibrate: the backlash, {backlash_um:.3g} µm or more, was not taken out on {approach_um:.3g} "
            f"µm; set [stage] backlash_um to {2 * backlash_um:.3g}, leave room above, and measure again"
        )
