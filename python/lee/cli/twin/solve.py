"""`lee twin solve` and `lee twin grow`: the environment over a surface at rest, and over one that grows."""

import os
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from lee.cli.one_line import FAILED
from lee.cli.options import PATH, no_films_option, overwrite_option, seconds
from lee.cli.twin.options import InputOptions, Inputs, input_options, time_bar, times_option
from lee.errors import LeeError

if TYPE_CHECKING:
    from lee.twin import Balance, Solution

_KINDS = ["tertiary", "secondary", "primary"]


def _only_first_rank_prints(_context: click.Context, _option: click.Parameter, mpi: bool) -> bool:
    """Silence all ranks but the first before anything else is parsed: all would print the same."""
    if mpi:
        from lee.twin.mpi.strip import import_mpi

        if import_mpi()[0].COMM_WORLD.rank != 0:
            # A rank that fails alone still writes to the real stderr.
            sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    return mpi


@click.command(no_args_is_help=True)
@input_options
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@times_option
@click.option("--kind", type=click.Choice(_KINDS), default="tertiary", show_default=True,
              help="Transient with concentrations; kinetics only; no polarisation.")  # fmt: skip
@click.option(
    "--mpi", is_flag=True, is_eager=True, callback=_only_first_rank_prints,
    help="Solve on all ranks that mpirun started (tertiary or secondary).",
)  # fmt: skip
@no_films_option
@overwrite_option
def solve(
    inputs: InputOptions,
    output: Path,
    times_s: list[float],
    kind: str,
    mpi: bool,
    no_films: bool,
    overwrite: bool,
) -> None:
    """Compute the environment of SURFACE at rest, and write maps, fields, figures and balances.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in µm as TIFF. DIR gets maps.zarr and
    maps (TIFF) of concentration, potential, overpotential, current density and growth rate, fields for
    ParaView (fields/electrolyte.pvd, fields/electrode.pvd), environment.png, potentials.png, electrode.png,
    balances.csv and solution.json with what is assumed. Needs NGSolve (the extra `twin`).

    \b
    Example:
      lee twin solve surface -o environment
      lee twin solve surface -o environment --cell cell.toml --times-s 1,10,100,1000 --columns 96
      lee twin solve surface -o even --kind secondary --exchange-current i0.tif --efficiency 0.8
      mpirun -n 16 lee twin solve surface -o environment --columns 512 --mpi
    """  # noqa: D301
    begun = time.perf_counter()
    if mpi:
        found = _solve_on_ranks(inputs, output, times_s, kind, overwrite)
        if found is None:
            return
    else:
        found = _solve(inputs, output, times_s, kind, overwrite)
    _save(found, output, inputs.sources(), films=not no_films, overwrite=overwrite)
    _report(found, output, begun)
    _fail_if_stopped(found)


def _solve(
    inputs: InputOptions, output: Path, times_s: list[float], kind: str, overwrite: bool
) -> "Solution":
    from lee.twin import solve as compute

    given = _read(inputs, output, overwrite)
    with time_bar(output.name, times_s[-1] if kind == "tertiary" else 0) as progress:
        return compute(
            given.heights,
            pixel_um=given.pixel_um,
            cell=given.cell,
            times_s=times_s,
            kind=kind,
            exchange_current=given.exchange_current,
            efficiency=given.efficiency,
            mesh=given.mesh,
            tolerance=given.tolerance,
            report=click.echo,
            progress=progress,
        )


def _solve_on_ranks(
    inputs: InputOptions, output: Path, times_s: list[float], kind: str, overwrite: bool
) -> "Solution | None":
    """Solve on all ranks; the first reads the files and returns the solution."""
    from lee.twin.mpi.ranks import agreed, failing_together
    from lee.twin.mpi.solve import solve_parallel
    from lee.twin.mpi.strip import import_mpi

    comm = import_mpi()[0].COMM_WORLD
    first = comm.rank == 0
    try:
        with failing_together(comm):
            read = agreed(comm, lambda: _read(inputs, output, overwrite) if first else None)
            given: Inputs = comm.bcast(read)
            # The command reports it at its end.
            warnings.filterwarnings("ignore", message="stopped at")
            found = solve_parallel(
                given.heights,
                pixel_um=given.pixel_um,
                cell=given.cell,
                times_s=times_s,
                kind=kind,
                exchange_current=given.exchange_current,
                efficiency=given.efficiency,
                mesh=given.mesh,
                tolerance=given.tolerance,
                comm=comm,
                report=click.echo,
                progress=_report_step,
            )
    except LeeError:
        # The exit code is the first rank's; another rank's could end it before it has printed.
        if first:
            raise
        return None
    if found is not None and found.stopped:
        click.echo(f"lee: warning: {found.stopped}", err=True)
    return found


