"""The demonstration from the first scan to the report: a scan, a growing run, nuclei, and the twin."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from lee.demo import following, growing, nucleation, twin
from lee.demo.baseline_focus import baseline_heights
from lee.demo.following import FollowingDemo
from lee.demo.growing import GrowingDemo
from lee.demo.height_errors import GROSS_STEPS, HeightErrors, height_errors
from lee.demo.nucleation import NucleiDemo
from lee.demo.size import QUICK, WHOLE
from lee.demo.twin import NoTwin, TwinDemo
from lee.devices.virtual import DEMO_DRIFT_PX, RenderedScan, render_scan
from lee.devices.virtual.runs.scan_file import write_ome_scan
from lee.figures.report import Section, write_report
from lee.figures.surface import error_maps, spiky_and_clean
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
        "spiky_and_clean.png",
        "run",
        "nucleation",
        "nuclei",
        "twin",
        "report.html",
    }
)
STEP_UM = 0.2
REFERENCE_FRAME = 0  # a surface has the lateral position of the first frame
_WINDOW_PX = 9


@dataclass(frozen=True)
class Demo:
    """The results of `run_demo`."""

    surface: Surface
    scan: RenderedScan
    errors: Sequence[HeightErrors]
    growing: GrowingDemo
    nuclei: NucleiDemo
    twin: TwinDemo | NoTwin
    followed: FollowingDemo | None = None

    def rows(self) -> list[dict[str, str]]:
        """Return the errors of heights as a table, one mapping of column to text a row."""
        return [
            {
                "heights": row.what,
                "rms µm": _number(row.rms_um),
                "median µm": _number(row.median_um),
                "p95 µm": _number(row.p95_um),
                f"> {GROSS_STEPS} steps": _percent(row.gross, 2),
                "coverage": _percent(row.coverage),
                "within 1 sigma": _percent(row.within_sigma),
            }
            for row in self.errors
        ]

    def text(self) -> str:
        """Return the tables of heights, rates, charge, nuclei and the twin as text."""
        parts = (self, self.growing, self.growing.charge, self.nuclei, self.twin, self.followed)
        return "\n\n".join(_lines(part.rows()) for part in parts if part is not None)


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


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _percent(share: float, digits: int = 1) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def run_demo(
    folder: str | Path,
    *,
    quick: bool = False,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Demo:
    """Render a scan and two runs, measure them, and write scans, surfaces, pictures and a report.

    Parameters
    ----------
    folder : str or Path
        Folder to write; an older demo there is replaced, a folder that holds anything else is not.
    quick : bool
        Smaller electrodes, fewer scans and a coarser twin: everything the demo does in a tenth of the time.
    seed : int
        Seed of surfaces and camera noise.
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
        size = QUICK if quick else WHOLE
        scene = size.scene(seed)
        scan = render_scan(scene, z_um=scene.z_range(STEP_UM), drift_px=DEMO_DRIFT_PX, seed=seed)
        stack = ZStack.from_array(scan.frames, scan.z_um, scan.pixel_um)
        runs = 2 * size.scans
        before_twin = len(stack) + runs + nucleation.STEPS
        before_following = before_twin + twin.STEPS
        steps = before_following + size.scans

        def report(before: int) -> Callable[[int, int], None] | None:
            return None if progress is None else lambda done, _: progress(before + done, steps)

        surface = reconstruct(stack, params=ReconstructParams(threads=threads), progress=report(0))
        grown = growing.run_growing(
            place / "run", size=size, seed=seed, threads=threads, progress=report(len(stack))
        )
        nuclei = nucleation.run_nuclei(
            place / "nuclei",
            place / "nucleation",
            size=size,
            seed=seed,
            threads=threads,
            progress=report(len(stack) + runs),
        )
        truth = scan.truth_seen_in(REFERENCE_FRAME)
        environment = twin.run_twin(place / "twin", surface, truth, size=size, progress=report(before_twin))
        followed = following.run_following(place / "run", grown, size=size, progress=report(before_following))
        found = Demo(surface, scan, _errors(surface, scan), grown, nuclei, environment, followed)
        _write(place, found)
    return found


def _errors(surface: Surface, scan: RenderedScan) -> list[HeightErrors]:
    truth = scan.truth_seen_in(REFERENCE_FRAME)
    # Pixels at the rim of the mask that are touched in part count as touched.
    moved = ndimage.shift(scan.touched.astype(np.float32), scan.drift_px[REFERENCE_FRAME], order=1, cval=0)
    touched = moved > 0
    sigma = surface.height_sigma_um
    compare = partial(height_errors, step_um=STEP_UM)
    found = [
        compare("lee", surface.height_um, truth, sigma_um=sigma),
        compare("lee, filled", surface.height_filled_um, truth),
    ]
    if touched.any():
        found += [
            compare("lee, occluded", surface.height_um, truth, sigma_um=sigma, where=touched),
            compare("lee, occluded, filled", surface.height_filled_um, truth, where=touched),
        ]
    # The drift is 0 in the middle of the scan: there the baseline sees the surface in its true place.
    for name, height in baseline_heights(scan.frames, scan.z_um, _WINDOW_PX).items():
        found.append(compare(f"baseline {name}, {_WINDOW_PX} px", height, scan.truth_um))
        if touched.any():
            row = f"baseline {name}, occluded"
            found.append(compare(row, height, scan.truth_um, where=scan.touched))
    return found


def _write(place: Path, found: Demo) -> None:
    scan, surface = found.scan, found.surface
    truth = scan.truth_seen_in(REFERENCE_FRAME)
    write_ome_scan(place / "scan.ome.tif", scan.frames, scan.z_um, scan.pixel_um)
    write_map(place / "truth_um.tif", truth, scan.pixel_um)
    surface.save(place / "surface")
    maps = error_maps(surface, truth)
    maps.savefig(place / "error_maps.png")
    sharpest = baseline_heights(scan.frames, scan.z_um, _WINDOW_PX)["variance"]
    spikes = spiky_and_clean(surface, sharpest)
    spikes.savefig(place / "spiky_and_clean.png")
    count, rows, columns = scan.frames.shape
    write_report(
        place / "report.html",
        "lee demo: rendered scans compared with the truth",
        [
            Section(
                "The scan",
                f"{count} frames of {columns} × {rows} px, one every {STEP_UM} µm, {scan.pixel_um} µm/px, "
                "rendered by wave optics at NA 0.5 in water, with shot noise. The image drifts by "
                f"{DEMO_DRIFT_PX} px (y, x) from the first to the last frame.\n\nGas bubbles, specular "
                "glints, a flake that floats past and a flash disturb the scan.",
            ),
            Section(
                "Errors against the truth",
                "Percentages are shares of the measured pixels. The baseline focus measures take the "
                "frame of highest focus at every pixel (argmax of the measure), on the same frames.",
                table=found.rows(),
                pictures={"Truth, measurement, difference, and errors in units of sigma": maps},
            ),
            Section(
                "The surface",
                pictures={
                    "The measured surface": place / "surface" / "preview.png",
                    f"Normalised variance over {_WINDOW_PX} px alone, beside the surface": spikes,
                },
            ),
            found.growing.section(place / "run"),
            *([] if found.growing.charge is None else [found.growing.charge.section(place / "run")]),
            found.nuclei.section(place / "nuclei"),
            found.twin.section(place / "twin"),
            *([] if found.followed is None else [found.followed.section(place / "run")]),
        ],
    )
