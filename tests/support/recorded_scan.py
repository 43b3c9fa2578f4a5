"""Recorded scans for tests: small frames with their number in every pixel."""

import numpy as np

from lee.devices.scan_plan import ScanPlan
from lee.recording import SegmentHeader, SegmentWriter, account
from lee.recording.layout import PAGE

SHAPE = (30, 50)
PERIOD_S = 1 / 80


def plan_of(pulses):
    return ScanPlan(
        first_counts=2000,
        step_counts=400,
        pulses=pulses,
        counts_per_um=2000.0,
        frames_per_s=80.0,
        lead_counts=0,
    )


def header_of(pulses, *, shape=SHAPE, dtype="uint8", **more):
    return SegmentHeader(
        shape=shape, dtype=dtype, frames=pulses, **{"plan": plan_of(pulses), "pixel_um": 0.25, **more}
    )


def record_at(path, slot):
    """Return where a record begins: behind a header of one page, with images of one page."""
    return PAGE + slot * 2 * PAGE


def image_of(number, *, shape=SHAPE, dtype="uint8", seed=0):
    drawn = np.random.default_rng([seed, number]).integers(0, np.iinfo(dtype).max + 1, shape)
    return drawn.astype(dtype)


def record(path, pulses, *, without=(), incomplete=(), finish=True, z_known=True, **header):
    """Record a scan whose camera sees all pulses but some; return its account."""
    made = header_of(pulses, **header)
    numbers = [k for k in range(pulses) if k not in without]
    whole = [k not in incomplete for k in numbers]
    placed = account(
        numbers,
        [5 + k * PERIOD_S for k in numbers],
        pulses_planned=pulses,
        pulses_counted=pulses,
        frames_per_s=80.0,
        complete=whole,
    )
    writer = SegmentWriter(path, made)
    for number, complete in zip(numbers, whole, strict=True):
        image = image_of(number, shape=made.shape, dtype=made.dtype)
        z_um = float(made.plan.z_um[number]) if z_known else np.nan
        writer.append(image, frame_id=number, timestamp_s=5 + number * PERIOD_S, z_um=z_um, complete=complete)
    if finish:
        writer.finish(placed.ledger)
    else:
        writer.abandon()
    return placed
