"""`lee series`: scans taken one after another become surfaces, growth, curves, figures and films."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option, progress_bar, um


def seconds(text: str) -> float:
    """Parse a time; the function's name is the placeholder in the help."""
    import math

    try:
        time = float(text)
    except ValueError:
        time = math.nan
    if not (math.isfinite(time) and time > 0):
        raise click.BadParameter(f"{text} is no time: give seconds above 0")
    return time


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
@overwrite_option
def series(
    run: Path,
    interval_s: float | None,
    z_step_um: float | None,
    pixel_um: float | None,
    scheduler: str | None,
    workers: int,
    device: str,
    overwrite: bool,
) -> None:
    """Measure how the surface in RUN changes over time.

    \b
    Example:
      lee series run
    """  # noqa: D301  click wants the character itself
    from lee.run import open_run
    from lee.run_reconstruct import reconstruct_run

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
    click.echo(f"{store.path}: {len(store) - len(reasons)} of {len(store)} scans")
    for k, reason in reasons.items():
        click.echo(f"no surface from {opened.names[k]}: {reason}")
