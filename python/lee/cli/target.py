"""The value of `--target`: shape and size of the structure of interest, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click
import numpy as np

from lee.errors import InputError

if TYPE_CHECKING:
    from lee.reconstruction.target import Target
    from lee.stacks.grey import Frame
    from lee.stacks.stack import ZStack

    Wanted = Target | Literal["auto"]

_TRIED_FRAMES = 9


def shape(text: str) -> Wanted:
    """Parse ``auto`` or a target; the function's name is the placeholder in the help."""
    from lee.reconstruction.target import Target

    if text.strip().lower() == "auto":
        return "auto"
    try:
        return Target.parse(text)
    except InputError as error:
        raise click.BadParameter(f"{error}, or auto") from error


def target_of(wanted: Wanted, stack: ZStack) -> Target:
    """Return the target; with ``auto`` it is estimated from the sharpest of a few frames."""
    from lee.reconstruction.target import Target

    if wanted != "auto":
        rows, columns = wanted.size_px
        if rows > stack.shape[1] or columns > stack.shape[2]:
            raise InputError(
                f"target: {rows:g}×{columns:g} px is larger than the frames, "
                f"{stack.shape[1]}×{stack.shape[2]}: give its height and width in pixels"
            )
        return wanted
    tried = np.unique(np.linspace(0, len(stack) - 1, _TRIED_FRAMES).astype(int))
    sharpest = max(tried, key=lambda k: _contrast(stack[int(k)]))
    return Target.estimate(stack[int(sharpest)])


def _contrast(frame: Frame) -> float:
    if frame.dtype != np.float32 and np.mean(frame == np.iinfo(frame.dtype.name).max) > 0.5:
        return 0.0  # a flash
    # Differences of neighbours, not the variance: the lamp's shading must not count as contrast.
    grey = frame.astype(np.float32)
    return float(np.var(np.diff(grey, axis=1)) / max(float(grey.mean()), 1.0))
