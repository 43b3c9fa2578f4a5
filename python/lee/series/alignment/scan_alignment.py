"""Scans of one run laid over each other: what the stage did in between is taken out.

Sign: scan k shows the surface displaced by ``+shift_px[k]`` (dy, dx) and raised by ``+axial_um[k]`` against
where the first scan shows it; `apply` takes both back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.series.alignment.axial_drift import against_model, against_still
from lee.series.alignment.lateral_drift import lateral_drift
from lee.surfaces.resampling import shift_map

Reference = str | NDArray[np.bool_] | tuple[Any, ...]

_NOTHING = (
    "axial drift of the stage is not corrected: the heights alone cannot tell it from growth that is the "
    "same everywhere, so a stage that drifts by 1 nm/s adds 1 nm/s to every rate; differences between places "
    "are not touched"
)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How scans of one run lie against the first.

    Parameters
    ----------
    shift_px : (T, 2) float64, pixels
        (dy, dx) by which scan k shows the surface displaced; NaN where a scan could not be compared.
    shift_sigma_px : (T, 2) float64, pixels
        Standard deviation of `shift_px`.
    axial_um : (T,) float64, µm
        What is too much in the heights of scan k; 0 without a reference, NaN where it could not be found.
    axial_sigma_um : (T,) float64, µm
        Standard deviation of `axial_um`; NaN without a reference, as drift is then unknown.
    reference : str
        What the heights were held against.
    implies : str
        What that means for the growth, in words for the report.
    """

    shift_px: NDArray[np.float64]
    shift_sigma_px: NDArray[np.float64]
    axial_um: NDArray[np.float64]
    axial_sigma_um: NDArray[np.float64]
    reference: str
    implies: str


def align(
    heights_um: Sequence[NDArray[Any]] | NDArray[Any],
    images: Sequence[NDArray[Any]] | NDArray[Any] | None = None,
    *,
    pixel_um: float,
    reference: Reference = "none",
) -> Alignment:
    """Find the drift of the stage over a run.

    Sideways from the refocused images, which show more detail than the heights; along the axis only against
    what `reference` says, since the heights alone cannot tell a sinking stage from growth that is the same
    everywhere.

    Parameters
    ----------
    heights_um : T of (H, W) float32, µm
        Height maps; NaN where not measured, a scan that failed NaN throughout. Any sequence: maps are taken
        one after the other.
    images : T of (H, W) float32, counts, optional
        Refocused images; by default the height maps serve, which is less precise.
    pixel_um : float, µm
        Size of a pixel.
    reference : "none", (H, W) bool, (kind, name, mask) or ("model", change_um)
        A mask, on the grid of the first scan, of what does not grow; with a kind, ``"region"`` or
        ``"fiducial"``, and a name for the report. Or how much the whole field has grown on average since the
        first scan, (T,) um: from the charge passed, say.

    Returns
    -------
    Alignment

    Raises
    ------
    InputError
        If the scans differ in shape, the reference is of another shape or empty, or its model is not (T,).
    """
    if not (np.isfinite(pixel_um) and pixel_um > 0):
        raise InputError(f"align: pixel_um is {pixel_um}; give um above 0")
    shape = _checked("heights_um", heights_um, None)
    kind, name, stated = _reference(reference, shape, len(heights_um))
    if images is not None:
        if len(images) != len(heights_um):
            raise InputError(f"align: {len(images)} images for {len(heights_um)} height maps; give one each")
        _checked("images", images, shape)
    drift = lateral_drift(heights_um if images is None else images)
    count = len(heights_um)
    if kind == "none":
        axial, sigma = np.zeros(count), np.full(count, np.nan)
        return Alignment(drift.shift_px, drift.sigma_px, axial, sigma, "none", _NOTHING)
    if kind == "model":
        axial, sigma = against_model(heights_um, drift.shift_px, stated)
        implies = (
            "the mean height change of the field is set to the stated one: rates tell where growth is faster "
            "or slower, not how much there is in all; an error of the model is an error of every rate"
        )
        return Alignment(drift.shift_px, drift.sigma_px, axial, sigma, "stated mean growth", implies)
    axial, sigma = against_still(heights_um, drift.shift_px, stated)
    implies = (
        f"heights are held against {name}, taken not to grow: what it does grow or dissolve by is missing "
        "from, or added to, every height and rate"
    )
    return Alignment(drift.shift_px, drift.sigma_px, axial, sigma, f"{kind} {name}", implies)


