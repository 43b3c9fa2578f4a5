"""One lazy z-stack, `ZStack`: grey frames with heights and pixel size, whatever file holds them."""

from __future__ import annotations

import math
import os
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, StorageError
from lee.stacks.array import ArraySource
from lee.stacks.grey import Frame
from lee.stacks.reader import FrameSource
from lee.stacks.registry import open_source
from lee.stacks.z_positions import ZPositions, resolve_z

MIN_FRAMES = 3


class ZStack:
    """A focal stack: grey frames, read when asked for, the height each one focuses on, and the pixel size.

    Made by `open_stack` or `ZStack.from_array`.

    Attributes
    ----------
    shape : (Z, H, W)
    dtype : uint8, uint16 or float32
    z_um : (Z,) float64
        Height of the plane frame k focuses on; strictly rising or strictly falling.
    pixel_um : float
        Edge of a square pixel in the plane of the sample.
    metadata : dict
        JSON-able: format, `z_um_source`, `pixel_um_source`, and what else the file states.
    """

    def __init__(
        self,
        source: FrameSource,
        z_um: NDArray[np.float64],
        pixel_um: float,
        metadata: dict[str, object],
    ) -> None:
        self._source = source
        self.shape = source.shape
        self.dtype = source.dtype
        self.z_um = z_um
        self.z_um.flags.writeable = False
        self.pixel_um = pixel_um
        self.metadata = metadata

    @classmethod
    def from_array(
        cls,
        frames: ArrayLike,
        z_um: ZPositions | None = None,
        pixel_um: float | None = None,
        *,
        z_step_um: float | None = None,
    ) -> ZStack:
        """Stack of an array in memory.

        Parameters
        ----------
        frames : (Z, H, W), or (Z, H, W, 3) colour
            uint8 and uint16 stay; bool becomes uint8 (0, 255); other real numbers become float32.
        z_um : (Z,) µm, or path of a CSV file with the header ``frame,z_um``
        pixel_um : float, µm
            1.0, with a warning, when not given.
        z_step_um : float, µm
            Instead of `z_um`: frame k is at k times this step.

        Raises
        ------
        InputError
            If rank, dtype, number of frames, heights or pixel size cannot be used.
        """
        source = ArraySource(np.asarray(frames), "array", copy=False, metadata={"format": "array"})
        return _calibrated(source, "array", z_um=z_um, z_step_um=z_step_um, pixel_um=pixel_um)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.shape[0]

    def __getitem__(self, k: int) -> Frame:
        """Frame k, (H, W) of `dtype`, C-contiguous; negative k count from the end. Not to be written to.

        Raises
        ------
        InputError
            If the frame cannot be decoded, changed its size, or holds NaN or infinity.
        """
        index = k.__index__()
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no frame {index}: the stack has {len(self)} frames")
        index %= len(self)
        frame = self._source.read(index)
        if frame.dtype.kind == "f" and not math.isfinite(float(frame.sum(dtype=np.float64))):
            bad = int(np.count_nonzero(~np.isfinite(frame)))
            raise InputError(
                f"{self._source.name(index)}: {bad} pixel{'s are' if bad > 1 else ' is'} NaN or infinite; "
                "fill them or drop the frame"
            )
        return frame

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over all frames in order, reading ahead."""
        return self.iter_frames()

    def iter_frames(
        self, start: int = 0, stop: int | None = None, *, prefetch: int = 4, threads: int = 2
    ) -> Iterator[Frame]:
        """Iterate over frames start to stop, while background threads decode the next ones.

        Parameters
        ----------
        start, stop : int
            As in ``range``; stop None is the end. Negative values count from the end.
        prefetch : int
            Frames decoded ahead, at most; 0 reads in the calling thread.
        threads : int
            Decoding threads.

        Raises
        ------
        InputError
            At the frame that cannot be read, after the good ones before it were given out.
        """
        wanted = range(*slice(start, stop).indices(len(self)))
        if prefetch < 1 or threads < 1:
            for k in wanted:
                yield self[k]
            return
        pool = ThreadPoolExecutor(max_workers=min(threads, prefetch), thread_name_prefix="lee-stack")
        ahead: deque[Future[Frame]] = deque()
        try:
            for k in wanted:
                ahead.append(pool.submit(self.__getitem__, k))
                if len(ahead) > prefetch:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def frame_name(self, k: int) -> str:
        """File and number of frame k, for messages."""
        return self._source.name(k)

    def close(self) -> None:
        """Release open files."""
        self._source.close()

    def __enter__(self) -> ZStack:
        """Return self; leaving the block closes the stack."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Shape, type and calibration."""
        z, h, w = self.shape
        return (
            f"ZStack({z} frames of {w}x{h} {self.dtype}, z {self.z_um[0]:g} to {self.z_um[-1]:g} µm, "
            f"{self.pixel_um:g} µm/pixel)"
        )


