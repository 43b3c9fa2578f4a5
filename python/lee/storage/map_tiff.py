"""One map, one TIFF: values as they are, pixel size in µm where ImageJ and Fiji look for it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from lee.errors import InputError

_UM_PER_UNIT = {
    "nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0,
    "mm": 1e3, "cm": 1e4,
}  # fmt: skip


def write_map(path: Path, values: npt.NDArray[np.generic], pixel_um: float) -> None:
    """Write a map as an ImageJ TIFF whose unit is µm.

    Parameters
    ----------
    path : Path
        Where to; written in place, so give a temporary name.
    values : (H, W) uint8, uint16 or float32
        The map; NaN stays NaN.
    pixel_um : float
        Size of a pixel, µm.
    """
    per_um = 1.0 / pixel_um
    tifffile.imwrite(
        path,
        np.ascontiguousarray(values),
        imagej=True,
        resolution=(per_um, per_um),
        metadata={"unit": "um", "axes": "YX"},
    )


def read_map(path: Path) -> tuple[npt.NDArray[np.float32], float | None]:
    """Read a single-plane TIFF as float32, with its pixel size in µm where it carries one.

    Raises
    ------
    InputError
        If the file is missing, no TIFF, damaged, or holds more than one plane.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: reconstruct again")
    try:
        with tifffile.TiffFile(path) as tif:
            values = np.squeeze(tif.asarray())
            pixel_um = _pixel_um(tif)
    except Exception as error:  # tifffile meets damage with many kinds of exception
        raise InputError(f"{path} cannot be read as a TIFF ({_first_line(error)})") from error
    if values.ndim != 2 or values.dtype.kind not in "uif":
        raise InputError(f"{path} holds {values.dtype} of shape {values.shape}: one grey plane is needed")
    return values.astype(np.float32), pixel_um


def _pixel_um(tif: tifffile.TiffFile) -> float | None:
    page = tif.pages[0]
    if not isinstance(page, tifffile.TiffPage) or "XResolution" not in page.tags:
        return None
    above, below = page.tags["XResolution"].value
    if above <= 0 or below <= 0:
        return None
    unit_um = _UM_PER_UNIT.get(str((tif.imagej_metadata or {}).get("unit", "")).strip().lower())
    if "ResolutionUnit" in page.tags and page.tags["ResolutionUnit"].value == 3:
        unit_um = _UM_PER_UNIT["cm"]
    return None if unit_um is None else unit_um * below / above


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
