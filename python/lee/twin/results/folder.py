"""A solution on disk: maps as zarr and TIFF, fields for ParaView, balances, figures and films."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from lee.errors import InputError, LeeError
from lee.figures.maps import evenly
from lee.storage.atomic import new_folder
from lee.storage.checked_zarr import consolidate
from lee.storage.description import json_values, versions
from lee.storage.map_tiff import write_map
from lee.storage.map_zarr import make_maps
from lee.twin.cell import Cell
from lee.twin.results.figures import environment, potentials, view, write_film
from lee.twin.results.solution import Solution
from lee.twin.results.vtu import write_electrode, write_fields, write_series

FORMAT, FORMAT_VERSION = "lee twin", 2
MAPS = {
    "concentration_mol_per_l": ("mol/L", "salt in the electrolyte at the electrode"),
    "potential_v": ("V", "potential in the electrolyte at the electrode, against the deposited metal"),
    "overpotential_v": ("V", "potential of the electrode over that beside it; negative where it plates"),
    "current_density_ma_per_cm2": ("mA/cm2", "current density per true area, positive where it plates"),
    "height_rate_nm_per_s": ("nm/s", "height rate: change of height with time"),
    "normal_rate_nm_per_s": ("nm/s", "normal rate: growth along the normal of the surface"),
    "height_um": ("um", "height of the surface, gaps filled"),
    "area_ratio": ("1", "true area over that seen from above: height rate over normal rate"),
}
# Of a cell with hydrogen.
HYDROGEN_MAPS = {
    "hydrogen_current_density_ma_per_cm2": ("mA/cm2", "part of the current density that evolves hydrogen"),
    "current_efficiency": ("1", "share of the current that deposits metal"),
}
TIFFS = tuple(name for name in MAPS if name not in ("height_um", "area_ratio"))
FILES = frozenset(
    {"maps.zarr", "maps", "fields", "cell.toml", "solution.json", "balances.csv", "environment.png",
     "potentials.png", "electrode.png", "concentration.mp4", "height_rate.mp4", "rate.mp4", "growth.mp4"}
)  # fmt: skip
# A film of fewer frames shows less than the figures do.
_MIN_FRAMES = 4
# The electrolyte's fields are large: of a long growth, no more times are kept, first and last among them.
_MAX_FIELDS = 12
Progress = Callable[[int, int], None]


def save_solution(
    solution: Solution,
    folder: str | Path,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, Any] | None = None,
    films: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Write a solution as a folder, which appears under its name only when all of it is written.

    ``maps.zarr`` (t, y, x) opens in xarray with named dimensions and units; ``maps`` holds a TIFF of each
    quantity and time, with the pixel size in µm; ``fields`` the electrolyte and the electrode for ParaView
    (open the .pvd; the electrolyte at twelve times at most); ``balances.csv`` the balance of every step;
    ``solution.json`` what was assumed and how long it took; then figures, a 3D view and, of four times or
    more, films, one of the growth where the electrode moved.

    Parameters
    ----------
    solution : Solution
    folder : str or Path
        Must not exist unless `overwrite`.
    overwrite : bool
        Replace an older folder of this kind.
    metadata : mapping, optional
        Where the surface came from; must fit into JSON.
    films : bool
    progress : callable, optional
        Called with times written and times in all.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the solution holds no time, or the folder exists.
    StorageError
        If the folder cannot be written.
    """
    count = len(solution.times_s)
    if count == 0:
        raise InputError(f"nothing to write to {folder}: no time was reached; {solution.stopped or 'solve'}")
    with new_folder(folder, overwrite=overwrite, known=FILES) as place:
        write_solution(place, solution, metadata=metadata, films=films, progress=progress)
    return Path(folder)


