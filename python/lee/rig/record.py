"""A run at the rig: scan after scan, each on the disk and accounted for before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

from lee.devices.protocols import CameraFrame, CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.reconstruction.parameters import ReconstructParams
from lee.recording.free_space import require_space
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.rig.acquire import ScanResult, max_frames, take_scan
from lee.rig.run_surfaces import RunSurfaces, refuse_an_earlier_clock
from lee.rig.scan_window import ScanWindow
from lee.runs.lock import run_locked
from lee.runs.reconstruct import series_params
from lee.runs.run import SCANS
from lee.storage.refusals import unwritable

# Largest size of a frame's record beside its image, and size of a surface in the store.
_RECORD_BYTES, _SURFACE_BYTES_PX = 2 * 4096, 17
# A scan that begins late by no more than this share of the interval is in time.
INTERVAL_TOLERANCE = 0.01
# Seconds between two checks, before the next scan is due, whether the run should end.
_POLL_S = 0.25


@dataclass(frozen=True)
class RunPlan:
    """A run as it is planned.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    scan : ScanPlan
        Plan of the first scan.
    settings : CameraSettings
        Settings to ask of the camera.
    pixel_um : float, µm
    duration_s, interval_s : float, s
        Scans begin every `interval_s` until `duration_s` is over; one that is not in time waits for the next
        whole interval. An interval no longer than a scan has them follow one another at once.
    reconstruct : bool
        Measure surfaces while scans run.
    track_surface : bool
        Move the scan window with the surface, see `lee.rig.scan_window.ScanWindow`. It needs surfaces.
    params : ReconstructParams, optional
    notes : mapping, optional
        What every recording stores beside its scan, such as the rig's file. Must fit into JSON.
    """

    folder: Path
    scan: ScanPlan
    settings: CameraSettings
    pixel_um: float
    duration_s: float
    interval_s: float
    reconstruct: bool = True
    track_surface: bool = True
    params: ReconstructParams | None = None
    notes: Mapping[str, object] | None = None


def record_run(
    rig: Rig,
    run: RunPlan,
    *,
    on_frame: Callable[[CameraFrame], None] | None = None,
    enough: Callable[[], bool] | None = None,
    hurried: Callable[[], bool] = lambda: False,
    on_catch_up: Callable[[str, int, int], None] = lambda *_: None,
    owned: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[ScanResult]:
    """Scan again and again; yield the outcome of each scan.

    The run is a folder that `lee.open_run` and `lee series` take: ``scans/scan_000.raw``,
    ``scans/scan_001.raw`` and so on and, if surfaces are measured, ``surfaces.zarr``. Nothing in the folder
    is overwritten: a run that is recorded into the same folder again continues after its last scan, whatever
    ended it. No surface ever ends a recording: scans without one are measured after the last scan, unless it
    is `enough`.

    Parameters
    ----------
    rig : Rig
    run : RunPlan
    on_frame : callable, optional
        Called with every frame, as by `take_scan`.
    enough : callable, optional
        Asked after every scan; the run ends if it returns True.
    hurried : callable
        As in `take_scan`.
    on_catch_up : callable (name, number, count)
        Called before a scan without a surface is measured after the last one: its number among them, from 1.
    owned : bool
        The caller holds the folder already, by `owned_folder`; else it is held from this call on until the
        last scan was yielded.
    clock, sleep : callables, s
        Those of the devices.

    Raises
    ------
    InputError
        Before anything moves: if there is no room for the whole run, with the numbers, the plan cannot be
        used, or another process works on the folder.
    RigFault
        What ended a scan early, after that scan was yielded; the stage is stopped.
    """
    if not 0 < run.interval_s <= run.duration_s:
        raise InputError(
            f"record: interval_s is {run.interval_s:g} and duration_s {run.duration_s:g}; give an interval "
            "above 0 that fits into the duration"
        )
    run.scan.check_limits(rig.stage.limits_counts)
    with ExitStack() as begun:
        if not owned:
            begun.enter_context(owned_folder(run.folder))
        applied, shape, first = _prepare(rig, run)
        params = series_params(run.params)
        surfaces = RunSurfaces(run.folder, run.pixel_um, params, shape) if run.reconstruct else None
        held = begun.pop_all()

    def scan_results() -> Iterator[ScanResult]:
        with held:
            yield from taken()
            if surfaces is not None:
                surfaces.catch_up(lambda: hurried() or (enough is not None and enough()), on_catch_up)

    def taken() -> Iterator[ScanResult]:
        window = ScanWindow(run.scan, rig.stage.limits_counts)
        rig.stage.move_to(window.plan.start_counts)
        turns = _Turns(run, clock)
        while True:
            result = take_scan(
                rig,
                window.plan,
                run.folder / SCANS / f"scan_{first + turns.scans:03d}.raw",
                settings=applied,
                pixel_um=run.pixel_um,
                reconstruct=run.reconstruct,
                params=params,
                notes=run.notes,
                on_frame=on_frame,
                hurried=hurried,
                clock=clock,
            )._replace(late_s=turns.late_s)
            if surfaces is not None:
                surfaces.add(result)
                result = result._replace(not_stored=surfaces.problem)
            yield result
            if result.fault is not None:
                raise result.fault
            if run.track_surface:
                window.track(result.surface)
            if not turns.next():
                return
            if not (enough and enough()):
                rig.stage.move_to(window.plan.start_counts)
            while (left := turns.left_s()) > 0 and not (enough and enough()):
                sleep(min(left, _POLL_S))
            if enough and enough():
                return

    return scan_results()


def catching_up(name: str, number: int, count: int) -> str:
    """Return the line that tells which scan is measured after the last one."""
    return f"{name}: measured from its recording, {number} of {count} without a surface"


class _Turns:
    """When scans begin: on whole intervals; at once where the interval is no longer than a scan."""

    def __init__(self, run: RunPlan, clock: Callable[[], float]) -> None:
        self._run, self._clock = run, clock
        self._begun, self._turn = clock(), 0
        self.scans, self.late_s = 0, 0.0

    def next(self) -> bool:
        """Plan the next scan; return False where the run is over."""
        run, due = self._run, (self._clock() - self._begun) / self._run.interval_s
        self.scans += 1
        self._turn, self.late_s = self._turn + 1, 0.0
        if due > self._turn + INTERVAL_TOLERANCE:
            if run.interval_s <= run.scan.seconds:
                self._turn = floor(due)
            else:
                self.late_s = (ceil(due) - self._turn) * run.interval_s
                self._turn = ceil(due)
        return self._turn * run.interval_s < run.duration_s

    def left_s(self) -> float:
        """Return how long to wait for it."""
        return self._begun + self._turn * self._run.interval_s - self._clock()


@contextmanager
def owned_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder, made where there is none, for this process; `lee.runs.lock.run_locked`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    with run_locked(folder):
        yield


def _prepare(rig: Rig, run: RunPlan) -> tuple[CameraSettings, tuple[int, int], int]:
    """Return the camera's settings, the shape of a frame, and the number of the first scan."""
    scans = run.folder / SCANS
    applied = rig.camera.configure(run.settings)
    if applied.region is None:
        raise InputError("record: the camera's driver reports no region; it must report the one it applied")
    shape = (applied.region[2], applied.region[3])
    count = max(int(run.duration_s / max(run.interval_s, run.scan.seconds)), 1)
    each = max_frames(run.scan, applied) * (shape[0] * shape[1] * applied.dtype.itemsize + _RECORD_BYTES)
    try:
        scans.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(scans, error) from error
    surface_bytes = _SURFACE_BYTES_PX * shape[0] * shape[1] if run.reconstruct else 0
    require_space(run.folder, count * (each + surface_bytes))
    first = next_number(run.folder)
    refuse_an_earlier_clock(scans)
    return applied, shape, first


def next_number(folder: Path) -> int:
    """Return the number that the next scan of a run gets: one after the last, 0 where there is none."""
    names = {path.stem for path in (folder / SCANS).glob("*") if path.suffix in (RECORDED_SUFFIX, ".zarr")}
    numbers = [int(name[5:]) for name in names if name[:5] == "scan_" and name[5:].isdecimal()]
    return 1 + max(numbers, default=-1)
