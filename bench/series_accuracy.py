"""Accuracy of a run over time against known truth: curvature, area, rates, alignment.

Each row: quantity, scene, limit, aim, result; the worst seed counts, all seeds are listed. Curvature and area
are those of analytic surfaces with noise of 1 % of their relief, both at the automatic scale.

Runs are growing scenes scanned every 10 s, rates fitted over 5 scans: exact heights with noise of 80 nm, new
in every scan, persistent or growing with the slope; scans drawn by the virtual rig and by a second renderer
that shares no code with it, measured as `lee series` does by default; and the run of `lee demo`, plated and
then stripped. The stage wanders from scan to scan, not during a scan. "lateral alignment" is the displacement
of the aligned surfaces from the first one, by the true relief; "stage's walk" is the error of the measured
walk, where a drift within a scan counts as error, and again with that correction off.

Stated errors are held against true ones: the share of pixels' rates within one standard deviation should be
68 %; the worse of trenches and protrusions, their ratio, and (rms over the scans) area at the scale of the
slopes and deposited volume are given in their standard errors. The truth of a volume is what the scan saw.
"Exact heights" is the same fit on the truth: what is left is how it bends at the first scan, in trenches or
protrusions, in nm/s and in the errors stated for the measured run. A still sample is seen ten times by the
rig's camera, each time from another fraction of a step; the worst scan counts.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lee
from bench.judged_row import Row, print_rows
from bench.scenes.analytic_surfaces import SURFACES, area_um2, sampled
from bench.scenes.growing_runs import (
    INTERVAL_S,
    PIXEL_UM,
    MeasuredRun,
    demo_run,
    noisy_run,
    persistent_run,
    rays_run,
    rig_run,
    sloped_run,
    still_heights,
)
from bench.table import machine
from lee.series.alignment.scan_alignment import align, apply_alignment
from lee.series.growth.rates import Growth, growth
from lee.series.region_curves import noise_area_px, rate_ratio, region_curves
from lee.surfaces.areal import areal, areal_over_time
from lee.surfaces.regions import Region

NOISE = 0.01  # of the relief
WINDOW = 5
EXPECTED_SHARE = 68.27  # %, within one standard deviation
MADE = {"noisy truth": noisy_run, "persistent noise": persistent_run, "sloped noise": sloped_run}
RUNS = {**MADE, "virtual rig": rig_run, "Gaussian gather": rays_run, "demo": demo_run}
Map = NDArray[np.float32]


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
    found = growth(heights, sigmas, run.times_s, window=WINDOW, phases=run.phases)
    exact = growth(run.truth_um, sigmas, run.times_s, window=WINDOW, phases=run.phases)
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
        "share": abs(share_within(error, found.rate_sigma_nm_per_s) - EXPECTED_SHARE),
        **errors_in_sigmas(run, heights, sigmas, found, exact),
    }


def share_within(error: Map, sigma: Map) -> float:
    """Return the share of errors within one standard deviation, %."""
    known = np.isfinite(error)
    return 100 * float(np.mean(np.abs(error[known]) <= sigma[known]))


def errors_in_sigmas(
    run: MeasuredRun, heights: Map, sigmas: Map, found: Growth, exact: Growth
) -> dict[str, float]:
    """Return errors of regions, ratio, area and volume over their stated ones, also of exact heights."""
    regions = [
        Region("trenches", "trench", run.trenches),
        Region("protrusions", "protrusion", run.protrusions),
    ]
    alike = noise_area_px(heights, run.times_s)
    curves, exact_curves = (
        region_curves(
            regions,
            heights,
            one.rate_nm_per_s,
            one.rate_sigma_nm_per_s,
            run.times_s,
            pixel_um=PIXEL_UM,
            sigmas_um=sigmas,
            shared_sigmas_nm_per_s=one.shared_sigma_nm_per_s,
            noise_area=shared,
        )
        for one, shared in ((found, alike), (exact, 1.0))
    )
    first = curves[curves["scan"] == 0].set_index("region")
    true = {one.name: float(run.rate_nm_per_s[0, one.mask].mean()) for one in regions}
    off = {name: abs(first["rate_nm_per_s"][name] - rate) for name, rate in true.items()}
    stated = first["rate_se_nm_per_s"]
    alone = exact_curves[exact_curves["scan"] == 0].set_index("region")
    bias = {name: abs(alone["rate_nm_per_s"][name] - rate) for name, rate in true.items()}
    ratio = rate_ratio(curves).iloc[0]
    scale = lee.curvature(heights[0], pixel_um=PIXEL_UM, height_sigma_um=sigmas[0], threads=1).scale_um
    options = {"pixel_um": PIXEL_UM, "scale_um": scale}
    table = areal_over_time(heights, run.times_s, sigmas_um=sigmas, noise_area_px=alike, **options)
    truth = areal_over_time(run.seen_um, run.times_s, **options)
    area = (table["area_um2"] - truth["area_um2"]) / table["area_se_um2"]
    volume = (table["deposited_um3"] - truth["deposited_um3"])[1:] / table["deposited_se_um3"][1:]
    return {
        "region": max(off[name] / stated[name] for name in true),
        "ratio, in errors": abs(ratio["ratio"] - true["trenches"] / true["protrusions"]) / ratio["ratio_se"],
        "bias": max(bias.values()),
        "bias, in errors": max(bias[name] / stated[name] for name in true),
        "area": rms(area.to_numpy()),
        "volume": rms(volume.to_numpy()),
    }


def still_errors(side_px: int, seed: int, scans: int = 10) -> tuple[float, float, float]:
    """Return what a still sample seems to grow by: nm/s, in standard errors, and the share within one sigma.

    The first two are of the mean over the field, the worst of all scans.
    """
    heights, sigmas = still_heights(side_px, seed, scans)
    times = INTERVAL_S * np.arange(scans)
    found = growth(heights, sigmas, times, window=WINDOW)
    field = Region("field", "drawn", np.ones(heights.shape[1:], dtype=np.bool_))
    curve = region_curves(
        [field],
        heights,
        found.rate_nm_per_s,
        found.rate_sigma_nm_per_s,
        times,
        pixel_um=PIXEL_UM,
        sigmas_um=sigmas,
        shared_sigmas_nm_per_s=found.shared_sigma_nm_per_s,
    )
    rate = curve["rate_nm_per_s"].abs()
    share = share_within(found.rate_nm_per_s, found.rate_sigma_nm_per_s)
    return float(rate.max()), float((rate / curve["rate_se_nm_per_s"]).max()), abs(share - EXPECTED_SHARE)


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
        row("ratio, first scan", "trench/protrusion rate, scan 0", "% off", 10, 3),
    ]
    if of != "demo":  # stripping undoes plating: its mean rate is near zero
        rows.append(row("ratio", "trench/protrusion rate, run", "% off", 10, 3))
    rows += [
        row("share", "rates within one sigma, off 68 %", "%", 8, 3),
        row("region", "region's rate, scan 0", "its errors", 2.5, 1),
        row("ratio, in errors", "trench/protrusion rate, scan 0", "its errors", 2, 1),
        row("bias, in errors", "exact heights, scan 0", "stated errors", 1, 0.5),
        row("bias", "exact heights, scan 0", "nm/s off", 2, 0.5),
        row("area", "true area at its scale", "its errors", 2, 1),
        row("volume", "deposited volume", "its errors", 2, 1),
    ]
    if of not in MADE:
        rows += [
            row("aligned", "lateral alignment", "px rms", 0.1, 0.03),
            row("walk", "stage's walk", "px rms", 0.1, 0.03),
            row("walk, still", "stage's walk, drift=False", "px rms", 0.1, 0.03),
        ]
    return rows


def still_rows(seeds: Iterable[int], side_px: int) -> list[Row]:
    """Return the rows of a still sample."""
    rate, in_errors, share = zip(*(still_errors(side_px, seed) for seed in seeds), strict=True)
    return [
        Row("still sample, mean rate", "virtual rig", "nm/s", 1, 0.3, rate),
        Row("still sample, mean rate", "virtual rig", "its errors", 2, 1, in_errors),
        Row("still sample, within one sigma, off 68 %", "virtual rig", "%", 8, 3, share),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="surfaces and scenes to draw")
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
    rows += still_rows(arguments.seeds, run_px)
    print_rows(rows, arguments.csv)


if __name__ == "__main__":
    main()
