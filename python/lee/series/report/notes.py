"""Warnings and remarks on the results of a series, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lee.runs.surface_store import FAILED, WAITING, SurfaceStore
from lee.series.alignment.scan_alignment import Alignment
from lee.series.area_warning import area_warning
from lee.series.growth.line_fit import MIN_SCANS
from lee.series.relation import Relation

if TYPE_CHECKING:
    import pandas as pd


def notes_of(
    store: SurfaceStore,
    alignment: Alignment,
    tables: Mapping[str, pd.DataFrame],
    *,
    phases: Sequence[str],
    relations: Mapping[str, Relation],
    window: int,
    used: int,
) -> list[str]:
    """Return the warnings and remarks on a run's results.

    Parameters
    ----------
    store : SurfaceStore
    alignment : Alignment
    tables : mapping of str to DataFrame
        By file name.
    phases : (T,) str
    relations : mapping of str to Relation
    window, used : int
        Number of scans requested for a rate, and the number available.
    """
    notes = []
    state = store.state
    failed = int((state == FAILED).sum())
    if failed:
        notes.append(
            f"{failed} of {len(state)} scans have no surface and are missing in all maps and curves."
        )
    if (state == WAITING).any():
        notes.append(f"{int((state == WAITING).sum())} scans are not reconstructed yet.")
    if used < MIN_SCANS:
        notes.append("There are fewer than three scans: growth is given, but no rates.")
    elif used < window:
        notes.append(
            f"There are {used} scans, fewer than the window of {window}: rates are fitted to all of them."
        )
    for phase in dict.fromkeys(phases):
        count = list(phases).count(phase)
        if phase and used >= MIN_SCANS and count < MIN_SCANS:
            notes.append(f"The phase {phase} has only {count} of the three scans that a rate needs.")
    lost = [k for k in np.flatnonzero(state == 1) if not np.isfinite(alignment.shift_px[k]).all()]
    if lost:
        notes.append(
            f"{len(lost)} scans could not be aligned and are excluded: "
            f"{', '.join(store.scans[k] for k in lost)}."
        )
    regions = tables.get("regions.csv")
    if regions is not None and len(regions):
        unmeasured = [str(name) for name, part in regions.groupby("region") if (part["note"] != "").all()]
        if unmeasured:
            notes.append(f"Nothing was measured in {', '.join(unmeasured)}.")
    if regions is not None and not len(regions):
        notes.append(
            "No trench or protrusion was found on the surface; to measure regions, give them (--regions)."
        )
    areal = tables.get("areal.csv")
    if areal is not None and len(areal):
        # A scan of unknown phase counts as plating.
        warned, why = area_warning(areal, phases=[phase or "plating" for phase in phases])
        notes += [f"While plating, {why}."] if warned else []
    notes += [f"Curvature and rate at {name}: {one.note}." for name, one in relations.items() if one.note]
    return notes
