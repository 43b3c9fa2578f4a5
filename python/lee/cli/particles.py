"""`lee particles`: particles that appear on the surface between scans; `lee particles calibrate`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from lee.cli.options import (
    PATH,
    interval_option,
    overwrite_option,
    pixel_of_stack_option,
    progress_bar,
    scale_option,
    seconds,
    step_bar,
    threads_option,
    z_step_option,
)
from lee.cli.stack_options import reading_options

if TYPE_CHECKING:
    from lee.stacks.stack import StackOptions


def times(text: str) -> list[float]:
    """Parse times in s, separated by commas."""
    return [0.0 if part.strip() in ("0", "0.0") else seconds(part) for part in text.split(",")]


class _WithDefault(click.Group):
    """A group that passes its arguments to `find` unless they begin with one of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name before its arguments."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["find", *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the help of the default command, and the names of the others."""
        inner = click.Context(self.commands["find"], parent=ctx.parent, info_name=ctx.info_name)
        self.commands["find"].format_help(inner, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_WithDefault, no_args_is_help=True)
def particles() -> None:
    """Find particles between scans."""


@particles.command("find", hidden=True)
@click.argument("scans", type=PATH, nargs=-1, required=True, metavar="BEFORE AFTER [AFTER ...] | RUN")
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option(
    "--surface", type=PATH, help="Surface of AFTER, as `lee reconstruct` wrote it; by default reconstructed."
)
@click.option("--calibration", type=PATH, help="Size calibration: calibration.json, or the CSV table for it.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="False particles expected in each pair; sets the detection threshold.",
)
@click.option(
    "--spot-sigma-px",
    type=click.FloatRange(0.5, 6),
    metavar="PX",
    help="Standard deviation of the image of a point; by default estimated from bright spots.",
)
@click.option("--disappearing", is_flag=True, help="Find particles that disappear, as in stripping.")
@interval_option
@click.option(
    "--at-s", type=times, metavar="S,S,...", help="Only pairs whose later scan began at about these times."
)
@z_step_option
@pixel_of_stack_option
@reading_options
@scale_option(" before densities are related to it")
@click.option("--parquet", is_flag=True, help="Also write the table as Parquet; needs pyarrow.")
@click.option("--trackpy", is_flag=True, help="Add the columns trackpy.link expects.")
@threads_option
@overwrite_option
def find(
    scans: tuple[Path, ...],
    output: Path,
    surface: Path | None,
    calibration: Path | None,
    false_alarms: float,
    spot_sigma_px: float | None,
    disappearing: bool,
    interval_s: float | None,
    at_s: list[float] | None,
    z_step_um: float | None,
    pixel_um: float | None,
    scale_um: float | Literal["auto"],
    parquet: bool,
    trackpy: bool,
    threads: int,
    overwrite: bool,
    **reading: "Unpack[StackOptions]",
) -> None:
    """Find the particles that appear on the surface between BEFORE and AFTER.

    Both are stacks that `lee reconstruct` accepts, or both are single images. With more scans, in order of
    time, or the folder of a run, each scan is compared with the one before. DIR gets report.html to read,
    particles.csv with one row for each particle (µm, counts, nm), densities as TIFF, numbers over time and by
    curvature as CSV, figures, and particles.json with the parameters and inputs.

    \b
    Example:
      lee particles before.ome.tif after.ome.tif -o nuclei
      lee particles run -o nuclei --at-s 10,50,80 --calibration calibration.json
      lee particles calibrate sem.csv -o calibration.json
    """  # noqa: D301  click wants the character itself
    from lee.particles.calibration.size_calibration import load_calibration
    from lee.particles.finding.options import DetectionOptions
    from lee.particles.finding.scan_pairs import pairs_of
    from lee.particles.over_time import find_over_time
    from lee.particles.results_folder import check_folder, save_particles
    from lee.surfaces.surface import Surface

    begun = time.perf_counter()
    check_folder(output, overwrite=overwrite)
    pairs = pairs_of(
        scans, interval_s=interval_s, at_s=at_s or (), z_step_um=z_step_um, pixel_um=pixel_um, **reading
    )
    sizes = None if calibration is None else load_calibration(calibration)
    heights = None if surface is None else Surface.load(surface, pixel_um=pixel_um)
    options = DetectionOptions(
        calibration=sizes,
        false_alarms=false_alarms,
        spot_sigma_px=spot_sigma_px,
        disappearing=disappearing,
        threads=threads,
    )
    with progress_bar(scans[-1].name, "%") as progress:
        results, details = find_over_time(
            pairs, options, name=scans[-1].name, surface=heights, scale_um=scale_um, progress=progress
        )
    parameters = {
        "false_alarms": false_alarms,
        "spot_sigma_px": spot_sigma_px,
        "disappearing": disappearing,
        "threads": threads,
        "reading": {k: v for k, v in reading.items() if v is not None and v is not False},
        "scans": [str(pair.before.path) for pair in pairs] + [str(pairs[-1].after.path)],
        "surface": None if surface is None else str(surface),
        "calibration": None if calibration is None else str(calibration),
    }
    with step_bar(f"{output.name}: figures") as show:
        found = save_particles(
            output,
            results,
            details,
            parameters=parameters,
            parquet=parquet,
            trackpy=trackpy,
            overwrite=overwrite,
            progress=show,
        )
    for moment, density in found.densities.items():
        when = f"{moment:g} s: " if len(found.densities) > 1 else ""
        low, high = density.mean_interval
        click.echo(
            f"{when}{len(found.particles[moment])} particles, {density.mean_per_um2:.3g} per µm² of "
            f"{'surface' if density.field.is_true_area else 'image'} ({low:.3g} to {high:.3g}), "
            f"signal-to-noise threshold {details[moment]['threshold_snr']:.2f}"
        )
    if sizes is None:
        click.echo("no calibration given (--calibration): sizes are intensities in counts")
    click.echo(f"{output / 'report.html'}, in {time.perf_counter() - begun:.1f} s")


