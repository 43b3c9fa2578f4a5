"""Focus breathing: the magnification of optics that are not telecentric, which changes from frame to frame.

Frames near each other are compared, and a path of the magnification is fitted to all comparisons. Steep
relief looks like a change of magnification, since its sharp contours move outwards or inwards with z; but
then fine structure seems to move more than coarse structure. So both are measured, and the magnification is
followed only where they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.motion.registration import Enlargement, TileGrid

if TYPE_CHECKING:
    from lee.stacks.stack import ZStack

# Frames compared, and with which after them.
_MAX_FRAMES = 64
_LAGS = (1, 2)

# Expected enlargement from one compared frame to the next, and its change.
_STEP = 0.02
_STEP_CHANGE = 0.005

# Less motion of the corners than this, over the scan, is not worth resampling for.
_MIN_CORNER_PX = 1.0
_MIN_SIGMAS = 6.0
# Coarse and fine structure may differ by this share of the enlargement.
_MAX_DISAGREEMENT = 0.35


class EnlargementLink(NamedTuple):
    """Comparison of two frames, by their numbers."""

    first: int
    second: int
    found: Enlargement


def shows_breathing(count: int, links: Sequence[EnlargementLink], shape: tuple[int, int]) -> bool:
    """Whether frames seem enlarged so much that a closer look is worth its time; relief may cause it, too."""
    path, sigma = _fitted(count, links)
    return _is_significant(path, sigma, shape)


def magnification_of_frames(stack: ZStack) -> NDArray[np.float64] | None:
    """Measure the magnification of every frame of a stack.

    Returns
    -------
    (Z,) float64, or None
        Relative to the first frame; None where no change is significant.
    """
    count, shape = len(stack), (stack.shape[1], stack.shape[2])
    nodes = np.unique(np.linspace(0, count - 1, min(count, _MAX_FRAMES)).round().astype(int))
    grid = TileGrid(shape)
    spectra = [grid.spectra(stack[int(k)]) for k in nodes]
    links: tuple[list[EnlargementLink], list[EnlargementLink]] = ([], [])
    for lag in _LAGS:
        for first in range(len(nodes) - lag):
            found = grid.enlargements(spectra[first], spectra[first + lag])
            for kept, one in zip(links, found, strict=True):
                if one is not None:
                    kept.append(EnlargementLink(first, first + lag, one))
    (coarse, sigma), (fine, _) = (_fitted(len(nodes), kept) for kept in links)
    if not _is_significant(coarse, sigma, shape):
        return None
    # Only where a step is certain do the two say anything.
    certain = np.diff(sigma) < np.median(np.diff(sigma)) + 1e-12
    steps, apart = np.diff(coarse), np.diff(coarse - fine)
    if np.square(apart[certain]).sum() > _MAX_DISAGREEMENT**2 * np.square(steps[certain]).sum():
        return None
    return np.asarray(np.exp(np.interp(np.arange(count), nodes, coarse)))


def _is_significant(path: NDArray[np.float64], sigma: NDArray[np.float64], shape: tuple[int, int]) -> bool:
    first, last = int(path.argmin()), int(path.argmax())
    reach = float(path[last] - path[first])
    enough = reach * 0.5 * float(np.hypot(*shape)) > _MIN_CORNER_PX
    return enough and reach > _MIN_SIGMAS * float(np.hypot(sigma[first], sigma[last]))


def _fitted(count: int, links: Sequence[EnlargementLink]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a smooth path (N,) of the logarithm of the magnification, 0 at the first; and standard errors."""
    links = [link for link in links if link.found.variance < _STEP**2]
    if count < 2 or not links:
        return np.zeros(count), np.full(count, np.inf)
    differ = np.zeros((len(links), count))
    rows = np.arange(len(links))
    differ[rows, [link.first for link in links]] = -1
    differ[rows, [link.second for link in links]] = 1
    values = np.log1p([link.found.value for link in links])
    information = 1 / np.array([link.found.variance for link in links])
    still = np.diff(np.eye(count), axis=0) / _STEP
    smooth = np.diff(np.eye(count), 2, axis=0) / _STEP_CHANGE
    prior = still.T @ still + smooth.T @ smooth
    prior[0, 0] += 1e12
    weight = np.ones(len(links))
    for _ in range(8):
        kept = weight * information
        normal = differ.T @ (kept[:, None] * differ) + prior
        path = np.linalg.solve(normal, differ.T @ (kept * values))
        distance = information * (differ @ path - values) ** 2
        scale = max(float(np.median(distance)) / 0.455, 1.0)
        weight = 1 / (scale * (1 + distance / (3 * scale)))
    return np.asarray(path), np.asarray(np.sqrt(np.diag(np.linalg.inv(normal))))
