"""Accuracy on scans of known surfaces: lee with its defaults beside the best of six OpenCV baselines.

Ours: `lee.reconstruct`, its measured pixels, then `height_filled_um` over all pixels and over those that a
bubble occluded. Peer: of variance and Tenengrad in windows of 5, 9 and 21 px, the one with the smallest rms,
chosen with knowledge of the truth; "min far" is the smallest share of any of the six. Errors are in µm; "far"
is the share beyond three steps. "ratio" is the rms of height_filled_um over all pixels divided by that of the
peer; "ratio same px" compares both on our measured pixels. "rms steady" is ours on the pixels that the drift
kept in all frames; "s" is our time for a scan.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

import lee
from bench.peers.opencv_focus import all_peers, fitted_heights, tenengrad, variance
from bench.scenes import heat_sink
from bench.scenes.accuracy_cases import Case, all_cases, data_folder
from bench.scores import score, within_sigma
from bench.table import Cell, lines, machine, write_csv

SIDE_PX = 320
QUICK_PX = 160


def measured_row(case: Case, side_px: int, seeds: list[int], threads: int) -> dict[str, Cell]:
    """Return a row of the table, the pixels of all seeds taken together."""
    ours, filled, sigma, touched, lasting = [], [], [], [], []
    theirs: dict[str, list[np.ndarray]] = {}
    step, seconds = 0.0, 0.0
    for seed in seeds:
        taken = case.draw((side_px, side_px), seed)
        step = float(np.median(np.abs(np.diff(taken.z_um))))
        stack = lee.ZStack.from_array(taken.frames, taken.z_um, taken.pixel_um)
        begin = time.perf_counter()
        surface = lee.reconstruct(stack, params=lee.ReconstructParams(threads=threads))
        seconds += time.perf_counter() - begin
        known = np.isfinite(taken.truth_um)
        ours.append((surface.height_um - taken.truth_um)[known])
        filled.append((surface.height_filled_um - taken.truth_um)[known])
        sigma.append(surface.height_sigma_um[known])
        touched.append(taken.touched[known])
        lasting.append(taken.seen_throughout()[known])
        for peer in all_peers(taken.frames, taken.z_um):
            theirs.setdefault(peer.name, []).append((peer.height_um - taken.mean_truth_um)[known])
    error, all_error, deviation = map(np.concatenate, (ours, filled, sigma))
    hidden, steady = np.concatenate(touched), np.concatenate(lasting)
    peers = {name: np.concatenate(parts) for name, parts in theirs.items()}
    scores = {name: score(errors, step) for name, errors in peers.items()}
    best = min(scores, key=lambda name: scores[name].rms)
    mine, whole, valid = score(error, step), score(all_error, step), np.isfinite(error)
    return {
        "case": case.name,
        "rms": mine.rms,
        "median": mine.median,
        "p95": mine.p95,
        "far %": 100 * mine.far,
        "cover %": 100 * float(valid.mean()),
        "in 1 sigma %": 100 * within_sigma(error, deviation),
        "filled rms": whole.rms,
        "filled far %": 100 * whole.far,
        "bubble far %": 100 * score(all_error[hidden], step).far,
        "peer": best,
        "peer rms": scores[best].rms,
        "peer median": scores[best].median,
        "peer p95": scores[best].p95,
        "peer far %": 100 * scores[best].far,
        "min far %": 100 * min(each.far for each in scores.values()),
        "peer bubble far %": 100 * min(score(errors[hidden], step).far for errors in peers.values()),
        "ratio": whole.rms / scores[best].rms,
        "ratio same px": mine.rms / score(peers[best][valid], step).rms,
        "rms steady": score(error[steady], step).rms,
        "s": seconds / len(seeds),
    }


def heat_sink_rows(folder: Path, threads: int) -> list[dict[str, Cell]]:
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
    rows: list[dict[str, Cell]] = []
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


def summary(rows: list[dict[str, Cell]]) -> str:
    """Return how drift changes the error of the same scene, where both were drawn."""
    at = {str(row["case"]): row for row in rows}
    parts = []
    for moved in at:
        still = moved.removesuffix(", drift 8 px")
        if still != moved and still in at:
            everywhere, steady = (float(at[moved][k]) / float(at[still][k]) for k in ("rms", "rms steady"))
            parts.append(f"{still} {everywhere:.2f}, of pixels in every frame {steady:.2f}")
    return f"rms with a drift of 8 px to that without: {'; '.join(parts)}" if parts else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1], help="scenes to draw; their pixels are pooled"
    )
    parser.add_argument("--only", default="", help="cases whose renderer or name holds this text")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PX} instead of {SIDE_PX} pixels a side")
    parser.add_argument("--threads", type=int, default=1, help="cores for either side; 0 = all")
    parser.add_argument("--csv", type=Path, help="write the rendered cases to this file as well")
    arguments = parser.parse_args()
    side = QUICK_PX if arguments.quick else SIDE_PX
    cv2.setNumThreads(arguments.threads or -1)
    print(
        f"accuracy, {side}x{side} px of 0.25 µm, seeds {arguments.seeds}; µm; far: over 3 steps; {machine()}"
    )
    everything: list[dict[str, Cell]] = []
    for renderer in ("virtual rig", "Gaussian gather"):
        chosen = [case for case in all_cases() if case.renderer == renderer]
        chosen = [case for case in chosen if arguments.only in f"{renderer} {case.name}"]
        rows = [measured_row(case, side, arguments.seeds, arguments.threads) for case in chosen]
        if rows:
            named = [
                {renderer if name == "case" else name: cell for name, cell in row.items()} for row in rows
            ]
            print("", *lines(named), summary(rows), sep="\n", flush=True)
            everything += [{"renderer": renderer, **row} for row in rows]
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
