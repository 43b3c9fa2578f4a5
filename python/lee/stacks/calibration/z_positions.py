"""The z position of every frame: given, from a CSV file, by a step, or stated by the stack."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError
from lee.recording.heights import checked_z
from lee.stacks.calibration.immersion import Immersion
from lee.stacks.calibration.z_csv import read_z_csv
from lee.stacks.reader import ChosenFrames, FrameSource

ZPositions = ArrayLike | str | os.PathLike[str]

# Frames at an end of a scan that may stand where the next one does, as the stage starts or stops.
_AT_AN_END = 2
_GIVE = "give them: z_step_um (--z-step-um), or z_um (--z-csv), a CSV file with the header frame,z_um"


@dataclass(frozen=True)
class GivenHeights:
    """Heights as the user gave them; None where not.

    Attributes
    ----------
    z_um : (Z,) µm, or path of a CSV file
    step_um : float, µm
        Frame k is at k times this step.
    range_um : float or (float, float), µm
        Height of the last frame, or of the first and the last; frames are evenly spaced.
    descending : bool
        The first frame is the highest; the last one of a step lies at 0 then.
    immersion : Immersion, optional
        Medium by which all heights are scaled.
    """

    z_um: ZPositions | None = None
    step_um: float | None = None
    range_um: float | tuple[float, float] | None = None
    descending: bool = False
    immersion: Immersion | None = None

    def __post_init__(self) -> None:
        named = {"z_um": self.z_um, "z_step_um": self.step_um, "z_range_um": self.range_um}
        both = [name for name, value in named.items() if value is not None][:2]
        if len(both) == 2:
            raise InputError(f"{both[0]} and {both[1]} are both given; give one of them")
        if self.descending and self.z_um is not None:
            raise InputError("z_um and descending are both given; the heights themselves tell the direction")

    @property
    def any(self) -> bool:
        """Whether the heights are given."""
        return not (self.z_um is None and self.step_um is None and self.range_um is None)


def with_heights(
    source: FrameSource, given: GivenHeights, where: str, *, stacklevel: int
) -> tuple[FrameSource, NDArray[np.float64], str]:
    """Return a source with the heights of its frames: those given, else those stated by the file.

    Where the file's heights stand still or turn at an end of the scan, the source is cut there, with a
    warning.

    Returns
    -------
    source : FrameSource
    z_um : (Z,) float64
    origin : str
        Their provenance.

    Raises
    ------
    InputError
        If there are no heights at all, or if they are unusable.
    """
    count = source.shape[0]
    if not given.any and source.z_table is not None:
        given = replace(given, z_um=source.z_table)
    if given.z_um is not None:
        if isinstance(given.z_um, str | os.PathLike):
            name = Path(given.z_um).name
            z, origin = checked_z(read_z_csv(given.z_um, count), count, str(given.z_um)), f"CSV file {name}"
        else:
            z, origin = checked_z(given.z_um, count, "z_um"), "given"
    elif given.any:
        if source.uneven:
            raise InputError(f"{where}: {source.uneven}")
        z, origin = _evenly(given, count)
    elif source.z_um is not None:
        if source.z_um_doubt:
            warnings.warn(f"{where}: {source.z_um_doubt}", stacklevel=stacklevel + 1)
        if source.downward and not given.descending:
            warnings.warn(
                f"{where}: {source.downward}; the frames are taken to rise; for a scan that goes down give "
                "descending=True (--descending)",
                stacklevel=stacklevel + 1,
            )
        source = _moving_part(source, where, stacklevel=stacklevel + 1)
        origin = source.z_um_source
        z = checked_z(source.z_um, source.shape[0], f"{where}, {origin}")  # type: ignore[arg-type]
        if given.descending and z.size > 1 and z[1] > z[0]:
            z, origin = z[0] + z[-1] - z, f"{origin}, descending"
    else:
        reason = source.z_um_doubt or "the stack has no z positions"
        raise InputError(f"{where}: {reason}; {_GIVE}")
    if given.immersion is not None:
        z, origin = z * given.immersion.scale, f"{origin}, {given.immersion.describe()}"
    return source, z, origin


def _evenly(given: GivenHeights, count: int) -> tuple[NDArray[np.float64], str]:
    if given.range_um is not None:
        first, last = _checked_range(given.range_um)
        if given.descending and last > first:
            first, last = last, first
        return np.linspace(first, last, count), "given range"
    step = _checked_step(given.step_um)
    z = np.arange(count, dtype=np.float64) * step
    return (z[::-1].copy(), "given step, descending") if given.descending else (z, "given step")


def _checked_step(z_step_um: object) -> float:
    try:
        step = float(z_step_um)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"z_step_um: {z_step_um!r} is not a number; give the step between frames in µm"
        ) from None
    if not math.isfinite(step) or step <= 0:
        raise InputError(
            f"z_step_um: {step:g} is not a step; it must be positive and finite "
            "(for a scan that goes down, add descending=True, --descending)"
        )
    return step


def _checked_range(z_range_um: object) -> tuple[float, float]:
    try:
        ends = np.asarray(z_range_um, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        ends = np.array([math.nan])
    first, last = (0.0, float(ends[0])) if ends.size == 1 else (float(ends[0]), float(ends[-1]))
    if ends.size > 2 or not np.isfinite(ends).all() or first == last:
        raise InputError(
            f"z_range_um: {z_range_um!r} is not a range; give the height of the last frame in µm, or of the "
            "first and the last"
        )
    return first, last


def _moving_part(source: FrameSource, where: str, *, stacklevel: int) -> FrameSource:
    """Cut frames at the ends of a scan at which the stage had not started, or had stopped."""
    z = np.asarray(source.z_um, dtype=np.float64)
    count = z.size
    if count < 3 + 1 or not np.isfinite(z).all():
        return source
    direction = np.sign(np.median(np.diff(z)))
    wrong = np.flatnonzero(np.sign(np.diff(z)) != direction)
    if direction == 0 or wrong.size == 0:
        return source
    head, tail = wrong[wrong < count // 2], wrong[wrong >= count // 2]
    start = int(head[-1]) + 1 if head.size else 0
    stop = int(tail[0]) + 1 if tail.size else count
    if start > _AT_AN_END or count - stop > _AT_AN_END or stop - start < 3:
        return source
    cut = [*range(start), *range(stop, count)]
    warnings.warn(
        f"{where}: {source.z_um_source} does not move on at frame{'s' * (len(cut) > 1)} "
        f"{', '.join(map(str, cut))} at an end of the scan; left out",
        stacklevel=stacklevel,
    )
    return ChosenFrames(source, range(start, stop), {"frames_used": [start, stop]})
