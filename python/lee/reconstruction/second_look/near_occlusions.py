"""The surface near and behind occlusions, measured where frames that are read again show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lee.reconstruction.focus.cells import at_pixels
from lee.reconstruction.occlusion.candidates import Candidates
from lee.reconstruction.occlusion.heights import continue_into, continued_behind
from lee.reconstruction.occlusion.seen import occluded_classes, seen_brightness
from lee.reconstruction.occlusion.veils import Veils
from lee.reconstruction.second_look.focal_moments import FocusGroup
from lee.reconstruction.second_look.focus_curves import FocusCurves, UsualShape

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

# Near an occlusion a focus is the surface's if its shape departs from the usual by less than so many standard
# deviations, or by less than a share of it, since what is far out of focus in front dims one side; never by
# more than another share. It is so many times above the noise (powers) ...
_MAX_DEPARTURE, _ALIKE, _MAX_UNLIKE = 3.0, 0.12, 0.3
_MIN_SIGNAL_TO_NOISE = 15.0
# Near what is bright and wide both shares may be larger: its own foci are known by their brightness, and so
# is where it moved the surface's, but not all that it took of their sides.
_ALIKE_NEAR_BRIGHT, _MAX_UNLIKE_NEAR_BRIGHT = 0.3, 0.5
# ... and goes on where the surface outside ends, over at most so many steps of two pixels.
_STEPS = 200
# At the rim of what remains hidden it lies within a share of the depth of field of where the rest leads.
_MAX_OFF = 0.15


def measured_near_occlusions(
    surface: Surface,
    candidates: Candidates,
    veils: Veils,
    groups: Iterable[FocusGroup],
    *,
    depth_um: float,
    threads: int,
) -> Surface:
    """Measure a surface near occlusions, and take out what only seemed to be one.

    Parameters
    ----------
    surface : Surface
        Of the first look.
    candidates : Candidates
        Of the first look.
    veils : Veils
        Of the same occlusions.
    groups : iterable of FocusGroup
        The scan, contrast restored where there were veils.
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    threads : int

    Returns
    -------
    Surface
        As it was where too little of the scan is free of occlusions to say what is usual.
    """
    zone = candidates.zone
    candidates = candidates.unveiled(veils, depth_um)
    valid = surface.valid & ~zone
    curves = FocusCurves(candidates.heights, zone, valid, depth_um=depth_um, threads=threads, images=True)
    for group in groups:
        curves.push(group)
    shapes = curves.finish()
    usual = UsualShape.learnt(shapes, valid)
    if usual is None:
        return surface
    bright = at_pixels(veils.bright, zone.shape)
    alike = usual.within(shapes, np.where(bright, _ALIKE_NEAR_BRIGHT, _ALIKE))
    fits = (usual.departure(shapes) < _MAX_DEPARTURE) | alike
    fits &= usual.within(shapes, np.where(bright, _MAX_UNLIKE_NEAR_BRIGHT, _MAX_UNLIKE))
    fits &= shapes.signal_to_noise > _MIN_SIGNAL_TO_NOISE
    found = np.where(fits, candidates.heights, np.float32(np.inf))
    height = surface.height_filled_um.copy()
    sigma = np.where(valid, surface.height_sigma_um, np.float32(0))
    continue_into(height, sigma, valid, zone, list(found), depth_um, _STEPS)
    known = valid | (candidates.guess & ~zone)
    behind, rims = continued_behind(height, known, zone | candidates.masks["occluded"])
    # Seen past an occlusion, and not where the surface farther off leads.
    valid &= ~(rims & zone & (np.abs(behind - height) > _MAX_OFF * depth_um))
    known &= valid | ~zone
    filled = np.where(known, height, behind).astype(np.float32)
    masks = {reason: mask & ~zone for reason, mask in candidates.masks.items()}
    masks["occluded"] = masks["occluded"] | (zone & ~valid)
    nearest = np.nan_to_num(np.abs(candidates.heights - height), nan=np.inf).argmin(axis=0)
    image = np.take_along_axis(shapes.image, nearest[None], axis=0)[0]
    brightness = seen_brightness(candidates.record, candidates.occlusions, zone & ~valid)
    return replace(
        surface,
        height_um=np.where(valid, height, np.float32(np.nan)),
        height_filled_um=filled,
        height_sigma_um=np.where(valid, sigma, np.float32(np.nan)),
        valid=valid,
        refocused=np.where(zone, np.where(valid, image, brightness), surface.refocused),
        provenance=replace(
            surface.provenance,
            not_measured_px={reason: int(mask.sum()) for reason, mask in masks.items()},
            occluded_px=occluded_classes(filled, candidates.record, candidates.occlusions, depth_um),
        ),
    )
