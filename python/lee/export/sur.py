"""Height maps for MountainsMap and other programs of Digital Surf, through the optional package surfalize."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lee.errors import MissingDependency
from lee.export.exporter import Exporter, ExportOptions, Holds

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface


class SurExporter(Exporter):
    """Digital Surf surface."""

    suffix = ".sur"
    holds: Holds = "height map"
    summary = "heights for MountainsMap; needs surfalize"

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Write every pixel's height, the top row first, as not measured where it is not."""
        try:
            import surfalize
        except ImportError as error:
            raise MissingDependency(".sur is written through surfalize: pip install surfalize") from error
        height_um = surface.height_filled_um if options.filled else surface.height_um
        heights = np.asarray(height_um, dtype=np.float64)
        with path.open("wb") as file:  # by its name surfalize knows small letters only
            surfalize.Surface(heights, surface.pixel_um, surface.pixel_um).save(file, format=".sur")
