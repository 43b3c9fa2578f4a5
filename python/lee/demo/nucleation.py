"""The demonstration's third part: nuclei that appear on an electrode are found and sized."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lee.demo.size import WHOLE, DemoSize
from lee.devices.virtual import (
    Appeared,
    GrowingScene,
    RunTruth,
    appeared,
    growing_electrode,
    nucleate,
    render_run,
    render_scan,
    stage_walk,
)
from lee.figures.report import Section
from lee.particles.calibration.size_calibration import Calibration, load_calibration
from lee.particles.figures.report import FIGURES
from lee.particles.finding.find import find_particles
from lee.particles.finding.options import DetectionOptions
from lee.particles.finding.scan_pairs import pairs_of
from lee.particles.over_time import find_over_time
from lee.particles.results_folder import save_particles
from lee.stacks.stack import ZStack

# Scans come in pairs 10 s apart; particles are those that appear until the later one begins.
TIMES_S = (0.0, 10.0, 40.0, 50.0, 70.0, 80.0)
AT_S = (10.0, 50.0, 80.0)
STEPS = len(TIMES_S) + len(AT_S)  # of the progress
PIXEL_UM = 0.2
WALK_PX = 0.5
# A particle whose signal is this many times the detection threshold should be found.
_CLEAR = 1.5
_MAX_DISTANCE_UM = 0.5


def nucleating_scene(seed: int, size: DemoSize) -> GrowingScene:
    """Return an electrode on which nuclei appear while it is plated, more of them in trenches."""
    shape, relief_um = (size.nuclei_px, size.nuclei_px), size.nuclei_relief_um
    growing = growing_electrode(shape, PIXEL_UM, seed, relief_um=relief_um, plating_s=120.0)
    return nucleate(
        growing, rate_per_um2_s=2.5e-3, fading_s=50.0, preference=1.0, diameter_nm=220.0, seed=seed
    )


@dataclass(frozen=True)
class NucleiDemo:
    """Results of `run_nuclei`: a row of numbers for each time, the calibration used, and the size."""

    found: list[dict[str, str]]
    calibration: Calibration
    size: DemoSize

    def rows(self) -> list[dict[str, str]]:
        """Return particles found and true particles as a table, a row per time."""
        return self.found

    def section(self, folder: Path) -> Section:
        """Return the section of the demo's report, with pictures that `run_nuclei` wrote."""
        shown = {
            "Particles at each time": folder / FIGURES[0],
            "Their sizes": folder / "sizes.png",
            "Their density against curvature": folder / "density_curvature.png",
        }
        side, known = self.size.nuclei_px, self.size.known_particles
        return Section(
            "Nuclei",
            "Grains of fresh metal, smaller than the resolution, appear on a third electrode of "
            f"{side} × {side} px while it grows, more of them in trenches. Each row compares two scans "
            f"{TIMES_S[1]:g} s apart. Sizes come from a calibration: {known} particles of known diameter on "
            'the same electrode, rendered and measured in the same way.\n\n"appeared" counts all nuclei that '
            'are brighter in the later scan, however faint; "clear" those with a signal of at least '
            f"{_CLEAR:g} times the detection threshold. A particle found within {_MAX_DISTANCE_UM:g} µm of a "
            f"true one is matched to it. {folder.name}/report.html holds the full results.",
            table=self.rows(),
            pictures={name: path for name, path in shown.items() if path.is_file()},
        )


