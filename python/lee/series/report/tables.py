"""Tables of a series: CSV, units in the column names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lee.runs.surface_store import SurfaceStore
from lee.series.alignment.scan_alignment import Alignment
from lee.series.map_store import StoredMaps
from lee.series.relation import Relation
from lee.surfaces.profile import Profile

TABLES = frozenset(
    {
        "scans.csv",
        "regions.csv",
        "rate_ratio.csv",
        "areal.csv",
        "relation.csv",
        "relation_bins.csv",
        "profile.csv",
        "charge.csv",
    }
)
_STATES = ("waiting", "measured", "failed")


def scan_table(store: SurfaceStore, alignment: Alignment, maps: Mapping[str, StoredMaps]) -> pd.DataFrame:
    """Tabulate time, state, alignment, coverage, height and rate of every scan."""
    reasons, times = store.reasons, store.times_s
    rows = []
    for k, (name, time_s, phase, state) in enumerate(
        zip(store.scans, times, store.phases, store.state, strict=True)
    ):
        height, rate = maps["height_um"][k], maps["rate_nm_per_s"][k]
        rows.append(
            {
                "scan": name,
                "time_s": time_s - times[0],
                "time_given_s": time_s,
                "phase": phase,
                "state": _STATES[state],
                "reason": reasons.get(k, ""),
                "measured_share": float(np.isfinite(height).mean()),
                "shift_y_px": alignment.shift_px[k, 0],
                "shift_x_px": alignment.shift_px[k, 1],
                "shift_sigma_y_px": alignment.shift_sigma_px[k, 0],
                "shift_sigma_x_px": alignment.shift_sigma_px[k, 1],
                "axial_um": alignment.axial_um[k],
                "axial_sigma_um": alignment.axial_sigma_um[k],
                "median_height_um": _median(height),
                "median_height_sigma_um": _median(maps["height_sigma_um"][k]),
                "median_rate_nm_per_s": _median(rate),
                "median_rate_sigma_nm_per_s": _median(maps["rate_sigma_nm_per_s"][k]),
            }
        )
    return pd.DataFrame(rows)


def relation_tables(
    relations: Mapping[str, Relation], profiles: Mapping[str, Profile]
) -> dict[str, pd.DataFrame]:
    """Tabulate the relations of rate to curvature, and the profiles along the line, by file name."""
    summary = [
        {
            "when": name,
            "spearman": one.spearman,
            "spearman_low": one.spearman_interval[0],
            "spearman_high": one.spearman_interval[1],
            "pearson": one.pearson,
            "pearson_low": one.pearson_interval[0],
            "pearson_high": one.pearson_interval[1],
            "confidence": one.confidence,
            "n_effective": one.n_effective,
            "pixels": one.n,
            "block_um": one.block_um,
            "note": one.note,
        }
        for name, one in relations.items()
    ]
    bins = [
        pd.DataFrame(
            {
                "when": name,
                "mean_curvature_per_um": one.bin_centres_per_um,
                "median_rate_nm_per_s": one.median,
                "low_nm_per_s": one.low,
                "high_nm_per_s": one.high,
            }
        )
        for name, one in relations.items()
    ]
    lines = [
        pd.DataFrame(
            {
                "when": name,
                "distance_um": one.distance_um,
                "height_um": one.height_um,
                "mean_curvature_per_um": one.mean_per_um,
                "rate_nm_per_s": one.rate_nm_per_s,
            }
        )
        for name, one in profiles.items()
    ]
    tables = {}
    if summary:
        tables["relation.csv"] = pd.DataFrame(summary)
        tables["relation_bins.csv"] = pd.concat(bins, ignore_index=True)
    if lines:
        tables["profile.csv"] = pd.concat(lines, ignore_index=True)
    return tables


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table under its name."""
    for name, table in tables.items():
        table.to_csv(folder / name, index=False, float_format="%.7g")


def _median(values: NDArray[np.float32]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
