"""Stacks that are one array: in memory, or in a ``.npy`` file."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lee.errors import InputError, reason_of
from lee.stacks.grey import Frame, Samples, as_grey, as_rgb, grey_dtype
from lee.stacks.reader import FrameSource


def last_axis_doubt(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return a note where the last of three axes, without names, looks like z rather than the width."""
    if len(shape) != 3 or not 4 * shape[2] <= min(shape[:2]):
        return ()
    return (
        f"its {shape[0]} frames are taken to be {shape[2]} × {shape[1]} pixels (width × height); if the last "
        "axis is z, move it to the front: numpy.moveaxis(array, -1, 0)",
    )


class ArraySource(FrameSource):
    """Frames of an array in memory or mapped from a file, (Z, H, W) or (Z, H, W, 3|4).

    Of (Z, 1, H, W) and (1, Z, H, W) the axis of one is dropped.

    Parameters
    ----------
    label : str
        File name, or what to call the array in error messages.
    copy : bool
        Give each frame as memory of its own: right for an array mapped from a file.
    """

    def __init__(
        self,
        array: Samples,
        label: str,
        *,
        copy: bool,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        if array.ndim == 4 and array.shape[3] not in (3, 4) and 1 in array.shape[:2]:
            array = array[:, 0] if array.shape[1] == 1 else array[0]
        if array.ndim != 3 and not (array.ndim == 4 and array.shape[3] in (3, 4)):
            raise InputError(
                f"{label}: shape {array.shape} is not a stack; expected (Z, H, W), or (Z, H, W, 3) for colour"
            )
        self.shape = (array.shape[0], array.shape[1], array.shape[2])
        self.dtype, self.colour = grey_dtype(array.dtype, label), array.ndim == 4
        self.metadata = {"source_dtype": str(array.dtype), **(metadata or {})}
        if self.colour:
            self.metadata["luminance"] = "Rec. 601"
        self.notes = last_axis_doubt(array.shape)
        self._array = array
        self._label = label
        self._copy = copy

    def read(self, k: int) -> Frame:
        """Frame k."""
        return self._own(as_grey(self._array[k], self.name(k)))

    def read_rgb(self, k: int) -> Frame:
        """Frame k in colour."""
        return self._own(as_rgb(self._array[k], self.name(k)))

    def _own(self, frame: Frame) -> Frame:
        if not self._copy:
            return frame
        if np.may_share_memory(frame, self._array):
            frame = frame.copy()
        self._let_go()
        return frame

    def _let_go(self) -> None:
        """Give mapped pages back, or a stack larger than memory would fill it while it is read."""
        mapped = getattr(self._array, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._label}, frame {k}"


class NpyReader:
    """A `.npy` file."""

    name = "npy"
    reads = "a .npy file"

    def recognises(self, path: Path) -> bool:
        """Whether the suffix is .npy."""
        return path.suffix.lower() == ".npy" and path.is_file()

    def open(self, path: Path) -> ArraySource:
        """Map the file; nothing but its header is read here."""
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except PermissionError:
            raise
        except Exception as error:  # a damaged header raises errors of many kinds
            raise InputError(
                f"{path}: not a readable .npy array, perhaps truncated ({reason_of(error)}); copy it again"
            ) from error
        return ArraySource(array, str(path), copy=True, metadata={"format": "npy"})
