"""Heights, pixel size and grey scale that the tags of a TIFF file state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import tifffile
from numpy.typing import NDArray

from lee.stacks.calibration.stated import PageCalibration, StatedCalibration, heights_of
from lee.stacks.micro_manager.metadata import POSITION, calibration_of_frames, height_um, parsed
from lee.stacks.tiff.ome_xml import OmeXml
from lee.stacks.tiff.page import Page
from lee.storage.length_units import s_per_unit, um_per_unit
from lee.storage.tiff_tags import stated_pixel

_MICRO_MANAGER_TAG = 51123


def resolution_calibration(tif: tifffile.TiffFile, page: Page) -> StatedCalibration:
    """Pixel size from the resolution tags, in ImageJ's unit where there is one."""
    pixel = stated_pixel(tif, page)
    return StatedCalibration(
        pixel_yx_um=pixel.yx_um, pixel_um_source=pixel.source, pixel_um_doubt=pixel.doubt
    )


def imagej_calibration(tif: tifffile.TiffFile, page: Page, count: int) -> StatedCalibration:
    """Pixel size and spacing of an ImageJ stack."""
    found = resolution_calibration(tif, page)
    imagej = tif.imagej_metadata or {}
    scale = um_per_unit(imagej.get("zunit") or imagej.get("unit"))
    spacing = _number(imagej.get("spacing"))
    if found.pixel_um_doubt and "zunit" not in imagej and scale is not None and spacing is not None:
        found.z_um_doubt = f"ImageJ spacing is {spacing * scale:g} µm, as little believed as its resolution"
    elif scale is not None and spacing is not None:
        found.take_heights(
            heights_of(count, positions_um=None, positions="", step_um=spacing * scale, step="ImageJ spacing")
        )
    if found.downward:
        found.downward += ", whose sign Fiji ignores"
    return found


def frame_times_s(tif: tifffile.TiffFile, count: int) -> NDArray[np.float64] | None:
    """When each frame of an ImageJ hyperstack began, from its frame interval; None if that is not stated."""
    imagej = tif.imagej_metadata or {}
    interval, scale = _number(imagej.get("finterval")), s_per_unit(imagej.get("tunit", "s"))
    if interval is None or scale is None or not interval > 0:
        return None
    return np.arange(count, dtype=np.float64) * interval * scale


def micro_manager_calibration(
    tif: tifffile.TiffFile, pages: Sequence[Page], *, along_z: bool
) -> StatedCalibration | None:
    """Height of every frame, step and pixel size of a file of Micro-Manager; None if it is from elsewhere."""
    frames = [frame_facts(page) for page in pages[:1]]
    summary = _summary(tif)
    if not frames or (not frames[0] and not summary):
        return None
    if frames[0]:
        frames += [frame_facts(page) for page in pages[1:]]
    return calibration_of_frames(frames, summary, along_z=along_z)


def calibration_of_page(tif: tifffile.TiffFile, page: Page, where: str) -> PageCalibration:
    """Calibration that a file with one page states."""
    facts = frame_facts(page)
    xml = tif.ome_metadata if tif.is_ome else None
    if xml:
        found = OmeXml(xml, where).of_one_plane()
        if found.pixel.pixel_yx_um is None:
            found = replace(found, pixel=resolution_calibration(tif, page))
    else:
        found = PageCalibration(resolution_calibration(tif, page))
    if facts:
        recorded = calibration_of_frames([facts], _summary(tif), along_z=False)
        if recorded.pixel_yx_um is not None:
            found = replace(found, pixel=recorded)
        z = height_um(facts)
        if z is not None:
            found = replace(found, position_um=z, position=POSITION, unit_stated=True)
    return found


def frame_facts(page: Page) -> Mapping[str, object]:
    """Return what Micro-Manager writes into a page; empty for a page from elsewhere."""
    try:
        tag = page.aspage().tags.get(_MICRO_MANAGER_TAG)
    except Exception:  # a damaged page is reported when its pixels are read
        return {}
    if tag is None:
        return {}
    return parsed(tag.value)


def _summary(tif: tifffile.TiffFile) -> Mapping[str, object]:
    metadata = tif.micromanager_metadata if tif.is_micromanager else None
    return parsed((metadata or {}).get("Summary"))


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
