"""A focal stack becomes a measured surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from lee.errors import DeviceMemoryError, InputError
from lee.kernels.backend import resolve_device
from lee.reconstruction.refocuser import (
    LEAST_DRIFT_PX,
    RIG_DEPTH_OF_FIELD_UM,
    ReconstructParams,
    Refocuser,
    on_the_processor,
)

if TYPE_CHECKING:
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
        Shape and size of what is looked at; sets the finest window.
    params : ReconstructParams, optional
    device : {"auto", "cpu", "cuda"}
        Where the kernels run; ``metadata["device"]`` tells where they did. "auto" takes a CUDA device where
        one is usable, and begins again on the processor, with a warning, where the device's memory does not
        suffice. Frames are read, judged and followed on the processor.
    progress : callable, optional
        Called with (frames done, frames in all).

    Returns
    -------
    Surface
        In the place where the first frame shows the sample. ``metadata`` tells what was measured, assumed
        and rejected.

    Raises
    ------
    InputError
        If a frame cannot be read, or too few frames are usable.
    DeviceError
        If `device` is "cuda" and no CUDA device is usable, or it fails.
    """
    from lee.reconstruction.depth_of_field import depth_of_field_um
    from lee.reconstruction.drift import estimate_drift
    from lee.reconstruction.drift_against_relief import TrustedDrift

    chosen = params or ReconstructParams()
    where = resolve_device("cpu" if chosen.focus == "wavelet" and device == "auto" else device)
    if chosen.focus == "wavelet" and where.kind == "cuda":
        raise InputError("focus is 'wavelet', which runs on the processor; give device='cpu' or 'auto'")
    if chosen.depth_of_field_um is None:
        measured = depth_of_field_um(stack)
        depth, source = (measured, "measured") if measured is not None else (RIG_DEPTH_OF_FIELD_UM, "assumed")
    else:
        depth, source = chosen.depth_of_field_um, "given"
    drift, trust = np.zeros((len(stack), 2)), 1.0
    if chosen.drift and min(stack.shape[1:]) >= LEAST_DRIFT_PX:
        tracker = TrustedDrift((stack.shape[1], stack.shape[2]))
        drift = estimate_drift(stack, frames_between=chosen.drift_every, tracker=tracker)
        trust = tracker.trust()
    if chosen.focus == "wavelet":
        if target is not None:
            raise InputError("target: the wavelets take none; leave it away, or use focus='variance'")
        from lee.reconstruction.wavelet_surface import wavelet_surface

        surface = wavelet_surface(
            stack,
            drift,
            depth_um=depth,
            reject_frames=chosen.reject_frames,
            threads=chosen.threads,
            progress=progress,
        )
    else:

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
            where = on_the_processor(error)
            surface = scan("cpu")
            surface.metadata["device"] = asdict(where)
    surface.metadata.setdefault("device", asdict(where))
    surface.metadata["parameters"] = {**asdict(chosen), "depth_of_field_um": depth, "device": where.kind}
    surface.metadata.update(
        stack=stack.metadata,
        depth_of_field_source=source,
        drift_trust=round(trust, 4),
        drift_px=[[round(float(v), 3) for v in at] for at in drift],
    )
    return surface
