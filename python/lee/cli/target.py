"""The value of `--target`: what is looked at, as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lee.stack import ZStack
    from lee.target import Target

_FORMS = "give disk:25, ellipse:20x40, rectangle:20x40 (height x width in px), or auto"
_TRIED_FRAMES = 9


Wanted = tuple[str, tuple[float, float] | None]


def shape(text: str) -> Wanted:
    """Parse ``auto``, or a shape and its size: (shape, (height, width) in px).

    The function's name is the placeholder in the help.
    """
    if text.strip().lower() == "auto":
        return "auto", None
    number = r"(\d+(?:\.\d+)?)"
    found = re.fullmatch(rf"(disk|ellipse|rectangle):{number}(?:x{number})?", text.strip().lower())
    if found is None:
        raise click.BadParameter(f"{text!r} is no target: {_FORMS}")
    kind, height, width = found.groups()
    if (kind == "disk") == (width is not None):
        needed = "one diameter" if kind == "disk" else "a height and a width"
        raise click.BadParameter(f"{text!r}: a target of this kind has {needed}: {_FORMS}")
    size = float(height), float(width or height)
    if min(size) < 1:
        raise click.BadParameter(f"{text!r} is smaller than a pixel: {_FORMS}")
    return kind, size


def target_of(wanted: Wanted, stack: ZStack) -> Target:
    """Make the target; with ``auto`` it is estimated from the frame of highest contrast among a few."""
    from lee.target import Target

    kind, size_px = wanted
    if size_px is not None:
        return Target(shape=kind, size_px=size_px)
    tried = np.unique(np.linspace(0, len(stack) - 1, _TRIED_FRAMES).astype(int))
    sharpest = max(tried, key=lambda k: _contrast(stack[int(k)]))
    return Target.estimate(stack[int(sharpest)])


def _contrast(frame: NDArray[Any]) -> float:
    # Differences of neighbours, not the variance: the lamp's shading must not count as contrast.
    grey = frame.astype(np.float32)
    return float(np.var(np.diff(grey, axis=1)) / max(float(grey.mean()), 1.0))
