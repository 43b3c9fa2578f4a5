"""Lateral drift that steep relief does not distort, and vibration beside it.

Drift moves the whole field alike. The apparent motion of steep relief, whose sharp contours move with z,
differs from place to place. So drift is estimated in each quarter of the field, too, and only the share of it
that they agree on is used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lee.reconstruction.motion.breathing import EnlargementLink, shows_breathing
from lee.reconstruction.motion.drift import DriftTracker, UpdateDisplacements
from lee.reconstruction.motion.drift_path import DriftPath, ShakenPath
from lee.reconstruction.motion.registration import TileGrid
from lee.reconstruction.motion.vibration import vibration_px

# Where the quarters agree on the drift within half of its size, half of it is used; the share rises as the
# square.
_HALF_AGREEMENT = 2.0
_MIN_QUARTER_PX = 64


class RobustDriftTracker(DriftTracker):
    """Estimate a scan's drift: the share of it that all quarters of the field agree on.

    Used like `DriftTracker`; on frames too small to be quartered all of the drift is used.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__(shape)
        self._frame_shape = shape
        self._binning = TileGrid(shape).binning
        self._enough = min(shape) // 2 >= _MIN_QUARTER_PX
        self._quarters = [DriftPath() for _ in range(4)]
        self._enlarged: list[EnlargementLink] = []

    def _extend(self, lags: list[int], found: list[UpdateDisplacements]) -> tuple[float, float]:
        dy, dx = super()._extend(lags, found)
        self._enlarged += [
            EnlargementLink(self.count - 1 - lag, self.count - 1, whole.enlargement)
            for lag, (whole, _) in zip(lags, found, strict=True)
            if whole is not None
        ]
        for index, quarter in enumerate(self._quarters):
            quarter.extend(lags, [quarters[index] for _, quarters in found])
        if not self._enough:
            return dy, dx
        share = _agreement(np.array([quarter.points for quarter in self._quarters]))
        return share * dy, share * dx

    def path(self) -> NDArray[np.float64]:
        """Return the drift of all frames taken so far, (N, 2) pixels, smooth, 0 at the first."""
        return super().path() * self.agreement()

    def agreement(self) -> float:
        """Return the share of the drift, 0 to 1, that the quarters of the field agree on."""
        if not self._enough:
            return 1.0
        return _agreement(np.stack([quarter.smooth() for quarter in self._quarters]))

    def vibration_px(self) -> float:
        """Return the vibration that the quarters share, rms of each axis, pixels; 0 if not significant."""
        return vibration_px([quarter.steps() for quarter in self._quarters], binning=self._binning)

    def shows_breathing(self) -> bool:
        """Whether the frames may differ in magnification, which then has to be looked at more closely."""
        return shows_breathing(self.count, self._enlarged, self._frame_shape)

    def shaken(self, vibration_px: float) -> tuple[ShakenPath, float]:
        """Return drift with vibration beside it, and the share of the drift that the quarters agree on."""
        whole = self._whole.shaken(vibration_px)
        if not self._enough:
            return whole, 1.0
        smooth = np.stack([quarter.shaken(vibration_px).smooth_px for quarter in self._quarters])
        share = _agreement(smooth)
        return whole._replace(smooth_px=share * whole.smooth_px), share


def _agreement(paths: NDArray[np.float64]) -> float:
    """Return the share of the mean path (4, N, 2) that exceeds its spread over the quarters."""
    centred = paths - paths.mean(axis=1, keepdims=True)
    mean = centred.mean(axis=0)
    signal = float((mean**2).sum(axis=1).mean())
    spread = float(((centred - mean) ** 2).sum(axis=2).mean()) / (len(paths) - 1)
    return signal / (signal + _HALF_AGREEMENT**2 * spread) if signal > 0 else 0.0
