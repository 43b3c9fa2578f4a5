"""`lee twin follow`: the environment on the measured surfaces of a run, from scan to scan."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from lee.cli.one_line import FAILED
from lee.cli.options import PATH, no_films_option, overwrite_option
from lee.cli.twin.options import InputOptions, cell_of, map_or_number, run_options, time_bar

if TYPE_CHECKING:
    from lee.electrochemistry import Protocol

_TOLERANCE = 3e-4


@click.command(no_args_is_help=True)
@run_options
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Folder to write; by default RUN/twin.")
@click.option(
    "--checkpoints", type=PATH, metavar="DIR",
    help="Folder of checkpoints to resume from; by default beside the output.",
)  # fmt: skip
@click.option("--regions", type=PATH, metavar="JSON",
              help="Regions to compare; by default trenches and protrusions are found.")  # fmt: skip
@no_films_option
@overwrite_option
def follow(
    inputs: InputOptions,
    output: Path | None,
    checkpoints: Path | None,
    regions: Path | None,
    no_films: bool,
    overwrite: bool,
) -> None:
    """Compute the environment on the surfaces of RUN, and set computed rates beside measured ones.

    RUN is the folder of a run whose surfaces `lee series` has measured: they are the moving boundary. Scans
    without a surface are bridged. The current is the one that `lee series --cell-data` found under the scans;
    without it the cell's plates, and strips or rests where the run states phases. DIR gets what `lee twin
    solve` writes for each scan, and intervals.csv with charge, deposit and salt from scan to scan. The same
    command resumes after an interruption.

    \b
    Example:
      lee twin follow run --cell cell.toml
      lee twin follow run -o run/twin --columns 48 --overwrite
    """  # noqa: D301
    from lee.runs.run import RESULTS
    from lee.series.options import load_regions
    from lee.storage.atomic import try_new_folder
    from lee.twin import follow as compute
    from lee.twin.following.folder import FILES, save_followed
    from lee.twin.following.measured_potential import recorded_potential

    place = inputs.surface / "twin" if output is None else output
    run, cell = _measured(inputs.surface), cell_of(inputs.cell)
    if cell.protocol is not None and run.protocol is not None:
        run.notes.append("the cell's protocol is applied, in place of the current that was recorded")
    for note in run.notes:
        click.echo(note)
    try_new_folder(place, overwrite=overwrite, known=FILES)
    kept = checkpoints or place.parent / f"{place.name}-checkpoints"
    with time_bar(place.name, float(run.times_s[-1])) as progress:
        found = compute(
            run.heights_um,
            times_s=run.times_s,
            pixel_um=run.pixel_um,
            cell=cell,
            sigmas_um=run.sigmas_um,
            phases=run.phases,
            protocol=run.protocol if cell.protocol is None else cell.protocol,
            scans=run.scans,
            exchange_current=map_or_number(inputs.exchange_current, run.shape),
            efficiency=map_or_number(inputs.efficiency, run.shape),
            mesh=inputs.mesh(run.shape),
            tolerance=inputs.tolerance or _TOLERANCE,
            folder=kept,
            report=click.echo,
            progress=progress,
        )
    voltage = recorded_potential(inputs.surface / RESULTS / "charge.csv", found.intervals)
    sources = {**inputs.sources(), "run": str(inputs.surface), "checkpoints": str(kept)}
    if voltage is not None:
        sources["potential"] = voltage.text
    save_followed(
        found,
        place,
        rates_nm_per_s=run.rates,
        sigmas_nm_per_s=run.rate_sigmas,
        regions=[] if regions is None else load_regions(regions, run.shape, run.pixel_um),
        overwrite=overwrite,
        metadata=sources,
        films=not no_films,
    )
    for row in found.intervals.to_dict(orient="records"):
        click.echo(
            f"t = {row['time_s']:g} s: {row['charge_c_per_cm2']:.4g} C/cm², "
            f"deposit {row['deposit_um']:.3g} µm, measured {row['raised_um']:.3g} µm; "
            f"c {row['concentration_min_mol_per_l']:.4g} mol/L at least; "
            f"{'' if row['measured'] else 'no surface, bridged; '}"
            f"charge and salt balanced within {max(row['charge_error'], row['salt_error']):.1e}"
        )
    if voltage is not None:
        click.echo(voltage.text)
    solution = found.solution
    click.echo(
        f"{place}: {len(solution.balances)} steps in {solution.timings_s['all']:.1f} s; "
        f"look at {place / 'report.html'}"
    )
    if solution.stopped:
        raise click.exceptions.Exit(FAILED)


class _Run(NamedTuple):
    """A run's surfaces, read one at a time."""

    heights_um: "_Stored"
    sigmas_um: "_Stored"
    rates: "_Stored | None"
    rate_sigmas: "_Stored | None"
    times_s: NDArray[np.float64]
    phases: list[str]
    protocol: "Protocol | None"
    scans: list[str]
    pixel_um: float
    shape: tuple[int, int]
    notes: list[str]


class _Stored:
    """Maps of a store, read when asked for."""

    def __init__(self, read: Callable[[int], NDArray[np.float32]], count: int) -> None:
        self._read, self._count = read, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> NDArray[np.float32]:
        return self._read(k)


def _measured(run: Path) -> _Run:
    """Read a run's surfaces: aligned by `lee series` if they are, else as they were measured."""
    from lee.runs.run import RESULTS, SURFACES
    from lee.runs.surface_store import SurfaceStore
    from lee.series.map_store import MAPS_ZARR, open_maps

    store = SurfaceStore.open(run / SURFACES)
    count, place = len(store), run / RESULTS / MAPS_ZARR
    notes = []
    rates = rate_sigmas = None
    heights, sigmas = (
        _Stored(partial(store.read, name=name), count) for name in ("height_um", "height_sigma_um")
    )
    if place.is_dir() and len(open_maps(place)["height_um"]) == count:
        maps = open_maps(place)
        heights, sigmas, rates, rate_sigmas = (
            _Stored(maps[name].__getitem__, count)
            for name in ("height_um", "height_sigma_um", "rate_nm_per_s", "rate_sigma_nm_per_s")
        )
    else:
        notes.append(f"{run} was not analysed by `lee series`: its surfaces are followed without alignment")
    protocol = _recorded(run / RESULTS / "charge.csv", store.times_s, notes)
    return _Run(
        heights, sigmas, rates, rate_sigmas, store.times_s, store.phases, protocol, store.scans,
        store.pixel_um, store.shape, notes,
    )  # fmt: skip


def _recorded(table: Path, times_s: NDArray[np.float64], notes: list[str]) -> "Protocol | None":
    """Read the current that `lee series --cell-data` found under the scans; None if it is not known."""
    import pandas as pd

    from lee.twin.following.current import current_of_charge

    if not table.is_file():
        return None
    charge = pd.read_csv(table)
    if "charge_c_per_cm2" not in charge or len(charge) != len(times_s):
        notes.append(f"{table} lacks the charge of every scan: the cell's current is taken")
        return None
    if charge["charge_c_per_cm2"].isna().any():
        notes.append(f"{table}: the record does not cover every scan: the cell's current is taken")
        return None
    notes.append(f"the current is that recorded, {table}")
    return current_of_charge(times_s, charge["charge_c_per_cm2"])
