"""A run at the rig: scans follow one another, each on the disk and accounted for before the next begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lee.devices.protocols import CameraFrame, CameraSettings, Rig
from lee.devices.scan_plan import ScanPlan
from lee.errors import InputError
from lee.reconstruction.refocuser import RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.recording.room import room_for
from lee.rig.acquire import ScanTaken, frames_most, take_scan
from lee.rig.scan_window import Window
from lee.runs.reconstruct import series_params, wanted_of
from lee.runs.run import SCANS, SURFACES
from lee.runs.surface_store import SurfaceStore

# What a segment takes beside its images, at most, and a surface in the store.
_RECORD_BYTES, _SURFACE_BYTES_PX = 2 * 4096, 17
# How often a run that waits for its next scan asks whether it is to end, s.
_LOOK_S = 0.25


def record_run(
    rig: Rig,
    folder: str | Path,
    plan: ScanPlan,
    *,
    settings: CameraSettings,
    pixel_um: float,
    duration_s: float,
    interval_s: float,
    reconstruct: bool = True,
    params: ReconstructParams | None = None,
    follow: bool = True,
    notes: Mapping[str, Any] | None = None,
    on_frame: Callable[[CameraFrame], None] | None = None,
    enough: Callable[[], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[ScanTaken]:
    """Scan again and again; yield what came of each scan.

    The run is a folder that `lee.open_run` and `lee series` take: ``scans/scan_000.raw`` and on, and, where
    surfaces are asked for, ``surfaces.zarr``. Nothing that is there is overwritten: a run recorded into the
    same folder again goes on where it ended.

    Parameters
    ----------
    rig : Rig
    folder : str or Path
    plan : ScanPlan
        Of the first scan.
    settings : CameraSettings
        What is asked of the camera.
    pixel_um : float, um
    duration_s, interval_s : float, s
        Scans begin every `interval_s`, or as soon as the one before has ended, until `duration_s` is over.
    reconstruct : bool
        Measure surfaces while scans run.
    params : ReconstructParams, optional
    follow : bool
        Move the window of scans with the surface, see `lee.rig.scan_window.Window`; it needs surfaces.
    notes : mapping, optional
        What every recording should tell beside its scan, such as the rig's file; fits into JSON.
    on_frame : callable, optional
        Called with every frame, as by `take_scan`.
    enough : callable, optional
        Asked after every scan; where it says yes, the run ends there.
    clock, sleep : callables, s
        Those of the devices.

    Raises
    ------
    InputError
        Before anything moves: if there is no room for the whole run, with the numbers, or an argument
        cannot be used.
    RigFault
        What ended a scan early, after that scan was yielded; the stage is stopped.
    """
    if not 0 < interval_s <= duration_s:
        raise InputError(
            f"record: interval_s is {interval_s:g} and duration_s {duration_s:g}; give an interval above 0 "
            "that fits into the duration"
        )
    place = Path(folder)
    scans = place / SCANS
    applied = rig.camera.configure(settings)
    if applied.region is None:
        raise InputError("record: the camera tells no region; its driver must")
    shape = (applied.region[2], applied.region[3])
    count = max(int(duration_s / max(interval_s, plan.seconds)), 1)
    frames = frames_most(plan, applied)
    each = frames * (shape[0] * shape[1] * (1 if applied.pixel_format == "Mono8" else 2) + _RECORD_BYTES)
    scans.mkdir(parents=True, exist_ok=True)
    room_for(place, count * (each + (_SURFACE_BYTES_PX * shape[0] * shape[1] if reconstruct else 0)))
    taken_before = {path.stem for path in scans.iterdir() if path.suffix in (RECORDED_SUFFIX, ".zarr")}
    numbers = [int(name[5:]) for name in taken_before if name[:5] == "scan_" and name[5:].isdecimal()]
    first = 1 + max(numbers, default=-1)
    if reconstruct:
        _check_surfaces(place, first)
    made_alike = series_params(params)

    def scans_taken() -> Iterator[ScanTaken]:
        begun, turn, number = clock(), 0, first
        window = Window(plan, rig.stage.limits_counts)
        while True:
            started = datetime.now(UTC)
            taken = take_scan(
                rig,
                window.plan,
                scans / f"scan_{number:03d}.raw",
                settings=applied,
                pixel_um=pixel_um,
                reconstruct=reconstruct,
                params=made_alike,
                notes=notes,
                on_frame=on_frame,
                clock=clock,
            )
            if reconstruct:
                _keep(place, taken, started, made_alike, pixel_um, shape)
            yield taken
            if taken.fault is not None:
                raise taken.fault
            if follow:
                window.follow(taken.surface)
            # A scan that took longer than its turn costs the turns it missed, no more.
            turn = max(turn + 1, int((clock() - begun) / interval_s))
            if turn * interval_s >= duration_s:
                return
            while (left := begun + turn * interval_s - clock()) > 0 and not (enough and enough()):
                sleep(min(left, _LOOK_S))
            if enough and enough():
                return
            number += 1

    return scans_taken()


def _check_surfaces(place: Path, scans: int) -> None:
    """Refuse to begin surfaces in the middle of a run, or to go on with those that `lee series` began."""
    store = SurfaceStore.open(place / SURFACES) if (place / SURFACES).exists() else None
    if scans != (0 if store is None else len(store)) or (store and "started" not in store.metadata):
        raise InputError(
            f"{place}: holds {scans} scans and {len(store) if store else 0} surfaces of the rig; record into "
            "a new folder, or without surfaces (--no-surfaces), and let `lee series` make them"
        )


def _keep(
    place: Path,
    taken: ScanTaken,
    started: datetime,
    params: ReconstructParams,
    pixel_um: float,
    shape: tuple[int, int],
) -> None:
    """Put what came of a scan into the run's store, as `lee series` would."""
    path = place / SURFACES
    if not path.exists():
        SurfaceStore.create(
            path,
            times_s=[],
            scans=[],
            shape=shape,
            pixel_um=pixel_um,
            metadata={
                **wanted_of(params, None),
                "times_source": "the recordings' own",
                "depth_of_field_um": params.depth_of_field_um or RIG_DEPTH_OF_FIELD_UM,
                "started": started.isoformat(),
            },
        )
    store = SurfaceStore.open(path, mode="r+")
    zero = datetime.fromisoformat(str(store.metadata["started"]))
    k = store.append((started - zero).total_seconds(), taken.path.name)
    if taken.surface is None:
        store.fail(k, taken.no_surface)
    else:
        store.write(k, taken.surface)