def open_stack(
    path: str | os.PathLike[str],
    *,
    z_step_um: float | None = None,
    z_um: ZPositions | None = None,
    pixel_um: float | None = None,
) -> ZStack:
    """Open a z-stack without reading its frames.

    Parameters
    ----------
    path : folder or file
        A folder of PNG, TIFF, JPEG or BMP images, ordered by the numbers in their names (other and hidden
        files are ignored); a multi-page TIFF, BigTIFF, OME-TIFF or ImageJ stack; an OME-Zarr folder (NGFF 0.4
        or 0.5, its largest level) or a plain zarr array; a ``.npy`` file, (Z, H, W) or (Z, H, W, 3); a scan
        recorded by lee, ``.raw``; or what a reader in `lee.stacks.registry` recognises.
    z_step_um : float, µm
        Frame k is at k times this step.
    z_um : (Z,) µm, or path of a CSV file with the header ``frame,z_um`` (frames counted from 0)
        Height of every frame. Not together with `z_step_um`. If neither is given, a ``z_um.csv`` in the
        image folder is used, then the file's own metadata.
    pixel_um : float, µm
        Pixel size; else the file's own; else 1.0 with a warning and
        ``metadata["pixel_um_source"] = "assumed"``.

    Returns
    -------
    ZStack
        Grey frames. Colour becomes Rec. 601 luminance, 8 bit staying 8 and 16 staying 16; bool becomes uint8
        (0, 255); all other real numbers float32.

    Raises
    ------
    InputError
        If the stack cannot be used: what is wrong, where, and what to do.
    """
    place = Path(path)
    try:
        source = open_source(place)
    except FileNotFoundError:
        raise InputError(f"{place}: no such file or folder; give an existing stack") from None
    except PermissionError:
        raise StorageError(f"{place}: may not be read (permission denied); change its permissions") from None
    try:
        stack = _calibrated(source, str(place), z_um=z_um, z_step_um=z_step_um, pixel_um=pixel_um)
    except BaseException:
        source.close()
        raise
    stack.metadata = {"path": str(place), **stack.metadata}
    return stack


def _calibrated(
    source: FrameSource,
    where: str,
    *,
    z_um: ZPositions | None,
    z_step_um: float | None,
    pixel_um: float | None,
) -> ZStack:
    count, height, width = source.shape
    if height == 0 or width == 0:
        raise InputError(f"{where}: frames of {width}×{height} pixels are empty; give frames with pixels")
    if count < MIN_FRAMES:
        raise InputError(
            f"{where}: has {count} frame{'s' if count != 1 else ''}; a focus is found between frames, "
            f"at least {MIN_FRAMES} are needed"
        )
    z, z_source = resolve_z(
        count,
        z_um=z_um,
        z_step_um=z_step_um,
        file_z_um=source.z_um,
        file_source=source.z_um_source,
        where=where,
    )
    pixel, pixel_source = _resolve_pixel(source, where, pixel_um)
    metadata = {**source.metadata, "z_um_source": z_source, "pixel_um_source": pixel_source}
    return ZStack(source, z, pixel, metadata)


def _resolve_pixel(source: FrameSource, where: str, given: float | None) -> tuple[float, str]:
    if given is not None:
        return _checked_pixel(given, "pixel_um"), "given"
    if source.pixel_yx_um is not None:
        y, x = (_checked_pixel(size, f"{where}, {source.pixel_um_source}") for size in source.pixel_yx_um)
        if abs(y - x) > 1e-3 * x:
            raise InputError(
                f"{where}, {source.pixel_um_source}: pixels of {x:g} × {y:g} µm are not square; "
                "resample the stack, or give pixel_um (--pixel-um) if that is wrong"
            )
        return x, source.pixel_um_source
    warnings.warn(
        f"{where}: the stack has no pixel size; 1 µm is assumed, give it: pixel_um (--pixel-um)",
        stacklevel=4,
    )
    return 1.0, "assumed"


def _checked_pixel(value: object, source: str) -> float:
    try:
        pixel = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"{source}: {value!r} is not a pixel size; give it in µm") from None
    if not math.isfinite(pixel) or pixel <= 0:
        raise InputError(
            f"{source}: a pixel size of {pixel:g} µm is impossible; give a positive, finite one (--pixel-um)"
        )
    return pixel
