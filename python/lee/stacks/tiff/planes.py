"""The planes of a TIFF file along its axes, and one stack of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile

from lee.errors import InputError, reason_of
from lee.stacks.array import ArraySource
from lee.stacks.grey import Frame, as_rgb, grey_dtype
from lee.stacks.internal_warnings import log_hidden
from lee.stacks.micro_manager.metadata import axes_of_frames
from lee.stacks.reader import FrameSource, PlaneSet
from lee.stacks.tiff.calibration import (
    frame_facts,
    frame_times_s,
    imagej_calibration,
    micro_manager_calibration,
    resolution_calibration,
)
from lee.stacks.tiff.companion import companion_of, read_companion
from lee.stacks.tiff.ome_xml import OmeXml
from lee.stacks.tiff.page import Page, check_pages, read_page
from lee.stacks.tiff.page_list import check_page_list
from lee.storage.tiff_tags import grey_line

# tifffile's letters; those of an axis that the file does not name, such as I and Q, are not among them.
_NAMED = {"Z": "z", "T": "t", "C": "c", "P": "p", "R": "p"}


class TiffPlanes(PlaneSet):
    """The pages of a TIFF file, or of the files of an OME or Micro-Manager set, along their axes.

    Page headers are checked on opening: equal sizes, and no page that points beyond the end of the file.
    Pixels are read page by page; if they are one uncompressed block, that block is mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._unlike: Sequence[Any] = ()
        check_page_list(path)
        try:
            self.file = self._opened()
        except (InputError, OSError):
            raise
        except Exception as error:  # tifffile raises many kinds on damaged files
            raise InputError(
                f"{path}: is not a readable TIFF file ({reason_of(error)}); copy it again"
            ) from error
        try:
            self._open()
        except (InputError, PermissionError):
            self.file.close()
            raise
        except Exception as error:  # tifffile raises many kinds on damaged files
            self.file.close()
            raise InputError(
                f"{path}: its page list is damaged or truncated ({reason_of(error)}); copy the file again"
            ) from error

    def _opened(self) -> tifffile.TiffFile:
        file = tifffile.TiffFile(self.path)
        xml = file.ome_metadata if file.is_ome else None
        companion = companion_of(xml, self.path) if xml else None
        if companion is None:
            return file
        if companion.is_file():
            file.close()
            text = read_companion(companion)
            OmeXml(text, str(companion))  # so that the companion is named where it is damaged
            return tifffile.TiffFile(self.path, omexml=text)
        self.notes = (
            f"its metadata is in {companion.name}, which is missing; the pages of this file alone are read",
        )
        return file

    def _open(self) -> None:
        xml = self.file.ome_metadata if self.file.is_ome and not self.notes else None
        self.ome = None if not xml else OmeXml(xml, str(self.path))
        check_pages(self.file, str(self.path), alike=self.ome is None or self.ome.images < 2)
        series = self.file.series
        self.block: ArraySource | None = None
        if self.ome is not None and len(series) > 1:
            self._take_images(series)
        elif len(series) == 1:
            self._take_series(series[0])
        else:
            self.pages: Sequence[Page | None] = [
                page for page in self.file.pages if not getattr(page, "is_reduced", False)
            ]
            self.axes = {"0": len(self.pages)}
        if set(self.axes) == {"0"} and self.file.is_micromanager:
            self._take_micro_manager_axes()
        self.times_s = frame_times_s(self.file, self.axes.get("t", 1)) if self.ome is None else None
        if self.ome is not None:
            self.scanned, self.times_s = self.ome.scanned(), self.ome.times_s()
            channels = self.ome.channels()
            self.labels = {**self.labels, **({"c": channels} if channels else {})}

    def _take_images(self, series: Sequence[Any]) -> None:
        """Take the images of an OME-TIFF as positions."""
        if any(len(image.pages) != _planes_of(image) for image in series):
            shapes = ", ".join(f"{image.axes} {image.shape}" for image in series[:6])
            raise InputError(
                f"{self.path}: holds {len(series)} images ({shapes}) in other pages than these take; save "
                "one z-stack to a file of its own"
            )
        self.pages = [page for image in series for page in image.pages]
        self.axes = {"p": len(series)} | _named(series[0].axes, series[0].shape, str(self.path))
        if len({(image.axes, image.shape, image.dtype) for image in series}) > 1:
            self._unlike = series
        if self.ome is not None and len(self.ome.names) == len(series):
            self.labels = {"p": self.ome.names}

    def at_position(self, k: int) -> None:
        """Take the pages of image k alone, where images differ, as an overview and a scan do."""
        if not self._unlike:
            return
        image, count = self._unlike[k], len(self._unlike)
        self.axes = {"p": count} | _named(image.axes, image.shape, str(self.path))
        before, after = k * len(image.pages), (count - 1 - k) * len(image.pages)
        self.pages = [*[None] * before, *image.pages, *[None] * after]

    def _take_series(self, series: Any) -> None:
        self.axes = _named(series.axes, series.shape, str(self.path))
        self.pages = series.pages
        count = math.prod(self.axes.values())
        contiguous = series.dataoffset is not None and series.axes[-2:] == "YX"
        grey = series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        if len(series.pages) == count and not (contiguous and grey and count > 1):
            return
        if not contiguous:
            raise InputError(
                f"{self.path}: {count} frames in {len(series.pages)} compressed pages; "
                "save it with one page per frame"
            )
        dtype = series.keyframe.dtype.newbyteorder(self.file.byteorder)
        place = series.keyframe.parent.filehandle.path
        try:
            block = np.memmap(place, dtype, "r", series.dataoffset, (count, *series.shape[-2:]))
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"{self.path}: is truncated, it states {count} frames and ends before; copy the file again"
            ) from error
        self.block = ArraySource(block, str(self.path), copy=True)

    def _take_micro_manager_axes(self) -> None:
        """Name the axes of pages that Micro-Manager's own index does not, as after a crash."""
        found = axes_of_frames([frame_facts(page) for page in self.pages])
        if found is not None:
            self.axes, self.labels, places = found
            self.pages = [None if k is None else self.pages[k] for k in places]
            self.block = None

    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> TiffStack:
        """Open the planes along `depth`."""
        sizes = tuple(self.axes.values())
        numbers = np.arange(math.prod(sizes)).reshape(sizes)
        chosen = numbers[tuple(slice(None) if axis == depth else fixed[axis] for axis in self.axes)]
        try:
            return TiffStack(self, np.atleast_1d(chosen).tolist(), depth, fixed)
        except (InputError, PermissionError):
            raise
        except Exception as error:  # tifffile raises many kinds on damaged tags
            raise InputError(
                f"{self.path}: its tags are damaged ({reason_of(error)}); copy the file again"
            ) from error

    @property
    def single(self) -> bool:
        """Whether it holds one plane only."""
        return math.prod(self.axes.values()) == 1

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _planes_of(series: Any) -> int:
    return math.prod(n for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YXS")


def _named(axes: str, shape: Sequence[int], where: str) -> dict[str, int]:
    """Return the axes of planes: by name, or by number where the name is none or stands twice."""
    kept = [(axis, n) for axis, n in zip(axes, shape, strict=True) if axis not in "YXS"]
    if axes.replace("S", "")[-2:] != "YX":
        raise InputError(
            f"{where}: its axes are {axes} {tuple(shape)}; save it with one page per frame, y and x last"
        )
    names = Counter(_NAMED.get(axis, "") for axis, _ in kept)
    return {
        _NAMED[axis] if axis in _NAMED and names[_NAMED[axis]] == 1 else str(k): n
        for k, (axis, n) in enumerate(kept)
    }


class TiffStack(FrameSource):
    """One stack of the planes of a TIFF file."""

    def __init__(
        self, planes: TiffPlanes, numbers: list[int], depth: str | None, fixed: Mapping[str, int]
    ) -> None:
        self._planes = planes
        self._lock = Lock()
        self.notes = planes.notes
        self._numbers = numbers
        if planes.block is None:
            self._check_missing_planes()
        present = (planes.pages[k] for k in (self._numbers if planes.block is None else [0]))
        page: Page = next(page for page in present if page is not None)
        key = page.keyframe  # the first frame need not be the first page, which alone has all tags
        height, width = key.shape[key.axes.index("Y")], key.shape[key.axes.index("X")]
        palette = key.photometric == tifffile.PHOTOMETRIC.PALETTE
        self.shape = (len(self._numbers), height, width)
        self._line = grey_line(planes.file)
        self.dtype = np.dtype(np.uint8) if palette else grey_dtype(key.dtype, str(planes.path))
        self.metadata = {"format": self._format(), "source_dtype": str(key.dtype)}
        self.colour = palette or key.samplesperpixel >= 3
        if self.colour:
            self.metadata["luminance"] = "Rec. 601"
        if self._line is not None:
            self.dtype = np.dtype(np.float32)
            self.metadata["grey_offset_and_slope"] = list(self._line)
        self._calibrate(key, depth, fixed)

    def _check_missing_planes(self) -> None:
        """Use the planes of an acquisition that was stopped; refuse a set of files with a gap in it."""
        pages, count = self._planes.pages, len(self._numbers)
        missing = [k for k, number in enumerate(self._numbers) if not _is_there(pages[number])]
        present = count - len(missing)
        if not missing:
            return
        if not present or missing[0] < present:
            raise InputError(
                f"{self._planes.path}: {len(missing)} of its {count} planes, plane {missing[0]} the first of "
                "them, are missing; put all files of the set in one folder"
            )
        states = "OME-XML" if self._planes.ome is not None else "metadata"
        self.notes = (
            f"holds {present} of the {count} planes that its {states} states, as after an acquisition that "
            f"was stopped; the last {len(missing)} are missing",
        )
        self._numbers = self._numbers[:present]

    def _format(self) -> str:
        file = self._planes.file
        if self._planes.ome is not None:
            return "OME-TIFF"
        if file.is_micromanager:
            return "Micro-Manager TIFF"
        return "ImageJ TIFF" if file.is_imagej else "TIFF"

    def _calibrate(self, key: Page, depth: str | None, fixed: Mapping[str, int]) -> None:
        planes, count = self._planes, len(self._numbers)
        along_z = depth in ("z", None) or depth.isdigit()
        if planes.ome is not None:
            found = planes.ome.calibration(fixed.get("p", 0), count, depth, fixed)
            if found.pixel_yx_um is None:
                found.pixel_yx_um = resolution_calibration(planes.file, key).pixel_yx_um
        elif planes.file.is_imagej and along_z:
            found = imagej_calibration(planes.file, key, count)
        else:
            found = resolution_calibration(planes.file, key)
        if planes.block is None or len(planes.pages) == math.prod(planes.axes.values()):
            pages = [planes.pages[k] for k in self._numbers]
            recorded = micro_manager_calibration(planes.file, pages, along_z=along_z)
            if recorded is not None:
                if recorded.z_um is not None:
                    found.take_heights(recorded)
                if recorded.pixel_yx_um is not None:
                    found.pixel_yx_um, found.pixel_um_source = recorded.pixel_yx_um, recorded.pixel_um_source
        found.apply_to(self)

    def read(self, k: int) -> Frame:
        """Decode page k."""
        if self._planes.block is not None:
            return self._on_line(self._planes.block.read(self._numbers[k]))
        return self._read_page(k, colour=False)

    def read_rgb(self, k: int) -> Frame:
        """Decode page k in colour."""
        if self._planes.block is not None:
            return as_rgb(self.read(k), self.name(k))
        return self._read_page(k, colour=True)

    def _read_page(self, k: int, *, colour: bool) -> Frame:
        where = self.name(k)
        with self._lock, log_hidden():
            frame = self._on_line(read_page(self._planes.pages[self._numbers[k]], where, colour=colour))
        if frame.shape[:2] != self.shape[1:] or frame.dtype != self.dtype:
            raise InputError(
                f"{where}: is {frame.shape} {frame.dtype}, expected {self.shape[1:]} {self.dtype}; "
                "frames must have one size and kind"
            )
        return frame

    def _on_line(self, frame: Frame) -> Frame:
        if self._line is None:
            return frame
        offset, slope = self._line
        return frame.astype(np.float32) * np.float32(slope) + np.float32(offset)

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._planes.path}, frame {k}"

    def close(self) -> None:
        """Close the file."""
        self._planes.close()


def _is_there(page: Page | None) -> bool:
    return page is not None and any(page.databytecounts)
