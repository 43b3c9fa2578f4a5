"""Detection of spots between two frames: recall, precision, false alarms, accuracy and speed.

All detectors get the same field in the same run: Gaussian spots of known width, peaks uniform in their
logarithm from 2 to 30 times the noise of a pixel, a fifth of them in clusters. Peers get the difference of
the two frames in units of its noise, the width of a spot, and the threshold of the best F1 on this field,
"tuned on the truth", which no user could do; those with a threshold rule also run with it. lee gets the two
frames and its default threshold: one false particle expected in a pair without any.

"F1", "precision", "recall", "in clusters" (recall there): places within 1.5 px, one to one. "false":
found in a pair of frames without spots. "error": of isolated spots with a peak over 4, rms along an axis,
over the bound 0.80 px / (peak over noise); blob_log and big-fish give whole pixels. "ms": on as many
cores as a detector uses.

Then the false particles in pairs of frames without any, compared with the expected number given to lee.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import lee
from bench.peers.spot_detectors import DETECTORS, Detector
from bench.scenes.spot_fields import Field, Places, Scores, frames, random_field, scores
from bench.table import Cell, lines, machine
from bench.timing import medians_ms
from lee.kernels.detect_particles import DetectedParticles

SIDE_PX, COUNT, SIGMA_PX = 2048, 3000, 1.4
QUICK_SIDE_PX, QUICK_COUNT = 256, 47
# Brightness and noise of a pixel's difference, counts, by dtype. 8 bits hold the brightest clusters.
COUNTS: dict[str, tuple[float, float]] = {
    "float32": (2000.0, 50.0),
    "uint16": (2000.0, 50.0),
    "uint8": (40.0, 2.0),
}
FALSE_ALARMS, EMPTY_SIDE_PX, EMPTY_PAIRS = (1.0, 10.0, 100.0), 512, 100
TUNED, OWN = "tuned on the truth", "automatic"
LEE = "lee"

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Scene:
    """A field, its frames and frames without spots, by dtype."""

    field: Field
    pairs: dict[str, Pair]
    empty: dict[str, Pair]

    def difference(self, *, empty: bool = False) -> NDArray[np.float32]:
        """Return what peers are given: float32, in units of its noise."""
        before, after = (self.empty if empty else self.pairs)["float32"]
        return np.asarray((after - before) / np.float32(COUNTS["float32"][1]))


def pair_of(spots: NDArray[np.float64], seed: int, dtype: str) -> Pair:
    level, noise = COUNTS[dtype]
    return frames(spots, seed, dtype=np.dtype(dtype), level=level, noise=noise)


def scene(side_px: int, count: int) -> Scene:
    field = random_field(side_px, count, seed=1, sigma_px=SIGMA_PX)
    image = field.drawn()
    return Scene(
        field,
        {dtype: pair_of(image, 2, dtype) for dtype in COUNTS},
        {dtype: pair_of(np.zeros(field.shape), 3, dtype) for dtype in COUNTS},
    )


def places_of(found: DetectedParticles) -> Places:
    return np.stack([found.y_px, found.x_px], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Result:
    """One line: who found what, and what to call again for the time."""

    method: str
    threshold: str
    given: str
    score: Scores
    false: int
    call: Callable[[], object]

    def row(self, ms: float, of_lee_ms: float) -> dict[str, Cell]:
        return {
            "method": self.method,
            "threshold": self.threshold,
            "given": self.given,
            "F1": self.score.f1,
            "precision": self.score.precision,
            "recall": self.score.recall,
            "in clusters": self.score.cluster_recall,
            "false": self.false,
            "error": self.score.over_bound,
            "ms": ms,
            "of lee's": ms / of_lee_ms,
        }


def of_lee(on: Scene, method: str, given: str, *, dtype: str = "float32", **options: Any) -> Result:
    def places(pair: Pair) -> Places:
        return places_of(lee.detect_particles(*pair, **options))

    return Result(
        method,
        OWN,
        given,
        scores(on.field, places(on.pairs[dtype])),
        len(places(on.empty[dtype])),
        lambda: lee.detect_particles(*on.pairs[dtype], **options),
    )


def of_peer(on: Scene, peer: Detector) -> Result:
    image = on.difference()

    def tried(threshold: float) -> tuple[Scores, float]:
        return scores(on.field, peer.find(image, SIGMA_PX, threshold)), threshold

    best, threshold = max((tried(t) for t in peer.thresholds or (math.nan,)), key=lambda one: one[0].f1)
    return Result(
        peer.name,
        f"{TUNED}: {threshold:.3g}" if peer.thresholds else OWN,
        "noise, width",
        best,
        len(peer.find(on.difference(empty=True), SIGMA_PX, threshold)),
        lambda: peer.find(image, SIGMA_PX, threshold),
    )


def main_table(side_px: int, count: int, runs: int) -> None:
    on = scene(side_px, count)
    print(f"detect_particles, {count:,} spots on {side_px}x{side_px}, width {SIGMA_PX} px, {machine()}")
    ours = [
        of_lee(on, LEE, "-"),
        of_lee(on, LEE, "width", spot_sigma_px=SIGMA_PX),
        of_lee(on, f"{LEE}, 16-bit frames", "-", dtype="uint16"),
        of_lee(on, f"{LEE}, 8-bit frames", "-", dtype="uint8"),
        of_lee(on, f"{LEE}, one core", "-", threads=1),
    ]
    here = [peer for peer in DETECTORS if peer.is_here()]
    theirs = [of_peer(on, peer) for peer in here]
    times = medians_ms(runs, *(one.call for one in ours))
    times += [medians_ms(max(1, runs // 5), one.call)[0] for one in theirs]
    print(*lines([one.row(ms, times[0]) for one, ms in zip(ours + theirs, times, strict=True)]), sep="\n")
    for name in sorted({peer.distribution for peer in DETECTORS if peer not in here}):
        print(f"{name}: not installed, left out; pip install {name}")


def false_in(pairs: int, false_alarms: float, dtype: DTypeLike) -> tuple[float, float]:
    """Return false particles a pair without any, and the threshold's signal-to-noise ratio."""
    nothing = np.zeros((EMPTY_SIDE_PX, EMPTY_SIDE_PX))
    found, threshold = 0, np.nan
    for seed in range(pairs):
        pair = pair_of(nothing, 100 + seed, np.dtype(dtype).name)
        seen = lee.detect_particles(*pair, spot_sigma_px=SIGMA_PX, false_alarms=false_alarms)
        found, threshold = found + len(seen.snr), seen.threshold_snr
    return found / pairs, threshold


def false_alarm_table(pairs: int) -> None:
    print(f"false particles, mean of {pairs} pairs of {EMPTY_SIDE_PX}x{EMPTY_SIDE_PX} without any")
    rows: list[dict[str, Cell]] = []
    for expected in FALSE_ALARMS:
        row: dict[str, Cell] = {"expected": expected, "+-": math.sqrt(expected / pairs)}
        for dtype in COUNTS:
            row[dtype], threshold = false_in(pairs, expected, dtype)
        rows.append({**row, "threshold SNR": threshold})
    print(*lines(rows), sep="\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9, help="timed calls of lee; the median counts")
    parser.add_argument("--quick", action="store_true", help="a small field, few pairs")
    given = parser.parse_args(arguments)
    if given.quick:
        main_table(QUICK_SIDE_PX, QUICK_COUNT, 1)
    else:
        main_table(SIDE_PX, COUNT, given.runs)
    print()
    false_alarm_table(3 if given.quick else EMPTY_PAIRS)


if __name__ == "__main__":
    main()
