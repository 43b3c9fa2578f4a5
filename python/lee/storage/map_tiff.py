"""One map, one TIFF: values as they are, pixel size in µm where ImageJ and Fiji look for it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from lee.errors import InputError
from lee.storage.tiff_tags import grey_line, stated_pixel

_MAX_ANISOTROPY = 1e-3


def write_map(path: Path, values: npt.NDArray[np.generic], pixel_um: float) -> None:
    """Write a map as an ImageJ TIFF whose unit is µm.

    Parameters
    ----------
    path : Path
        Where to; written in place, so give a temporary name.
    values : (H, W), or (H, W, 3) in colour, uint8, uint16 or float32
        The map; NaN stays NaN.
    pixel_um : float
        Size of a pixel, µm.
    """
    per_um = 1.0 / pixel_um
    colour = values.ndim == 3
    if colour and values.dtype != np.uint8:
        # ImageJ's own kind of TIFF knows no colours of more bits; it reads these as three channels.
        per_cm = 1e4 * per_um
        tifffile.imwrite(
            path,
            np.ascontiguousarray(values),
            photometric="rgb",
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            metadata=None,
        )
        return
    tifffile.imwrite(
        path,
        np.ascontiguousarray(values),
        imagej=True,
        resolution=(per_um, per_um),
        metadata={"unit": "um", "axes": "YXS" if colour else "YX"},
    )


def read_picture(path: Path) -> npt.NDArray[np.float32]:
    """Read an image as float32: (H, W), or (H, W, 3) if it is in colour.

    Raises
    ------
    InputError
        If the file is missing, no TIFF, damaged, or holds several planes.
    """
    values, _ = _read(path, pixel_um=1.0, colour=True)
    return values


def read_map(path: Path, *, pixel_um: float | None = None) -> tuple[npt.NDArray[np.float32], float | None]:
    """Read a single-plane TIFF as float32, with its pixel size in µm where it carries one.

    Numbers that ImageJ turns into values by a straight line are turned so.

    Parameters
    ----------
    path : Path
        The file.
    pixel_um : float, µm, optional
        Size of a pixel, where it is known; that of the file is then ignored.

    Raises
    ------
    InputError
        If the file is missing, no TIFF, damaged, or holds several planes, or pixels are not square.
    """
    return _read(path, pixel_um=pixel_um, colour=False)


def _read(
    path: Path, *, pixel_um: float | None, colour: bool
) -> tuple[npt.NDArray[np.float32], float | None]:
    if not path.is_file():
        raise InputError(f"{path} is missing: reconstruct again")
    try:
        with tifffile.TiffFile(path) as tif:
            values = np.squeeze(tif.asarray())
            pixel_um = _square_pixel_um(tif, path) if pixel_um is None else pixel_um
            line = grey_line(tif)
    except InputError:
        raise
    except Exception as error:  # tifffile meets damage with many kinds of exception
        raise InputError(f"{path} cannot be read as a TIFF ({_first_line(error)})") from error
    picture = colour and values.ndim == 3 and values.shape[2] == 3
    if not (values.ndim == 2 or picture) or values.dtype.kind not in "uif":
        raise InputError(f"{path} holds {values.dtype} of shape {values.shape}: one grey plane is needed")
    if line is not None:
        values = line[0] + line[1] * values.astype(np.float64)
    return values.astype(np.float32), pixel_um


def _square_pixel_um(tif: tifffile.TiffFile, path: Path) -> float | None:
    stated = stated_pixel(tif, tif.pages[0]).yx_um
    if stated is None:
        return None
    y, x = stated
    if abs(y - x) > _MAX_ANISOTROPY * x:
        raise InputError(
            f"{path}: pixels of {x:g} × {y:g} µm (x, y) are not square: resample the map, or give the size "
            "of a pixel if that is wrong (--pixel-um, pixel_um=)"
        )
    return x


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
