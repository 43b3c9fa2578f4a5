"""Bubbles, debris, glints and flashes above a surface while it is scanned.

Positions are µm from the centre of pixel (0, 0) of the scene, heights µm like the surface's. Time runs from
0 at the first frame to 1 at the last, so that a scene does not depend on the number of frames.
"""

from dataclasses import dataclass
from typing import NamedTuple

Span = tuple[float, float]


@dataclass(frozen=True)
class Bubble:
    """A gas bubble: a glint near its top, a thin bright rim at its equator, a veil over what is below.

    By default it is clear. With `fill` it is grey or white, and opaque where `veil` is 0; with `refraction`
    it is transparent and displaces what is seen through it.

    Parameters
    ----------
    y_um, x_um, z_um : float
        Centre at time 0.
    radius_um : float
        At time 0.
    glint : float
        Brightness of the glint against white; far above 1 saturates.
    rim : float
        Brightness of the rim against white.
    veil : float
        Share of the light from below that still passes.
    motion_um : (dy, dx)
        Displacement over the whole scan.
    present : (start, end)
        Times between which it is there.
    fill : float
        Brightness of its whole disk against white: what it reflects itself.
    texture : float
        Contrast of that brightness: its standard deviation over its mean.
    refraction : float
        At a distance d from its centre it shows, blurred, what lies at (1 + refraction) d below it.
    shadow : float
        Share of the light that its shadow takes from the surface beside it.
    rise_um : float
        Displacement upward over the whole scan.
    growth_um : float
        Increase of its radius over the whole scan. With an equal `rise_um` it grows where it is attached.
    """

    y_um: float
    x_um: float
    z_um: float
    radius_um: float
    glint: float = 8.0
    rim: float = 4.0
    veil: float = 0.45
    motion_um: tuple[float, float] = (0.0, 0.0)
    present: Span = (0.0, 1.0)
    fill: float = 0.0
    texture: float = 0.0
    refraction: float = 0.0
    shadow: float = 0.0
    rise_um: float = 0.0
    growth_um: float = 0.0


@dataclass(frozen=True)
class Spike:
    """A small specular facet on the surface.

    Parameters
    ----------
    y_um, x_um : float
        Centre.
    radius_um : float
    brightness : float
        Against white; far above 1 saturates.
    offset_um : float
        Height of the glint's image above the surface: a curved facet shows the lamp, not itself.
    present : (start, end)
        Times between which it glints.
    """

    y_um: float
    x_um: float
    radius_um: float = 0.5
    brightness: float = 6.0
    offset_um: float = 0.0
    present: Span = (0.0, 1.0)


@dataclass(frozen=True)
class Debris:
    """A floating flake, usually far from focus.

    Parameters
    ----------
    y_um, x_um, z_um : float
        Centre at time 0.
    radius_um : float
    brightness : float
        Light it adds, against white.
    veil : float
        Share of the light from below that still passes.
    motion_um : (dy, dx)
        Displacement over the whole scan.
    present : (start, end)
        Times between which it is there.
    """

    y_um: float
    x_um: float
    z_um: float
    radius_um: float
    brightness: float = 0.0
    veil: float = 0.3
    motion_um: tuple[float, float] = (0.0, 0.0)
    present: Span = (0.0, 1.0)


@dataclass(frozen=True)
class Flash:
    """A moment in which stray light floods the whole frame.

    Parameters
    ----------
    at : float
        Time; the frame nearest to it is flooded.
    gain : float
        Factor on the light of the scene.
    added : float
        Light added everywhere, against white.
    """

    at: float
    gain: float = 1.0
    added: float = 2.0


class Placed(NamedTuple):
    """A body at a moment: its centre and its radius."""

    y_um: float
    x_um: float
    z_um: float
    radius_um: float


def place(body: Bubble | Debris, time: float) -> Placed:
    """Return where a floating body is at a time, and how large."""
    rise, growth = (body.rise_um, body.growth_um) if isinstance(body, Bubble) else (0.0, 0.0)
    return Placed(
        body.y_um + time * body.motion_um[0],
        body.x_um + time * body.motion_um[1],
        body.z_um + time * rise,
        max(body.radius_um + time * growth, 0.0),
    )


def is_present(span: Span, time: float) -> bool:
    """Whether a body with this span is present at a time."""
    return span[0] <= time <= span[1]
