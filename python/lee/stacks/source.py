"""What every stack reader gives: grey frames one at a time, and what its file says about z and pixel size."""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lee.errors import InputError

Frame = NDArray[Any]


class FrameSource(ABC):
    """Frames of one stack, decoded on demand.

    Attributes
    ----------
    shape : (Z, H, W)
    dtype : uint8, uint16 or float32, of the frames that `read` returns.
    z_um : (Z,) float64 or None
        Heights the file itself states, not yet checked; `z_um_source` says where they stood.
    pixel_yx_um : (float, float) or None
        Pixel height and width the file itself states, not yet checked; `pixel_um_source` says where it stood.
    metadata : dict
        JSON-able facts about the file.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    z_um: NDArray[np.float64] | None = None
    z_um_source: str = ""
    pixel_yx_um: tuple[float, float] | None = None
    pixel_um_source: str = ""
    metadata: dict[str, Any]

    @abstractmethod
    def read(self, k: int) -> Frame:
        """Frame k, (H, W) of `dtype`, C-contiguous. Safe to call from several threads."""

    @abstractmethod
    def name(self, k: int) -> str:
        """Name frame k as a person would look for it."""

    def close(self) -> None:  # noqa: B027  most sources hold nothing open
        """Release open files."""


def grey_dtype(dtype: np.dtype[Any], where: str) -> np.dtype[Any]:
    """Dtype of the grey frames made from samples of `dtype`: uint8 and uint16 stay, all else is float32.

    bool becomes uint8 (0 and 255). Signed and wider integers, float16 and float64 become float32, which holds
    integers exactly up to 2**24.

    Raises
    ------
    InputError
        If the samples are not real numbers.
    """
    if dtype.kind == "b" or (dtype.kind == "u" and dtype.itemsize == 1):
        return np.dtype(np.uint8)
    if dtype.kind == "u" and dtype.itemsize == 2:
        return np.dtype(np.uint16)
    if dtype.kind in "iuf":
        return np.dtype(np.float32)
    raise InputError(
        f"{where}: samples of type {dtype} are not grey values; save it as uint8, uint16 or float32"
    )


def as_grey(image: NDArray[Any], where: str) -> Frame:
    """Reduce an image to one grey frame.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA
        Alpha is ignored. Colour becomes Rec. 601 luminance, 0.299 R + 0.587 G + 0.114 B, rounded if integer.
    where : str
        File and frame, for error messages.

    Returns
    -------
    (H, W) uint8, uint16 or float32, C-contiguous, as `grey_dtype` says.
    """
    target = grey_dtype(image.dtype, where)
    if image.ndim == 3 and image.shape[2] in (1, 2):
        image = image[..., 0]
    elif image.ndim == 3 and image.shape[2] in (3, 4):
        image = _luminance(image)
    if image.ndim != 2:
        raise InputError(
            f"{where}: shape {image.shape} is not an image; expected (H, W), (H, W, 3) or (H, W, 4)"
        )
    if image.dtype == np.bool_:
        return np.ascontiguousarray(image.astype(np.uint8) * np.uint8(255))
    return np.ascontiguousarray(image, dtype=target)


def _luminance(image: NDArray[Any]) -> NDArray[Any]:
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        # 16-bit weights that sum to 65536: equal channels come back unchanged, and uint32 cannot overflow.
        channels = image.astype(np.uint32)
        total = channels[..., 0] * 19595 + channels[..., 1] * 38470 + channels[..., 2] * 7471 + 32768
        return (total >> 16).astype(image.dtype.newbyteorder("="))
    channels = image[..., :3].astype(np.float64)
    return np.asarray(channels @ np.array([0.299, 0.587, 0.114]), dtype=np.float32)


class ArraySource(FrameSource):
    """Frames of an array in memory or mapped from a file, (Z, H, W) or (Z, H, W, 3|4).

    Parameters
    ----------
    label : str
        File name, or what to call the array in error messages.
    copy : bool
        Give each frame as memory of its own: right for an array mapped from a file.
    """

    def __init__(
        self,
        array: NDArray[Any],
        label: str,
        *,
        copy: bool,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if array.ndim != 3 and not (array.ndim == 4 and array.shape[3] in (3, 4)):
            raise InputError(
                f"{label}: shape {array.shape} is not a stack; expected (Z, H, W), or (Z, H, W, 3) for colour"
            )
        self.shape = (array.shape[0], array.shape[1], array.shape[2])
        self.dtype = grey_dtype(array.dtype, label)
        self.metadata = {"source_dtype": str(array.dtype), **(metadata or {})}
        if array.ndim == 4:
            self.metadata["luminance"] = "Rec. 601"
        self._array = array
        self._label = label
        self._copy = copy

    def read(self, k: int) -> Frame:
        """Frame k."""
        frame = as_grey(self._array[k], self.name(k))
        if not self._copy:
            return frame
        if np.may_share_memory(frame, self._array):
            frame = frame.copy()
        self._let_go()
        return frame

    def _let_go(self) -> None:
        """Give mapped pages back, or a stack larger than memory would fill it while it is read."""
        mapped = getattr(self._array, "_mmap", None)
        if mapped is not None and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def name(self, k: int) -> str:
        """File and frame number."""
        return f"{self._label}, frame {k}"


def open_npy(path: Path) -> ArraySource:
    """Map a `.npy` file; nothing but its header is read here."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise InputError(
            f"{path}: not a readable .npy array, perhaps truncated ({one_line(error)})"
        ) from error
    return ArraySource(array, str(path), copy=True, metadata={"format": "npy"})


def one_line(error: BaseException) -> str:
    """Message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
