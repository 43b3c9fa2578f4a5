"""Options of the analysis of a run: scale, window, reference of the heights, regions, line, films."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.series.alignment.scan_alignment import Reference
from lee.series.charge.options import ChargeOptions
from lee.storage.refusals import unreadable
from lee.surfaces.profile import Line
from lee.surfaces.regions import Region, read_regions

Regions = str | Path | Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class SeriesOptions:
    """Options of the analysis of a run.

    Parameters
    ----------
    scale_um : float, µm, or "auto"
        Of the curvature; by default chosen on the first surface, and then the same for all.
    fit_scans : int
        Number of scans a rate is fitted to.
    reference : str
        What heights are measured against; see `parse_reference`.
    regions : path or mapping, optional
        See `load_regions`; by default trenches and protrusions are found from the curvature.
    line_um : ((y0, x0), (y1, x1)), µm, optional
        Of the profiles; by default across the field through the largest trench.
    films : bool
        Write films too.
    relief_film : bool
        Write a film of the surface in an oblique view; needs pyvista and takes about a second per scan.
    charge : ChargeOptions, optional
        The potentiostat's record: current and potential under every scan, phases, Faraday's balance.
    """

    scale_um: float | Literal["auto"] = "auto"
    fit_scans: int = 5
    reference: str = "none"
    regions: Regions | None = None
    line_um: Line | None = None
    films: bool = True
    relief_film: bool = False
    charge: ChargeOptions | None = None


def load_regions(given: Regions | None, shape: tuple[int, int], pixel_um: float) -> list[Region]:
    """Read regions from a JSON file, or from a mapping like its content.

    Parameters
    ----------
    given : path, mapping or None
        ``{"R1": {"polygon_um": [[y, x], ...]}, ...}`` on the grid of the first scan.

    Raises
    ------
    InputError
        If the file cannot be read, or a region is outside the field.
    """
    if given is None:
        return []
    if isinstance(given, Mapping):
        return read_regions(given, shape, pixel_um)
    path = Path(given)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error, "give a JSON file of regions") from error
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); correct the file") from error
    try:
        return read_regions(content, shape, pixel_um)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_reference(reference: str, regions: Sequence[Region], times_s: NDArray[np.float64]) -> Reference:
    """Convert a reference of the heights given as text to one for `lee.series.alignment`.

    Parameters
    ----------
    reference : str
        ``none``; ``region:NAME`` or ``fiducial:NAME``, a region that does not grow; ``model:NM_PER_S``, the
        mean growth rate of the field; ``model:FILE``, a CSV file with the header ``time_s,height_um``.
    regions : sequence of Region
        The regions that NAME may refer to.
    times_s : (T,) float64, s

    Raises
    ------
    InputError
        If it is none of these, no region has that name, or the model cannot be read.
    """
    kind, _, value = reference.partition(":")
    if kind == "none" and not value:
        return "none"
    if kind in ("region", "fiducial") and value:
        for region in regions:
            if region.name == value:
                return (kind, value, region.mask)
        known = ", ".join(region.name for region in regions) or "none; give regions (--regions)"
        raise InputError(f"reference {reference}: no region is named {value!r}; the regions are: {known}")
    if kind == "model" and value:
        return ("model", _model(value, times_s))
    raise InputError(
        f"reference is {reference!r}; give none, region:NAME, fiducial:NAME, model:NM_PER_S or model:FILE"
    )


def parse_line(text: str) -> Line:
    """Parse a line given as ``y0,x0,y1,x1`` in µm."""
    try:
        ends = [float(part) for part in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) != 4 or not all(math.isfinite(end) for end in ends):
        raise InputError(f"line is {text!r}; give y0,x0,y1,x1 in µm")
    return (ends[0], ends[1]), (ends[2], ends[3])


def line_through(regions: Sequence[Region], shape: tuple[int, int], pixel_um: float) -> Line:
    """Return a line across the field through the middle of the largest trench, or of the field."""
    trenches = [region for region in regions if region.kind == "trench"] or list(regions)
    row = shape[0] // 2
    if trenches:
        largest = max(trenches, key=lambda region: int(region.mask.sum()))
        row = int(np.median(np.nonzero(largest.mask)[0]))
    return (row * pixel_um, 0.0), (row * pixel_um, (shape[1] - 1) * pixel_um)


def _model(value: str, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return np.asarray(float(value) * 1e-3 * (times_s - times_s[0]))
    except ValueError:
        pass
    path = Path(value)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(float(row["time_s"]), float(row["height_um"])) for row in csv.DictReader(file)]
    except OSError as error:
        raise unreadable(f"model {path}", error, "give nm/s or a CSV file") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"model {path}: must hold numbers under the header time_s,height_um") from error
    model = np.array(rows, dtype=np.float64).reshape(-1, 2)
    if len(model) < 2 or not np.isfinite(model).all() or (np.diff(model[:, 0]) <= 0).any():
        raise InputError(f"model {path}: give two or more heights with rising times")
    if model[0, 0] > times_s[0] or model[-1, 0] < times_s[-1]:
        raise InputError(
            f"model {path}: covers {model[0, 0]:g} to {model[-1, 0]:g} s; it must cover the run, "
            f"{times_s[0]:g} to {times_s[-1]:g} s"
        )
    height = np.interp(times_s, model[:, 0], model[:, 1])
    return np.asarray(height - height[0])
