"""`lee export`: a surface as a 3D model."""

from pathlib import Path

import click

from lee.cli.options import PATH, um


@click.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@click.argument("file", type=PATH)
@click.option(
    "--filled/--measured",
    default=None,
    help="Model gaps with their filled height, or leave holes. Default: filled, but not in x3p and gsf.",
)
@click.option(
    "--max-vertices", type=click.IntRange(min=4), help="Average pixels until a mesh has no more vertices."
)
@click.option("--pixel-um", type=um, help="Pixel size, for a single height map that does not tell it.")
def export(
    surface: Path, file: Path, filled: bool | None, max_vertices: int | None, pixel_um: float | None
) -> None:
    """Write SURFACE as a 3D model.

    SURFACE is a folder that `lee reconstruct` wrote, or a height map in um as TIFF. The suffix of FILE
    tells the format: glb, gltf, obj, ply, stl (meshes), x3p, gsf (metrology; every pixel), blend (needs the
    extra `blender`).

    \b
    Example:
      lee export surface electrode.x3p
      lee export surface electrode.ply --max-vertices 100000
    """  # noqa: D301  click wants the character itself
    from lee.surfaces.surface import Surface

    written = Surface.load(surface, pixel_um=pixel_um).export(file, filled=filled, max_vertices=max_vertices)
    click.echo(f"wrote {written}, {written.stat().st_size / 1e6:.1f} MB")
