"""`lee series`: scans taken one after another become surfaces, growth, curves, figures and films."""

import math
import time
from pathlib import Path
from typing import Any

import click

from lee.cli.curvature import um_or_auto
from lee.cli.options import PATH, progress_bar, step_bar, um
from lee.errors import InputError


def seconds(text: str) -> float:
    """Parse a time; the function's name is the placeholder in the help."""
    try:
        given = float(text)
    except ValueError:
        given = math.nan
    if not (math.isfinite(given) and given > 0):
        raise click.BadParameter(f"{text} is no time: give seconds above 0")
    return given


def line(text: str) -> Any:
    """Parse the two ends of a line."""
    from lee.series.options import parse_line

    try:
        return parse_line(text)
    except InputError as error:
        raise click.BadParameter(str(error)) from error


@click.command(no_args_is_help=True)
@click.argument("run", type=PATH)
@click.option("--interval-s", type=seconds, help="From scan to scan, where no scans.csv tells the times.")
@click.option("--z-step-um", type=um, help="Frame k of a scan lies at k times this height.")
@click.option("--pixel-um", type=um, help="Pixel size; else what the scans say.")
@click.option(
    "--scheduler",
    metavar="local|ADDRESS",
    help="Reconstruct through Dask, on this computer or a cluster; by default processes of this computer.",
)
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default="all cores", help="Processes.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@click.option(
    "--regions",
    type=PATH,
    metavar="JSON",
    help='Regions to follow, {"R1": {"polygon_um": [[y, x], ...]}}; else trenches and protrusions are found.',
)
@click.option(
    "--reference",
    default="none",
    show_default=True,
    metavar="WHAT",
    help="What heights are held against: none, region:NAME or fiducial:NAME (of --regions, does not grow), "
    "model:NM_PER_S or model:CSV (time_s,height_um; mean growth of the field).",
)
@click.option("--line", type=line, metavar="Y0,X0,Y1,X1", help="Line of the profiles, um.")
@click.option(
    "--scale-um",
    type=um_or_auto,
    default="auto",
    show_default=True,
    metavar="UM|auto",
    help="Scale of the curvature: what is smaller is smoothed away.",
)
@click.option(
    "--window", type=click.IntRange(min=3), default=5, show_default=True, help="Scans a rate is fitted to."
)
@click.option("--no-films", is_flag=True, help="Write no films.")
@click.option(
    "--film-3d", is_flag=True, help="Write a film of the surface seen obliquely, too; needs pyvista."
)
@click.option("--overwrite", is_flag=True, help="Reconstruct all scans again.")
def series(
    run: Path,
    interval_s: float | None,
    z_step_um: float | None,
    pixel_um: float | None,
    scheduler: str | None,
    workers: int,
    device: str,
    regions: Path | None,
    reference: str,
    line: Any,
    scale_um: Any,
    window: int,
    no_films: bool,
    film_3d: bool,
    overwrite: bool,
) -> None:
    """Measure how the surface in RUN grows.

    RUN is a folder with scans taken one after another, or with a folder scans that holds them, and
    scans.csv: its header is scan,time_s and, as you like, phase (plating, stripping, rest), z_step_um and
    pixel_um. Surfaces go to RUN/surfaces.zarr; called again, the scans that are missing there are added.
    RUN/series then holds report.html to read, with growth, rates, curvature, regions, area and volume as
    figures, films, tables (CSV) and maps (zarr).

    \b
    Example:
      lee series run
      lee series run --interval-s 10 --scheduler local --line 20,0,20,80
      lee series run --regions regions.json --reference fiducial:scratch
    """  # noqa: D301  click wants the character itself
    from lee.runs.reconstruct import reconstruct_run
    from lee.runs.run import open_run
    from lee.series.analyse import analyse

    begun = time.perf_counter()
    opened = open_run(run, interval_s=interval_s, z_step_um=z_step_um, pixel_um=pixel_um)
    with progress_bar(run.name, "scan") as progress:
        store = reconstruct_run(
            opened,
            device=device,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    reasons = store.reasons
    for k, reason in reasons.items():
        click.echo(f"no surface from {opened.names[k]}: {reason}")
    with step_bar(f"{run.name}: analysis") as said:
        found = analyse(
            opened,
            scale_um=scale_um,
            window=window,
            reference=reference,
            regions=regions,
            line_um=line,
            films=not no_films,
            relief_film=film_3d,
            workers=workers,
            progress=said,
        )
    for note in found.notes:
        click.echo(note)
    scans = found.tables["scans.csv"]
    rates = scans["median_rate_nm_per_s"].dropna()
    told = f", median rate {rates.min():.3g} to {rates.max():.3g} nm/s" if len(rates) else ""
    click.echo(
        f"{found.path / 'report.html'}: {len(store) - len(reasons)} of {len(store)} scans over "
        f"{found.times_s[-1]:.4g} s{told}, in {time.perf_counter() - begun:.1f} s"
    )
