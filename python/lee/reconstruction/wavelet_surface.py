"""A focal stack becomes a surface through the wavelets' focus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.reconstruction.frame_rejection import find_ruined
from lee.reconstruction.subpixel_shift import shift_frame
from lee.reconstruction.wavelet_focus import wavelet_heights
from lee.surfaces.filling import fill
from lee.surfaces.surface import Surface

if TYPE_CHECKING:
    from lee.stacks.stack import ZStack

_GROUPS_A_DEPTH = 5.0
_LEAST_SHIFT_PX = 0.02


def wavelet_surface(
    stack: ZStack,
    drift_px: NDArray[np.float64],
    *,
    depth_um: float,
    reject_frames: bool,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> Surface:
    """Reconstruct a stack with `lee.reconstruction.wavelet_focus.wavelet_heights`.

    Parameters
    ----------
    stack : ZStack
    drift_px : (Z, 2) float64, pixels
        Where each frame shows the sample displaced by.
    depth_um : float, um
        Full width at half maximum of the focus curve; frames within a fifth of it are averaged.
    reject_frames : bool
        Drop frames ruined by debris or flashes.
    threads : int
    progress : callable, optional
        Called with (frames done, frames in all).

    Raises
    ------
    InputError
        If fewer than three frames are usable, or one cannot be read.
    """
    ruined = dict(find_ruined(stack)) if reject_frames else {}
    used = [k for k in range(len(stack)) if k not in ruined]
    if len(used) < 3:
        raise InputError(f"{len(used)} usable frames of {len(stack)}, but a focus needs at least 3")
    groups = _groups(used, stack.z_um, depth_um / _GROUPS_A_DEPTH)
    z_um = [float(stack.z_um[group].mean()) for group in groups]
    frames = _means(stack, groups, drift_px, progress)
    height, sigma, sharp = wavelet_heights(frames, z_um, threads=threads)
    valid = np.isfinite(height) & np.isfinite(sigma)
    height = np.where(valid, height, np.nan)
    return Surface(
        height,
        fill(height, valid),
        np.where(valid, sigma, np.nan),
        valid,
        sharp,
        stack.pixel_um,
        {
            "frame_dtype": str(stack.dtype),
            "frames": len(stack),
            "frames_used": len(used),
            "z_range_um": [float(stack.z_um.min()), float(stack.z_um.max())],
            "rejected_frames": [
                {"frame": k, "z_um": float(stack.z_um[k]), "reason": why} for k, why in ruined.items()
            ],
            "not_measured_px": {"wavelets disagree": int((~valid).sum())},
        },
    )


def _groups(used: list[int], z_um: NDArray[np.float64], extent_um: float) -> list[list[int]]:
    """Frames that lie within `extent_um` of the first of their group."""
    out: list[list[int]] = []
    for k in used:
        if out and abs(z_um[k] - z_um[out[-1][0]]) < extent_um:
            out[-1].append(k)
        else:
            out.append([k])
    return out


def _means(
    stack: ZStack,
    groups: list[list[int]],
    drift_px: NDArray[np.float64],
    progress: Callable[[int, int], None] | None,
) -> Iterator[NDArray[Any]]:
    for group in groups:
        mean = np.asarray(np.mean([stack[k] for k in group], axis=0, dtype=np.float32))
        dy, dx = drift_px[group].mean(axis=0)
        if max(abs(dy), abs(dx)) > _LEAST_SHIFT_PX:
            mean = shift_frame(mean, -float(dy), -float(dx))
        yield mean
        if progress is not None:
            progress(group[-1] + 1, len(stack))
