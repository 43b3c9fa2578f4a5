"""`lee cell-data`: what a potentiostat's record holds; and the options that lay one under a run."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lee.cli.options import PATH, overwrite_option

if TYPE_CHECKING:
    from lee.electrochemistry.cell_data import CellData

column_option = click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="WHAT=NAME[:UNIT]",
    help="Column of time, current or potential in the record, and its unit if it states none: current=I:mA.",
)


# click shows a parsing function's name, in capitals, as the placeholder of the value.
def value_and_error(text: str) -> tuple[float, float]:
    """Parse a positive number and, after ``+-`` or ``±``, its standard error."""
    value, _, error = text.replace("±", "+-").partition("+-")
    try:
        parsed = float(value), float(error) if error.strip() else 0.0
    except ValueError:
        parsed = math.nan, 0.0
    if not (math.isfinite(parsed[0]) and parsed[0] > 0 and math.isfinite(parsed[1]) and parsed[1] >= 0):
        raise click.BadParameter(f"{text} is no quantity: give a number above 0, with its error as 1.2+-0.1")
    return parsed


electrode_area_option = click.option(
    "--electrode-area-cm2",
    type=value_and_error,
    metavar="CM2[+-ERROR]",
    help="Area of the electrode that carries the current, as seen from its counter electrode.",
)


def chosen_columns(texts: tuple[str, ...]) -> dict[str, str]:
    """Parse the columns chosen on the command line."""
    found = {}
    for text in texts:
        what, separator, name = text.partition("=")
        if not separator or what not in ("time", "current", "potential") or not name:
            raise click.BadParameter(
                f"--column {text}: give time, current or potential, =, and the column's name"
            )
        found[what] = name
    return found


def charge_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that lay a record under a run."""
    for option in reversed(
        (
            click.option(
                "--cell-data",
                type=PATH,
                metavar="FILE",
                help="Record of the potentiostat: current and potential under every scan, phases from the "
                "current's "
                "sign, charge against measured volume.",
            ),
            column_option,
            electrode_area_option,
            click.option(
                "--window-share",
                type=click.FloatRange(min=0, min_open=True),
                default=1.0,
                show_default=True,
                help="Current density in the field over the electrode's mean; see lee twin window.",
            ),
            click.option(
                "--window-share-error",
                type=click.FloatRange(min=0),
                default=0.0,
                show_default=True,
                help="Standard error of --window-share.",
            ),
            click.option(
                "--clock-offset-s",
                type=float,
                metavar="S",
                help="Time of the record at the start of the first scan; by default from the edges of the "
                "current.",
            ),
            click.option(
                "--plating-current",
                type=click.Choice(["auto", "positive", "negative"]),
                default="auto",
                show_default=True,
                help="Sign of the record's current that plates; by default the one under which the surface "
                "grows.",
            ),
            click.option(
                "--metal",
                default="zinc",
                show_default=True,
                metavar="NAME",
                help="Metal that is deposited: zinc, copper, lithium, sodium, silver, nickel, tin or lead.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("cell-data", no_args_is_help=True)
@click.argument("file", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="CSV", help="Table to write, in the Battery Data Format.")
@column_option
@electrode_area_option
@overwrite_option
def cell_data(
    file: Path,
    output: Path | None,
    columns: tuple[str, ...],
    electrode_area_cm2: tuple[float, float] | None,
    overwrite: bool,
) -> None:
    """Read the record of a potentiostat or cycler: current and potential of the cell over time.

    FILE is BioLogic's .mpt or .mpr, CH Instruments' text, Gamry's .DTA, the Battery Data Format, or any table
    as text whose header names columns of time, current and potential with their units, as I/mA or time_s.

    \b
    Example:
      lee cell-data plating.mpt
      lee cell-data log.csv --column current=I:mA -o plating.bdf.csv
    """  # noqa: D301  click wants the character itself
    from lee.electrochemistry.read import read_cell_data
    from lee.electrochemistry.write import write_cell_data

    area = None if electrode_area_cm2 is None else electrode_area_cm2[0]
    data = read_cell_data(file, columns=chosen_columns(columns), electrode_area_cm2=area)
    for line in summary(data):
        click.echo(line)
    if output is not None:
        write_cell_data(output, data, overwrite=overwrite)
        click.echo(f"{output}: {len(data)} rows")


def summary(data: "CellData") -> list[str]:
    """Say in a few lines what a record holds."""
    import numpy as np

    about = data.provenance
    low, high = float(data.current_a.min()), float(data.current_a.max())
    positive, negative = (float(part[-1]) for part in data.charges_by_sign_c)
    edges = data.edges_s().size
    lines = [
        f"{about['file']}: {about['format']}, {len(data)} rows, {data.time_s[0]:.6g} to "
        f"{data.time_s[-1]:.6g} s"
        + ("" if data.started is None else f", begun {data.started:%Y-%m-%d %H:%M:%S}"),
        f"current {low:.4g} to {high:.4g} A, charge {positive:.5g} C of positive and {negative:.5g} C of "
        "negative "
        f"current, {edges} edge{'s' * (edges != 1)}",
    ]
    if np.isfinite(data.potential_v).any():
        lines.append(f"potential {np.nanmin(data.potential_v):.4g} to {np.nanmax(data.potential_v):.4g} V")
    if data.electrode_area_cm2 is not None:
        lines.append(f"electrode of {data.electrode_area_cm2:g} cm², as the record states")
    lines += [f"no row from {begin:.6g} to {end:.6g} s" for begin, end in data.gaps_s[:5]]
    if len(data.gaps_s) > 5:
        lines.append(f"and {len(data.gaps_s) - 5} more gaps")
    return lines + list(data.notes)
