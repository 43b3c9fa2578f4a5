"""What the page shows of a run: each scan's outcome, and how long the disk and the run last."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lee.devices.protocols import Identity
from lee.recording.free_space import free_bytes
from lee.rig.acquire import ScanResult


def scan_row(result: ScanResult) -> dict[str, object]:
    """Return the outcome of a scan for the page's table."""
    ledger = result.ledger
    return {
        "scan": result.path.name,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": ledger.complete,
        "planned": ledger.pulses_planned,
        "frames": ledger.frames_written,
        "lost": ledger.lost_frames,
        "missed": ledger.missed_triggers,
        "incomplete": ledger.frames_incomplete,
        "dropped": ledger.dropped,
        "said": result.summary(),
        "disk_waited_s": result.disk_waited_s,
        "synchronised": result.synchronisation.method != "none",
        "coverage": None if result.surface is None else result.surface.coverage,
        "no_surface": result.no_surface,
        "missed_sample": result.missed_sample,
        "skipped": result.skipped,
        "surface_after_s": result.surface_after_s if np.isfinite(result.surface_after_s) else None,
        "fault": "" if result.fault is None else " ".join(str(result.fault).split()),
    }


def disk_facts(
    folder: Path, *, duration_s: float, elapsed_s: float | None, run_bytes: int, bytes_per_s: float
) -> dict[str, object]:
    """Return how fast frames go to the disk, and how long it and the run last.

    ``elapsed_s`` None where no run is in progress; ``run_bytes`` 0 before its first scan is complete.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        free: int | None = free_bytes(place)
    except OSError:
        free = None
    # The mean over the run with its pauses: it decides how long the disk lasts.
    mean = run_bytes / elapsed_s if elapsed_s and run_bytes else None
    return {
        "bytes_per_s": bytes_per_s,
        "mean_bytes_per_s": mean,
        "free_bytes": free,
        "full_in_s": free / mean if mean and free is not None else None,
        "run_ends_in_s": None if elapsed_s is None else max(duration_s - elapsed_s, 0.0),
        "duration_s": duration_s,
    }


def device_name(identity: Identity) -> str:
    """Return vendor, model and serial number, as far as they are known."""
    return " ".join(part for part in (identity.vendor, identity.model, identity.serial) if part)
