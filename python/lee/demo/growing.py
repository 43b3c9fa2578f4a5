"""The demonstration's second part: growth rates of an electrode that is plated and then stripped."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lee.demo.charge import ChargeDemo, demo_charge
from lee.demo.size import WHOLE, DemoSize
from lee.devices.virtual import RunTruth, render_run, stage_walk
from lee.figures.maps import colour_scale, draw_map, page, time_text
from lee.figures.phases import shade_phases
from lee.figures.report import Section
from lee.series.report.series_report import FILMS
from lee.series.report.summary import RATE_ERRORS

_COLOURS = {"trenches": "#0072b2", "protrusions": "#d55e00", "whole field": "#444444"}
Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GrowingDemo:
    """Results of `run_growing`: rates and their standard deviations (T, H, W), nm/s, beside the truth."""

    truth: RunTruth
    rate_nm_per_s: Map
    sigma_nm_per_s: Map
    shift_px: NDArray[np.float64]
    charge: ChargeDemo | None = None
    walk_px: float = WHOLE.walk_px

    def places(self) -> dict[str, NDArray[np.bool_]]:
        """Return the parts of the field that are compared, (H, W) bool by name."""
        whole = np.ones(self.truth.trenches.shape, dtype=np.bool_)
        return {"trenches": self.truth.trenches, "protrusions": self.truth.protrusions, "whole field": whole}

    def rows(self) -> list[dict[str, str]]:
        """Return true and measured rates as a table, a row for each phase and place."""
        error = self.rate_nm_per_s - self.truth.rate_nm_per_s
        rows = []
        for phase in dict.fromkeys(self.truth.phases.tolist()):
            scans = self.truth.phases == phase
            for name, place in self.places().items():
                inside = error[scans][:, place]
                known = np.isfinite(inside)
                within = np.abs(inside[known]) <= self.sigma_nm_per_s[scans][:, place][known]
                measured = self.rate_nm_per_s[scans][:, place][known]
                rows.append(
                    {
                        "phase": phase,
                        "where": name,
                        "true nm/s": f"{self.truth.rate_nm_per_s[scans][:, place].mean():.1f}",
                        "measured nm/s": f"{measured.mean():.1f}",
                        "rms error of a pixel nm/s": f"{np.sqrt(np.mean(inside[known] ** 2)):.2f}",
                        "within 1 sigma": f"{100 * within.mean():.1f} %",
                    }
                )
        return rows

    def shift_error_px(self) -> float:
        """Return the rms error of the measured lateral drift of the stage from scan to scan."""
        return float(np.sqrt(np.nanmean(np.square(self.shift_px - self.truth.shift_px)[1:])))

    def figure(self) -> Figure:
        """Draw true and measured rate maps in the middle of both phases, and rates over time."""
        truth = self.truth
        figure = page(9.6)
        grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 0.8))
        scans = [int(np.flatnonzero(truth.phases == phase).mean()) for phase in truth.phases[[0, -1]]]
        error = self.rate_nm_per_s - truth.rate_nm_per_s
        wide = colour_scale("rate", truth.rate_nm_per_s[scans])
        narrow = colour_scale("rate", error[scans])
        for row, k in enumerate(scans):
            parts = {"true": truth.rate_nm_per_s[k], "measured": self.rate_nm_per_s[k], "error": error[k]}
            for column, (name, values) in enumerate(parts.items()):
                axes = figure.add_subplot(grid[row, column])
                scale = narrow if name == "error" else wide
                shown = draw_map(axes, values, truth.pixel_um, scale)
                axes.set_axis_off()
                axes.set_title(f"{name}, {truth.phases[k]}, {time_text(truth.times_s[k])}")
                figure.colorbar(shown, ax=axes, label="rate (nm/s)", extend=scale.extend)
        self._draw_curves(figure.add_subplot(grid[2, :]))
        return figure

    def _draw_curves(self, axes: Axes) -> None:
        truth = self.truth
        for name, place in self.places().items():
            colour = _COLOURS[name]
            true = truth.rate_nm_per_s[:, place].mean(axis=1)
            means = [np.nanmean(rate[place]) for rate in self.rate_nm_per_s]
            for phase in dict.fromkeys(truth.phases.tolist()):
                scans = truth.phases == phase
                axes.plot(truth.times_s[scans], true[scans], color=colour)
            axes.plot(truth.times_s, means, "o", color=colour, label=name)
        shade_phases(axes, truth.times_s, truth.phases.tolist())
        axes.set(xlabel="time (s)", ylabel="mean rate (nm/s)")
        axes.legend(title="lines true, dots measured", loc="lower left")

    def section(self, run: Path) -> Section:
        """Return the section of the demo's report, with the film of the run's folder."""
        count, (rows, columns) = len(self.truth.times_s), self.truth.trenches.shape
        interval = float(np.median(np.diff(self.truth.times_s)))
        return Section(
            "An electrode over time",
            f"{count} scans of {columns} × {rows} px, one every {interval:g} s. The electrode is plated "
            "first and then stripped by a law that gives the rate at every point: trenches grow faster "
            "than the rest during plating, and dissolve faster late in stripping. The surface also moves "
            f"during a scan, and the stage wanders by about {self.walk_px} px from scan to scan; this drift "
            f"was measured with an error of {self.shift_error_px():.3f} px.\n\n"
            "Rates come from a fit over 5 scans; 68 % should lie within one stated standard deviation "
            f"of the true rate. {RATE_ERRORS} Trenches and protrusions are the most concave and the most "
            "convex tenth of the field. The report of the run itself, made without the truth, is in "
            f"{run.name}/series.",
            table=self.rows(),
            pictures={
                "Growth rate, true and measured": self.figure(),
                "Growth rate over time, as measured": run / "series" / FILMS["rate"],
            },
        )


def run_growing(
    folder: Path,
    *,
    size: DemoSize = WHOLE,
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> GrowingDemo:
    """Render a run into a folder, measure it there as `lee series` does, and compare.

    Parameters
    ----------
    folder : Path
        Folder of the run; must not exist.
    size : DemoSize
    seed : int
        Seed of the surface, the drift of the stage and the camera's noise.
    threads : int
        0 = all available cores.
    progress : callable (done, total), optional
        Called when a scan was rendered, and again when it was measured.
    """
    from lee.runs.reconstruct import reconstruct_run, series_params
    from lee.runs.run import open_run
    from lee.series.analyse import analyse
    from lee.series.options import SeriesOptions

    def report(before: int) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(before + done, 2 * total)

    truth = render_run(
        folder,
        size.growing_scene(seed),
        times_s=size.interval_s * np.arange(size.scans),
        shift_px=stage_walk(size.scans, size.walk_px, seed),
        seed=seed,
        progress=report(0),
    )
    run = open_run(folder)
    reconstruct_run(run, params=replace(series_params(), threads=threads), progress=report(size.scans))
    found = analyse(run, SeriesOptions(charge=demo_charge(folder, truth, seed)))
    rate, sigma = (found.maps(name)[:] for name in ("rate_nm_per_s", "rate_sigma_nm_per_s"))
    charge = None if found.charge is None else ChargeDemo(found.charge, truth)
    return GrowingDemo(truth, rate, sigma, found.alignment.shift_px, charge, size.walk_px)
