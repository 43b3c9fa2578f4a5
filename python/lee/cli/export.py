"""`lee export`: a surface as a file of another program."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option, pixel_of_map_option


class _WithFormats(click.Command):
    """A command whose help lists the formats that are registered."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the formats."""
        from lee.export.registry import exporters

        with formatter.section("Formats"):
            formatter.write_dl(
                [
                    (suffix, f"{exporter.holds}: {exporter.summary}")
                    for suffix, exporter in exporters().items()
                ]
            )


@click.command(cls=_WithFormats, no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.argument("file", type=PATH)
@click.option(
    "--filled/--measured",
    default=None,
    help="Where nothing was measured, write the filled height or leave holes. Default: meshes are filled, "
    "height maps are not.",
)
@click.option(
    "--max-vertices", type=click.IntRange(min=4), help="Average pixels until a mesh has no more vertices."
)
@pixel_of_map_option
@overwrite_option
def export(
    surface: Path,
    file: Path,
    filled: bool | None,
    max_vertices: int | None,
    pixel_um: float | None,
    overwrite: bool,
) -> None:
    """Write SURFACE as a 3D model or a height map for other programs.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in µm as TIFF. The suffix of FILE
    selects the format.

    \b
    Example:
      lee export surface electrode.x3p
      lee export surface electrode.ply --max-vertices 100000
    """  # noqa: D301  click wants the character itself
    from lee.surfaces.surface import Surface

    loaded = Surface.load(surface, pixel_um=pixel_um)
    written = loaded.export(file, filled=filled, max_vertices=max_vertices, overwrite=overwrite)
    click.echo(f"wrote {written}, {written.stat().st_size / 1e6:.1f} MB")
