"""Kinds of occlusion, drawn at random over any surface: bubbles of all sorts, debris and sparks.

A kind is drawn as bodies of the second renderer; `as_virtual` says the same to the virtual rig.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.scenes.gaussian_gather_bodies import Body
from bench.scenes.gaussian_gather_specimens import Image
from lee.devices import virtual

_BODIES = 4
_SPARKS = 25


@dataclass(frozen=True)
class Place:
    """A point of a surface, where it is in µm, its height, and the time at which it is in focus."""

    y_um: float
    x_um: float
    height_um: float
    time: float


Rng = np.random.Generator
Draw = Callable[[Place, Rng], Body]


def grey(at: Place, rng: Rng, **changed: Any) -> Body:
    """Return an opaque bubble about as bright as the scene, its texture faint."""
    radius = rng.uniform(4, 7.5)
    body = Body(
        at.y_um,
        at.x_um,
        at.height_um + rng.uniform(1.0, 1.3) * radius,
        radius,
        rim=float(rng.choice([0.0, 1.0])),
        glint=0.0,
        passes=rng.uniform(0.0, 0.1),
        fill=rng.uniform(0.5, 0.9),
        texture=rng.uniform(0.05, 0.2),
    )
    return replace(body, **changed)


def white(at: Place, rng: Rng, **changed: Any) -> Body:
    """Return an opaque bubble several times brighter than the scene: most saturate."""
    return grey(at, rng, **{"fill": rng.uniform(1.8, 6), "passes": 0.0, "rim": 3.0, **changed})


def clear(at: Place, rng: Rng, **changed: Any) -> Body:
    """Return a transparent bubble with a rim and a shadow, which displaces what it shows."""
    looks = {
        "fill": 0.0,
        "texture": 0.0,
        "rim": rng.uniform(2, 5),
        "glint": float(rng.choice([0.0, 6.0])),
        "passes": rng.uniform(0.8, 0.95),
        "bend": rng.uniform(0.25, 0.5),
        "shadow": rng.uniform(0.2, 0.4),
    }
    return grey(at, rng, **{**looks, **changed})


def sliding(rng: Rng) -> tuple[float, float]:
    """Return a displacement of 12 to 25 µm over the scan."""
    far, angle = rng.uniform(12, 25), rng.uniform(0, 2 * np.pi)
    return float(far * np.sin(angle)), float(far * np.cos(angle))


def around(at: Place, rng: Rng) -> tuple[float, float]:
    """Return a part of the scan, inside it, in which the surface below is in focus."""
    return max(at.time - rng.uniform(0.04, 0.25), 0.02), min(at.time + rng.uniform(0.04, 0.25), 0.98)


def started(at: Place, body: Body) -> Body:
    """Return a sliding body moved so that it passes its place when that is in focus."""
    dy, dx = body.motion_um
    return replace(body, y_um=body.y_um - at.time * dy, x_um=body.x_um - at.time * dx)


def growing(body: Body, at: Place, rng: Rng) -> Body:
    """Return a body that grows where it is attached, from a radius of 1 µm on."""
    growth = rng.uniform(4, 8)
    return replace(body, z_um=at.height_um + 1, radius_um=1.0, growth_um=growth, rise_um=growth)


def debris(at: Place, rng: Rng) -> Body:
    """Return a flake far above the surface, dark or bright, slow enough to be in many frames."""
    body = Body(
        at.y_um,
        at.x_um,
        at.height_um + rng.uniform(12, 25),
        rng.uniform(3, 8),
        rim=0.0,
        glint=0.0,
        passes=rng.uniform(0.1, 0.5),
        fill=float(rng.choice([0.0, 1.5])),
        motion_um=sliding(rng),
    )
    # At that distance it is blurred over more than its size: it dims, and hides nothing by itself.
    return started(Place(at.y_um, at.x_um, at.height_um, (at.time + rng.uniform(0.3, 0.7)) % 1.0), body)


def spark(at: Place, rng: Rng) -> Body:
    """Return a bright speck on the surface; half of them shine only while they are about in focus."""
    present = (at.time - 0.08, at.time + 0.08) if rng.random() < 0.5 else (0.0, 1.0)
    return Body(
        at.y_um,
        at.x_um,
        at.height_um,
        rng.uniform(0.25, 0.5),
        rim=0.0,
        glint=0.0,
        passes=1.0,
        fill=rng.uniform(4, 15),
        present=present,
    )


KINDS: dict[str, Draw] = {
    "grey, in mid scan": lambda at, rng: grey(at, rng, present=around(at, rng)),
    "grey, throughout": grey,
    "grey, sliding": lambda at, rng: started(at, grey(at, rng, motion_um=sliding(rng))),
    "grey, rising": lambda at, rng: grey(at, rng, rise_um=rng.uniform(4, 15)),
    "grey, growing attached": lambda at, rng: growing(grey(at, rng), at, rng),
    "white, from the first": lambda at, rng: white(at, rng, present=(0.0, rng.uniform(0.3, 0.8))),
    "white, to the last": lambda at, rng: white(at, rng, present=(rng.uniform(0.2, 0.7), 1.0)),
    "white, sliding": lambda at, rng: started(at, white(at, rng, motion_um=sliding(rng))),
    "white, growing attached": lambda at, rng: growing(white(at, rng), at, rng),
    "clear, throughout": clear,
    "clear, in mid scan": lambda at, rng: clear(at, rng, present=around(at, rng)),
    "clear, sliding": lambda at, rng: started(at, clear(at, rng, motion_um=sliding(rng))),
    "debris, out of focus": debris,
    "sparks": spark,
}


def drawn(kind: str, height_um: Image, z_um: NDArray[np.float64], pixel_um: float, seed: int) -> list[Body]:
    """Return the bodies of a kind over a surface, one in each quarter of the field, or sparks everywhere."""
    rng = np.random.default_rng([seed, 21])
    count = _SPARKS if kind == "sparks" else _BODIES
    bodies = []
    for k in range(count):
        share = rng.uniform(0.04, 0.96, 2) if kind == "sparks" else _quarter(k) + rng.uniform(-0.08, 0.08, 2)
        row, column = (share * height_um.shape).astype(int)
        high = float(height_um[row, column])
        time = (high - float(z_um[0])) / float(z_um[-1] - z_um[0])
        bodies.append(KINDS[kind](Place(row * pixel_um, column * pixel_um, high, time), rng))
    return bodies


def _quarter(k: int) -> NDArray[np.float64]:
    return np.array([0.28 + 0.44 * (k // 2 % 2), 0.28 + 0.44 * (k % 2)])


def as_virtual(scene: virtual.Scene, bodies: list[Body]) -> virtual.Scene:
    """Return a scene of the virtual rig with these bodies; what only shines is a specular facet there."""
    white_share = float(scene.reflectance.mean())
    bubbles, spikes = list(scene.bubbles), list(scene.spikes)
    for body in bodies:
        if body.hides:
            bubbles.append(
                virtual.Bubble(
                    body.y_um,
                    body.x_um,
                    body.z_um,
                    body.radius_um,
                    glint=body.glint * white_share,
                    rim=body.rim * white_share,
                    veil=body.passes,
                    motion_um=body.motion_um,
                    present=body.present,
                    fill=body.fill * white_share,
                    texture=body.texture,
                    refraction=body.bend,
                    shadow=body.shadow,
                    rise_um=body.rise_um,
                    growth_um=body.growth_um,
                )
            )
        else:
            spikes.append(
                virtual.Spike(
                    body.y_um,
                    body.x_um,
                    body.radius_um,
                    brightness=body.fill * white_share,
                    present=body.present,
                )
            )
    return replace(scene, bubbles=tuple(bubbles), spikes=tuple(spikes))
