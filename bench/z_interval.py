"""Height error over the z interval of a scan at NA 0.5, as a figure.

The paper chose 200 nm (its Figure S2). lee with its defaults beside the best of the OpenCV baselines, chosen
with knowledge of the truth at every interval; their fit spans 1.2 µm to each side, as ±6 frames of 200 nm do.
"""

import argparse
from functools import partial
from pathlib import Path

import cv2
import matplotlib
import numpy as np

import lee
from bench.peers.opencv_focus import MEASURES, WINDOWS_PX, fitted_heights
from bench.scores import Score, score
from bench.table import Cell, lines, machine
from lee.devices import virtual

matplotlib.use("Agg")
from matplotlib import pyplot as plt

INTERVALS_UM = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0)
PAPER_UM = 0.2
PEER_REACH_UM = 1.2
FAR_UM = 0.6  # the same at every interval: three of the paper's
MARGIN_UM = 4.0
SIDE_PX = 240
PIXEL_UM = 0.25
SCENES = {"gentle": virtual.gentle, "rugged": virtual.rugged}


def scores_at(scene: virtual.Scene, interval_um: float, seed: int) -> tuple[Score, Score]:
    """Return how we and the best baseline do on a scan with this interval."""
    low, high = float(scene.height_um.min()) - MARGIN_UM, float(scene.height_um.max()) + MARGIN_UM
    start = low - interval_um * np.random.default_rng([seed, 8]).random()
    z = np.arange(start, high + interval_um, interval_um)
    scan = virtual.render_scan(scene, z_um=z, seed=seed)
    surface = lee.reconstruct(
        lee.ZStack.from_array(scan.frames, z, PIXEL_UM), params=lee.ReconstructParams(threads=1)
    )
    rate = partial(score, step_um=FAR_UM / 3)
    half = max(1, round(PEER_REACH_UM / interval_um))
    curves = (
        np.stack([measure(frame.astype(np.float32), window) for frame in scan.frames])
        for measure in MEASURES.values()
        for window in WINDOWS_PX
    )
    theirs = [rate((fitted_heights(curve, z, half) - scan.truth_um).ravel()) for curve in curves]
    return rate((surface.height_um - scan.truth_um).ravel()), min(theirs, key=lambda each: each.rms)


def draw(found: dict[str, list[tuple[Score, Score]]], intervals: list[float], path: Path) -> None:
    """Write the figure; it appears whole or not at all."""
    figure, axes = plt.subplots(1, len(found), figsize=(5 * len(found), 4), sharey=True, layout="constrained")
    for axis, (name, pairs) in zip(np.atleast_1d(axes), found.items(), strict=True):
        for side, (who, colour) in enumerate((("lee", "C0"), ("best of OpenCV", "C1"))):
            axis.plot(intervals, [pair[side].rms for pair in pairs], "o-", color=colour, label=f"{who}, rms")
            medians = [pair[side].median for pair in pairs]
            axis.plot(intervals, medians, "s--", color=colour, label=f"{who}, median", markersize=4)
        axis.axvline(PAPER_UM, color="0.6", linewidth=1)
        axis.annotate(" 200 nm", (PAPER_UM, 1), xycoords=("data", "axes fraction"), va="top", color="0.4")
        axis.set(xscale="log", yscale="log", xlabel="z interval (µm)", title=name)
        axis.grid(True, which="both", alpha=0.25)
    np.atleast_1d(axes)[0].set_ylabel("height error (µm)")
    np.atleast_1d(axes)[0].legend(fontsize=8)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, dpi=150, format=path.suffix[1:] or "png")
    plt.close(figure)
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("z_interval.png"), help="the figure")
    parser.add_argument("--seed", type=int, default=1, help="scenes and noise to draw")
    parser.add_argument("--intervals", type=float, nargs="+", default=INTERVALS_UM, help="µm")
    parser.add_argument("--side", type=int, default=SIDE_PX, help="pixels a side")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    intervals = sorted(arguments.intervals)
    found: dict[str, list[tuple[Score, Score]]] = {}
    rows: list[dict[str, Cell]] = []
    for name, make in SCENES.items():
        scene = make((arguments.side, arguments.side), PIXEL_UM, arguments.seed)
        found[name] = [scores_at(scene, interval, arguments.seed) for interval in intervals]
        for interval, (ours, theirs) in zip(intervals, found[name], strict=True):
            rows.append(
                {
                    "scene": name,
                    "z interval um": interval,
                    "rms": ours.rms,
                    "median": ours.median,
                    "over 0.6 um %": 100 * ours.far,
                    "peer rms": theirs.rms,
                    "peer median": theirs.median,
                    "peer over %": 100 * theirs.far,
                }
            )
    print(f"height error (µm) over the z interval, NA 0.5, {arguments.side} px a side; {machine()}")
    print(*lines(rows), sep="\n")
    draw(found, intervals, arguments.output)
    print(f"figure: {arguments.output}")


if __name__ == "__main__":
    main()
