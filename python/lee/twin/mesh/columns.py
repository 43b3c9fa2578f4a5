"""From a height map to columns of hexahedra: straight lines in z from the electrode to the bulk or anode."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.heights import whole_heights

_MAX_COLUMNS = 64
# tan 79°: beyond it a height map's cells are slivers, and a wall may fold back unseen.
MAX_SLOPE = 5.0
_STEEP = 2.0
# The highest point stays below the anode by this share of the gap.
_MIN_CLEARANCE = 0.1
# Measured peak memory of a solve, per node of the mesh (bench.bench_twin), with a margin.
_BYTES_A_NODE = 7500


@dataclass(frozen=True, kw_only=True)
class MeshSize:
    """How fine the mesh is.

    Attributes
    ----------
    columns : (int, int) or None
        Cells along y and x. Without it square cells: as many as pixels, at most 64 along the longer side.
    layers : int
        Cells from the electrode to the bulk or the anode.
    first_um : float or None
        Thickness of the first layer at the electrode; the next ones grow by a constant factor (in a closed
        gap, to the middle and back). Without it a hundredth of the layer or gap, at most 2 µm.
    smooth_um : float or None
        Standard deviation of the Gaussian that smooths the heights. Without it what the cells cannot show:
        half a cell, less half a pixel, in squares.
    """

    columns: tuple[int, int] | None = None
    layers: int = 20
    first_um: float | None = None
    smooth_um: float | None = None

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        columns: int | None = None,
        *,
        layers: int = 20,
        first_um: float | None = None,
        smooth_um: float | None = None,
    ) -> MeshSize:
        """Choose square cells, so many along the longer side of a map of this shape."""
        cells = None if columns is None else _square_cells(shape, columns)
        return cls(columns=cells, layers=layers, first_um=first_um, smooth_um=smooth_um)


@dataclass(frozen=True)
class Columns:
    """The mesh's geometry.

    Attributes
    ----------
    x_um, y_um : (nx,), (ny,) float64
        Positions of the columns of nodes; 0 is the outer edge of the first pixel.
    share : (nz,) float64
        Positions of the nodes along a column: 0 on the electrode, 1 on the plane.
    height_um : (ny, nx) float64
        Electrode.
    plane_um : float
        Height of the bulk plane or the anode.
    pixels_um : (H, W) float64
        The height map, holes filled.
    filled : (H, W) bool
    pixel_um : float
    notes : tuple of str
        What was filled and smoothed away.
    """

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    share: NDArray[np.float64]
    height_um: NDArray[np.float64]
    plane_um: float
    pixels_um: NDArray[np.float64]
    filled: NDArray[np.bool_]
    pixel_um: float
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(ny, nx, nz), of nodes."""
        return len(self.y_um), len(self.x_um), len(self.share)

    @property
    def seen_area_um2(self) -> float:
        """Area of the electrode as seen from above."""
        return float(self.x_um[-1] * self.y_um[-1])

    def z_um(self, height_um: NDArray[np.float64], plane_um: float) -> NDArray[np.float64]:
        """Heights of all nodes, (ny, nx, nz), over an electrode of these heights, (ny, nx)."""
        return height_um[..., None] * (1 - self.share) + plane_um * self.share

    def to_nodes(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Read a map (H, W) at the columns, (ny, nx), linearly; beyond the outer pixels it is mirrored."""
        at = [axis / self.pixel_um - 0.5 for axis in (self.y_um, self.x_um)]
        grid = np.meshgrid(*at, indexing="ij")
        return np.asarray(ndimage.map_coordinates(pixels, grid, order=1, mode="reflect"))

    def to_pixels(self, nodes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Read a map (..., ny, nx) of the columns at the pixels' middles, (..., H, W), linearly."""
        rows, columns = (
            _between(axis, (np.arange(count) + 0.5) * self.pixel_um)
            for axis, count in zip((self.y_um, self.x_um), self.pixels_um.shape, strict=True)
        )
        return np.asarray(rows @ nodes @ columns.T)


def make_columns(
    height_um: ArrayLike | Surface, *, pixel_um: float | None = None, cell: Cell, size: MeshSize
) -> Columns:
    """Make the columns over a height map.

    Parameters
    ----------
    height_um, pixel_um
        As for `whole_heights`.
    cell : Cell
        Its layer or gap.
    size : MeshSize

    Raises
    ------
    InputError
        If the map holds nothing, the gap is smaller than the relief, a wall is too steep, or the mesh does
        not fit in memory.
    """
    heights = whole_heights(height_um, pixel_um)
    pixels, pixel_um, notes = heights.height_um, heights.pixel_um, list(heights.notes)
    share = shares(cell, size)
    cells = size.columns or _square_cells(pixels.shape, min(max(pixels.shape), _MAX_COLUMNS))
    if min(cells) < 1:
        raise InputError(f"mesh: columns is {cells}; give at least one cell along y and along x")
    check_memory((cells[0] + 1) * (cells[1] + 1) * len(share))
    y, x = (np.linspace(0, n * pixel_um, c + 1) for n, c in zip(pixels.shape, cells, strict=True))
    smooth = smoothing_px(size, pixel_um, x[1], y[1])
    smoothed = ndimage.gaussian_filter(pixels, smooth, mode="reflect")
    columns = Columns(x, y, share, smoothed, 0.0, pixels, heights.filled, pixel_um, ())
    nodes = columns.to_nodes(smoothed)
    _check_walls(nodes, x, y, notes)
    plane = _plane(nodes, cell)
    before, after = _area(pixels, pixel_um, pixel_um), _area(nodes, y[1], x[1])
    if before > 0:
        before *= x[-1] * y[-1] / ((pixels.shape[0] - 1) * (pixels.shape[1] - 1) * pixel_um**2)
        notes.append(
            f"mesh of {cells[0]} × {cells[1]} columns and {size.layers} layers; true area "
            f"{after / (x[-1] * y[-1]):.4f} of the seen one, {100 * (1 - after / before):.2f} % of it lost"
        )
    return Columns(x, y, share, nodes, plane, pixels, heights.filled, pixel_um, tuple(notes))


def _square_cells(shape: tuple[int, ...], longer: int) -> tuple[int, int]:
    """Cells along y and x, as square as they can be, so many along the longer side."""
    rows, columns = (max(1, round(n * longer / max(shape))) for n in shape)
    return rows, columns


def shares(cell: Cell, size: MeshSize) -> NDArray[np.float64]:
    """Return the nodes' positions along a column, 0 to 1."""
    first = size.first_um if size.first_um is not None else min(cell.distance_um / 100, 2.0)
    if size.layers < 2 or not 0 < first < cell.distance_um:
        raise InputError(
            f"mesh: {size.layers} layers, the first of {first:g} µm, do not fill {cell.distance_um:g} µm; "
            "give at least 2 layers, the first thinner than the layer or gap"
        )
    if cell.gap_um is None:
        return _graded(size.layers, first / cell.distance_um)
    half = 0.5 * _graded((size.layers + 1) // 2, 2 * first / cell.distance_um)
    return np.concatenate([half, 1 - half[-2::-1]])


def _graded(layers: int, first: float) -> NDArray[np.float64]:
    """Split 1 into layers that grow by a constant factor from `first`; even ones where that is enough."""
    if layers == 1 or first * layers >= 1:
        return np.linspace(0, 1, layers + 1)
    low, high = 1.0, (1 / first) ** (1 / (layers - 1)) + 1
    for _ in range(200):
        factor = 0.5 * (low + high)
        low, high = (factor, high) if first * np.sum(factor ** np.arange(layers)) < 1 else (low, factor)
    places = np.concatenate([[0.0], np.cumsum(factor ** np.arange(layers))])
    return np.asarray(places / places[-1])


def smoothing_px(size: MeshSize, pixel_um: float, *cells_um: float) -> list[float]:
    """Return the standard deviations of the smoothing along y and x, in pixels, for cells dx, dy."""
    if size.smooth_um is not None:
        return [size.smooth_um / pixel_um] * 2
    x, y = (0.5 * np.sqrt(max((c / pixel_um) ** 2 - 1, 0.0)) for c in cells_um)
    return [float(y), float(x)]


def _check_walls(
    nodes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], notes: list[str]
) -> None:
    along_y, along_x = (np.abs(np.diff(nodes, axis=a)) / axis[1] for a, axis in enumerate((y, x)))
    steepest = max(float(along_y.max()), float(along_x.max()))
    if steepest > MAX_SLOPE:
        which = along_x if along_x.max() >= along_y.max() else along_y
        row, column = np.unravel_index(int(which.argmax()), which.shape)
        raise InputError(
            f"height_um has a wall of {np.degrees(np.arctan(steepest)):.0f} degrees near x = "
            f"{x[column]:.0f} µm, y = {y[row]:.0f} µm; a height map's mesh ends at "
            f"{np.degrees(np.arctan(MAX_SLOPE)):.0f}: give a coarser mesh or a larger smooth_um"
        )
    if steepest > _STEEP:
        share = np.mean(np.concatenate([along_y.ravel(), along_x.ravel()]) > _STEEP)
        notes.append(
            f"walls of up to {np.degrees(np.arctan(steepest)):.0f} degrees ({100 * share:.1f} % of the edges "
            f"are steeper than {np.degrees(np.arctan(_STEEP)):.0f}); a height map does not show undercuts"
        )


def _plane(nodes: NDArray[np.float64], cell: Cell) -> float:
    highest = float(nodes.max())
    if cell.gap_um is None:
        return highest + cell.distance_um
    plane = float(nodes.mean()) + cell.gap_um
    if plane - highest < _MIN_CLEARANCE * cell.gap_um:
        raise InputError(
            f"the gap of {cell.gap_um:g} µm is too small for a relief that rises "
            f"{highest - nodes.mean():.3g} µm above its mean; give a larger gap_um"
        )
    return plane


def _area(height: NDArray[np.float64], dy: float, dx: float) -> float:
    """Area of the surface over a grid of heights, two triangles a cell."""
    x, y = np.diff(height, axis=1) / dx, np.diff(height, axis=0) / dy
    lower, upper = 1 + x[:-1] ** 2 + y[:, :-1] ** 2, 1 + x[1:] ** 2 + y[:, 1:] ** 2
    return float((np.sqrt(lower) + np.sqrt(upper)).sum() * dx * dy / 2)


def _between(axis: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of linear interpolation from an even axis, (places, axis)."""
    place = np.clip(at / axis[1], 0, len(axis) - 1)
    left = np.minimum(place.astype(int), len(axis) - 2)
    weights = np.zeros((len(at), len(axis)))
    rows = np.arange(len(at))
    weights[rows, left] = 1 - (place - left)
    weights[rows, left + 1] = place - left
    return weights


def check_memory(nodes: int) -> None:
    """Refuse a mesh that does not fit in the free memory."""
    needed = nodes * _BYTES_A_NODE
    free = _available_bytes()
    if needed > free:
        raise InputError(
            f"a mesh of {nodes:,} nodes needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "give fewer columns or layers"
        )


def _available_bytes() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as memory:
            lines = dict(line.split(":", 1) for line in memory)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
