"""TIFF files that are cut off, damaged or hostile: one line, at once, and little memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile

from lee.errors import InputError
from lee.stacks.stack import open_stack

FRAMES = np.random.default_rng(3).integers(0, 256, (7, 20, 30), dtype=np.uint8)


def refused(path: Path, match: str) -> None:
    begun = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(InputError, match=match) as caught:
        open_stack(path, z_step_um=1, pixel_um=1)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - begun < 3
    assert peak < 50e6


def pages(path: Path, bigtiff: bool = False) -> Path:
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tif:
        for frame in FRAMES:
            tif.write(frame, contiguous=False, metadata=None)
    return path


def links(path: Path) -> list[int]:
    """Places in the file at which the offset of the following page stands, page by page."""
    with tifffile.TiffFile(path) as tif:
        entry = 20 if tif.is_bigtiff else 12
        head = 8 if tif.is_bigtiff else 2
        return [page.offset + head + entry * len(page.tags) for page in tif.pages]  # type: ignore[union-attr]


def put(path: Path, place: int, value: int, layout: str = "<I") -> None:
    data = bytearray(path.read_bytes())
    data[place : place + struct.calcsize(layout)] = struct.pack(layout, value)
    path.write_bytes(data)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("back_to", [0, 2, 6])
def test_a_list_of_pages_that_runs_in_a_circle(tmp_path: Path, bigtiff: bool, back_to: int) -> None:
    path = pages(tmp_path / "a.tif", bigtiff)
    with tifffile.TiffFile(path) as tif:
        target = tif.pages[back_to].offset  # type: ignore[union-attr]
    put(path, links(path)[-1], target, "<Q" if bigtiff else "<I")
    refused(path, "its list of pages runs in a circle after page 6")


@pytest.mark.parametrize("kind", ["plain", "imagej", "ome", "pages"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_a_file_that_was_cut_off(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "pages":
        pages(path)
    else:
        options = {"imagej": {"imagej": True}, "ome": {"ome": True}}.get(kind, {})
        tifffile.imwrite(path, FRAMES, photometric="minisblack", **options)  # type: ignore[arg-type]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, r"a.*tif.*truncated")


def test_a_list_of_pages_that_ends_at_the_end_of_the_file_is_whole(tmp_path: Path) -> None:
    path = pages(tmp_path / "a.tif")
    put(path, links(path)[-1], path.stat().st_size)
    assert open_stack(path, z_step_um=1, pixel_um=1).shape == FRAMES.shape


def test_an_image_larger_than_its_file(tmp_path: Path) -> None:
    path = pages(tmp_path / "a.tif")
    with tifffile.TiffFile(path) as tif:
        sizes = [page.tags[name].valueoffset for page in tif.pages for name in ("ImageWidth", "ImageLength")]
    for place in sizes:
        put(path, place, 1_000_000)
    refused(path, "frame 0: is truncated, the file ends within it")


def test_a_compressed_image_larger_than_any_camera_has(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES, compression="zlib", metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        sizes = [page.tags[name].valueoffset for page in tif.pages for name in ("ImageWidth", "ImageLength")]
    for place in sizes:
        put(path, place, 1_000_000)
    refused(path, r"frames of 1000000×1000000 pixels are larger than can be measured")


@pytest.mark.parametrize("axis", ["SizeZ", "SizeT", "SizeC"])
def test_ome_xml_that_states_more_planes_than_a_file_holds(tmp_path: Path, axis: str) -> None:
    sizes = {"SizeZ": 1, "SizeC": 1, "SizeT": 1, axis: 10**8}
    stated = " ".join(f'{name}="{n}"' for name, n in sizes.items())
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" {stated} '
        'SizeX="30" SizeY="20">'
        '<Channel ID="Channel:0:0"/><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", FRAMES[0], metadata=None, description=xml)
    refused(tmp_path / "a.ome.tif", "its OME-XML states 100000000 planes, more than a file can hold")


def test_bytes_behind_the_ome_xml_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeZ": 0.4, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, FRAMES, ome=True, metadata=metadata, photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        xml = str(tif.ome_metadata)
    tifffile.imwrite(path, FRAMES, metadata=None, photometric="minisblack", description=f"{xml}\0\0e></OME")
    stack = open_stack(path)
    assert stack.shape == FRAMES.shape
    np.testing.assert_allclose(stack.z_um, 0.4 * np.arange(7))


def test_thumbnails_are_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for frame in FRAMES:
            tif.write(frame, contiguous=False, metadata=None)
            tif.write(frame[::2, ::2], contiguous=False, metadata=None, subfiletype=1)
    stack = open_stack(path, z_step_um=1, pixel_um=1)
    np.testing.assert_array_equal(list(stack), FRAMES)
