"""How particles are detected: what the user may choose, the same for every pair of scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lee.particles.calibration.size_calibration import Calibration


@dataclass(frozen=True)
class DetectionOptions:
    """Options of a detection.

    Parameters
    ----------
    calibration : Calibration, optional
        Intensity to diameter (`lee.particles.calibration`); without it diameters are NaN.
    false_alarms : float
        False particles expected in a pair of scans without any.
    spot_sigma_px : float, px, optional
        Standard deviation of a point's spot; by default measured on the bright spots.
    disappearing : bool
        Find particles that disappear (stripping) instead of those that appear.
    threads : int
        0 = all available cores.
    """

    calibration: Calibration | None = None
    false_alarms: float = 1.0
    spot_sigma_px: float | None = None
    disappearing: bool = False
    threads: int = 0
