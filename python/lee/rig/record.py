"""A run at the rig: scan after scan, each on the disk and accounted for before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lee.devices.protocols import CameraFrame, CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.recording.free_space import require_space
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.rig.acquire import ScanResult, max_frames, take_scan
from lee.rig.scan_window import ScanWindow
from lee.runs.lock import run_locked
from lee.runs.reconstruct import common_settings, series_params
from lee.runs.run import SCANS, SURFACES
from lee.runs.surface_store import SurfaceStore
from lee.storage.refusals import unwritable

# Largest size of a frame's record beside its image, and size of a surface in the store.
_RECORD_BYTES, _SURFACE_BYTES_PX = 2 * 4096, 17
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
        Scans begin every `interval_s`, or as soon as the one before has ended, until `duration_s` is over.
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
    owned: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[ScanResult]:
    """Scan again and again; yield the outcome of each scan.

    The run is a folder that `lee.open_run` and `lee series` take: ``scans/scan_000.raw``,
    ``scans/scan_001.raw`` and so on and, if surfaces are measured, ``surfaces.zarr``. Nothing in the folder
    is overwritten: a run that is recorded into the same folder again continues after its last scan.

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
        results = _scan_results(rig, run, on_frame, enough, hurried, clock, sleep)
        return _until_over(results, begun.pop_all())


@contextmanager
def owned_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder, made where there is none, for this process; `lee.runs.lock.run_locked`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    with run_locked(folder):
        yield


def _until_over(results: Iterator[ScanResult], held: ExitStack) -> Iterator[ScanResult]:
    """Pass results on, and hold the run's folder until the last."""
    with held:
        yield from results


def _scan_results(
    rig: Rig,
    run: RunPlan,
    on_frame: Callable[[CameraFrame], None] | None,
    enough: Callable[[], bool] | None,
    hurried: Callable[[], bool],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[ScanResult]:
    """Set up what the scans share, then return them as they are taken."""
    scans = run.folder / SCANS
    applied = rig.camera.configure(run.settings)
    if applied.region is None:
        raise InputError("record: the camera's driver reports no region; it must report the one it applied")
    shape = (applied.region[2], applied.region[3])
    count = max(int(run.duration_s / max(run.interval_s, run.scan.seconds)), 1)
    pixel_bytes = 1 if applied.pixel_format == "Mono8" else 2
    each = max_frames(run.scan, applied) * (shape[0] * shape[1] * pixel_bytes + _RECORD_BYTES)
    scans.mkdir(parents=True, exist_ok=True)
    surface_bytes = _SURFACE_BYTES_PX * shape[0] * shape[1] if run.reconstruct else 0
    require_space(run.folder, count * (each + surface_bytes))
    first = _next_number(scans)
    if run.reconstruct:
        _check_surfaces(run.folder, first)
    params = series_params(run.params)

    def scan_results() -> Iterator[ScanResult]:
        begun, turn, number = clock(), 0, first
        window = ScanWindow(run.scan, rig.stage.limits_counts)
        while True:
            started = datetime.now(UTC)
            result = take_scan(
                rig,
                window.plan,
                scans / f"scan_{number:03d}.raw",
                settings=applied,
                pixel_um=run.pixel_um,
                reconstruct=run.reconstruct,
                params=params,
                notes=run.notes,
                on_frame=on_frame,
                hurried=hurried,
                clock=clock,
            )
            if run.reconstruct:
                _store(run, result, started, params, shape)
            yield result
            if result.fault is not None:
                raise result.fault
            if run.track_surface:
                window.track(result.surface)
            # A scan that took longer than the interval delays the next one to the next whole interval.
            turn = max(turn + 1, int((clock() - begun) / run.interval_s))
            if turn * run.interval_s >= run.duration_s:
                return
            while (left := begun + turn * run.interval_s - clock()) > 0 and not (enough and enough()):
                sleep(min(left, _POLL_S))
            if enough and enough():
                return
            number += 1

    return scan_results()


def _next_number(scans: Path) -> int:
    """Return the number after that of the last scan in the folder."""
    names = {path.stem for path in scans.iterdir() if path.suffix in (RECORDED_SUFFIX, ".zarr")}
    numbers = [int(name[5:]) for name in names if name[:5] == "scan_" and name[5:].isdecimal()]
    return 1 + max(numbers, default=-1)


def _check_surfaces(folder: Path, scans: int) -> None:
    """Refuse surfaces that would begin in the middle of a run, or add to those that `lee series` began."""
    store = SurfaceStore.open(folder / SURFACES) if (folder / SURFACES).exists() else None
    if scans != (0 if store is None else len(store)) or (store and "started" not in store.metadata):
        raise InputError(
            f"{folder}: holds {scans} scans but {len(store) if store else 0} surfaces made at the rig; "
            "record into a new folder, or without surfaces (--no-surfaces), and make them with `lee series`"
        )


def _store(
    run: RunPlan, result: ScanResult, started: datetime, params: ReconstructParams, shape: tuple[int, int]
) -> None:
    """Add the outcome of a scan to the run's surfaces, as `lee series` would."""
    path = run.folder / SURFACES
    if not path.exists():
        SurfaceStore.create(
            path,
            times_s=[],
            scans=[],
            shape=shape,
            pixel_um=run.pixel_um,
            metadata={
                **common_settings(params, None),
                "times_source": "the recordings' own",
                "depth_of_field_um": params.depth_of_field_um or RIG_DEPTH_OF_FIELD_UM,
                "started": started.isoformat(),
            },
        )
    store = SurfaceStore.open(path, mode="r+")
    zero = datetime.fromisoformat(str(store.metadata["started"]))
    k = store.append((started - zero).total_seconds(), result.path.name)
    if result.surface is None:
        store.fail(k, result.no_surface)
    else:
        store.write(k, result.surface)
