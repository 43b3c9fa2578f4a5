"""The z position of every frame: given, from a CSV file, or stated by the stack."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, reason_of
from lee.recording.heights import checked_z
from lee.storage.refusals import unreadable

ZPositions = ArrayLike | str | os.PathLike[str]


def read_z_csv(path: str | os.PathLike[str], count: int | None = None) -> NDArray[np.float64]:
    """Read heights from a CSV file with the header ``frame,z_um``.

    Frames are counted from 0; rows may stand in any order, every frame once.

    Parameters
    ----------
    count : int, optional
        Number of frames the stack has; another number of rows is an error.

    Returns
    -------
    (Z,) float64, µm
    """
    name = str(path)
    heights: dict[int, float] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            columns = [column.strip() for column in rows.fieldnames or []]
            if "frame" not in columns or "z_um" not in columns:
                raise InputError(
                    f"{name}: its first line must be frame,z_um; found {','.join(columns) or 'nothing'}"
                )
            rows.fieldnames = columns
            for row in rows:
                try:
                    frame, height = int(row["frame"]), float(row["z_um"])
                except (TypeError, ValueError):
                    raise InputError(
                        f"{name}, line {rows.line_num}: expected a frame number and a height in µm, "
                        f"found {row['frame']!r}, {row['z_um']!r}"
                    ) from None
                if frame in heights:
                    raise InputError(
                        f"{name}, line {rows.line_num}: frame {frame} is given twice; give it once"
                    )
                heights[frame] = height
    except FileNotFoundError:
        raise InputError(
            f"{name}: no such file; give heights, or a CSV file with the header frame,z_um"
        ) from None
    except OSError as error:
        raise unreadable(name, error, "give a CSV file with the header frame,z_um") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name}: cannot be read as CSV ({reason_of(error)})") from error
    expected = len(heights) if count is None else count
    if len(heights) != expected:
        raise InputError(
            f"{name}: gives {len(heights)} heights for {expected} frames; give one for every frame"
        )
    missing = next((k for k in range(expected) if k not in heights), None)
    if missing is not None:
        raise InputError(f"{name}: frame {missing} is missing; frames are counted from 0 to {expected - 1}")
    return np.array([heights[k] for k in range(expected)], dtype=np.float64)


def _checked_step(z_step_um: object) -> float:
    try:
        step = float(z_step_um)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"z_step_um: {z_step_um!r} is not a number; give the step between frames in µm"
        ) from None
    if not np.isfinite(step) or step <= 0:
        raise InputError(
            f"z_step_um: {step:g} is not a step; it must be positive and finite "
            "(for a scan that goes down, give z_um for every frame)"
        )
    return step


def resolve_z(
    count: int,
    *,
    z_um: ZPositions | None,
    z_step_um: float | None,
    file_z_um: ArrayLike | None,
    file_source: str,
    where: str,
) -> tuple[NDArray[np.float64], str]:
    """Return the heights of `count` frames: those given, else those stated by the file.

    Returns
    -------
    z_um : (count,) float64
    source : str
        Their provenance.

    Raises
    ------
    InputError
        If both `z_um` and `z_step_um` are given, if there are no heights at all, or if they are unusable.
    """
    if z_um is not None and z_step_um is not None:
        raise InputError("z_um and z_step_um are both given; give one of them")
    if z_um is not None:
        if isinstance(z_um, str | os.PathLike):
            return checked_z(read_z_csv(z_um, count), count, str(z_um)), f"CSV file {Path(z_um).name}"
        return checked_z(z_um, count, "z_um"), "given"
    if z_step_um is not None:
        return np.arange(count, dtype=np.float64) * _checked_step(z_step_um), "given step"
    if file_z_um is not None:
        return checked_z(file_z_um, count, f"{where}, {file_source}"), file_source
    raise InputError(
        f"{where}: the stack has no z positions; give them: z_step_um (--z-step-um), or z_um (--z-csv), "
        "a CSV file with the header frame,z_um"
    )
