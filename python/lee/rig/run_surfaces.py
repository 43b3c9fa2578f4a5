"""The surfaces of a run while it is recorded: stored as `lee series` would, and the clock that times them.

Frames come first: nothing that goes wrong with surfaces ends a recording. What is not stored now is measured
from the recordings at the end of the run, or later by `lee series`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import rmtree

import numpy as np

from lee.errors import InputError, reason_of
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.recording.moment import Moment, now
from lee.rig.acquire import ScanResult
from lee.runs.reconstruct import check_alike, common_settings, measure_scan
from lee.runs.run import SCANS, SURFACES, Run, open_run
from lee.runs.surface_store import WAITING, SurfaceStore
from lee.runs.times import acquired


def last_scan(scans: Path) -> tuple[str, Moment] | None:
    """Return name and moment of the last scan in a folder; None where there is none, or it states no time."""
    found = [path for path in scans.glob("scan_*") if path.suffix in (RECORDED_SUFFIX, ".zarr")]
    if not found:
        return None
    last = max(found, key=lambda path: (len(path.stem), path.stem))
    moment = acquired(last)
    return None if moment is None else (last.name, moment)


def refuse_an_earlier_clock(scans: Path) -> None:
    """Raise ``InputError`` where the next scan would state an earlier time than the last of the folder."""
    last, this = last_scan(scans), now()
    if last is not None and this.since(last[1]) <= 0:
        raise InputError(
            f"{scans}: {last[0]} began at {last[1].wall:%Y-%m-%d %H:%M:%S} UTC by this computer's clock, "
            f"which now shows {this.wall:%Y-%m-%d %H:%M:%S}; set the clock right, or record into a new folder"
        )


class RunSurfaces:
    """Stores the surface of each scan, in a store that has a place for every scan of the folder.

    Parameters
    ----------
    folder : Path
        Of the run, held by this process.
    pixel_um : float, µm
    params : ReconstructParams
    shape : (H, W)

    Attributes
    ----------
    problem : str
        Why the last surface is not stored; empty if it is.
    """

    def __init__(
        self, folder: Path, pixel_um: float, params: ReconstructParams, shape: tuple[int, int]
    ) -> None:
        self._folder, self._pixel_um, self._params, self._shape = folder, pixel_um, params, shape
        self.problem = ""
        self._before: Moment | None = None
        self._attempt(self._clean)

    def add(self, result: ScanResult) -> None:
        """Store the outcome of a scan; `problem` says why it could not be stored."""
        self.problem = ""
        self._attempt(partial(self._store, result))

    def catch_up(self, enough: Callable[[], bool], progress: Callable[[str, int, int], None]) -> None:
        """Measure scans that have no surface yet from their recordings, until it is `enough`.

        Before each, `progress` is called with its name, its number among them from 1, and their count.
        """
        self.problem = ""
        self._attempt(partial(self._catch_up, enough, progress))
        if self.problem:
            warnings.warn(
                f"{self._folder}: scans without a surface are left to `lee series` ({self.problem})",
                stacklevel=2,
            )

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # whatever it is, the recording goes on
            self.problem = reason_of(error)

    def _clean(self) -> None:
        """Remove what a process that was killed left half written."""
        for partial_ in (self._folder / SCANS).glob(f".*{RECORDED_SUFFIX}.*.part"):
            partial_.unlink(missing_ok=True)
        for left in self._folder.glob(".lee-*.part"):
            rmtree(left, ignore_errors=True)
        if (self._folder / SURFACES).exists():
            SurfaceStore.open(self._folder / SURFACES, mode="r+").remove_partial_files()

    def _store(self, result: ScanResult) -> None:
        before, self._before = self._before, None
        if before is not None:
            store = SurfaceStore.open(self._folder / SURFACES, mode="r+")
            k = store.append(float(store.times_s[-1]) + result.begun.since(before), result.path.name)
        else:  # the first, or one before it is not stored
            run = self._run()
            store, k = self._with_places(run), run.names.index(result.path.name)
        if result.surface is not None:
            store.write(k, result.surface)
        elif not result.unawaited:
            store.fail(k, result.no_surface)
        self._before = result.begun

    def _run(self) -> Run:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `lee series` gives them
            return open_run(self._folder)

    def _with_places(self, run: Run) -> SurfaceStore:
        """Return the store with a place for every scan."""
        path = self._folder / SURFACES
        if not path.exists():
            SurfaceStore.create(
                path,
                times_s=run.times_s,
                scans=run.names,
                shape=self._shape,
                pixel_um=self._pixel_um,
                phases=[str(phase) for phase in run.phases],
                metadata={
                    **common_settings(self._params, None),
                    "times_source": "the recordings' own",
                    "depth_of_field_um": self._params.depth_of_field_um or RIG_DEPTH_OF_FIELD_UM,
                    "started": run_started(run),
                },
            )
        store = SurfaceStore.open(path, mode="r+")
        if "started" not in store.metadata:
            raise InputError(f"{path}: was begun by `lee series`, which measures the new scans too")
        check_alike(store, run, common_settings(self._params, None), self._shape, self._pixel_um)
        for k in range(len(store), len(run)):
            store.append(float(run.times_s[k]), run.names[k], phase=str(run.phases[k]))
        return store

    def _catch_up(self, enough: Callable[[], bool], progress: Callable[[str, int, int], None]) -> None:
        run = self._run()
        store = self._with_places(run)

        def go_on(*_: int) -> None:
            if enough():
                raise _EnoughError

        with suppress(_EnoughError):
            waiting = np.flatnonzero(store.state == WAITING)
            for number, k in enumerate(waiting, 1):
                go_on()
                progress(run.names[k], number, len(waiting))
                measure_scan(store, run, int(k), self._params, progress=go_on)


class _EnoughError(Exception):
    """The run is to end now."""


def run_started(run: Run) -> str:
    """Return when the first scan of a run began, ISO 8601."""
    moment = acquired(run.scans[0])
    return "" if moment is None else moment.wall.isoformat()
