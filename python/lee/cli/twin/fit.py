"""`lee twin fit`: parameters of the cell from measured rates and voltages."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from lee.cli.options import PATH, overwrite_option
from lee.cli.twin.options import InputOptions, input_options, map_or_number, rising_times


@click.command(no_args_is_help=True)
@input_options
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option("--fit", "names", required=True, metavar="NAME,NAME,...",
              help="Parameters of the cell to be found, as they are named in its file.")  # fmt: skip
@click.option("--rate", "rates", type=PATH, multiple=True, metavar="TIF",
              help="Measured height rates (nm/s) on the surface's pixels; once for each time.")  # fmt: skip
@click.option("--times-s", type=rising_times, default=None, metavar="S,S,...",
              help="When they were measured, since the current was switched on.")  # fmt: skip
@click.option("--sigma", metavar="TIF|NM/S", help="Standard deviation of the measured rates.")
@click.option("--voltage", type=PATH, metavar="CSV",
              help="Voltage of the cell: columns time_s,cell_voltage_v.")  # fmt: skip
@click.option(
    "--voltage-sigma-v", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True,
    metavar="V", help="Standard deviation of a voltage.",
)  # fmt: skip
@click.option("--kind", type=click.Choice(["secondary", "tertiary"]), default="tertiary", show_default=True,
              help="Kinetics only; transient with concentrations.")  # fmt: skip
@overwrite_option
def fit(
    inputs: InputOptions,
    output: Path,
    names: str,
    rates: tuple[Path, ...],
    times_s: list[float] | None,
    sigma: str | None,
    voltage: Path | None,
    voltage_sigma_v: float,
    kind: str,
    overwrite: bool,
) -> None:
    """Find parameters of the cell from rates and voltages that were measured over SURFACE.

    The twin is solved again and again over the surface at rest, which therefore must hardly have changed
    until the last of the times. Written are the cell with the values found, their errors and correlations,
    and what the measurements do not determine.

    \b
    Example:
      lee twin fit surface -o fitted --cell cell.toml --fit exchange_current_a_per_m2,layer_um \\
          --rate rate.tif --times-s 60 --sigma 2 --voltage voltage.csv
    """  # noqa: D301
    from lee.errors import InputError
    from lee.storage.atomic import try_new_folder
    from lee.twin.fitting.fit import fit as fit_cell
    from lee.twin.fitting.folder import FILES, parameters, save_fit

    try_new_folder(output, overwrite=overwrite, known=FILES)
    given = inputs.read()
    if given.exchange_current is not None or given.efficiency is not None:
        raise InputError("fit: takes no maps of exchange current or efficiency; state one number in the cell")
    maps = _rates(rates, times_s or [], given.pixel_um)
    curve = None if voltage is None else _voltages(voltage)
    found = fit_cell(
        given.heights,
        [name.strip() for name in names.split(",")],
        cell=given.cell,
        pixel_um=given.pixel_um,
        rates_nm_per_s=maps,
        sigma_nm_per_s=None if maps is None else map_or_number(sigma, maps.shape[1:]),
        rate_times_s=times_s or (),
        voltages_v=None if curve is None else curve[1],
        voltage_sigma_v=voltage_sigma_v,
        voltage_times_s=() if curve is None else curve[0],
        kind=kind,
        mesh=None if inputs.columns is None else given.mesh,
        progress=lambda done, chi2: click.echo(f"solve {done}: squared misfit {chi2:.4g}", err=True),
    )
    save_fit(
        found, output, overwrite=overwrite,
        metadata={**inputs.sources(), "rates": [str(path) for path in rates], "voltage": str(voltage or "")},
    )  # fmt: skip
    for row in parameters(found).to_dict(orient="records"):
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        click.echo(f"{row['name']} = {row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g}){unit}")
    for name, chi2 in found.chi2.items():
        click.echo(f"{name}: squared misfit {chi2:.3g} per observation, 1 expected")
    for note in found.notes:
        click.echo(note)
    click.echo(f"{output}: look at {output / 'fit.png'}")


def _rates(rates: tuple[Path, ...], times_s: Sequence[float], pixel_um: float) -> NDArray[np.float32] | None:
    from lee.errors import InputError
    from lee.storage.map_tiff import read_map

    if len(rates) != len(times_s):
        raise InputError(f"fit: {len(rates)} --rate and {len(times_s)} --times-s; give a time for each map")
    maps = []
    for path in rates:
        values, pixel = read_map(path)
        if pixel is not None and abs(pixel / pixel_um - 1) > 1e-3:
            raise InputError(
                f"{path} has pixels of {pixel:g} µm, the surface {pixel_um:g} µm: give a map on the "
                "same pixels"
            )
        maps.append(values)
    if len({values.shape for values in maps}) > 1:
        raise InputError("fit: the maps of rates differ in shape; give them on the surface's pixels")
    return np.stack(maps) if maps else None


def _voltages(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from lee.errors import InputError
    from lee.storage.csv_table import read_table

    names = ("time_s", "cell_voltage_v")
    rows = []
    for row in read_table(path, names):
        try:
            rows.append([float(row.text[name]) for name in names])
        except ValueError:
            raise InputError(
                f"{path}, line {row.line}: {', '.join(row.text[name] for name in names)}; give two numbers"
            ) from None
    if not rows:
        raise InputError(f"{path}: holds no voltage; give rows of time_s,cell_voltage_v")
    times, voltages = np.array(rows, np.float64).T
    return times, voltages
