"""A film as a file: H.264 in MP4, encoded frame by frame; it takes its name only when complete."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lee.errors import MissingDependency, StorageError
from lee.storage.atomic import new_file

_MIN_RATE, _MAX_RATE, _WANTED_S = 4.0, 12.0, 15.0
_MAX_BYTES = 4_500_000


def watchable_rate(frames: int) -> float:
    """Choose frames per second: a long run takes about 15 s to watch, a short one does not flicker."""
    return float(np.clip(frames / _WANTED_S, _MIN_RATE, _MAX_RATE))


@contextmanager
def new_film(
    path: Path, size_px: tuple[int, int], *, frames: int, frames_per_s: float
) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Give a function that adds a frame to a film; the film takes its name only when the block ends well.

    Parameters
    ----------
    path : Path
        Ending in ``.mp4``.
    size_px : (int, int)
        Width and height, even.
    frames : int
        How many will be written: long films are compressed more, to stay below 5 MB.
    frames_per_s : float

    Yields
    ------
    callable
        Takes one frame, (height, width, 3) uint8.

    Raises
    ------
    MissingDependency
        If ffmpeg is missing.
    StorageError
        If ffmpeg fails, or the file cannot be written.
    """
    with new_file(path) as partial:
        encoder = _encoder(partial, size_px, frames_per_s, frames)

        def write(picture: NDArray[np.uint8]) -> None:
            try:
                encoder.send(np.ascontiguousarray(picture))
            except OSError as error:
                reason = str(error).strip().splitlines() or ["no reason given"]
                raise StorageError(f"ffmpeg failed while writing {path}: {reason[-1].strip()}") from error

        try:
            yield write
        finally:
            encoder.close()
        # The index is written last and then moved to the front: without it the film cannot be played.
        if not (partial.is_file() and b"moov" in partial.read_bytes()[:65536]):
            raise StorageError(f"ffmpeg did not finish {path}: is there space left where it is written?")


def _encoder(
    path: Path, size: tuple[int, int], rate: float, frames: int
) -> Generator[None, NDArray[np.uint8] | None, None]:
    missing = "films need ffmpeg: pip install imageio-ffmpeg, or ask for no films"
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise MissingDependency(missing) from error
    max_bits = int(8 * _MAX_BYTES / max(frames / rate, 1))
    made: Generator[None, NDArray[np.uint8] | None, None] = imageio_ffmpeg.write_frames(
        str(path),
        size,
        pix_fmt_in="rgb24",
        pix_fmt_out="yuv420p",
        fps=rate,
        codec="libx264",
        quality=None,
        macro_block_size=2,
        ffmpeg_log_level="error",
        output_params=[
            *("-preset", "fast", "-crf", "21", "-maxrate", str(max_bits), "-bufsize", str(2 * max_bits)),
            # Stated in the file, so that every player shows the same colours.
            *("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709"),
            *("-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
            *("-movflags", "+faststart"),
        ],
    )
    try:
        made.send(None)
    except (OSError, RuntimeError) as error:
        raise MissingDependency(missing) from error
    return made
