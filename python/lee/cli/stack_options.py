"""The options that say which frames of a file are the scan, where they lie, and how large a pixel is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lee.cli.options import PATH, pixel_of_stack_option, z_step_option

if TYPE_CHECKING:
    from lee.stacks.stack import StackOptions


# click shows a parsing function's name, in capitals, as the placeholder of the value.
def last_or_first_last(text: str) -> tuple[float, float]:
    """Parse the height of the last frame, or of the first and the last, in µm."""
    try:
        ends = [float(part) for part in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2):
        raise click.BadParameter(f"{text} is not a range: give LAST or FIRST,LAST in µm, such as 80 or 80,0")
    return (0.0, ends[0]) if len(ends) == 1 else (ends[0], ends[1])


@dataclass(frozen=True)
class StackChoice:
    """Which frames are read and what they measure, as given on the command line."""

    z_step_um: float | None
    z_range_um: tuple[float, float] | None
    z_csv: Path | None
    descending: bool
    pixel_um: float | None
    channel: str | None
    time: int | None
    position: str | None
    z_axis: str | None
    index_medium: float | None
    index_objective: float | None
    na: float | None

    def __post_init__(self) -> None:
        given = {"--z-step-um": self.z_step_um, "--z-range-um": self.z_range_um, "--z-csv": self.z_csv}
        both = [name for name, value in given.items() if value is not None][:2]
        if len(both) == 2:
            raise click.UsageError(f"{both[0]} and {both[1]} are both given: give one of them")

    def for_stack(self) -> StackOptions:
        """Return what `lee.open_stack` and `lee.open_run` take beside heights and pixel size."""
        return {
            "z_range_um": self.z_range_um,
            "descending": self.descending,
            "channel": self.channel,
            "time": self.time,
            "position": self.position,
            "z_axis": self.z_axis,
            "index_medium": self.index_medium,
            "index_objective": self.index_objective,
            "na": self.na,
        }


_INDEX = click.FloatRange(1, 4)

# All but heights and pixel size; a command gets them as `lee.stacks.stack.StackOptions`.
READING_OPTIONS = (
    click.option(
        "--z-range-um",
        type=last_or_first_last,
        metavar="[FIRST,]LAST",
        help="Height of the last frame, or of the first and the last; frames are evenly spaced.",
    ),
    click.option(
        "--descending", is_flag=True, help="The scan was taken downwards: the first frame is highest."
    ),
    click.option(
        "--channel",
        metavar="NUMBER|NAME",
        help="Channel to measure, from 0 or by name, where there are several.",
    ),
    click.option(
        "--time", type=click.IntRange(min=0), help="Time to measure, from 0, where there are several."
    ),
    click.option(
        "--position",
        metavar="NUMBER|NAME",
        help="Position to measure, from 0 or by name, where there are several.",
    ),
    click.option(
        "--z-axis",
        metavar="z|t|c|p|NUMBER",
        help="Axis along which the frames lie where it is not called z: time, channel, position, or the "
        "number of one without a name.",
    ),
    click.option(
        "--index-medium",
        type=_INDEX,
        help="Refractive index of what the sample lies in, if the objective is not made for it (dry over "
        "electrolyte: 1.36): heights are scaled by how far the focus moves in it.",
    ),
    click.option(
        "--index-objective",
        type=_INDEX,
        help="Index for which the objective is made; by default 1, a dry one.",
    ),
    click.option(
        "--na",
        type=click.FloatRange(min=0, min_open=True),
        help="Numerical aperture, for a finer scale of the heights with --index-medium.",
    ),
)

STACK_OPTIONS = (
    z_step_option,
    click.option(
        "--z-csv", type=PATH, metavar="CSV", help="Height of every frame; its header is frame,z_um."
    ),
    pixel_of_stack_option,
    *READING_OPTIONS,
)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading, beside those of step and pixel size."""
    for option in reversed(READING_OPTIONS):
        command = option(command)
    return command
