"""The surfaces of a run on disk: a zarr group that grows scan by scan, and that xarray opens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, StorageError
from lee.storage.atomic import new_folder
from lee.storage.checked_zarr import (
    check_description,
    consolidate,
    forget_map,
    read_map,
    read_value,
    read_values,
)
from lee.storage.description import json_values, versions
from lee.storage.map_zarr import AXES, FILES, MAPS, make_axes, make_maps, make_states
from lee.storage.refusals import unreadable
from lee.surfaces.filling import fill
from lee.surfaces.provenance import Provenance
from lee.surfaces.surface import Surface

FORMAT = "lee surfaces"
FORMAT_VERSION = 1
WAITING, WRITTEN, FAILED = 0, 1, 2


class SurfaceStore:
    """The surfaces of a run, (t, y, x), written scan by scan and readable meanwhile.

    Made by `create` or `open`. Each scan has chunks of its own, so that several processes may write different
    scans at the same time; only one may `append`. A scan's `state` is written last, and every file takes its
    name only when it is complete: a process killed at any moment leaves a scan complete or absent. Scans that
    are waiting or failed read as NaN, and so do chunks that differ from their checksum, with a warning that
    names them.

    Attributes
    ----------
    path : Path
    shape : (H, W)
    pixel_um : float
    metadata : dict
        Parameters of the surfaces, as given to `create`.
    """

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self.path = path
        self._group: Any = group
        attributes: dict[str, Any] = dict(group.attrs)
        self.pixel_um = float(attributes["pixel_um"])
        self.metadata: dict[str, Any] = dict(attributes["metadata"])
        _, rows, columns = self._array("height_um").shape
        self.shape: tuple[int, int] = (rows, columns)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        times_s: ArrayLike,
        scans: Sequence[str],
        shape: tuple[int, int],
        pixel_um: float,
        phases: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> SurfaceStore:
        """Make a store with a place for every scan; it appears under its name only when it is complete.

        Parameters
        ----------
        path : str or Path
            Folder to make, ending in ``.zarr`` by custom.
        times_s : (T,) float, s
            When each scan began, strictly increasing. May be empty: see `append`.
        scans : (T,) str
            Names of the scans.
        shape : (H, W)
        pixel_um : float
        phases : (T,) str, optional
            State of the cell: plating, stripping or rest; empty by default.
        metadata : mapping, optional
            Must fit into JSON.
        overwrite : bool
            Replace an existing store of that name.

        Raises
        ------
        InputError
            If an argument cannot be used, or the store exists or cannot be written.
        """
        times = checked_times(times_s, [str(name) for name in scans], "store")
        named = list(phases) if phases is not None else [""] * len(times)
        if len(named) != len(times):
            raise InputError(f"store: {len(named)} phases for {len(times)} scans; give one for each")
        if len(shape) != 2 or min(shape) < 1:
            raise InputError(f"store: shape is {tuple(shape)}; give (height, width) of the surfaces")
        if not (np.isfinite(pixel_um) and pixel_um > 0):
            raise InputError(f"store: pixel_um is {pixel_um}; give the size of a pixel in µm, above 0")
        with new_folder(path, overwrite=overwrite, known=FILES) as place:
            group: Any = zarr.create_group(
                str(place),
                zarr_format=3,
                attributes={
                    "format": FORMAT,
                    "format_version": FORMAT_VERSION,
                    "lee_version": versions()["lee-microscopy"],
                    "pixel_um": float(pixel_um),
                    "metadata": json_values(metadata or {}),
                    "coordinates": " ".join(AXES),
                    "axes": "rows run down the image; height grows toward the objective; NaN is not measured",
                },
            )
            make_maps(group, MAPS, len(times), shape)
            make_axes(group, times_s=times, scans=scans, phases=named, shape=shape, pixel_um=float(pixel_um))
            make_states(group, len(times))
            consolidate(place)
        return cls.open(path, mode="r+")

    @classmethod
    def open(cls, path: str | Path, mode: Literal["r", "r+"] = "r") -> SurfaceStore:
        """Open a store.

        Raises
        ------
        InputError
            If there is none, it is damaged, or a newer version of lee wrote it.
        """
        place = Path(path)
        if not (place / "zarr.json").is_file():
            raise InputError(f"{place}: holds no surfaces; run `lee series` on the run's folder first")
        try:
            group = zarr.open_group(str(place), mode=mode, zarr_format=3)
            attributes = dict(group.attrs)
        except OSError as error:
            raise unreadable(place, error, "check its permissions and the disk") from error
        except Exception as error:  # zarr raises many kinds on damaged metadata
            raise InputError(
                f"{place}: cannot be read ({_message(error)}); run again with --from-scratch"
            ) from error
        found = attributes.get("format_version")
        if attributes.get("format") != FORMAT or not isinstance(found, int):
            raise InputError(f"{place}: is not a store of surfaces; choose another folder")
        if found > FORMAT_VERSION:
            raise InputError(
                f"{place}: has format version {found}, written by lee {attributes.get('lee_version', '?')}; "
                f"this lee reads up to version {FORMAT_VERSION}; update lee"
            )
        try:
            check_description(place)
            return cls(place, group)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{place}: cannot be read ({_message(error)}); run again with --from-scratch"
            ) from error

    def __len__(self) -> int:
        """Return the number of scans, written or not."""
        return int(self._array("state").shape[0])

    @property
    def state(self) -> NDArray[np.uint8]:
        """State of every scan, (T,) uint8: 0 waiting, 1 written, 2 failed; as it is on disk now.

        One that is damaged is waiting, so that the scan is measured again.
        """
        try:
            return np.asarray(self._array("state")[:], dtype=np.uint8)
        except Exception:  # codecs raise errors of any kind on damaged chunks
            return np.array([self._state(k) for k in range(len(self))], dtype=np.uint8)

    @property
    def times_s(self) -> NDArray[np.float64]:
        """When each scan began, (T,) s."""
        return self._values("time_s").astype(np.float64)

    @property
    def scans(self) -> list[str]:
        """Names of the scans."""
        return [str(name) for name in self._values("scan")]

    @property
    def phases(self) -> list[str]:
        """State of the cell at each scan; empty if not known."""
        return [str(name) for name in self._values("phase")]

    @property
    def reasons(self) -> dict[int, str]:
        """Why scans failed, by their index."""
        return {
            int(k): str(self.record(int(k)).get("reason", "")) for k in np.flatnonzero(self.state == FAILED)
        }

    def record(self, k: int) -> dict[str, Any]:
        """Metadata of surface k, or ``{"reason": ...}`` if it failed; empty if it is waiting or damaged."""
        self._check(k)
        text = read_value(self._array("record"), k, f"{self.path}: record of surface {k}")
        return dict(json.loads(str(text))) if text else {}

    def read(self, k: int, name: str = "height_um") -> NDArray[np.float32]:
        """Map `name` of scan k, (H, W) float32; NaN throughout if the scan is waiting or failed."""
        self._check(k)
        if name not in MAPS:
            raise InputError(f"store: there is no map {name!r}; give one of {', '.join(MAPS)}")
        return read_map(self._array(name), k, f"{self.path}: {name} of surface {k}")

    def surface(self, k: int) -> Surface:
        """Return surface k as it was written; what is damaged is not measured, filled heights filled again.

        Raises
        ------
        InputError
            If the scan is waiting or failed.
        """
        self._check(k)
        state = self._state(k)
        if state != WRITTEN:
            reason = (
                f"failed: {self.record(k).get('reason', '')}" if state == FAILED else "is not measured yet"
            )
            raise InputError(f"{self.path}: surface {k} ({self.scans[k]}) {reason}")
        height, sigma, filled, sharp = (self.read(k, name) for name in MAPS)
        known = np.isfinite(filled)
        if not known.all():
            filled = np.where(known, filled, fill(height, np.isfinite(height)))
        try:
            provenance = Provenance.from_json(self.record(k))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.path}: the record of surface {k} cannot be read ({error}); run again with "
                "--from-scratch"
            ) from error
        return Surface(height, filled, sigma, np.isfinite(height), sharp, self.pixel_um, provenance)

    def write(self, k: int, surface: Surface) -> None:
        """Write surface k; replace an older one.

        Raises
        ------
        InputError
            If its shape or pixel size is not the store's.
        StorageError
            If it cannot be written, or the disk is full.
        """
        self._check(k)
        if surface.shape != self.shape:
            raise InputError(f"store: surface {k} is {surface.shape}, the run {self.shape}; crop all alike")
        if abs(surface.pixel_um / self.pixel_um - 1) > 1e-6:
            raise InputError(
                f"store: surface {k} has pixels of {surface.pixel_um:g} µm, the run {self.pixel_um:g} µm; "
                "give one --pixel-um for all"
            )
        self._save(k, {name: getattr(surface, name) for name in MAPS}, surface.provenance.to_json(), WRITTEN)

    def fail(self, k: int, reason: str) -> None:
        """Record that scan k could not be reconstructed, and why."""
        self._check(k)
        blank = np.full(self.shape, np.nan, np.float32)
        maps = dict.fromkeys(MAPS, blank) if self._state(k) == WRITTEN else {}
        self._save(k, maps, {"reason": " ".join(str(reason).split())}, FAILED)

    def append(self, time_s: float, scan: str, *, phase: str = "") -> int:
        """Make a place for one more scan, after the others, and return its index.

        Only one process may append at a time; others see the new place when it is complete.

        Raises
        ------
        InputError
            If `time_s` is not after the time of the last scan.
        """
        count = len(self)
        checked_times([*self.times_s, time_s], [*self.scans, scan], "store")
        for name, values in (("time_s", time_s), ("scan", scan), ("phase", phase)):
            array = self._array(name)
            array.resize((count + 1,))
            array[count] = values
        for name in ("state", "record"):
            self._array(name).resize((count + 1,))
        for name in MAPS:
            self._array(name).resize((count + 1, *self.shape))
        # Readers take the sizes from the group's own file, which is replaced in one step: all arrays agree.
        consolidate(self.path, ("time_s", "scan", "phase", "state", "record", *MAPS))
        self._group = zarr.open_group(str(self.path), mode="r+", zarr_format=3)
        return count

    def retime(self, times_s: ArrayLike, phases: Sequence[str]) -> None:
        """Correct the times of the scans and the states of the cell; surfaces stay as they are."""
        times = checked_times(times_s, self.scans, "store")
        if len(phases) != len(times):
            raise InputError(f"store: {len(phases)} phases for {len(times)} scans; give one for each")
        self._array("time_s")[:] = times
        self._array("phase")[:] = np.array(list(phases), dtype=object)

    def remove_partial_files(self) -> None:
        """Remove unfinished files of writers that were killed; only while nobody else writes."""
        for partial in self.path.rglob("*.partial"):
            partial.unlink(missing_ok=True)

    def _save(self, k: int, maps: Mapping[str, Any], record: Mapping[str, Any], state: int) -> None:
        try:
            self._array("state")[k] = WAITING
            for name, values in maps.items():
                forget_map(self._array(name), k)
                self._array(name)[k] = values
            self._array("record")[k] = json.dumps(json_values(record), allow_nan=False)
            self._array("state")[k] = state
        except OSError as error:
            raise StorageError(
                f"cannot write {self.path}: {error.strerror or error}; free some space, or check permissions"
            ) from error

    def _state(self, k: int) -> int:
        state = read_value(self._array("state"), k, f"{self.path}: state of surface {k}")
        return WAITING if state is None else int(state)

    def _values(self, name: str) -> NDArray[Any]:
        return read_values(self._array(name), f"{self.path}: {name}")

    def _check(self, k: int) -> None:
        if not 0 <= k < len(self):
            raise InputError(
                f"{self.path}: there is no scan {k}; scans are counted from 0 to {len(self) - 1}"
            )

    def _array(self, name: str) -> Any:
        return self._group[name]


def checked_times(times_s: ArrayLike, scans: Sequence[str], where: str) -> NDArray[np.float64]:
    """Return `times_s` as (T,) float64 if there is one for each scan and they increase.

    Raises
    ------
    InputError
        If not; the message names the scans at fault.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if times.shape != (len(scans),):
        raise InputError(f"{where}: {times.size} times for {len(scans)} scans; give one for each")
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise InputError(f"{where}: the time of {scans[bad[0]]} is {times[bad[0]]}; give seconds")
    back = np.flatnonzero(np.diff(times) <= 0)
    if back.size:
        k = int(back[0])
        raise InputError(
            f"{where}: times are out of order: {scans[k + 1]} at {times[k + 1]:g} s does not come after "
            f"{scans[k]} at {times[k]:g} s; correct the times, or the numbers in the names of the scans"
        )
    return times


def _message(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
