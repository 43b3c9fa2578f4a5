"""Heights and pixel size from the OME-XML of an OME-TIFF."""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError
from lee.stacks.units import um_per_unit


class OmeCalibration(NamedTuple):
    """Calibration stated by the XML; None where it states nothing usable."""

    z_um: NDArray[np.float64] | None
    z_um_source: str
    pixel_yx_um: tuple[float, float] | None


def read_ome(xml: str, count: int, where: str) -> OmeCalibration:
    """Read the first image of an OME-XML document.

    Heights are the planes' ``PositionZ``; where those are missing, all equal, or in the unitless "reference
    frame", they are multiples of ``PhysicalSizeZ``. A ``PositionZ`` without unit is taken in µm, as most
    writers mean it, unless ``PhysicalSizeZ`` contradicts it by more than a factor of two.

    Parameters
    ----------
    count : int
        Frames of the stack.

    Raises
    ------
    InputError
        If the XML cannot be parsed.
    """
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError as error:
        raise InputError(
            f"{where}: its OME-XML cannot be parsed ({error}); save it again as OME-TIFF"
        ) from error
    if pixels is None:
        return OmeCalibration(None, "", None)
    size_y, size_x = _size_um(pixels, "Y"), _size_um(pixels, "X")
    size_y, size_x = (size_x if size_y is None else size_y), (size_y if size_x is None else size_x)
    pixel = None if size_y is None or size_x is None else (size_y, size_x)
    step = _size_um(pixels, "Z")
    positions, unit_stated = _positions_um(pixels, count)
    if positions is not None and not unit_stated and step and _contradicts(positions, step):
        positions = None
    if positions is not None:
        source = "OME PositionZ" if unit_stated else "OME PositionZ, unit not stated, taken as µm"
        return OmeCalibration(positions, source, pixel)
    if step is not None:
        if not math.isfinite(step) or step <= 0:
            raise InputError(f"{where}: OME PhysicalSizeZ is {step:g} µm; give z_step_um (--z-step-um)")
        return OmeCalibration(np.arange(count, dtype=np.float64) * step, "OME PhysicalSizeZ", pixel)
    return OmeCalibration(None, "", pixel)


def _size_um(pixels: ElementTree.Element, axis: str) -> float | None:
    value = pixels.get(f"PhysicalSize{axis}")
    scale = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return None if value is None or scale is None else _number(value) * scale


def _positions_um(pixels: ElementTree.Element, count: int) -> tuple[NDArray[np.float64] | None, bool]:
    found: dict[int, float] = {}
    unit_stated = True
    for plane in pixels.findall("{*}Plane"):
        if plane.get("TheC", "0") != "0" or plane.get("TheT", "0") != "0" or plane.get("PositionZ") is None:
            continue
        unit = plane.get("PositionZUnit")
        scale = um_per_unit(unit or "um")
        if scale is None:
            return None, False
        unit_stated = unit_stated and unit is not None
        found[int(plane.get("TheZ", "0"))] = _number(plane.get("PositionZ", "")) * scale
    if any(k not in found for k in range(count)):
        return None, False
    z = np.array([found[k] for k in range(count)])
    return (None, False) if np.ptp(z) == 0 else (z, unit_stated)


def _contradicts(positions: NDArray[np.float64], step: float) -> bool:
    ratio = abs(positions[-1] - positions[0]) / max(positions.size - 1, 1) / step
    return not 0.5 < ratio < 2


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
