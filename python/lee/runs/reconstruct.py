"""Reconstruct the scans of a run: scan by scan, in parallel, resuming where an earlier call stopped."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from lee.errors import InputError, LeeError, reason_of
from lee.reconstruction.parameters import ReconstructParams
from lee.runs.lock import run_locked
from lee.runs.run import SURFACES, Run, recorded_name
from lee.runs.scheduler import cores, run_jobs
from lee.runs.surface_store import WRITTEN, SurfaceStore
from lee.storage.description import json_values
from lee.storage.refusals import unwritable

if TYPE_CHECKING:
    from lee.reconstruction.target import Target
    from lee.stacks.stack import ZStack

# Frames from one estimate of the drift to the next, as at the rig. An estimate at every frame costs three
# times as much as everything else, and is no better.
_DRIFT_EVERY = 6
_MAX_OPEN = 4


@dataclass(frozen=True)
class _Job:
    k: int
    store: str
    run: Run
    params: ReconstructParams
    target: Target | None
    device: str


@dataclass(frozen=True)
class _ScanSize:
    """Size of a scan, known without reading its frames."""

    shape: tuple[int, int]
    pixel_um: float


def series_params(params: ReconstructParams | None = None) -> ReconstructParams:
    """Return the parameters of a run's scans: by default with fewer estimates of the drift."""
    return params or ReconstructParams(drift_every=_DRIFT_EVERY)


