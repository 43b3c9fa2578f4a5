"""One image file as a frame: what its header states, and its pixels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from lee.errors import InputError, reason_of
from lee.stacks.calibration.stated import PageCalibration
from lee.stacks.grey import Frame, Samples, as_grey, as_rgb
from lee.stacks.internal_warnings import log_hidden
from lee.stacks.tiff.calibration import calibration_of_page
from lee.stacks.tiff.page import check_pages, read_page
from lee.stacks.tiff.page_list import TIFF_SUFFIXES, check_page_list
from lee.stacks.tiff.planes import TiffPlanes

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".webp"}) | TIFF_SUFFIXES

_SIXTEEN_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}

# Pillow warns of every image above 89 megapixels; what is too large, lee itself refuses.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file states.

    Attributes
    ----------
    size : (H, W)
    dtype : dtype of the samples
    bits : int
        Depth of a sample; 1 for black and white.
    colour : bool
    turn : int
        Orientation that EXIF states; 1 is upright.
    calibration : PageCalibration
        Height and pixel size, of TIFF files.
    """

    size: tuple[int, int]
    dtype: np.dtype[np.generic]
    bits: int
    colour: bool
    turn: int = 1
    calibration: PageCalibration | None = None


def read_header(path: Path) -> ImageHeader:
    """Read the header alone.

    Raises
    ------
    InputError
        If the file is no image or damaged, or a TIFF of several pages.
    """
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            return _tiff_header(path)
        with Image.open(path) as image:
            return _describe(image)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: {_fault(error)}; replace it or take it out of the folder") from error


def read_image(path: Path, where: str, *, colour: bool = False) -> Frame:
    """Decode an image file to grey, (H, W), or in colour, (H, W, 3).

    Raises
    ------
    InputError
        Beginning with `where`, if it is no longer there, or damaged.
    """
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            check_page_list(path)
            with log_hidden(), tifffile.TiffFile(path) as tif:
                return read_page(tif.pages[0], where, colour=colour)
        return (as_rgb if colour else as_grey)(_pixels(path), where)
    except InputError:
        raise
    except Exception as error:  # decoders raise errors of any kind on damaged files
        raise InputError(f"{where}: {_fault(error)}; replace it or take it out of the folder") from error


def read_single_image(path: Path) -> Frame | None:
    """Read a file that holds one image; None if it is no image file, or holds several."""
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in IMAGE_SUFFIXES:
        return None
    if suffix not in TIFF_SUFFIXES:
        return read_image(path, str(path))
    planes = TiffPlanes(path)
    try:
        return planes.stack(None, dict.fromkeys(planes.axes, 0)).read(0) if planes.single else None
    finally:
        planes.close()


def _fault(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "is no longer there"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image of the kind its name states, or is damaged"
    return f"cannot be decoded, it is damaged or truncated ({reason_of(error)})"


def _tiff_header(path: Path) -> ImageHeader:
    check_page_list(path)
    with tifffile.TiffFile(path) as tif:
        pages = [page for page in tif.pages if not getattr(page, "is_reduced", False)]
        if len(pages) > 1:
            raise InputError(
                f"{path}: holds {len(pages)} pages among single frames; give it alone, or split it"
            )
        check_pages(tif, str(path))
        page: Any = tif.pages[0]
        size = (page.shape[page.axes.index("Y")], page.shape[page.axes.index("X")])
        if page.dtype is None:
            raise InputError(f"{path}: its samples are of no known type, it is damaged; copy it again")
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        dtype = np.dtype(np.uint8) if palette else page.dtype
        bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * dtype.itemsize
        colour = palette or page.samplesperpixel >= 3
        return ImageHeader(size, dtype, bits, colour, calibration=calibration_of_page(tif, page, str(path)))


def _describe(image: Image.Image) -> ImageHeader:
    size = (image.height, image.width)
    turn = int(image.getexif().get(ExifTags.Base.Orientation, 1) or 1) if image.format == "JPEG" else 1
    if image.mode in _SIXTEEN_BIT or _deep_png(image):
        return ImageHeader(size, np.dtype(np.uint16), 16, image.mode not in _SIXTEEN_BIT)
    if image.mode == "1":
        return ImageHeader(size, np.dtype(np.uint8), 1, False)
    if image.mode in ("L", "LA", "La"):
        return ImageHeader(size, np.dtype(np.uint8), 8, False, turn)
    if image.mode == "I":
        return ImageHeader(size, np.dtype(np.int32), 32, False)
    if image.mode == "F":
        return ImageHeader(size, np.dtype(np.float32), 32, False)
    return ImageHeader(size, np.dtype(np.uint8), 8, True, turn)


def _deep_png(image: Image.Image) -> bool:
    return isinstance(image, PngImageFile) and bool(image.tile) and str(image.tile[0].args).endswith(";16B")


def _pixels(path: Path) -> Samples:
    with Image.open(path) as image:
        if isinstance(image, PngImageFile) and _deep_png(image) and image.mode not in _SIXTEEN_BIT:
            return _deep_colour(path, image)
        if image.mode == "1":
            return np.asarray(image.convert("L"))
        if image.mode in ("L", "LA", "I", "F", "RGB", "RGBA") or image.mode in _SIXTEEN_BIT:
            return np.asarray(image)
        return np.asarray(image.convert("RGB"))


def _deep_colour(path: Path, image: PngImageFile) -> NDArray[np.uint16]:
    """16-bit colour PNG, of which Pillow keeps the high bytes only: decode the low bytes in a second pass."""
    raw_mode = str(image.tile[0].args)
    if image.mode not in ("RGB", "RGBA"):
        raise InputError(f"{path}: 16-bit grey with alpha is not supported; save it as 16-bit grey")
    high = np.asarray(image).astype(np.uint16)
    with PngImageFile(path) as again:
        again.tile = [tile._replace(args=raw_mode.replace(";16B", ";16L")) for tile in again.tile]
        low = np.asarray(again).astype(np.uint16)
    return np.asarray((high << 8) | low)
