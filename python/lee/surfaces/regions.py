"""Regions of the field to measure over time: drawn as polygons, or found as trenches and protrusions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.statistics.nan_median import median_over_scans

# A region is curved more than this many times the usual, around a place curved more than twice the usual.
_THRESHOLD = 1.0
_SEED = 2.0
_MIN_PX = 100


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the field.

    Parameters
    ----------
    name : str
    kind : str
        ``"drawn"``, ``"trench"`` or ``"protrusion"``.
    mask : (H, W) bool
        On the grid of the first scan.
    """

    name: str
    kind: str
    mask: NDArray[np.bool_]


def polygon(
    name: str, corners_um: ArrayLike, shape: tuple[int, int], pixel_um: float, *, kind: str = "drawn"
) -> Region:
    """Draw a region as a polygon.

    Parameters
    ----------
    name : str
    corners_um : (N, 2), µm
        Corners (y, x), three or more, in order; the middle of pixel (0, 0) is at (0, 0). Where the outline
        crosses itself, what it surrounds twice is outside.
    shape : (H, W)
    pixel_um : float, µm
        Size of a pixel.
    kind : str
        Such as ``"trench"``.

    Returns
    -------
    Region
        The pixels whose middle is inside; outside the field it is clipped.

    Raises
    ------
    InputError
        If it has fewer than three corners, or no pixel of the field is inside.
    """
    try:
        corners = np.asarray(corners_um, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"region {name}: corners must be numbers [[y, x], ...] in µm") from error
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise InputError(f"region {name}: give three or more corners [[y, x], ...] in µm")
    corners = corners / pixel_um
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, shape)
    mask = np.zeros(shape, np.bool_)
    y, x = np.ogrid[low[0] : max(high[0], low[0]), low[1] : max(high[1], low[1])]
    inside = np.zeros((y.shape[0], x.shape[1]), np.bool_)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            crossed = (y0 <= y) != (y1 <= y)
            inside ^= crossed & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    if not inside.any():
        far = tuple(round((n - 1) * pixel_um, 6) for n in shape)
        raise InputError(f"region {name} is outside the field, which spans (0, 0) to {far} µm")
    mask[low[0] : high[0], low[1] : high[1]] = inside
    return Region(name, kind, mask)


def read_regions(definitions: Mapping[str, object], shape: tuple[int, int], pixel_um: float) -> list[Region]:
    """Draw regions as a file defines them: ``{"R1": {"polygon_um": [[y, x], ...], "kind": "trench"}, ...}``.

    Parameters
    ----------
    definitions : mapping
        From name to ``polygon_um``, as in `polygon`, and optionally ``kind``.
    shape : (H, W)
    pixel_um : float, µm

    Returns
    -------
    list of Region
        In the order given.

    Raises
    ------
    InputError
        If one has no polygon, or as `polygon`.
    """
    if not isinstance(definitions, Mapping):
        raise InputError('regions: give {"NAME": {"polygon_um": [[y, x], ...]}, ...}')
    found = []
    for name, one in definitions.items():
        if not isinstance(one, Mapping) or "polygon_um" not in one:
            raise InputError(f'region {name}: give {{"polygon_um": [[y, x], ...]}} in µm')
        kind = str(one.get("kind", "drawn"))
        found.append(polygon(str(name), one["polygon_um"], shape, pixel_um, kind=kind))
    return found


def find_regions(
    mean_per_um: ArrayLike,
    *,
    pixel_um: float,
    threshold_per_um: float | Literal["auto"] = "auto",
    min_area_um2: float | None = None,
    most: int = 12,
) -> list[Region]:
    """Find trenches and protrusions by their mean curvature.

    A trench is a connected part whose mean curvature exceeds the threshold, with at least one pixel above
    twice the threshold; a protrusion is the same with the opposite sign. Of a run the median over its scans
    counts: a region is so curved in most of the scans, and its mask stays the same throughout.

    Parameters
    ----------
    mean_per_um : (H, W) or (T, H, W) float32, 1/µm
        Mean curvature, a trench positive; aligned, NaN where not measured.
    pixel_um : float, µm
        Size of a pixel.
    threshold_per_um : float, 1/µm, or "auto"
        By default the usual curvature of the field: 1.48 times the median of its absolute value.
    min_area_um2 : float, µm², optional
        Smaller regions are discarded; by default 100 pixels.
    most : int
        Number of regions of each kind, the largest first.

    Returns
    -------
    list of Region
        ``trench 1`` ... and ``protrusion 1`` ..., the largest first.

    Raises
    ------
    InputError
        If the map has the wrong shape or a threshold is not above 0.
    """
    maps = np.asarray(mean_per_um, dtype=np.float32)
    if maps.ndim not in (2, 3) or maps.size == 0:
        raise InputError(f"find_regions: mean_per_um has shape {maps.shape}; give (H, W) or (T, H, W)")
    curved = median_over_scans(maps) if maps.ndim == 3 else maps
    known = np.isfinite(curved)
    if isinstance(threshold_per_um, str):
        if threshold_per_um != "auto":
            raise InputError(f'find_regions: threshold_per_um is {threshold_per_um!r}; give 1/µm, or "auto"')
        if not known.any():
            return []
        threshold = _THRESHOLD * 1.4826 * float(np.median(np.abs(curved[known])))
    else:
        threshold = float(threshold_per_um)
        if not threshold > 0:
            raise InputError(f"find_regions: threshold_per_um is {threshold}; give 1/µm above 0")
    least = _MIN_PX if min_area_um2 is None else min_area_um2 / pixel_um**2
    found = []
    for kind, sign in (("trench", 1), ("protrusion", -1)):
        signed = np.where(known, sign * curved, -np.inf)
        labels, count = ndimage.label(ndimage.binary_opening(signed > threshold))
        if count == 0:
            continue
        area = np.bincount(labels.ravel(), minlength=count + 1)
        seeded = ndimage.maximum(signed, labels, np.arange(count + 1)) > _SEED * threshold
        kept = [k for k in range(1, count + 1) if area[k] >= least and seeded[k]]
        kept.sort(key=lambda k: (-area[k], k))
        found += [Region(f"{kind} {n}", kind, labels == k) for n, k in enumerate(kept[:most], 1)]
    return found
