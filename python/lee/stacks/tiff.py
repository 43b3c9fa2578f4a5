"""Multi-page TIFF, BigTIFF, OME-TIFF and ImageJ stacks, page by page."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from lee.errors import InputError, reason_of
from lee.stacks.array import ArraySource
from lee.stacks.grey import Frame, Samples, as_grey, grey_dtype
from lee.stacks.ome_xml import read_ome
from lee.stacks.reader import FrameSource
from lee.stacks.units import um_per_unit

# A page with its tags, or one that shares them with its key frame: tifffile types every field as optional.
Page = Any

TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8"})

# Above this the resolution tag is meant for a printer or a screen, not for a microscope.
_MAX_PIXEL_UM = 60.0

# Axes that may be depth: tifffile names those I or Q that a file does not name.
_DEPTH_AXES = "ZIQ"


class TiffSource(FrameSource):
    """The pages of one TIFF file.

    Page headers are checked on opening: equal sizes, and no page that points beyond the end of the file.
    Pixels are read page by page; if they are one uncompressed block, that block is mapped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            self._tif = tifffile.TiffFile(path)
        except OSError:
            raise
        except Exception as error:  # tifffile raises many kinds on damaged files
            raise InputError(
                f"{path}: is not a readable TIFF file ({reason_of(error)}); copy it again"
            ) from error
        try:
            self._open()
        except (InputError, PermissionError):
            self._tif.close()
            raise
        except Exception as error:  # tifffile raises many kinds on damaged files
            self._tif.close()
            raise InputError(
                f"{path}: its page list is damaged or truncated ({reason_of(error)}); copy the file again"
            ) from error

    def _open(self) -> None:
        check_pages(self._tif, str(self._path))
        series = self._tif.series
        if self._tif.is_ome and len(series) > 1:
            raise InputError(
                f"{self._path}: holds {len(series)} images; save one z-stack to a file of its own"
            )
        self._pages: Any = series[0].pages if len(series) == 1 else self._tif.pages
        self._block: ArraySource | None = None
        if len(series) == 1:
            self._take_series(series[0])
            self._check_missing_planes()
        else:
            self._count = len(self._tif.pages)
        # The first frame need not be the first page, which alone has all tags; it may even be missing.
        page: Page = next(page for page in self._pages if page is not None).keyframe
        height, width = page.shape[page.axes.index("Y")], page.shape[page.axes.index("X")]
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        self.shape = (self._count, height, width)
        self.dtype = np.dtype(np.uint8) if palette else grey_dtype(page.dtype, str(self._path))
        self.metadata = {"format": self._format(), "source_dtype": str(page.dtype)}
        if palette or page.samplesperpixel >= 3:
            self.metadata["luminance"] = "Rec. 601"
        self._read_calibration(page)

    def _take_series(self, series: Any) -> None:
        sizes = dict(zip(series.axes, series.shape, strict=True))
        depth = {axis: n for axis, n in sizes.items() if axis not in "YXS" and n > 1}
        refused = [f"{axis} of {n}" for axis, n in depth.items() if axis not in _DEPTH_AXES]
        if refused or len(depth) > 1:
            raise InputError(
                f"{self._path}: axes {series.axes} {series.shape}: only z is supported beside y and x, "
                f"not {' and '.join(refused) or 'two depths'}; save one z-stack to a file of its own"
            )
        self._count = math.prod(depth.values())
        contiguous = series.dataoffset is not None and series.axes[-2:] == "YX" and sizes.get("S", 1) == 1
        grey = series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        if len(series.pages) == self._count and not (contiguous and grey and self._count > 1):
            return
        if not contiguous:
            raise InputError(
                f"{self._path}: {self._count} frames in {len(series.pages)} compressed pages; "
                "save it with one page per frame"
            )
        shape = (self._count, sizes["Y"], sizes["X"])
        dtype = series.keyframe.dtype.newbyteorder(self._tif.byteorder)
        try:
            block = np.memmap(series.keyframe.parent.filehandle.path, dtype, "r", series.dataoffset, shape)
        except ValueError as error:
            raise InputError(
                f"{self._path}: is truncated ({reason_of(error)}); copy the file again"
            ) from error
        self._block = ArraySource(block, str(self._path), copy=True)

    def _check_missing_planes(self) -> None:
        """Use the planes of an acquisition that was stopped; refuse a set of files with a gap in it."""
        if self._block is not None:
            return
        missing = [k for k in range(self._count) if self._pages[k] is None]
        present = self._count - len(missing)
        if not missing:
            return
        if not present or missing[0] < present:
            raise InputError(
                f"{self._path}: {len(missing)} of its {self._count} planes, plane {missing[0]} the first of "
                "them, are missing; put all files of the set in one folder"
            )
        warnings.warn(
            f"{self._path}: holds {present} of the {self._count} planes that its OME-XML states, as after an "
            f"acquisition that was stopped; the last {len(missing)} are missing",
            stacklevel=2,
        )
        self._count = present

    def _format(self) -> str:
        if self._tif.is_ome:
            return "OME-TIFF"
        return "ImageJ TIFF" if self._tif.is_imagej else "TIFF"

    def _read_calibration(self, page: Page) -> None:
        if self._tif.is_ome and self._tif.ome_metadata:
            ome = read_ome(self._tif.ome_metadata, self._count, str(self._path))
            self.z_um, self.z_um_source, self.pixel_yx_um = ome
            self.pixel_um_source = "OME PhysicalSize"
            return
        self.pixel_yx_um, self.pixel_um_source = tiff_pixel_um(self._tif, page)
        imagej = self._tif.imagej_metadata or {}
        scale = um_per_unit(imagej.get("zunit") or imagej.get("unit"))
        if scale is not None and imagej.get("spacing") is not None:
            self.z_um = np.arange(self._count, dtype=np.float64) * float(imagej["spacing"]) * scale
            self.z_um_source = "ImageJ spacing"

    def read(self, k: int) -> Frame:
        """Decode page k."""
        if self._block is not None:
            return self._block.read(k)
        where = self.name(k)
        with self._lock:
            frame = read_page(self._pages[k], where)
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise InputError(
                f"{where}: is {frame.shape} {frame.dtype}, expected {self.shape[1:]} {self.dtype}; "
                "frames must have one size and kind"
            )
        return frame

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._path}, frame {k}"

    def close(self) -> None:
        """Close the file."""
        self._tif.close()


