"""One experiment over time: a folder of scans, when each was taken, and their surfaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError, LeeError, MissingDependency
from lee.recording.in_progress import is_being_written
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.recording.segment_reader import is_segment
from lee.runs.surface_store import SurfaceStore, checked_times
from lee.runs.times import ScanEntry, read_scans_csv, recorded_times, times_of_file
from lee.stacks.ome_zarr.reader import is_zarr
from lee.stacks.registry import reader_for
from lee.stacks.stack import StackOptions, ZStack, open_stack
from lee.stacks.video import VIDEO_SUFFIXES

if TYPE_CHECKING:
    import xarray

SURFACES = "surfaces.zarr"
RESULTS = "series"
SCANS = "scans"
SCANS_CSV = "scans.csv"


@dataclass(frozen=True, eq=False)
class Run:
    """Scans and surfaces of one experiment over time; made by `open_run`.

    Attributes
    ----------
    path : Path
        The run's folder, for its results; beside the file where one file holds all scans.
    scans : list of Path
        Paths that `lee.open_stack` opens, in the order of the scans.
    times_s : (T,) float64, s
        When each scan began.
    phases : (T,) str
        State of the cell: plating, stripping or rest; empty if not known.
    z_steps_um : (T,) float64, µm
        Step between frames stated by the run; NaN where the scan itself states it.
    pixels_um : (T,) float64, µm
        Pixel size stated by the run; NaN where the scan itself states it.
    times_source : str
        Where the times are from.
    z_um : Path, optional
        Table of the frames' heights, for scans without a step of their own in `z_steps_um`.
    reading : dict
        How else the scans are read: further options of `lee.open_stack`.
    in_one_file : bool
        Whether one file holds all scans, along its time axis.
    """

    path: Path
    scans: list[Path]
    times_s: NDArray[np.float64]
    phases: NDArray[np.str_]
    z_steps_um: NDArray[np.float64]
    pixels_um: NDArray[np.float64]
    times_source: str
    z_um: Path | None = None
    reading: StackOptions = field(default_factory=lambda: StackOptions())
    in_one_file: bool = False

    def __len__(self) -> int:
        """Return the number of scans."""
        return len(self.scans)

    @property
    def names(self) -> list[str]:
        """Names of the scans in their folder."""
        if self.in_one_file:
            return [f"{scan.name}, time {k}" for k, scan in enumerate(self.scans)]
        return [scan.name for scan in self.scans]

    @property
    def pixel_um(self) -> float:
        """Size of a pixel, µm: that of the surfaces, or else of the first scan that can be opened."""
        if (self.path / SURFACES).exists():
            return SurfaceStore.open(self.path / SURFACES).pixel_um
        first = ""
        for k in range(len(self)):
            try:
                with self.open_scan(k) as stack:
                    return stack.pixel_um
            except LeeError as error:
                first = first or str(error)
        raise InputError(first)

    @property
    def surfaces(self) -> SurfaceStore | None:
        """The surfaces measured so far; None before the first."""
        return SurfaceStore.open(self.path / SURFACES) if (self.path / SURFACES).exists() else None

    def open_scan(self, k: int) -> ZStack:
        """Open scan k with the calibration stated by the run, if there is one."""
        step, pixel = float(self.z_steps_um[k]), float(self.pixels_um[k])
        return open_stack(
            self.scans[k],
            z_step_um=None if np.isnan(step) else step,
            z_um=self.z_um if np.isnan(step) else None,
            pixel_um=None if np.isnan(pixel) else pixel,
            **self.reading_of(k),
        )

    def reading_of(self, k: int) -> StackOptions:
        """Return how scan k is read beside its calibration; a step of the run goes before a range."""
        reading = self.reading
        if not np.isnan(self.z_steps_um[k]):
            reading = {**reading, "z_range_um": None}
        return {**reading, "time": k} if self.in_one_file else reading

    def to_xarray(self) -> xarray.Dataset:
        """Open the measured surfaces as an `xarray.Dataset`; maps are read when their values are asked for.

        Returns
        -------
        xarray.Dataset
            ``height_um``, ``height_sigma_um``, ``height_filled_um`` and ``refocused`` over (t, y, x), NaN
            where a scan is waiting or failed, with the coordinates ``time_s``, ``scan`` and ``phase`` over t,
            ``y_um`` and ``x_um``. ``state`` is 0 waiting, 1 written, 2 failed. The surfaces are as scanned:
            `lee series` writes them aligned, with growth rates, into ``series/maps.zarr``.

        Raises
        ------
        InputError
            If no surfaces have been made yet, or they are damaged.
        MissingDependency
            If xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise MissingDependency("to_xarray needs xarray: pip install xarray") from error
        store = SurfaceStore.open(self.path / SURFACES)
        found: xarray.Dataset = xarray.open_zarr(store.path, chunks=None)
        return found.drop_vars("record")

    def heights(self) -> Iterator[NDArray[np.float32]]:
        """Yield the measured height map of every scan, (H, W) float32 µm, read one at a time.

        All NaN if a scan is waiting or failed.

        Raises
        ------
        InputError
            If no surfaces have been made yet.
        """
        store = SurfaceStore.open(self.path / SURFACES)
        for k in range(len(store)):
            yield store.read(k)


