"""Pairs of rendered scans between which nuclei of known place and light appear."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from lee.devices import virtual as rig
from lee.stacks.stack import ZStack

PIXEL_UM = 0.2
SHAPE = (192, 192)
# Of a point seen through a round aperture, the share of its light in the Gaussian fitted to its spot.
IN_GAUSSIAN = 0.86

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScanPair:
    """Two scans, and the nuclei that only the later one shows."""

    before: ZStack
    after: ZStack
    nuclei: pd.DataFrame
    """``y_um``, ``x_um`` on the first frame of `after`; ``z_um`` and ``surface_um``; ``counts`` of the whole
    spot; ``diameter_nm``; ``apart_um`` to the nearest other one."""


def scan_pair(
    scene: rig.Scene,
    nuclei: int = 30,
    *,
    diameter_nm: tuple[float, float] = (150.0, 350.0),
    z_um: ArrayLike | None = None,
    later_um: ArrayLike | None = None,
    growth_um: float = 0.0,
    drift_px: ArrayLike = (0.0, 0.0),
    sensor: rig.Sensor | None = None,
    seed: int = 1,
) -> ScanPair:
    """Render `scene`, then the same higher by `growth_um` and with nuclei, moved by `drift_px` per frame."""
    sensor = sensor or rig.Sensor()
    grown = replace(scene.with_nuclei(nuclei, seed, diameter_nm), height_um=scene.height_um + growth_um)
    z = scene.z_range(0.25, 2.0) if z_um is None else np.asarray(z_um, np.float64)
    later = z if later_um is None else np.asarray(later_um, np.float64)
    drift = np.broadcast_to(np.asarray(drift_px, np.float64), (len(later), 2))
    one = rig.render_scan(scene, z_um=z, sensor=sensor, seed=2 * seed)
    two = rig.render_scan(grown, z_um=later, sensor=sensor, drift_px=drift, seed=2 * seed + 1)
    return ScanPair(
        ZStack.from_array(one.frames, z, scene.pixel_um),
        ZStack.from_array(two.frames, later, scene.pixel_um),
        truth_of(grown, sensor, drift[0]),
    )


def truth_of(scene: rig.Scene, sensor: rig.Sensor, moved_px: ArrayLike = (0.0, 0.0)) -> pd.DataFrame:
    """Say what is true about the nuclei of a scene, on a frame that shows it moved by (dy, dx)."""
    if not scene.nuclei:
        return pd.DataFrame({name: [] for name in ("y_um", "x_um", "z_um", "surface_um", "counts")})
    y, x, size = (
        np.array([getattr(one, name) for one in scene.nuclei]) for name in ("y_um", "x_um", "diameter_nm")
    )
    rows, columns = (
        np.clip(np.rint(at / scene.pixel_um).astype(int), 0, n - 1)
        for at, n in zip((y, x), scene.shape, strict=True)
    )
    surface = scene.height_um[rows, columns].astype(np.float64)
    counts = np.array(
        [rig.intensity_counts(d, scene, sensor, at_um=(a, b)) for d, a, b in zip(size, y, x, strict=True)]
    )
    apart = cKDTree(np.column_stack([y, x])).query(np.column_stack([y, x]), k=2)[0][:, 1]
    dy, dx = np.asarray(moved_px, np.float64) * scene.pixel_um
    return pd.DataFrame(
        {
            "y_um": y + dy,
            "x_um": x + dx,
            "z_um": surface + 0.5e-3 * size,
            "surface_um": surface,
            "counts": counts,
            "diameter_nm": size,
            "apart_um": apart,
        }
    )


def matched(truth: pd.DataFrame, found: pd.DataFrame, within_um: float = 0.5) -> tuple[Values, Values]:
    """Pair true nuclei with found ones, nearest first: (M,) row numbers into both."""
    if not len(found) or not len(truth):
        return np.zeros(0, int), np.zeros(0, int)
    apart = np.hypot(
        truth["y_um"].to_numpy()[:, None] - found["y_um"].to_numpy(),
        truth["x_um"].to_numpy()[:, None] - found["x_um"].to_numpy(),
    )
    pairs = []
    while apart.min() <= within_um:
        i, j = np.unravel_index(int(apart.argmin()), apart.shape)
        pairs.append((int(i), int(j)))
        apart[i, :] = apart[:, j] = np.inf
    return tuple(np.array(pairs, int).reshape(-1, 2).T)  # type: ignore[return-value]
