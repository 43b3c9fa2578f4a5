"""`lee rig home`: drive the stage to its reference switch."""

from contextlib import closing
from pathlib import Path

import click

from lee.cli.rig.options import config_argument
from lee.cli.rig.stopping import StopRequests


@click.command(no_args_is_help=True)
@config_argument
@click.option(
    "--objective-is-clear",
    is_flag=True,
    help="You looked: nothing is in the way of the stage over its whole travel.",
)
def home(config: Path, objective_is_clear: bool) -> None:
    """Drive the stage to its reference switch; its heights count from there.

    It may run through its whole travel, toward the objective too. Without --objective-is-clear nothing moves.

    \b
    Example:
      lee rig home rig.toml --objective-is-clear
    """  # noqa: D301
    from lee.devices import open_stage
    from lee.errors import InputError

    if not objective_is_clear:
        raise InputError(
            "homing may drive the stage through its whole travel; clear the objective, then give "
            "--objective-is-clear"
        )
    with StopRequests() as requests, closing(open_stage(config)) as stage:
        with requests.halting(stage):
            stage.home(consent=True)
        here_um = stage.status().position_counts / stage.counts_per_um
        click.echo(f"the stage is homed and stands at {here_um:.2f} µm")
