"""The folder of results: tables, maps, figures and report of a detection, and the parameters used."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lee.particles.evaluation import Evaluation, ParticleResults, evaluate
from lee.particles.figures import report
from lee.particles.table import has_flag, with_trackpy_columns, write_table
from lee.storage.atomic import new_folder, try_new_folder
from lee.storage.description import json_values
from lee.storage.map_tiff import write_map

if TYPE_CHECKING:
    from lee.particles.finding.detection import Details

FORMAT = "lee particles"
FORMAT_VERSION = 1
_FIXED = frozenset(
    {"particles.csv", "particles.parquet", "particles.json", "over_time.csv", "by_curvature.csv"}
)
_DENSITY = "density_per_um2"


def save_particles(
    folder: str | Path,
    results: ParticleResults,
    details: Mapping[float, Details],
    *,
    parameters: Mapping[str, object] | None = None,
    parquet: bool = False,
    trackpy: bool = False,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Write the results as a folder, which appears only once it is complete.

    Parameters
    ----------
    folder : str or Path
        Must not exist unless `overwrite`.
    results : ParticleResults
    details : mapping of time in s to dict
        Of each detection, as `lee.particles.over_time.find_over_time` returns them.
    parameters : mapping, optional
        Options of the detection, as given; must fit into JSON.
    parquet, trackpy : bool
        Write the table as Parquet too; add trackpy's columns to it, positions aligned to the first time.
    overwrite : bool
        Replace an existing folder of such results. A folder that holds anything else is never replaced.
    progress : callable, optional
        Called with the name of each finished figure.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If something cannot be evaluated or written.
    """
    place = Path(folder)
    with new_folder(place, overwrite=overwrite, known=_known(place)) as partial:
        evaluation = evaluate(results)
        table = _for_trackpy(results, details) if trackpy else results.particles
        write_table(table, partial / "particles.csv")
        if parquet:
            write_table(table, partial / "particles.parquet")
        evaluation.over_time().to_csv(partial / "over_time.csv", index=False, float_format="%.7g")
        if evaluation.relations:
            evaluation.by_curvature().to_csv(partial / "by_curvature.csv", index=False, float_format="%.7g")
        for time, density in evaluation.densities.items():
            when = f"_{time:g}s" if len(evaluation.densities) > 1 else ""
            write_map(partial / f"{_DENSITY}{when}.tif", density.per_um2, results.pixel_um)
        text = json.dumps(_description(results, details, parameters or {}), indent=2, allow_nan=False)
        (partial / "particles.json").write_text(text + "\n", encoding="utf-8")
        report.write_particle_report(partial, results, evaluation=evaluation, progress=progress)
    return evaluation


def check_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Check before long work whether its results can be written.

    Raises
    ------
    InputError
        As `save_particles`.
    """
    try_new_folder(folder, overwrite=overwrite, known=_known(Path(folder)))


def _known(place: Path) -> frozenset[str]:
    maps = {path.name for path in place.glob(f"{_DENSITY}*.tif")} if place.is_dir() else set()
    return frozenset({*_FIXED, *report.FILES, *maps})


def _for_trackpy(results: ParticleResults, details: Mapping[float, Details]) -> pd.DataFrame:
    times = results.particles["time_s"].to_numpy(np.float64)
    widths = np.array([one["spot_sigma_px"] for one in details.values()])
    out = with_trackpy_columns(
        results.particles, pixel_um=results.pixel_um, spot_sigma_px=float(np.median(widths))
    )
    frames = {time: k for k, time in enumerate(details)}
    for time, one in details.items():
        here = np.isclose(times, time, equal_nan=True)
        dy, dx = one["shift_from_first_px"]
        out.loc[here, "y"] -= dy
        out.loc[here, "x"] -= dx
        out.loc[here, "frame"] = frames[time]
    return out


def _description(
    results: ParticleResults, details: Mapping[float, Details], parameters: Mapping[str, object]
) -> dict[str, object]:
    flags = {flag: int(has_flag(results.particles, flag).sum()) for flag in _flags_in(results.particles)}
    try:
        installed = version("lee-microscopy")
    except PackageNotFoundError:
        installed = "not installed as a package"
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": results.name,
        "pixel_um": results.pixel_um,
        "axes": "x_um and y_um run from the middle of pixel (0, 0) of each time's own scan",
        "intensity": "counts of the Gaussian fitted to the spot in best focus, 2 pi peak width^2",
        "particles": len(results.particles),
        "flags": flags,
        "curvature_scale_um": results.curvature_scale_um,
        "parameters": dict(parameters),
        "pairs": json_values([{"time_s": time, **one} for time, one in details.items()]),
        "version": installed,
    }


def _flags_in(particles: pd.DataFrame) -> list[str]:
    return sorted({word for words in particles["flag"].astype(str) for word in words.split()})
