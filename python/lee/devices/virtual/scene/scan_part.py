"""A part of a scan on its own: its floating bodies and flashes, in the part's own time."""

from dataclasses import replace
from typing import TypeVar

from lee.devices.virtual.scene.bodies import Bubble, Debris, Span
from lee.devices.virtual.scene.scene import Scene

_LASTING = (0.0, 1.0)
Body = TypeVar("Body", Bubble, Debris)


def part_of_scan(scene: Scene, begin: float, end: float) -> Scene:
    """Return a scene whose times 0 and 1 are `begin` and `end` (0 to 1) of the whole scan's.

    Parameters
    ----------
    scene : Scene
    begin, end : float
        Times of the stretch's first and last frame; equal where it is a single one.
    """
    length = end - begin if end > begin else 1.0

    def inner(span: Span) -> Span:
        return (span[0] - begin) / length, (span[1] - begin) / length

    def moved(body: Body) -> Body:
        dy, dx = body.motion_um
        return replace(
            body,
            y_um=body.y_um + begin * dy,
            x_um=body.x_um + begin * dx,
            motion_um=(length * dy, length * dx),
            present=inner(body.present),
        )

    return replace(
        scene,
        bubbles=tuple(moved(body) for body in scene.bubbles),
        debris=tuple(moved(body) for body in scene.debris),
        spikes=tuple(
            spike if spike.present == _LASTING else replace(spike, present=inner(spike.present))
            for spike in scene.spikes
        ),
        flashes=tuple(
            replace(flash, at=(flash.at - begin) / length)
            for flash in scene.flashes
            if begin <= flash.at <= end
        ),
    )
