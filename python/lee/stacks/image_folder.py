"""A folder of images as a stack: PNG, TIFF, JPEG and BMP, in the order of the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tifffile

from lee.errors import InputError
from lee.stacks.calibration.stated import heights_of
from lee.stacks.folder.image_file import IMAGE_SUFFIXES, ImageHeader, read_header, read_image
from lee.stacks.folder.names import FrameOrder, order_of
from lee.stacks.grey import Frame, grey_dtype
from lee.stacks.reader import FrameSource, PlaneSet
from lee.stacks.tiff.companion import companion_of, read_companion
from lee.stacks.tiff.ome_xml import OmeXml
from lee.stacks.tiff.page_list import TIFF_SUFFIXES, check_page_list
from lee.stacks.tiff.planes import TiffPlanes

Z_CSV = "z_um.csv"


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

    def __init__(self, folder: Path, order: FrameOrder) -> None:
        self._files = files = order.files
        headers = [read_header(path) for path in files]
        self._compare(headers)
        first = headers[0]
        self.shape = (len(files), *first.size)
        self.dtype = grey_dtype(first.dtype, str(files[0]))
        self.metadata = {"format": "image folder", "first_file": files[0].name, "last_file": files[-1].name}
        self.metadata["source_dtype"] = str(first.dtype)
        self.colour = any(header.colour for header in headers)
        if self.colour:
            self.metadata["luminance"] = "Rec. 601"
        self._calibrate(headers)
        if order.z_um is not None:
            self.z_um, self.z_um_source = order.z_um, order.z_um_source
        self.uneven = order.uneven
        if (folder / Z_CSV).is_file():
            self.z_table = folder / Z_CSV
        if self.z_um is None and order.uneven:
            self.z_um_doubt = order.uneven
        self.notes = (*order.notes, *self._mixtures(headers))

    def _compare(self, headers: Sequence[ImageHeader]) -> None:
        first = headers[0]
        for k, header in enumerate(headers):
            if header.size != first.size:
                raise InputError(
                    f"{self.name(k)}: is {header.size[1]}×{header.size[0]}, the first is "
                    f"{first.size[1]}×{first.size[0]} (width × height); frames must have one size, take it "
                    "out of the folder"
                )
            if grey_dtype(header.dtype, self.name(k)) != grey_dtype(first.dtype, self.name(0)):
                raise InputError(
                    f"{self.name(k)}: has {header.dtype} samples, the first frame has {first.dtype}; "
                    "frames must be of one kind"
                )

    def _mixtures(self, headers: Sequence[ImageHeader]) -> list[str]:
        """Say which frames differ from the first in what hardly happens within one scan."""
        first, said = headers[0], []
        for name, first_value, values in (
            ("depth, bits", first.bits, [header.bits for header in headers]),
            ("colour", first.colour, [header.colour for header in headers]),
            ("orientation in EXIF, which is ignored", first.turn, [header.turn for header in headers]),
        ):
            others = [self._files[k].name for k, value in enumerate(values) if value != first_value]
            if others:
                more = f" and {len(others) - 1} more" if len(others) > 1 else ""
                said.append(
                    f"{others[0]}{more} differ{'' if more else 's'} from {self._files[0].name} in {name}"
                )
        return said

    def _calibrate(self, headers: Sequence[ImageHeader]) -> None:
        stated = [header.calibration for header in headers]
        first = stated[0]
        if first is None:
            return
        first.pixel.apply_to(self)
        heights = [
            np.nan if page is None or page.position_um is None else page.position_um for page in stated
        ]
        found = heights_of(
            len(headers),
            positions_um=np.array(heights) if np.isfinite(heights).all() else None,
            positions=first.position,
            step_um=first.step_um,
            step=first.step,
            unit_stated=first.unit_stated,
        )
        self.z_um, self.z_um_source, self.z_um_doubt = found.z_um, found.z_um_source, found.z_um_doubt

    def read(self, k: int) -> Frame:
        """Decode file k."""
        return self._read(k, colour=False)

    def read_rgb(self, k: int) -> Frame:
        """Decode file k in colour."""
        return self._read(k, colour=True)

    def _read(self, k: int, *, colour: bool) -> Frame:
        where = self.name(k)
        frame = read_image(self._files[k], where, colour=colour)
        if frame.shape[:2] != self.shape[1:] or frame.dtype != self.dtype:
            raise InputError(
                f"{where}: is {frame.shape} {frame.dtype}, expected {self.shape[1:]} {self.dtype}; "
                "the file changed after the stack was opened"
            )
        return frame

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._files[k]} (frame {k})"


class FolderPlanes(PlaneSet):
    """Images whose names run through channels, times or positions, and z."""

    def __init__(self, folder: Path, order: FrameOrder) -> None:
        self._folder = folder
        self._order = order
        self.axes = order.axes

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> FolderSource:
        """Open the images along `depth`."""
        numbers = np.arange(len(self._order.files)).reshape(tuple(self.axes.values()))
        chosen = numbers[tuple(slice(None) if axis == depth else fixed[axis] for axis in self.axes)]
        files = [self._order.files[k] for k in np.atleast_1d(chosen)]
        return FolderSource(self._folder, FrameOrder(files, notes=self._order.notes))


class ImageFolderReader:
    """A folder of images, one per frame."""

    name = "image folder"
    reads = f"a folder of images ({', '.join(sorted(IMAGE_SUFFIXES))})"

    def recognises(self, path: Path) -> bool:
        """Whether a folder holds an image."""
        return path.is_dir() and bool(image_files(path))

    def open(self, path: Path) -> FrameSource | PlaneSet:
        """Judge the names and read the headers; a folder with one TIFF, or an OME set, stands for that."""
        files = image_files(path)
        if files[0].suffix.lower() in TIFF_SUFFIXES and (len(files) == 1 or _is_ome_set(files[0])):
            return TiffPlanes(files[0])
        order = order_of(path, files)
        return FolderPlanes(path, order) if order.axes else FolderSource(path, order)


def _is_ome_set(path: Path) -> bool:
    """Whether a file's OME-XML, or its companion, spreads one image over several files."""
    try:
        check_page_list(path)
        with tifffile.TiffFile(path) as tif:
            xml = tif.ome_metadata if tif.is_ome else None
    except Exception:  # a damaged file is reported when its header is read
        return False
    companion = companion_of(xml, path) if xml else None
    if companion is not None and companion.is_file():
        xml = read_companion(companion)
    return bool(xml) and len(OmeXml(str(xml), str(path)).files()) > 1