def _read(inputs: InputOptions, output: Path, overwrite: bool) -> Inputs:
    from lee.storage.atomic import try_new_folder
    from lee.twin.results.folder import FILES

    given = inputs.read()
    try_new_folder(output, overwrite=overwrite, known=FILES)
    return given


def _save(
    found: "Solution", output: Path, sources: dict[str, str | float | None], *, films: bool, overwrite: bool
) -> None:
    from lee.twin.results.folder import save_solution

    save_solution(found, output, overwrite=overwrite, metadata=sources, films=films)


def _fail_if_stopped(found: "Solution") -> None:
    """Leave with the code of a failure; a warning has given the reason, and what was reached is written."""
    if found.stopped:
        raise click.exceptions.Exit(FAILED)


def _report_step(balance: "Balance") -> None:
    click.echo(
        f"t = {balance.time_s:.4g} s, step {balance.step_s:.3g} s, {balance.linear_iterations} iterations, "
        f"charge and salt balanced within {max(balance.charge_error, balance.mass_error):.1e}"
    )


def _report(found: "Solution", output: Path, begun: float) -> None:
    for k, moment in enumerate(found.times_s):
        click.echo(
            f"t = {moment:g} s: "
            + ", ".join(
                f"{name} {maps[k].min():.4g} to {maps[k].max():.4g} {unit}"
                for name, maps, unit in (
                    ("c", found.concentration_mol_per_l, "mol/L"),
                    ("i", found.current_density_ma_per_cm2, "mA/cm²"),
                    ("height rate", found.height_rate_nm_per_s, "nm/s"),
                )
            )
            + f"; {found.mean_current_ma_per_cm2[k]:.4g} mA/cm², cell voltage {found.cell_voltage_v[k]:.4f} V"
        )
    worst = max((float(max(b.charge_error, b.mass_error)) for b in found.balances), default=0.0)
    balanced = f", charge and salt balanced within {worst:.1e}" if found.balances else ""
    click.echo(
        f"{output}: {len(found.balances)} steps in {found.timings_s.get('all', 0):.1f} s{balanced}, "
        f"{time.perf_counter() - begun:.1f} s in all; look at {output / 'environment.png'}"
    )


@click.command(no_args_is_help=True)
@input_options
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option("--until-s", type=seconds, default=1460.0, show_default=True, help="Duration of the growth.")
@click.option("--every-s", type=seconds, default=60.0, show_default=True, help="Time from map to map.")
@click.option(
    "--checkpoints", type=PATH, metavar="DIR",
    help="Folder of checkpoints to resume from; by default beside the output.",
)  # fmt: skip
@no_films_option
@overwrite_option
def grow(
    inputs: InputOptions,
    output: Path,
    until_s: float,
    every_s: float,
    checkpoints: Path | None,
    no_films: bool,
    overwrite: bool,
) -> None:
    """Let SURFACE grow with its deposit, or be stripped, and write what `lee twin solve` does for each time.

    A cell with a negative current density strips. Each time that was reached is kept as a checkpoint; the
    same command resumes from them if it was interrupted. They may be deleted when it is done.

    \b
    Example:
      lee twin grow surface -o grown --cell cell.toml --until-s 1460 --every-s 60
    """  # noqa: D301
    from lee.twin import grow as compute

    given = _read(inputs, output, overwrite)
    kept = checkpoints or output.parent / f"{output.name}-checkpoints"
    times = [*np.arange(0.0, until_s * (1 - 1e-9), every_s).tolist(), until_s]
    begun = time.perf_counter()
    with time_bar(output.name, until_s) as progress:
        found = compute(
            given.heights,
            pixel_um=given.pixel_um,
            cell=given.cell,
            times_s=times,
            exchange_current=given.exchange_current,
            efficiency=given.efficiency,
            mesh=given.mesh,
            tolerance=given.tolerance,
            folder=kept,
            report=click.echo,
            progress=progress,
        )
    sources = {**inputs.sources(), "snapshots": str(kept)}
    _save(found, output, sources, films=not no_films, overwrite=overwrite)
    _report(found, output, begun)
    gained = found.height_um[-1] - found.height_um[0]
    click.echo(f"grown by {gained.min():.3g} to {gained.max():.3g} µm, {gained.mean():.3g} µm on average")
    _fail_if_stopped(found)