def write_solution(
    place: Path,
    solution: Solution,
    *,
    metadata: Mapping[str, Any] | None = None,
    films: bool = True,
    progress: Progress | None = None,
) -> None:
    """Write the files of `save_solution` into a folder that is there and empty."""
    count = len(solution.times_s)
    _write_zarr(place / "maps.zarr", solution)
    (place / "maps").mkdir()
    (place / "fields").mkdir()
    moved = bool(np.ptp(solution.height_um, axis=0).max() > 0)
    kept = evenly(count, _MAX_FIELDS)
    for k in range(count):
        for name in (*_tiffs(solution), "height_um") if moved else _tiffs(solution):
            write_map(place / "maps" / tiff_name(name, solution, k), getattr(solution, name)[k],
                      solution.pixel_um)  # fmt: skip
        if k in kept:
            write_fields(place / "fields" / f"electrolyte_{k:04d}.vtu", solution, k)
        write_electrode(place / "fields" / f"electrode_{k:04d}.vtu", solution, k)
        if progress is not None:
            progress(k + 1, count)
    for part, times in (("electrolyte", kept), ("electrode", range(count))):
        names = [f"{part}_{k:04d}.vtu" for k in times]
        write_series(place / "fields" / f"{part}.pvd", solution.times_s[list(times)], names)
    solution.cell.save(place / "cell.toml")
    balances(solution).to_csv(place / "balances.csv", index=False)
    environment(solution).savefig(place / "environment.png", format="png")
    potentials(solution).savefig(place / "potentials.png", format="png")
    view(solution, place / "electrode.png")
    if films and count >= _MIN_FRAMES:
        write_film(place / "concentration.mp4", solution, "concentration_mol_per_l")
        write_film(place / "height_rate.mp4", solution, "height_rate_nm_per_s")
        if moved:
            write_film(place / "growth.mp4", solution, "grown_um")
    text = json.dumps(json_values(_described(solution, metadata or {})), indent=2, allow_nan=False)
    (place / "solution.json").write_text(text + "\n", encoding="utf-8")


def _tiffs(solution: Solution) -> tuple[str, ...]:
    evolves = solution.hydrogen_current_density_ma_per_cm2 is not None
    return (*TIFFS, *HYDROGEN_MAPS) if evolves else TIFFS


def tiff_name(name: str, solution: Solution, k: int) -> str:
    """Name the TIFF of a quantity at time k."""
    return f"{name}_{k:04d}_{solution.times_s[k]:.6g}s.tif"


