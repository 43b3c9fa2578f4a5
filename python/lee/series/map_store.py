"""Maps of a run over time (t, y, x), in one zarr group that xarray opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import zarr
from numpy.typing import NDArray

from lee.errors import InputError, reason_of
from lee.storage.checked_zarr import check_description, consolidate, read_map, read_values
from lee.storage.map_zarr import AXES, make_axes, make_maps

MAPS_ZARR = "maps.zarr"
MAPS = {
    "height_um": ("um", "height, aligned to the first scan"),
    "height_sigma_um": ("um", "standard deviation of the height"),
    "delta_um": ("um", "height gained since the first measured scan"),
    "adjacent_rate_nm_per_s": ("nm/s", "growth rate since the scan before"),
    "rate_nm_per_s": ("nm/s", "growth rate, robust fit over a window of scans"),
    "rate_sigma_nm_per_s": ("nm/s", "standard deviation of the rate"),
    "mean_curvature_per_um": ("um-1", "mean curvature, a trench positive"),
}


class StoredMaps(Sequence[NDArray[np.float32]]):
    """Maps of all scans, read one at a time from a zarr array (T, H, W); damaged chunks are NaN."""

    def __init__(self, array: zarr.Array[Any], where: str) -> None:
        self._array, self._where = array, where

    def __len__(self) -> int:
        """Return the number of scans."""
        return int(self._array.shape[0])

    @overload
    def __getitem__(self, k: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, k: slice | NDArray[np.signedinteger]) -> Any: ...
    def __getitem__(self, k: int | slice | NDArray[np.signedinteger]) -> NDArray[np.float32]:
        """Return the map of scan k, (H, W) float32, or of several scans, (N, H, W)."""
        if isinstance(k, int | np.integer):
            whole = range(len(self))[int(k)]
            return read_map(self._array, whole, f"{self._where}, scan {whole}")
        chosen = np.arange(len(self))[k]
        return np.stack([self[one] for one in chosen]) if len(chosen) else np.asarray(self._array[:0])

    def __setitem__(self, k: int, values: NDArray[np.float32]) -> None:
        """Write the map of scan k."""
        self._array[k] = values


def create_maps(
    path: Path,
    *,
    times_s: NDArray[np.float64],
    scans: Sequence[str],
    phases: Sequence[str],
    shape: tuple[int, int],
    pixel_um: float,
    settings: Mapping[str, object],
) -> dict[str, StoredMaps]:
    """Create a store of the maps in `MAPS`, NaN throughout."""
    group = zarr.create_group(
        str(path),
        zarr_format=3,
        attributes={
            "format": "lee series",
            "format_version": 1,
            "pixel_um": pixel_um,
            "settings": dict(settings),
            "coordinates": " ".join(AXES),
            "axes": "rows run down the image; height grows toward the objective; NaN is not measured",
        },
    )
    make_maps(group, MAPS, len(times_s), shape)
    make_axes(group, times_s=times_s, scans=scans, phases=phases, shape=shape, pixel_um=pixel_um)
    consolidate(path)
    return _stored(path, group)


def write_phases(path: Path, phases: Sequence[str]) -> None:
    """Replace the phases of the scans."""
    group: Any = zarr.open_group(str(path), mode="r+", zarr_format=3)
    group["phase"][:] = np.array(list(phases), dtype=object)


def _stored(path: Path, group: zarr.Group) -> dict[str, StoredMaps]:
    arrays = dict(group.arrays())
    return {name: StoredMaps(arrays[name], f"{path / name}") for name in MAPS}


def open_maps(path: Path) -> dict[str, StoredMaps]:
    """Open the maps of a run that was analysed.

    Raises
    ------
    InputError
        If the store is damaged.
    """
    return _stored(path, _opened(path))


def read_times(path: Path) -> NDArray[np.float64]:
    """Read when the scans of these maps began, (T,) s.

    Raises
    ------
    InputError
        If the store is damaged.
    """
    return read_values(_opened(path)["time_s"], f"{path}: time_s").astype(np.float64)


def _opened(path: Path) -> zarr.Group:
    try:
        check_description(path)
        group = zarr.open_group(str(path), mode="r", zarr_format=3)
        dict(group.arrays())
    except Exception as error:  # zarr raises many kinds on damaged metadata
        raise InputError(
            f"{path}: cannot be read ({reason_of(error)}); analyse the run again with `lee series`"
        ) from error
    return group
