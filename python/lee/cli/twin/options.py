"""Options that the commands of `lee twin` share, and what they read."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lee.cli.options import PATH, pixel_of_map_option, um

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface
    from lee.twin import Balance, Cell, MeshSize

Command = Callable[..., None]
_TOLERANCE = 1e-4

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


times_option = click.option(
    "--times-s", type=rising_times, default="1,10,100", show_default=True, metavar="S,S,...",
    help="Times after the current is switched on.",
)  # fmt: skip

_OPTIONS = (
    cell_option,
    click.option(
        "--exchange-current", metavar="TIF|A/M2",
        help="Exchange current at the bulk concentration: a map on the surface's pixels, or one number.",
    ),
    click.option(
        "--efficiency", metavar="TIF|SHARE",
        help="Current efficiency of growth, 0 to 1.5: a map on the surface's pixels, or one number.",
    ),
    click.option(
        "--columns", type=click.IntRange(min=1), metavar="N",
        help="Cells along the longer side; by default as many as pixels, at most 64.",
    ),
    click.option(
        "--layers", type=click.IntRange(min=2), metavar="N",
        help="Cells from the electrode to the bulk or the anode; by default as the diffusion layer asks.",
    ),
    click.option(
        "--first-um", type=um, metavar="UM",
        help="Thickness of the cells at the electrode; by default from the layer or gap.",
    ),
    click.option(
        "--tolerance", type=click.FloatRange(min=0, min_open=True), metavar="SHARE",
        help="Error that a time step may add to the concentration, in shares of the bulk's; by default "
        "0.0001, of `follow` 0.0003.",
    ),
    click.option(
        "--smooth-um", type=click.FloatRange(min=0), metavar="UM",
        help="Smooth the heights by this Gaussian; by default only relief finer than the columns is removed.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """What is computed, read from files.

    Attributes
    ----------
    heights : Surface or (H, W) float32
        A surface with its own filled heights, or a map whose holes the twin fills.
    pixel_um : float
    cell : Cell
    exchange_current, efficiency : float, (H, W) float32, or None
    mesh : MeshSize
    tolerance : float
    """

    heights: "Surface | NDArray[np.float32]"
    pixel_um: float
    cell: "Cell"
    exchange_current: float | NDArray[np.float32] | None
    efficiency: float | NDArray[np.float32] | None
    mesh: "MeshSize"
    tolerance: float


@dataclass(frozen=True)
class InputOptions:
    """What the options name: surface (or run), cell, maps over it, mesh and tolerance."""

    surface: Path
    cell: Path | None
    exchange_current: str | None
    efficiency: str | None
    columns: int | None
    layers: int | None
    first_um: float | None
    tolerance: float | None
    smooth_um: float | None
    pixel_um: float | None = None

    def read(self) -> Inputs:
        """Read the files."""
        from lee.surfaces.surface import Surface

        surface = Surface.load(self.surface, pixel_um=self.pixel_um)
        # A single map stores no filled heights; the twin fills its holes more smoothly than `load` does.
        stored = (self.surface if self.surface.is_dir() else self.surface.parent) / "height_filled_um.tif"
        return Inputs(
            heights=surface if stored.is_file() else surface.height_um,
            pixel_um=surface.pixel_um,
            cell=cell_of(self.cell),
            exchange_current=map_or_number(self.exchange_current, surface.shape),
            efficiency=map_or_number(self.efficiency, surface.shape),
            mesh=self.mesh(surface.shape),
            tolerance=self.tolerance or _TOLERANCE,
        )

    def mesh(self, shape: tuple[int, int]) -> "MeshSize":
        """Return the mesh for a map of this shape."""
        from lee.twin import MeshSize

        return MeshSize.of(
            shape, self.columns, layers=self.layers, first_um=self.first_um, smooth_um=self.smooth_um
        )

    def sources(self) -> dict[str, str | float | None]:
        """Describe them for the result's metadata."""
        return {
            "surface": str(self.surface), "exchange_current": self.exchange_current,
            "efficiency": self.efficiency, "columns": self.columns, "layers": self.layers,
            "first_um": self.first_um, "smooth_um": self.smooth_um, "tolerance": self.tolerance,
        }  # fmt: skip


def input_options(command: Command) -> Command:
    """Add the argument SURFACE and the options of `InputOptions`, and pass them as `inputs`."""
    return click.argument("surface", type=PATH)(pixel_of_map_option(_packed(command, "surface")))


def run_options(command: Command) -> Command:
    """Add the argument RUN and the options of `InputOptions`, and pass them as `inputs`."""
    return click.argument("run", type=PATH)(_packed(command, "run"))


def _packed(command: Command, argument: str) -> Command:
    @functools.wraps(command)
    def packed(**given: object) -> None:
        given["surface"] = given.pop(argument)
        names = [name for name in InputOptions.__dataclass_fields__ if name in given]
        inputs = InputOptions(**{name: given.pop(name) for name in names})  # type: ignore[arg-type]
        command(inputs=inputs, **given)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def cell_of(path: Path | None) -> "Cell":
    """Read the cell, or take the default one."""
    from lee.twin import Cell

    return Cell() if path is None else Cell.load(path)


def map_or_number(given: str | None, shape: tuple[int, int]) -> float | NDArray[np.float32] | None:
    """Read a map on the surface's pixels, or one number; None if nothing was given."""
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
def time_bar(what: str, end_s: float) -> Iterator[Callable[["Balance"], None]]:
    """Give a function that takes the balance of a step and moves a bar of simulated time on stderr.

    It shows the last residual and the time that remains; silent if stderr is no terminal.
    """
    bar = tqdm(
        total=end_s, desc=what, disable=None, leave=False,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total:g} s [{elapsed}<{remaining}{postfix}]",
    )  # fmt: skip

    def stepped(balance: "Balance") -> None:
        last = f"{balance.residuals[-1]:.0e}" if balance.residuals else "-"
        bar.set_postfix_str(
            f"step {balance.step_s:.3g} s, residual {last}, {balance.linear_iterations} iterations",
            refresh=False,
        )
        bar.update(balance.time_s - bar.n)

    try:
        yield stepped
    finally:
        bar.close()


def length_option(name: str, default: float, meaning: str) -> Callable[[Command], Command]:
    """Make an option for a length in µm."""
    return click.option(name, type=um, default=default, show_default=True, help=meaning)
