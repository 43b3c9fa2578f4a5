"""Accuracy on scans of known surfaces: lee with its defaults beside the best of six OpenCV baselines.

Ours: `lee.reconstruct`, its measured pixels; "filled" is `height_filled_um` over all pixels. Errors are in
µm; "far" is the share beyond three steps; "in 1 sigma" and "in 3 sigma" are the shares of errors within so
many of our standard deviations. "s" is our time for a scan.

Clean scans. Peer: of variance and Tenengrad in windows of 5, 9 and 21 px, the one with the smallest rms,
chosen with knowledge of the truth. "ratio" is the rms of height_filled_um over all pixels divided by that of
the peer; "ratio same px" compares both on our measured pixels. "rms / limit" and "noise / limit" compare all
of our error, and its part that differs when only the noise does, with the least that noise leaves to a window
of 5 px (`bench.noise_limit`).

Occluded scans. "free", "partly", "hidden": pixels that a body touched only out of focus, in up to half of
the frames in focus, in most of them; a frame counts half where less than half of the pixel's cone of light is
cut. "measured" is the share of them that has a height, "wrong" the share
that has one and is far; both of all such pixels. "touched filled far" is height_filled_um over all touched
pixels.

Unseen: what no scan can show, patches without texture ("blank") and surface above the last frame ("outside").
"blank off 3 sigma" is the share of the measured ones.

Disturbed scans: drift, vibration, flicker, and steps as wide as the focus curve. "rms steady" is ours on the
pixels that the motion kept in all frames.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

import lee
from bench.noise_limit import noise_limit_um, repeated
from bench.peers.opencv_focus import all_peers, fitted_heights, tenengrad, variance
from bench.scenes import heat_sink
from bench.scenes.accuracy_cases import Case, all_cases, data_folder
from bench.scenes.taken_scans import Taken
from bench.scores import called, focus_classes, score, within_sigma
from bench.table import Cell, lines, machine, write_csv

SIDE_PX = 240
QUICK_PX = 160
SEEDS = [1, 2, 3]
# The finest window of lee without a target.
WINDOW_PX = 5
Map = np.ndarray
Row = dict[str, Cell]
# Full texture everywhere: noise and the window's bias are all that is left.
NOISE_LIMITED = ("gentle", "gentle, low light", "caps", "caps, low light")


@dataclass(frozen=True)
class Pixels:
    """What was found of the known pixels of one scan, each (N,)."""

    error: Map
    filled: Map
    sigma: Map
    touched: Map
    hidden_share: Map
    blank: Map
    outside: Map
    steady: Map


@dataclass
class Measured:
    """One case: the pixels of all its scans, the peers' errors, the step, and our time for a scan."""

    pixels: Pixels
    peers: Mapping[str, Map]
    step_um: float
    seconds: float
    noise: tuple[float, float, float]
    """Limit, our error and its part by noise, rms in µm over the scans; NaN where not limited by noise."""


def measured(case: Case, side_px: int, seeds: list[int], threads: int) -> Measured:
    """Take the scans of a case and measure them."""
    found: list[Pixels] = []
    theirs: dict[str, list[Map]] = {}
    step, seconds = 0.0, 0.0
    noise = []
    for seed in seeds:
        taken = case.draw((side_px, side_px), seed)
        step = float(np.median(np.abs(np.diff(taken.z_um))))
        begin = time.perf_counter()
        surface = reconstructed(taken, taken.frames, threads)
        seconds += time.perf_counter() - begin
        known = np.isfinite(taken.truth_um)
        maps = (
            surface.height_um - taken.truth_um,
            surface.height_filled_um - taken.truth_um,
            surface.height_sigma_um,
            taken.touched,
            taken.hidden_share,
            taken.blank,
            taken.outside(),
            taken.seen_throughout(),
        )
        found.append(Pixels(*(np.asarray(one)[known] for one in maps)))
        if case.table in ("clean", "occluded"):
            for peer in all_peers(taken.frames, taken.z_um):
                theirs.setdefault(peer.name, []).append((peer.height_um - taken.mean_truth_um)[known])
        if case.table == "clean" and case.name in NOISE_LIMITED:
            quiet = taken.quiet()
            limit = noise_limit_um(taken.frames, quiet, taken.z_um, taken.truth_um, WINDOW_PX**2)
            again = reconstructed(taken, repeated(taken.frames, quiet), threads).height_um
            by_noise = score((surface.height_um - again) / np.sqrt(2), step).rms
            noise.append((limit, score(found[-1].error, step).rms, by_noise))
    each = [vars(one).values() for one in found]
    pooled = Pixels(*(np.concatenate(parts) for parts in zip(*each, strict=True)))
    limits = np.sqrt(np.mean(np.square(noise), axis=0)) if noise else np.full(3, np.nan)
    return Measured(
        pooled,
        {name: np.concatenate(parts) for name, parts in theirs.items()},
        step,
        seconds / len(seeds),
        (float(limits[0]), float(limits[1]), float(limits[2])),
    )


