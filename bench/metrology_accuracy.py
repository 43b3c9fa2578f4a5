"""Accuracy of what is stated about the instrument and of roughness, against known truth.

Each row: quantity, scene, limit, aim, result; the worst seed counts, all seeds are listed. The maps are made:
known surfaces of 1 µm rms, laid down anew for each map, and Gaussian noise of 0.05 µm, white or correlated
over 2 px. For each seed many are drawn.

"off": rms of the errors, % of the truth. "its errors": rms of the errors, each over its stated standard
uncertainty; 1 where that holds, less where too much is stated. "within one sigma, off 68 %": how far the
share of draws within one stated uncertainty is from 68.27 %; of 150 draws that is uncertain by 4 %.

Noise: of two maps, and of five. Flatness: a saddle of 0.6 µm, the corrected one. Amplification and linearity:
grooves of five heights that are known within 0.3 %, shown 3 % too high, or bent by 1 % per µm. Resolution: an
edge under a Gaussian of 0.8 or 2 µm. Roughness: of 0.2 µm rms against the same surface without noise, the
noise stated in size, its correlation stated or estimated. Sa, Sk and Sz are not corrected for noise, which
raises them by as much as there is; their stated errors hold that too.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.judged_row import Row, print_rows
from bench.scenes.made_maps import PIXEL_UM, bow, edge, groove, noise, repeated, rough
from bench.table import machine
from lee.metrology import edge_resolution, flatness, roughness
from lee.metrology import noise as noise_of_maps
from lee.metrology.linearity import read_steps
from lee.storage.map_tiff import write_map

DRAWS, QUICK = (150, 40), (20, 5)  # where shares are counted, and of the rest
SIGMA_UM = 0.05
WHITE, CORRELATED = ("white noise", 0.0), ("noise of 2 px", 2.0)
EXPECTED_SHARE = 68.27  # %, within one standard deviation
HEIGHTS_UM = (0.5, 1.0, 2.0, 5.0, 10.0)
KNOWN_TO, GAIN, BEND_PER_UM = 0.003, 1.03, 0.01
# A Gaussian of standard deviation s passes half of a wave of this many s.
HALF_PERIOD = np.pi * np.sqrt(2 / np.log(2))
CORRECTED, BIASED = ("Sq_corrected_um", "Sdq_corrected"), ("Sa_um", "Sk_um", "Sz_um")

# By quantity: found, stated uncertainty, truth.
Found = dict[str, tuple[float, float, float]]
Draw = Callable[[np.random.Generator], Found]


def noise_drawn(rng: np.random.Generator, count: int, correlation_px: float) -> Found:
    """Measure the noise of maps of one place."""
    maps = repeated(rng, count, SIGMA_UM, correlation_px, (64, 72))
    one = noise_of_maps(maps, pixel_um=PIXEL_UM)["noise_um"]
    return {"noise": (one.value, one.sigma, SIGMA_UM)}


def flatness_drawn(rng: np.random.Generator, correlation_px: float) -> Found:
    """Measure the flatness deviation from three maps of a flat."""
    truth = bow((96, 112))
    maps = np.stack([truth + noise(rng, truth.shape, SIGMA_UM, correlation_px) for _ in range(3)])
    one = flatness(maps, pixel_um=PIXEL_UM)["flatness_corrected_um"]
    return {"flatness, corrected": (one.value, one.sigma, float(np.ptp(truth)))}


def linearity_drawn(
    rng: np.random.Generator, folder: Path, correlation_px: float, bend_per_um: float
) -> Found:
    """Measure steps of known heights, as `lee metrology linearity` does: from maps that a table lists."""
    known = np.array(HEIGHTS_UM)
    sigma = KNOWN_TO * known * (bend_per_um == 0)
    true = known + sigma * rng.normal(size=known.size)
    shown = true * (1 + bend_per_um * true) if bend_per_um else GAIN * true
    rows = ["map,step_um,step_sigma_um"]
    for k, height in enumerate(shown):
        made = groove(rng, float(height), SIGMA_UM, correlation_px)
        write_map(folder / f"{k}.tif", made.astype(np.float32), PIXEL_UM)
        rows.append(f"{k}.tif,{known[k]},{sigma[k]}")
    (folder / "steps.csv").write_text("\n".join(rows))
    found = read_steps(folder / "steps.csv", kind="groove")
    if bend_per_um:
        one = found["linearity_um"]
        line = np.polyval(np.polyfit(known, shown, 1), known)
        return {"linearity deviation": (one.value, one.sigma, float(np.abs(shown - line).max()))}
    one = found["amplification"]
    return {"amplification": (one.value, one.sigma, GAIN)}


def resolution_drawn(rng: np.random.Generator, sharp_um: float, correlation_px: float) -> Found:
    """Measure the lateral resolution from an edge."""
    one = edge_resolution(edge(rng, sharp_um, SIGMA_UM, correlation_px), pixel_um=PIXEL_UM)[
        "lateral_period_limit_um"
    ]
    return {"lateral period limit": (one.value, one.sigma, HALF_PERIOD * sharp_um)}


def roughness_drawn(rng: np.random.Generator, correlation_px: float, *, stated: bool) -> Found:
    """Measure the roughness of a noisy map, and of the same surface without noise."""
    truth = 0.2 * rough(rng, (64, 72), 5.0)
    seen = truth + noise(rng, truth.shape, SIGMA_UM, correlation_px)
    exact = roughness(truth, pixel_um=PIXEL_UM, s_filter_um=3.0, l_filter_um=25.0)
    found = roughness(
        seen,
        pixel_um=PIXEL_UM,
        s_filter_um=3.0,
        l_filter_um=25.0,
        noise_um=SIGMA_UM,
        noise_correlation_px=correlation_px if stated else None,
    )
    return {
        name: (found[name].value, found[name].sigma, exact[name.replace("_corrected", "")].value)
        for name in (*CORRECTED, *BIASED)
    }


def rows_of(
    of: str, draw: Draw, seeds: Sequence[int], draws: int, *, off: tuple[float, float], share: bool = False
) -> list[Row]:
    """Return the rows of the quantities of one scene; `off` are limit and aim of the errors in %."""
    found = [[draw(np.random.default_rng([seed, 20, k])) for k in range(draws)] for seed in seeds]
    rows = []
    for name in found[0][0]:
        values = np.array([[one[name] for one in of_seed] for of_seed in found])
        value, sigma, truth = np.moveaxis(values, -1, 0)
        relative, score = (value - truth) / truth, (value - truth) / sigma
        within = 100 * np.mean(np.abs(score) <= 1, axis=1)
        if name not in BIASED:
            rows.append(Row(name, of, "% off", *off, tuple(100 * np.sqrt(np.mean(relative**2, axis=1)))))
        rows.append(Row(name, of, "its errors", 2, 1.2, tuple(np.sqrt(np.mean(score**2, axis=1)))))
        if share:
            what = f"{name} within one sigma, off 68 %"
            rows.append(Row(what, of, "%", 8, 4, tuple(np.abs(within - EXPECTED_SHARE))))
    return rows


def table(seeds: Sequence[int], draws: int, few: int) -> list[Row]:
    """Return all rows: `draws` for each seed where shares are counted, `few` of the rest."""
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for count, (name, px) in ((2, WHITE), (2, CORRELATED), (5, CORRELATED)):
            rows += rows_of(
                f"{count} maps, {name}",
                lambda rng, n=count, px=px: noise_drawn(rng, n, px),
                seeds, draws, off=(10, 3), share=True,
            )  # fmt: skip
        name, px = CORRELATED
        rows += rows_of(f"3 maps, {name}", lambda rng: flatness_drawn(rng, px), seeds, few, off=(10, 3))
        rows += rows_of(
            f"5 steps, {name}",
            lambda rng: linearity_drawn(rng, folder, px, 0.0),
            seeds, draws, off=(1, 0.3), share=True,
        )  # fmt: skip
        rows += rows_of(
            f"5 steps, bent, {name}",
            lambda rng: linearity_drawn(rng, folder, px, BEND_PER_UM),
            seeds, few, off=(10, 3),
        )  # fmt: skip
        for sharp in (0.8, 2.0):
            rows += rows_of(
                f"edge of {sharp} µm, {name}",
                lambda rng, s=sharp: resolution_drawn(rng, s, px),
                seeds, few, off=(10, 3),
            )  # fmt: skip
        for (name, px), stated in ((CORRELATED, True), (CORRELATED, False), (WHITE, False)):
            rows += rows_of(
                f"{name}, correlation {'stated' if stated else 'estimated'}",
                lambda rng, px=px, s=stated: roughness_drawn(rng, px, stated=s),
                seeds, few, off=(10, 3),
            )  # fmt: skip
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="surfaces and noise to draw")
    parser.add_argument("--quick", action="store_true", help="few draws")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()
    draws, few = QUICK if arguments.quick else DRAWS
    print(
        f"accuracy of the instrument's properties and of roughness: {draws} and {few} draws a seed; "
        f"seeds {arguments.seeds}; {machine()}"
    )
    print_rows(table(arguments.seeds, draws, few), arguments.csv)


if __name__ == "__main__":
    main()
