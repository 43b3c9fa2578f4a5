"""The surfaces of a run while it is recorded: stored as `lee series` would, and the clock that times them."""

from __future__ import annotations

from pathlib import Path

from lee.errors import InputError
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.recording.layout import SUFFIX as RECORDED_SUFFIX
from lee.recording.moment import Moment, now
from lee.rig.acquire import ScanResult
from lee.runs.reconstruct import common_settings
from lee.runs.run import SURFACES
from lee.runs.surface_store import SurfaceStore
from lee.runs.times import acquired


def check_surfaces(folder: Path, scans: int) -> None:
    """Refuse surfaces that would begin in the middle of a run, or add to those that `lee series` began."""
    store = SurfaceStore.open(folder / SURFACES) if (folder / SURFACES).exists() else None
    if scans != (0 if store is None else len(store)) or (store and "started" not in store.metadata):
        raise InputError(
            f"{folder}: holds {scans} scans but {len(store) if store else 0} surfaces made at the rig; "
            "record into a new folder, or without surfaces (--no-surfaces), and make them with `lee series`"
        )


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
    """Stores the surface of each scan; a run that is continued goes on with the times of its last scan.

    Parameters
    ----------
    folder : Path
        Of the run.
    pixel_um : float, µm
    params : ReconstructParams
    shape : (H, W)
    """

    def __init__(
        self, folder: Path, pixel_um: float, params: ReconstructParams, shape: tuple[int, int]
    ) -> None:
        self._path, self._pixel_um, self._params, self._shape = folder / SURFACES, pixel_um, params, shape
        last = last_scan(folder / "scans")
        self._before: Moment | None = None if last is None else last[1]

    def add(self, result: ScanResult) -> None:
        """Add the outcome of a scan."""
        if not self._path.exists():
            SurfaceStore.create(
                self._path,
                times_s=[],
                scans=[],
                shape=self._shape,
                pixel_um=self._pixel_um,
                metadata={
                    **common_settings(self._params, None),
                    "times_source": "the recordings' own",
                    "depth_of_field_um": self._params.depth_of_field_um or RIG_DEPTH_OF_FIELD_UM,
                    "started": result.begun.wall.isoformat(),
                },
            )
        store = SurfaceStore.open(self._path, mode="r+")
        known = store.times_s
        passed_s = result.begun.since(self._before) if self._before is not None and len(known) else 0.0
        k = store.append(float(known[-1]) + passed_s if len(known) else 0.0, result.path.name)
        self._before = result.begun
        if result.surface is None:
            store.fail(k, result.no_surface)
        else:
            store.write(k, result.surface)
