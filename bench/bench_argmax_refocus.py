"""Speed of the argmax over z with its fit, beside NumPy; and the error over the reach of the fit.

The peer is NumPy's argmax over the same float32 focus volume, which finds the plane only. "copies" is our
time divided by that of copying the volume: each of its values is read once.

With --device cuda: on a volume in the device's memory, beside the same composed from CuPy calls: argmax,
take_along_axis and a fused sum of the fit's moments; it gives no standard deviation. "memory %" counts each
value of the focus read once and the results written once, as a share of what the memory's clocks allow;
"operations %" a comparison for each value of the focus and 24 operations for each sample of the fit, as a
share of what the multiprocessors' clocks allow.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench import cuda_timing
from bench.peers import cupy_focus
from bench.table import Cell, lines
from bench.timing import medians_ms
from lee import _core
from lee.devices.virtual import render_scan
from lee.devices.virtual.scene.scene import gentle, rugged
from lee.kernels.adaptive_variance import adaptive_variance
from lee.kernels.argmax_refocus import argmax_refocus
from lee.kernels.footprint import disk
from lee.reconstruction.focus.complex_wavelets import wavelet_heights

SHAPE, QUICK = (100, 512, 612), (100, 40, 50)
CUDA_SHAPE = (100, 1024, 1224)
REACHES = (1, 2, 3, 6, 10)
STEP_UM, WIDTH_UM, NOISE = 0.2, 1.2, 0.03


def accuracy_lines() -> Iterator[str]:
    """Errors on rendered scans with defaults, against the truth: what each focus measure makes of the fit."""
    heading = f"{'scan':8}{'focus measure':26}{'rms µm':>9}{'median':>9}{'p95':>9}"
    yield heading + f"{'> 0.6 µm':>10}{'covered':>9}{'in 1 sigma':>12}"
    for make in (gentle, rugged):
        scene = make((240, 260), 0.25, 3)
        scan = render_scan(scene, z_um=scene.z_range(STEP_UM))
        frames, z_um = scan.frames, scan.z_um
        windows = adaptive_variance(frames, footprint=disk(2), scales=(1, 2, 4, 8), detail_px=5).focus
        measured = {
            "variance, one of 4 disks": argmax_refocus(frames, windows, z_um=z_um, reach=8),
            "wavelet": wavelet_heights(frames, z_um, reach=6),
        }
        for radius in (2, 4, 8):
            focus = adaptive_variance(frames, footprint=disk(radius), detail_px=5).focus
            measured[f"variance, disk {radius}"] = argmax_refocus(frames, focus, z_um=z_um, reach=8)
        for name, got in measured.items():
            error = np.abs(got.height_um - scan.truth_um)
            known = error[np.isfinite(error)]
            yield (
                f"{make.__name__:8}{name:26}{np.sqrt(np.mean(known**2)):9.3f}{np.median(known):9.3f}"
                f"{np.percentile(known, 95):9.3f}{np.mean(known > 0.6):10.3f}{known.size / error.size:9.3f}"
                f"{np.nanmean(error < got.sigma_um) * error.size / known.size:12.2f}"
            )


class Volume(NamedTuple):
    """A stack of noise, Gaussian focus curves with noise, and where they have their centres."""

    stack: NDArray[np.uint8]
    focus: NDArray[np.float32]
    z_um: NDArray[np.float64]
    truth: NDArray[np.float64]


def volume(shape: tuple[int, int, int]) -> Volume:
    rng = np.random.default_rng(0)
    planes, rows, columns = shape
    z_um = STEP_UM * np.arange(planes)
    y, x = np.mgrid[:rows, :columns]
    truth = 10 + 5 * np.sin(x / 60) * np.cos(y / 45)
    focus = np.empty(shape, np.float32)
    for k, z in enumerate(z_um):
        bell = np.exp(-0.5 * ((z - truth) / WIDTH_UM) ** 2)
        focus[k] = 50 * (bell + NOISE * rng.standard_normal(truth.shape))
    stack = rng.integers(0, 256, shape).astype(np.uint8)
    return Volume(stack, focus, z_um, truth)


def cuda_row(drawn: Volume, reach: int, runs: int) -> dict[str, Cell]:
    xp, nd, on = cuda_timing.cupy(), cuda_timing.ndimage(), cuda_timing.card()
    stack, focus = xp.asarray(drawn.stack), xp.asarray(drawn.focus)
    composed = cupy_focus.Argmax(xp, drawn.z_um, reach) if nd is not None else None
    ours, plane, peer = cuda_timing.medians_ms(
        runs,
        lambda: argmax_refocus(stack, focus, z_um=drawn.z_um, reach=reach),
        lambda: focus.argmax(axis=0),
        (lambda: composed(stack, focus)) if composed is not None else None,
    )
    pixels = drawn.truth.size
    moved = drawn.focus.nbytes + pixels * (drawn.stack.itemsize + 16)
    return {
        "reach": reach,
        "ours ms": ours,
        "Gpx/s": drawn.focus.size / ours / 1e6,
        "CuPy ms": peer,
        "ratio": peer / ours,
        "argmax ms": plane,
        "memory %": on.of_memory(moved, ours),
        "operations %": on.of_floats(drawn.focus.size + 24 * (2 * reach + 1) * pixels, ours),
    }


def cuda_table(shape: tuple[int, int, int], runs: int) -> None:
    on = cuda_timing.card()
    what = (
        f"argmax_refocus, {shape[0]} planes {shape[2]}x{shape[1]} (8 bit, focus float32), medians of {runs}"
    )
    print(cuda_timing.heading(what, on))
    if cuda_timing.ndimage() is None:
        print(f"CuPy ms: {cuda_timing.ABSENT}")
    drawn = volume(shape)
    rows = [cuda_row(drawn, reach, runs) for reach in (REACHES[3:4] if on.emulated else REACHES)]
    print(*lines(rows), sep="\n", flush=True)


def cpu_table(shape: tuple[int, int, int], runs: int) -> None:
    stack, focus, z_um, truth = volume(shape)
    print(
        f"argmax_refocus, {shape[0]} planes {shape[2]}x{shape[1]} (8 bit, focus {focus.nbytes / 1e6:.0f} MB"
        f"), {_core.available_cores()} cores, {_core.instruction_set()}; Gaussian curves {WIDTH_UM} µm wide, "
        f"noise {NOISE} of the peak"
    )
    print(
        f"{'reach':>6}{'ms':>8}{'argmax ms':>11}{'ratio':>7}{'copies':>8}"
        f"{'rms µm':>9}{'planes µm':>11}{'in 1 sigma':>12}"
    )
    for reach in REACHES:
        mine, peer, copy = medians_ms(
            runs,
            lambda reach=reach: argmax_refocus(stack, focus, z_um=z_um, reach=reach),
            lambda: focus.argmax(axis=0),
            lambda: focus.copy(),
        )
        got = argmax_refocus(stack, focus, z_um=z_um, reach=reach)
        error = got.height_um - truth
        coarse = np.sqrt(np.mean((z_um[got.plane] - truth) ** 2))
        inside = np.mean(np.abs(error) < got.sigma_um) if reach > 1 else np.nan
        print(
            f"{reach:6}{mine:8.1f}{peer:11.1f}{peer / mine:7.1f}{mine / copy:8.2f}"
            f"{np.sqrt(np.nanmean(error**2)):9.4f}{coarse:11.4f}{inside:12.2f}",
            flush=True,
        )
    for line in accuracy_lines():
        print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="timed calls each; the median counts")
    cuda_timing.add_arguments(parser)
    given = parser.parse_args(arguments)
    if given.device == "cuda":
        shape = QUICK if given.quick else CUDA_SHAPE
        return cuda_timing.run("bench_argmax_refocus", lambda: cuda_table(shape, given.runs))
    cpu_table(QUICK if given.quick else SHAPE, given.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
