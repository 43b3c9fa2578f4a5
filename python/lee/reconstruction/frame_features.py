"""What a frame is judged by: brightness block by block, saturation, and the strength of its detail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.lamp_flicker import Ratio, brightness_ratio, common_ratio
from lee.reconstruction.saturation import full_scale
from lee.stacks.grey import Frame

_BLOCKS = 32
_ROWS_READ = 256

# Detail is what differs between pixels so far apart, in so many parts of the frame down and across.
_DETAIL_PX = 8
_DETAIL_PARTS = 8
# Rows read for it: so many, or fewer where these are long.
_DETAIL_ROWS = 64
_DETAIL_PIXELS = 2**16
# Parts whose detail is weaker than this many standard deviations of its estimate do not count, nor do parts
# so much of which is saturated; without so many left the detail is not known.
_MIN_DETAIL = 4.0
_MAX_SATURATED = 0.01
_MIN_PARTS = 8

# A block counts at most this much: a glint that appears and disappears in one place rejects no frame.
_MAX_BLOCK_CHANGE = 0.25


class FrameFeatures(NamedTuple):
    """Features of a frame.

    ``means`` (h, w) float64, counts, of up to 32 by 32 blocks; ``level`` their mean, counts, above 0;
    ``zero`` whether the counts have a zero, so that a ratio of two frames has a meaning; ``saturated`` the
    share of saturated pixels; ``full`` where they saturate, counts; ``detail`` (8, 8), counts squared, of
    the parts of the frame, NaN where it is not told from noise or is clipped.
    """

    frame: int
    means: NDArray[np.float64]
    level: float
    zero: bool
    saturated: float
    full: float
    detail: NDArray[np.float64]


class FrameChange(NamedTuple):
    """Change from one frame to another.

    ``ratio`` of their brightness; ``pattern`` how much the blocks differ beside that, relative rms;
    ``saturated`` of the share of saturated pixels; ``contrast`` of the relative contrast of their detail, 0
    with an infinite standard error where it is not known.
    """

    ratio: Ratio
    pattern: float
    saturated: float
    contrast: Ratio


def features_of(frame: Frame, number: int, full: int) -> FrameFeatures | None:
    """Measure the features of a frame; None for a constant one.

    Parameters
    ----------
    frame : (H, W) uint8, uint16 or float32
    number : int
        Of the frame in its scan.
    full : int, counts
        Where pixels saturate, from the frames before.
    """
    rows = frame[:: max(1, frame.shape[0] // _ROWS_READ)]
    lowest, highest = rows.min(), rows.max()
    if lowest == highest and frame.min() == frame.max():
        return None
    counted = frame.dtype.kind == "u"
    full = max(full, full_scale(int(highest))) if counted else 0
    saturated = float(np.count_nonzero(rows == full)) / rows.size if counted else 0.0
    means = _block_means(rows)
    # Float frames may have any zero: where their mean is near it, their spread takes its place.
    spread = 0.02 * (float(highest) - float(lowest))
    level = max(float(np.abs(means).mean()), spread, 1e-9)
    zero = bool(means.min() >= 0) and level > spread
    return FrameFeatures(
        number, means, level, zero, saturated, full if counted else np.inf, _detail(rows, full)
    )


def change_of(before: FrameFeatures, after: FrameFeatures) -> FrameChange:
    """Compare two frames of one scan."""
    if before.zero and after.zero:
        ratio = brightness_ratio(before.means, after.means, full=max(before.full, after.full))
    else:
        ratio = Ratio(float(np.log(after.level / before.level)), np.inf)
    factor = float(np.exp(ratio.log))
    # As if the frames were equally bright.
    difference = (after.means / factor - before.means) / before.level
    difference = np.clip(difference, -_MAX_BLOCK_CHANGE, _MAX_BLOCK_CHANGE)
    known = np.isfinite(after.detail) & np.isfinite(before.detail)
    contrast = Ratio(0.0, np.inf)
    if np.count_nonzero(known) >= _MIN_PARTS:
        contrast = common_ratio(0.5 * np.log(after.detail[known] / before.detail[known]) - ratio.log)
    return FrameChange(
        ratio,
        float(np.sqrt(np.mean(difference * difference))),
        abs(after.saturated - before.saturated),
        contrast,
    )


def _detail(rows: Frame, full: int) -> NDArray[np.float64]:
    """Mean square of what differs over `_DETAIL_PX`; noise, which no two pixels share, does not count."""
    wanted = max(2 * _DETAIL_PARTS, min(_DETAIL_ROWS, _DETAIL_PIXELS // rows.shape[1]))
    image = rows[:: max(1, rows.shape[0] // wanted)]
    high, wide = image.shape[0] // _DETAIL_PARTS, (image.shape[1] - _DETAIL_PX - 1) // _DETAIL_PARTS
    if high < 1 or wide < _DETAIL_PX:
        return np.full((_DETAIL_PARTS, _DETAIL_PARTS), np.nan)
    counts = image.astype(np.float32)
    apart = counts[:, _DETAIL_PX:] - counts[:, :-_DETAIL_PX]

    def in_parts(values: NDArray[np.generic]) -> NDArray[np.float64]:
        kept = values[: high * _DETAIL_PARTS, : wide * _DETAIL_PARTS]
        lines = np.add.reduce(kept.reshape(_DETAIL_PARTS, high, -1), axis=1, dtype=np.float32)
        return np.asarray(lines.reshape(_DETAIL_PARTS, -1, wide).mean(axis=2, dtype=np.float64) / high)

    shared, spread = in_parts(apart[:, 1:] * apart[:, :-1]), in_parts(apart * apart)
    shared[shared <= _MIN_DETAIL * spread / np.sqrt(high * wide)] = np.nan
    if full:
        shared[in_parts(image == full) > _MAX_SATURATED] = np.nan
    return shared


def _block_means(rows: Frame) -> NDArray[np.float64]:
    high, wide = (max(1, n // _BLOCKS) for n in rows.shape)
    down, across = rows.shape[0] // high, rows.shape[1] // wide
    kept = rows[: down * high, : across * wide]
    lines = np.add.reduce(kept.reshape(down, high, across * wide), axis=1, dtype=np.float32)
    return np.asarray(lines.reshape(down, across, wide).mean(axis=2, dtype=np.float64) / high)
