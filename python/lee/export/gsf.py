"""Height maps for Gwyddion: its Simple Field format, since it takes no pixel size from a TIFF."""

from pathlib import Path
from typing import TYPE_CHECKING

from lee.export.exporter import Exporter, ExportOptions, Holds

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

_M_PER_UM = 1e-6


class GsfExporter(Exporter):
    """Gwyddion Simple Field 1.0."""

    suffix = ".gsf"
    holds: Holds = "height map"
    summary = "heights in metres for Gwyddion, which takes no pixel size from a TIFF"

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Write every pixel's height in metres as float32, the top row first, NaN where not measured."""
        rows, columns = surface.shape
        pixel_m = surface.pixel_um * _M_PER_UM
        header = (
            "Gwyddion Simple Field 1.0\n"
            f"XRes = {columns}\nYRes = {rows}\n"
            f"XReal = {columns * pixel_m!r}\nYReal = {rows * pixel_m!r}\n"
            "XYUnits = m\nZUnits = m\n"
            f"Title = {'Height, gaps filled' if options.filled else 'Height'}\n"
        ).encode("ascii")
        height_um = surface.height_filled_um if options.filled else surface.height_um
        with path.open("wb") as file:
            file.write(header + b"\0" * (4 - len(header) % 4))  # one to four zeros align the values
            file.write((height_um.astype(float) * _M_PER_UM).astype("<f4").tobytes())