class TiffReader:
    """A multi-page TIFF, BigTIFF, OME-TIFF or ImageJ stack."""

    name = "TIFF"
    reads = "a TIFF stack"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is one of TIFF."""
        return path.suffix.lower() in TIFF_SUFFIXES and path.is_file()

    def open(self, path: Path) -> TiffSource:
        """Read and check the headers of all pages."""
        return TiffSource(path)


def check_pages(tif: tifffile.TiffFile, where: str) -> None:
    """Compare the header of every page with the first one and with the end of the file.

    Raises
    ------
    InputError
        Naming the first page of other size or kind, or cut off.
    """
    end = tif.filehandle.size
    first: Page | None = None
    pages: Iterable[Page] = tif.pages
    for k, page in enumerate(pages):
        if page.is_reduced:
            continue
        first = first or page
        if page.shape != first.shape or page.dtype != first.dtype:
            raise InputError(
                f"{where}, frame {k}: is {page.shape} {page.dtype}, the first {first.shape} {first.dtype}; "
                "frames must have one size and kind"
            )
        reach = max((o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
        if reach > end:
            raise InputError(
                f"{where}, frame {k}: is truncated, the file ends within it; copy the file again"
            )


def tiff_pixel_um(tif: tifffile.TiffFile, page: Page) -> tuple[tuple[float, float] | None, str]:
    """Pixel size (y, x) from the resolution tags, None where they were meant for printing, and its source."""
    x, y = (_resolution(page, tag) for tag in ("XResolution", "YResolution"))
    if x is None or y is None:
        return None, ""
    unit = (tif.imagej_metadata or {}).get("unit")
    scale, source = um_per_unit(unit), "ImageJ resolution"
    if scale is None:
        if unit is not None:
            return None, ""
        unit_tag = page.tags.get("ResolutionUnit")
        scale = {2: 25400.0, 3: 1e4}.get(int(unit_tag.value) if unit_tag is not None else 2)
        source = "TIFF resolution"
    if scale is None or (source == "TIFF resolution" and scale * y > _MAX_PIXEL_UM):
        return None, ""
    return (scale * y, scale * x), source


def _resolution(page: Page, tag_name: str) -> float | None:
    """Units a pixel."""
    tag = page.tags.get(tag_name)
    if tag is None:
        return None
    pixels, units = tag.value
    return units / pixels if pixels else None


def read_page(page: Page, where: str) -> Frame:
    """Decode one page to grey.

    Raises
    ------
    InputError
        If it is damaged or truncated, or nothing installed decodes its compression.
    """
    keyframe = page.keyframe
    try:
        image = _decode(page)
    except Exception as error:  # decoders raise errors of any kind on damaged files
        if isinstance(error, ImportError) or "imagecodecs" in str(error):
            raise InputError(
                f"{where}: nothing installed decodes its compression, {keyframe.compression.name}; "
                "pip install imagecodecs"
            ) from error
        raise InputError(
            f"{where}: cannot be decoded, it is damaged or truncated ({reason_of(error)}); "
            "replace it or leave it out"
        ) from error
    if keyframe.photometric == tifffile.PHOTOMETRIC.PALETTE and keyframe.colormap is not None:
        image = (keyframe.colormap >> 8).astype(np.uint8).T[image]
    elif keyframe.axes.startswith("S"):
        image = np.moveaxis(image, 0, -1)
    grey = as_grey(image, where)
    if keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE and grey.dtype.kind == "u":
        grey = np.invert(grey)
    return grey


def _decode(page: Page) -> Samples:
    try:
        return np.asarray(page.asarray())
    except (ImportError, ValueError) as error:
        missing = isinstance(error, ImportError) or "imagecodecs" in str(error)
        if not missing or not isinstance(page.index, int):
            raise
        try:
            pixels = _decode_with_pillow(page)
        except Exception:
            # Pillow always decodes LZW; of another compression it may lack the decoder, too.
            if page.keyframe.compression == tifffile.COMPRESSION.LZW:
                raise
            raise error from None
        if pixels.shape != page.shape or pixels.dtype != page.dtype:
            raise
        return pixels


def _decode_with_pillow(page: Page) -> Samples:
    """Decode what tifffile needs a package for and Pillow does not, such as LZW."""
    with Image.open(page.parent.filehandle.path) as image:
        image.seek(page.index)
        return np.asarray(image)
