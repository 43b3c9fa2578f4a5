"""`lee view`: a surface in 3D, on the screen or as a picture."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option, pixel_of_map_option


@click.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("--screenshot", type=PATH, metavar="PNG", help="Write a picture instead; needs no display.")
@click.option(
    "--colour",
    type=click.Choice(["height", "image"]),
    default="height",
    show_default=True,
    help="Colour by height, or by the refocused image.",
)
@click.option("--stretch", type=float, default=1.0, show_default=True, help="Factor on the height as drawn.")
@click.option("--from-above", is_flag=True, help="Look straight down.")
@pixel_of_map_option
@overwrite_option
def view(
    surface: Path,
    screenshot: Path | None,
    colour: str,
    stretch: float,
    from_above: bool,
    pixel_um: float | None,
    overwrite: bool,
) -> None:
    """Show SURFACE in 3D, or save a picture of it.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in µm as TIFF. The window needs the
    extra `view` (pyvista). Pixels that were not measured are orange.

    \b
    Example:
      lee view surface
      lee view surface --screenshot view.png --colour image
    """  # noqa: D301  click wants the character itself
    from lee.figures.view import view as show
    from lee.surfaces.surface import Surface

    drawn = show(
        Surface.load(surface, pixel_um=pixel_um),
        screenshot=screenshot,
        colour=colour,
        stretch=stretch,
        from_above=from_above,
        overwrite=overwrite,
    )
    if drawn is not None:
        click.echo(f"wrote {drawn}")