def run_nuclei(
    folder: Path,
    run: Path,
    *,
    size: DemoSize = WHOLE,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> NucleiDemo:
    """Render scans of a nucleating electrode, find what appears as `lee particles` does, and compare.

    Parameters
    ----------
    folder, run : Path
        Folders of the results and of the run; must not exist.
    size : DemoSize
    seed : int
        Seed of the surface, the nuclei, the drift of the stage and the camera's noise.
    threads : int
        0 = all available cores.
    progress : callable (done, total), optional
    """
    truth = render_run(
        run,
        nucleating_scene(seed, size),
        times_s=np.array(TIMES_S),
        shift_px=stage_walk(len(TIMES_S), WALK_PX, seed),
        seed=seed,
        progress=None if progress is None else lambda done, _: progress(done, STEPS),
    )
    table = run / "calibration.csv"
    calibration_table(seed, size).to_csv(table, index=False, float_format="%.6g")
    calibration = load_calibration(table)
    results, details = find_over_time(
        pairs_of([run], at_s=AT_S),
        DetectionOptions(calibration=calibration, threads=threads),
        name=run.name,
        progress=None if progress is None else lambda done, _: progress(len(TIMES_S) + done // 100, STEPS),
    )
    save_particles(folder, results, details, parameters={"at_s": list(AT_S)}, trackpy=True)
    rows = []
    for time, one in details.items():
        before = max(t for t in TIMES_S if t < time)
        found = results.particles[results.particles["time_s"] == time]
        rows.append({"time": f"{time:g} s", **compared(found, truth, before, time, one)})
    return NucleiDemo(rows, calibration, size)


def calibration_table(seed: int, size: DemoSize) -> pd.DataFrame:
    """Return measured particles of known diameter, the table that `lee particles calibrate` takes."""
    bare = replace(nucleating_scene(seed, size).at(0.0), nuclei=())
    slide = bare.with_nuclei(size.known_particles, seed + 2, diameter_nm=(90, 420))
    z = bare.z_range(0.2)
    before, after = (
        ZStack.from_array(render_scan(scene, z_um=z, seed=seed + k).frames, z, PIXEL_UM)
        for k, scene in enumerate((bare, slide))
    )
    found = find_particles(before, after)
    alone = found[found["flag"] == ""]
    known = np.array([[n.y_um, n.x_um] for n in slide.nuclei])
    mine, theirs = _matched(alone, known)
    return pd.DataFrame(
        {
            "intensity_counts": alone["intensity_counts"].to_numpy()[mine],
            "diameter_nm": np.array([n.diameter_nm for n in slide.nuclei])[theirs],
            "intensity_sigma_counts": alone["intensity_sigma_counts"].to_numpy()[mine],
        }
    )


def compared(
    found: pd.DataFrame, truth: RunTruth, before_s: float, after_s: float, facts: Mapping[str, float]
) -> dict[str, str]:
    """Compare the particles of one pair of scans with those that appeared; return a row of text."""
    true = appeared(truth, before_s, after_s, drifted=True)
    known = np.column_stack([true.y_um, true.x_um])
    mine, theirs = _matched(found, known)
    hit = np.zeros(len(known), np.bool_)
    hit[theirs] = True
    clear = _expected_snr(true, facts) > _CLEAR * facts["threshold_snr"]
    table = found.iloc[mine]
    lateral = np.hypot(table["y_um"] - true.y_um[theirs], table["x_um"] - true.x_um[theirs]) / np.sqrt(2)
    axial = table["z_focus_um"].to_numpy() - true.z_um[theirs]
    size, sigma = table["diameter_nm"].to_numpy(), table["diameter_sigma_nm"].to_numpy()
    new = np.isfinite(size) & (true.before_nm[theirs] == 0) & (table["flag"] == "").to_numpy()
    error = size[new] - true.diameter_nm[theirs][new]
    return {
        "appeared": f"{len(known)}",
        "clear": f"{clear.sum()}",
        "of these found": f"{100 * hit[clear].mean():.0f} %" if clear.any() else "-",
        "found": f"{len(found)}",
        "false": f"{len(found) - len(mine)}",
        "position, median error µm": _median(np.abs(lateral.to_numpy())),
        "height of focus, median error µm": _median(np.abs(axial)),
        "diameter, median error": _share(error / true.diameter_nm[theirs][new]),
        "within 1 sigma": f"{100 * np.mean(np.abs(error) <= sigma[new]):.0f} %" if new.any() else "-",
    }


def _expected_snr(true: Appeared, facts: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the signal-to-noise ratio of the added counts after a filter matched to the spot."""
    sigma = facts["spot_sigma_px"]
    noise = facts["noise_counts"] * facts["noise_excess"]
    return np.asarray(true.gain_counts / (2 * np.sqrt(np.pi) * sigma * noise))


def _matched(found: pd.DataFrame, known_um: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match particles found with true ones, nearest first, each once; return the indices of both."""
    places = found[["y_um", "x_um"]].to_numpy(np.float64)
    nothing = np.zeros(0, np.intp)
    if not len(places) or not len(known_um):
        return nothing, nothing
    near = cKDTree(places).sparse_distance_matrix(
        cKDTree(known_um), _MAX_DISTANCE_UM, output_type="coo_matrix"
    )
    mine, theirs = [], []
    for k in np.argsort(near.data, kind="stable"):
        if near.row[k] not in mine and near.col[k] not in theirs:
            mine.append(int(near.row[k]))
            theirs.append(int(near.col[k]))
    return np.array(mine, np.intp), np.array(theirs, np.intp)


def _median(values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    return f"{np.median(known):.3f}" if len(known) else "-"


def _share(values: NDArray[np.float64]) -> str:
    return f"{100 * np.median(values):+.1f} %" if len(values) else "-"
