"""How fast heights change where a surface grows along its normal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def height_rate(
    height: NDArray[np.float64], normal_rate: NDArray[np.float64], dy: float, dx: float
) -> NDArray[np.float64]:
    """Give dh/dt = v √(1 + |∇h|²), slopes taken from where the surface comes from.

    A growing surface comes from the higher neighbour, one that is stripped from the lower (Godunov's scheme);
    one-sided slopes are of second order where the surface is smooth (Osher and Shu, 1991). Valleys close to a
    kink, peaks are rounded.

    Parameters
    ----------
    height : (H, W) float64
        Nodes; the outer ones lie on mirrors. NaN where there is no surface.
    normal_rate : (H, W) float64
        v, length unit of `height` per time; negative where it is stripped.
    dy, dx : float
        Distances of the nodes.

    Returns
    -------
    (H, W) float64
        NaN where there is no surface, or no rate.
    """
    squares = np.zeros_like(height)
    for axis, step in ((0, dy), (1, dx)):
        if height.shape[axis] > 1:
            squares += _upwind(height, normal_rate > 0, axis, step) ** 2
    return normal_rate * np.sqrt(1 + squares) + 0 * height


def _upwind(
    height: NDArray[np.float64], grows: NDArray[np.bool_], axis: int, step: float
) -> NDArray[np.float64]:
    """Return the slope up (down, where the surface is stripped) to the neighbour it comes from, or 0."""
    lines = np.moveaxis(height, axis, -1)
    first = np.diff(_mirrored(lines), axis=-1) / step
    # Without a neighbour the surface continues level.
    first = np.where(np.isnan(first), 0.0, first)
    second = np.diff(first, axis=-1) / step
    bend = np.concatenate([second[..., 1:2], second, second[..., -2:-1]], axis=-1)
    gentler = _minmod(bend[..., 1:], bend[..., :-1])
    ahead = first[..., 1:] - 0.5 * step * gentler[..., 1:]
    behind = first[..., :-1] + 0.5 * step * gentler[..., :-1]
    up = np.maximum(np.maximum(ahead, -behind), 0.0)
    down = np.maximum(np.maximum(-ahead, behind), 0.0)
    return np.where(grows, np.moveaxis(up, -1, axis), np.moveaxis(down, -1, axis))


def _mirrored(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([lines[..., 1:2], lines, lines[..., -2:-1]], axis=-1)


def _minmod(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(a * b > 0, np.where(np.abs(a) < np.abs(b), a, b), 0.0)
