"""Nucleation on a growing surface: a Poisson process in time and place that prefers trenches."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lee.devices.virtual.scene.growing import GrowingScene
from lee.devices.virtual.scene.nuclei import Nucleus
from lee.errors import InputError

_STILL_S = 5.0  # how long the surface counts as unchanged
Values = NDArray[np.float64]


def nucleate(
    growing: GrowingScene,
    *,
    rate_per_um2_s: float = 1e-3,
    fading_s: float = 60.0,
    preference: float = 0.5,
    curvature_scale_per_um: float | None = None,
    diameter_nm: float = 200.0,
    spread: float = 0.35,
    diameter_fading_s: float = 300.0,
    growth_s: float = 3.0,
    dissolving: bool = False,
    seed: int = 0,
) -> GrowingScene:
    """Return a growing scene on which nuclei appear while it is plated.

    At a time t after plating began, nuclei appear on each µm² of true area at `nucleation_rate`. Their
    diameters are log-normal. Every phase of plating begins anew.

    Parameters
    ----------
    growing : GrowingScene
        Nuclei it has already stay.
    rate_per_um2_s : float
        Nuclei for each µm² of true area and second where the surface is not curved, when plating begins.
    fading_s : float
        Time in which the rate falls to 1/e.
    preference : float
        How much trenches are preferred to protrusions; 0 for nuclei everywhere alike.
    curvature_scale_per_um : float, optional
        Curvature that raises the rate by exp(preference); by default the standard deviation of the curvature
        at time 0.
    diameter_nm, spread : float
        Median when plating begins, and standard deviation of the logarithm.
    diameter_fading_s : float
        Time in which the median falls to 1/e.
    growth_s : float
        How long a nucleus grows.
    dissolving : bool
        Let each nucleus go at a random time of the first phase of stripping after its birth.
    seed : int
        Equal seeds give equal nuclei.

    Raises
    ------
    InputError
        If an argument cannot be used.
    """
    above = {
        "fading_s": fading_s,
        "diameter_nm": diameter_nm,
        "diameter_fading_s": diameter_fading_s,
        "growth_s": growth_s,
    }
    for name, value in above.items():
        if not 0 < value < np.inf:
            raise InputError(f"nucleate: {name} {value} must be above 0")
    for name, value in {"rate_per_um2_s": rate_per_um2_s, "spread": spread}.items():
        if not 0 <= value < np.inf:
            raise InputError(f"nucleate: {name} {value} must be 0 or above")
    rng = np.random.default_rng([seed, 9])
    born: list[Nucleus] = []
    for begin, end in _phases(growing, "plating"):
        edges = np.linspace(begin, end, int(np.ceil((end - begin) / _STILL_S)) + 1)
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            rate = nucleation_rate(
                growing,
                0.5 * (first + last),
                rate_per_um2_s=rate_per_um2_s,
                preference=preference,
                curvature_scale_per_um=curvature_scale_per_um,
            )
            left, passed = np.exp(-(first - begin) / fading_s), -np.expm1(-(last - first) / fading_s)
            until = np.cumsum(rate.ravel()) * growing.pixel_um**2 * fading_s * left * passed
            count = int(rng.poisson(until[-1]))
            pixels = np.searchsorted(until, rng.uniform(0, until[-1], count), side="right")
            at = np.stack(np.unravel_index(pixels, growing.shape), axis=1) + rng.uniform(
                -0.5, 0.5, (count, 2)
            )
            since = first - begin - fading_s * np.log1p(-passed * rng.random(count))
            size = diameter_nm * np.exp(spread * rng.standard_normal(count) - since / diameter_fading_s)
            rows = zip(
                *(growing.pixel_um * at).T.tolist(), size.tolist(), (begin + since).tolist(), strict=True
            )
            born += [Nucleus(y, x, d, born_s=t, growth_s=growth_s) for y, x, d, t in rows]
    if dissolving:
        born = [_dissolved(nucleus, growing, rng) for nucleus in born]
    return replace(growing, scene=replace(growing.scene, nuclei=(*growing.nuclei, *born)))


def nucleation_rate(
    growing: GrowingScene,
    time_s: float,
    *,
    rate_per_um2_s: float = 1e-3,
    preference: float = 0.5,
    curvature_scale_per_um: float | None = None,
) -> Values:
    """Return nuclei for each µm² of the image and second, (H, W), their fading with time left out.

    It is `rate_per_um2_s` times ``exp(preference * curvature / scale)`` times the true area of 1 µm² of the
    image. Parameters as in `nucleate`.
    """
    scale = curvature_scale_per_um
    if scale is None:
        scale = float(growing.curvature_per_um(0.0).std()) or 1.0
    if not (0 < scale < np.inf and np.isfinite(preference)):
        raise InputError(
            f"nucleate: preference {preference} must be finite and curvature_scale_per_um {scale} above 0"
        )
    slopes = np.gradient(growing.height_um(time_s).astype(np.float64), growing.pixel_um)
    area = np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)
    curvature = growing.curvature_per_um(time_s).astype(np.float64)
    return np.asarray(rate_per_um2_s * np.exp(preference * curvature / scale) * area)


def _phases(growing: GrowingScene, kind: str) -> list[tuple[float, float]]:
    """Begin and end (s) of all phases of a kind."""
    ends = np.cumsum([phase.duration_s for phase in growing.law.phases]).tolist()
    return [
        (end - phase.duration_s, end)
        for phase, end in zip(growing.law.phases, ends, strict=True)
        if phase.kind == kind
    ]


def _dissolved(nucleus: Nucleus, growing: GrowingScene, rng: np.random.Generator) -> Nucleus:
    share = float(rng.random())
    for begin, end in _phases(growing, "stripping"):
        if begin >= nucleus.born_s:
            first = min(begin + nucleus.growth_s, end)
            return replace(nucleus, gone_s=first + share * (end - first))
    return nucleus
