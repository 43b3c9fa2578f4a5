"""`lee rig times`: when scans began by the camera's clock, for a run whose computer's clock was set."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option


@click.command(no_args_is_help=True)
@click.argument("run", type=PATH)
@overwrite_option
def times(run: Path, overwrite: bool) -> None:
    """Write RUN/scans.csv with the times at which its scans began by the clock of the camera.

    For a run that `lee series` refuses since the computer's clock was set back between two sessions. The
    camera's clock must have gone on meanwhile. `lee series` then takes these times, also for surfaces made
    before.

    \b
    Example:
      lee rig times run
    """  # noqa: D301
    from lee.runs.camera_times import camera_times
    from lee.runs.run import SCANS_CSV, recordings_of
    from lee.storage.atomic import new_file

    scans = recordings_of(run)
    listed = camera_times(scans)
    with new_file(run / SCANS_CSV, overwrite=overwrite) as place:
        rows = [f"{scan.name},{time_s:.3f}" for scan, time_s in zip(scans, listed, strict=True)]
        place.write_text("\n".join(["scan,time_s", *rows]) + "\n", encoding="utf-8")
    click.echo(f"{run / SCANS_CSV}: {len(scans)} scans over {listed[-1]:.1f} s by the camera's clock")
