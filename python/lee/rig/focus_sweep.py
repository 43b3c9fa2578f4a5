"""A coarse sweep through heights: where the field is sharp, and so where scans should begin and end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from lee.devices.protocols import Stage
from lee.devices.reference import check_position
from lee.errors import InputError

MIN_LOOKS, MAX_LOOKS = 5, 200
# Parts of the field along its longer side, each of at least so many blocks of 2 x 2 px a side: the noise of
# fewer has high peaks.
_PARTS, _MIN_PART = 16, 6
# A peak of contrast stands this many standard deviations of its noise, and this share, above the background.
_PEAK_SIGMA, _PEAK_SHARE = 8.0, 0.5
# Share of the parts that must come into focus, and that may do so at an end of the sweep.
_MIN_FOUND, _MAX_AT_END = 0.05, 0.05
_BACKGROUND_PERCENTILE = 30.0
# A single part may be wrong: debris, or a peak of noise.
_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True)
class FocusRange:
    """Heights between which the surface comes into focus.

    ``start_um`` and ``end_um`` lie beyond it by the width of a peak of contrast and two steps; None where too
    little came into focus. ``share`` of the parts of the field; ``below`` and ``above``: whether there is
    more of the surface beyond that end of the sweep.
    """

    start_um: float | None
    end_um: float | None
    share: float
    below: bool
    above: bool

    def summary(self) -> str:
        """Return one line: what was found, and what to do."""
        more = " and ".join(end for end, there in (("below", self.below), ("above", self.above)) if there)
        if self.start_um is None or self.end_um is None:
            advice = f"it goes on {more}: sweep there" if more else "sweep elsewhere, or take shorter steps"
            return f"nothing came into focus in the sweep; {advice}"
        share = f"{100 * self.share:.0f} % of the field"
        found = f"{share} is sharp within {self.start_um:.1f} to {self.end_um:.1f} µm"
        return f"{found}, but the surface goes on {more}: sweep there, too" if more else found


def contrast(image: NDArray[np.integer]) -> float:
    """Return the rms difference between neighbours, blocks of 2 x 2 px, as a share of the mean brightness."""
    return float(np.sqrt(_squared_contrast(image, 1).mean()))


def sweep_heights(stage: Stage, from_um: float, to_um: float, step_um: float) -> list[int]:
    """Return the positions of a sweep, in counts, rising.

    Raises
    ------
    InputError
        If it is too long or too short, or leaves the limits of the stage.
    """
    if not (isfinite(from_um) and isfinite(to_um) and isfinite(step_um) and step_um > 0 and from_um < to_um):
        raise InputError(
            f"sweep: from {from_um:g} to {to_um:g} µm in steps of {step_um:g} µm; give a lower and a higher "
            "end, and a step above 0"
        )
    looks = (to_um - from_um) / step_um + 1
    if not MIN_LOOKS <= looks <= MAX_LOOKS:
        raise InputError(
            f"sweep: from {from_um:g} to {to_um:g} µm in steps of {step_um:g} µm are {looks:.0f} heights; "
            f"give {MIN_LOOKS} to {MAX_LOOKS}"
        )
    heights = [
        round(min(from_um + k * step_um, to_um) * stage.counts_per_um) for k in range(ceil(looks - 1e-9))
    ]
    for end in (heights[0], heights[-1]):
        check_position(end, stage.limits_counts, stage.counts_per_um)
    return heights


def take_sweep(
    stage: Stage, heights_counts: list[int], look: Callable[[], NDArray[np.integer]]
) -> FocusRange:
    """Move from height to height, rest, and look; return where the field is sharp.

    Parameters
    ----------
    stage : Stage
    heights_counts : list of int
        From `sweep_heights`.
    look : callable
        Returns an image, (H, W) counts, that was exposed after the call.

    Raises
    ------
    RigFault
        What ended it; the stage rests.
    """
    seen = []
    for counts in heights_counts:
        stage.move_to(counts)
        image = look()
        seen.append(_squared_contrast(image, _part_of(image.shape)))
    return focus_range(np.array(heights_counts) / stage.counts_per_um, np.array(seen))


def focus_range(z_um: NDArray[np.float64], squared_contrast: NDArray[np.float64]) -> FocusRange:
    """Find the heights at which parts of the field are sharp.

    Parameters
    ----------
    z_um : (Z,) float, µm
        Rising.
    squared_contrast : (Z, N, M) float
        Of every part, at every height.
    """
    seen = squared_contrast.reshape(len(z_um), -1)
    background = np.maximum(np.percentile(seen, _BACKGROUND_PERCENTILE, axis=0), 1e-12)
    above = seen / background - 1
    # What lies below the background is noise alone; its mirror image lies above it.
    noise = float(np.sqrt(np.mean(above[above <= 0] ** 2)))
    best = above.argmax(axis=0)
    peak = above.max(axis=0)
    stands_out = peak > max(_PEAK_SIGMA * noise, _PEAK_SHARE)
    low, high = stands_out & (best == 0), stands_out & (best == len(z_um) - 1)
    inside = stands_out & ~low & ~high
    share, below, beyond = (float(part.mean()) for part in (inside, low, high))
    ends = {"below": below > _MAX_AT_END, "above": beyond > _MAX_AT_END}
    if share < _MIN_FOUND:
        return FocusRange(None, None, share, **ends)
    step = float(np.median(np.diff(z_um)))
    width = float(np.median((above[:, inside] > peak[inside] / 2).sum(axis=0))) * step
    lowest, highest = np.percentile(z_um[best[inside]], _PERCENTILES)
    margin = width + 2 * step
    return FocusRange(float(lowest - margin), float(highest + margin), share, **ends)


def _part_of(shape: tuple[int, ...]) -> int:
    """Return the side of a part of the field in blocks of 2 x 2 px; small fields have fewer parts."""
    return max(1, min(max(_MIN_PART, max(shape) // (2 * _PARTS)), min(shape) // 2 - 1))


def _squared_contrast(image: NDArray[np.integer], part: int) -> NDArray[np.float64]:
    """Return the squared contrast of parts of so many blocks of 2 x 2 px a side; of all where it is 1."""
    rows, columns = (2 * (n // 2) for n in image.shape)
    blocks = image[:rows, :columns].astype(np.float32)
    blocks = blocks[::2] + blocks[1::2]
    blocks = blocks[:, ::2] + blocks[:, 1::2]
    squared = np.diff(blocks, axis=0)[:, :-1] ** 2 + np.diff(blocks, axis=1)[:-1] ** 2
    if part == 1:
        return np.array([[squared.mean() / max(float(blocks.mean()), 1e-6) ** 2]])
    tall, wide = (n // part for n in squared.shape)
    shape = (tall, part, wide, part)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
        kept = values[: tall * part, : wide * part].astype(np.float64)
        return np.asarray(kept.reshape(shape).mean(axis=(1, 3)))

    found: NDArray[np.float64] = mean(squared) / np.maximum(mean(blocks[:-1, :-1]), 1e-6) ** 2
    return found
