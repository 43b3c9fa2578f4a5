"""The command line `lee`: it parses, calls the library and prints."""

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import click

from lee.cli.bench import bench
from lee.cli.cell_data import cell_data
from lee.cli.compare import compare
from lee.cli.curvature import curvature
from lee.cli.demo import demo
from lee.cli.export import export
from lee.cli.metrology import metrology
from lee.cli.one_line import DONE, FAILED, MISUSED, one_line, print_plainly, warnings_in_one_line
from lee.cli.particles import particles
from lee.cli.reconstruct import reconstruct
from lee.cli.rig.rig import rig
from lee.cli.roughness import roughness
from lee.cli.series import series
from lee.cli.twin.twin import twin
from lee.cli.view import view


def _version() -> str:
    try:
        return version("lee-microscopy")
    except PackageNotFoundError:
        return "not installed as a package"


class _Commands(click.Group):
    """A group that prints no empty line on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(_version(), prog_name="lee")
def commands() -> None:
    """Turn microscope z-scans into measured 3D surfaces.

    \b
    Example:
      lee demo
      lee reconstruct scan.ome.tif -o surface
      lee view surface
    """  # noqa: D301  click wants the character itself


for _command in (
    *(demo, reconstruct, series, cell_data, curvature, roughness, metrology, particles, twin, rig),
    *(compare, export, view, bench),
):
    commands.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, without the program's name, and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of this process.

    Returns
    -------
    int
        0 done, 1 failed, 2 misused. An error is one line on stderr.
    """
    with warnings_in_one_line():
        try:
            # Only --help and --version give a code here; a command returns None.
            code = commands.main(arguments, prog_name="lee", standalone_mode=False)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return MISUSED
        except (Exception, KeyboardInterrupt) as error:
            click.echo(f"lee: {one_line(error)}", err=True)
            return MISUSED if isinstance(error, click.UsageError) else FAILED
        return code if isinstance(code, int) else DONE


def main() -> None:
    """Run the command line of this process and exit with its code."""
    print_plainly()
    sys.exit(run())
