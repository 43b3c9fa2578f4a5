"""From a height map to columns of hexahedra: straight lines in z from the electrode to the bulk or anode."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.surfaces.surface import Surface
from lee.twin.cell import Cell
from lee.twin.mesh.area import mesh_area_ratio, pixel_area_ratio, seen_areas
from lee.twin.mesh.heights import Heights, whole_heights
from lee.twin.mesh.layers import shares

_MAX_COLUMNS = 64
# tan 79°: beyond it a height map's cells are slivers, and a wall may fold back unseen.
MAX_SLOPE = 5.0
_STEEP = 2.0
# By this factor the smoothing is widened until no wall is steeper.
_MORE_SMOOTH = 1.25
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
    layers : int or None
        Cells from the electrode to the bulk or the anode: they grow by a constant factor, in a closed gap to
        the middle and back. Without it they follow the diffusion layer: see `lee.twin.mesh.layers`.
    first_um : float or None
        Thickness of the first layer at the electrode. Without it a hundredth of the layer or gap, at most 2
        µm where `layers` is given and 5 µm where not.
    smooth_um : float or None
        Standard deviation of the Gaussian that smooths the heights. Without it what the cells cannot show:
        half a cell, less half a pixel, in squares.
    """

    columns: tuple[int, int] | None = None
    layers: int | None = None
    first_um: float | None = None
    smooth_um: float | None = None

    @classmethod
    def of(
        cls,
        shape: tuple[int, int],
        columns: int | None = None,
        *,
        layers: int | None = None,
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
    area_factor : (ny, nx) float64
        True area of the surface over that of the mesh, at each column.
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
    area_factor: NDArray[np.float64]
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
    height_um: ArrayLike | Surface,
    *,
    pixel_um: float | None = None,
    cell: Cell,
    size: MeshSize,
    area_of: Heights | None = None,
) -> Columns:
    """Make the columns over a height map.

    Parameters
    ----------
    height_um, pixel_um
        As for `whole_heights`.
    cell : Cell
        Its layer or gap.
    size : MeshSize
    area_of : Heights, optional
        The same field with finer pixels, or with standard deviations, whose true area is taken.

    Raises
    ------
    InputError
        If the map holds nothing, the gap is smaller than the relief, a wall is too steep, or the mesh does
        not fit in memory.
    """
    heights = whole_heights(height_um, pixel_um)
    pixels, pixel_um, notes = heights.height_um, heights.pixel_um, list(heights.notes)
    share = shares(cell, layers=size.layers, first_um=size.first_um)
    cells = size.columns or _square_cells(pixels.shape, min(max(pixels.shape), _MAX_COLUMNS))
    if min(cells) < 1:
        raise InputError(f"mesh: columns is {cells}; give at least one cell along y and along x")
    check_memory((cells[0] + 1) * (cells[1] + 1) * len(share))
    y, x = (np.linspace(0, n * pixel_um, c + 1) for n, c in zip(pixels.shape, cells, strict=True))
    smooth = smoothing_px(size, pixel_um, x[1], y[1])
    unmeshed = Columns(x, y, share, pixels, 0.0, pixels, heights.filled, pixel_um, np.ones(0), ())

    def at_columns(width_px: list[float]) -> NDArray[np.float64]:
        return unmeshed.to_nodes(ndimage.gaussian_filter(pixels, width_px, mode="reflect"))

    nodes = at_columns(smooth)
    while size.smooth_um is None and _steepest(nodes, x, y)[0] > MAX_SLOPE:
        smooth = [_MORE_SMOOTH * max(width, 0.5) for width in smooth]
        nodes = at_columns(smooth)
    _check_walls(nodes, x, y, notes)
    plane = _plane(nodes, cell)
    area = heights if area_of is None else area_of
    smooth_um = smooth[0] * pixel_um, smooth[1] * pixel_um
    true, noise_um = pixel_area_ratio(area.height_um, area.sigma_um, area.pixel_um, y, x, smooth_um)
    factor = true / mesh_area_ratio(nodes, y, x)
    seen = seen_areas(y, x) / (x[-1] * y[-1])
    whole, kept = float((true * seen).sum()), float((true / factor * seen).sum())
    if noise_um > 0:
        notes.append(f"for that area heights are smoothed by {noise_um:.2g} µm: their errors are no area")
    notes.append(
        f"mesh of {cells[0]} × {cells[1]} columns and {len(share) - 1} layers; true area {whole:.4f} of "
        f"the seen one, {100 * (1 - kept / whole):.2f} % of it finer than the columns and reacting with them"
    )
    return Columns(x, y, share, nodes, plane, pixels, heights.filled, pixel_um, factor, tuple(notes))


def _square_cells(shape: tuple[int, ...], longer: int) -> tuple[int, int]:
    """Cells along y and x, as square as they can be, so many along the longer side."""
    rows, columns = (max(1, round(n * longer / max(shape))) for n in shape)
    return rows, columns


def smoothing_px(size: MeshSize, pixel_um: float, *cells_um: float) -> list[float]:
    """Return the standard deviations of the smoothing along y and x, in pixels, for cells dx, dy."""
    if size.smooth_um is not None:
        return [size.smooth_um / pixel_um] * 2
    x, y = (0.5 * np.sqrt(max((c / pixel_um) ** 2 - 1, 0.0)) for c in cells_um)
    return [float(y), float(x)]


def _check_walls(
    nodes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], notes: list[str]
) -> None:
    steepest, row, column = _steepest(nodes, x, y)
    if steepest > MAX_SLOPE:
        raise InputError(
            f"height_um has a wall of {np.degrees(np.arctan(steepest)):.0f} degrees near x = "
            f"{x[column]:.0f} µm, y = {y[row]:.0f} µm; a height map's mesh ends at "
            f"{np.degrees(np.arctan(MAX_SLOPE)):.0f}: give a coarser mesh or a larger smooth_um"
        )
    if steepest > _STEEP:
        share = np.mean(np.concatenate([slopes.ravel() for slopes in _slopes(nodes, x, y)]) > _STEEP)
        notes.append(
            f"walls of up to {np.degrees(np.arctan(steepest)):.0f} degrees ({100 * share:.1f} % of the edges "
            f"are steeper than {np.degrees(np.arctan(_STEEP)):.0f}); a height map does not show undercuts"
        )


def _slopes(
    nodes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Slopes of the edges along y and along x."""
    return [np.abs(np.diff(nodes, axis=axis)) / places[1] for axis, places in enumerate((y, x))]


def _steepest(
    nodes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[float, int, int]:
    """Return the largest slope, and the row and column where it is."""
    slopes = max(_slopes(nodes, x, y), key=lambda along: float(along.max()))
    row, column = np.unravel_index(int(slopes.argmax()), slopes.shape)
    return float(slopes.max()), int(row), int(column)


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
    if free is not None and needed > free:
        raise InputError(
            f"a mesh of {nodes:,} nodes needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "give fewer columns or layers"
        )


def _available_bytes() -> int | None:
    """Return the free memory, or all of it where only that is known, or None."""
    try:
        with open("/proc/meminfo", encoding="ascii") as memory:
            lines = dict(line.split(":", 1) for line in memory)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    asked: Any = getattr(os, "sysconf", None)
    if asked is None:  # Windows has no such call
        return None
    return int(asked("SC_PHYS_PAGES") * asked("SC_PAGE_SIZE"))
