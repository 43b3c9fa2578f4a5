"""`lee view`: a surface in 3D, on the screen or as a picture."""

from pathlib import Path

import click

from lee.cli.options import PATH, um


@click.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.option("--screenshot", type=PATH, metavar="PNG", help="Write a picture; needs no display.")
@click.option(
    "--colour",
    type=click.Choice(["height", "image"]),
    default="height",
    show_default=True,
    help="Colour by height, or lay the refocused image over the surface.",
)
@click.option("--stretch", type=float, default=1.0, show_default=True, help="Factor on the height as drawn.")
@click.option("--from-above", is_flag=True, help="Look straight down.")
@click.option("--pixel-um", type=um, help="Pixel size, for a single height map that does not tell it.")
def view(
    surface: Path,
    screenshot: Path | None,
    colour: str,
    stretch: float,
    from_above: bool,
    pixel_um: float | None,
) -> None:
    """Show SURFACE in 3D, or draw it into a picture.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in um as TIFF. The window needs the
    extra `view` (pyvista); what was not measured is orange.

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
    )
    if drawn is not None:
        click.echo(f"wrote {drawn}")
