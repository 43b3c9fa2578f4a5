"""Files that other programs wrote; `written/README.md` says which."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lee.errors import InputError
from lee.stacks.stack import ZStack, open_stack

WRITTEN = Path(__file__).with_name("written")
_Z, _Y, _X = np.ogrid[:5, :12, :16]
FRAMES = ((13 * _Y + 7 * _X + 20 * _Z) % 256).astype(np.uint8)
STEP = 0.4 * np.arange(5)


def same(stack: ZStack, frames: np.ndarray) -> None:
    assert stack.dtype == frames.dtype
    np.testing.assert_array_equal(list(stack), frames)


@pytest.mark.parametrize(
    "name", ["bioio_ome_tiff.ome.tiff", "pyometiff.ome.tif", "ome_zarr.ozx", "ngff_zarr.ozx"]
)
def test_files_that_state_everything(name: str) -> None:
    with open_stack(WRITTEN / name) as stack:
        same(stack, FRAMES)
        np.testing.assert_allclose(stack.z_um, STEP)
        assert stack.pixel_um == 0.5


@pytest.mark.parametrize(
    ("name", "pixel_um", "frames"),
    [
        ("opencv.tif", None, FRAMES.astype(np.uint16) * 5),
        ("simpleitk.tif", None, FRAMES),
        ("pylibtiff.tif", None, FRAMES),
        ("vips.tif", 0.5, FRAMES),
        ("vips_tiled.tif", 0.5, FRAMES),
    ],
)
def test_files_without_heights(name: str, pixel_um: float | None, frames: np.ndarray) -> None:
    with pytest.raises(InputError, match="the stack has no z positions; give them"):
        open_stack(WRITTEN / name)
    if pixel_um is None:
        with pytest.warns(UserWarning, match="1 µm is assumed"):
            same(open_stack(WRITTEN / name, z_step_um=0.4), frames)
    else:
        stack = open_stack(WRITTEN / name, z_step_um=0.4)
        same(stack, frames)
        assert stack.pixel_um == pytest.approx(pixel_um)


def test_heights_without_pixel_size() -> None:
    with pytest.warns(UserWarning, match="1 µm is assumed"):
        stack = open_stack(WRITTEN / "pymmcore_plus.ome.tif")
    same(stack, FRAMES.astype(np.uint16) * 5)
    np.testing.assert_allclose(stack.z_um, STEP)


def test_two_channels_of_ome_writers() -> None:
    path = WRITTEN / "ome_writers.ome.tiff"
    with pytest.raises(InputError, match=r"2 channels \(0: bright, 1: dark\), 5 planes of z"):
        open_stack(path)
    stack = open_stack(path, channel="dark")
    same(stack, 255 - FRAMES)
    np.testing.assert_allclose(stack.z_um, STEP)


@pytest.mark.parametrize("place", ["ndstorage", "ndstorage/ndtiff_NDTiffStack.tif"])
def test_ndtiff(place: str) -> None:
    path = WRITTEN / place
    with pytest.raises(InputError, match=r"holds 2 channels \(0: bright, 1: dark\), 5 planes of z"):
        open_stack(path)
    bright = FRAMES.astype(np.uint16) * 5
    for channel, frames in (("bright", bright), (1, bright + 1)):
        stack = open_stack(path, channel=channel)
        same(stack, frames)
        np.testing.assert_allclose(stack.z_um, 3 + STEP)
        assert stack.pixel_um == 0.5
        assert stack.metadata["z_um_source"] == "Micro-Manager ZPositionUm"


def test_ndtiff_of_a_crash(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    shutil.copytree(WRITTEN / "ndstorage", folder)
    index = folder / "NDTiff.index"
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.warns(
        UserWarning, match=r"holds 4 of the 5 frames of this stack, .*; the last 1 are missing"
    ):
        stack = open_stack(folder, channel="dark")
    same(stack, FRAMES[:4].astype(np.uint16) * 5 + 1)
    pixels = folder / "ndtiff_NDTiffStack.tif"
    pixels.write_bytes(pixels.read_bytes()[:4000])
    with pytest.warns(UserWarning, match=r"holds 3 of the 5 frames"):
        stack = open_stack(folder, channel="bright")
    same(stack, FRAMES[:3].astype(np.uint16) * 5)
    index.write_bytes(b"\x07\0\0")
    with pytest.raises(InputError, match=r"NDTiff.index: has no whole entry; copy the data set again"):
        open_stack(folder)
