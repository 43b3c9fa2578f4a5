"""Options and values that the commands of `lee twin` share."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from lee.cli.options import PATH, um

cell_option = click.option(
    "--cell", type=PATH, metavar="TOML", help="The cell, as `lee twin cell` writes it; else its defaults."
)


def rising_times(text: str) -> list[float]:
    """Parse times separated by commas."""
    try:
        times = [float(word) for word in text.split(",")]
    except ValueError:
        times = []
    if not times or not all(math.isfinite(t) and t > 0 for t in times) or sorted(set(times)) != times:
        raise click.BadParameter(f"{text!r}: give rising times above 0 s, such as 1,10,100")
    return times


def map_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the maps of exchange current and efficiency."""
    for option in (
        click.option("--efficiency", metavar="TIF|SHARE",
                     help="Of growth, 0 to 1.5: a map on the surface's pixels, or one number."),
        click.option("--exchange-current", metavar="TIF|A/M2",
                     help="At the bulk concentration: a map on the surface's pixels, or one number."),
    ):  # fmt: skip
        command = option(command)
    return command


def mesh_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how fine the mesh is."""
    for option in (
        click.option("--smooth-um", type=click.FloatRange(min=0), metavar="UM",
                     help="Smooth the heights by this Gaussian; by default what the columns cannot show."),
        click.option("--layers", type=click.IntRange(min=2), default=20, show_default=True,
                     help="Cells from the electrode to the bulk or the anode."),
        click.option("--columns", type=click.IntRange(min=1), metavar="N",
                     help="Cells along the longer side; by default as many as pixels, at most 64."),
    ):  # fmt: skip
        command = option(command)
    return command


def cell_of(path: Path | None) -> Any:
    """Read the cell, or take the default one."""
    from lee.twin import Cell

    return Cell() if path is None else Cell.load(path)


def mesh_of(shape: tuple[int, int], columns: int | None, layers: int, smooth_um: float | None) -> Any:
    """Give the mesh's size: square columns, so many along the longer side."""
    from lee.twin import MeshSize

    if columns is None:
        return MeshSize(layers=layers, smooth_um=smooth_um)
    rows, cols = (max(1, round(n * columns / max(shape))) for n in shape)
    return MeshSize(columns=(rows, cols), layers=layers, smooth_um=smooth_um)


def map_or_number(given: str | None, shape: tuple[int, int]) -> Any:
    """Read a map on the surface's pixels, or one number; None where nothing was given."""
    from lee.errors import InputError
    from lee.storage.map_tiff import read_map

    if given is None:
        return None
    try:
        return float(given)
    except ValueError:
        pass
    if not Path(given).is_file():
        raise InputError(f"{given} is neither a number nor a map that exists: give one of them")
    values, _ = read_map(Path(given))
    if values.shape != shape:
        raise InputError(f"{given} is {values.shape}, the surface {shape}: give a map on the same pixels")
    return values


@contextmanager
def time_bar(what: str, end_s: float) -> Iterator[Callable[[Any], None]]:
    """Give a function that takes the books of a step and moves a bar of simulated time on stderr.

    It shows the last residual and the time that remains; silent where stderr is no terminal.
    """
    bar = tqdm(
        total=end_s, desc=what, disable=None, leave=False,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total:g} s [{elapsed}<{remaining}{postfix}]",
    )  # fmt: skip

    def stepped(book: Any) -> None:
        last = f"{book.residuals[-1]:.0e}" if book.residuals else "-"
        bar.set_postfix_str(
            f"step {book.step_s:.3g} s, residual {last}, {book.linear_iterations} iterations", refresh=False
        )
        bar.update(book.time_s - bar.n)

    try:
        yield stepped
    finally:
        bar.close()


def length_option(name: str, default: float, said: str) -> Callable[..., Any]:
    """Make an option for a length in um."""
    return click.option(name, type=um, default=default, show_default=True, help=said)
