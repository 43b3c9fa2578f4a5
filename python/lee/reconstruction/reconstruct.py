"""From a whole focal stack to a measured surface."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Unpack

import numpy as np

from lee.errors import DeviceMemoryError, InputError
from lee.reconstruction.colour import refocused_in_colour
from lee.reconstruction.motion.frame_motion import FrameMotion, frame_motion
from lee.reconstruction.motion.vibration import vibration_warning
from lee.reconstruction.parameters import RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.reconstruction.refocuser import Refocuser, device_for, fall_back_to_the_processor
from lee.reconstruction.second_look.look import look_again
from lee.stacks.stack import StackOptions, ZStack, open_stack
from lee.surfaces.filling import fill
from lee.surfaces.provenance import ComputeDevice, DepthOfField, ScanSource

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from lee.reconstruction.target import Target
    from lee.surfaces.surface import Surface


def reconstruct(
    stack: ZStack | str | os.PathLike[str],
    *,
    target: Target | None = None,
    params: ReconstructParams | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
    z_step_um: float | None = None,
    z_um: ArrayLike | str | os.PathLike[str] | None = None,
    pixel_um: float | None = None,
    **reading: Unpack[StackOptions],
) -> Surface:
    """Turn a focal stack into a measured surface.

    Parameters
    ----------
    stack : ZStack, str or Path
        From `lee.open_stack`, or a file or folder that it opens; read frame by frame, so it may be larger
        than memory. Of frames in colour the luminance is measured, and the all-in-focus image is in colour.
    target : Target, optional
        Shape and size of the structure of interest; sets the finest window.
    params : ReconstructParams, optional
    device : {"auto", "cpu", "cuda"}
        Where the kernels run; ``provenance.device`` records where they did. "auto" takes a CUDA device where
        one is usable, and starts again on the processor, with a warning, if the device has too little memory.
        Frames are read and judged, and their drift is estimated, on the processor.
    progress : callable, optional
        Called with (frames done, frames in all).
    z_step_um, z_um, pixel_um, **reading
        For a path: heights, pixel size and choice of frames, as `lee.open_stack` takes them.

    Returns
    -------
    Surface
        As the first frame shows the sample, its vibration aside. ``provenance`` records what was measured,
        assumed and rejected.

    Raises
    ------
    InputError
        If a frame cannot be read, or too few frames are usable; as `lee.open_stack` for a path; if heights or
        a pixel size are given for a stack that is open, and has its own. Frames of a recorded scan that
        differ from what was recorded are left out, with a warning.
    DeviceError
        If `device` is "cuda" and no CUDA device is usable, or it fails.

    Examples
    --------
    >>> surface = lee.reconstruct("my_frames", z_step_um=0.2, pixel_um=0.25)
    """
    if isinstance(stack, str | os.PathLike):
        opened = open_stack(stack, z_step_um=z_step_um, z_um=z_um, pixel_um=pixel_um, **reading)
        with opened as frames:
            return _despite_damage(frames, target, params, device, progress)
    given = {"z_step_um": z_step_um, "z_um": z_um, "pixel_um": pixel_um, **reading}
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"reconstruct: {name} is given with an open stack: give a path, or give {name} to "
                "lee.open_stack"
            )
    if not isinstance(stack, ZStack):
        raise InputError(
            f"reconstruct: a {type(stack).__name__} is no stack: give a path or what lee.open_stack returns; "
            "lee.ZStack.from_array(frames, z_um, pixel_um) makes a stack of an array"
        )
    return _despite_damage(stack, target, params, device, progress)


def _despite_damage(
    stack: ZStack,
    target: Target | None,
    params: ReconstructParams | None,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> Surface:
    chosen = params or ReconstructParams()
    try:
        return _measured(stack, target, chosen, device, progress)
    except InputError:
        # A damaged frame costs itself, not the surface.
        whole = stack.without_damaged()
        if whole is stack:
            raise
        return _measured(whole, target, chosen, device, progress)


def _measured(
    stack: ZStack,
    target: Target | None,
    chosen: ReconstructParams,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> Surface:
    where = device_for(chosen.focus, device)
    motion = _motion(stack, chosen)
    in_colour, stack = stack, motion.steadied(stack)
    depth, depth_source = _depth_of_field(stack, chosen)

    def scan(on: str) -> tuple[Surface, Refocuser]:
        refocuser = Refocuser(
            (stack.shape[1], stack.shape[2]),
            pixel_um=stack.pixel_um,
            params=replace(chosen, depth_of_field_um=depth, drift=False),
            device=on,
            target=target,
        )
        for k, frame in enumerate(stack):
            at = (float(motion.drift_px[k, 0]), float(motion.drift_px[k, 1]))
            refocuser.push(frame, float(stack.z_um[k]), drift_px=at)
            if progress is not None:
                progress(k + 1, len(stack))
        return refocuser.finish(), refocuser

    try:
        surface, first = scan(where.kind)
    except DeviceMemoryError as error:
        if device != "auto":
            raise
        where = fall_back_to_the_processor(error)
        surface, first = scan("cpu")
    beyond = motion.beyond_the_frame(surface.height_um, stack.z_um)
    candidates = first.near_occlusions
    if candidates is not None:
        candidates = candidates.without(beyond, beyond & surface.valid)
    _leave_out(surface, beyond)
    surface.provenance = replace(
        surface.provenance,
        device=ComputeDevice(**asdict(where)),
        scan=ScanSource.from_json(stack.metadata),
        parameters=asdict(chosen),
        depth_of_field=DepthOfField(depth, depth_source),
        drift_px=np.round(motion.drift_px + motion.beside_px, 3),
        drift_agreement=round(motion.agreement, 4),
        vibration_px=round(motion.vibration_px, 3),
        magnification=() if motion.magnification is None else motion.magnification.round(5).tolist(),
    )
    if chosen.second_look:
        surface = look_again(
            stack,
            surface,
            candidates,
            lamp_factors=first.lamp_factors,
            drift_px=motion.drift_px,
            depth_um=depth,
            threads=chosen.threads,
        )
    if in_colour.colour:
        surface.colour = refocused_in_colour(in_colour, surface, motion=motion, depth_um=depth)
    return surface


def _leave_out(surface: Surface, beyond: NDArray[np.bool_]) -> None:
    """Take pixels that had left the field for not measured."""
    lost = beyond & surface.valid
    if not lost.any():
        return
    surface.valid &= ~lost
    surface.height_um[lost] = surface.height_sigma_um[lost] = np.nan
    surface.height_filled_um = fill(surface.height_um, surface.valid)
    reasons = dict(surface.provenance.not_measured_px)
    reasons["left the field"] = reasons.get("left the field", 0) + int(lost.sum())
    surface.provenance = replace(surface.provenance, not_measured_px=reasons)


def _depth_of_field(stack: ZStack, params: ReconstructParams) -> tuple[float, str]:
    from lee.reconstruction.depth_of_field import depth_of_field_um

    if params.depth_of_field_um is not None:
        return params.depth_of_field_um, "given"
    measured = depth_of_field_um(stack)
    return (measured, "measured") if measured is not None else (RIG_DEPTH_OF_FIELD_UM, "assumed")


def _motion(stack: ZStack, params: ReconstructParams) -> FrameMotion:
    if not params.drift:
        return FrameMotion.none(len(stack))
    motion = frame_motion(stack, every=params.drift_every)
    if not motion.is_followed:
        warnings.warn(vibration_warning(motion.vibration_px), stacklevel=5)
    return motion
