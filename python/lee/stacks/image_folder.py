"""A folder of images as a stack: PNG, TIFF, JPEG and BMP, in the order of the numbers in their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from lee.errors import InputError, reason_of
from lee.stacks.grey import Frame, Samples, as_grey, grey_dtype
from lee.stacks.reader import FrameSource
from lee.stacks.tiff import TIFF_SUFFIXES, TiffSource, check_pages, read_page, tiff_pixel_um
from lee.stacks.z_positions import read_z_csv

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"}) | TIFF_SUFFIXES
Z_CSV = "z_um.csv"

_SIXTEEN_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that puts frame10 after frame9 and ignores the case of letters."""
    pieces = re.split(r"(\d+)", name.casefold())
    return tuple(int(piece) if i % 2 else piece for i, piece in enumerate(pieces)), name


def image_files(folder: Path) -> list[Path]:
    """List the images of a folder in natural order; other and hidden files are ignored."""
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(files, key=lambda path: natural_key(path.name))


class FolderSource(FrameSource):
    """One image file per frame.

    Every file's header is read on opening, so that a frame of other size or kind is found before any work
    starts; pixels are decoded when asked for.
    """

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._files = files
        size, dtype, colour = _header(files[0])
        for k, path in enumerate(files[1:], start=1):
            other_size, other_dtype, other_colour = _header(path)
            colour = colour or other_colour
            if other_size != size:
                raise InputError(
                    f"{self.name(k)}: is {other_size[1]}×{other_size[0]}, the first is {size[1]}×{size[0]} "
                    "(width × height); frames must have one size, take it out of the folder"
                )
            if grey_dtype(other_dtype, str(path)) != grey_dtype(dtype, str(files[0])):
                raise InputError(
                    f"{self.name(k)}: has {other_dtype} samples, the first frame has {dtype}; "
                    "frames must be of one kind"
                )
        self.shape = (len(files), *size)
        self.dtype = grey_dtype(dtype, str(files[0]))
        self.metadata = {"format": "image folder", "first_file": files[0].name, "last_file": files[-1].name}
        self.metadata["source_dtype"] = str(dtype)
        if colour:
            self.metadata["luminance"] = "Rec. 601"
        if files[0].suffix.lower() in TIFF_SUFFIXES:
            with tifffile.TiffFile(files[0]) as tif:
                self.pixel_yx_um, self.pixel_um_source = tiff_pixel_um(tif, tif.pages[0])
        if (folder / Z_CSV).is_file():
            self.z_um = read_z_csv(folder / Z_CSV, len(files))
            self.z_um_source = f"CSV file {Z_CSV}"

    def read(self, k: int) -> Frame:
        """Decode file k."""
        where = self.name(k)
        try:
            frame = _decode(self._files[k], where)
        except InputError:
            raise
        except Exception as error:  # decoders raise errors of any kind on damaged files
            raise InputError(f"{where}: {_fault(error)}; replace it or take it out of the folder") from error
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise InputError(
                f"{where}: is {frame.shape} {frame.dtype}, expected {self.shape[1:]} {self.dtype}; "
                "the file changed after the stack was opened"
            )
        return frame

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._files[k]} (frame {k})"


def _fault(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "is no longer there"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image of the kind its name states, or is damaged"
    return f"cannot be decoded, it is damaged or truncated ({reason_of(error)})"


def _header(path: Path) -> tuple[tuple[int, int], np.dtype[np.generic], bool]:
    """Size (H, W), sample dtype and whether there is colour, from the header alone."""
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            return _tiff_header(path)
        with Image.open(path) as image:
            return _describe(image)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: {_fault(error)}; replace it or take it out of the folder") from error


def _tiff_header(path: Path) -> tuple[tuple[int, int], np.dtype[np.generic], bool]:
    with tifffile.TiffFile(path) as tif:
        pages = [page for page in tif.pages if not getattr(page, "is_reduced", False)]
        if len(pages) > 1:
            raise InputError(
                f"{path}: holds {len(pages)} pages among single frames; give it alone, or split it"
            )
        check_pages(tif, str(path))
        page: Any = tif.pages[0]
        size = (page.shape[page.axes.index("Y")], page.shape[page.axes.index("X")])
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        return size, np.dtype(np.uint8) if palette else page.dtype, palette or page.samplesperpixel >= 3


def _describe(image: Image.Image) -> tuple[tuple[int, int], np.dtype[np.generic], bool]:
    size = (image.height, image.width)
    if image.mode in _SIXTEEN_BIT or _deep_png(image):
        return size, np.dtype(np.uint16), image.mode not in _SIXTEEN_BIT
    if image.mode in ("1", "L", "LA", "La"):
        return size, np.dtype(np.uint8), False
    if image.mode == "I":
        return size, np.dtype(np.int32), False
    if image.mode == "F":
        return size, np.dtype(np.float32), False
    return size, np.dtype(np.uint8), True


def _deep_png(image: Image.Image) -> bool:
    return isinstance(image, PngImageFile) and bool(image.tile) and str(image.tile[0].args).endswith(";16B")


def _decode(path: Path, where: str) -> Frame:
    if path.suffix.lower() in TIFF_SUFFIXES:
        with tifffile.TiffFile(path) as tif:
            return read_page(tif.pages[0], where)
    return as_grey(_pixels(path), where)


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


class ImageFolderReader:
    """A folder of images, one per frame."""

    name = "image folder"
    reads = f"a folder of images ({', '.join(sorted(IMAGE_SUFFIXES))})"

    def recognises(self, path: Path) -> bool:
        """Whether a folder holds an image."""
        return path.is_dir() and bool(image_files(path))

    def open(self, path: Path) -> FrameSource:
        """Read the headers; a folder that holds one TIFF stands for that file."""
        files = image_files(path)
        if len(files) == 1 and files[0].suffix.lower() in TIFF_SUFFIXES:
            return TiffSource(files[0])
        return FolderSource(path, files)
