"""Nuclei on a surface: grains of fresh metal, smaller than the resolution, that scatter light.

Positions are µm from the centre of pixel (0, 0) of the scene; heights are above the surface, so that a
nucleus rises with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Nucleus:
    """A grain on the surface.

    Its diameter rises from 0 at birth as the square root of time, until it is `growth_s` old; it shrinks in
    the same way before it is gone.

    Parameters
    ----------
    y_um, x_um : float
        Centre.
    diameter_nm : float
        When fully grown. A `Scene` draws this one whatever the time; a `GrowingScene` the one it has then.
    offset_um : float, optional
        Height of the scattering centre above the surface; by default half the diameter.
    born_s, gone_s : float
        Times between which it is there; by default it always is.
    growth_s : float
        How long it grows, and shrinks.
    """

    y_um: float
    x_um: float
    diameter_nm: float
    offset_um: float | None = None
    born_s: float = -np.inf
    gone_s: float = np.inf
    growth_s: float = 3.0

    def __post_init__(self) -> None:
        if not np.isfinite((self.y_um, self.x_um, self.offset_um or 0.0)).all():
            raise InputError(
                f"nucleus: y_um {self.y_um}, x_um {self.x_um} and offset_um {self.offset_um} must be finite"
            )
        if not 0 < self.diameter_nm < np.inf:
            raise InputError(f"nucleus: diameter_nm {self.diameter_nm} must be above 0")
        if not self.born_s < self.gone_s:
            raise InputError(f"nucleus: gone_s {self.gone_s} must be after born_s {self.born_s}")
        if not 0 < self.growth_s < np.inf:
            raise InputError(f"nucleus: growth_s {self.growth_s} must be above 0")

    @property
    def centre_um(self) -> float:
        """Height of the scattering centre above the surface."""
        return 0.5e-3 * self.diameter_nm if self.offset_um is None else self.offset_um

    def diameter_at(self, time_s: float) -> float:
        """Return the diameter (nm) at a time, 0 while it is not there."""
        grown = min((time_s - self.born_s) / self.growth_s, (self.gone_s - time_s) / self.growth_s, 1.0)
        return self.diameter_nm * float(np.sqrt(max(grown, 0.0)))


@dataclass(frozen=True)
class Scattering:
    """How much light a nucleus sends into the objective.

    Its light is that of a white disk with ``efficiency * x**4 / (1 + x**4)`` times its cross-section,
    ``x = diameter / knee``: the sixth power of the diameter where it is small (Rayleigh), the second where it
    is large (geometric), and rising everywhere.

    With the defaults, the default camera shows 120 nm on an electrode with a peak of twice the noise in the
    difference of two frames, and 350 nm on ground of average brightness at seven tenths of saturation.

    Parameters
    ----------
    efficiency : float
        Light of a large nucleus against that of a white disk of its diameter.
    knee_nm : float
        Diameter at which the one law passes into the other.
    """

    efficiency: float = 1.5
    knee_nm: float = 135.0

    def __post_init__(self) -> None:
        if not (0 < self.efficiency < np.inf and 0 < self.knee_nm < np.inf):
            raise InputError(
                f"scattering: efficiency {self.efficiency} and knee_nm {self.knee_nm} must be above 0"
            )

    def light_um2(self, diameter_nm: ArrayLike) -> Values:
        """Return the light, in that of 1 µm² of white surface, of nuclei of a diameter (nm, 0 and up)."""
        diameter = np.asarray(diameter_nm, dtype=np.float64)
        if not (np.isfinite(diameter).all() and (diameter >= 0).all()):
            raise InputError("scattering: diameter_nm must be finite and 0 or above")
        x4 = (diameter / self.knee_nm) ** 4
        return np.asarray(self.efficiency * 0.25 * np.pi * (1e-3 * diameter) ** 2 * x4 / (1 + x4))


@dataclass(frozen=True, eq=False)
class PointLights:
    """Gaussian spots of light: arrays (N,) of place, height (µm), light (white µm²) and deviation (µm)."""

    y_um: Values
    x_um: Values
    z_um: Values
    light_um2: Values
    sigma_um: Values


def lights(
    nuclei: Sequence[Nucleus], height_um: NDArray[np.float32], pixel_um: float, scattering: Scattering
) -> PointLights:
    """Return the light of nuclei on a surface (H, W), each a uniform disk of its diameter.

    A disk is drawn as 3/2 of a Gaussian less 1/2 of a point, which has the disk's second and fourth moments:
    while it is smaller than the resolution, all that an image can show of it.
    """
    diameter = np.array([nucleus.diameter_nm for nucleus in nuclei])
    offset = np.array([nucleus.centre_um for nucleus in nuclei])
    y, x = places(nuclei)
    height = sample(height_um, y / pixel_um, x / pixel_um)
    light, sigma = scattering.light_um2(diameter), 1e-3 * diameter / np.sqrt(24)
    return PointLights(
        y_um=np.tile(y, 2),
        x_um=np.tile(x, 2),
        z_um=np.tile(height + offset, 2),
        light_um2=np.concatenate([1.5 * light, -0.5 * light]),
        sigma_um=np.concatenate([sigma, 0 * sigma]),
    )


def places(nuclei: Sequence[Nucleus]) -> tuple[Values, Values]:
    """Return y_um and x_um of nuclei, (N,) each."""
    y, x = np.array([(nucleus.y_um, nucleus.x_um) for nucleus in nuclei], dtype=np.float64).reshape(-1, 2).T
    return y, x


def sample(values: NDArray[np.float32], y_px: Values, x_px: Values) -> Values:
    """Return a map (H, W) at places (N,) between its pixels; outside, what is nearest."""
    found = ndimage.map_coordinates(values, [y_px, x_px], output=np.float64, order=1, mode="nearest")
    return np.asarray(found)


def grown(nuclei: Sequence[Nucleus], times_s: float | Values) -> tuple[Nucleus, ...]:
    """Return the nuclei that are there, with the diameter each has at a time, or at its own of (N,) times."""
    when = np.broadcast_to(np.asarray(times_s, dtype=np.float64), len(nuclei)).tolist()
    pairs = ((nucleus, nucleus.diameter_at(t)) for nucleus, t in zip(nuclei, when, strict=True))
    return tuple(replace(nucleus, diameter_nm=d) for nucleus, d in pairs if d > 0)


def scattered(
    shape: tuple[int, int],
    pixel_um: float,
    count: int,
    seed: int,
    *,
    diameter_nm: tuple[float, float],
    clustered: float,
    cluster_size: int,
    cluster_um: float,
) -> list[Nucleus]:
    """Return nuclei for `Scene.with_nuclei`."""
    low, high = diameter_nm
    if count < 0 or not 0 < low <= high < np.inf:
        raise InputError(
            f"nuclei: count {count} must be 0 or above and diameter_nm {diameter_nm} rise from above 0"
        )
    if not 0 <= clustered <= 1 or cluster_size < 1 or not 0 <= cluster_um < np.inf:
        raise InputError(
            f"nuclei: clustered {clustered} must be between 0 and 1, cluster_size {cluster_size} be 1 or "
            f"above and cluster_um {cluster_um} 0 or above"
        )
    rng = np.random.default_rng([seed, 7])
    first, last = -0.5 * pixel_um, (np.array(shape) - 0.5) * pixel_um
    at = rng.uniform(first, last, (count, 2))
    grouped = round(clustered * count)
    # Each group's first stays where it is; the others join it.
    leader = np.arange(grouped) // cluster_size * cluster_size
    at[:grouped] = at[leader] + np.where(
        (np.arange(grouped) == leader)[:, None], 0.0, rng.normal(0, cluster_um, (grouped, 2))
    )
    at = np.clip(at, first, last)
    sizes = np.exp(rng.uniform(np.log(low), np.log(high), count))
    return [Nucleus(y, x, size) for (y, x), size in zip(at.tolist(), sizes.tolist(), strict=True)]