def reconstruct_run(
    run: Run,
    *,
    params: ReconstructParams | None = None,
    target: Target | None = None,
    device: str = "auto",
    scheduler: str | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SurfaceStore:
    """Reconstruct the scans of a run that have no surface yet, into its ``surfaces.zarr``.

    Called again it resumes where it stopped; new scans are appended, failed ones are tried again. A scan that
    cannot be reconstructed is recorded as failed, with the reason, and does not stop the others. Surfaces do
    not depend on where, in which order, and how many at a time they are reconstructed. If `params` gives no
    depth of field, it is measured on three scans and used for all: ``metadata["depth_of_field_um"]`` of the
    store.

    Parameters
    ----------
    run : Run
    params : ReconstructParams, optional
        By default those of `series_params`.
    target : Target, optional
    device : {"auto", "cpu", "cuda"}
    scheduler : str, optional
        "local" for Dask on this computer, or the address of a Dask scheduler; see
        `lee.runs.scheduler.run_jobs`. Workers open the scans by path and write to the store themselves.
    workers : int
        Processes on this computer; 0 for one a core. In a script, more than one need Python's usual
        ``if __name__ == "__main__"``.
    overwrite : bool
        Begin from nothing.
    progress : callable (done, total), optional
        Called with numbers of scans.

    Returns
    -------
    SurfaceStore
        Open for reading.

    Raises
    ------
    InputError
        If scans differ in size or calibration, none can be opened, existing surfaces were made with other
        parameters, another process is working on the run, or the scheduler does not answer.
    """
    from lee.kernels.backend import resolve_device

    chosen = series_params(params)
    if resolve_device(device).kind == "cuda":
        workers = 1
    if run.in_one_file:
        try:
            run.path.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(run.path, error) from error
    with run_locked(run.path):
        store, unopened = _prepare_store(run, chosen, target, overwrite)
        waiting = [int(k) for k in np.flatnonzero(store.state != WRITTEN)]
        for k in waiting:
            if k in unopened:
                store.fail(k, unopened[k])
        todo = [k for k in waiting if k not in unopened]
        count = min(workers or cores(), max(len(todo), 1))
        depth_um = store.metadata.get("depth_of_field_um")
        # A process a core is faster than a thread a core: much of the work is done in Python.
        threads = chosen.threads or (1 if count > 1 or scheduler == "local" else 0)
        each = replace(chosen, threads=threads, depth_of_field_um=depth_um)
        where = replace(run, path=run.path.absolute(), scans=[scan.absolute() for scan in run.scans])
        jobs = [_Job(k, str(store.path.absolute()), where, each, target, device) for k in todo]
        done = len(run) - len(todo)
        if progress is not None:
            progress(done, len(run))
        for _ in run_jobs(_measure, jobs, scheduler=scheduler, workers=count):
            done += 1
            if progress is not None:
                progress(done, len(run))
    return SurfaceStore.open(run.path / SURFACES)


def _measure(job: _Job) -> str | None:
    """Reconstruct the scan of a job and write it; return the reason if that failed."""
    store = SurfaceStore.open(job.store, mode="r+")
    return measure_scan(store, job.run, job.k, job.params, target=job.target, device=job.device)


def measure_scan(
    store: SurfaceStore,
    run: Run,
    k: int,
    params: ReconstructParams,
    *,
    target: Target | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> str | None:
    """Reconstruct scan k of a run and write it to its place in the store; return the reason if that failed.

    Raises
    ------
    StorageError
        If the store cannot be written.
    """
    from lee.reconstruction.reconstruct import reconstruct

    try:
        with _opened_again(run, k) as stack:
            stack.colour = False  # the store keeps luminance alone
            surface = reconstruct(stack, target=target, params=params, device=device, progress=progress)
        if not surface.valid.any():
            raise InputError(f"{run.scans[k]}: nothing in it comes into focus")
    except (LeeError, OSError, MemoryError) as error:
        reason = reason_of(error)
        store.fail(k, reason)
        return reason
    store.write(k, surface)
    return None


class CommonSettings(TypedDict):
    """Settings that all surfaces of a store share, as its metadata holds them."""

    parameters: dict[str, object]
    target: dict[str, object] | None


def common_settings(params: ReconstructParams, target: Target | None) -> CommonSettings:
    """Return the settings that all surfaces of a store must share."""
    parameters = {name: value for name, value in asdict(params).items() if name != "threads"}
    return {
        "parameters": json_values(parameters),
        "target": None if target is None else json_values(asdict(target)),
    }


def _prepare_store(
    run: Run, params: ReconstructParams, target: Target | None, overwrite: bool
) -> tuple[SurfaceStore, dict[int, str]]:
    """Return the store with a place for each scan, and the reasons of scans that cannot be opened."""
    shape, pixel_um, unopened = _common_size(run)
    settings = common_settings(params, target)
    path = run.path / SURFACES
    phases = [str(phase) for phase in run.phases]
    if not path.exists() or overwrite:
        store = SurfaceStore.create(
            path,
            times_s=run.times_s,
            scans=run.names,
            shape=shape,
            pixel_um=pixel_um,
            phases=phases,
            metadata={
                **settings,
                "reading": _reading(run),
                "times_source": run.times_source,
                "depth_of_field_um": params.depth_of_field_um or _depth_um(run, unopened),
            },
            overwrite=overwrite,
        )
        return store, unopened
    store = SurfaceStore.open(path, mode="r+")
    store.remove_partial_files()
    check_alike(store, run, settings, shape, pixel_um)
    known = len(store)
    if known and (not np.array_equal(store.times_s, run.times_s[:known]) or store.phases != phases[:known]):
        store.retime(run.times_s[:known], phases[:known])
    for k in range(known, len(run)):
        store.append(float(run.times_s[k]), run.names[k], phase=phases[k])
    return store, unopened


def _depth_um(run: Run, unopened: dict[int, str]) -> float | None:
    """Measure the depth of field on a few scans: it belongs to the microscope and is the same for all."""
    from lee.reconstruction.depth_of_field import depth_of_field_um

    opened = [k for k in range(len(run)) if k not in unopened]
    found = []
    for k in sorted({opened[0], opened[len(opened) // 2], opened[-1]}):
        with suppress(LeeError, OSError), _opened_again(run, k) as stack:
            found.append(depth_of_field_um(stack))
    known = [depth for depth in found if depth is not None]
    return float(np.median(known)) if known else None


@contextmanager
def _opened_again(run: Run, k: int) -> Iterator[ZStack]:
    """Open scan k without the warnings of reading it, which were given once when the run was opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack = run.open_scan(k)
    with stack:
        yield stack


def _reading(run: Run) -> dict[str, object]:
    """Return how the scans are read, without what is as usual."""
    given = json_values(run.reading)
    return {name: value for name, value in given.items() if value is not None and value is not False}


def check_alike(
    store: SurfaceStore, run: Run, settings: CommonSettings, shape: tuple[int, int], pixel_um: float
) -> None:
    """Refuse a store whose surfaces, or scans, are not those of the run.

    Raises
    ------
    InputError
        With what differs, and what to do.
    """
    begun = {name: store.metadata.get(name) for name in settings}
    if json.dumps(begun, sort_keys=True) != json.dumps(settings, sort_keys=True):
        old, new = begun["parameters"] or {}, settings["parameters"]
        changed = [
            f"{name}={old.get(name)!r}, now {new[name]!r}" for name in new if old.get(name) != new[name]
        ]
        raise InputError(
            f"{store.path}: was begun with {'; '.join(changed) or 'another target'}; "
            "give the same, or --from-scratch to begin again"
        )
    before, now = store.metadata.get("reading") or {}, _reading(run)
    if before != now:
        name = next(name for name in {**before, **now} if before.get(name) != now.get(name))
        raise InputError(
            f"{store.path}: was begun with {name} {before.get(name)!r}, now it is {now.get(name)!r}; give "
            "the same, or --from-scratch to begin again"
        )
    # A recording that was converted to OME-Zarr since is the same scan.
    names, there = [recorded_name(name) for name in store.scans], [recorded_name(name) for name in run.names]
    if names != there[: len(names)]:
        k = next(k for k, name in enumerate(names) if there[k : k + 1] != [name])
        found = run.names[k] if k < len(run) else "nothing"
        raise InputError(
            f"{store.path}: its scan {k} was {store.scans[k]}, now it is {found}; put the scans back, "
            "or give --from-scratch to begin again"
        )
    if shape != store.shape or abs(pixel_um / store.pixel_um - 1) > 1e-6:
        raise InputError(
            f"{store.path}: holds surfaces of {store.shape} at {store.pixel_um:g} µm/pixel, the scans are "
            f"{shape} at {pixel_um:g} µm/pixel; give --from-scratch to begin again"
        )


def _common_size(run: Run) -> tuple[tuple[int, int], float, dict[int, str]]:
    def look(k: int) -> _ScanSize | str:
        try:
            with run.open_scan(k) as stack:
                return _ScanSize((stack.shape[1], stack.shape[2]), stack.pixel_um)
        except (LeeError, OSError) as error:
            return reason_of(error)

    with ThreadPoolExecutor(_MAX_OPEN) as pool:
        seen = list(pool.map(look, range(len(run))))
    unopened = {k: found for k, found in enumerate(seen) if isinstance(found, str)}
    opened = {k: found for k, found in enumerate(seen) if isinstance(found, _ScanSize)}
    if not opened:
        raise InputError(f"{run.path}: none of its {len(run)} scans can be opened; {unopened[0]}")
    first, like = next(iter(opened.items()))
    for k, found in opened.items():
        if found.shape != like.shape:
            raise InputError(
                f"{run.scans[k]}: is {found.shape[0]}×{found.shape[1]} pixels, {run.names[first]} "
                f"{like.shape[0]}×{like.shape[1]}; crop all scans of a run alike, or remove it"
            )
        if abs(found.pixel_um / like.pixel_um - 1) > 1e-6:
            raise InputError(
                f"{run.scans[k]}: has pixels of {found.pixel_um:g} µm, {run.names[first]} of "
                f"{like.pixel_um:g} µm; correct it, or give one size for all (--pixel-um)"
            )
    return like.shape, like.pixel_um, unopened
