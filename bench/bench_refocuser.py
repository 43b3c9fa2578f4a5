"""Speed and memory of the refocuser beside the same measure composed from OpenCV calls, in the same run.

The same work on the same frames and cores: pushing a whole scan until the last maximum is found, `close`
included. Both pool the tensor of the detail's gradient over four windows and search the focus curves. "every
frame" is the same composition without averaging neighbouring frames first. The last rows are ours only:
"fusion" combines the windows into one height map; "400 frames" is the rate of a scan of that length, fusion
included. "copied" is the rate of the frames' bytes relative to a plain memory copy.

With --device cuda: see bench/refocuser_on_cuda.py.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from bench import cuda_timing, refocuser_on_cuda
from bench.peak_memory import peak_memory_mb
from bench.peers.opencv_refocuser import OpenCvRefocuser
from bench.scenes.timing_frames import Frame, noise, scan
from bench.table import Cell, lines, machine
from lee import _core

SHAPES = ((2048, 2448), (1200, 1200))
DEPTH_OF_FIELD_UM = 3.5
WINDOW_PX = DETAIL_PX = 5
LONG_SCAN = 400
EVERY_FRAME = 20
Frames = list[tuple[Frame, float]]


def core(shape: tuple[int, int], threads: int) -> _core.Refocuser:
    return _core.Refocuser(
        *shape,
        depth_of_field_um=DEPTH_OF_FIELD_UM,
        window_y_px=WINDOW_PX,
        window_x_px=WINDOW_PX,
        detail_px=DETAIL_PX,
        threads=threads,
    )


def seconds_of(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def pushed(refocuser: _core.Refocuser | OpenCvRefocuser, frames: Frames) -> Callable[[], None]:
    def run() -> None:
        for frame, z_um in frames:
            refocuser.push(frame, z_um)
        refocuser.close()

    return run


def copied(frames: Frames, target: Frame) -> Callable[[], None]:
    def run() -> None:
        for frame, _ in frames:
            np.copyto(target, frame)

    return run


def row(content: str, frames: Frames, threads: int, runs: int) -> dict[str, Cell]:
    """Time all sides in turns, so that a disturbance meets all of them, and take medians."""
    shape = (frames[0][0].shape[0], frames[0][0].shape[1])
    cv2.setNumThreads(threads)
    few = frames[len(frames) // 2 :][:EVERY_FRAME]
    times: dict[str, list[float]] = {name: [] for name in ("ours", "fusion", "grouped", "every", "copy")}
    target = np.empty_like(frames[0][0])
    state = 0.0
    for _ in range(runs):
        ours = core(shape, threads)
        times["ours"].append(seconds_of(pushed(ours, frames)) / len(frames))
        times["fusion"].append(seconds_of(ours.finish))
        state = ours.state_bytes_per_pixel
        del ours
        grouped = OpenCvRefocuser(shape, DEPTH_OF_FIELD_UM)
        times["grouped"].append(seconds_of(pushed(grouped, frames)) / len(frames))
        del grouped
        times["every"].append(seconds_of(pushed(OpenCvRefocuser(shape, 0.0), few)) / len(few))
        times["copy"].append(seconds_of(copied(frames, target)) / len(frames))
    second = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        "frames": f"{shape[1]}x{shape[0]} {content}",
        "cores": threads,
        "frames/s": 1 / second["ours"],
        "fusion ms": 1e3 * second["fusion"],
        "400 frames": LONG_SCAN / (LONG_SCAN * second["ours"] + second["fusion"]),
        "OpenCV": 1 / second["grouped"],
        "ratio": second["grouped"] / second["ours"],
        "every frame": 1 / second["every"],
        "ratio to it": second["every"] / second["ours"],
        "copied %": 100 * second["copy"] / second["ours"],
        "copy GB/s": target.nbytes / second["copy"] / 1e9,
        "bytes/px": state,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="timed scans each; the median counts")
    parser.add_argument("--quick", action="store_true", help="small frames, and no memory")
    cuda_timing.add_arguments(parser)
    given = parser.parse_args(arguments)
    if given.device == "cuda":
        table = refocuser_on_cuda.table
        return cuda_timing.run("bench_refocuser", lambda: table(given.runs, quick=given.quick))
    shapes = ((320, 400),) if given.quick else SHAPES
    print(f"refocuser, 8 bit; {machine()}; OpenCV {cv2.__version__}; medians of {given.runs}; frames/s")
    rows = []
    for shape in shapes:
        for content, drawn in (("scan", scan(shape, 121)), ("noise", noise(shape, 41))):
            frames = list(drawn)
            for threads in sorted({1, _core.available_cores()}):
                rows.append(row(content, frames, threads, given.runs))
    print(*lines(rows), sep="\n", flush=True)
    if not given.quick:
        peak, own, seconds = peak_memory_mb((1200, 1200), LONG_SCAN)
        print(
            f"lee.reconstruct of {LONG_SCAN} frames 1200x1200 from .npy: {seconds:.1f} s, peak {peak:.0f} MB"
        )
        print(f"({own:.0f} MB of it the process's own, the rest pages of the file and of libraries)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
