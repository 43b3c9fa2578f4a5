"""Speed of the adaptive variance compared with the same measure composed from OpenCV calls.

Both are timed in the same run on the same work: variance over mean of one image over one footprint, all
cores. OpenCV takes the mean of the image and of its square with boxFilter if the footprint is a rectangle,
else with filter2D (which uses Fourier transforms for large ones). Then several footprints on a small stack:
OpenCV computes them all and selects by the same rule, with known noise. "copies" is our time divided by that
of copying the image.

With --device cuda: on an image in the device's memory, beside the faster of two compositions of CuPy calls,
filters of cupyx.scipy.ndimage or Fourier transforms. "memory %" counts the image read once and the focus
written once, as a share of what the memory's clocks allow; "operations %" four additions of running sums for
each run of the footprint and five more operations, as a share of what the multiprocessors' clocks allow.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench import cuda_timing
from bench.peers import cupy_focus
from bench.table import Cell, lines
from bench.timing import medians_ms
from lee import _core
from lee.kernels.adaptive_variance import adaptive_variance
from lee.kernels.footprint import Footprint, disk, ellipse, rectangle

SHAPE, QUICK = (2048, 2448), (130, 150)
FOOTPRINTS = {
    "disk 2": disk(2),
    "disk 5": disk(5),
    "disk 15": disk(15),
    "disk 30": disk(30),
    "ellipse 10 x 30 turned": ellipse(10, 30, angle_rad=0.5),
    "rectangle 9 x 9": rectangle(9, 9),
    "rectangle 41 x 41": rectangle(41, 41),
}
FRAMES: dict[str, type[np.generic]] = {"8 bit": np.uint8, "16 bit": np.uint16, "float": np.float32}
RADII, SIGNIFICANCE = (2, 4, 8), 16.0
Image = NDArray[np.generic]


def composed(image: Image, footprint: Footprint) -> NDArray[np.float32]:
    """Variance over mean from OpenCV calls; borders repeat, so they differ from ours there."""
    value = image.astype(np.float32)

    def mean_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
        if footprint.mask.all():
            return cv2.boxFilter(values, -1, footprint.mask.shape[::-1])
        return cv2.filter2D(values, -1, footprint.mask.astype(np.float32) / footprint.area_px)

    mean = mean_of(value)
    return cv2.divide(cv2.subtract(mean_of(cv2.multiply(value, value)), cv2.multiply(mean, mean)), mean)


def composed_windows(stack: Image, footprints: Sequence[Footprint], noise: float) -> NDArray[np.float32]:
    focus = np.stack([composed(plane, footprints[-1]) for plane in stack])
    is_open = np.ones(stack.shape[1:], bool)
    for footprint in footprints[:-1]:
        curve = np.stack([composed(plane, footprint) for plane in stack])
        n = footprint.area_px
        limit = noise * (1 - 1 / n) * (1 + SIGNIFICANCE * (2 / n) ** 0.5)
        takes = is_open & (curve.max(axis=0) > limit)
        np.copyto(focus, curve, where=takes)
        is_open &= ~takes
    return focus


def row(name: str, kind: str, footprint: Footprint, image: Image, runs: int) -> str:
    inner = np.s_[64:-64, 64:-64]
    ours = adaptive_variance(image, footprint=footprint).focus[inner]
    error = np.abs(ours - composed(image, footprint)[inner]).max() / ours.max()
    mine, peer, copy, detail = medians_ms(
        runs,
        lambda: adaptive_variance(image, footprint=footprint),
        lambda: composed(image, footprint),
        lambda: image.copy(),
        lambda: adaptive_variance(image, footprint=footprint, detail_px=5),
    )
    speed = f"{mine:9.1f}{peer:10.1f}{peer / mine:8.1f}{image.size / mine / 1e6:9.2f}{mine / copy:9.1f}"
    return f"{name:24}{kind:8}{speed}{error:12.0e}{detail:12.1f}"


def windows_row(runs: int) -> str:
    rng = np.random.default_rng(1)
    strength = np.geomspace(1, 200, 1024)[None, :, None] * np.array([0.3, 1, 0.3, 0.1])[:, None, None]
    stack = (120 + strength**0.5 * rng.standard_normal((4, 1024, 1024))).clip(0, 255).astype(np.uint8)
    scales = [radius / RADII[-1] for radius in RADII]
    footprints = [disk(radius) for radius in RADII]

    def ours() -> object:
        return adaptive_variance(stack, footprint=footprints[-1], scales=scales, noise=1.0)

    mine, peer = medians_ms(runs, ours, lambda: composed_windows(stack, footprints, 1.0))
    times = f"{mine:.1f} ms, OpenCV {peer:.1f} ms, {peer / mine:.1f} times"
    return f"disks {RADII}, 4 planes 1024x1024, one per pixel: {times}"


def compositions(image: Any, footprint: Footprint) -> dict[str, Any]:
    """Return ways to compute the same, by name; without cupyx there is none."""
    xp, nd = cuda_timing.cupy(), cuda_timing.ndimage()
    if nd is None:
        return {}
    ways = {"filters": cupy_focus.Variance(xp, nd, footprint)}
    if not footprint.mask.all():
        ways["Fourier"] = cupy_focus.Spectral(xp, nd, footprint, image.shape)
    return ways


def cuda_row(name: str, kind: str, footprint: Footprint, image: Image, runs: int) -> dict[str, Cell]:
    on, held = cuda_timing.card(), cuda_timing.cupy().asarray(image)
    ways = compositions(held, footprint)
    ours, detail, *theirs = cuda_timing.medians_ms(
        runs,
        lambda: adaptive_variance(held, footprint=footprint),
        lambda: adaptive_variance(held, footprint=footprint, detail_px=5),
        *((lambda way=way: way(held)) for way in ways.values()),
    )
    peer, way = min(zip(theirs, ways, strict=True), default=(np.nan, cuda_timing.ABSENT))
    runs_of_mask = np.count_nonzero(np.diff(np.pad(footprint.mask.astype(np.int8), ((0, 0), (1, 1)))) == 1)
    return {
        "footprint": name,
        "frames": kind,
        "ours ms": ours,
        "Gpx/s": image.size / ours / 1e6,
        "CuPy": way,
        "CuPy ms": peer,
        "ratio": peer / ours,
        "memory %": on.of_memory((image.itemsize + 4) * image.size, ours),
        "operations %": on.of_floats((4 * float(runs_of_mask) + 5) * image.size, ours),
        "detail ms": detail,
    }


def cuda_table(shape: tuple[int, int], runs: int) -> None:
    on = cuda_timing.card()
    what = f"adaptive_variance {shape[1]}x{shape[0]}, medians of {runs}"
    print(cuda_timing.heading(what, on))
    image = np.random.default_rng(0).integers(0, 256, shape)
    chosen = {"disk 5": FOOTPRINTS["disk 5"]} if on.emulated else FOOTPRINTS
    rows = [
        cuda_row(name, kind, footprint, image.astype(dtype), runs)
        for name, footprint in chosen.items()
        for kind, dtype in (FRAMES.items() if name == "disk 5" else [("8 bit", np.uint8)])
    ]
    print(*lines(rows), sep="\n", flush=True)


def cpu_table(shape: tuple[int, int], runs: int) -> None:
    cv2.setNumThreads(_core.available_cores())
    print(
        f"adaptive_variance, {shape[1]}x{shape[0]}, {_core.available_cores()} cores, "
        f"{_core.instruction_set()}; OpenCV {cv2.__version__} on {cv2.getNumThreads()} threads"
    )
    print(
        f"{'footprint':24}{'frames':8}{'ours ms':>9}{'OpenCV ms':>10}{'ratio':>8}{'Gpx/s':>9}{'copies':>9}"
        f"{'difference':>12}{'detail ms':>12}"
    )
    image = np.random.default_rng(0).integers(0, 256, shape)
    for name, footprint in FOOTPRINTS.items():
        for kind, dtype in FRAMES.items() if name == "disk 5" else [("8 bit", np.uint8)]:
            print(row(name, kind, footprint, image.astype(dtype), runs), flush=True)
    print(windows_row(runs))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7, help="timed calls each; the median counts")
    cuda_timing.add_arguments(parser)
    given = parser.parse_args(arguments)
    shape = QUICK if given.quick else SHAPE
    table = cuda_table if given.device == "cuda" else cpu_table
    return cuda_timing.run("bench_adaptive_variance", lambda: table(shape, given.runs))


if __name__ == "__main__":
    sys.exit(main())