def recorded_name(name: str) -> str:
    """Return the name under which a scan was recorded, also if it was converted to OME-Zarr since."""
    return name.removesuffix(".zarr") + RECORDED_SUFFIX if name.endswith(".zarr") else name


def recordings_of(path: str | Path) -> list[Path]:
    """Return the recorded scans of a run's folder in order, or the one recording given.

    Raises
    ------
    InputError
        If there is none.
    """
    place = Path(path)
    if not place.is_dir():
        return [place]
    folder = place / SCANS if (place / SCANS).is_dir() else place
    found = sorted(folder.glob(f"*{RECORDED_SUFFIX}"))
    if not found:
        raise InputError(
            f"{place}: holds no recorded scan ({RECORDED_SUFFIX}); give a run of the rig, or a recording"
        )
    return found


def open_run(
    path: str | Path,
    *,
    interval_s: float | None = None,
    z_step_um: float | None = None,
    z_um: str | Path | None = None,
    pixel_um: float | None = None,
    **reading: Unpack[StackOptions],
) -> Run:
    """Open a run's folder.

    Parameters
    ----------
    path : str or Path
        Holds the scans, or a folder ``scans`` with them: OME-TIFF and other stacks in one file, ``.npy``,
        OME-Zarr, or folders of images. Or a file with several times, each of which is a scan; its results go
        to a folder beside it, named after it with ``_run``. The order of scans is that of the numbers in
        their names. ``scans.csv`` in the run's folder, with the header ``scan,time_s``, states when each
        began; its further columns ``phase``, ``z_step_um`` and ``pixel_um`` are optional.
    interval_s : float, s, optional
        Time from the start of one scan to the next, if there is no ``scans.csv``. If neither is given, the
        times stored in the scans are used: in the header of recorded scans, in the OME metadata of others. A
        scan that is being recorded is ignored.
    z_step_um, pixel_um : float, µm, optional
        Calibration of all scans for which ``scans.csv`` states none.
    z_um : str or Path, optional
        Table of the heights of the frames, with the header ``frame,z_um``, for the same scans as `z_step_um`.
    **reading
        How else the scans are read, as `lee.open_stack` takes it: ``channel``, ``descending`` and others.

    Raises
    ------
    InputError
        If there are no scans, or their times are missing or out of order.
    """
    folder = Path(path)
    if z_step_um is not None and z_um is not None:
        raise InputError("z_step_um and z_um are both given; give one of them")
    if interval_s is not None and not (np.isfinite(interval_s) and interval_s > 0):
        raise InputError(f"interval_s is {interval_s:g}; give the seconds from one scan to the next, above 0")
    if folder.is_file() or is_zarr(folder):
        if reading.get("time") is not None:
            raise InputError(f"{folder}: its times are the scans of the run; omit time (--time)")
        times, source = times_of_file(folder, interval_s)
        return Run(
            path=folder.with_name(folder.name.split(".")[0] + "_run"),
            scans=[folder] * times.size,
            times_s=times,
            phases=np.full(times.size, ""),
            z_steps_um=_known([z_step_um] * times.size),
            pixels_um=_known([pixel_um] * times.size),
            times_source=source,
            z_um=None if z_um is None else Path(z_um).absolute(),
            reading=reading,
            in_one_file=True,
        )
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a run")
    home = folder / SCANS if (folder / SCANS).is_dir() else folder
    scans = sorted((entry for entry in home.iterdir() if _is_scan(entry)), key=_natural_order)
    found = {scan.name for scan in scans}
    # A recording and the OME-Zarr made from it are one scan.
    scans = [scan for scan in scans if scan.suffix != RECORDED_SUFFIX or f"{scan.stem}.zarr" not in found]
    # A video beside other scans is a film of them.
    scans = [scan for scan in scans if scan.suffix.lower() not in VIDEO_SUFFIXES] or scans
    if not scans:
        raise InputError(f"{folder}: holds no scans; put z-stacks there, or into its folder {SCANS}")
    listed: list[ScanEntry]
    table = folder / SCANS_CSV
    if table.is_file():
        if interval_s is not None:
            raise InputError(f"{table}: states the times already; omit --interval-s, or remove the file")
        listed, source = read_scans_csv(table, scans), SCANS_CSV
    elif interval_s is not None:
        listed, source = [ScanEntry(k * interval_s) for k in range(len(scans))], f"every {interval_s:g} s"
    else:
        listed, source = recorded_times(folder, scans)
    names = [scan.name for scan in scans]
    times = checked_times([entry.time_s for entry in listed], names, str(folder))
    return Run(
        path=folder,
        scans=scans,
        times_s=times,
        phases=np.array([entry.phase for entry in listed]),
        z_steps_um=_known([entry.z_step_um or z_step_um for entry in listed]),
        pixels_um=_known([entry.pixel_um or pixel_um for entry in listed]),
        times_source=source,
        z_um=None if z_um is None else Path(z_um).absolute(),
        reading=reading,
    )


def _known(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _is_scan(entry: Path) -> bool:
    if entry.name.startswith(".") or entry.name in (SURFACES, RESULTS, SCANS):
        return False
    if entry.suffix.lower() == RECORDED_SUFFIX:
        return is_segment(entry) and not is_being_written(entry)
    return reader_for(entry) is not None


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]
