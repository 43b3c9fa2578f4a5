"""The scale that curvature is best measured at, from the surface and its noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lee.kernels.curvature import Family, curvature_window, height_derivatives
from lee.surfaces.block_mean import block_mean
from lee.surfaces.noise_correlation import Noise, bounded_sigma, correlated_noise

_STEP = 2**0.25
_MIN_PX = 0.9  # the smallest scale of a quartic fit
_REACH = {"savgol": 3.5, "gaussian": 4.0}  # of a window to each side, in scales
_WIDEST = {"savgol": 0.5, "gaussian": 0.35}  # window's half width, in fields
_SIDE_PX = 512  # larger maps are averaged first
_MAX_PIXELS = 70_000  # pixels evaluated
_MARGIN = 2.5  # standard errors by which a change must stand out of the noise
_FINER_SCALES = 6  # compared with, a factor of nearly 3
_LOW_NOISE = 0.2  # with a smaller share of noise in the mean square, still finer scales count too
_MARGIN_MODEL = 1.0  # the same for correlated noise, whose variance is known only within these shares:
_MODEL = {"stated": 0.1, "estimated": 0.4}
_GENTLE = 0.03  # noise of the slope below which it serves as the pilot

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Chosen:
    """A scale, what it was chosen by, and the noise it was chosen for."""

    scale_um: float
    scales_um: tuple[float, ...]
    error_per_um: tuple[float, ...]
    bias_per_um: tuple[float, ...]
    noise: Noise

    def described(self) -> dict[str, object]:
        """Return the choice as JSON can hold it."""
        return {
            "scales_um": list(self.scales_um),
            "estimated_rms_error_per_um": list(self.error_per_um),
            "estimated_bias_per_um": list(self.bias_per_um),
            "height_sigma_um": self.noise.rms_um,
            "noise_correlation_px": self.noise.correlation_px,
        }


@dataclass(frozen=True)
class _Allowed:
    """What a change between scales must exceed to count as bias."""

    correlation_px: float
    standard_errors: float
    share: float  # of the expected noise, that it may be wrong by


def automatic_scale(
    height: Map,
    sigma: Map | None,
    noise: Noise,
    *,
    pixel_um: float,
    family: Family,
    threads: int = 0,
) -> Chosen:
    """Choose the scale whose estimated mean squared error of the mean curvature is least.

    The error at a scale is the noise there plus the bias. The noise is that of simulated errors sent through
    the same fits. The bias is estimated by how much the curvature differs from that at any finer scale,
    beyond what the noise of that difference explains.

    Parameters
    ----------
    height : (H, W) float32, µm
    sigma : (H, W) float32, µm, or None
        Standard deviation of the heights; by default the same everywhere.
    noise : Noise
        Size and correlation of their errors.
    pixel_um : float
    family : {"savgol", "gaussian"}
    threads : int
    """
    spread = np.float32(noise.rms_um or 0) if sigma is None else bounded_sigma(sigma)
    white = np.random.default_rng(0).standard_normal(height.shape, np.float32)
    drawn = correlated_noise(white * spread, noise.correlation_px)
    errors = np.where(np.isfinite(height), drawn, np.float32(np.nan))
    margin, share = _MARGIN, 0.0
    if noise.correlation_px > 0:
        margin, share = _MARGIN_MODEL, _MODEL["estimated" if sigma is None else "stated"]
    block = 1
    while max(height.shape) > _SIDE_PX * block * 1.5:
        block *= 2
    while True:
        # Averages suffice for scales of several blocks; single pixels are needed only if finer scales win.
        few = (_averaged(height, block), _averaged(errors, block))
        allowed = _Allowed(noise.correlation_px / block, margin, share)
        scales, error, bias = _tried(*few, allowed, pixel_um=pixel_um * block, family=family, threads=threads)
        best = int(np.argmin(error))
        if block == 1 or best > 2:
            return Chosen(scales[best], tuple(scales), tuple(error), tuple(bias), noise)
        block //= 2


def _averaged(values: Map, block: int) -> Map:
    return values if block == 1 else block_mean(values, block)[0]


def _tried(
    height: Map, errors: Map, allowed: _Allowed, *, pixel_um: float, family: Family, threads: int
) -> tuple[list[float], list[float], list[float]]:
    """Scales, and for each the estimated rms error and its part that is bias."""
    stride = max(1, int(np.sqrt(height.size / _MAX_PIXELS)))
    measured = int(np.isfinite(height).sum())
    scales: list[float] = []
    of_height: list[Map] = []
    of_errors: list[Map] = []
    error: list[float] = []
    bias: list[float] = []
    pilot: tuple[Map, ...] | None = None
    waiting: list[tuple[tuple[Map, ...], tuple[Map, ...]]] = []
    ladder = _ladder(min(height.shape), pixel_um, family)
    for scale in ladder:
        seen, noise = (
            tuple(
                derivative[::stride, ::stride]
                for derivative in height_derivatives(
                    values, family=family, scale_um=scale, pixel_um=pixel_um, threads=threads
                )
            )
            for values in (height, errors)
        )
        scales.append(scale)
        waiting.append((seen, noise))
        if pilot is None and (_mean_square(noise[0]) < _GENTLE**2 or scale == ladder[-1]):
            pilot = seen[:2]
        if pilot is None:
            continue
        for some_seen, some_noise in waiting:
            of_height.append(_linear(pilot, some_seen))
            of_errors.append(_linear(pilot, some_noise))
            reach_px = [
                _REACH[family] * float(np.hypot(s / pixel_um, allowed.correlation_px)) for s in scales
            ]
            bias.append(_bias(of_height, of_errors, reach_px, measured, allowed))
            error.append(float(np.hypot(bias[-1], np.sqrt(_mean_square(of_errors[-1])))))
        waiting.clear()
        # From here the bias only grows.
        if bias[-1] > 2 * min(error):
            break
    return scales, error, bias


def _ladder(side_px: int, pixel_um: float, family: str) -> list[float]:
    """Scales, µm, from the finest there is to windows of a large part of the field."""
    widest = max(_WIDEST[family] * side_px / _REACH[family], _MIN_PX * _STEP)
    count = 1 + int(np.log(widest / _MIN_PX) / np.log(_STEP))
    asked = [_MIN_PX * _STEP**k * pixel_um for k in range(count)]
    found = (curvature_window(family=family, scale_um=scale, pixel_um=pixel_um)[1] for scale in asked)
    return sorted(set(found))


def _bias(
    of_height: list[Map], of_errors: list[Map], reach_px: list[float], measured: int, allowed: _Allowed
) -> float:
    """Return how far the last scale is from the finer ones, beyond the noise of the difference."""
    largest = 0.0
    for finer in range(len(of_height) - 1):
        # Much finer scales matter where they show what a wide window flattens altogether, such as steps.
        # Noise that was underestimated must not look like that.
        far = finer < len(of_height) - 1 - _FINER_SCALES
        if far and _mean_square(of_errors[finer]) > _LOW_NOISE * _mean_square(of_height[finer]):
            continue
        noise = of_errors[-1] - of_errors[finer]
        expected = _mean_square(noise)
        # The mean square is known as well as the number of independent windows of the finer scale allows,
        # unless a few places, such as the corners, are far noisier than the rest.
        across = 2 * reach_px[finer] + 1
        windows = max(4.0, 4 * measured / across**2)
        uncertain = max(expected * np.sqrt(2 / windows), _standard_error(noise))
        uncertain = float(np.hypot(uncertain, allowed.share * expected))
        change = _mean_square(of_height[-1] - of_height[finer])
        largest = max(largest, change - expected - allowed.standard_errors * uncertain)
    return float(np.sqrt(largest))


def _standard_error(noise: Map) -> float:
    """Return that of the difference of two mean squares like this one, from its parts of the field."""
    parts = [_mean_square(part) for rows in np.array_split(noise, 8) for part in np.array_split(rows, 8, 1)]
    return float(np.sqrt(2 / len(parts)) * np.std(parts))


def _linear(slopes: tuple[Map, ...], derivatives: tuple[Map, ...]) -> Map:
    """Mean curvature from second derivatives at slopes held fixed, so that noise adds up."""
    (x, y), (xx, xy, yy) = slopes, derivatives[2:]
    numerator = (1 + y**2) * xx - 2 * x * y * xy + (1 + x**2) * yy
    out: Map = numerator / (2 * (1 + x**2 + y**2) ** np.float32(1.5))
    return out


def _mean_square(values: Map) -> float:
    finite = values[np.isfinite(values)]
    return float(np.mean(finite.astype(np.float64) ** 2)) if finite.size else 0.0
