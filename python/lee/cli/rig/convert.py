"""`lee rig convert`: turn recorded scans into OME-Zarr."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option, progress_bar


@click.command(no_args_is_help=True)
@click.argument("recorded", type=PATH, metavar="RUN|SCAN.raw")
@click.option("--remove-raw", is_flag=True, help="Remove each recording after its OME-Zarr was verified.")
@overwrite_option
def convert(recorded: Path, remove_raw: bool, overwrite: bool) -> None:
    """Turn recorded scans into sharded OME-Zarr, each beside its recording.

    Every frame is read back and compared with the checksum it was recorded with before the result takes its
    name. Without --overwrite, scans of a run that were converted already are skipped.

    \b
    Example:
      lee rig convert run
      lee rig convert run/scans/scan_000.raw --remove-raw
    """  # noqa: D301
    from lee.recording.convert import convert as convert_scan
    from lee.runs.run import recordings_of

    scans = recordings_of(recorded)
    done = 0
    for raw in scans:
        if recorded.is_dir() and not overwrite and raw.with_suffix(".zarr").exists():
            click.echo(f"{raw.name}: already converted")
            continue
        with progress_bar(raw.name) as progress:
            place = convert_scan(raw, remove_raw=remove_raw, overwrite=overwrite, progress=progress)
        done += 1
        click.echo(f"{raw.name}: {place.name}{'; its recording was removed' if remove_raw else ''}")
    click.echo(f"{recorded}: {done} of {len(scans)} recordings converted")
