"""`lee twin`: the local electrochemical environment of a measured surface, computed."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option
from lee.cli.twin.compare import compare
from lee.cli.twin.fit import fit
from lee.cli.twin.follow import follow
from lee.cli.twin.options import InputOptions, input_options, times_option
from lee.cli.twin.solve import grow, solve
from lee.cli.twin.window import window


@click.group(no_args_is_help=True)
def twin() -> None:
    """Compute concentrations, potentials, currents and growth over a measured surface.

    \b
    Example:
      lee twin cell -o cell.toml
      lee twin solve surface -o environment --cell cell.toml --times-s 1,10,100
      lee twin grow surface -o grown --until-s 1460
      lee twin follow run --cell cell.toml
      lee twin compare environment rate.tif -o compared
      lee twin fit surface -o fitted --fit layer_um --rate rate.tif --times-s 60 --sigma 2
    """  # noqa: D301  click wants the character itself


for _command in (solve, grow, follow, compare, fit, window):
    twin.add_command(_command)


@twin.command(no_args_is_help=True)
@click.option("-o", "--output", type=PATH, required=True, metavar="TOML", help="File to write.")
def cell(output: Path) -> None:
    """Write the default cell, 2 M zinc sulfate at 80 mA/cm², as a file to edit; each number has its source.

    \b
    Example:
      lee twin cell -o cell.toml
    """  # noqa: D301
    from lee.errors import InputError
    from lee.twin import Cell

    if output.exists():
        raise InputError(f"{output} exists already: choose another name, so that no cell is lost")
    Cell().save(output)
    click.echo(f"{output}: {Cell().summary()}")


@twin.command(no_args_is_help=True)
@input_options
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@times_option
@click.option(
    "--build/--no-build", default=None,
    help="Also make model.mph with COMSOL. By default it is made if COMSOL is installed.",
)  # fmt: skip
@overwrite_option
def export(
    inputs: InputOptions, output: Path, times_s: list[float], build: bool | None, overwrite: bool
) -> None:
    """Write the twin of SURFACE as a model for COMSOL 6: a Java file, its mesh and maps, and how to run it.

    Not verified against COMSOL. DIR/README.txt explains how to compile and run it.

    \b
    Example:
      lee twin export surface -o comsol --cell cell.toml --times-s 1,10,100
    """  # noqa: D301
    from lee.twin.comsol.export import BUILT, export_comsol

    given = inputs.read()
    folder = export_comsol(
        given.heights,
        output,
        pixel_um=given.pixel_um,
        cell=given.cell,
        times_s=times_s,
        exchange_current=given.exchange_current,
        efficiency=given.efficiency,
        mesh=given.mesh,
        build="auto" if build is None else "always" if build else "never",
        overwrite=overwrite,
    )
    made = f" and {BUILT}" if (folder / BUILT).is_file() else ""
    click.echo(f"{folder}: LeeTwin.java{made}; not verified against COMSOL, see {folder / 'README.txt'}")
