"""`lee twin`: the local electrochemical environment of a measured surface, computed."""

import math
import time
from pathlib import Path
from typing import Any

import click

from lee.cli.one_line import FAILED
from lee.cli.options import PATH, overwrite_option, seconds, um
from lee.cli.twin.compare import compare, window
from lee.cli.twin.options import (
    cell_of,
    cell_option,
    map_options,
    map_or_number,
    mesh_of,
    mesh_options,
    rising_times,
    time_bar,
)

_KINDS = ["tertiary", "secondary", "primary"]


@click.group(no_args_is_help=True)
def twin() -> None:
    """Compute concentrations, potentials, currents and growth over a measured surface.

    \b
    Example:
      lee twin cell -o cell.toml
      lee twin solve surface -o environment --cell cell.toml --times-s 1,10,100
      lee twin grow surface -o grown --until-s 1460
      lee twin compare environment rate.tif -o compared
    """  # noqa: D301  click wants the character itself


twin.add_command(compare)
twin.add_command(window)


@twin.command(no_args_is_help=True)
@click.option("-o", "--output", type=PATH, required=True, metavar="TOML", help="File to write.")
def cell(output: Path) -> None:
    """Write the default cell, 2 M zinc sulfate at 80 mA/cm2, as a file to edit; each number has its source.

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
@click.argument("surface", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@cell_option
@click.option(
    "--times-s", type=rising_times, default="1,10,100", show_default=True, metavar="S,S,...",
    help="Times after the current is switched on.",
)  # fmt: skip
@click.option("--kind", type=click.Choice(_KINDS), default="tertiary", show_default=True,
              help="Transient with concentrations; kinetics only; no polarisation.")  # fmt: skip
@map_options
@mesh_options
@click.option("--pixel-um", type=um, help="Pixel size, for a single height map that does not tell it.")
@click.option("--no-films", is_flag=True, help="Write no films.")
@overwrite_option
def solve(
    surface: Path,
    output: Path,
    cell: Path | None,
    times_s: list[float],
    kind: str,
    exchange_current: Any,
    efficiency: Any,
    columns: int | None,
    layers: int,
    smooth_um: float | None,
    pixel_um: float | None,
    no_films: bool,
    overwrite: bool,
) -> None:
    """Compute the environment of SURFACE while it rests, and write maps, fields, figures and books.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in um as TIFF. DIR gets maps.zarr and
    maps (TIFF) of concentration, potential, overpotential, current density and growth rate, fields for
    ParaView (fields/*.pvd), environment.png, potentials.png, electrode.png, balances.csv and solution.json
    with what is assumed. Needs NGSolve (the extra `twin`).

    \b
    Example:
      lee twin solve surface -o environment
      lee twin solve surface -o environment --cell cell.toml --times-s 1,10,100,1000 --columns 96
      lee twin solve surface -o even --kind secondary --exchange-current i0.tif --efficiency 0.8
    """  # noqa: D301
    from lee.storage.atomic import try_new_folder
    from lee.surfaces.surface import Surface
    from lee.twin import solve as compute
    from lee.twin.results.folder import FILES, save_solution

    heights = Surface.load(surface, pixel_um=pixel_um)
    used = cell_of(cell)
    exchange, share = (map_or_number(given, heights.shape) for given in (exchange_current, efficiency))
    try_new_folder(output, overwrite=overwrite, known=FILES)
    begun = time.perf_counter()
    with time_bar(output.name, times_s[-1] if kind == "tertiary" else 0) as told:
        found = compute(
            heights.height_um,
            pixel_um=heights.pixel_um,
            cell=used,
            times_s=times_s,
            kind=kind,
            exchange_current=exchange,
            efficiency=share,
            mesh=mesh_of(heights.shape, columns, layers, smooth_um),
            tell=click.echo,
            progress=told,
        )
    sources = {
        "surface": str(surface), "exchange_current": exchange_current, "efficiency": efficiency,
        "columns": columns, "layers": layers, "smooth_um": smooth_um,
    }  # fmt: skip
    save_solution(found, output, overwrite=overwrite, metadata=sources, films=not no_films)
    _tell(found, output, begun)
    _fail_if_stopped(found)


def _fail_if_stopped(found: Any) -> None:
    """Leave with the code of a failure; a warning has said why, and what was reached is written."""
    if found.stopped:
        raise click.exceptions.Exit(FAILED)


def _tell(found: Any, output: Path, begun: float) -> None:
    for k, moment in enumerate(found.times_s):
        click.echo(
            f"t = {moment:g} s: "
            + ", ".join(
                f"{name} {maps[k].min():.4g} to {maps[k].max():.4g} {unit}"
                for name, maps, unit in (
                    ("c", found.concentration_mol_per_l, "mol/L"),
                    ("i", found.current_density_ma_per_cm2, "mA/cm2"),
                    ("rate", found.rate_nm_per_s, "nm/s"),
                )
            )
        )
    worst = [max((float(getattr(b, name)) for b in found.balances), default=math.nan)
             for name in ("charge_error", "mass_error")]  # fmt: skip
    books = f", books within {max(worst):.1e}" if found.balances else ""
    click.echo(
        f"{output}: {len(found.balances)} steps in {found.timings_s.get('all', 0):.1f} s{books}, "
        f"{time.perf_counter() - begun:.1f} s in all; look at {output / 'environment.png'}"
    )


@twin.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@cell_option
@click.option("--until-s", type=seconds, default=1460.0, show_default=True, help="How long it grows.")
@click.option("--every-s", type=seconds, default=60.0, show_default=True, help="From map to map.")
@click.option(
    "--snapshots", type=PATH, metavar="DIR",
    help="Where the growth is kept while it goes on; by default beside the output.",
)  # fmt: skip
@map_options
@mesh_options
@click.option("--pixel-um", type=um, help="Pixel size, for a single height map that does not tell it.")
@click.option("--no-films", is_flag=True, help="Write no films.")
@overwrite_option
def grow(
    surface: Path,
    output: Path,
    cell: Path | None,
    until_s: float,
    every_s: float,
    snapshots: Path | None,
    exchange_current: Any,
    efficiency: Any,
    columns: int | None,
    layers: int,
    smooth_um: float | None,
    pixel_um: float | None,
    no_films: bool,
    overwrite: bool,
) -> None:
    """Let SURFACE grow with its deposit, or be stripped, and write what `lee twin solve` does for each time.

    A cell with a negative current density strips. Each time that was reached is kept in the snapshots; the
    same command goes on from them if it was interrupted, and they may be deleted when it is done.

    \b
    Example:
      lee twin grow surface -o grown --cell cell.toml --until-s 1460 --every-s 60
    """  # noqa: D301
    import numpy as np

    from lee.storage.atomic import try_new_folder
    from lee.surfaces.surface import Surface
    from lee.twin import grow as compute
    from lee.twin.results.folder import FILES, save_solution

    heights = Surface.load(surface, pixel_um=pixel_um)
    used = cell_of(cell)
    exchange, share = (map_or_number(given, heights.shape) for given in (exchange_current, efficiency))
    try_new_folder(output, overwrite=overwrite, known=FILES)
    kept = snapshots or output.parent / f"{output.name}-snapshots"
    times = [*np.arange(0.0, until_s * (1 - 1e-9), every_s).tolist(), until_s]
    begun = time.perf_counter()
    with time_bar(output.name, until_s) as told:
        found = compute(
            heights.height_um,
            pixel_um=heights.pixel_um,
            cell=used,
            times_s=times,
            exchange_current=exchange,
            efficiency=share,
            mesh=mesh_of(heights.shape, columns, layers, smooth_um),
            folder=kept,
            tell=click.echo,
            progress=told,
        )
    sources = {
        "surface": str(surface), "exchange_current": exchange_current, "efficiency": efficiency,
        "columns": columns, "layers": layers, "smooth_um": smooth_um, "snapshots": str(kept),
    }  # fmt: skip
    save_solution(found, output, overwrite=overwrite, metadata=sources, films=not no_films)
    _tell(found, output, begun)
    gained = found.height_um[-1] - found.height_um[0]
    click.echo(f"grown by {gained.min():.3g} to {gained.max():.3g} um, {gained.mean():.3g} um on the mean")
    _fail_if_stopped(found)


@twin.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@cell_option
@click.option(
    "--times-s", type=rising_times, default="1,10,100", show_default=True, metavar="S,S,...",
    help="Times to be solved for.",
)  # fmt: skip
@map_options
@mesh_options
@click.option("--pixel-um", type=um, help="Pixel size, for a single height map that does not tell it.")
@click.option(
    "--build/--no-build", default=None, help="Make model.mph, too. Default: where COMSOL is installed."
)
@overwrite_option
def export(
    surface: Path,
    output: Path,
    cell: Path | None,
    times_s: list[float],
    exchange_current: Any,
    efficiency: Any,
    columns: int | None,
    layers: int,
    smooth_um: float | None,
    pixel_um: float | None,
    build: bool | None,
    overwrite: bool,
) -> None:
    """Write the twin of SURFACE as a model for COMSOL 6: a Java file, its mesh and maps, and how to run it.

    Not verified against COMSOL. DIR/README.txt tells how to compile and run it.

    \b
    Example:
      lee twin export surface -o comsol --cell cell.toml --times-s 1,10,100
    """  # noqa: D301
    from lee.surfaces.surface import Surface
    from lee.twin.comsol.export import BUILT, export_comsol

    heights = Surface.load(surface, pixel_um=pixel_um)
    exchange, share = (map_or_number(given, heights.shape) for given in (exchange_current, efficiency))
    folder = export_comsol(
        heights.height_um,
        output,
        pixel_um=heights.pixel_um,
        cell=cell_of(cell),
        times_s=times_s,
        exchange_current=exchange,
        efficiency=share,
        mesh=mesh_of(heights.shape, columns, layers, smooth_um),
        build="auto" if build is None else "always" if build else "never",
        overwrite=overwrite,
    )
    made = f" and {BUILT}" if (folder / BUILT).is_file() else ""
    click.echo(f"{folder}: LeeTwin.java{made}; not verified against COMSOL, see {folder / 'README.txt'}")
