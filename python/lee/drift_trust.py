"""Drift, as far as it can be told from relief.

Drift moves the whole field alike; what steep relief feigns, as its sharp contours wander with z, differs from place to
place. So the quarters of the field are followed for themselves, and the drift they share is held against their spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.drift import DriftTracker

# Drift that the quarters agree on within half of its size is taken back by half; the share rises as the square.
_HALF_TRUST = 2.0
_LEAST_QUARTER_PX = 64


class TrustedDrift:
    """Follow a scan's drift and return the share of it that all quarters of the field show.

    Used like `lee.drift.DriftTracker`; frames too small to be quartered are trusted as they are.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        height, width = shape[0] // 2, shape[1] // 2
        self._whole = DriftTracker(shape)
        self._quarters: list[tuple[tuple[slice, slice], DriftTracker]] = []
        self._seen: list[list[tuple[float, float]]] = []
        if min(height, width) >= _LEAST_QUARTER_PX:
            for y in (0, height):
                for x in (0, width):
                    box = (slice(y, y + height), slice(x, x + width))
                    self._quarters.append((box, DriftTracker((height, width))))

    def update(self, frame: NDArray[Any], z_um: float) -> tuple[float, float]:
        """Take one frame; return its drift (dy, dx) in pixels relative to the first, as known so far."""
        dy, dx = self._whole.update(frame, z_um)
        if not self._quarters:
            return dy, dx
        self._seen.append(
            [one.update(np.ascontiguousarray(frame[box]), z_um) for box, one in self._quarters]
        )
        share = _agreement(np.asarray(self._seen).transpose(1, 0, 2))
        return share * dy, share * dx

    def path(self) -> NDArray[np.float64]:
        """Return the trusted drift of all frames taken so far, (N, 2) pixels, smooth, 0 at the first."""
        return self._whole.path() * self.trust()

    def trust(self) -> float:
        """Return the share of the drift, 0 to 1, that the quarters of the field agree on."""
        if not self._quarters:
            return 1.0
        return _agreement(np.stack([one.path() for _, one in self._quarters]))


def _agreement(paths: NDArray[np.float64]) -> float:
    """Share of the mean path (4, N, 2) that its spread over the quarters leaves standing."""
    centred = paths - paths.mean(axis=1, keepdims=True)
    mean = centred.mean(axis=0)
    signal = float((mean**2).sum(axis=1).mean())
    spread = float(((centred - mean) ** 2).sum(axis=2).mean()) / (len(paths) - 1)
    return signal / (signal + _HALF_TRUST**2 * spread) if signal > 0 else 0.0
