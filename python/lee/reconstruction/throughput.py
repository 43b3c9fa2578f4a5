"""Speed of the kernels on this machine, to compare with a camera's frame rate and with copying memory."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lee.kernels.detect_particles import detect_particles
from lee.kernels.footprint import disk
from lee.kernels.opening import opening
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.refocuser import Refocuser

SIZES = ((1200, 1200), (2048, 2448))
RADII_PX = (15, 30)
_FRAMES = 16


def table(*, runs: int = 5, threads: int = 0) -> Iterator[str]:
    """Measure, and yield the lines of a table as they are measured.

    Parameters
    ----------
    runs : int
        Timed runs of each row; the median counts.
    threads : int
        0 = all available cores.
    """
    rng = np.random.default_rng(0)
    yield f"{'what':34}{'size':>12}{'ms':>10}{'per s':>10}{'Mpx/s':>10}{'GB/s':>8}"
    for rows, columns in SIZES:
        frames = rng.integers(0, 256, (_FRAMES, rows, columns), dtype=np.uint8)
        yield _line("memory copy, float32", frames[0], median_s(runs, _copying(frames[0])), 8)
        yield _line("refocuser, one 8-bit frame", frames[0], _frame_s(frames, runs, threads), 1)
        find = partial(detect_particles, frames[0], frames[1], threads=threads)
        yield _line("particles, a pair of 8-bit frames", frames[0], median_s(runs, find), 2)
        height = rng.normal(size=(rows, columns)).astype(np.float32)
        for radius in RADII_PX:
            clean = partial(opening, height, footprint=disk(radius), threads=threads)
            yield _line(f"opening, disk of radius {radius}", height, median_s(runs, clean), 8)


def median_s(runs: int, call: Callable[[], object]) -> float:
    """Return the median time of a call, after one that is not counted."""
    call()
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _copying(frame: NDArray[np.uint8]) -> Callable[[], object]:
    source = frame.astype(np.float32)
    into = np.empty_like(source)
    return lambda: np.copyto(into, source)


def _frame_s(frames: NDArray[np.uint8], runs: int, threads: int) -> float:
    """Return the time of a frame at camera rate: the mean over a short scan, without its end."""
    times = []
    for _ in range(runs):
        refocuser = Refocuser(frames.shape[1:], pixel_um=0.1, params=ReconstructParams(threads=threads))
        refocuser.push(frames[0], 0.0)
        begun = time.perf_counter()
        for k in range(1, len(frames)):
            refocuser.push(frames[k], 0.2 * k)
        times.append((time.perf_counter() - begun) / (len(frames) - 1))
    return statistics.median(times)


def _line(what: str, image: NDArray[np.generic], seconds: float, bytes_px: int) -> str:
    rows, columns = image.shape
    return (
        f"{what:34}{f'{columns}x{rows}':>12}{1e3 * seconds:>10.2f}{1 / seconds:>10.1f}"
        f"{image.size / seconds / 1e6:>10.0f}{bytes_px * image.size / seconds / 1e9:>8.3g}"
    )
