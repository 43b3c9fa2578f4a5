"""The all-in-focus image in colour, of a stack whose frames are.

Focus is measured on the luminance. Once the heights are known, the frames are read once more for the colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.motion.frame_motion import FrameMotion
from lee.storage.luminance import luminance

if TYPE_CHECKING:
    from lee.stacks.stack import ZStack
    from lee.surfaces.surface import Surface

# Frames within this share of the depth of field of a height are averaged.
_REACH = 0.25


def refocused_in_colour(
    stack: ZStack, surface: Surface, *, motion: FrameMotion, depth_um: float
) -> NDArray[np.float32] | None:
    """Return the colours that the sample shows in focus; their luminance is that of ``surface.refocused``.

    Every pixel has the weighted mean colour of the frames around its height, the same number of counts added
    to its channels so that its luminance is that of the all-in-focus image. Frames are read one by one; their
    number does not change the memory.

    Parameters
    ----------
    stack : ZStack
        As it was opened, in colour.
    surface : Surface
        Of that stack; its heights, filled where not measured, choose the frames.
    motion : FrameMotion
        Displacement and magnification of the frames.
    depth_um : float, µm
        Depth of field.

    Returns
    -------
    (H, W, 3) float32, counts, or None
        NaN where ``surface.refocused`` is. None where red, green and blue are equal everywhere.
    """
    rejected = {frame.frame for frame in surface.provenance.rejected_frames}
    used = np.array([k for k in range(len(stack)) if k not in rejected])
    z = stack.z_um[used]
    height = np.clip(surface.height_filled_um, z.min(), z.max())
    total = np.zeros((*surface.shape, 3), np.float32)
    weights = np.zeros(surface.shape, np.float32)
    # So wide that the frame on either side of a height always counts.
    reach = np.maximum(np.abs(np.gradient(z)) * 1.5, _REACH * depth_um)
    coloured = False
    for k, z_um, within_um in zip(used.tolist(), z, reach, strict=True):
        weight = np.maximum(0, 1 - np.abs(height - np.float32(z_um)) / np.float32(within_um))
        if not weight.any():
            continue
        rgb = stack.rgb(k)
        coloured = coloured or bool((rgb != rgb[..., :1]).any())
        for channel in range(3):
            total[..., channel] += weight * motion.at_rest(rgb[..., channel].astype(np.float32), k)
        weights += weight
    if not coloured:
        return None
    total /= weights[..., None]
    total += (surface.refocused - luminance(total))[..., None]
    return np.maximum(total, 0, out=total)
