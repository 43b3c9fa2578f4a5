"""A rendered scan as an OME-TIFF, with the heights of its frames and the size of its pixels."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from lee.devices.protocols import Counts


def write_ome_scan(path: Path, frames: Counts, z_um: NDArray[np.float64], pixel_um: float) -> None:
    """Write a scan.

    Parameters
    ----------
    path : Path
        Ends in ``.ome.tif``.
    frames : (Z, H, W) uint8 or uint16, counts
    z_um : (Z,) float64, µm
        Heights in focus.
    pixel_um : float
    """
    step = {"PhysicalSizeZ": float(np.median(np.diff(z_um))), "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(
        path,
        frames,
        ome=True,
        photometric="minisblack",
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": pixel_um,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": pixel_um,
            "PhysicalSizeYUnit": "µm",
            **(step if len(z_um) > 1 else {}),
            "Plane": {"PositionZ": [float(z) for z in z_um], "PositionZUnit": ["µm"] * len(z_um)},
        },
    )
