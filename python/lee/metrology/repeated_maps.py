"""Several height maps of one place: read from surfaces, or from the surfaces of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.runs.run import SURFACES
from lee.runs.surface_store import WRITTEN, SurfaceStore
from lee.surfaces.surface import Surface

_SAME_PIXEL = 1e-3


@dataclass(frozen=True, eq=False)
class RepeatedMaps:
    """Height maps of one place, in the order they were measured.

    Parameters
    ----------
    height_um : (T, H, W) float64, µm
        NaN where not measured.
    pixel_um : float, µm
    sigma_um : (T, H, W) float32, µm, optional
        Standard deviations of the heights, if all maps state them.
    times_s : (T,) float64, s, optional
        When each was measured.
    names : tuple of str
    """

    height_um: NDArray[np.float64]
    pixel_um: float
    sigma_um: NDArray[np.float32] | None = None
    times_s: NDArray[np.float64] | None = None
    names: tuple[str, ...] = ()

    @property
    def interval_s(self) -> float | None:
        """Median time from one map to the next, s."""
        if self.times_s is None or len(self.times_s) < 2:
            return None
        return float(np.median(np.diff(self.times_s)))


def repeated_maps(
    height_um: ArrayLike | RepeatedMaps, pixel_um: float | None, *, least: int, operation: str
) -> RepeatedMaps:
    """Return maps as they were given, checked.

    Parameters
    ----------
    height_um : (T, H, W) array, µm, or RepeatedMaps
    pixel_um : float, µm, optional
        An array needs it.
    least : int
        Number of maps that are needed.
    operation : str
        Who asks; the message of an error begins with it.

    Raises
    ------
    InputError
        If there are fewer maps, they are smaller than 4 × 4 pixels, or no pixel size is known.
    """
    if isinstance(height_um, RepeatedMaps):
        maps = height_um
    else:
        if pixel_um is None or not (np.isfinite(pixel_um) and pixel_um > 0):
            raise InputError(f"{operation}: pixel_um is {pixel_um}; give the size of a pixel in µm, above 0")
        heights = np.array(height_um, dtype=np.float64)
        if heights.ndim != 3:
            raise InputError(f"{operation}: the maps have shape {heights.shape}; give (T, H, W)")
        heights[~np.isfinite(heights)] = np.nan
        maps = RepeatedMaps(heights, float(pixel_um))
    count, *shape = maps.height_um.shape
    if count < least:
        raise InputError(f"{operation}: {count} maps were given; {least} or more are needed")
    if min(shape) < 4:
        raise InputError(
            f"{operation}: the maps are {shape[1]} × {shape[0]} pixels; 4 × 4 or more are needed"
        )
    return maps


def read_maps(
    paths: Sequence[str | Path], *, pixel_um: float | None = None, interval_s: float | None = None
) -> RepeatedMaps:
    """Read height maps of one place.

    Parameters
    ----------
    paths : sequence of str or Path
        Surfaces or single height maps in the order they were measured; or one run of `lee series`, or its
        ``surfaces.zarr``, of which the measured scans are taken.
    pixel_um : float, µm, optional
        Size of a pixel, for single maps that do not state it.
    interval_s : float, s, optional
        Time from map to map; by default that of the run.

    Raises
    ------
    InputError
        If one cannot be read, or shapes or pixel sizes differ.
    """
    if len(paths) == 1 and (store := _store(Path(paths[0]))) is not None:
        return _of_run(store, interval_s)
    surfaces = [Surface.load(path, pixel_um=pixel_um) for path in paths]
    first = surfaces[0]
    for path, one in zip(paths, surfaces, strict=True):
        if one.shape != first.shape or abs(one.pixel_um / first.pixel_um - 1) > _SAME_PIXEL:
            rows, columns = one.shape
            raise InputError(
                f"{path}: {columns} × {rows} px of {one.pixel_um:.4g} µm, but {paths[0]} is "
                f"{first.shape[1]} × {first.shape[0]} px of {first.pixel_um:.4g} µm: give maps of one place, "
                "measured alike"
            )
    stated = all(np.isfinite(one.height_sigma_um).any() for one in surfaces)
    return RepeatedMaps(
        np.stack([one.height_um.astype(np.float64) for one in surfaces]),
        first.pixel_um,
        np.stack([one.height_sigma_um for one in surfaces]) if stated else None,
        None if interval_s is None else np.arange(len(surfaces), dtype=np.float64) * np.float64(interval_s),
        tuple(str(path) for path in paths),
    )


def _store(path: Path) -> SurfaceStore | None:
    for place in (path, path / SURFACES):
        if place.name.endswith(".zarr") and (place / "zarr.json").is_file():
            return SurfaceStore.open(place)
    return None


def _of_run(store: SurfaceStore, interval_s: float | None) -> RepeatedMaps:
    written = np.flatnonzero(store.state == WRITTEN)
    if written.size == 0:
        raise InputError(f"{store.path}: no scan of it is measured yet; run `lee series` first")
    sigma = np.stack([store.read(int(k), "height_sigma_um") for k in written])
    return RepeatedMaps(
        np.stack([store.read(int(k)).astype(np.float64) for k in written]),
        store.pixel_um,
        sigma if np.isfinite(sigma).any() else None,
        store.times_s[written]
        if interval_s is None
        else np.arange(len(written), dtype=np.float64) * np.float64(interval_s),
        tuple(store.scans[int(k)] for k in written),
    )
