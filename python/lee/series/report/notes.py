"""What a reader of a run's numbers must know, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lee.runs.surface_store import FAILED, WAITING, SurfaceStore
from lee.series.alignment.scan_alignment import Alignment
from lee.series.area_warning import area_warning
from lee.series.relation import Relation

if TYPE_CHECKING:
    import pandas as pd

_LEAST_SCANS = 3


def notes_of(
    store: SurfaceStore,
    alignment: Alignment,
    tables: Mapping[str, pd.DataFrame],
    *,
    relations: Mapping[str, Relation],
    window: int,
    used: int,
) -> list[str]:
    """Return the warnings that belong to a run's results.

    Parameters
    ----------
    store : SurfaceStore
    alignment : Alignment
    tables : mapping of str to DataFrame
        By file name.
    relations : mapping of str to Relation
    window, used : int
        Scans a rate should rest on, and those there are.
    """
    notes = []
    state = store.state
    holes = int((state == FAILED).sum())
    if holes:
        notes.append(f"{holes} of {len(state)} scans have no surface: they are holes in every map and curve.")
    if (state == WAITING).any():
        notes.append(f"{int((state == WAITING).sum())} scans were not reconstructed yet.")
    if used < _LEAST_SCANS:
        notes.append("A rate needs three scans: only growth is told.")
    elif used < window:
        notes.append(f"There are {used} scans, fewer than the window of {window}: rates rest on all of them.")
    phases = store.phases
    for phase in dict.fromkeys(phases):
        count = phases.count(phase)
        if phase and used >= _LEAST_SCANS and count < _LEAST_SCANS:
            notes.append(f"The phase {phase} has {count} of the three scans a rate needs.")
    lost = [k for k in np.flatnonzero(state == 1) if not np.isfinite(alignment.shift_px[k]).all()]
    if lost:
        notes.append(
            f"{len(lost)} scans could not be aligned and are left out: "
            f"{', '.join(store.scans[k] for k in lost)}."
        )
    regions = tables.get("regions.csv")
    if regions is not None and len(regions):
        dark = [str(name) for name, part in regions.groupby("region") if (part["note"] != "").all()]
        if dark:
            notes.append(f"Nothing was measured in {', '.join(dark)}.")
    if regions is not None and not len(regions):
        notes.append("No trench or protrusion stands out of the surface; draw regions to follow them.")
    areal = tables.get("areal.csv")
    if areal is not None and len(areal):
        # Where nobody said what was done, it was plating.
        warned, why = area_warning(areal, phases=[phase or "plating" for phase in phases])
        notes += [f"While plating, {why}."] if warned else []
    notes += [f"Curvature and rate at {name}: {one.note}." for name, one in relations.items() if one.note]
    return notes