def apply(
    alignment: Alignment, maps: ArrayLike, *, scan: int | None = None, heights: bool = True
) -> NDArray[np.float32]:
    """Lay maps of a run over the first scan.

    Parameters
    ----------
    alignment : Alignment
    maps : (T, H, W) or, with `scan`, (H, W) float32, any unit
        NaN where not measured.
    scan : int, optional
        Which scan a single map is of.
    heights : bool
        True takes the axial drift out too; False for maps that are no heights: images, sigmas, curvature.

    Returns
    -------
    float32 of the same shape
        NaN where not measured, where the scan does not show that place, and throughout a scan whose drift is
        unknown. Beside gaps see `lee.surfaces.resampling.shift_map`.

    Raises
    ------
    InputError
        If the number of maps or dimensions does not fit.
    """
    given = np.asarray(maps)
    count = len(alignment.shift_px)
    if scan is None:
        if given.ndim != 3 or len(given) != count:
            raise InputError(
                f"apply: maps have shape {given.shape}; give ({count}, H, W), or scan= with (H, W)"
            )
        if count == 0:
            return given.astype(np.float32)
        return np.stack([apply(alignment, one, scan=k, heights=heights) for k, one in enumerate(given)])
    if given.ndim != 2 or not -count <= scan < count:
        raise InputError(f"apply: scan {scan} of {count} with a map of shape {given.shape}; give (H, W)")
    dy, dx = alignment.shift_px[scan]
    moved = shift_map(given, -dy, -dx)
    if heights:
        moved -= np.float32(alignment.axial_um[scan])
    return moved


def _checked(name: str, maps: Any, shape: tuple[int, ...] | None) -> tuple[int, int]:
    if len(maps) == 0:
        raise InputError(f"align: {name} holds no scan")
    # Of maps in memory all are looked at; a store's would all have to be read, and are alike.
    whole = getattr(maps, "shape", None)
    held = [whole[1:]] if whole is not None else [np.shape(maps[0])]
    shapes = [np.shape(one) for one in maps] if isinstance(maps, (list, tuple)) else held
    for k, found in enumerate(shapes):
        shape = shape or found
        if len(found) != 2 or found != shape:
            raise InputError(f"align: {name}[{k}] is {found}, the first scan {shape}; give equal maps (H, W)")
    assert shape is not None
    return shape[0], shape[1]


def _reference(reference: Reference, shape: tuple[int, int], count: int) -> tuple[str, str, NDArray[Any]]:
    """Check what is given; return its kind, its name, and the mask or the model."""
    if isinstance(reference, str):
        if reference != "none":
            raise InputError(f'align: reference is {reference!r}; give "none", a mask, or a tuple')
        return "none", "", np.zeros(0)
    kind, *rest = reference if isinstance(reference, tuple) else ("region", "the given mask", reference)
    if kind == "model" and len(rest) == 1:
        model = np.asarray(rest[0], dtype=np.float64)
        if model.shape != (count,) or not np.isfinite(model).all():
            raise InputError(
                f"align: the model has shape {model.shape}; give {count} finite mean changes in um"
            )
        return "model", "", model - model[0]
    if kind not in ("region", "fiducial") or len(rest) != 2:
        raise InputError(
            'align: reference must be "none", a mask, ("region" or "fiducial", name, mask), '
            'or ("model", change_um)'
        )
    mask = np.asarray(rest[1])
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise InputError(f"align: the reference is {mask.dtype} {mask.shape}; give bool {shape}")
    if not mask.any():
        raise InputError(f"align: the reference {rest[0]} is empty: it lies outside the field")
    return str(kind), str(rest[0]), mask
