"""Frames in colour: their luminance is what is measured, their colours are there to be read."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import tifffile
from PIL import Image

from lee.errors import InputError
from lee.stacks.stack import ZStack, open_stack

RGB = np.random.default_rng(2).integers(0, 256, (4, 16, 24, 3)).astype(np.uint8)
GREY = np.random.default_rng(3).integers(0, 256, (4, 16, 24)).astype(np.uint8)
HOW = {"z_step_um": 0.5, "pixel_um": 0.5}


def in_folder(folder: Path, frames: np.ndarray, suffix: str) -> Path:
    folder.mkdir()
    for k, frame in enumerate(frames):
        if suffix == ".tif":
            tifffile.imwrite(folder / f"{k}.tif", frame)
        else:
            Image.fromarray(frame).save(folder / f"{k}{suffix}")
    return folder


def written(tmp_path: Path, how: str, frames: np.ndarray) -> Path:
    if how == ".npy":
        np.save(tmp_path / "a.npy", frames)
        return tmp_path / "a.npy"
    if how.startswith("folder"):
        return in_folder(tmp_path / "frames", frames, how.removeprefix("folder "))
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(frames, -1, 1) if how == "planar" else frames,
        photometric="rgb",
        planarconfig="separate" if how == "planar" else "contig",
    )
    return tmp_path / "a.tif"


@pytest.mark.parametrize(
    ("how", "deep"),
    [
        *((how, False) for how in ("contiguous", "planar", ".npy", "folder .png", "folder .tif")),
        *((how, True) for how in ("contiguous", "planar", ".npy", "folder .tif")),
    ],
)
def test_colours_are_those_of_the_file(tmp_path: Path, how: str, deep: bool) -> None:
    frames = RGB.astype(np.uint16) * 257 if deep else RGB
    stack = open_stack(written(tmp_path, how, frames), **HOW)
    assert stack.colour
    for k in (0, 3, -1):
        np.testing.assert_array_equal(stack.rgb(k), frames[k])
        assert stack[k].shape == (16, 24)
        weighed = frames[k] @ np.array([0.299, 0.587, 0.114])
        np.testing.assert_allclose(stack[k], weighed, atol=1 if not deep else 3)
    with pytest.raises(IndexError, match="there is no frame 4"):
        stack.rgb(4)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_frames_have_three_equal_channels(tmp_path: Path, suffix: str) -> None:
    stack = open_stack(in_folder(tmp_path / "frames", GREY, suffix), **HOW)
    assert not stack.colour
    np.testing.assert_array_equal(stack.rgb(2), np.repeat(GREY[2][..., None], 3, axis=2))
    stack = ZStack.from_array(GREY.astype(np.float32), **HOW)
    assert not stack.colour
    assert stack.rgb(1).shape == (16, 24, 3)


def test_alpha_is_ignored_and_palettes_are_colours(tmp_path: Path) -> None:
    (tmp_path / "alpha").mkdir()
    (tmp_path / "palette").mkdir()
    for k in range(4):
        alpha = np.dstack([RGB[k], GREY[k]])
        Image.fromarray(alpha).save(tmp_path / "alpha" / f"{k}.png")
        Image.fromarray(GREY[k] // 64).convert("P").save(tmp_path / "palette" / f"{k}.png")
        colours = np.zeros((3, 256), np.uint16)
        colours[0] = np.arange(256) * 257
        tifffile.imwrite(tmp_path / "red.tif", GREY[k], append=True, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(open_stack(tmp_path / "alpha", **HOW).rgb(1), RGB[1])
    assert open_stack(tmp_path / "palette", **HOW).rgb(1).shape == (16, 24, 3)
    red = open_stack(tmp_path / "red.tif", **HOW).rgb(2)
    np.testing.assert_array_equal(red[..., 0], GREY[2])
    assert not red[..., 1:].any()


def test_a_video_has_colours(tmp_path: Path) -> None:
    writer = imageio_ffmpeg.write_frames(
        str(tmp_path / "a.avi"), (24, 16), codec="rawvideo", pix_fmt_in="rgb24", pix_fmt_out="bgr24",
        macro_block_size=1,
    )  # fmt: skip
    writer.send(None)
    for frame in RGB:
        writer.send(frame.tobytes())
    writer.close()
    with open_stack(tmp_path / "a.avi", **HOW) as stack:
        assert stack.colour
        np.testing.assert_array_equal(stack.rgb(2), RGB[2])
        np.testing.assert_array_equal(stack.rgb(0), RGB[0])
        assert stack[1].shape == (16, 24)


def test_colours_that_are_no_numbers_are_refused() -> None:
    frames = RGB.astype(np.float32)
    frames[1, 2, 3, 0] = np.nan
    stack = ZStack.from_array(frames, **HOW)
    with pytest.raises(InputError, match="array, frame 1: 1 pixel is NaN or infinite"):
        stack.rgb(1)
