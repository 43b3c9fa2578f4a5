"""What the analysis of a run is asked for: regions, a reference for the heights, a line."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.storage.refusals import unreadable
from lee.surfaces.regions import Region, read_regions

Line = tuple[tuple[float, float], tuple[float, float]]


def load_regions(given: Any, shape: tuple[int, int], pixel_um: float) -> list[Region]:
    """Draw the regions of a JSON file, or of a mapping like its content.

    Parameters
    ----------
    given : path, mapping or None
        ``{"R1": {"polygon_um": [[y, x], ...]}, ...}`` on the grid of the first scan.

    Raises
    ------
    InputError
        If the file cannot be read, or a region lies outside the field.
    """
    if given is None:
        return []
    if isinstance(given, Mapping):
        return read_regions(given, shape, pixel_um)
    path = Path(given)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error, "give a JSON file of regions") from error
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error}); correct it there") from error
    try:
        return read_regions(found, shape, pixel_um)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def reference_for_align(reference: str, regions: Sequence[Region], times_s: NDArray[np.float64]) -> Any:
    """Return what `lee.series.alignment.align` takes for a reference given in words.

    Parameters
    ----------
    reference : str
        ``none``; ``region:NAME`` or ``fiducial:NAME``, a region that does not grow; ``model:NM_PER_S``, the
        mean growth rate of the field; ``model:FILE``, a CSV file with the header ``time_s,height_um``.
    regions : sequence of Region
        Among which NAME is looked for.
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
        known = ", ".join(region.name for region in regions) or "none is given (--regions)"
        raise InputError(f"reference {reference}: no region is named {value!r}; there are: {known}")
    if kind == "model" and value:
        return ("model", _model(value, times_s))
    raise InputError(
        f"reference is {reference!r}; give none, region:NAME, fiducial:NAME, model:NM_PER_S or model:FILE"
    )


def parse_line(text: str) -> Line:
    """Read a line given as ``y0,x0,y1,x1`` in um."""
    try:
        ends = [float(part) for part in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) != 4 or not all(math.isfinite(end) for end in ends):
        raise InputError(f"line is {text!r}; give y0,x0,y1,x1 in um")
    return (ends[0], ends[1]), (ends[2], ends[3])


def line_through(regions: Sequence[Region], shape: tuple[int, int], pixel_um: float) -> Line:
    """Return a line along the whole field through the middle of the largest trench, else of the field."""
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
        raise InputError(f"model {path}: give two or more heights, their times rising")
    if model[0, 0] > times_s[0] or model[-1, 0] < times_s[-1]:
        raise InputError(
            f"model {path}: tells {model[0, 0]:g} to {model[-1, 0]:g} s; let it reach over the run, "
            f"{times_s[0]:g} to {times_s[-1]:g} s"
        )
    height = np.interp(times_s, model[:, 0], model[:, 1])
    return np.asarray(height - height[0])
