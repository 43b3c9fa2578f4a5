"""The height of every frame of a recorded scan, and the check that heights are usable."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.recording.ledger import account
from lee.recording.segment_reader import SegmentReader


def heights_of(reader: SegmentReader) -> tuple[NDArray[np.float64] | None, str]:
    """Height of every frame of a segment, µm, NaN where not known, and where they came from.

    Those recorded; where a crash left none, those of the plan, by the pulses that ids and timestamps give. A
    camera that ran freely has none then.
    """
    if np.isfinite(reader.z_um).any():
        return reader.z_um, "recorded heights"
    plan, settings = reader.header.plan, reader.header.settings
    triggered = settings is None or settings.triggered
    if plan is None or len(reader) == 0 or not triggered:
        return None, ""
    placed = account(
        reader.frame_id,
        reader.timestamp_s,
        pulses_planned=plan.pulses,
        frames_per_s=plan.frames_per_s,
        first_id=reader.header.first_id,
    ).pulse
    return np.where(placed >= 0, plan.z_um[placed], np.nan), "plan, by frame ids and timestamps"


def recorded_facts(reader: SegmentReader) -> dict[str, object]:
    """Facts of the recording that its results keep."""
    ledger = reader.ledger
    return {
        "format": "lee recorded scan",
        "source_dtype": reader.header.dtype,
        "started": reader.header.started,
        "finished": reader.finished,
        "recording": f"cut short: {len(reader)} whole frames" if ledger is None else ledger.summary(),
        **reader.notes,
    }


def checked_z(z_um: ArrayLike, count: int, source: str) -> NDArray[np.float64]:
    """Return `z_um` as (count,) float64 if it is finite and strictly monotonic, up or down.

    Raises
    ------
    InputError
        Naming `source` and the first frame at fault.
    """
    try:
        z = np.array(z_um, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{source}: heights are not numbers; give one height in µm for every frame"
        ) from None
    if z.ndim != 1 or z.size != count:
        raise InputError(
            f"{source}: gives heights of shape {z.shape} for {count} frames; give one for every frame"
        )
    bad = np.flatnonzero(~np.isfinite(z))
    if bad.size:
        raise InputError(f"{source}: the height of frame {bad[0]} is {z[bad[0]]}; give a finite height in µm")
    step = np.diff(z)
    repeated = np.flatnonzero(step == 0)
    if repeated.size:
        k = int(repeated[0])
        raise InputError(
            f"{source}: frames {k} and {k + 1} have the same height {z[k]:g} µm; drop or correct one"
        )
    turned = np.flatnonzero(np.sign(step) != np.sign(step[0])) if count > 1 else np.array([], dtype=np.intp)
    if turned.size:
        k = int(turned[0])
        raise InputError(
            f"{source}: heights reverse at frame {k} ({z[k]:g} µm, then {z[k + 1]:g} µm); "
            "they must only rise or only fall: sort the frames, or cut the scan there"
        )
    return z
