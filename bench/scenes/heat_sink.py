"""Flatness of the ridges of a real heat sink: the one truth that the real scan itself offers.

Its frames are one step apart, so heights are in steps. The heights of the field form levels: the ridges are
the highest one with many pixels, the groove floors the one with most pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_BIN = 0.1
_MEDIAN_PX = 31
_EDGE_PX = 7


@dataclass(frozen=True)
class Flatness:
    """Residuals of a plane, in steps: of all measured pixels, of those within 1 step, share beyond it."""

    rms: float
    core_rms: float
    outliers: float
    median: float
    pixels: int
    level: float


def levels(height: NDArray[np.floating]) -> tuple[float, float]:
    """Return the (ridge, floor) levels of a height map, in steps."""
    known = height[np.isfinite(height)]
    edges = np.arange(known.min() - 5 * _BIN, known.max() + 6 * _BIN, _BIN)
    count = np.histogram(known, edges)[0].astype(np.float64)
    count = np.asarray(cv2.GaussianBlur(count[:, None], (1, 31), 3.0)[:, 0], dtype=np.float64)
    peak = np.flatnonzero((count[1:-1] > count[:-2]) & (count[1:-1] >= count[2:])) + 1
    floor = int(peak[count[peak].argmax()])
    ridge = int(peak[count[peak] > 0.25 * count[floor]].max())
    return float(edges[ridge] + _BIN / 2), float(edges[floor] + _BIN / 2)


def region(height: NDArray[np.floating], level: float, reach: float = 1.5) -> NDArray[np.bool_]:
    """Return where the surroundings of pixels lie at a level, edges left out; outliers inside stay inside."""
    coarse = np.clip((np.nan_to_num(height, nan=-1e3) - level) * 20 + 128, 0, 255).astype(np.uint8)
    near = np.abs(cv2.medianBlur(coarse, _MEDIAN_PX).astype(float) - 128) < 20 * reach
    kernel = np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)
    return np.asarray(cv2.erode(near.astype(np.uint8), kernel, borderValue=0) > 0)


def parts(inside: NDArray[np.bool_], least_px: int = 1000) -> list[NDArray[np.bool_]]:
    """Return the connected parts of a region that are not mere specks."""
    count, labels = cv2.connectedComponents(inside.astype(np.uint8))
    found = [np.asarray(labels == k) for k in range(1, count)]
    return [part for part in found if np.count_nonzero(part) >= least_px]


def flatness(height: NDArray[np.floating], inside: NDArray[np.bool_]) -> Flatness:
    """Fit a plane to a region without the pixels beyond 3 robust deviations, and judge all of its pixels."""
    y, x = np.nonzero(inside & np.isfinite(height))
    value = height[y, x].astype(np.float64)
    if len(y) == 0:
        return Flatness(np.nan, np.nan, np.nan, np.nan, 0, np.nan)
    plane = np.stack([np.ones(len(y)), y / height.shape[0], x / height.shape[1]], axis=1)
    residual = value - np.median(value)
    for _ in range(10):
        spread = 1.4826 * np.median(np.abs(residual - np.median(residual)))
        kept = np.abs(residual - np.median(residual)) <= max(3 * spread, 1e-6)
        residual = value - plane @ np.linalg.lstsq(plane[kept], value[kept], rcond=None)[0]
    core = np.abs(residual) <= 1
    return Flatness(
        rms=float(np.sqrt(np.mean(residual**2))),
        core_rms=float(np.sqrt(np.mean(residual[core] ** 2))),
        outliers=float(1 - core.mean()),
        median=float(np.median(np.abs(residual))),
        pixels=len(y),
        level=float(np.median(value)),
    )


def frames(folder: Path) -> NDArray[np.uint8]:
    """Return the scan's frames, (Z, H, W)."""
    paths = sorted(folder.glob("f*.png"))
    return np.stack(
        [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8) for path in paths]
    )
