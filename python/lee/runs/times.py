"""When the scans of a run were taken: from the table scans.csv, or from the scans' own metadata."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from lee.errors import InputError, LeeError
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.recording.moment import Moment, seconds_from_first
from lee.recording.segment_reader import header_of
from lee.stacks.reader import PlaneSet
from lee.stacks.registry import open_source
from lee.storage.csv_table import read_table

PHASES = ("", "plating", "stripping", "rest")


@dataclass(frozen=True)
class ScanEntry:
    """Time, phase and calibration of one scan; None if the run does not state a calibration."""

    time_s: float
    phase: str = ""
    z_step_um: float | None = None
    pixel_um: float | None = None


def read_scans_csv(path: Path, scans: Sequence[Path]) -> list[ScanEntry]:
    """Read ``scans.csv``: one row for each scan, in any order.

    Parameters
    ----------
    path : Path
        With the header ``scan,time_s`` and, optionally, ``phase``, ``z_step_um``, ``pixel_um``.
    scans : sequence of Path
        Scans of the run; rows name them with or without their folder.

    Raises
    ------
    InputError
        If a row cannot be used or names no scan, or a scan has no row.
    """
    found: dict[str, ScanEntry] = {}
    names = {scan.name for scan in scans}
    for line, text in read_table(path, ("scan", "time_s"), optional=("phase", "z_step_um", "pixel_um")):
        where = f"{path}, line {line}"
        name = Path(text["scan"]).name
        if name not in names:
            raise InputError(f"{where}: there is no scan {name!r}; correct the name, or drop the line")
        if name in found:
            raise InputError(f"{where}: scan {name} is given twice; give it once")
        found[name] = _entry_of(text, where)
    missing = [scan.name for scan in scans if scan.name not in found]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{path}: has no time for {missing[0]}{more}; add a line for each scan")
    return [found[scan.name] for scan in scans]


def recorded_times(folder: Path, scans: Sequence[Path]) -> tuple[list[ScanEntry], str]:
    """Return the times stored in the scans themselves, from the first scan on, and where they are stored.

    Recorded scans store it in their header, scans converted from them in their attributes, others in their
    OME metadata (AcquisitionDate). Between scans of one session of the rig a clock counts that nobody sets; a
    warning says where the computer's own was set meanwhile.

    Raises
    ------
    InputError
        If a scan stores no time, or the computer's clock was set back between two sessions.
    """
    began = [acquired(scan) for scan in scans]
    for scan, moment in zip(scans, began, strict=True):
        if moment is None:
            raise InputError(
                f"{folder}: the times of its scans are not known ({scan.name} stores none); give "
                "--interval-s, or a scans.csv with the header scan,time_s"
            )
    known = [moment for moment in began if moment is not None]
    try:
        listed = [ScanEntry(time_s) for time_s in seconds_from_first(known)]
    except TypeError:  # some with a time zone, some without
        raise InputError(
            f"{folder}: some scans state a time zone and others do not; give a scans.csv with the header "
            "scan,time_s"
        ) from None
    recorded = all(scan.suffix.lower() in (RECORDED_SUFFIX, ".zarr") for scan in scans)
    if recorded:
        _check_clocks(folder, scans, known)
    return listed, "recorded" if recorded else "OME AcquisitionDate"


def _check_clocks(folder: Path, scans: Sequence[Path], began: Sequence[Moment]) -> None:
    for scan, (before, after) in zip(scans[1:], pairwise(began), strict=True):
        moved = after.clock_set_by(before)
        if moved:
            warnings.warn(
                f"{folder}: the computer's clock was set by {moved:+.1f} s before {scan.name}; times follow "
                "the clock that nobody sets",
                stacklevel=4,
            )
        if after.since(before) <= 0:
            raise InputError(
                f"{folder}: {scan.name} states that it began {-after.since(before):.1f} s before the scan "
                "before it: the computer's clock was set back between them; take the camera's clock (lee rig "
                "times), or give --interval-s or a scans.csv with the header scan,time_s"
            )


def times_of_file(path: Path, interval_s: float | None) -> tuple[NDArray[np.float64], str]:
    """Return when each of the scans began that one file holds along its time axis, and where that is stated.

    Raises
    ------
    InputError
        If it holds one scan only, or its times are missing.
    """
    opened = open_source(path)
    opened.close()
    count = opened.axes.get("t", 1) if isinstance(opened, PlaneSet) else 1
    if count < 2 or not isinstance(opened, PlaneSet):
        raise InputError(
            f"{path}: holds one scan, a run needs several times; measure it with `lee reconstruct`, or give "
            "the folder of a run"
        )
    if interval_s is not None:
        return np.arange(count, dtype=np.float64) * interval_s, f"every {interval_s:g} s"
    if opened.times_s is None:
        raise InputError(f"{path}: does not state when its {count} scans began; give --interval-s")
    return opened.times_s, "stated by the file"


def _entry_of(row: Mapping[str, str], where: str) -> ScanEntry:
    phase = row.get("phase", "").lower()
    if phase not in PHASES:
        raise InputError(f"{where}: phase is {phase!r}; give plating, stripping or rest, or leave it empty")
    time = _number(row, "time_s", where)
    if time is None:
        raise InputError(f"{where}: time_s is missing; give the time when the scan began, in seconds")
    lengths = [_number(row, name, where) for name in ("z_step_um", "pixel_um")]
    for name, length in zip(("z_step_um", "pixel_um"), lengths, strict=True):
        if length is not None and length <= 0:
            raise InputError(f"{where}: {name} is {length:g}; give a length in µm above 0, or leave it empty")
    return ScanEntry(time, phase, *lengths)


def _number(row: Mapping[str, str], name: str, where: str) -> float | None:
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} is {text!r}; give a number")
    return value


def acquired(scan: Path) -> Moment | None:
    """Return when a scan began, by its own header or metadata; None where it states nothing."""
    if scan.suffix.lower() == RECORDED_SUFFIX:
        return _recorded(scan)
    if scan.is_dir() and (scan / "zarr.json").is_file():
        return _converted(scan)
    if scan.is_dir() or scan.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with tifffile.TiffFile(scan) as tif:
            xml = tif.ome_metadata
        date = ElementTree.fromstring(xml).find(".//{*}AcquisitionDate") if xml else None
        return None if date is None or not date.text else Moment(datetime.fromisoformat(date.text.strip()))
    except Exception:  # tifffile raises many kinds on damaged files
        return None


def _recorded(scan: Path) -> Moment | None:
    try:
        return header_of(scan).begun
    except LeeError:
        return None


def _converted(scan: Path) -> Moment | None:
    try:
        group = json.loads((scan / "zarr.json").read_text(encoding="utf-8"))
        header = group["attributes"]["lee"]["header"]
        began = datetime.fromisoformat(header["started"])
        steady = header.get("monotonic_s")
        return Moment(began, None if steady is None else float(steady), str(header.get("session", "")))
    except (OSError, KeyError, TypeError, ValueError):
        return None