def reconstructed(taken: Taken, frames: Map, threads: int) -> lee.Surface:
    stack = lee.ZStack.from_array(frames, taken.z_um, taken.pixel_um)
    return lee.reconstruct(stack, params=lee.ReconstructParams(threads=threads))


def common(case: Case, found: Measured) -> Row:
    """Return the columns of every row."""
    pixels = found.pixels
    mine = score(pixels.error, found.step_um)
    return {
        "case": case.name,
        "rms": mine.rms,
        "median": mine.median,
        "p95": mine.p95,
        "far %": 100 * mine.far,
        "cover %": 100 * float(np.isfinite(pixels.error).mean()),
        "in 1 sigma %": 100 * within_sigma(pixels.error, pixels.sigma),
        "in 3 sigma %": 100 * within_sigma(pixels.error, pixels.sigma, 3),
    }


def clean(found: Measured) -> Row:
    step, pixels = found.step_um, found.pixels
    whole, valid = score(pixels.filled, step), np.isfinite(pixels.error)
    scores = {name: score(errors, step) for name, errors in found.peers.items()}
    best = min(scores, key=lambda name: scores[name].rms)
    same = score(found.peers[best][valid], step).rms
    limit, rms, by_noise = found.noise
    return {
        "filled rms": whole.rms,
        "filled far %": 100 * whole.far,
        "peer": best,
        "peer rms": scores[best].rms,
        "peer median": scores[best].median,
        "peer far %": 100 * scores[best].far,
        "ratio": whole.rms / scores[best].rms,
        "ratio same px": score(pixels.error, step).rms / same,
        "rms / limit": rms / limit,
        "noise / limit": by_noise / limit,
    }


def occluded(found: Measured) -> Row:
    step, pixels = found.step_um, found.pixels
    row: Row = {"touched %": 100 * float(pixels.touched.mean())}
    for name, chosen in focus_classes(pixels.touched, pixels.hidden_share).items():
        judged = called(pixels.error[chosen], step)
        row[f"{name} %"] = 100 * float(chosen.mean())
        row[f"{name} measured %"] = 100 * judged.measured
        row[f"{name} wrong %"] = 100 * judged.wrong
    row["touched filled far %"] = 100 * score(pixels.filled[pixels.touched], step).far
    theirs = (score(errors[pixels.touched], step).far for errors in found.peers.values())
    row["peer touched far %"] = 100 * min(theirs)
    return row


def unseen(found: Measured) -> Row:
    pixels, step = found.pixels, found.step_um
    blank = called(pixels.error[pixels.blank], step)
    outside = called(pixels.error[pixels.outside], step)
    covered = within_sigma(pixels.error[pixels.blank], pixels.sigma[pixels.blank], 3)
    return {
        "blank %": 100 * float(pixels.blank.mean()),
        "blank measured %": 100 * blank.measured,
        "blank wrong %": 100 * blank.wrong,
        "blank off 3 sigma %": 100 * (1 - covered),
        "outside %": 100 * float(pixels.outside.mean()),
        "outside measured %": 100 * outside.measured,
        "outside wrong %": 100 * outside.wrong,
    }


def disturbed(found: Measured) -> Row:
    return {"rms steady": score(found.pixels.error[found.pixels.steady], found.step_um).rms}


COLUMNS: dict[str, Callable[[Measured], Row]] = {
    "clean": clean,
    "occluded": occluded,
    "unseen": unseen,
    "disturbed": disturbed,
}


def measured_row(case: Case, side_px: int, seeds: list[int], threads: int) -> Row:
    """Return a row of a table, the pixels of all seeds taken together."""
    found = measured(case, side_px, seeds, threads)
    return {**common(case, found), **COLUMNS[case.table](found), "s": found.seconds}


def rows_of(cases: list[Case], jobs: int, side_px: int, seeds: list[int], threads: int) -> Iterator[Row]:
    """Yield the row of each case, in order."""
    take = partial(measured_row, side_px=side_px, seeds=seeds, threads=threads)
    if min(jobs, len(cases)) < 2:
        yield from map(take, cases)
        return
    one_each = partial(cv2.setNumThreads, threads or -1)
    # A forked child would inherit locks of the threads that the kernels started.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=one_each) as pool:
        yield from pool.map(take, cases)


