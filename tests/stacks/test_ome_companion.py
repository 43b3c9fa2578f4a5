"""OME-TIFFs that hold pixels alone, their metadata beside them in ``.companion.ome``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from lee.errors import InputError
from lee.stacks.stack import ZStack, open_stack

FRAMES = np.random.default_rng(6).integers(0, 256, (5, 12, 16), dtype=np.uint8)
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
COMPANION = "scan.companion.ome"


def binary(path: Path, pixels: np.ndarray, uuid: str, companion: str = COMPANION) -> None:
    only = f'<BinaryOnly MetadataFile="{companion}" UUID="urn:uuid:of-companion"/>'
    xml = f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}" UUID="{uuid}">{only}</OME>'
    tifffile.imwrite(path, pixels, description=xml, metadata=None)


def companion(folder: Path, tiff_data: str) -> Path:
    path = folder / COMPANION
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}" UUID="urn:uuid:of-companion">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="16" SizeY="12" '
        'SizeZ="5" SizeC="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="0.4">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{tiff_data}</Pixels></Image></OME>'
    )
    return path


def file_a_plane(folder: Path) -> Path:
    """A set in which the files are in another order than the planes."""
    data = []
    for z in range(5):
        binary(folder / f"plane{4 - z}.ome.tif", FRAMES[z], f"urn:uuid:{z}", f"elsewhere/{COMPANION}")
        data.append(
            f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="plane{4 - z}.ome.tif">'
            f"urn:uuid:{z}</UUID></TiffData>"
        )
    return companion(folder, "".join(data))


def one_file(folder: Path) -> Path:
    binary(folder / "scan.ome.tif", FRAMES, "urn:uuid:0")
    data = '<TiffData IFD="0" PlaneCount="5"><UUID FileName="scan.ome.tif">urn:uuid:0</UUID></TiffData>'
    return companion(folder, data)


def check(stack: ZStack) -> None:
    np.testing.assert_array_equal(list(stack), FRAMES)
    np.testing.assert_allclose(stack.z_um, 0.4 * np.arange(5))
    assert stack.pixel_um == 0.5
    assert stack.metadata["format"] == "OME-TIFF"


@pytest.mark.parametrize("written", [file_a_plane, one_file])
def test_companion_folder_and_file_are_the_same_stack(tmp_path: Path, written) -> None:
    path = written(tmp_path)
    check(open_stack(path))
    check(open_stack(tmp_path))
    check(open_stack(min(tmp_path.glob("*.tif"))))


def test_without_the_companion_the_file_alone_is_read(tmp_path: Path) -> None:
    one_file(tmp_path).unlink()
    with pytest.warns(UserWarning, match=r"its metadata is in scan.companion.ome, which is missing"):
        stack = open_stack(tmp_path / "scan.ome.tif", z_step_um=0.4, pixel_um=0.5)
    np.testing.assert_array_equal(list(stack), FRAMES)


def test_companions_that_cannot_be_used(tmp_path: Path) -> None:
    path = file_a_plane(tmp_path)
    text = path.read_text()
    path.write_text(text[:300])
    for place in (path, tmp_path / "plane0.ome.tif"):
        with pytest.raises(
            InputError, match=r"scan.companion.ome: its OME-XML cannot be parsed .*; save it again"
        ):
            open_stack(place)
    path.write_text(text)
    for plane in tmp_path.glob("*.tif"):
        plane.unlink()
    with pytest.raises(
        InputError, match=r"none of its images, such as plane0.ome.tif, is beside it; put all"
    ):
        open_stack(path)
