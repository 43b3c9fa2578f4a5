"""Kinds of values and options that several commands take."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from tqdm import tqdm

Progress = Callable[[int, int], None]
PATH = click.Path(path_type=Path)


def um(text: str) -> float:
    """Parse a positive, finite length; the function's name is the placeholder in the help."""
    try:
        length = float(text)
    except ValueError:
        length = math.nan
    if not (math.isfinite(length) and length > 0):
        raise click.BadParameter(f"{text} is no length: give um above 0")
    return length


threads_option = click.option(
    "--threads", type=click.IntRange(min=0), default=0, show_default="all cores", help="Threads to use."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an older result of that name.")
pixel_of_map_option = click.option(
    "--pixel-um", type=um, help="Pixel size, for a single height map that does not state it."
)


@contextmanager
def progress_bar(what: str, unit: str = "frame") -> Iterator[Progress]:
    """Give a function (done, total) that moves a bar on stderr; silent where stderr is no terminal."""
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
    """Give a function (name of a step) that shows what was done last; silent where stderr is no terminal."""
    bar = tqdm(desc=what, unit="step", disable=None, leave=False)

    def done(step: str) -> None:
        bar.set_postfix_str(step, refresh=False)
        bar.update()

    try:
        yield done
    finally:
        bar.close()
