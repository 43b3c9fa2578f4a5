"""Accuracy of particles against known truth: false ones, recall, fields of spots, other counts.

Each row: quantity, scene, limit, aim, result; the worst seed counts, all seeds are listed. Every pair goes
through `lee.find_particles` with its defaults, which promise one false particle in a pair without any.

"3,000 spots": width 1.4 px, peaks of 2 to 30 standard deviations of a pixel's difference, even in their
logarithm, a fifth of them in clusters; the light is the same in both frames, or varies slowly over their
difference. Places match within 1.5 px, one to one; "error" is of isolated spots with a peak over 4, rms along
an axis, over the bound for white noise.

False particles: found in pairs without any, a frame on one surface taken twice, over those promised; and the
other way round, since a threshold that is too careful costs recall ("-" where none was found). "recall" and
"intensity" are those of isolated spots in the same noise, four standard deviations high: too faint to tell
their width, which is 1.2 times that expected of the rig's objective. Scans of a still electrode are drawn by
the virtual rig, the pixels blink after it.

Three wide spots are alone in their frame: how many rows too many or missing, the promised false one
included, and how many of the three are flagged "wide". Of pairs whose counts are on different scales, those
that are compared without an error or a warning count; of pairs on one scale, those that are not.
"""

import argparse
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import lee
from bench.judged_row import Row, print_rows
from bench.scenes.disturbed_pairs import NOISES, SCALES, SLOW, Noise, Pair, still_scans
from bench.scenes.spot_fields import Places, Scores, drawn, frames, matched, random_field, scores
from bench.table import machine
from lee.errors import InputError

PIXEL_UM = 0.2
WIDTH_PX, WIDE_PX = 1.4, 1.8
# Brightness and noise of a pixel's difference, counts, by dtype; 8 bits hold the brightest clusters.
COUNTS = {"uint16": (2000.0, 50.0), "uint8": (40.0, 2.0)}
STEP_PX, PEAK = 32, 4.0


@dataclass(frozen=True)
class Sizes:
    """How much is drawn for each seed."""

    field_px: int = 2048
    spots: int = 3000
    pair_px: int = 384
    pairs: int = 40
    scan_px: int = 160
    scans: int = 8
    wide: int = 20


QUICK = Sizes(field_px=512, spots=190, pair_px=256, pairs=6, scan_px=96, scans=1, wide=4)


def found_in(before: Any, after: Any) -> pd.DataFrame:
    """Find particles as a user does who knows nothing but the size of a pixel."""
    return lee.find_particles(before, after, pixel_um=PIXEL_UM, threads=1)


def places_of(table: pd.DataFrame) -> Places:
    """Return positions (N, 2), px."""
    return np.stack([table["y_um"], table["x_um"]], axis=1).astype(np.float64) / PIXEL_UM


def field_scores(slow: str, seed: int, sizes: Sizes, dtype: str = "uint16") -> Scores:
    """Score a field of spots on a difference that varies slowly."""
    field = random_field(sizes.field_px, sizes.spots, seed, sigma_px=WIDTH_PX)
    level, noise = COUNTS[dtype]
    spots = field.drawn() + SLOW[slow](sizes.field_px, seed)
    pair = frames(spots, seed, dtype=np.dtype(dtype), level=level, noise=noise)
    return scores(field, places_of(found_in(*pair)))


def field_rows(seeds: Sequence[int], sizes: Sizes) -> list[Row]:
    """Return the rows of the fields of spots."""
    rows = []
    kinds = [*((slow, "uint16") for slow in SLOW), ("the same light", "uint8")]
    for slow, dtype in kinds:
        got = [field_scores(slow, seed, sizes, dtype) for seed in seeds]
        of = slow if dtype == "uint16" else f"{slow}, 8-bit frames"
        name = f"{sizes.spots:,} spots"

        def at_least(what: str, must: float, aim: float, values: Iterable[float], of: str = of) -> Row:
            return Row(what, of, "", must, aim, tuple(values), at_least=True)

        rows += [
            at_least(f"F1 of {name}", 0.95, 0.967, (one.f1 for one in got)),
            at_least("recall in clusters", 0.82, 0.86, (one.cluster_recall for one in got)),
            Row("error of places", of, "of bound", 1.2, 1.05, tuple(one.over_bound for one in got)),
        ]
    return rows


