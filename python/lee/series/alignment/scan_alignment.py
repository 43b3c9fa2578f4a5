"""Alignment of the scans of a run: the drift of the stage between scans is measured and corrected.

Sign: scan k shows the surface displaced by ``+shift_px[k]`` (dy, dx) and raised by ``+axial_um[k]`` against
the first scan; `apply_alignment` corrects both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.series.alignment.axial_drift import drift_against_model, drift_against_still
from lee.series.alignment.lateral_drift import lateral_drift
from lee.surfaces.resampling import shift_map

Maps = Sequence[NDArray[np.float32]] | NDArray[np.float32]
# "none", a mask, (kind, name, mask), or ("model", mean change in µm).
Reference = (
    str
    | NDArray[np.bool_]
    | tuple[str, str, NDArray[np.bool_]]
    | tuple[Literal["model"], NDArray[np.float64]]
)

_NO_REFERENCE = (
    "axial drift of the stage is not corrected: the heights alone cannot distinguish it from uniform "
    "growth, so a stage that drifts by 1 nm/s adds 1 nm/s to every rate; differences across the field are "
    "not affected"
)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Displacements of the scans of a run against the first.

    Parameters
    ----------
    shift_px : (T, 2) float64, pixels
        Displacement (dy, dx) of the surface in scan k; NaN where a scan could not be registered.
    shift_sigma_px : (T, 2) float64, pixels
        Standard deviation of `shift_px`.
    axial_um : (T,) float64, µm
        Axial drift, the excess in the heights of scan k; 0 without a reference, NaN where it is unknown.
    axial_sigma_um : (T,) float64, µm
        Standard deviation of `axial_um`; NaN without a reference, when the drift is unknown.
    reference : str
        What the heights were measured against.
    implies : str
        What this implies for the growth, as text for the report.
    """

    shift_px: NDArray[np.float64]
    shift_sigma_px: NDArray[np.float64]
    axial_um: NDArray[np.float64]
    axial_sigma_um: NDArray[np.float64]
    reference: str
    implies: str


def align(
    heights_um: Maps,
    images: Maps | None = None,
    *,
    pixel_um: float,
    reference: Reference = "none",
) -> Alignment:
    """Measure the drift of the stage over a run.

    Lateral drift is measured on the refocused images, which show more detail than the heights; axial drift
    only against `reference`, since the heights alone cannot distinguish a sinking stage from uniform growth.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Height maps; NaN where not measured, a failed scan NaN throughout. Any sequence: maps are read
        one after the other.
    images : T of (H, W) float32, counts, optional
        Refocused images; by default the height maps are used, which is less precise.
    pixel_um : float, µm
        Size of a pixel.
    reference : "none", (H, W) bool, (kind, name, mask) or ("model", change_um)
        A mask, on the grid of the first scan, of an area that does not grow; with a kind, ``"region"`` or
        ``"fiducial"``, and a name for the report. Or the mean growth of the whole field since the first scan,
        (T,) µm, for example from the charge passed.

    Returns
    -------
    Alignment

    Raises
    ------
    InputError
        If the scans differ in shape, the reference has another shape or is empty, or its model is not (T,).
    """
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"align: pixel_um is {pixel_um}; give µm above 0")
    shape = _checked("heights_um", heights_um, None)
    kind, name, mask, model = _parsed(reference, shape, len(heights_um))
    if images is not None:
        if len(images) != len(heights_um):
            raise InputError(f"align: {len(images)} images for {len(heights_um)} height maps; give one each")
        _checked("images", images, shape)
    drift = lateral_drift(heights_um if images is None else images)
    count = len(heights_um)
    if kind == "none":
        axial, sigma = np.zeros(count), np.full(count, np.nan)
        return Alignment(drift.shift_px, drift.sigma_px, axial, sigma, "none", _NO_REFERENCE)
    if kind == "model":
        axial, sigma = drift_against_model(heights_um, drift.shift_px, model)
        implies = (
            "the mean height change of the field is set to the stated one: rates show where growth is "
            "faster or slower, not the total growth; an error of the model is an error of every rate"
        )
        return Alignment(drift.shift_px, drift.sigma_px, axial, sigma, "stated mean growth", implies)
    axial, sigma = drift_against_still(heights_um, drift.shift_px, mask)
    implies = (
        f"heights are measured against {name}, assumed not to grow: if it grows or dissolves, all heights "
        "and rates are too small or too large by that amount"
    )
    return Alignment(drift.shift_px, drift.sigma_px, axial, sigma, f"{kind} {name}", implies)


