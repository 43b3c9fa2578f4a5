"""Height maps for Gwyddion in its own format, through the optional package gwyfile."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lee.errors import MissingDependency
from lee.export.exporter import Exporter, ExportOptions, Holds

if TYPE_CHECKING:
    from lee.surfaces.surface import Surface

_M_PER_UM = 1e-6


class GwyExporter(Exporter):
    """Gwyddion's native format."""

    suffix = ".gwy"
    holds: Holds = "height map"
    summary = "heights for Gwyddion, a mask where not measured, standard deviation and image; needs gwyfile"

    def write(self, surface: "Surface", path: Path, options: ExportOptions) -> None:
        """Write the channels in metres and counts, the top row first.

        Gwyddion knows no missing values, it masks them: the filled height is written, and with it, unless
        `options.filled` is True, a mask of the pixels that were not measured.
        """
        try:
            from gwyfile import objects
        except ImportError as error:
            raise MissingDependency(".gwy is written through gwyfile: pip install gwyfile") from error

        def channel(values: npt.NDArray[np.generic], unit: str) -> Any:
            rows, columns = values.shape
            pixel_m = surface.pixel_um * _M_PER_UM
            return objects.GwyDataField(
                np.asarray(values, dtype=np.float64),
                xreal=columns * pixel_m,
                yreal=rows * pixel_m,
                si_unit_xy="m",
                si_unit_z=unit,
            )

        known = surface.height_sigma_um[np.isfinite(surface.height_sigma_um)]
        content = {
            "/0/data": channel(surface.height_filled_um * _M_PER_UM, "m"),
            "/0/data/title": "Height, gaps filled" if options.filled else "Height",
        }
        if not options.filled and not surface.valid.all():
            content["/0/mask"] = channel(~surface.valid, "")
        if known.size:
            sigma = np.where(np.isfinite(surface.height_sigma_um), surface.height_sigma_um, known.max())
            content |= {"/1/data": channel(sigma * _M_PER_UM, "m"), "/1/data/title": "Standard deviation"}
            if not np.isfinite(surface.height_sigma_um).all():
                content["/1/mask"] = channel(~np.isfinite(surface.height_sigma_um), "")
        if np.isfinite(surface.refocused).all():
            content |= {"/2/data": channel(surface.refocused, ""), "/2/data/title": "All in focus"}
        with path.open("wb") as file:
            objects.GwyContainer(content).tofile(file)
