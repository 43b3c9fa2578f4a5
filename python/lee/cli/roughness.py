"""`lee roughness`: areal parameters of a surface, with their uncertainty."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lee.cli.options import PATH, line, overwrite_option, pixel_of_map_option, progress_bar, um

if TYPE_CHECKING:
    from lee.surfaces.profile import Line


@click.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option(
    "--form-order",
    type=click.IntRange(0, 10),
    default=1,
    show_default=True,
    help="Order of the polynomial that is removed: 0 the mean, 1 the plane, 2 bowls and saddles.",
)
@click.option("--s-filter-um", type=um, help="S-filter: remove what is finer than this wavelength.")
@click.option("--l-filter-um", type=um, help="L-filter: remove what is coarser than this wavelength.")
@click.option("--line", type=line, metavar="Y0,X0,Y1,X1", help="Also measure the profile along it, µm.")
@click.option("--width-um", type=um, help="Average the profile over a band this wide.")
@click.option(
    "--step",
    type=click.Choice(["edge", "groove"]),
    help="Measure a step along the line; a groove is also a bar.",
)
@click.option("--noise-um", type=um, help="Standard deviation of the heights; by default that of SURFACE.")
@click.option(
    "--noise-correlation-px",
    type=click.FloatRange(min=0),
    metavar="PX",
    help="Correlation length of the height errors: that of white noise smoothed by this Gaussian; by default "
    "estimated.",
)
@pixel_of_map_option
@overwrite_option
def roughness(
    surface: Path,
    output: Path,
    form_order: int,
    s_filter_um: float | None,
    l_filter_um: float | None,
    line: "Line | None",
    width_um: float | None,
    step: Literal["edge", "groove"] | None,
    noise_um: float | None,
    noise_correlation_px: float | None,
    pixel_um: float | None,
    overwrite: bool,
) -> None:
    """Measure the areal roughness of SURFACE after ISO 25178-2 and write it as a folder.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in µm: TIFF, .npy, or the file of a
    measuring instrument. The folder holds parameters.csv, a figure, the scale-limited surface as TIFF, the
    profile as CSV, and roughness.json. Each parameter has the uncertainty that the errors of the heights
    cause, if they are known.

    \b
    Example:
      lee roughness surface -o rough --s-filter-um 1 --l-filter-um 50
      lee roughness surface -o rough --line 50,0,50,120 --width-um 5 --step groove
    """  # noqa: D301  click wants the character itself
    from lee.figures.roughness_folder import FILES, HOLDS, quantity, save_roughness
    from lee.storage.atomic import try_new_folder
    from lee.surfaces.roughness.line import LineOptions
    from lee.surfaces.roughness.measure import roughness as measure
    from lee.surfaces.surface import Surface

    if line is None and (step is not None or width_um is not None):
        raise click.UsageError("--step and --width-um need a line: give --line too")
    try_new_folder(output, overwrite=overwrite, known=FILES)
    with progress_bar("roughness", "draw") as progress:
        rough = measure(
            Surface.load(surface, pixel_um=pixel_um),
            form_order=form_order,
            s_filter_um=s_filter_um,
            l_filter_um=l_filter_um,
            line=None if line is None else LineOptions(line, width_um or 0.0, step),
            noise_um=noise_um,
            noise_correlation_px=noise_correlation_px,
            progress=progress,
        )
    save_roughness(rough, output, overwrite=overwrite, metadata={"surface": str(surface)})
    rows, columns = rough.surface_um.shape
    click.echo(f"{output}: {columns} × {rows} px, {100 * rough.coverage:.1f} % measured")
    for one in rough.parameters:
        symbol, text = quantity(one.name, one.value, one.sigma)
        click.echo(f"{symbol:14}{text}" + (f"  ({one.note})" if one.note else ""))
    if rough.one_sided > 0.2:
        click.echo(
            f"{100 * rough.one_sided:.0f} % of the pixels are so near a border that a filter is one-sided"
        )
    if rough.noise is not None:
        click.echo(HOLDS)