def heat_sink_rows(folder: Path, threads: int) -> list[Row]:
    """Return how flat ridges and floors of the real heat sink are, by us and by peers in windows 5, 9."""
    frames = heat_sink.frames(folder)
    z = np.arange(len(frames), dtype=np.float64)
    stack = lee.ZStack.from_array(frames, z, 1.0)
    maps = {
        "ours": np.asarray(lee.reconstruct(stack, params=lee.ReconstructParams(threads=threads)).height_um)
    }
    for name, measure in (("variance", variance), ("Tenengrad", tenengrad)):
        for window in (5, 9):
            curves = np.stack([measure(frame.astype(np.float32), window) for frame in frames])
            for half in (2, 6):
                maps[f"{name} {window}, fit over +-{half}"] = fitted_heights(curves, z, half).astype(
                    np.float32
                )
    judge = maps["Tenengrad 9, fit over +-2"]
    ridge, floor = heat_sink.levels(judge)
    ridges, floors = heat_sink.region(judge, ridge), heat_sink.region(judge, floor)
    each_ridge = heat_sink.parts(ridges)
    rows: list[Row] = []
    for name, height in maps.items():
        top, bottom = heat_sink.flatness(height, ridges), heat_sink.flatness(height, floors)
        by_ridge = float(np.median([heat_sink.flatness(height, part).rms for part in each_ridge]))
        rows.append(
            {
                "heat sink (steps)": name,
                "ridge rms": top.rms,
                "ridge by ridge": by_ridge,
                "median": top.median,
                "rms within 1 step": top.core_rms,
                "beyond 1 step %": 100 * top.outliers,
                "measured %": 100 * top.pixels / np.count_nonzero(ridges),
                "floor rms": bottom.rms,
                "floor median": bottom.median,
                "floor beyond %": 100 * bottom.outliers,
                "ridge over floor": top.level - bottom.level,
            }
        )
    return rows


def summary(rows: list[Row]) -> str:
    """Return what several rows say together: ratios over clean scans, and what drift changes."""
    told = []
    ratios = [row for row in rows if "ratio" in row]
    if ratios:
        middle = {
            name: float(np.exp(np.mean([np.log(float(row[name])) for row in ratios])))
            for name in ("ratio", "ratio same px")
        }
        worst = max(ratios, key=lambda row: float(row["ratio"]))
        told.append(
            f"rms to that of the best peer, geometric mean of {len(ratios)} clean scans: "
            f"{middle['ratio']:.2f}, on our measured pixels {middle['ratio same px']:.2f}; "
            f"at most {float(worst['ratio']):.2f} ({worst['case']})"
        )
    at = {(row["renderer"], row["case"]): row for row in rows}
    parts = []
    for (renderer, moved), row in at.items():
        still = at.get((renderer, str(moved).removesuffix(", drift 8 px")), row)
        if still is not row:
            everywhere, steady = (float(row[k]) / float(still["rms"]) for k in ("rms", "rms steady"))
            parts.append(f"{still['case']} {everywhere:.2f}, of pixels in every frame {steady:.2f}")
    if parts:
        told.append(f"rms with a drift of 8 px to that without: {'; '.join(parts)}")
    return "\n".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=SEEDS, help="scenes to draw; their pixels are pooled"
    )
    parser.add_argument("--only", default="", help="cases whose table, renderer or name holds this text")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PX} instead of {SIDE_PX} px, one seed")
    parser.add_argument("--threads", type=int, default=1, help="cores for either side; 0 = all")
    parser.add_argument("--jobs", type=int, default=2, help="cases measured at a time")
    parser.add_argument("--csv", type=Path, help="write the rendered cases to this file as well")
    arguments = parser.parse_args()
    side = QUICK_PX if arguments.quick else SIDE_PX
    seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
    cv2.setNumThreads(arguments.threads or -1)
    print(f"accuracy, {side}x{side} px of 0.25 µm, seeds {seeds}; µm; far: over 3 steps; {machine()}")
    everything: list[Row] = []
    cases = [c for c in all_cases() if arguments.only in f"{c.table} {c.renderer} {c.name}"]
    found = rows_of(cases, arguments.jobs, side, seeds, arguments.threads)
    for (table, renderer), chosen in groupby(cases, key=lambda case: (case.table, case.renderer)):
        rows = [next(found) for _ in chosen]
        print(f"\n{table} scans, {renderer}", *lines(rows), sep="\n", flush=True)
        everything += [{"table": table, "renderer": renderer, **row} for row in rows]
    told = summary(everything)
    if told:
        print("", told, sep="\n")
    if everything and arguments.csv:
        write_csv(everything, arguments.csv)
    folder = data_folder("heatsink")
    if folder is None:
        print("\nheat sink: skipped; set LEE_SHARED_DATA to the folder that holds heatsink/")
    elif arguments.only in "heat sink":
        print("\nheat sink, a real scan: planes through a level and through each ridge; all measured pixels")
        print("count in rms; the regions are the same for all methods, from the local median of Tenengrad 9")
        print(*lines(heat_sink_rows(folder, arguments.threads)), sep="\n")


if __name__ == "__main__":
    main()
