"""A video as a stack: one frame after the other, decoded by the ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import re
import subprocess
from collections import OrderedDict
from collections.abc import Iterator
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
    """The frames of a video, as luminance.

    Frames come one after the other; going back decodes from the beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._lock = Lock()
        self._decoder: Iterator[bytes] | None = None
        self._kept: OrderedDict[int, Frame] = OrderedDict()
        self._next = 0
        try:
            count = _packets(self._path)
            decoder, meta = self._start("gray", 8)
            decoder.close()
        except Exception as error:  # ffmpeg's reasons come as errors of several kinds
            raise InputError(
                f"{path}: is not a readable video ({_last_line(error)}); copy it again"
            ) from error
        width, height = meta["size"]
        deep = _DEEP.search(str(meta.get("pix_fmt", "")).partition("(")[0])
        self.shape = (count, height, width)
        self.dtype = np.dtype(np.uint16) if deep else np.dtype(np.uint8)
        self.metadata = {
            "format": "video",
            "codec": str(meta.get("codec", "")),
            "source_dtype": str(meta.get("pix_fmt", "")),
            "luminance": "by ffmpeg",
        }

    def _start(self, pixels: str, bits: int) -> tuple[Any, dict[str, Any]]:
        decoder = imageio_ffmpeg.read_frames(
            str(self._path),
            pix_fmt=pixels,
            bits_per_pixel=bits,
            input_params=["-noautorotate"],
            output_params=["-map", "0:v:0", "-fps_mode", "passthrough"],
        )
        return decoder, next(decoder)

    def read(self, k: int) -> Frame:
        """Decode on to frame k."""
        with self._lock:
            if k in self._kept:
                return self._kept[k]
            if self._decoder is None or k < self._next:
                self.close()
                pixels, bits = ("gray16le", 16) if self.dtype == np.uint16 else ("gray", 8)
                self._decoder, _ = self._start(pixels, bits)
            try:
                while self._next <= k:
                    data = next(self._decoder)
                    frame = np.frombuffer(data, self.dtype.newbyteorder("<")).reshape(self.shape[1:])
                    self._kept[self._next] = frame.astype(self.dtype, copy=False)
                    self._next += 1
                    while len(self._kept) > _KEPT:
                        self._kept.popitem(last=False)
            except Exception as error:  # StopIteration where the video ends early, and ffmpeg's own
                broken = self.name(self._next)
                self.close()
                raise InputError(
                    f"{broken}: cannot be decoded, the video is damaged or truncated "
                    f"({_last_line(error)}); copy it again"
                ) from error
            return self._kept[k]

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._path}, frame {k}"

    def close(self) -> None:
        """End the decoder."""
        if self._decoder is not None:
            self._decoder.close()  # type: ignore[attr-defined]
        self._decoder, self._next = None, 0
        self._kept.clear()


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
