"""What a stack reader offers, and what it opens: the frames of one stack, or planes with more axes than z."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lee.stacks.grey import Frame, GreyType, as_rgb


class FrameSource(ABC):
    """Frames of one stack, decoded on demand.

    Attributes
    ----------
    shape : (Z, H, W)
    dtype : uint8, uint16 or float32, of the frames that `read` returns.
    colour : bool
        Whether the frames are in colour, so that `read_rgb` has more to give than `read`.
    z_um : (Z,) float64 or None
        Heights stated by the file, not yet checked; `z_um_source` names where they stand in it.
    z_um_doubt : str
        What is wrong or contradictory about the heights that the file states: a warning where `z_um` is used,
        the reason of the refusal where it is None. Empty if nothing is.
    downward : str
        The negative step that the file states, whose sign `z_um` ignores; empty if it states none.
    z_table : Path or None
        Table of the heights that lies beside the frames, as a user gives one; it goes before `z_um`.
    uneven : str
        Why the frames are not one step apart, which no step can be used for; empty if they may be.
    pixel_yx_um : (float, float) or None
        Pixel height and width stated by the file, not yet checked; `pixel_um_source` names where they stand.
    pixel_um_doubt : str
        As `z_um_doubt`, of the pixel size.
    notes : tuple of str
        Of what else the user is to be warned, one sentence each.
    metadata : dict
        JSON-able facts about the file.
    """

    shape: tuple[int, int, int]
    dtype: GreyType
    colour: bool = False
    z_um: NDArray[np.float64] | None = None
    z_um_source: str = ""
    z_um_doubt: str = ""
    downward: str = ""
    z_table: Path | None = None
    uneven: str = ""
    pixel_yx_um: tuple[float, float] | None = None
    pixel_um_source: str = ""
    pixel_um_doubt: str = ""
    notes: tuple[str, ...] = ()
    metadata: dict[str, object]

    @abstractmethod
    def read(self, k: int) -> Frame:
        """Frame k, (H, W) of `dtype`, C-contiguous. Safe to call from several threads."""

    def read_rgb(self, k: int) -> Frame:
        """Frame k in colour, (H, W, 3) of `dtype`; of grey frames the channels are equal."""
        return as_rgb(self.read(k), self.name(k))

    @abstractmethod
    def name(self, k: int) -> str:
        """Name frame k as a person would look for it."""

    def damaged(self) -> list[int]:
        """Read all frames and return those that differ from what was recorded, where that can be told."""
        return []

    def close(self) -> None:  # noqa: B027  most sources hold nothing open
        """Release open files."""


class PlaneSet(ABC):
    """Planes along more axes than z, of which `lee.stacks.selection` chooses one stack.

    Attributes
    ----------
    axes : dict of str to int
        Length of every axis but y, x and colour, in the file's order. Keys are z, t, c (channel) and p
        (position); an axis without a name has its place in that order as its key, "0", "1", ...
    labels : dict of str to sequence of str
        Names of the channels (c) or positions (p), where the file states them.
    times_s : (T,) float64, s, or None
        When each time along t began, from the first on, where the file states it.
    scanned : frozenset of str
        Axes along which the file states that the height changes from plane to plane.
    """

    axes: dict[str, int]
    labels: Mapping[str, Sequence[str]] = {}
    times_s: NDArray[np.float64] | None = None
    scanned: frozenset[str] = frozenset()

    def at_position(self, k: int) -> None:  # noqa: B027  positions of most formats are alike
        """Take the axes of position k, where positions differ in them."""

    @abstractmethod
    def stack(self, depth: str | None, fixed: Mapping[str, int]) -> FrameSource:
        """Open the planes along the axis `depth`, at the index `fixed` of every other axis.

        The stack takes over the open files; `depth` is None where no axis is longer than one plane.
        """

    def close(self) -> None:  # noqa: B027  most sets hold nothing open
        """Release open files."""


class ChosenFrames(FrameSource):
    """Some frames of a source, in its order.

    Parameters
    ----------
    source : FrameSource
    frames : sequence of int
    facts : mapping
        Added to the source's metadata.
    """

    def __init__(self, source: FrameSource, frames: Sequence[int], facts: Mapping[str, object]) -> None:
        self._source, self._frames = source, list(frames)
        self.shape = (len(self._frames), *source.shape[1:])
        self.dtype, self.colour = source.dtype, source.colour
        self.z_um = None if source.z_um is None else source.z_um[self._frames]
        self.metadata = source.metadata | dict(facts)
        for name in (
            "z_um_source",
            "z_um_doubt",
            "downward",
            "pixel_yx_um",
            "pixel_um_source",
            "pixel_um_doubt",
            "notes",
        ):
            setattr(self, name, getattr(source, name))

    def read(self, k: int) -> Frame:
        """Frame k of those chosen."""
        return self._source.read(self._frames[k])

    def read_rgb(self, k: int) -> Frame:
        """Frame k of those chosen, in colour."""
        return self._source.read_rgb(self._frames[k])

    def name(self, k: int) -> str:
        """Name it as the source does."""
        return self._source.name(self._frames[k])

    def damaged(self) -> list[int]:
        """Those of the source."""
        found = set(self._source.damaged())
        return [k for k, frame in enumerate(self._frames) if frame in found]

    def close(self) -> None:
        """Close the source."""
        self._source.close()


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

    def open(self, path: Path) -> FrameSource | PlaneSet:
        """Open what `recognises` took, without reading its frames.

        Raises
        ------
        InputError
            If the file is damaged or holds no z-stack: what is wrong, where, what to do.
        """
        ...
