"""Peak memory of a reconstruction, in a separate process.

As a program: reconstruct a .npy stack and print the peak of the resident set in kB. Pages of the file that
the system has mapped in count as resident as well; `peak_memory_mb` separates the process's own share
where /proc states it.
"""

import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from bench.scenes.timing_frames import STEP_UM, scan

_LOOK_EVERY_S = 0.01


def write_scan(path: Path, shape: tuple[int, int], frames: int) -> None:
    """Write a rendered scan (Z, H, W) as .npy, frame by frame."""
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(frames, *shape))
    for k, (frame, _) in enumerate(scan(shape, frames, relief_um=40.0)):
        file[k] = frame
    file.flush()


def own_pages_mb(process: int) -> float:
    """Return the memory that belongs to a process alone, MB; NaN where the system does not report it."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return np.nan
    kilobytes = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return int(kilobytes[0]) / 1024 if kilobytes else np.nan


def peak_memory_mb(
    shape: tuple[int, int], frames: int, folder: Path | None = None
) -> tuple[float, float, float]:
    """Return (peak resident, peak own, seconds) of reconstructing a scan, memory in MB."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "scan.npy"
        write_scan(path, shape, frames)
        begin = time.perf_counter()
        # The folder of this file is on no path of the new process unless it runs as a module from its parent.
        command = [sys.executable, "-m", "bench.peak_memory", str(path)]
        child = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
        own = [0.0]
        while child.poll() is None:
            own.append(own_pages_mb(child.pid))
            time.sleep(_LOOK_EVERY_S)
        seconds = time.perf_counter() - begin
        printed = child.stdout.read() if child.stdout else ""
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return int(printed.split()[-1]) / 1024, float(np.nanmax(own)), seconds


def main() -> None:
    import lee

    for path in islice(sys.argv, 1, None):
        lee.reconstruct(lee.open_stack(path, z_step_um=STEP_UM, pixel_um=0.25))
    print(peak_kb())


def peak_kb() -> int:
    """Return this program's peak resident memory, kB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: that still counts the process this one was forked from.
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
