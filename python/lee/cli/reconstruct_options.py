"""The options of a reconstruction, which `lee reconstruct` and `lee series` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import click

from lee.cli.options import threads_option, um
from lee.cli.stack_options import STACK_OPTIONS, StackChoice
from lee.cli.target import shape
from lee.reconstruction.focus.registry import DEFAULT_FOCUS, focus_names

if TYPE_CHECKING:
    from lee.cli.target import Wanted
    from lee.reconstruction.parameters import ReconstructParams


@dataclass(frozen=True)
class ReconstructOptions(StackChoice):
    """How stacks are read and reconstructed, as given on the command line."""

    target: Wanted | None
    device: str
    focus: str
    depth_of_field_um: float | None
    no_drift: bool
    keep_frames: bool
    no_second_look: bool
    threads: int

    def params(self, defaults: ReconstructParams) -> ReconstructParams:
        """Return the parameters asked for; what has no option is as in `defaults`."""
        return replace(
            defaults,
            focus=self.focus,
            drift=not self.no_drift,
            reject_frames=not self.keep_frames,
            second_look=not self.no_second_look,
            depth_of_field_um=self.depth_of_field_um,
            threads=self.threads,
        )


_OPTIONS = (
    *STACK_OPTIONS,
    click.option(
        "--target",
        type=shape,
        help="Shape and size of the structure of interest, in px: disk:25, ellipse:20x40 (height x width), "
        "rectangle:20x40@30 (turned by 30 degrees), or auto, which estimates it from the sharpest frame.",
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    ),
    click.option(
        "--focus",
        type=click.Choice(focus_names()),
        default=DEFAULT_FOCUS,
        show_default=True,
        help="Focus measure.",
    ),
    click.option(
        "--depth-of-field-um",
        type=um,
        help="Full width at half maximum of the focus curve; by default measured on the stack.",
    ),
    click.option("--no-drift", is_flag=True, help="Do not correct lateral drift within a scan."),
    click.option(
        "--keep-frames",
        is_flag=True,
        help="Keep all frames, also those with debris, flashes or a flickering lamp.",
    ),
    click.option(
        "--no-second-look",
        is_flag=True,
        help="Read the frames once only: faster, but with more noise in the heights.",
    ),
    threads_option,
)


def reconstruct_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a reconstruction, as one argument ``how``."""
    names = [field.name for field in fields(ReconstructOptions)]

    @functools.wraps(command)
    def collected(**given: object) -> None:
        how = ReconstructOptions(**{name: given.pop(name) for name in names})  # type: ignore[arg-type]
        command(how=how, **given)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
