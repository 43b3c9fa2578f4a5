"""`lee twin window`: how much less current flows where the microscope looks."""

from pathlib import Path
from typing import Literal

import click

from lee.cli.options import PATH, overwrite_option
from lee.cli.twin.options import cell_of, cell_option, length_option


@click.command()
@cell_option
@length_option("--gap-um", 2000.0, "Distance between the electrodes.")
@length_option("--anode-um", 10_000.0, "Width of the anode from a wall or plane of symmetry.")
@length_option("--extension-um", 500.0, "How far the cathode reaches past the anode's edge.")
@click.option("--beyond-um", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Electrolyte beyond the cathode's end; 0: a wall.")  # fmt: skip
@click.option("--above-um", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Electrolyte above the anode's face; 0: an insulating plane.")  # fmt: skip
@click.option("--anode-back", type=click.Choice(["insulated", "active"]), default="insulated",
              show_default=True, help="Back of the anode, if there is electrolyte above it.")  # fmt: skip
@click.option("--window-um", type=(float, float), default=(200.0, 400.0), show_default=True,
              metavar="FROM TO", help="What the microscope sees, as distances from the edge.")  # fmt: skip
@click.option("--kind", type=click.Choice(["secondary", "primary"]), default="secondary", show_default=True,
              help="With kinetics; or without polarisation.")  # fmt: skip
@click.option("-o", "--output", type=PATH, metavar="PNG", help="Draw the current along the cathode.")
@overwrite_option
def window(
    cell: Path | None,
    gap_um: float,
    anode_um: float,
    extension_um: float,
    beyond_um: float,
    above_um: float,
    anode_back: Literal["insulated", "active"],
    window_um: tuple[float, float],
    kind: Literal["primary", "secondary"],
    output: Path | None,
    overwrite: bool,
) -> None:
    """Compute how much lower the current is in the microscope's window than under the anode.

    \b
    Example:
      lee twin window --gap-um 2000 --extension-um 500
      lee twin window --extension-um 1000 --above-um 3000 --anode-back active -o window.png
    """  # noqa: D301
    from lee.twin.comparison.window import CellSection, window_current

    section = CellSection(
        gap_um=gap_um, anode_um=anode_um, extension_um=extension_um, beyond_um=beyond_um, above_um=above_um,
        anode_back=anode_back, window_um=window_um,
    )  # fmt: skip
    found = window_current(cell_of(cell), section, kind=kind)
    for assumption in found.assumptions:
        click.echo(assumption)
    click.echo(
        f"window {found.window_ma_per_cm2:.1f}, under the anode {found.under_ma_per_cm2:.1f} mA/cm²: "
        f"{100 * found.loss:.1f} % lower; of the cell's current density --window-share {found.share:.4f}"
    )
    if output is not None:
        from lee.storage.atomic import new_file
        from lee.twin.results.figures import window_profile

        with new_file(output, overwrite=overwrite) as partial:
            window_profile(found, window_um).savefig(partial, format="png")
        click.echo(f"wrote {output}")
