"""A second look at a stack, with the texture that the first look found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from lee import _core
from lee.reconstruction.artefact_masks import sigma_beside_bare_patches
from lee.reconstruction.lamp_flicker import without_flicker
from lee.reconstruction.motion.subpixel_shift import shift_frame
from lee.reconstruction.occlusion.seen import veil_sigma_um
from lee.reconstruction.occlusion.veils import Veils
from lee.reconstruction.second_look.detail import Image
from lee.reconstruction.second_look.focal_moments import FocalMoments, FocusGroup, weights_um
from lee.reconstruction.second_look.focus_curves import FocusCurves, FocusShapes, UsualShape
from lee.reconstruction.second_look.near_occlusions import measured_near_occlusions
from lee.reconstruction.second_look.preference import first_share
from lee.reconstruction.second_look.standard_deviation import standard_deviation
from lee.reconstruction.second_look.window_choice import choose_windows, measured_only
from lee.surfaces.filling import fill

if TYPE_CHECKING:
    from lee.reconstruction.occlusion.candidates import Candidates
    from lee.stacks.stack import ZStack
    from lee.surfaces.surface import Surface

Pixel = TypeVar("Pixel", bound=np.generic)

# Frames within this share of the weights' standard deviation are averaged, unless they moved against each
# other by more than this.
_GROUP_SPAN = 0.4
_GROUP_DRIFT_PX = 0.1
# Frames farther apart than this many standard deviations of the focus curve show no curve.
_MAX_STEP = 1.0
# A height whose focus curve departs by more standard deviations from the usual shape is not the surface's;
# where more than a share of all do, the shape is not known well enough.
_MAX_DEPARTURE, _MOST_UNUSUAL = 3.0, 0.15
# A smaller displacement is not worth resampling for.
_MIN_SHIFT_PX = 0.02
_MULTIPLE_PX = 16
# Standard deviation of the finest window, of first windows of 5 px, px.
_FINEST_PX = 1.4
_FIRST_WINDOW_PX = 5


def look_again(
    stack: ZStack,
    surface: Surface,
    candidates: Candidates | None,
    *,
    lamp_factors: Sequence[float],
    drift_px: NDArray[np.float64],
    depth_um: float,
    threads: int,
) -> Surface:
    """Measure the heights of a surface again on the stack that it came from.

    Frames are read once more, in their order, and twice where something occluded the surface; memory does
    not grow with their number.

    Parameters
    ----------
    stack : ZStack
    surface : Surface
        Of the first look at `stack`. Pixels that it did not measure stay as they are, but for `candidates`.
    candidates : Candidates or None
        What the first look left open near occlusions.
    lamp_factors : (Z,) sequence of float
        By how much the lamp made each frame brighter than usual; empty: none.
    drift_px : (Z, 2) float64, pixels
        Displacement (dy, dx) of the sample in each frame.
    depth_um : float, µm
        Full width at half maximum of the focus curve.
    threads : int
        0 = all available cores.

    Returns
    -------
    Surface
        With new heights and standard deviations, ``provenance.second_look`` being True. Where most frames are
        farther apart than the focus curve's standard deviation, or nothing was measured, the surface as it
        was.
    """
    rejected = {frame.frame for frame in surface.provenance.rejected_frames}
    used = np.array([k for k in range(len(stack)) if k not in rejected])
    if not surface.valid.any() or np.median(np.abs(np.diff(stack.z_um[used]))) > _MAX_STEP * depth_um / 2.355:
        return surface
    threads = threads or _core.available_cores()

    veils = None if candidates is None else Veils.of(candidates.record, candidates.occlusions)

    def groups() -> Iterator[FocusGroup]:
        for group in _groups(stack, used, lamp_factors, drift_px, _GROUP_SPAN * weights_um(depth_um)):
            yield group if veils is None else replace(group, gain=veils.gain(group.z_um, surface.shape))

    zone = np.zeros(surface.shape, bool)
    if candidates is not None and veils is not None:
        zone = candidates.zone
        surface = measured_near_occlusions(
            surface, candidates, veils, groups(), depth_um=depth_um, threads=threads
        )
    first = _padded(surface.height_filled_um)
    moments = FocalMoments(first, depth_um=depth_um, threads=threads)
    curves = FocusCurves(
        surface.height_um[None], surface.valid, surface.valid & ~zone, depth_um=depth_um, threads=threads
    )
    for group in groups():
        gain = None if group.gain is None else _padded(group.gain)
        moments.push(replace(group, image=_padded(group.image), gain=gain))
        curves.push(group)
    surface = _without_unusual(surface, curves.finish(), zone)
    valid = np.zeros(first.shape, bool)
    valid[: surface.shape[0], : surface.shape[1]] = surface.valid
    sigma = _padded(surface.height_sigma_um)
    variance = np.where(valid, sigma * sigma, np.float32(np.inf))
    window = surface.provenance.window_px or (_FIRST_WINDOW_PX, _FIRST_WINDOW_PX)
    refined = choose_windows(
        first,
        variance,
        measured_only(valid, moments.finish()),
        shape=surface.shape,
        width_um=depth_um / 2.355,
        finest_px=_FINEST_PX * max(1.0, min(window) / _FIRST_WINDOW_PX),
    )
    here = tuple(slice(n) for n in surface.shape)
    deviation = standard_deviation(refined, first, variance, shape=surface.shape, width_um=depth_um / 2.355)
    share = first_share(surface.height_sigma_um, deviation, surface.valid)
    height = share * surface.height_filled_um + (1 - share) * refined.height_um[here]
    # Windows beside what was not measured see the texture beside a pixel in the second look, too.
    whole = np.where(surface.valid, height, surface.height_filled_um).astype(np.float32)
    deviation = np.hypot(deviation, sigma_beside_bare_patches(whole, ~surface.valid))
    if candidates is not None:
        deviation = np.hypot(deviation, veil_sigma_um(whole, candidates.record, depth_um))
    return replace(
        surface,
        height_um=np.where(surface.valid, height, np.float32(np.nan)),
        height_filled_um=np.where(surface.valid, height, surface.height_filled_um),
        height_sigma_um=np.where(surface.valid, deviation, np.float32(np.nan)),
        provenance=replace(surface.provenance, second_look=True),
    )


def _without_unusual(surface: Surface, shapes: FocusShapes, zone: NDArray[np.bool_]) -> Surface:
    """Take heights whose focus curve has not the usual shape for not measured, outside a zone."""
    calm = surface.valid & ~zone
    usual = UsualShape.learnt(shapes, calm)
    if usual is None:
        return surface
    unusual = calm & (usual.departure(shapes)[0] > _MAX_DEPARTURE)
    if not unusual.any() or unusual.sum() > _MOST_UNUSUAL * calm.sum():
        return surface
    valid = surface.valid & ~unusual
    reasons = dict(surface.provenance.not_measured_px)
    reasons["focus curve"] = int(unusual.sum())
    return replace(
        surface,
        height_um=np.where(valid, surface.height_um, np.float32(np.nan)),
        height_filled_um=fill(surface.height_filled_um, ~unusual),
        height_sigma_um=np.where(valid, surface.height_sigma_um, np.float32(np.nan)),
        valid=valid,
        provenance=replace(surface.provenance, not_measured_px=reasons),
    )


@dataclass
class _Gathering:
    """Frames that become a group."""

    frames: list[int] = field(default_factory=list)
    total: Image | None = None

    def add(self, k: int, frame: NDArray[np.generic]) -> None:
        image = frame.astype(np.float32)
        self.total = image if self.total is None else self.total + image
        self.frames.append(k)


def _groups(
    stack: ZStack,
    used: NDArray[np.intp],
    lamp: Sequence[float],
    drift: NDArray[np.float64],
    span_um: float,
) -> Iterator[FocusGroup]:
    z = stack.z_um
    spans = np.zeros(len(stack))
    spans[used] = np.abs(np.gradient(z[used]))
    now = _Gathering()
    for k, frame in enumerate(stack):
        if spans[k] == 0:
            continue
        if now.frames:
            begun = now.frames[0]
            apart = float(np.abs(drift[k] - drift[begun]).max())
            if abs(z[k] - z[begun]) > span_um or apart > _GROUP_DRIFT_PX:
                yield _group(now, z, spans, drift)
                now = _Gathering()
        now.add(k, without_flicker(frame, lamp[k]) if lamp else frame)
    yield _group(now, z, spans, drift)


def _group(
    gathered: _Gathering, z: NDArray[np.float64], spans: NDArray[np.float64], drift: NDArray[np.float64]
) -> FocusGroup:
    count = len(gathered.frames)
    assert gathered.total is not None
    image = gathered.total / np.float32(count)
    dy, dx = drift[gathered.frames].mean(axis=0)
    if max(abs(dy), abs(dx)) > _MIN_SHIFT_PX:
        image = shift_frame(image, -float(dy), -float(dx))
    at = gathered.frames
    return FocusGroup(image, float(z[at].mean()), float(spans[at].sum()), count)


def _padded(image: NDArray[Pixel]) -> NDArray[Pixel]:
    """Repeat the last rows and columns up to a multiple of 16."""
    more = [(0, -n % _MULTIPLE_PX) for n in image.shape]
    return np.pad(image, more, mode="edge")
