"""Heights and pixel size as a file states them, with what speaks against them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Standing still, the stage reports positions that scatter by less than this share of a step.
_JITTER = 0.5
_UNIT_ERRORS = (1e-6, 1e-3, 1e3, 1e6)


@dataclass
class StatedCalibration:
    """As the attributes of these names of `lee.stacks.reader.FrameSource`."""

    z_um: NDArray[np.float64] | None = None
    z_um_source: str = ""
    z_um_doubt: str = ""
    downward: str = ""
    pixel_yx_um: tuple[float, float] | None = None
    pixel_um_source: str = ""
    pixel_um_doubt: str = ""

    def apply_to(self, source: object) -> None:
        """Set the attributes of a source."""
        for name, value in vars(self).items():
            setattr(source, name, value)

    def take_heights(self, other: StatedCalibration) -> None:
        """Take the heights of another statement, and what is said about them."""
        self.z_um, self.z_um_source = other.z_um, other.z_um_source
        self.z_um_doubt, self.downward = other.z_um_doubt, other.downward


@dataclass(frozen=True)
class PageCalibration:
    """What a file with a single page states.

    Attributes
    ----------
    pixel : StatedCalibration
        Its pixel size.
    position_um, step_um : float, µm, or None
        Height of the page, and the step of the scan it is from.
    position, step : str
        What the file calls them.
    unit_stated : bool
        Whether the unit of the height is stated.
    """

    pixel: StatedCalibration
    position_um: float | None = None
    position: str = ""
    step_um: float | None = None
    step: str = ""
    unit_stated: bool = True


def heights_of(
    count: int,
    *,
    positions_um: NDArray[np.float64] | None,
    positions: str,
    step_um: float | None,
    step: str,
    unit_stated: bool = True,
) -> StatedCalibration:
    """Choose between the position of every frame and a step, and compare them.

    Positions win unless they stand still. Where the two differ by more than a factor of two, or by a unit
    such as 1000, that is said; a step wins over positions in what looks like another unit, or without one.

    Parameters
    ----------
    positions_um : (Z,) float64, µm, or None
    positions, step : str
        What the file calls them.
    step_um : float, µm, or None
        As stated, sign included.
    unit_stated : bool
        Whether the file states the unit of the positions; if not, µm were assumed.
    """
    size = None if step_um is None or not math.isfinite(step_um) or step_um == 0 else abs(step_um)
    by_step = None if size is None else np.arange(count, dtype=np.float64) * size
    if positions_um is None or count < 2 or not _moves(positions_um, size):
        if size is None:
            doubt = "" if step_um is None else f"{step} is {step_um:g} µm"
            return StatedCalibration(z_um_doubt=doubt)
        downward = f"{step} is {step_um:g} µm" if step_um is not None and step_um < 0 else ""
        return StatedCalibration(by_step, step, downward=downward)
    source = positions if unit_stated else f"{positions}, unit not stated, taken as µm"
    if size is None:
        return StatedCalibration(positions_um, source)
    found = float(np.median(np.abs(np.diff(positions_um))))
    ratio = found / size
    if 0.5 < ratio < 2:
        return StatedCalibration(positions_um, source)
    by_unit = any(0.5 < ratio / error < 2 for error in _UNIT_ERRORS)
    keep_step = by_unit or not unit_stated
    doubt = (
        f"{positions} states steps of {found:g} µm, {step} of {size:g} µm; "
        f"{step if keep_step else positions} is taken; if that is wrong give the step: z_step_um "
        "(--z-step-um)"
    )
    if keep_step:
        return StatedCalibration(by_step, step, doubt)
    return StatedCalibration(positions_um, source, doubt)


def _moves(positions_um: NDArray[np.float64], step_um: float | None) -> bool:
    """Whether positions follow a scan, rather than scatter about one place."""
    span = float(np.ptp(positions_um))
    if not span > 0:
        return bool(math.isnan(span))
    if step_um is None:
        return True
    steps = np.diff(positions_um)
    one_way = abs(int(np.sign(steps).sum())) >= 0.8 * steps.size
    # In another unit a scan may be shorter than a step, but it goes one way.
    return one_way or span > _JITTER * step_um
