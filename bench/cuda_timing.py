"""Speed of a CUDA device: medians by its own clock, beside the limits of its memory and processors.

A call is repeated until the device has worked for some milliseconds, so that the start from the host overlaps
with the work before, as in a pipeline; the calls that are compared take turns.
"""

import argparse
import importlib
import math
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lee import _core
from lee.errors import DeviceError, InputError
from lee.kernels import cuda_arrays

MIN_MS = 10.0
MAX_CALLS = 200
ABSENT = "CuPy not here"
# Results a clock of one multiprocessor, by compute capability, as the CUDA programming guide lists them:
# additions of float32; comparisons and minima of int32. Newer ones as 9.0.
FLOATS_A_CLOCK = {(7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 7): 128, (8, 9): 128}
INTEGERS_A_CLOCK = 64


@dataclass(frozen=True)
class Card:
    """The current CUDA device, and its limits: bytes, float32 operations and int32 comparisons a second."""

    name: str
    bytes_per_s: float
    floats_per_s: float
    integers_per_s: float
    emulated: bool

    def of_memory(self, moved_bytes: float, ms: float) -> float:
        """Return the percentage of the memory's rate that moving so many bytes comes to."""
        return 100 * moved_bytes / (1e-3 * ms * self.bytes_per_s)

    def of_floats(self, operations: float, ms: float) -> float:
        return 100 * operations / (1e-3 * ms * self.floats_per_s)

    def of_integers(self, operations: float, ms: float) -> float:
        return 100 * operations / (1e-3 * ms * self.integers_per_s)


def card() -> Card:
    """Return the current device.

    Raises
    ------
    DeviceError
        If there is none, or the core has no CUDA kernels.
    """
    seen = _core.cuda_device()
    major, minor = seen["compute_capability"]
    a_second = seen["multiprocessors"] * seen["clock_hz"]
    name = f"{seen['name']}, compute capability {major}.{minor}, {seen['memory_bytes'] / 2**30:.0f} GiB"
    if seen["shared_slice"]:
        name += ", A SHARED SLICE (MIG) OF A CARD: its memory's rate is the card's, which others use too"
    return Card(
        name=name,
        bytes_per_s=seen["memory_bytes_per_s"],
        floats_per_s=a_second * FLOATS_A_CLOCK.get((major, minor), 128),
        integers_per_s=a_second * INTEGERS_A_CLOCK,
        emulated=seen["name"].startswith("none:"),
    )


def heading(what: str, on: Card) -> str:
    limits = f"memory {on.bytes_per_s / 1e9:.0f} GB/s, {on.floats_per_s / 1e12:.1f} T float operations/s"
    text = f"{what}; {on.name}; {limits} (by its clocks)"
    return f"{text}; ITS KERNELS RUN ON THE HOST: TIMES MEAN NOTHING" if on.emulated else text


def cupy() -> Any:
    return cuda_arrays.cupy("bench")


def ndimage() -> Any | None:
    """Return cupyx.scipy.ndimage, which the peers are written with; None where CUDA runs on the host."""
    try:
        return importlib.import_module("cupyx.scipy.ndimage")
    except ImportError:
        return None


def fused(xp: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an elementwise function as one kernel, where the library can: CuPy's way to save traffic."""
    return xp.fuse(function) if hasattr(xp, "fuse") else function


def elapsed_ms(call: Callable[[], object], calls: int = 1) -> float:
    """Time of one of `calls` calls on the current stream, by the device's clock."""
    xp = cupy()
    begin, end = xp.cuda.Event(), xp.cuda.Event()
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    end.synchronize()
    return float(xp.cuda.get_elapsed_time(begin, end)) / calls


def medians_ms(runs: int, *calls: Callable[[], object] | None) -> list[float]:
    """Median time of each call, which take turns; NaN for those that are not there."""
    there = [call for call in calls if call is not None]
    for call in there:
        call()  # compiles what has to be
    repeats = [_repeats(elapsed_ms(call)) for call in there]
    times: list[list[float]] = [[] for _ in there]
    for _ in range(runs):
        for call, often, taken in zip(there, repeats, times, strict=True):
            taken.append(elapsed_ms(call, often))
    found = iter([statistics.median(taken) for taken in times])
    return [math.nan if call is None else next(found) for call in calls]


def _repeats(once_ms: float) -> int:
    return int(np.clip(math.ceil(MIN_MS / max(once_ms, 1e-3)), 1, MAX_CALLS))


def copy_to_device_ms(nbytes: int, runs: int) -> float:
    """Median time of copying so many bytes from pinned host memory: the rate frames can come at."""
    xp = cupy()
    pinned = np.frombuffer(xp.cuda.alloc_pinned_memory(nbytes), np.uint8, nbytes)
    pinned[:] = np.random.default_rng(0).integers(0, 256, nbytes, dtype=np.uint8)
    target = xp.empty(nbytes, np.uint8)
    stream = xp.cuda.get_current_stream()
    return medians_ms(runs, lambda: target.set(pinned, stream=stream))[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cpu", help="the CUDA twin against CuPy instead"
    )
    if not any("--quick" in action.option_strings for action in parser._actions):
        parser.add_argument("--quick", action="store_true", help="small arrays")


def run(name: str, main: Callable[[], object]) -> int:
    """Run a benchmark; without a usable device print why in one line, and return 1."""
    try:
        main()
    except (DeviceError, InputError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
