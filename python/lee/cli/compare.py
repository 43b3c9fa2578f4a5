"""`lee compare`: a height map against another of the same place."""

from pathlib import Path

import click

from lee.cli.options import PATH, overwrite_option, pixel_of_map_option


@click.command(no_args_is_help=True)
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
@pixel_of_map_option
@overwrite_option
def compare(first: Path, second: Path, output: Path, pixel_um: float | None, overwrite: bool) -> None:
    """Compare FIRST with SECOND, two height maps of one place, such as a reference instrument's.

    Both are folders that `lee reconstruct` wrote, or height maps in µm: TIFF, .npy, or the file of a
    measuring instrument; their pixels may differ. They are registered by orientation, shift, scale and
    rotation; offset, tilt, amplification, bias, noise, correlation and lateral resolution of FIRST follow.
    The folder gets quantities.csv, details.csv (response by period), a figure and metrology.json.

    \b
    Example:
      lee compare surface reference.sur -o compared
    """  # noqa: D301  click wants the character itself
    from lee.cli.metrology import try_output, write_result
    from lee.metrology.comparison import compare as measure
    from lee.metrology.figures import comparison_figure
    from lee.surfaces.surface import Surface

    try_output(output, overwrite)
    found = measure(*(Surface.load(path, pixel_um=pixel_um) for path in (first, second)))
    metadata = {"first": first, "second": second, "bias_by_height": found.bias.to_dict("list")}
    write_result(found, comparison_figure(found), output, overwrite, metadata)
