"""Whether the counts of two pictures are on one scale: of equal bit depth, exposure and illumination."""

from __future__ import annotations

import numpy as np

from lee.errors import InputError
from lee.stacks.grey import Frame

# Brightness is compared in the medians of means of blocks, which few bright spots do not move.
_BLOCK_PX = 8
# Of larger pictures, every so many blocks along both axes are used.
_BLOCKS = 64
# Without so much brightness over the noise of a pixel, counts are not counted from darkness.
_MIN_LEVEL = 0.5
# From these ratios of brightness on, a change of the light is worth a warning, or cannot be meant.
_CHANGED, _OTHER_SCALE = 1.5, 3.0


def require_common_scale(before: Frame, after: Frame) -> str | None:
    """Refuse two pictures (H, W) whose counts mean different amounts of light.

    Returns
    -------
    str or None
        A remark where their brightness differs so much that intensities cannot be compared.

    Raises
    ------
    InputError
        If one is at least three times as bright as the other.
    """
    levels = _level(before), _level(after)
    if any(level is None for level in levels):
        return None
    earlier, later = (float(level) for level in levels if level is not None)
    ratio = max(earlier, later) / min(earlier, later)
    told = f"before has a median of {earlier:.4g} counts but after {later:.4g}"
    if ratio >= _OTHER_SCALE:
        raise InputError(
            f"particles: {told}, so their counts are not on one scale; give two scans of the same bit depth, "
            "exposure and illumination"
        )
    if ratio >= _CHANGED:
        return f"{told}; if the exposure or the bit depth has changed, intensities and thresholds do not hold"
    return None


def _level(picture: Frame) -> float | None:
    """Brightness of most of a picture, counts; None where it is not counted from darkness."""
    rows, columns = (max(n // _BLOCK_PX, 1) for n in picture.shape)
    down, across = (max(n // _BLOCKS, 1) for n in (rows, columns))
    height, width = (min(_BLOCK_PX, n) for n in picture.shape)
    blocks = picture[: rows * height, : columns * width].reshape(rows, height, columns, width)
    values = blocks[::down, :, ::across].transpose(0, 2, 1, 3).reshape(-1, height * width)
    values = values[np.isfinite(values).all(axis=1)].astype(np.float64)
    if not len(values):
        return None
    level = float(np.median(values.mean(axis=1)))
    noise = float(np.median(values.std(axis=1)))
    return level if level > _MIN_LEVEL * noise and level > 0 else None
