"""The demonstration: rendered scans of known surfaces are measured and held against the truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lee.demo import growing, nucleation, twin
from lee.demo.baseline_focus import plain_heights
from lee.demo.growing import GrowingDemo
from lee.demo.nucleation import NucleiDemo
from lee.demo.twin import NoTwin, TwinDemo
from lee.devices.virtual import DEMO_DRIFT_PX, RenderedScan, demo_scene, render_scan
from lee.devices.virtual.runs.scan_file import write_ome_scan
from lee.figures.report import Section, write_report
from lee.figures.surface import error_maps
from lee.reconstruction.parameters import ReconstructParams
from lee.reconstruction.reconstruct import reconstruct
from lee.stacks.stack import ZStack
from lee.storage.atomic import new_folder
from lee.storage.map_tiff import write_map
from lee.surfaces.surface import Surface

FILES = frozenset(
    {
        "scan.ome.tif",
        "truth_um.tif",
        "surface",
        "error_maps.png",
        "run",
        "nucleation",
        "nuclei",
        "twin",
        "report.html",
    }
)
STEP_UM = 0.2
GROSS_STEPS = 3  # an error beyond so many z steps is a wrong peak, not a noisy one
REFERENCE_FRAME = 0  # a surface lies where the first frame shows the sample
_WINDOW_PX = 9


@dataclass(frozen=True)
class Errors:
    """How far heights are from the truth; shares are of the pixels that were measured.

    ``coverage`` is the share of the pixels looked at that were measured; ``within_sigma`` is NaN where no
    standard deviation is known.
    """

    what: str
    rms_um: float
    median_um: float
    p95_um: float
    gross: float
    coverage: float
    within_sigma: float


def errors_of(
    what: str,
    height_um: NDArray[np.float32],
    truth_um: NDArray[np.float32],
    *,
    sigma_um: NDArray[np.float32] | None = None,
    where: NDArray[np.bool_] | None = None,
    step_um: float = STEP_UM,
) -> Errors:
    """Compare heights with the truth.

    Parameters
    ----------
    what : str
        Name of the row.
    height_um, truth_um : (H, W) float32, um
        NaN where not measured, or where the truth is not known.
    sigma_um : (H, W) float32, um, optional
        Stated standard deviation.
    where : (H, W) bool, optional
        Pixels to look at.
    step_um : float
        Of the scan.

    Returns
    -------
    Errors
        NaN throughout, coverage apart, where nothing was measured.
    """
    asked = np.isfinite(truth_um) if where is None else np.isfinite(truth_um) & where
    known = asked & np.isfinite(height_um)
    coverage = float(known.sum() / asked.sum()) if asked.any() else float("nan")
    if not known.any():
        return Errors(what, *(float("nan"),) * 4, coverage, float("nan"))
    size = np.abs(height_um[known].astype(np.float64) - truth_um[known])
    within = float("nan") if sigma_um is None else float(np.mean(size <= sigma_um[known]))
    return Errors(
        what,
        float(np.sqrt(np.mean(size**2))),
        float(np.median(size)),
        float(np.percentile(size, 95)),
        float(np.mean(size > GROSS_STEPS * step_um)),
        coverage,
        within,
    )


@dataclass(frozen=True)
class Demo:
    """What `run_demo` found."""

    surface: Surface
    scan: RenderedScan
    errors: Sequence[Errors]
    growing: GrowingDemo
    nuclei: NucleiDemo
    twin: TwinDemo | NoTwin

    def rows(self) -> list[dict[str, str]]:
        """Give the errors as a table, one mapping of column to text a row."""
        return [
            {
                "heights": found.what,
                "rms um": _shown(found.rms_um, ".3f"),
                "median um": _shown(found.median_um, ".3f"),
                "p95 um": _shown(found.p95_um, ".3f"),
                f"> {GROSS_STEPS} steps": _shown(found.gross, ".2%"),
                "coverage": _shown(found.coverage, ".1%"),
                "within 1 sigma": _shown(found.within_sigma, ".1%"),
            }
            for found in self.errors
        ]

    def text(self) -> str:
        """Give the tables of heights, of rates, of nuclei and of the twin as lines of text."""
        parts = (self, self.growing, self.nuclei, self.twin)
        return "\n\n".join(_lines(part.rows()) for part in parts)


def _lines(rows: Sequence[Mapping[str, str]]) -> str:
    columns = list(rows[0])
    widths = [max(len(column), *(len(row[column]) for row in rows)) for column in columns]
    words = [not rows[0][column][:1].isdigit() and rows[0][column] != "-" for column in columns]
    return "\n".join(
        "  ".join(
            line[column].ljust(width) if word else line[column].rjust(width)
            for column, width, word in zip(columns, widths, words, strict=True)
        ).rstrip()
        for line in (dict(zip(columns, columns, strict=True)), *rows)
    )


def _shown(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)


def run_demo(
    folder: str | Path,
    *,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Demo:
    """Render the demo's scan and its two runs, measure them, and write scans, surfaces, pictures and report.

    Parameters
    ----------
    folder : str or Path
        Where to; an older demo there is replaced, a folder that holds anything else never.
    seed : int
        Of the surface and of the camera's noise.
    threads : int
        0 = all available cores.
    progress : callable (done, total), optional
        Called while frames and scans are measured.

    Returns
    -------
    Demo

    Raises
    ------
    InputError
        If `folder` cannot be written or replaced.
    """
    with new_folder(folder, overwrite=True, known=FILES) as place:
        scene = demo_scene(seed)
        scan = render_scan(scene, z_um=scene.z_range(STEP_UM), drift_px=DEMO_DRIFT_PX, seed=seed)
        stack = ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
        runs = 2 * growing.SCANS
        before_twin = len(stack) + runs + nucleation.STEPS
        steps = before_twin + twin.STEPS

        def told(before: int) -> Callable[[int, int], None] | None:
            return None if progress is None else lambda done, _: progress(before + done, steps)

        surface = reconstruct(stack, params=ReconstructParams(threads=threads), progress=told(0))
        grown = growing.run_growing(place / "run", seed=seed, threads=threads, progress=told(len(stack)))
        nuclei = nucleation.run_nuclei(
            place / "nuclei",
            place / "nucleation",
            seed=seed,
            threads=threads,
            progress=told(len(stack) + runs),
        )
        truth = scan.truth_seen_in(REFERENCE_FRAME)
        environment = twin.run_twin(place / "twin", surface, truth, progress=told(before_twin))
        found = Demo(surface, scan, _errors(surface, scan), grown, nuclei, environment)
        _write(place, found)
    return found


def _errors(surface: Surface, scan: RenderedScan) -> list[Errors]:
    truth = scan.truth_seen_in(REFERENCE_FRAME)
    # Half a pixel of doubt at the rim of the mask counts as touched.
    moved = ndimage.shift(scan.touched.astype(np.float32), scan.drift_px[REFERENCE_FRAME], order=1, cval=0)
    touched = moved > 0
    sigma = surface.height_sigma_um
    found = [
        errors_of("lee", surface.height_um, truth, sigma_um=sigma),
        errors_of("lee, gaps filled", surface.height_filled_um, truth),
    ]
    if touched.any():
        found += [
            errors_of("lee, under bubbles", surface.height_um, truth, sigma_um=sigma, where=touched),
            errors_of("lee, under bubbles, gaps filled", surface.height_filled_um, truth, where=touched),
        ]
    # Drift is 0 in the middle of the scan: there the peers see the surface undrifted.
    for name, height in plain_heights(scan.frames, scan.z_um, _WINDOW_PX).items():
        found.append(errors_of(f"plain {name}, {_WINDOW_PX} px", height, scan.truth_um))
        if touched.any():
            at_bubbles = errors_of(f"plain {name}, under bubbles", height, scan.truth_um, where=scan.touched)
            found.append(at_bubbles)
    return found


def _write(place: Path, found: Demo) -> None:
    scan, surface = found.scan, found.surface
    truth = scan.truth_seen_in(REFERENCE_FRAME)
    write_ome_scan(place / "scan.ome.tif", scan.frames, scan.z_um, scan.pixel_um)
    write_map(place / "truth_um.tif", truth, scan.pixel_um)
    surface.save(place / "surface")
    maps = error_maps(surface, truth)
    maps.savefig(place / "error_maps.png")
    count, rows, columns = scan.frames.shape
    write_report(
        place / "report.html",
        "lee demo: rendered scans against their truth",
        [
            Section(
                "The scan",
                f"{count} frames of {columns} x {rows} px, one every {STEP_UM} um, {scan.pixel_um} um/px, "
                f"drawn by wave optics at NA 0.5 in water with shot noise. It drifts by {DEMO_DRIFT_PX} px "
                "(y, x) from the first to the last frame.\n\nGas bubbles, specular glints, a flake that "
                "floats by and a flash disturb it.",
            ),
            Section(
                "Errors against the truth",
                "Shares are of the measured pixels. The plain rows take the frame of highest focus (argmax "
                "of the measure), in the same run, on the same frames.",
                table=found.rows(),
                pictures={"Truth, measurement, difference, and errors in units of their sigma": maps},
            ),
            Section("The surface", pictures={"What lee measured": place / "surface" / "preview.png"}),
            found.growing.section(place / "run"),
            found.nuclei.section(place / "nuclei"),
            found.twin.section(place / "twin"),
        ],
    )
