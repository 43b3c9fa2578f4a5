"""Speed of the opening beside OpenCV's morphologyEx on the same footprint, in the same run.

Both compute the plain flat opening of the same float32 image with all available cores. The modified opening
(peaks and pits, given and automatic threshold) is timed as well.

With --device cuda: the modified opening with a given threshold, on an image in the device's memory, beside
the same composed from grey_erosion and grey_dilation of cupyx.scipy.ndimage. "memory %" counts what the four
passes read and write, each once, 47 bytes per pixel, as a share of what the memory's clocks allow; "minima %"
two minima for each run of the footprint in each pass, as a share of what the multiprocessors' clocks allow.
"""

import argparse
import sys
from collections.abc import Sequence

import cv2
import numpy as np

from bench import cuda_timing
from bench.peers import cupy_opening
from bench.table import Cell, lines
from bench.timing import medians_ms
from lee import _core
from lee.kernels.footprint import Footprint, disk, ellipse, rectangle
from lee.kernels.opening import Opened, flat_morphology, opening

SHAPE, QUICK = (2048, 2448), (66, 80)
FOOTPRINTS = {
    "disk 5": disk(5),
    "disk 15": disk(15),
    "disk 30": disk(30),
    "disk 60": disk(60),
    "ellipse 10 x 30 turned": ellipse(10, 30, angle_rad=0.5),
    "rectangle 31 x 31": rectangle(31, 31),
    "rectangle 121 x 61": rectangle(121, 61),
}


def row(name: str, footprint: Footprint, height: np.ndarray, runs: int) -> str:
    mask = footprint.mask.astype(np.uint8)
    ours = flat_morphology("opening", height, footprint=footprint)
    theirs = cv2.morphologyEx(height, cv2.MORPH_OPEN, mask)
    same = "yes" if np.array_equal(ours, theirs) else "NO"
    flat, peer, modified, automatic = medians_ms(
        runs,
        lambda: flat_morphology("opening", height, footprint=footprint),
        lambda: cv2.morphologyEx(height, cv2.MORPH_OPEN, mask),
        lambda: opening(height, footprint=footprint, threshold=1.0),
        lambda: opening(height, footprint=footprint),
    )
    speed = f"{flat:9.1f}{peer:10.1f}{peer / flat:8.1f}{height.size / flat / 1e6:9.2f}"
    return f"{name:24}{speed}{same:>7}{modified:12.1f}{automatic:12.1f}"


def runs_of(footprint: Footprint) -> int:
    """Return how many unbroken pieces the footprint's rows have."""
    padded = np.pad(footprint.mask.astype(np.int8), ((0, 0), (1, 1)))
    return int(np.count_nonzero(np.diff(padded) == 1))


# Bytes a pixel. The first pass of a step reads heights and writes keys; the second reads keys and heights
# and writes heights and marks, which that of the pits reads as well.
MODIFIED_BYTES = 2 * (4 + 4) + (4 + 4 + 4 + 1) + (4 + 4 + 4 + 1 + 4 + 1)
THRESHOLD = 1.0


def cuda_row(name: str, footprint: Footprint, height: np.ndarray, runs: int) -> dict[str, Cell]:
    xp, nd, on = cuda_timing.cupy(), cuda_timing.ndimage(), cuda_timing.card()
    image = xp.asarray(height)

    def ours() -> Opened:
        return opening(image, footprint=footprint, threshold=THRESHOLD)

    def composed() -> tuple[np.ndarray, np.ndarray]:
        return cupy_opening.opening(xp, nd, image, footprint, THRESHOLD)

    modified, flat, automatic, peer = cuda_timing.medians_ms(
        runs,
        ours,
        lambda: flat_morphology("opening", image, footprint=footprint),
        lambda: opening(image, footprint=footprint),
        composed if nd is not None else None,
    )
    same = cuda_timing.ABSENT
    if nd is not None:
        equal = all(bool((a == b).all()) for a, b in zip(ours(), composed(), strict=True))
        same = "yes" if equal else "NO"
    return {
        "footprint": name,
        "equal": same,
        "ours ms": modified,
        "Gpx/s": height.size / modified / 1e6,
        "CuPy ms": peer,
        "ratio": peer / modified,
        "memory %": on.of_memory(MODIFIED_BYTES * height.size, modified),
        "minima %": on.of_integers(4 * 2 * runs_of(footprint) * height.size, modified),
        "flat ms": flat,
        "flat Gpx/s": height.size / flat / 1e6,
        "automatic ms": automatic,
    }


def cuda_table(shape: tuple[int, int], runs: int) -> None:
    height = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    on = cuda_timing.card()
    what = f"opening, peaks and pits, float32 {shape[1]}x{shape[0]}, medians of {runs}"
    print(cuda_timing.heading(what, on))
    chosen = {"disk 5": FOOTPRINTS["disk 5"]} if on.emulated else FOOTPRINTS
    rows = [cuda_row(name, footprint, height, runs) for name, footprint in chosen.items()]
    print(*lines(rows), sep="\n", flush=True)


def cpu_table(shape: tuple[int, int], runs: int) -> None:
    cv2.setNumThreads(_core.available_cores())
    height = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    print(
        f"opening, float32 {shape[1]}x{shape[0]}, {_core.available_cores()} cores, "
        f"{_core.instruction_set()}; OpenCV {cv2.__version__} on {cv2.getNumThreads()} threads"
    )
    print(
        f"{'footprint':24}{'ours ms':>9}{'OpenCV ms':>10}{'ratio':>8}{'Gpx/s':>9}{'equal':>7}"
        f"{'modified ms':>12}{'automatic':>12}"
    )
    for name, footprint in FOOTPRINTS.items():
        print(row(name, footprint, height, runs), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9, help="timed calls each; the median counts")
    cuda_timing.add_arguments(parser)
    given = parser.parse_args(arguments)
    shape = QUICK if given.quick else SHAPE
    table = cuda_table if given.device == "cuda" else cpu_table
    return cuda_timing.run("bench_opening", lambda: table(shape, given.runs))


if __name__ == "__main__":
    sys.exit(main())
