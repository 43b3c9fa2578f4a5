"""`lee series`: scans taken one after another become surfaces, growth, curves, figures and films."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lee.cli.cell_data import charge_options, chosen_columns
from lee.cli.options import (
    PATH,
    interval_option,
    line,
    no_films_option,
    progress_bar,
    scale_option,
    step_bar,
)
from lee.cli.reconstruct_options import ReconstructOptions, reconstruct_options
from lee.cli.target import target_of
from lee.errors import InputError, LeeError

if TYPE_CHECKING:
    from lee.cli.target import Wanted
    from lee.reconstruction.target import Target
    from lee.runs.run import Run
    from lee.surfaces.profile import Line


@click.command(no_args_is_help=True)
@click.argument("run", type=PATH)
@interval_option
@reconstruct_options
@click.option(
    "--scheduler",
    metavar="local|ADDRESS",
    help="Reconstruct through Dask, on this computer or a cluster; by default in processes on this computer.",
)
@click.option(
    "--workers", type=click.IntRange(min=0), default=0, show_default="all cores", help="Number of processes."
)
@click.option(
    "--from-scratch", is_flag=True, help="Discard RUN/surfaces.zarr and reconstruct every scan again."
)
@click.option(
    "--regions",
    type=PATH,
    metavar="JSON",
    help='Regions to measure, {"R1": {"polygon_um": [[y, x], ...]}}; by default trenches and protrusions are '
    "found.",
)
@click.option(
    "--reference",
    default="none",
    show_default=True,
    metavar="WHAT",
    help="Height reference against axial drift: none, region:NAME or fiducial:NAME (of --regions, does not "
    "grow), model:NM_PER_S or model:CSV (time_s,height_um; mean growth of the field).",
)
@click.option("--line", type=line, metavar="Y0,X0,Y1,X1", help="Line of the profiles, µm.")
@scale_option("")
@click.option(
    "--fit-scans",
    type=click.IntRange(min=3),
    default=5,
    show_default=True,
    help="Successive scans to which each growth rate is fitted.",
)
@charge_options
@no_films_option
@click.option(
    "--film-3d", is_flag=True, help="Also write a film of the surface seen obliquely; needs pyvista."
)
def series(
    run: Path,
    interval_s: float | None,
    how: ReconstructOptions,
    scheduler: str | None,
    workers: int,
    from_scratch: bool,
    regions: Path | None,
    reference: str,
    line: "Line | None",
    scale_um: float | Literal["auto"],
    fit_scans: int,
    cell_data: Path | None,
    columns: tuple[str, ...],
    electrode_area_cm2: tuple[float, float] | None,
    window_share: float,
    window_share_error: float,
    clock_offset_s: float | None,
    plating_current: Literal["auto", "positive", "negative"],
    metal: str,
    no_films: bool,
    film_3d: bool,
) -> None:
    """Measure how the surface in RUN grows.

    RUN is a folder with scans taken one after another, or with a folder scans that holds them, and
    scans.csv. The header of scans.csv is scan,time_s; the columns phase (plating, stripping, rest), z_step_um
    and pixel_um are optional. Or it is a file with several times; the results of a.ome.tif go to a_run then.
    Surfaces go to RUN/surfaces.zarr; a later call adds only missing ones. RUN/series is brought up to date:
    report.html to read, with growth, rates, curvature, regions, area and volume as figures, films, tables
    (CSV) and maps (zarr).

    \b
    Example:
      lee series run
      lee series times.ome.tif --interval-s 20
      lee series run --interval-s 10 --scheduler local --line 20,0,20,80
      lee series run --regions regions.json --reference fiducial:scratch
      lee series run --cell-data plating.mpt --electrode-area-cm2 1.13+-0.02
    """  # noqa: D301  click wants the character itself
    from lee.electrochemistry.read import read_cell_data
    from lee.runs.reconstruct import reconstruct_run, series_params
    from lee.runs.run import open_run
    from lee.series.analyse import analyse
    from lee.series.charge.options import ChargeOptions
    from lee.series.charge.report import charge_sentences
    from lee.series.options import SeriesOptions

    begun = time.perf_counter()
    charge = None
    if cell_data is not None:
        area, area_error = electrode_area_cm2 or (None, 0.0)
        charge = ChargeOptions(
            record=read_cell_data(cell_data, columns=chosen_columns(columns), electrode_area_cm2=area),
            electrode_area_cm2=area,
            electrode_area_sigma_cm2=area_error,
            window_share=window_share,
            window_share_sigma=window_share_error,
            clock_offset_s=clock_offset_s,
            plating_current=plating_current,
            metal=metal,
        )
    opened = open_run(
        run,
        interval_s=interval_s,
        z_step_um=how.z_step_um,
        z_um=how.z_csv,
        pixel_um=how.pixel_um,
        **how.for_stack(),
    )
    target = None if how.target is None else _target_in(opened, how.target)
    with progress_bar(run.name, "scan") as progress:
        store = reconstruct_run(
            opened,
            params=how.params(series_params()),
            target=target,
            device=how.device,
            scheduler=scheduler,
            workers=workers,
            overwrite=from_scratch,
            progress=progress,
        )
    reasons = store.reasons
    for k, reason in reasons.items():
        click.echo(f"no surface from {opened.names[k]}: {reason}")
    with step_bar(f"{run.name}: analysis") as show:
        found = analyse(
            opened,
            SeriesOptions(
                scale_um=scale_um,
                fit_scans=fit_scans,
                reference=reference,
                regions=regions,
                line_um=line,
                films=not no_films,
                relief_film=film_3d,
                charge=charge,
            ),
            workers=workers,
            progress=show,
        )
    for note in found.notes:
        click.echo(note)
    if found.charge is not None:
        for sentence in charge_sentences(found.charge):
            click.echo(f"charge: {sentence}")
    scans = found.tables["scans.csv"]
    rates = scans["median_rate_nm_per_s"].dropna()
    shown = f", median rate {rates.min():.3g} to {rates.max():.3g} nm/s" if len(rates) else ""
    click.echo(
        f"{found.path / 'report.html'}: {len(store) - len(reasons)} of {len(store)} scans over "
        f"{found.times_s[-1]:.4g} s{shown}, in {time.perf_counter() - begun:.1f} s"
    )


def _target_in(run: "Run", wanted: "Wanted") -> "Target":
    """Return the target; with ``auto`` it is estimated from the first scan that opens, for all scans."""
    refused: LeeError | None = None
    for k in range(len(run)):
        try:
            stack = run.open_scan(k)
        except LeeError as error:
            refused = refused or error
            continue
        with stack:
            return target_of(wanted, stack)
    raise refused or InputError(f"{run.path}: holds no scans")
