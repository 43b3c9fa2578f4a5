"""What particles are looked for in: stacks and single images, in pairs, with their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lee.errors import InputError
from lee.runs.run import Run, open_run
from lee.stacks.image_folder import IMAGE_SUFFIXES, FolderSource
from lee.stacks.stack import ZStack, open_stack
from lee.stacks.tiff import TIFF_SUFFIXES, TiffSource


class Scan(NamedTuple):
    """One scan or image, and when it began; NaN where unknown."""

    path: Path
    time_s: float
    z_step_um: float | None = None
    pixel_um: float | None = None


class Pair(NamedTuple):
    """Two scans of one place."""

    before: Scan
    after: Scan


def pairs_of(
    paths: Sequence[Path],
    *,
    interval_s: float | None = None,
    at_s: Sequence[float] = (),
    z_step_um: float | None = None,
    pixel_um: float | None = None,
) -> list[Pair]:
    """Pair every scan with the one before it.

    Parameters
    ----------
    paths : sequence of Path
        Two or more scans or images in order of time; or one folder of a run, as `lee.open_run` takes it.
    interval_s : float, s, optional
        From scan to scan, where no run tells the times. Needed for three scans and more.
    at_s : sequence of float, s
        Only the pairs whose later scan began nearest to these times.
    z_step_um, pixel_um : float, um, optional
        Calibration, where the scans tell none.

    Raises
    ------
    InputError
        If there are fewer than two scans, or their times are not known where they must be.
    """
    if len(paths) == 1 and paths[0].is_file():
        raise InputError(f"{paths[0]}: one scan; give BEFORE and AFTER, or the folder of a run")
    if len(paths) == 1:
        run = open_run(paths[0], interval_s=interval_s, z_step_um=z_step_um, pixel_um=pixel_um)
        scans = [_of_run(run, k) for k in range(len(run))]
        if len(scans) < 2:
            raise InputError(f"{paths[0]}: holds one scan; particles are looked for between two")
    else:
        if interval_s is None and len(paths) > 2:
            raise InputError(
                f"{len(paths)} scans, but no times; give the seconds from scan to scan (--interval-s)"
            )
        times = [np.nan] * len(paths) if interval_s is None else [k * interval_s for k in range(len(paths))]
        scans = [Scan(path, t, z_step_um, pixel_um) for path, t in zip(paths, times, strict=True)]
    pairs = [Pair(a, b) for a, b in pairwise(scans)]
    if not at_s:
        return pairs
    begun = np.array([pair.after.time_s for pair in pairs])
    if np.isnan(begun).any():
        raise InputError(
            "the times of the scans are not known; give the seconds from scan to scan (--interval-s)"
        )
    return [pairs[k] for k in sorted({int(np.abs(begun - t).argmin()) for t in at_s})]


def _of_run(run: Run, k: int) -> Scan:
    step, pixel = float(run.z_steps_um[k]), float(run.pixels_um[k])
    return Scan(
        run.scans[k],
        float(run.times_s[k]),
        None if np.isnan(step) else step,
        None if np.isnan(pixel) else pixel,
    )


@contextmanager
def opened(scan: Scan) -> Iterator[Any]:
    """Give a `ZStack`, or the (H, W) counts of a single image."""
    frame = _single(scan.path)
    if frame is not None:
        yield frame
        return
    with open_stack(scan.path, z_step_um=scan.z_step_um, pixel_um=scan.pixel_um) as stack:
        yield stack


def is_stack(opened_scan: Any) -> bool:
    """Whether it is a stack, or a single image."""
    return isinstance(opened_scan, ZStack)


def _single(path: Path) -> Any:
    """Pixels of a file that holds one image; None where it is no such file."""
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in IMAGE_SUFFIXES:
        return None
    if suffix not in TIFF_SUFFIXES:
        return FolderSource(path.parent, [path]).read(0)
    source = TiffSource(path)
    try:
        return source.read(0) if source.shape[0] == 1 else None
    finally:
        source.close()
