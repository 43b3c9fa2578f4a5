"""Pixel size and grey scale as the tags of a TIFF file state them, in ImageJ's terms or as a resolution."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tifffile

from lee.storage.length_units import um_per_unit

_UM_PER_INCH = 25400.0
_UM_PER_CM = 1e4
# Above this a resolution is meant for a printer or a screen, not for a microscope.
_MAX_PIXEL_UM = 60.0
_MAX_PRINT_DPI = 1205.0


class StatedPixel(NamedTuple):
    """Pixel height and width in µm, None if not stated; what states them; why they are not believed."""

    yx_um: tuple[float, float] | None = None
    source: str = ""
    doubt: str = ""


def stated_pixel(tif: tifffile.TiffFile, page: Any) -> StatedPixel:
    """Return the pixel size from the resolution tags, in ImageJ's unit where there is one."""
    x, y = (_units_per_pixel(page, f"{axis}Resolution") for axis in "XY")
    if x is None or y is None:
        return StatedPixel()
    unit = (tif.imagej_metadata or {}).get("unit")
    scale, source = um_per_unit(unit), "ImageJ resolution"
    metric = scale == _UM_PER_CM
    if scale is None:
        tag = page.tags.get("ResolutionUnit")
        stated = tag.value if tag is not None else 2
        metric = stated == 3
        scale = _UM_PER_INCH if stated == 2 else _UM_PER_CM if metric else None
        source = "TIFF resolution"
        if scale is None or (unit is not None and not metric):
            return StatedPixel()
    doubt = ""
    if scale in (_UM_PER_INCH, _UM_PER_CM):  # as a scanner or an editor of photographs states it
        doubt = print_resolution(scale * y, metric=metric, chosen=source == "ImageJ resolution")
    return StatedPixel(doubt=doubt) if doubt else StatedPixel((scale * y, scale * x), source)


def _units_per_pixel(page: Any, name: str) -> float | None:
    tag = page.tags.get(name)
    try:
        pixels, units = tag.value
        return units / pixels if pixels > 0 and units > 0 else None
    except (AttributeError, TypeError, ValueError):
        return None


def print_resolution(pixel_um: float, *, metric: bool, chosen: bool = False) -> str:
    """Name a resolution that is meant for a scanner, screen or printer; empty if it may be a microscope's.

    Parameters
    ----------
    pixel_um : float, µm
        Pixel size that follows from it.
    metric : bool
        Whether it is stated per cm: then only the usual numbers of dots per inch are taken for one.
    chosen : bool
        Whether somebody chose the unit: then pixels may be large.
    """
    dpi = _UM_PER_INCH / pixel_um
    usual = any(abs(dpi - unit * round(dpi / unit)) < 1e-3 * dpi for unit in (12, 25))
    if (pixel_um > _MAX_PIXEL_UM and not chosen) or (dpi <= _MAX_PRINT_DPI and (usual or not metric)):
        return (
            f"its resolution of {dpi:.4g} dpi, {pixel_um:.4g} µm a pixel, looks like that of a screen, "
            "scanner or printer and is not believed"
        )
    return ""


def grey_line(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    """Offset and slope of the line by which ImageJ turns stored numbers into values; None if equal."""
    imagej = tif.imagej_metadata or {}
    try:
        straight, offset, slope = imagej.get("cf") == 0, float(imagej["c0"]), float(imagej["c1"])
    except (KeyError, TypeError, ValueError):
        return None
    usable = straight and math.isfinite(offset) and math.isfinite(slope) and slope != 0
    return (offset, slope) if usable and (offset, slope) != (0, 1) else None
