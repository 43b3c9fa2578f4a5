"""Heights and pixel size from the OME-XML of an OME-TIFF."""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.stacks.calibration.stated import PageCalibration, StatedCalibration, heights_of
from lee.storage.length_units import s_per_unit, um_per_unit

# tifffile makes room for every plane that the XML states, before it looks which are there.
_MAX_PLANES = 2 * 10**6
_ATTRIBUTES = {"z": "TheZ", "t": "TheT", "c": "TheC"}


class OmeXml:
    """The images that an OME-XML document describes.

    Raises
    ------
    InputError
        If the XML cannot be parsed, or states more planes than a file can hold.
    """

    def __init__(self, xml: str, where: str) -> None:
        # Some writers leave bytes of an older, longer text behind.
        start, end = xml.find("<"), xml.rfind(">")
        try:
            root = ElementTree.fromstring(xml[max(start, 0) : end + 1])
        except (ElementTree.ParseError, ValueError) as error:
            raise InputError(
                f"{where}: its OME-XML cannot be parsed ({error}); save it again as OME-TIFF"
            ) from error
        self._images = [pixels for pixels in root.iter() if pixels.tag.rpartition("}")[2] == "Pixels"]
        self.names = [
            str(image.get("Name") or k)
            for k, image in enumerate(e for e in root.iter() if e.tag.rpartition("}")[2] == "Image")
        ]
        for pixels in self._images:
            planes = math.prod(max(_whole(pixels.get(f"Size{axis}", "1")), 1) for axis in "ZCT")
            if planes > _MAX_PLANES:
                raise InputError(
                    f"{where}: its OME-XML states {planes} planes, more than a file can hold; it is damaged, "
                    "save it again as OME-TIFF"
                )

    def channels(self) -> list[str]:
        """Names of the channels of the first image; empty where they have none."""
        if not self._images:
            return []
        found = [channel.get("Name") for channel in self._images[0].findall("{*}Channel")]
        return [str(name) for name in found] if all(found) else []

    def files(self) -> set[str]:
        """Names of the files over which the planes are spread, where they are."""
        found = {uuid.get("FileName") for pixels in self._images for uuid in pixels.iterfind(".//{*}UUID")}
        return {name for name in found if name}

    @property
    def images(self) -> int:
        """How many images it describes."""
        return len(self._images)

    def planes(self) -> int:
        """Planes of the first image."""
        if not self._images:
            return 0
        return math.prod(max(_whole(self._images[0].get(f"Size{axis}", "1")), 1) for axis in "ZCT")

    def scanned(self) -> frozenset[str]:
        """Return t where the planes of several times, of one z each, are at different heights."""
        if not self._images or _whole(self._images[0].get("SizeZ", "1")) > 1:
            return frozenset()
        times = _whole(self._images[0].get("SizeT", "1"))
        z, _ = _positions_um(self._images[0], times, "t", {})
        return frozenset("t") if z is not None and np.ptp(z) > 0 else frozenset()

    def times_s(self) -> NDArray[np.float64] | None:
        """When each time of the first image began: ``DeltaT`` of its first plane, or ``TimeIncrement``."""
        if not self._images:
            return None
        pixels = self._images[0]
        count = _whole(pixels.get("SizeT", "1"))
        found: dict[int, float] = {}
        for plane in pixels.findall("{*}Plane"):
            if plane.get("DeltaT") is None or plane.get("TheZ", "0") != "0" or plane.get("TheC", "0") != "0":
                continue
            scale = s_per_unit(plane.get("DeltaTUnit", "s"))
            if scale is not None:
                found[_whole(plane.get("TheT", "0"))] = _number(plane.get("DeltaT", "")) * scale
        if all(k in found for k in range(count)):
            times = np.array([found[k] for k in range(count)])
            if (np.diff(times) > 0).all():
                return np.asarray(times - times[0], dtype=np.float64)
        step, scale = pixels.get("TimeIncrement"), s_per_unit(pixels.get("TimeIncrementUnit", "s"))
        if step is None or scale is None or not _number(step) > 0:
            return None
        return np.arange(count, dtype=np.float64) * (_number(step) * scale)

    def calibration(
        self, image: int, count: int, depth: str | None, fixed: Mapping[str, int]
    ) -> StatedCalibration:
        """Calibration of a stack of an image.

        Heights are the planes' ``PositionZ``; where those are missing, stand still, or are in the unitless
        "reference frame", they are multiples of ``PhysicalSizeZ``. A ``PositionZ`` without unit is taken in
        µm, as most writers mean it.

        Parameters
        ----------
        count : int
            Frames of the stack.
        depth : str or None
            Axis along which they lie; None or a number if the file does not name it.
        fixed : dict
            Index of the stack along the other axes.
        """
        if image >= len(self._images):
            return StatedCalibration()
        pixels = self._images[image]
        axis = depth if depth in _ATTRIBUTES else "z"
        positions, unit_stated = _positions_um(pixels, count, axis, fixed)
        found = heights_of(
            count,
            positions_um=positions,
            positions="OME PositionZ",
            step_um=_size_um(pixels, "Z") if axis == "z" else None,
            step="OME PhysicalSizeZ",
            unit_stated=unit_stated,
        )
        _take_pixel_size(found, pixels)
        return found

    def of_one_plane(self) -> PageCalibration:
        """Calibration of a file with one plane, which may be one of a scan."""
        if not self._images:
            return PageCalibration(StatedCalibration())
        pixels, found = self._images[0], StatedCalibration()
        _take_pixel_size(found, pixels)
        positions, unit_stated = _positions_um(pixels, 1, "z", {})
        return PageCalibration(
            found,
            None if positions is None else float(positions[0]),
            "OME PositionZ",
            _size_um(pixels, "Z"),
            "OME PhysicalSizeZ",
            unit_stated,
        )


def _take_pixel_size(found: StatedCalibration, pixels: ElementTree.Element) -> None:
    size_y, size_x = _size_um(pixels, "Y"), _size_um(pixels, "X")
    size_y, size_x = (size_x if size_y is None else size_y), (size_y if size_x is None else size_x)
    if size_y is not None and size_x is not None:
        found.pixel_yx_um, found.pixel_um_source = (size_y, size_x), "OME PhysicalSize"


def _size_um(pixels: ElementTree.Element, axis: str) -> float | None:
    value = pixels.get(f"PhysicalSize{axis}")
    scale = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return None if value is None or scale is None else _number(value) * scale


def _positions_um(
    pixels: ElementTree.Element, count: int, axis: str, fixed: Mapping[str, int]
) -> tuple[NDArray[np.float64] | None, bool]:
    found: dict[int, float] = {}
    unit_stated = True
    others = {name: fixed.get(a, 0) for a, name in _ATTRIBUTES.items() if a != axis}
    for plane in pixels.findall("{*}Plane"):
        if plane.get("PositionZ") is None:
            continue
        if any(_whole(plane.get(name, "0")) != index for name, index in others.items()):
            continue
        unit = plane.get("PositionZUnit")
        scale = um_per_unit(unit or "um")
        if scale is None:
            return None, False
        unit_stated = unit_stated and unit is not None
        found[_whole(plane.get(_ATTRIBUTES[axis], "0"))] = _number(plane.get("PositionZ", "")) * scale
    if any(k not in found for k in range(count)):
        return None, False
    return np.array([found[k] for k in range(count)]), unit_stated


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
