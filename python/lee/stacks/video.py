"""A video as a stack: one frame after the other, decoded by the ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import re
import subprocess
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

import imageio_ffmpeg
import numpy as np

from lee.errors import InputError, reason_of
from lee.stacks.grey import Frame
from lee.stacks.reader import FrameSource

VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".wmv", ".webm"})

# Threads that read ahead ask for frames a little out of order; these are kept for them.
_KEPT = 16
_DEEP = re.compile(r"(9|10|12|14|16)(le|be)?$")


class VideoSource(FrameSource):
    """The frames of a video, as luminance and in colour.

    Frames come one after the other; going back decodes from the beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        try:
            count = _packets(self._path)
            decoder, meta = _started(self._path, "gray", 8)
            decoder.close()
        except Exception as error:  # ffmpeg's reasons come as errors of several kinds
            raise InputError(
                f"{path}: is not a readable video ({_last_line(error)}); copy it again"
            ) from error
        width, height = meta["size"]
        pixels = str(meta.get("pix_fmt", "")).partition("(")[0]
        deep = _DEEP.search(pixels)
        self.shape = (count, height, width)
        self.dtype = np.dtype(np.uint16) if deep else np.dtype(np.uint8)
        self.colour = not pixels.startswith(("gray", "mono"))
        self.metadata = {
            "format": "video",
            "codec": str(meta.get("codec", "")),
            "source_dtype": str(meta.get("pix_fmt", "")),
            "luminance": "by ffmpeg",
        }
        self._grey = _Decoder(self._path, self.shape[1:], self.dtype)
        self._rgb = _Decoder(self._path, (*self.shape[1:], 3), self.dtype)

    def read(self, k: int) -> Frame:
        """Decode on to frame k."""
        return self._grey.frame(k)

    def read_rgb(self, k: int) -> Frame:
        """Decode on to frame k, in colour."""
        return self._rgb.frame(k)

    def name(self, k: int) -> str:
        """File and frame number."""
        return _name(self._path, k)

    def close(self) -> None:
        """End the decoders."""
        self._grey.close()
        self._rgb.close()


class _Decoder:
    """Frames of one kind, (H, W) grey or (H, W, 3) RGB, decoded in their order."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._path, self._shape, self._dtype = path, shape, dtype
        self._lock = Lock()
        self._decoder: Any = None
        self._kept: OrderedDict[int, Frame] = OrderedDict()
        self._next = 0

    def frame(self, k: int) -> Frame:
        with self._lock:
            if k in self._kept:
                return self._kept[k]
            if self._decoder is None or k < self._next:
                self.close()
                deep, colour = self._dtype == np.uint16, len(self._shape) == 3
                pixels = ("rgb48le" if deep else "rgb24") if colour else ("gray16le" if deep else "gray")
                bits = 8 * self._dtype.itemsize * (3 if colour else 1)
                self._decoder, _ = _started(self._path, pixels, bits)
            try:
                while self._next <= k:
                    data = next(self._decoder)
                    frame = np.frombuffer(data, self._dtype.newbyteorder("<")).reshape(self._shape)
                    self._kept[self._next] = frame.astype(self._dtype, copy=False)
                    self._next += 1
                    while len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
            except Exception as error:  # StopIteration where the video ends early, and ffmpeg's own
                broken = _name(self._path, self._next)
                self.close()
                raise InputError(
                    f"{broken}: cannot be decoded, the video is damaged or truncated "
                    f"({_last_line(error)}); copy it again"
                ) from error
            return self._kept[k]

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        self._decoder, self._next = None, 0
        self._kept.clear()


def _name(path: Path, k: int) -> str:
    return f"{path}, frame {k}"


def _started(path: Path, pixels: str, bits: int) -> tuple[Any, dict[str, Any]]:
    decoder = imageio_ffmpeg.read_frames(
        str(path),
        pix_fmt=pixels,
        bits_per_pixel=bits,
        input_params=["-noautorotate"],
        output_params=["-map", "0:v:0", "-fps_mode", "passthrough"],
    )
    return decoder, next(decoder)


def _packets(path: Path) -> int:
    """Count the frames of the first video in a file without decoding them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(path), "-map", "0:v:0"]
    done = subprocess.run([*command, "-c", "copy", "-f", "null", "-"], capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    counts = re.findall(r"frame=\s*(\d+)", said)
    if done.returncode or not counts:
        raise InputError(said or "it holds no video")
    return int(counts[-1])


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else reason_of(error)


class VideoReader:
    """A video file."""

    name = "video"
    reads = f"a video ({', '.join(sorted(VIDEO_SUFFIXES))})"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is one of a video."""
        return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()

    def open(self, path: Path) -> VideoSource:
        """Count the frames; they are decoded when asked for."""
        return VideoSource(path)