@particles.command(no_args_is_help=True)
@click.argument("table", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="JSON", help="File to write.")
@click.option("--figure", type=PATH, metavar="PNG", help="Also draw points and curve.")
@overwrite_option
def calibrate(table: Path, output: Path, figure: Path | None, overwrite: bool) -> None:
    """Fit particle diameter against scattered intensity.

    TABLE is a CSV file with one row for each particle and the columns intensity_counts, as measured by `lee
    particles`, and diameter_nm, for example from an electron microscope. The columns
    intensity_sigma_counts and diameter_sigma_nm, their standard deviations, are optional. The counts must
    come from the same exposure as the scans to which the calibration is applied.

    \b
    Example:
      lee particles calibrate sem.csv -o calibration.json --figure calibration.png
    """  # noqa: D301  click wants the character itself
    from lee.errors import InputError
    from lee.particles.calibration.size_calibration import load_calibration
    from lee.storage.atomic import new_file, refuse_to_replace

    for file in (output, figure):
        if file is not None and not overwrite:
            refuse_to_replace(file)
    if table.suffix.lower() != ".csv":
        raise InputError(f"{table}: give a CSV table with the columns intensity_counts and diameter_nm")
    fitted = load_calibration(table)
    fitted.save(output)
    if figure is not None:
        from lee.particles.figures.calibration_figure import calibration_figure

        with new_file(figure) as partial:
            calibration_figure(fitted).savefig(partial, format="png")
    low, high = fitted.range_counts
    used = int(fitted.used.sum())
    (small, large), _, _ = fitted.diameter([low, high])
    click.echo(
        f"{output}: {small:.3g} to {large:.3g} nm for {low:.3g} to {high:.3g} counts, from {used} of "
        f"{len(fitted.used)} particles, which scatter by {100 * fitted.scatter:.1f} % of their diameter"
    )
