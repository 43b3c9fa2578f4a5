"""What a stack reader offers, and the source of frames that it opens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lee.stacks.grey import Frame, GreyType


class FrameSource(ABC):
    """Frames of one stack, decoded on demand.

    Attributes
    ----------
    shape : (Z, H, W)
    dtype : uint8, uint16 or float32, of the frames that `read` returns.
    z_um : (Z,) float64 or None
        Heights stated by the file, not yet checked; `z_um_source` names where they stand in it.
    pixel_yx_um : (float, float) or None
        Pixel height and width stated by the file, not yet checked; `pixel_um_source` names where they stand.
    metadata : dict
        JSON-able facts about the file.
    """

    shape: tuple[int, int, int]
    dtype: GreyType
    z_um: NDArray[np.float64] | None = None
    z_um_source: str = ""
    pixel_yx_um: tuple[float, float] | None = None
    pixel_um_source: str = ""
    metadata: dict[str, object]

    @abstractmethod
    def read(self, k: int) -> Frame:
        """Frame k, (H, W) of `dtype`, C-contiguous. Safe to call from several threads."""

    @abstractmethod
    def name(self, k: int) -> str:
        """Name frame k as a person would look for it."""

    def close(self) -> None:  # noqa: B027  most sources hold nothing open
        """Release open files."""


@runtime_checkable
class StackReader(Protocol):
    """One format of z-stacks.

    Attributes
    ----------
    name : str
        Of the format, in few words.
    reads : str
        What it opens, for the error that lists all formats: ``"a .npy file"``.
    """

    name: str
    reads: str

    def recognises(self, path: Path) -> bool:
        """Whether an existing file or folder is of this format, from its name or its first bytes.

        Quick, and without errors for anything else.
        """
        ...

    def open(self, path: Path) -> FrameSource:
        """Open what `recognises` took, without reading its frames.

        Raises
        ------
        InputError
            If the file is damaged or holds something else than one z-stack: what is wrong, where, what to do.
        """
        ...
