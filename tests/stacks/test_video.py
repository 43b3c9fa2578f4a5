"""Videos as stacks."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lee.errors import InputError
from lee.stacks.stack import open_stack

COUNT, HEIGHT, WIDTH = 40, 64, 96
_rng = np.random.default_rng(2)
_texture = np.clip(128 + 400 * gaussian_filter(_rng.normal(size=(HEIGHT, WIDTH)), 3), 20, 235)
FRAMES = np.stack([np.roll(_texture, k, axis=1) for k in range(COUNT)]).astype(np.uint8)


def written(path: Path, codec: str, pixels: str = "gray", frames: np.ndarray = FRAMES) -> Path:
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (WIDTH, HEIGHT),
        fps=10,
        codec=codec,
        pix_fmt_in="gray" if frames.dtype == np.uint8 else "gray16le",
        pix_fmt_out=pixels,
        macro_block_size=1,
        quality=9,
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "within"),
    [
        ("a.avi", "ffv1", "gray", 0),
        ("a.avi", "rawvideo", "gray", 0),
        ("a.mkv", "ffv1", "yuv420p", 2),
        ("a.mp4", "libx264", "yuv420p", 12),
        ("a.avi", "mjpeg", "yuvj420p", 12),
    ],
)
def test_frames_of_a_video(tmp_path: Path, name: str, codec: str, pixels: str, within: float) -> None:
    path = written(tmp_path / name, codec, pixels)
    with open_stack(path, z_step_um=0.2, pixel_um=0.1) as stack:
        assert stack.shape == FRAMES.shape
        assert stack.dtype == np.uint8
        for k, frame in enumerate(stack):
            assert np.abs(frame.astype(int) - FRAMES[k]).max() <= within
        for k in (30, 3, 4, 39, 0):
            assert np.abs(stack[k].astype(int) - FRAMES[k]).max() <= within


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    deep = FRAMES[:5].astype(np.uint16) * 257 + 3
    path = written(tmp_path / "a.mkv", "ffv1", "gray16le", deep)
    with open_stack(path, z_step_um=0.2, pixel_um=0.1) as stack:
        assert stack.dtype == np.uint16
        np.testing.assert_array_equal(list(stack), deep)


def test_a_video_needs_heights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the stack has no z positions; give them"):
        open_stack(written(tmp_path / "a.avi", "ffv1"), pixel_um=1)


@pytest.mark.parametrize("data", [b"", b"no video" * 100])
def test_what_is_no_video(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(InputError, match=r"a.mp4: is not a readable video .*; copy it again") as caught:
        open_stack(tmp_path / "a.mp4", z_step_um=1, pixel_um=1)
    assert "\n" not in str(caught.value)


def test_a_video_that_was_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "a.avi", "ffv1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_stack(path, z_step_um=1, pixel_um=1) as stack:
        assert 10 < len(stack) < 30
        np.testing.assert_array_equal(stack[5], FRAMES[5])
