"""The value of `--target`: what is looked at, as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import numpy as np

if TYPE_CHECKING:
    from lee.stack import ZStack
    from lee.target import Target

_FORMS = "give disk:25, ellipse:20x40, rectangle:20x40 (height x width in px), or auto"
_TRIED_FRAMES = 9


class TargetText(click.ParamType):
    """``auto``, or a shape and its size: (shape, (height, width) in px)."""

    name = "shape"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[float, float] | None]:
        """Parse the text."""
        text = str(value).strip().lower()
        if text == "auto":
            return "auto", None
        number = r"(\d+(?:\.\d+)?)"
        found = re.fullmatch(rf"(disk|ellipse|rectangle):{number}(?:x{number})?", text)
        if found is None:
            self.fail(f"{value!r} is no target: {_FORMS}", param, ctx)
        shape, height, width = found.groups()
        if (shape == "disk") == (width is not None):
            needed = "one diameter" if shape == "disk" else "height and width"
            self.fail(f"{value!r}: a {shape} has {needed}: {_FORMS}", param, ctx)
        size = float(height), float(width or height)
        if min(size) < 1:
            self.fail(f"{value!r} is smaller than a pixel: {_FORMS}", param, ctx)
        return shape, size


def target_of(text: tuple[str, tuple[float, float] | None], stack: ZStack) -> Target:
    """Make the target; with ``auto`` it is estimated from the frame of highest contrast among a few."""
    from lee.target import Target

    shape, size_px = text
    if size_px is not None:
        return Target(shape=shape, size_px=size_px)  # type: ignore[arg-type]
    tried = np.unique(np.linspace(0, len(stack) - 1, _TRIED_FRAMES).astype(int))
    sharpest = max(tried, key=lambda k: _contrast(stack[int(k)]))
    return Target.estimate(stack[int(sharpest)])


def _contrast(frame: np.ndarray) -> float:  # type: ignore[type-arg]
    # Differences of neighbours, not the variance: the lamp's shading must not count as contrast.
    grey = frame.astype(np.float32)
    return float(np.var(np.diff(grey, axis=1)) / max(float(grey.mean()), 1.0))
