"""From the search for the focus to a `Surface`: artefacts masked, holes filled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.reconstruction.artefact_masks import (
    bare_patches,
    beside_stronger,
    out_of_range,
    rising_to_an_end,
    sigma_beside_bare_patches,
    spikes,
    two_maxima,
    uncertain,
)
from lee.reconstruction.focus.cells import CellRecord
from lee.reconstruction.focus.measure import FocusMaxima, FocusSearch
from lee.reconstruction.occlusion.bodies_in_front import bodies_in_front
from lee.reconstruction.occlusion.candidates import Candidates, candidate_heights
from lee.reconstruction.occlusion.detection import find_occlusions
from lee.reconstruction.occlusion.doubtful import doubtful_near_occlusions, near_occlusions
from lee.reconstruction.occlusion.heights import SurfaceMaxima, continue_surface, continued_behind
from lee.reconstruction.occlusion.seen import occluded_classes, seen_brightness
from lee.reconstruction.sampling import sampling_sigma_um
from lee.surfaces.provenance import Provenance
from lee.surfaces.surface import Surface

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Reach of a pixel's finest window and detail.
_EDGE_PX = 4
# A smaller displacement is not worth resampling for.
_MIN_RESIDUAL_PX = 0.02
# Less drift than this toward an edge costs nothing.
_MIN_DRIFT_PX = 0.5
# Coarser steps, in shares of the depth of field, hardly tell two surfaces apart in one focus curve.
_MAX_STEP = 0.4


def assemble_surface(
    search: FocusSearch,
    *,
    z_um: NDArray[np.float64],
    drift_px: NDArray[np.float64],
    depth_um: float,
    pixel_um: float,
    provenance: Provenance,
) -> tuple[Surface, Candidates | None]:
    """End the search for the focus, mask artefacts, fill holes, and gather all in a `Surface`.

    Parameters
    ----------
    search : FocusSearch
        Has taken all frames.
    z_um, drift_px : (N,) float64, µm, and (N, 2) float64, pixels
        Heights of the frames used, and by how much (dy, dx) each shows the sample displaced.
    depth_um, pixel_um : float, µm
    provenance : Provenance
        Of the surface; the counts of pixels not measured are added, by reason, and of pixels occluded.

    Returns
    -------
    Surface
    Candidates or None
        What a second look may find near occlusions; None where there were none.
    """
    search.close()
    record = CellRecord(*search.record())
    occlusions = find_occlusions(record)
    rejected = occlusions.rejected()
    maxima: SurfaceMaxima | None = None
    if occlusions.any():
        levels = [FocusMaxima(*search.peaks(level)) for level in range(min(2, search.levels))]
        maxima = SurfaceMaxima(levels, record.z_um, occlusions.opaque(), search.noise, depth_um)
        search.reject(rejected.view(np.uint8))
    height, sigma, sharp = search.finish()
    candidates = None if maxima is None else candidate_heights(height, maxima, occlusions)
    sigma = np.hypot(sigma, sampling_sigma_um(height, z_um, depth_um))
    level = min(1, search.levels - 1)
    coarser = FocusMaxima(*search.peaks(level))
    masks = _without_focus(search, height, sigma, coarser, record, depth_um)
    near = near_occlusions(occlusions, height.shape)
    if near.any():
        doubtful = near & doubtful_near_occlusions(
            np.where(_any_of(masks), np.nan, height).astype(np.float32),
            sigma,
            near,
            coarser.peak[0] / max(search.noise, 1e-12),
            record=record,
            rejected=rejected,
            pixel_um=pixel_um,
            depth_um=depth_um,
        )
        masks = _with(masks, "occluded", doubtful)
    masks["spike"] = spikes(np.where(_any_of(masks), np.nan, height).astype(np.float32), depth_um)
    if maxima is not None:
        zone = masks["occluded"]
        height, sigma, continued = continue_surface(height, sigma, ~_any_of(masks), zone, maxima)
        sharp = np.where(zone, seen_brightness(record, occlusions, zone), sharp)
        masks["occluded"] = zone & ~continued
    masks["left the field"] = _left_the_field(height, z_um, drift_px) & ~_any_of(masks)
    # Beside measured texture the height of a bare pixel is better than none, for the fill.
    guess = masks["no texture"] & ~uncertain(sigma, depth_um)
    in_front = np.zeros(height.shape, bool)
    if np.median(np.abs(np.diff(z_um))) < _MAX_STEP * depth_um:
        seen = guess | ~_any_of(masks)
        finest = FocusMaxima(*search.peaks(0))
        in_front = bodies_in_front(
            height, seen, finest, noise=search.noise, pixel_um=pixel_um, depth_um=depth_um
        )
    masks = _with(masks, "occluded", in_front)
    valid, guess = ~_any_of(masks), guess & ~in_front
    known = valid | guess
    zone = near & ~masks["left the field"] & ~in_front
    behind, _ = continued_behind(height, known, zone | in_front)
    filled = np.where(known, height, behind).astype(np.float32)
    sigma = np.hypot(sigma, sigma_beside_bare_patches(filled, masks["no texture"]))
    occluded_px: dict[str, int] = {}
    near_occlusion: Candidates | None = None
    if maxima is not None and candidates is not None:
        occluded_px = occluded_classes(filled, record, occlusions, depth_um)
        near_occlusion = Candidates(zone, candidates, masks, guess, maxima, record, occlusions)
    surface = Surface(
        np.where(valid, height, np.nan),
        filled,
        np.where(valid, sigma, np.nan),
        valid,
        _placed(sharp, filled, np.array(search.rests)),
        pixel_um,
        replace(
            provenance,
            not_measured_px={reason: int(mask.sum()) for reason, mask in masks.items()},
            occluded_px=occluded_px,
        ),
    )
    return surface, near_occlusion


def _without_focus(
    search: FocusSearch, height: Map, sigma: Map, coarser: FocusMaxima, record: CellRecord, depth_um: float
) -> dict[str, Mask]:
    """Return masks of pixels without a focus of their own, or an uncertain one; a pixel is in one at most."""
    level = min(1, search.levels - 1)
    strong = beside_stronger(coarser, level, height.shape, noise=search.noise)
    strong |= rising_to_an_end(record, height.shape)
    textured = np.where(strong, search.textured(True), search.textured(False)) != 0
    bare = bare_patches(np.isfinite(height) & textured)
    masks = {"out of range": out_of_range(height, record, bare)}
    masks["no texture"] = bare & ~masks["out of range"]
    double = two_maxima(coarser, level, height.shape, noise=search.noise, depth_um=depth_um)
    masks["two maxima"] = double & ~_any_of(masks)
    masks["uncertain"] = uncertain(sigma, depth_um) & ~_any_of(masks)
    masks["occluded"] = np.zeros(height.shape, bool)
    return masks


def _with(masks: dict[str, Mask], reason: str, more: Mask) -> dict[str, Mask]:
    """Return masks with more pixels for one reason, taken out of the others."""
    return {name: (mask | more) if name == reason else (mask & ~more) for name, mask in masks.items()}


def _any_of(masks: dict[str, Mask]) -> Mask:
    return np.asarray(np.logical_or.reduce(list(masks.values())))


def _placed(
    sharp: NDArray[np.float32], height: NDArray[np.float32], rests: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Shift the image at each pixel by the residual drift of the frames it was taken from."""
    if np.abs(rests[:, 1:]).max() < _MIN_RESIDUAL_PX:
        return sharp
    groups = rests[np.argsort(rests[:, 0])]
    # A pixel's image is of one group of frames: the one nearest to its height.
    borders = (groups[1:, 0] + groups[:-1, 0]) / 2
    _, dy, dx = groups[np.searchsorted(borders, height)].transpose(2, 0, 1).astype(np.float32)
    y, x = np.indices(sharp.shape, dtype=np.float32)
    # Splines would spread NaN over the whole image.
    order = 3 if np.isfinite(sharp).all() else 1
    moved = ndimage.map_coordinates(sharp, (y + dy, x + dx), order=order, mode="nearest")
    return np.asarray(moved, dtype=np.float32).clip(np.nanmin(sharp), np.nanmax(sharp))


def _left_the_field(
    height: NDArray[np.float32], z_um: NDArray[np.float64], drift_px: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Pixels that had drifted beyond the frame, or so near its edge that it was repeated, when in focus."""
    order = np.argsort(z_um)
    left = np.zeros(height.shape, bool)
    for axis in (0, 1):
        size = height.shape[axis]
        at = np.arange(size, dtype=np.float64)
        at = at[:, None] if axis == 0 else at[None, :]
        there = at + np.interp(height, z_um[order], drift_px[order, axis])
        left |= there < np.minimum(at, _EDGE_PX) - _MIN_DRIFT_PX
        left |= there > np.maximum(at, size - 1 - _EDGE_PX) + _MIN_DRIFT_PX
    return left & np.isfinite(height)
