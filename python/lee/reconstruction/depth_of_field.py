"""The depth of field of a stack, measured on the stack itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

if TYPE_CHECKING:
    from lee.stacks.grey import Frame
    from lee.stacks.stack import ZStack

_DETAIL_PX = 5
_TILE_PX = 24
_MAX_TILES_ACROSS = 16
_COARSE_FRAMES = 32
_FINE_FRAMES = 128
# Tiles on relief stay in focus longer than flat ones would: the depth of field is that of the sharper ones.
# Not of the sharpest: a bubble's rim is in focus for less.
_SHARP_QUANTILE = 0.4
# A maximum of the focus curve lower than this many times its minimum is noise.
_MIN_CONTRAST = 1.5


def depth_of_field_um(stack: ZStack) -> float | None:
    """Measure the full width at half maximum of a stack's focus curve.

    A few frames all over the scan show where much of the field is in focus; all frames around there show for
    how long. The focus measure is the variance about the mean of 5 by 5 pixels over the mean, in tiles of
    24 by 24.

    Returns
    -------
    float or None
        µm; None where no tile shows a focus curve that rises and falls inside the stack.
    """
    count = len(stack)
    coarse = np.unique(np.linspace(0, count - 1, min(count, _COARSE_FRAMES)).round().astype(int))
    energy = np.stack([_tile_energy(stack[int(k)]) for k in coarse])
    floor = energy.min(axis=0)
    frames = _around(coarse[_busiest(energy)], count)
    energy = np.stack([_tile_energy(stack[int(k)]) for k in frames])
    widths = _half_widths(energy, stack.z_um[frames], frames, np.minimum(floor, energy.min(axis=0)))
    return float(np.quantile(widths, _SHARP_QUANTILE)) if len(widths) else None


def _busiest(energy: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the planes, those in which most tiles have a clear maximum first."""
    clear = energy.max(axis=0) > _MIN_CONTRAST * energy.min(axis=0)
    votes = np.bincount(energy.argmax(axis=0)[clear], minlength=len(energy))
    return np.argsort(-votes, kind="stable")


def _around(planes: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return the frames around the busiest planes, as many as are worth reading."""
    reach = max(2, int(np.ceil(1.5 * count / _COARSE_FRAMES)))
    wanted: set[int] = set()
    for plane in planes:
        more = wanted | set(range(max(0, int(plane) - reach), min(count, int(plane) + reach + 1)))
        if wanted and len(more) > _FINE_FRAMES:
            break
        wanted = more
    return np.array(sorted(wanted), dtype=np.intp)


def _tile_energy(frame: Frame) -> NDArray[np.float64]:
    """Return the normalised variance in tiles all over the frame, flattened, over the frame's brightness."""
    height, width = frame.shape
    tile = min(_TILE_PX, height, width)
    image = np.asarray(frame)
    rows = np.unique(np.linspace(0, height - tile, min(_MAX_TILES_ACROSS, height // tile)).astype(int))
    columns = np.unique(np.linspace(0, width - tile, min(_MAX_TILES_ACROSS, width // tile)).astype(int))
    out = np.empty((len(rows), len(columns)))
    brightness = 0.0
    for i, y in enumerate(rows):
        strip = image[y : y + tile].astype(np.float32)
        local = uniform_filter(strip, _DETAIL_PX, mode="nearest")
        bright = np.maximum(local, 1e-6)
        detail = (strip - local) ** 2 / bright
        brightness += float(bright.mean())
        sums = np.concatenate([[0.0], np.cumsum(detail.sum(axis=0), dtype=np.float64)])
        out[i] = (sums[columns + tile] - sums[columns]) / tile**2
    # A lamp that flickers changes both alike.
    return out.ravel() * (len(rows) / brightness)


def _half_widths(
    energy: NDArray[np.float64],
    z_um: NDArray[np.float64],
    frames: NDArray[np.intp],
    lowest: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return full widths at half maximum of curves that fall to half on both sides of a clear maximum."""
    highest = energy.max(axis=0)
    widths = []
    for tile in np.flatnonzero(highest > _MIN_CONTRAST * lowest):
        curve = (energy[:, tile] - lowest[tile]) / (highest[tile] - lowest[tile])
        peak = int(curve.argmax())
        below = np.flatnonzero(curve < 0.5)
        left, right = below[below < peak], below[below > peak]
        if len(left) == 0 or len(right) == 0:
            continue
        a, b = left[-1], right[0]
        if frames[b] - frames[a] != b - a:  # frames are missing inside the curve
            continue
        start = np.interp(0.5, [curve[a], curve[a + 1]], [z_um[a], z_um[a + 1]])
        end = np.interp(0.5, [curve[b], curve[b - 1]], [z_um[b], z_um[b - 1]])
        widths.append(abs(end - start))
    return np.asarray(widths, dtype=np.float64)
