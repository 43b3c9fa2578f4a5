"""From a whole focal stack to a measured surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from lee.errors import DeviceMemoryError
from lee.reconstruction.parameters import MIN_DRIFT_PX, RIG_DEPTH_OF_FIELD_UM, ReconstructParams
from lee.reconstruction.refocuser import Refocuser, device_for, fall_back_to_the_processor
from lee.surfaces.provenance import ComputeDevice, DepthOfField, ScanSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lee.reconstruction.target import Target
    from lee.stacks.stack import ZStack
    from lee.surfaces.surface import Surface


def reconstruct(
    stack: ZStack,
    *,
    target: Target | None = None,
    params: ReconstructParams | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Surface:
    """Turn a focal stack into a measured surface.

    Parameters
    ----------
    stack : ZStack
        From `lee.open_stack`; read frame by frame, so it may be larger than memory.
    target : Target, optional
        Shape and size of the structure of interest; sets the finest window.
    params : ReconstructParams, optional
    device : {"auto", "cpu", "cuda"}
        Where the kernels run; ``provenance.device`` records where they did. "auto" takes a CUDA device where
        one is usable, and starts again on the processor, with a warning, if the device has too little memory.
        Frames are read and judged, and their drift is estimated, on the processor.
    progress : callable, optional
        Called with (frames done, frames in all).

    Returns
    -------
    Surface
        As the first frame shows the sample. ``provenance`` records what was measured, assumed and rejected.

    Raises
    ------
    InputError
        If a frame cannot be read, or too few frames are usable.
    DeviceError
        If `device` is "cuda" and no CUDA device is usable, or it fails.
    """
    chosen = params or ReconstructParams()
    where = device_for(chosen.focus, device)
    depth, depth_source = _depth_of_field(stack, chosen)
    drift, agreement = _drift(stack, chosen)

    def scan(on: str) -> Surface:
        refocuser = Refocuser(
            (stack.shape[1], stack.shape[2]),
            pixel_um=stack.pixel_um,
            params=replace(chosen, depth_of_field_um=depth, drift=False),
            device=on,
            target=target,
        )
        for k, frame in enumerate(stack):
            at = (float(drift[k, 0]), float(drift[k, 1]))
            refocuser.push(frame, float(stack.z_um[k]), drift_px=at)
            if progress is not None:
                progress(k + 1, len(stack))
        return refocuser.finish()

    try:
        surface = scan(where.kind)
    except DeviceMemoryError as error:
        if device != "auto":
            raise
        where = fall_back_to_the_processor(error)
        surface = scan("cpu")
    surface.provenance = replace(
        surface.provenance,
        device=ComputeDevice(**asdict(where)),
        scan=ScanSource.from_json(stack.metadata),
        parameters=asdict(chosen),
        depth_of_field=DepthOfField(depth, depth_source),
        drift_px=np.array([[round(float(v), 3) for v in at] for at in drift]),
        drift_agreement=round(agreement, 4),
    )
    return surface


def _depth_of_field(stack: ZStack, params: ReconstructParams) -> tuple[float, str]:
    from lee.reconstruction.depth_of_field import depth_of_field_um

    if params.depth_of_field_um is not None:
        return params.depth_of_field_um, "given"
    measured = depth_of_field_um(stack)
    return (measured, "measured") if measured is not None else (RIG_DEPTH_OF_FIELD_UM, "assumed")


def _drift(stack: ZStack, params: ReconstructParams) -> tuple[NDArray[np.float64], float]:
    """Drift of every frame, (Z, 2) pixels, and the share of it that all quarters of the field agree on."""
    from lee.reconstruction.drift import estimate_drift
    from lee.reconstruction.robust_drift import RobustDriftTracker

    if not params.drift or min(stack.shape[1:]) < MIN_DRIFT_PX:
        return np.zeros((len(stack), 2)), 1.0
    tracker = RobustDriftTracker((stack.shape[1], stack.shape[2]))
    drift = estimate_drift(stack, frames_between=params.drift_every, tracker=tracker)
    return drift, tracker.agreement()
