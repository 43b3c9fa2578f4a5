"""`lee metrology`: noise, repeatability, flatness, linearity and resolution of the instrument."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lee.cli.options import PATH, interval_option, overwrite_option, pixel_of_map_option, um

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lee.metrology.quantity import InstrumentResult

_output = click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder to write.")
_form = click.option(
    "--form-order",
    type=click.IntRange(0, 10),
    default=1,
    show_default=True,
    help="Order of the polynomial that is removed: 0 the mean, 1 the plane, 2 bowls and saddles.",
)
_maps = click.argument("maps", type=PATH, nargs=-1, required=True, metavar="MAP MAP [MAP ...] | RUN")


@click.group(no_args_is_help=True)
def metrology() -> None:
    """Measure what the instrument itself can do, after ISO 25178-600 and -700.

    Maps are folders that `lee reconstruct` wrote, or height maps in µm: TIFF, .npy, or the file of a
    measuring instrument. Each command writes a folder with quantities.csv, details.csv, a figure and
    metrology.json.

    \b
    Example:
      lee metrology noise first second -o noise
      lee metrology repeatability run -o repeatability
      lee metrology flatness mirror.tif -o flatness
      lee metrology linearity steps.csv -o linearity
      lee metrology resolution edge.tif -o resolution
    """  # noqa: D301  click wants the character itself


@metrology.command(no_args_is_help=True)
@_maps
@_output
@_form
@interval_option
@pixel_of_map_option
@overwrite_option
def noise(
    maps: tuple[Path, ...],
    output: Path,
    form_order: int,
    interval_s: float | None,
    pixel_um: float | None,
    overwrite: bool,
) -> None:
    """Measure the noise of heights from two or more maps of one place, or from the scans of a RUN that rests.

    It is the rms difference of two maps over the square root of two; of more maps the pooled standard
    deviation about their mean. Errors that repeat in every map do not show.

    \b
    Example:
      lee metrology noise first second -o noise
      lee metrology noise run -o noise --interval-s 5
    """  # noqa: D301
    from lee.metrology.figures import noise_figure
    from lee.metrology.noise import noise as measure
    from lee.metrology.repeated_maps import read_maps

    try_output(output, overwrite)
    found = measure(read_maps(maps, pixel_um=pixel_um, interval_s=interval_s), form_order=form_order)
    write_result(found, noise_figure(found), output, overwrite, {"maps": maps, "form_order": form_order})


@metrology.command(no_args_is_help=True)
@_maps
@_output
@_form
@interval_option
@pixel_of_map_option
@overwrite_option
def repeatability(
    maps: tuple[Path, ...],
    output: Path,
    form_order: int,
    interval_s: float | None,
    pixel_um: float | None,
    overwrite: bool,
) -> None:
    """Measure how heights and roughness repeat over three or more maps of one place, or a RUN that rests.

    \b
    Example:
      lee metrology repeatability run -o repeatability
      lee metrology repeatability map_*.tif -o repeatability --interval-s 5
    """  # noqa: D301
    from lee.metrology.figures import noise_figure
    from lee.metrology.noise import repeatability as measure
    from lee.metrology.repeated_maps import read_maps

    try_output(output, overwrite)
    found = measure(read_maps(maps, pixel_um=pixel_um, interval_s=interval_s), form_order=form_order)
    write_result(found, noise_figure(found), output, overwrite, {"maps": maps, "form_order": form_order})


@metrology.command(no_args_is_help=True)
@_maps
@_output
@_form
@click.option("--s-filter-um", type=um, help="S-filter: remove what is finer than this wavelength.")
@click.option("--noise-um", type=um, help="Standard deviation of the heights; by default from the maps.")
@pixel_of_map_option
@overwrite_option
def flatness(
    maps: tuple[Path, ...],
    output: Path,
    form_order: int,
    s_filter_um: float | None,
    noise_um: float | None,
    pixel_um: float | None,
    overwrite: bool,
) -> None:
    """Measure the flatness deviation from maps of a flat: averaged, levelled and filtered.

    By default the S-filter's wavelength is a tenth of the field. Maps of different places of the flat average
    its own relief out.

    \b
    Example:
      lee metrology flatness mirror.tif -o flatness --noise-um 0.02
      lee metrology flatness mirror_1.tif mirror_2.tif mirror_3.tif -o flatness
    """  # noqa: D301
    from lee.metrology.figures import flatness_figure
    from lee.metrology.flatness import flatness as measure
    from lee.metrology.repeated_maps import read_maps

    try_output(output, overwrite)
    found = measure(
        read_maps(maps, pixel_um=pixel_um), form_order=form_order, s_filter_um=s_filter_um, noise_um=noise_um
    )
    options = {"maps": maps, "form_order": form_order, "s_filter_um": found.s_filter_um, "noise_um": noise_um}
    write_result(found, flatness_figure(found), output, overwrite, options)


@metrology.command(no_args_is_help=True)
@click.argument("steps", type=PATH)
@_output
@click.option(
    "--step",
    type=click.Choice(["edge", "groove"]),
    default="groove",
    show_default=True,
    help="Shape of the steps; a groove is also a bar.",
)
@pixel_of_map_option
@overwrite_option
def linearity(
    steps: Path, output: Path, step: Literal["edge", "groove"], pixel_um: float | None, overwrite: bool
) -> None:
    """Measure amplification and linearity of the heights from steps of known height.

    STEPS is a CSV table with the columns map (relative to the table), step_um (the known height) and, if
    known, step_sigma_um. Steps run along x or y, and are evaluated as ISO 5436-1 does: a third of their width
    beside each edge is ignored.

    \b
    Example:
      lee metrology linearity steps.csv -o linearity --step groove
    """  # noqa: D301
    from lee.metrology.figures import linearity_figure
    from lee.metrology.linearity import read_steps

    try_output(output, overwrite)
    found = read_steps(steps, kind=step, pixel_um=pixel_um)
    write_result(found, linearity_figure(found), output, overwrite, {"steps": steps, "step": step})


@metrology.command(no_args_is_help=True)
@click.argument("surface", type=PATH)
@_output
@click.option(
    "--known",
    type=PATH,
    metavar="MAP",
    help="Measure it against this finer map of the same place, not at an edge.",
)
@pixel_of_map_option
@overwrite_option
def resolution(
    surface: Path, output: Path, known: Path | None, pixel_um: float | None, overwrite: bool
) -> None:
    """Measure the topographic spatial resolution from SURFACE: a map of a step edge, or of a known surface.

    The edge crosses the whole map, along x or y within some degrees. Its response gives the period of which
    half the height passes. With a known surface, that period follows from the height response by period, as
    in `lee compare`.

    \b
    Example:
      lee metrology resolution edge.tif -o resolution
      lee metrology resolution surface -o resolution --known reference.sur
    """  # noqa: D301
    from lee.metrology.comparison import compare
    from lee.metrology.edge import edge_resolution
    from lee.metrology.figures import comparison_figure, edge_figure
    from lee.surfaces.surface import Surface

    try_output(output, overwrite)
    measured = Surface.load(surface, pixel_um=pixel_um)
    if known is None:
        found = edge_resolution(measured)
        write_result(found, edge_figure(found), output, overwrite, {"surface": surface})
        return
    compared = compare(measured, Surface.load(known, pixel_um=pixel_um))
    write_result(
        compared, comparison_figure(compared), output, overwrite, {"surface": surface, "known": known}
    )


def try_output(output: Path, overwrite: bool) -> None:
    """Find out before the work whether its folder could be written."""
    from lee.metrology.results_folder import FILES
    from lee.storage.atomic import try_new_folder

    try_new_folder(output, overwrite=overwrite, known=FILES)


def write_result(
    found: "InstrumentResult", figure: "Figure", output: Path, overwrite: bool, metadata: dict[str, object]
) -> None:
    """Write a result and print its quantities."""
    from lee.metrology.results_folder import save_measured

    save_measured(found, figure, output, overwrite=overwrite, metadata=metadata)
    click.echo(f"{output}: {found.kind}")
    for one in found.quantities:
        name, text = one.text()
        click.echo(f"{name:22}{text}" + (f"  ({one.note})" if one.note else ""))
    click.echo(found.holds)
