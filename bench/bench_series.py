"""Duration of `lee series` on a run of 20 scans, beside the time their recording took."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lee.devices.virtual import growing_electrode, render_run

FRAMES_PER_S = 80.0
STEP_UM = 0.2


def write_run(folder: Path, *, scans: int, frames: int, side_px: int) -> None:
    """Render an electrode that is plated and then stripped, its scans back to back."""
    interval_s = frames / FRAMES_PER_S
    half_s = 0.5 * scans * interval_s
    growing = growing_electrode((side_px, side_px), 200 / 512, 3, plating_s=half_s, stripping_s=half_s)
    z_um = (np.arange(frames) - 0.5 * frames) * STEP_UM
    render_run(folder, growing, scans=scans, interval_s=interval_s, z_um=z_um)


def timed(folder: Path, *options: str) -> float:
    """Return the seconds of `lee series`, from starting the program to its end."""
    begin = time.perf_counter()
    # In a process of its own: loading the program counts as well.
    command = [sys.executable, "-m", "lee", "series", str(folder), "--device", "cpu", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=20)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--side-px", type=int, default=512)
    parser.add_argument(
        "--run", type=Path, help="use this rendered run, and render it there if it is missing"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.run or Path(temporary) / "run"
        if not folder.exists():
            write_run(folder, scans=given.scans, frames=given.frames, side_px=given.side_px)
        recorded_s = given.scans * given.frames / FRAMES_PER_S
        cores = len(os.sched_getaffinity(0))
        print(
            f"{given.scans} scans x {given.frames} frames x {given.side_px}^2, "
            f"recorded in {recorded_s:.0f} s at {FRAMES_PER_S:.0f} frames/s; {cores} cores"
        )
        print(f"{'lee series':36s} {'s':>7s} {'recording / lee':>16s}")
        for name, options in (
            ("whole", ("--from-scratch",)),
            ("again, surfaces there", ()),
            ("without films", ("--from-scratch", "--no-films")),
        ):
            seconds = timed(folder, *options)
            print(f"{name:36s} {seconds:7.1f} {recorded_s / seconds:16.2f}")


if __name__ == "__main__":
    main()