def apply_alignment(
    alignment: Alignment, maps: ArrayLike, *, scan: int | None = None, heights: bool = True
) -> NDArray[np.float32]:
    """Align maps of a run to the first scan.

    Parameters
    ----------
    alignment : Alignment
    maps : (T, H, W) or, with `scan`, (H, W) float32, any unit
        NaN where not measured.
    scan : int, optional
        The scan of a single map.
    heights : bool
        Correct the axial drift too; False for maps other than heights: images, sigmas, curvature.

    Returns
    -------
    float32 of the same shape
        NaN where not measured, outside the field of the scan, and throughout a scan whose drift is unknown.
        Near unmeasured pixels see `lee.surfaces.resampling.shift_map`.

    Raises
    ------
    InputError
        If the number of maps or of dimensions does not fit.
    """
    given = np.asarray(maps)
    count = len(alignment.shift_px)
    if scan is None:
        if given.ndim != 3 or len(given) != count:
            raise InputError(
                f"apply_alignment: maps have shape {given.shape}; give ({count}, H, W), or scan= with (H, W)"
            )
        if count == 0:
            return given.astype(np.float32)
        return np.stack(
            [apply_alignment(alignment, one, scan=k, heights=heights) for k, one in enumerate(given)]
        )
    if given.ndim != 2 or not -count <= scan < count:
        raise InputError(
            f"apply_alignment: scan {scan} of {count} with a map of shape {given.shape}; give (H, W)"
        )
    dy, dx = alignment.shift_px[scan]
    moved = shift_map(given, -dy, -dx)
    if heights:
        moved -= np.float32(alignment.axial_um[scan])
    return moved


def _checked(name: str, maps: Maps, shape: tuple[int, ...] | None) -> tuple[int, int]:
    if len(maps) == 0:
        raise InputError(f"align: {name} holds no scan")
    # Maps in memory are all checked; those of a store would all have to be read, and have one shape.
    whole = getattr(maps, "shape", None)
    first = [whole[1:]] if whole is not None else [np.shape(maps[0])]
    shapes = [np.shape(one) for one in maps] if isinstance(maps, (list, tuple)) else first
    for k, one in enumerate(shapes):
        shape = shape or one
        if len(one) != 2 or one != shape:
            raise InputError(
                f"align: {name}[{k}] is {one}, the first scan {shape}; give maps (H, W) of one shape"
            )
    assert shape is not None
    return shape[0], shape[1]


def _parsed(
    reference: Reference, shape: tuple[int, int], count: int
) -> tuple[str, str, NDArray[np.bool_], NDArray[np.float64]]:
    """Check a reference; return its kind, its name, its mask and its model, the last two empty for none."""
    no_mask, no_model = np.zeros((0, 0), np.bool_), np.zeros(0)
    if isinstance(reference, str):
        if reference != "none":
            raise InputError(f'align: reference is {reference!r}; give "none", a mask, or a tuple')
        return "none", "", no_mask, no_model
    kind, *rest = reference if isinstance(reference, tuple) else ("region", "the given mask", reference)
    if kind == "model" and len(rest) == 1:
        model = np.asarray(rest[0], dtype=np.float64)
        if model.shape != (count,) or not np.isfinite(model).all():
            raise InputError(
                f"align: the model has shape {model.shape}; give {count} finite mean changes in µm"
            )
        return "model", "", no_mask, model - model[0]
    if kind not in ("region", "fiducial") or len(rest) != 2:
        raise InputError(
            'align: reference must be "none", a mask, ("region" or "fiducial", name, mask), '
            'or ("model", change_um)'
        )
    mask = np.asarray(rest[1])
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise InputError(f"align: the reference is {mask.dtype} {mask.shape}; give bool {shape}")
    if not mask.any():
        raise InputError(f"align: the reference {rest[0]} is empty: it is outside the field")
    return str(kind), str(rest[0]), mask, no_model
