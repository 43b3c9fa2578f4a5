"""Speed of the opening against OpenCV's morphologyEx on the same footprint, in the same run.

Like with like: both compute the plain flat opening of the same float32 image with all the cores they are
given. The modified opening (peaks and pits, given and automatic threshold) is timed beside it.
"""

import argparse

import cv2
import numpy as np

from bench.timing import medians_ms
from lee import _core
from lee.footprint import Footprint, disk, ellipse, rectangle
from lee.kernels import flat_morphology, opening

SHAPE = (2048, 2448)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="timed calls each; the median counts")
    runs = parser.parse_args().runs
    cv2.setNumThreads(_core.available_cores())
    height = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    print(
        f"opening, float32 {SHAPE[1]}x{SHAPE[0]}, {_core.available_cores()} cores, "
        f"{_core.instruction_set()}; OpenCV {cv2.__version__} on {cv2.getNumThreads()} threads"
    )
    print(
        f"{'footprint':24}{'ours ms':>9}{'OpenCV ms':>10}{'ratio':>8}{'Gpx/s':>9}{'equal':>7}"
        f"{'modified ms':>12}{'automatic':>12}"
    )
    for name, footprint in FOOTPRINTS.items():
        print(row(name, footprint, height, runs), flush=True)


if __name__ == "__main__":
    main()
