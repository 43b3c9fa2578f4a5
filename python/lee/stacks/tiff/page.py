"""One page of a TIFF file: its checks, and its pixels as a grey frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from lee.errors import InputError, reason_of
from lee.stacks.grey import Frame, Samples, as_grey, as_rgb

# A page with its tags, or one that shares them with its key frame: tifffile types every field as optional.
Page = Any

_PLAIN = (
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.PALETTE,
)


def check_pages(tif: tifffile.TiffFile, where: str, *, alike: bool = True) -> None:
    """Compare the header of every page with the end of the file and, if they are `alike`, with the first one.

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
        if alike and (page.shape != first.shape or page.dtype != first.dtype):
            raise InputError(
                f"{where}, frame {k}: is {page.shape} {page.dtype}, the first {first.shape} {first.dtype}; "
                "frames must have one size and kind"
            )
        reach = max((o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
        if reach > end or sum(page.databytecounts) < _bytes_needed(page.keyframe):
            raise InputError(
                f"{where}, frame {k}: is truncated, the file ends within it; copy the file again"
            )


def _bytes_needed(page: Page) -> int:
    """Bytes that the pixels of an uncompressed page take at least; 0 where that is not known."""
    if page.compression != tifffile.COMPRESSION.NONE or page.photometric not in _PLAIN:
        return 0
    bits = page.bitspersample
    if not isinstance(bits, int):
        return 0
    return int(page.imagelength * page.imagewidth * page.samplesperpixel * bits // 8)


def read_page(page: Page, where: str, *, colour: bool = False) -> Frame:
    """Decode one page to grey, (H, W), or in colour, (H, W, 3).

    Raises
    ------
    InputError
        If it is damaged or truncated, or nothing installed decodes its compression.
    """
    keyframe = page.keyframe
    try:
        with _opened(page):
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
    frame = (as_rgb if colour else as_grey)(image, where)
    if keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE and frame.dtype.kind == "u":
        frame = np.invert(frame)
    return frame


@contextmanager
def _opened(page: Page) -> Iterator[None]:
    """Open the page's file while it is read: of a set of files, tifffile keeps only the first one open."""
    handle = page.parent.filehandle
    if not handle.closed:
        yield
        return
    handle.open()
    try:
        yield
    finally:
        handle.close()


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
