"""Heights for Gwyddion: its Simple Field format, since it takes no pixel size from a TIFF."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

_M_PER_UM = 1e-6


def write_gsf(surface: "Surface", path: Path, *, filled: bool = False) -> None:
    """Write every pixel's height in metres as float32, the image's top row first, NaN where not measured.

    Parameters
    ----------
    surface : Surface
    path : Path
        Written in place, so give a temporary name.
    filled : bool
        Write `height_filled_um` instead.
    """
    rows, columns = surface.shape
    pixel_m = surface.pixel_um * _M_PER_UM
    header = (
        "Gwyddion Simple Field 1.0\n"
        f"XRes = {columns}\nYRes = {rows}\n"
        f"XReal = {columns * pixel_m!r}\nYReal = {rows * pixel_m!r}\n"
        "XYUnits = m\nZUnits = m\n"
        f"Title = {'Height, gaps filled' if filled else 'Height'}\n"
    ).encode("ascii")
    height_um = surface.height_filled_um if filled else surface.height_um
    with path.open("wb") as file:
        file.write(
            header + b"\0" * (4 - len(header) % 4)
        )  # one to four zeros, so that the values are aligned
        file.write((height_um.astype(float) * _M_PER_UM).astype("<f4").tobytes())
