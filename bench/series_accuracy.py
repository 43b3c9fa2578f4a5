"""Accuracy of a run over time against known truth: curvature, area, rates, alignment.

Each row: quantity, scene, limit, aim, result; the worst seed counts, all seeds are listed. Curvature and area
are those of analytic surfaces with noise of 1 % of their relief, both at the automatic scale.

Runs are growing scenes scanned every 10 s, rates fitted over 5 scans: exact heights with noise of 80 nm, and
scans drawn by the virtual rig and by a second renderer that shares no code with it, measured as `lee series`
does by default. The stage wanders from scan to scan, not during a scan. "lateral alignment" is the
displacement of the aligned surfaces from the first one, by the true relief; "stage's walk" is the error of
the measured walk, where a drift within a scan counts as error, and again with that correction off.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lee
from bench.scenes.analytic_surfaces import SURFACES, area_um2, sampled
from bench.scenes.growing_runs import PIXEL_UM, MeasuredRun, noisy_run, rays_run, rig_run
from bench.table import Cell, lines, machine, write_csv
from lee.series.alignment.scan_alignment import align, apply_alignment
from lee.series.growth.rates import growth
from lee.surfaces.areal import areal

NOISE = 0.01  # of the relief
WINDOW = 5
RUNS = {"noisy truth": noisy_run, "virtual rig": rig_run, "Gaussian gather": rays_run}
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """A figure, the smaller the better: what must be reached, what is aimed at, and what each seed got."""

    what: str
    of: str
    unit: str
    must: float
    aim: float
    got: tuple[float, ...]

    @property
    def worst(self) -> float:
        """The largest; NaN where any is."""
        return float(np.max(self.got))

    @property
    def verdict(self) -> str:
        """Say which bound the worst seed keeps."""
        return "aim" if self.worst <= self.aim else "must" if self.worst <= self.must else "MISSED"

    def cells(self) -> dict[str, Cell]:
        """Return the row of the table."""
        return {
            "what": self.what,
            "of": self.of,
            "unit": self.unit,
            "must": self.must,
            "aim": self.aim,
            "got": self.worst,
            "": self.verdict,
            "seeds": " ".join(f"{one:.3g}" for one in self.got),
        }


def noisy_surface(name: str, seed: int, side_px: int) -> tuple[Map, NDArray[np.float64], float, float]:
    """Return noisy heights, true mean curvature, pixel size and true area of an analytic surface."""
    surface = SURFACES[name](np.random.default_rng([seed, 1]))
    exact, pixel = sampled(surface, side_px)
    noise = np.random.default_rng([seed, 2]).normal(0, NOISE * np.ptp(exact.height), exact.height.shape)
    return (exact.height + noise).astype(np.float32), exact.mean_per_um, pixel, area_um2(surface, side_px)


def surface_errors(name: str, seed: int, side_px: int) -> tuple[float, float]:
    """Return by how many % mean curvature (rms over the whole map, of its rms) and area are off.

    Both at the automatic scale.
    """
    height, truth, pixel, area = noisy_surface(name, seed, side_px)
    curved = lee.curvature(height, pixel_um=pixel, threads=1)
    found = areal(height, pixel_um=pixel, scale_um=curved.scale_um)
    return 100 * rms(curved.mean_per_um - truth) / rms(truth), 100 * abs(found.area_um2 / area - 1)


def run_errors(run: MeasuredRun) -> dict[str, float]:
    """Measure a run as `lee series` does and return its errors by name."""
    whole = align(run.height_um, run.refocused, pixel_um=PIXEL_UM)
    still = align(run.height_um, run.still, pixel_um=PIXEL_UM)
    heights, sigmas = (
        apply_alignment(whole, run.height_um),
        apply_alignment(whole, run.sigma_um, heights=False),
    )
    found = growth(heights, sigmas, run.times_s, window=WINDOW)
    error = found.rate_nm_per_s - run.rate_nm_per_s
    middle = slice(WINDOW // 2, len(error) - WINDOW // 2)
    return {
        "rate": rms(error),
        "rate, whole windows": rms(error[middle]),
        "ratio": ratio_error(found.rate_nm_per_s, run),
        "ratio, first scan": ratio_error(found.rate_nm_per_s[:1], run),
        "aligned": rms(displacements(heights, run.truth_um)[1:]),
        "walk": rms(whole.shift_px[1:] - run.shift_px[1:]),
        "walk, still": rms(still.shift_px[1:] - run.shift_px[1:]),
    }


def displacements(height_um: Map, truth_um: Map) -> NDArray[np.float64]:
    """Return the displacement of each surface from the truth, (T, 2) px (dy, dx), relative to the first.

    A surface displaced by d is off by -d times the slope; d is fitted to the errors, those that are far
    from the usual left out.
    """
    found = []
    for height, truth in zip(height_um, truth_um, strict=True):
        off = (height - truth).astype(np.float64)
        known = np.isfinite(off)
        known &= np.abs(off - np.median(off[known])) < 5 * np.median(
            np.abs(off[known] - np.median(off[known]))
        )
        slopes = np.stack([*np.gradient(truth.astype(np.float64)), np.ones(truth.shape)], axis=-1)[known]
        found.append(-np.linalg.lstsq(slopes, off[known], rcond=None)[0][:2])
    return np.array(found) - found[0]


def ratio_error(rate_nm_per_s: Map, run: MeasuredRun) -> float:
    """Return by how many % the ratio of trenches' to protrusions' mean rate is off, over the given scans."""

    def ratio(rate: Map) -> float:
        return float(np.nanmean(rate[:, run.trenches]) / np.nanmean(rate[:, run.protrusions]))

    return 100 * abs(ratio(rate_nm_per_s) / ratio(run.rate_nm_per_s[: len(rate_nm_per_s)]) - 1)


def rms(values: NDArray[np.floating]) -> float:
    """Return the root mean square of what is measured; NaN where nothing is."""
    known = values[np.isfinite(values)].astype(np.float64)
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")


def surface_rows(seeds: Iterable[int], side_px: int) -> list[Row]:
    """Return the rows of the analytic surfaces."""
    found = {name: [surface_errors(name, seed, side_px) for seed in seeds] for name in SURFACES}
    curved = [
        Row("mean curvature", name, "% rms", 8, 2, tuple(e for e, _ in found[name])) for name in SURFACES
    ]
    area = [Row("true area", name, "% off", 2, 0.5, tuple(e for _, e in found[name])) for name in SURFACES]
    return curved + area


def run_rows(of: str, seeds: Iterable[int], side_px: int, scans: int) -> list[Row]:
    """Return the rows of the runs of one kind."""
    found = [run_errors(RUNS[of](side_px, seed, scans)) for seed in seeds]

    def row(key: str, what: str, unit: str, must: float, aim: float) -> Row:
        return Row(what, of, unit, must, aim, tuple(errors[key] for errors in found))

    rows = [
        row("rate", "rate map, all scans", "nm/s rms", 5, 2),
        row("rate, whole windows", "rate map, whole windows", "nm/s rms", 5, 2),
        row("ratio", "trench/protrusion rate, run", "% off", 10, 3),
        row("ratio, first scan", "trench/protrusion rate, scan 0", "% off", 10, 3),
    ]
    if of != "noisy truth":
        rows += [
            row("aligned", "lateral alignment", "px rms", 0.1, 0.03),
            row("walk", "stage's walk", "px rms", 0.1, 0.03),
            row("walk, still", "stage's walk, drift=False", "px rms", 0.1, 0.03),
        ]
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="surfaces and scenes to draw")
    parser.add_argument("--quick", action="store_true", help="smaller fields, fewer scans")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()
    surface_px, run_px, scans = (400, 128, 7) if arguments.quick else (512, 192, 11)
    cv2.setNumThreads(1)
    print(
        f"accuracy over time: surfaces {surface_px}x{surface_px} px of 100 µm; runs {scans} scans of "
        f"{run_px}x{run_px} px of {PIXEL_UM} µm; seeds {arguments.seeds}; {machine()}"
    )
    rows = surface_rows(arguments.seeds, surface_px)
    for of in RUNS:
        rows += run_rows(of, arguments.seeds, run_px, scans)
    print(*lines([row.cells() for row in rows]), sep="\n")
    if arguments.csv:
        write_csv([row.cells() for row in rows], arguments.csv)


if __name__ == "__main__":
    main()
