"""Values and options that several commands share: one name and one meaning everywhere."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from tqdm import tqdm

from lee.errors import InputError

if TYPE_CHECKING:
    from lee.surfaces.profile import Line

Progress = Callable[[int, int], None]
PATH = click.Path(path_type=Path)


# click shows a parsing function's name, in capitals, as the placeholder of the value.
def um(text: str) -> float:
    """Parse a positive, finite length in µm."""
    try:
        length = float(text)
    except ValueError:
        length = math.nan
    if not (math.isfinite(length) and length > 0):
        raise click.BadParameter(f"{text} is not a length: give µm above 0")
    return length


def um_or_auto(text: str) -> float | Literal["auto"]:
    """Parse a length in µm, or ``auto``."""
    return "auto" if text == "auto" else um(text)


def seconds(text: str) -> float:
    """Parse a positive, finite time in s."""
    try:
        given = float(text)
    except ValueError:
        given = math.nan
    if not (math.isfinite(given) and given > 0):
        raise click.BadParameter(f"{text} is not a time: give seconds above 0")
    return given


def line(text: str) -> "Line":
    """Parse the two ends of a line."""
    from lee.series.options import parse_line

    try:
        return parse_line(text)
    except InputError as error:
        raise click.BadParameter(str(error)) from error


threads_option = click.option(
    "--threads", type=click.IntRange(min=0), default=0, show_default="all cores", help="Threads per process."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace an existing result; without it, nothing is replaced."
)
no_films_option = click.option("--no-films", is_flag=True, help="Write no films.")
pixel_of_map_option = click.option(
    "--pixel-um", type=um, help="Pixel size, for a single height map that does not state it."
)
pixel_of_stack_option = click.option(
    "--pixel-um", type=um, help="Pixel size; by default the one stated in the stack."
)
z_step_option = click.option(
    "--z-step-um", type=um, help="Step between frames: frame k of a stack is at k times this height."
)
interval_option = click.option(
    "--interval-s", type=seconds, help="Time from scan to scan, if the run does not state the times."
)


def scale_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the option for the scale of the curvature; `what` ends its help."""
    return click.option(
        "--scale-um",
        type=um_or_auto,
        default="auto",
        show_default=True,
        metavar="UM|auto",
        help=f"Scale of the curvature: smaller features are smoothed away{what}.",
    )


@contextmanager
def progress_bar(what: str, unit: str = "frame") -> Iterator[Progress]:
    """Give a function (done, total) that moves a bar on stderr; silent if stderr is no terminal."""
    bar = tqdm(desc=what, unit=unit, disable=None, leave=False)

    def moved(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield moved
    finally:
        bar.close()


@contextmanager
def step_bar(what: str) -> Iterator[Callable[[str], None]]:
    """Give a function (name of a step) that shows the last step done; silent if stderr is no terminal."""
    bar = tqdm(desc=what, unit="step", disable=None, leave=False)

    def done(step: str) -> None:
        bar.set_postfix_str(step, refresh=False)
        bar.update()

    try:
        yield done
    finally:
        bar.close()
