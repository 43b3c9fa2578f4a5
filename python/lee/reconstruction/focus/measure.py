"""What a focus measure must offer: a name, where it runs, and a search for the focus while frames arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Map = NDArray[np.float32]
Value = TypeVar("Value", bound=np.generic)

DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class SearchOptions:
    """What every search is started with.

    Parameters
    ----------
    shape : (H, W)
        Of the frames.
    depth_of_field_um : float, µm
        Full width at half maximum of the focus curve.
    window_px : (rows, columns)
        Finest window over which focus is averaged, odd.
    threads : int
        0 = all available cores.
    device : {"cpu", "cuda"}
    """

    shape: tuple[int, int]
    depth_of_field_um: float
    window_px: tuple[int, int] = (5, 5)
    threads: int = 0
    device: DeviceKind = "cpu"


class FocusMaxima(NamedTuple):
    """The two largest maxima of the focus curves at one window size; every field (2, h, w) float32.

    ``z_um`` is NaN where there is no maximum; ``peak`` is the focus there, counts; ``width_um`` the standard
    deviation of the Gaussian fitted to the focus curve, NaN where none fits.
    """

    z_um: Map
    peak: Map
    width_um: Map


def over_field(values: NDArray[Value], level: int, shape: tuple[int, ...]) -> NDArray[Value]:
    """Repeat the pixels of a window size, (h, w), over the field (H, W); the last ones reach to its edge.

    A pixel of `level` k covers 2^k by 2^k pixels.
    """
    rows, columns = (
        np.minimum(np.arange(n) >> level, m - 1) for n, m in zip(shape, values.shape, strict=True)
    )
    return np.asarray(values[rows][:, columns])


class FocusSearch(Protocol):
    """Search for the height of best focus at every pixel, over the frames of one scan.

    Memory does not grow with the number of frames.
    """

    def push(self, frame: ArrayLike, z_um: float, drift_y_px: float, drift_x_px: float, /) -> None:
        """Take the next frame, (H, W) uint8, uint16 or float32, which shows the scene displaced by the drift.

        Raises
        ------
        ValueError
            If `z_um` neither rises nor falls strictly throughout the scan.
        DeviceMemoryError
            If the device's memory does not suffice; only at the first frame.
        """

    def saturate_at(self, counts: float, /) -> None:
        """Take pixels at and above `counts` for saturated, in frames pushed from now on."""

    def preview(self) -> Map:
        """Return the heights so far, (H, W) µm; NaN where nothing has come into focus yet."""

    def close(self) -> None:
        """End the scan: frames still pending are evaluated."""

    def textured(self, beside_stronger: bool, /) -> NDArray[np.uint8]:
        """Return where texture of a pixel's own came into focus, (H, W), 1 or 0, after `close`.

        `beside_stronger` asks for more, as beside much stronger texture, whose light leaks.
        """

    def record(self) -> tuple[NDArray[np.float64], Map, Map, Map]:
        """Return what `lee.reconstruction.focus.cells.CellRecord` holds; complete after `close`."""

    def reject(self, occluded: NDArray[np.uint8], /) -> None:
        """Drop maxima nearest to a sample of `record` in which their cell was occluded, after `close`.

        `occluded` is (N, h, w), not 0 where a cell was occluded.
        """

    def finish(self) -> tuple[Map, Map, Map]:
        """Close the scan; return height and its standard deviation, µm, and the all-in-focus image, counts.

        Height and standard deviation are NaN where nothing came into focus.
        """

    def peaks(self, level: int, /) -> tuple[Map, Map, Map]:
        """Return what `FocusMaxima` holds, at a window size; a pixel of level k covers 2^k by 2^k pixels."""

    @property
    def levels(self) -> int:
        """Number of window sizes."""

    @property
    def rests(self) -> list[tuple[float, float, float]]:
        """Residual drift of every group of averaged frames, one row a group.

        Its height, µm, and by how many pixels (down, across) the all-in-focus image shows it displaced
        against the heights.
        """

    @property
    def noise(self) -> float:
        """Focus that noise alone gives, counts."""

    @property
    def state_bytes_per_pixel(self) -> float:
        """Memory held for each pixel, bytes."""


class FocusMeasure(Protocol):
    """One way to measure focus."""

    @property
    def name(self) -> str:
        """What `ReconstructParams.focus` and ``--focus`` call it."""

    @property
    def devices(self) -> tuple[DeviceKind, ...]:
        """Where it runs."""

    @property
    def takes_target(self) -> bool:
        """Whether a `lee.Target` sets its finest window."""

    def search(self, options: SearchOptions) -> FocusSearch:
        """Start the search over one scan.

        Raises
        ------
        DeviceMemoryError
            If the device's memory does not suffice.
        """
