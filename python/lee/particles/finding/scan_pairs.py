"""Pairs of scans to compare: stacks or single images on disk, with their times."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.runs.run import Run, open_run
from lee.stacks.folder.image_file import read_header, read_single_image
from lee.stacks.stack import StackOptions, ZStack, open_stack

Image = NDArray[np.generic]

# Share by which the sides of a square pixel may differ.
_SQUARE = 1e-3


class ScanFile(NamedTuple):
    """A scan or image on disk, when it began, NaN where unknown, and how it is read."""

    path: Path
    time_s: float
    z_step_um: float | None = None
    pixel_um: float | None = None
    reading: StackOptions = StackOptions()


class ScanPair(NamedTuple):
    """Two scans of one place."""

    before: ScanFile
    after: ScanFile


def pairs_of(
    paths: Sequence[Path],
    *,
    interval_s: float | None = None,
    at_s: Sequence[float] = (),
    z_step_um: float | None = None,
    pixel_um: float | None = None,
    **reading: Unpack[StackOptions],
) -> list[ScanPair]:
    """Pair every scan with the one before it.

    Parameters
    ----------
    paths : sequence of Path
        Two or more scans or images in order of time; or one folder of a run, as `lee.open_run` takes it.
    interval_s : float, s, optional
        From scan to scan, if no run gives the times. Needed for three scans or more.
    at_s : sequence of float, s
        Only the pairs whose later scan began closest to these times.
    z_step_um, pixel_um : float, µm, optional
        Calibration, if the scans have none.
    **reading
        How else stacks are read, as `lee.open_stack` takes it: ``channel``, ``descending`` and others.

    Raises
    ------
    InputError
        If there are fewer than two scans, or times are needed but not known.
    """
    if len(paths) == 1 and paths[0].is_file():
        raise InputError(f"{paths[0]}: this is one scan; give BEFORE and AFTER, or the folder of a run")
    if len(paths) == 1:
        run = open_run(paths[0], interval_s=interval_s, z_step_um=z_step_um, pixel_um=pixel_um, **reading)
        scans = [_of_run(run, k) for k in range(len(run))]
        if len(scans) < 2:
            raise InputError(f"{paths[0]}: holds only one scan; particles are found by comparing two")
    else:
        if interval_s is None and len(paths) > 2:
            raise InputError(
                f"the times of these {len(paths)} scans are not known; give the seconds from scan to scan "
                "(--interval-s)"
            )
        times = [np.nan] * len(paths) if interval_s is None else [k * interval_s for k in range(len(paths))]
        scans = [
            ScanFile(path, t, z_step_um, pixel_um, reading) for path, t in zip(paths, times, strict=True)
        ]
    pairs = [ScanPair(a, b) for a, b in pairwise(scans)]
    if not at_s:
        return pairs
    began = np.array([pair.after.time_s for pair in pairs])
    if np.isnan(began).any():
        raise InputError(
            "the times of the scans are not known; give the seconds from scan to scan (--interval-s)"
        )
    return [pairs[k] for k in sorted({int(np.abs(began - t).argmin()) for t in at_s})]


def _of_run(run: Run, k: int) -> ScanFile:
    step, pixel = float(run.z_steps_um[k]), float(run.pixels_um[k])
    return ScanFile(
        run.scans[k],
        float(run.times_s[k]),
        None if np.isnan(step) else step,
        None if np.isnan(pixel) else pixel,
        run.reading_of(k),
    )


class SingleImage(NamedTuple):
    """Counts (H, W) of a single image and the size of its pixels, None where it is not known."""

    counts: Image
    pixel_um: float | None


@contextmanager
def open_scan(scan: ScanFile) -> Iterator[ZStack | SingleImage]:
    """Open a scan: a stack, or a single image.

    Raises
    ------
    InputError
        If it cannot be read, or a single image states pixels that are not square.
    """
    frame = read_single_image(scan.path)
    if frame is not None:
        yield SingleImage(frame, _stated_pixel_um(scan.path) if scan.pixel_um is None else scan.pixel_um)
        return
    with open_stack(scan.path, z_step_um=scan.z_step_um, pixel_um=scan.pixel_um, **scan.reading) as stack:
        yield stack


def _stated_pixel_um(path: Path) -> float | None:
    calibration = read_header(path).calibration
    if calibration is None or calibration.pixel.pixel_yx_um is None:
        return None
    stated = calibration.pixel
    if stated.pixel_um_doubt:
        warnings.warn(f"{path}: {stated.pixel_um_doubt}", stacklevel=2)
    y, x = calibration.pixel.pixel_yx_um
    if not (np.isfinite([y, x]).all() and min(y, x) > 0):
        raise InputError(
            f"{path}, {stated.pixel_um_source}: pixels of {x:g} × {y:g} µm are impossible; give their size "
            "(--pixel-um)"
        )
    if abs(y - x) > _SQUARE * x:
        raise InputError(
            f"{path}, {stated.pixel_um_source}: pixels of {x:g} × {y:g} µm are not square; resample the "
            "image, or give their size (--pixel-um) if that is wrong"
        )
    return x