def false_particles(noise: Noise, seed: int, sizes: Sizes) -> float:
    """Return false particles in a pair without any: as many are expected as one a pair."""
    nothing = np.zeros((sizes.pair_px, sizes.pair_px))
    rng = np.random.default_rng([seed, 7])
    return float(
        np.mean([len(found_in(noise(nothing, rng), noise(nothing, rng))) for _ in range(sizes.pairs)])
    )


def false_in_scans(blink: float, seed: int, sizes: Sizes) -> float:
    """Return false particles in two scans of a place where nothing appears."""
    pairs = (still_scans(sizes.scan_px, 100 * seed + k, blink=blink) for k in range(sizes.scans))
    return float(np.mean([len(lee.find_particles(*pair, threads=1)) for pair in pairs]))


def isolated_in(noise: Noise, seed: int, sizes: Sizes) -> tuple[float, float]:
    """Return the recall of isolated spots on a grid, and by how many % their median intensity is off."""
    rng = np.random.default_rng([seed, 8])
    at = np.arange(STEP_PX // 2, sizes.pair_px - STEP_PX // 4, STEP_PX)
    true = np.stack(np.meshgrid(at, at, indexing="ij"), -1).reshape(-1, 2).astype(np.float64)
    true += rng.uniform(-0.5, 0.5, true.shape)
    shape = (sizes.pair_px, sizes.pair_px)
    nothing, spots = np.zeros(shape), drawn(shape, true, PEAK, WIDTH_PX)
    # What the spots are in counts: frames without noise would be no frames of this camera.
    many = [noise(np.full(shape, PEAK * k), rng).astype(np.float64).mean() for k in (0, 1)]
    whole = 2 * np.pi * WIDTH_PX**2 * (many[1] - many[0])
    hits, intensities = [], []
    for _ in range(2):
        table = found_in(noise(nothing, rng), noise(spots, rng))
        of_truth, of_found = matched(true, places_of(table))
        hits.append(len(of_truth) / len(true))
        intensities.append(table["intensity_counts"].to_numpy()[of_found])
    off = float(np.median(np.concatenate(intensities)) / whole - 1)
    return float(np.mean(hits)), 100 * abs(off)


def false_rows(of: str, got: Sequence[float]) -> list[Row]:
    """Return both sides of a false-alarm rate."""
    other = tuple(1 / one if one else float("inf") for one in got)
    return [
        Row("false particles for one promised", of, "", 2, 1.25, tuple(got)),
        Row("promised for one false particle", of, "", 2, 1.25, other),
    ]


def noise_rows(seeds: Sequence[int], sizes: Sizes) -> list[Row]:
    """Return the rows of the kinds of noise."""
    rows = []
    for of, noise in NOISES.items():
        rows += false_rows(of, [false_particles(noise, seed, sizes) for seed in seeds])
        recall, off = zip(*(isolated_in(noise, seed, sizes) for seed in seeds), strict=True)
        name = f"spots of {PEAK:.0f} noises"
        rows.append(Row(f"recall of {name}", of, "", 0.95, 0.99, recall, at_least=True))
        rows.append(Row(f"intensity of {name}, median", of, "% off", 10, 3, off))
    for of, blink in (("scans", 0.0), ("scans, 1 % blink by 30 counts", 30.0)):
        rows += false_rows(of, [false_in_scans(blink, seed, sizes) for seed in seeds])
    return rows


def wide_spots(seed: int, sizes: Sizes) -> tuple[float, float, float]:
    """Return, of three wide spots: rows too many or missing, the share found, the share flagged wide."""
    wrong, hit, flagged = [], [], []
    for k in range(sizes.wide):
        rng = np.random.default_rng([seed, 9, k])
        field = surface_light(192, 1000.0)
        middles = np.array([(48.0, 60.0), (120.0, 140.0), (140.0, 48.0)])
        true = middles + rng.uniform(-8, 8, (3, 2))
        after = rng.poisson(field + drawn(field.shape, true, 400.0, WIDE_PX)).astype(np.uint16)
        table = found_in(rng.poisson(field).astype(np.uint16), after)
        of_truth, of_found = matched(true, places_of(table))
        wrong.append(len(table) + len(true) - 2 * len(of_truth))
        hit.append(len(of_truth) / len(true))
        flagged += list(table["flag"].iloc[of_found].str.contains("wide"))
    return float(np.mean(wrong)), float(np.mean(hit)), float(np.mean(flagged)) if flagged else float("nan")


def wide_rows(seeds: Sequence[int], sizes: Sizes) -> list[Row]:
    """Return the rows of a handful of wide spots."""
    wrong, hit, flagged = zip(*(wide_spots(seed, sizes) for seed in seeds), strict=True)
    of = f"three spots of {WIDE_PX} px"
    return [
        Row("rows too many or missing", of, "a frame", 2, 1, wrong),
        Row("recall", of, "", 0.95, 0.99, hit, at_least=True),
        Row("flagged wide", of, "share", 0.1, 0.01, flagged),
    ]


def surface_light(side_px: int, mean: float) -> NDArray[np.float64]:
    """Return the light of a surface of 15 % contrast, counts."""
    grain = gaussian_filter(np.random.default_rng(4).normal(size=(side_px, side_px)), 0.8)
    return np.asarray(mean * np.clip(1 + 0.15 * grain / grain.std(), 0.05, None))


def is_silent(before: Any, after: Any) -> bool:
    """Say whether a pair is compared without an error or a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            found_in(before, after)
        except (InputError, UserWarning):
            return False
    return True


def scale_rows(seeds: Sequence[int], side_px: int = 192) -> list[Row]:
    """Return the rows of counts on other scales, by five bright spots that would be missed."""

    def pair(seed: int) -> Pair:
        rng = np.random.default_rng([seed, 10])
        field = surface_light(side_px, 1000.0)
        true = rng.uniform(12, side_px - 12, (5, 2))
        spots = drawn(field.shape, true, 400.0, 1.3)
        return rng.poisson(field).astype(np.uint16), rng.poisson(field + spots).astype(np.uint16)

    rows = []
    for of, change in SCALES.items():
        silent = []
        for seed in seeds:
            before, after = pair(seed)
            silent.append(float(is_silent(before, change(after)) or is_silent(change(before), after)))
        rows.append(Row("compared in silence", of, "", 0, 0, tuple(silent)))
    spoken = tuple(float(not is_silent(*pair(seed))) for seed in seeds)
    rows.append(Row("refused, or warned of", "counts on one scale", "", 0, 0, spoken))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="scenes and noise to draw")
    parser.add_argument("--quick", action="store_true", help="smaller fields, fewer pairs")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else Sizes()
    print(
        f"accuracy of particles: {sizes.spots:,} spots on {sizes.field_px}x{sizes.field_px} px; "
        f"{sizes.pairs} pairs of {sizes.pair_px}x{sizes.pair_px} px, {sizes.scans} of scans of "
        f"{sizes.scan_px}x{sizes.scan_px} px, {sizes.wide} frames of wide spots a seed; "
        f"seeds {arguments.seeds}; {machine()}"
    )
    rows = field_rows(arguments.seeds, sizes) + noise_rows(arguments.seeds, sizes)
    rows += wide_rows(arguments.seeds, sizes) + scale_rows(arguments.seeds)
    print_rows(rows, arguments.csv)


if __name__ == "__main__":
    main()
