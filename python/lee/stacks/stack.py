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
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lee.errors import InputError, StorageError
from lee.stacks.array import ArraySource
from lee.stacks.calibration.immersion import Immersion
from lee.stacks.calibration.pixel_size import pixel_size
from lee.stacks.calibration.z_positions import GivenHeights, ZPositions, with_heights
from lee.stacks.grey import Frame
from lee.stacks.reader import ChosenFrames, FrameSource
from lee.stacks.registry import open_source
from lee.stacks.selection import Selection, select

MIN_FRAMES = 3
# More than any camera has; a damaged or hostile header may state anything.
MAX_PIXELS = 10**9


class StackOptions(TypedDict, total=False):
    """Options of `open_stack` beside steps, heights and pixel size."""

    z_range_um: float | tuple[float, float] | None
    channel: int | str | None
    time: int | None
    position: int | str | None
    z_axis: str | int | None
    descending: bool
    index_medium: float | None
    index_objective: float | None
    na: float | None


class ZStack:
    """A focal stack: grey frames, read when asked for, the height each one focuses on, and the pixel size.

    Made by `open_stack` or `ZStack.from_array`.

    Attributes
    ----------
    shape : (Z, H, W)
    dtype : uint8, uint16 or float32
    colour : bool
        Whether the frames are in colour; those given out are their luminance, `rgb` gives the colour.
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
        self.dtype, self.colour = source.dtype, source.colour
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
        return _calibrated(source, "array", GivenHeights(z_um, z_step_um), pixel_um)

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
        index = self._index(k)
        return self._finite(self._source.read(index), index)

    def rgb(self, k: int) -> Frame:
        """Frame k in colour, (H, W, 3) of `dtype`; of grey frames the channels are equal.

        Raises
        ------
        InputError
            As for a grey frame.
        """
        index = self._index(k)
        return self._finite(self._source.read_rgb(index), index)

    def _index(self, k: int) -> int:
        index = k.__index__()
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no frame {index}: the stack has {len(self)} frames")
        return index % len(self)

    def _finite(self, frame: Frame, index: int) -> Frame:
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

    def without_damaged(self) -> ZStack:
        """Return the stack of those frames that are as they were recorded; a warning names the others.

        All frames are read, where the format can tell. The stack itself where none is damaged; it shares its
        open files with it.

        Raises
        ------
        InputError
            If fewer than three are left.
        """
        damaged = self._source.damaged()
        if not damaged:
            return self
        names = [self.frame_name(k) for k in damaged]
        kept = [k for k in range(len(self)) if k not in set(damaged)]
        if len(kept) < MIN_FRAMES:
            raise InputError(
                f"{names[0]}: its image is damaged, and {len(kept)} whole frames are left; use another copy"
            )
        more = f", and {len(names) - 1} more" if len(names) > 1 else ""
        warnings.warn(f"{names[0]}{more}: damaged images are left out; use another copy", stacklevel=2)
        before = self.metadata.get("left_out", [])
        left_out = [
            *(before if isinstance(before, list) else []),
            *(f"{name}: image damaged" for name in names),
        ]
        facts = {"left_out": left_out}
        source = ChosenFrames(self._source, kept, facts)
        whole = ZStack(source, self.z_um[kept], self.pixel_um, self.metadata | facts)
        whole.colour = self.colour
        return whole

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
    z_range_um: float | tuple[float, float] | None = None,
    pixel_um: float | None = None,
    channel: int | str | None = None,
    time: int | None = None,
    position: int | str | None = None,
    z_axis: str | int | None = None,
    descending: bool = False,
    index_medium: float | None = None,
    index_objective: float | None = None,
    na: float | None = None,
) -> ZStack:
    """Open a z-stack without reading its frames.

    Parameters
    ----------
    path : folder or file
        A folder of PNG, TIFF, JPEG or BMP images, in the order of the numbers in their names (other and
        hidden files are ignored); a multi-page TIFF, BigTIFF, OME-TIFF, ImageJ or Micro-Manager stack; an
        OME-Zarr folder (its largest level) or a plain zarr array; a ``.npy`` file, (Z, H, W) or (Z, H, W, 3);
        a scan recorded by lee, ``.raw``; or what a reader in `lee.stacks.registry` recognises.
    z_step_um : float, µm
        Frame k is at k times this step.
    z_um : (Z,) µm, or path of a CSV file with the header ``frame,z_um`` (frames counted from 0)
        Height of every frame. If neither it nor a step or range is given, a ``z_um.csv`` in the image folder
        is used, then heights in the names of images, then the file's own metadata.
    z_range_um : float or (float, float), µm
        Height of the last frame, or of the first and the last; frames are evenly spaced between.
    pixel_um : float, µm
        Pixel size; else the file's own; else 1.0 with a warning and
        ``metadata["pixel_um_source"] = "assumed"``.
    channel, position : int or str
        Which one of several, by its number from 0 or its name.
    time : int
        Which one of several times, from 0.
    z_axis : {"z", "t", "c", "p"} or int
        Axis along which the frames of the scan lie, where it is not called z: time, channel or position, or
        the number of an axis without a name.
    descending : bool
        The scan was taken downwards: the first frame is the highest. The last frame of a step is at 0 then;
        rising heights of the file are mirrored between their ends.
    index_medium, index_objective, na : float
        Refractive index of what the sample lies in, that for which the objective is made (1, a dry one, if
        not given), and its numerical aperture (0 if not given). All heights are scaled by how far the focus
        moves in the medium when the stage moves, as `lee.stacks.calibration.immersion` describes.

    Returns
    -------
    ZStack
        Grey frames. Colour becomes Rec. 601 luminance (`ZStack.rgb` gives the colour), 8 bit staying 8 and
        16 staying 16; bool becomes uint8 (0, 255); all other real numbers float32.

    Raises
    ------
    InputError
        If the stack cannot be used: what is wrong, where, and what to do. Where a file holds several
        channels, times or positions and none was chosen, the message lists them.
    """
    given = GivenHeights(
        z_um, z_step_um, z_range_um, descending, Immersion.of(index_medium, index_objective, na)
    )
    place = Path(path)
    try:
        opened = open_source(place)
    except FileNotFoundError:
        raise InputError(f"{place}: no such file or folder; give an existing stack") from None
    except PermissionError:
        raise StorageError(f"{place}: may not be read (permission denied); change its permissions") from None
    try:
        chosen = Selection(channel=channel, time=time, position=position, z_axis=z_axis)
        source = select(opened, chosen, stepped=given.any, where=str(place))
        stack = _calibrated(source, str(place), given, pixel_um)
    except BaseException:
        opened.close()
        raise
    stack.metadata = {"path": str(place), **stack.metadata}
    return stack


def _calibrated(source: FrameSource, where: str, given: GivenHeights, pixel_um: float | None) -> ZStack:
    count, height, width = source.shape
    if height == 0 or width == 0:
        raise InputError(f"{where}: frames of {width}×{height} pixels are empty; give frames with pixels")
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{where}: frames of {width}×{height} pixels are larger than can be measured "
            f"({MAX_PIXELS:.0e} pixels); crop them, or copy the file again if that is not their size"
        )
    for note in source.notes:
        warnings.warn(f"{where}: {note}", stacklevel=3)
    if count < MIN_FRAMES:
        raise InputError(
            f"{where}: has {count} frame{'s' if count != 1 else ''}; a focus is found between frames, "
            f"at least {MIN_FRAMES} are needed"
        )
    source, z, z_source = with_heights(source, given, where, stacklevel=3)
    pixel, pixel_source = pixel_size(source, where, pixel_um, stacklevel=3)
    metadata = {**source.metadata, "z_um_source": z_source, "pixel_um_source": pixel_source}
    return ZStack(source, z, pixel, metadata)