def balances(solution: Solution) -> pd.DataFrame:
    """Return the balance of every step as a table: errors, residuals, iterations."""
    return pd.DataFrame(
        [
            {
                "time_s": book.time_s,
                "step_s": book.step_s,
                "charge_error": book.charge_error,
                "mass_error": float(book.mass_error),
                "first_residual": book.residuals[0] if book.residuals else np.nan,
                "last_residual": book.residuals[-1] if book.residuals else np.nan,
                "linear_iterations": book.linear_iterations,
                "electrode_v": book.electrode_v,
                "current_ma_per_cm2": book.current_ma_per_cm2,
                "charge_c_per_cm2": book.charge_c_per_cm2,
            }
            for book in solution.balances
        ],
        columns=["time_s", "step_s", "charge_error", "mass_error", "first_residual", "last_residual",
                 "linear_iterations", "electrode_v", "current_ma_per_cm2", "charge_c_per_cm2"],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class SolutionMaps:
    """Maps of a solution as a folder stores them; `compare` takes them as it takes a solution.

    Attributes
    ----------
    times_s : (T,) float64
    concentration_mol_per_l, potential_v, overpotential_v, current_density_ma_per_cm2, height_rate_nm_per_s,
    normal_rate_nm_per_s, height_um, area_ratio : (T, H, W) float32
        As in `Solution`.
    filled : (H, W) bool
    pixel_um : float
    kind : str
    cell : Cell
    metadata : dict
        As given to `save_solution`.
    """

    times_s: NDArray[np.float64]
    concentration_mol_per_l: NDArray[np.float32]
    potential_v: NDArray[np.float32]
    overpotential_v: NDArray[np.float32]
    current_density_ma_per_cm2: NDArray[np.float32]
    height_rate_nm_per_s: NDArray[np.float32]
    normal_rate_nm_per_s: NDArray[np.float32]
    height_um: NDArray[np.float32]
    area_ratio: NDArray[np.float32]
    filled: NDArray[np.bool_]
    pixel_um: float
    kind: str
    cell: Cell
    metadata: dict[str, Any]


def load_maps(folder: str | Path) -> SolutionMaps:
    """Read the maps of a folder that `save_solution` wrote.

    Raises
    ------
    InputError
        If it is none, is damaged, or a newer version of lee wrote it.
    """
    place = Path(folder)
    if not (place / "solution.json").is_file():
        raise InputError(f"{place} holds no solution.json: give a folder written by `lee twin solve`")
    try:
        description = json.loads((place / "solution.json").read_text(encoding="utf-8"))
        if description["format"] != FORMAT or description["format_version"] > FORMAT_VERSION:
            raise InputError(f"{place} is of a kind this version of lee does not read: update lee")
        group: Any = zarr.open_group(str(place / "maps.zarr"), mode="r")
        if description["format_version"] < FORMAT_VERSION:
            raise InputError(
                f"{place} was written by an older lee, when rates were along the normal only: "
                "solve again with --overwrite"
            )
        maps = {name: np.asarray(group[name][:], np.float32) for name in MAPS}
        return SolutionMaps(
            times_s=np.asarray(group["time_s"][:], np.float64),
            **maps,
            filled=np.asarray(group["filled"][:]).astype(bool),
            pixel_um=float(description["pixel_um"]),
            kind=str(description["kind"]),
            cell=Cell.load(place / "cell.toml"),
            metadata=dict(description["metadata"]),
        )
    except LeeError:
        raise
    except Exception as error:  # zarr and JSON meet damage with many kinds of exception
        reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
        raise InputError(f"{place} cannot be read ({reason}): solve again with --overwrite") from error


def _write_zarr(path: Path, solution: Solution) -> None:
    shape = solution.height_um.shape[1:]
    group: Any = zarr.create_group(
        str(path),
        zarr_format=3,
        attributes={
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": solution.kind,
            "pixel_um": solution.pixel_um,
            "coordinates": "time_s y_um x_um",
            "axes": "rows run down the image; height grows toward the electrolyte",
        },
    )
    maps = MAPS if solution.hydrogen_current_density_ma_per_cm2 is None else MAPS | HYDROGEN_MAPS
    make_maps(group, maps, len(solution.times_s), (shape[0], shape[1]))
    for name in maps:
        group[name][:] = getattr(solution, name)
    for name, axis, unit, meaning, values in (
        ("time_s", "t", "s", "time since the current was switched on", solution.times_s),
        ("electrode_v", "t", "V", "potential of the electrode", solution.electrode_v),
        ("y_um", "y", "um", "distance down the image", np.arange(shape[0]) * solution.pixel_um),
        ("x_um", "x", "um", "distance along the image", np.arange(shape[1]) * solution.pixel_um),
    ):
        array = group.create_array(
            name, shape=values.shape, chunks=values.shape, dtype="float64", dimension_names=(axis,),
            attributes={"long_name": meaning, "units": unit},
        )  # fmt: skip
        array[:] = values
    filled = group.create_array(
        "filled", shape=shape, chunks=shape, dtype="uint8", dimension_names=("y", "x"),
        attributes={"long_name": "1 where the height was not measured but filled in"},
    )  # fmt: skip
    filled[:] = solution.filled.astype(np.uint8)
    consolidate(path)


def _described(solution: Solution, metadata: Mapping[str, Any]) -> dict[str, Any]:
    steps = solution.balances
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": solution.kind,
        "times_s": solution.times_s,
        "shape_px": list(solution.height_um.shape[1:]),
        "pixel_um": solution.pixel_um,
        "axes": "rows run down the image; height grows toward the electrolyte",
        "nodes": list(solution.fields.z_um.shape[1:]),
        "cell": asdict(solution.cell),
        "electrode_v": solution.electrode_v,
        "notes": solution.notes,
        "stopped": solution.stopped,
        "filled_share": float(solution.filled.mean()),
        "steps": len(steps),
        "largest_charge_error": max((float(b.charge_error) for b in steps), default=None),
        "largest_mass_error": max((float(b.mass_error) for b in steps), default=None),
        "timings_s": solution.timings_s,
        "maps": {name: _range(getattr(solution, name)) for name in _tiffs(solution)},
        "versions": versions(),
        "metadata": metadata,
    }


def _range(maps: NDArray[np.float32]) -> list[dict[str, float]]:
    return [
        {"p05": float(low), "median": float(middle), "p95": float(high)}
        for low, middle, high in (np.percentile(one, (5, 50, 95)) for one in maps)
    ]
