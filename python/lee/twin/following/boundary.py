"""From the height maps of a run to the moving boundary of the twin: heights at the columns over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from lee.errors import InputError
from lee.surfaces.block_mean import block_mean
from lee.surfaces.filling import fill
from lee.twin.cell import Cell
from lee.twin.following.trajectory import Trajectory, smoothed
from lee.twin.mesh.columns import Columns, MeshSize, make_columns, smoothing_px
from lee.twin.mesh.heights import Heights

# Of a column's surroundings in a scan: with less, the scan has no height there.
_MEASURED = 0.5
# Along the longer side: columns of the mesh are coarser.
_MAX_PIXELS = 256
# µm: where no standard deviation is known.
_SIGMA_UM = 0.05
_SOME_UM = 1e-4


class MapsOverTime(Protocol):
    """Maps of a run, one for each scan: a sequence, an array (T, H, W), or a store that reads them."""

    def __len__(self) -> int:
        """How many scans there are."""

    def __getitem__(self, scan: int, /) -> ArrayLike:
        """Give the map of one scan, (H, W)."""


@dataclass(frozen=True)
class Boundary:
    """The electrode of a run as a boundary that moves.

    Attributes
    ----------
    columns : Columns
        The mesh over the first scan's heights.
    path : Trajectory
        Heights at the columns over time.
    holes : tuple of int
        Scans without a surface.
    notes : tuple of str
    block : int
        Side of the run's pixels that were averaged to one of the mesh's own.
    breaks_s : tuple of float
        When the current jumps, and the speed of the electrode with it.
    """

    columns: Columns
    path: Trajectory
    holes: tuple[int, ...]
    notes: tuple[str, ...]
    block: int = 1
    breaks_s: tuple[float, ...] = ()

    def on_own_grid(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average a map of the run's pixels over blocks; NaN where less than half of one is known."""
        return in_blocks(values, self.block)


def in_blocks(values: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Average square blocks of pixels, whole ones only; NaN where less than half of one is known."""
    if block == 1:
        return values
    rows, columns = (n // block * block for n in values.shape)
    mean, share = block_mean(values[:rows, :columns], block)
    return np.where(share >= _MEASURED, mean, np.nan).astype(np.float64)


def moving_boundary(
    heights_um: MapsOverTime,
    sigmas_um: MapsOverTime | None,
    times_s: NDArray[np.float64],
    *,
    pixel_um: float,
    cell: Cell,
    size: MeshSize,
    breaks_s: Sequence[float],
    names: Sequence[str],
) -> Boundary:
    """Bring the scans of a run to the mesh's columns, and fit their heights over time.

    Scans are read one at a time. The scan that was measured most completely is the reference: of the others
    only the change since is smoothed to the columns, over what both have measured, so that a hole beside a
    slope tilts nothing. Where a scan has measured less than half of a column's surroundings, the height there
    follows from the other scans, if between the same jumps of the current two of them have measured it; else
    from the change beside it. Fields of more than 256 pixels are averaged over blocks; their true area is
    that of all pixels.

    Parameters
    ----------
    heights_um : T of (H, W) float, µm
        Aligned; NaN where not measured, throughout for a scan without a surface.
    sigmas_um : T of (H, W) float, µm, or None
    times_s : (T,) float64
    pixel_um, cell, size
        See `lee.twin.mesh.columns.make_columns`.
    breaks_s : sequence of float
        When the current jumps.
    names : T of str
        Of the scans, for messages.

    Raises
    ------
    InputError
        If no scan has a surface, or a map is of another shape.
    """
    known = [_measured_share(heights_um[k], names[k]) for k in range(len(times_s))]
    shape = np.shape(heights_um[int(np.argmax(known))])
    if max(known) == 0:
        raise InputError(f"follow: none of the {len(known)} scans has a surface; reconstruct the run first")
    best = int(np.argmax(known))
    finest = max(_MAX_PIXELS, 2 * max(size.columns or (0, 0)))
    block = max(1, -(-max(shape) // finest))
    whole = _Whole(np.asarray(heights_um[best]), None if sigmas_um is None else np.asarray(sigmas_um[best]))
    base = make_columns(
        in_blocks(np.asarray(heights_um[best], np.float64), block), pixel_um=block * pixel_um, cell=cell,
        size=size, area_of=None if block == 1 and sigmas_um is None else whole.heights(pixel_um, block),
    )  # fmt: skip
    nodes, sigmas = [], []
    for k in range(len(times_s)):
        height, sigma = _at_columns(
            base, size, heights_um[k], None if sigmas_um is None else sigmas_um[k], shape, names[k], block
        )
        nodes.append(height)
        sigmas.append(sigma)
    change, errors = np.stack(nodes), np.stack(sigmas)
    never = np.asarray(~np.isfinite(change).any(axis=0))
    _fill_from_beside(change, errors, np.searchsorted(np.asarray(breaks_s), times_s, side="right"))
    path = smoothed(times_s, base.height_um + change, errors, tuple(breaks_s))
    notes, holes = _notes(base, known, names, never, path, sigmas_um is None)
    first = path.at(float(times_s[0]))
    moved = base.to_pixels(first - base.height_um)
    columns = replace(
        base,
        height_um=first,
        pixels_um=base.pixels_um + moved,
        plane_um=base.plane_um + _plane_moved(base.height_um, first, cell),
        notes=(*base.notes, *notes),
    )
    return Boundary(columns, path, holes, notes, block, tuple(breaks_s))


def _fill_from_beside(
    change: NDArray[np.float64], errors: NDArray[np.float64], part: NDArray[np.integer]
) -> None:
    """Fill columns that less than two scans between jumps of the current have measured, in place.

    Arrays are (T, ny, nx); `part` (T,) numbers the scans by what lies between two jumps.
    """
    for one in np.unique(part):
        scans = np.flatnonzero(part == one)
        few = np.isfinite(change[scans]).sum(axis=0) < min(2, len(scans))
        for k in scans if few.any() else ():
            here = np.isfinite(change[k])
            empty = few & ~here
            if here.any() and empty.any():
                change[k][empty] = fill(change[k].astype(np.float32), here)[empty]
                errors[k][empty] = float(np.median(errors[k][here]))


@dataclass(frozen=True)
class _Whole:
    """The reference scan at all its pixels, for its area."""

    height_um: NDArray[np.floating]
    sigma_um: NDArray[np.floating] | None

    def heights(self, pixel_um: float, block: int) -> Heights:
        """Fill its holes, of whole blocks."""
        rows, columns = (n // block * block for n in self.height_um.shape)
        height = np.asarray(self.height_um[:rows, :columns], np.float32)
        known = np.isfinite(height)
        sigma = None if self.sigma_um is None else np.asarray(self.sigma_um[:rows, :columns], np.float32)
        filled = height if known.all() else fill(height, known)
        return Heights(filled.astype(np.float64), ~known, pixel_um, (), sigma)


def _plane_moved(before: NDArray[np.float64], after: NDArray[np.float64], cell: Cell) -> float:
    if cell.gap_um is None:
        return float(after.max() - before.max())
    return float(after.mean() - before.mean())


def _measured_share(height_um: ArrayLike, name: str) -> float:
    height = np.asarray(height_um)
    if height.ndim != 2 or not height.size:
        raise InputError(f"follow: the height map of {name} has shape {height.shape}; give (H, W)")
    if np.isinf(height).any():
        raise InputError(f"follow: the height map of {name} holds infinite heights; mark gaps with NaN")
    return float(np.isfinite(height).mean())


def _at_columns(
    base: Columns,
    size: MeshSize,
    height_um: ArrayLike,
    sigma_um: ArrayLike | None,
    shape: tuple[int, ...],
    name: str,
    block: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the change since the reference at the columns, NaN where not measured, and its sigma."""
    height = np.asarray(height_um, np.float64)
    if height.shape != shape:
        raise InputError(
            f"follow: the height map of {name} is {height.shape}, others {shape}; crop all alike"
        )
    height = in_blocks(height, block)
    measured = np.isfinite(height)
    width = smoothing_px(size, base.pixel_um, base.x_um[1], base.y_um[1])

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return base.to_nodes(ndimage.gaussian_filter(values, width, mode="reflect"))

    share = spread(measured.astype(np.float64))
    enough = np.maximum(share, 1e-3)
    change = spread(np.where(measured, height - base.pixels_um, 0.0)) / enough
    variance = np.full(height.shape, _SIGMA_UM**2)
    if sigma_um is not None:
        sigma = np.asarray(sigma_um, np.float64)
        if sigma.shape != shape:
            raise InputError(f"follow: the sigma map of {name} is {sigma.shape}, its heights {shape}")
        sigma = in_blocks(sigma, block)
        told = measured & np.isfinite(sigma) & (sigma > 0)
        typical = float(np.median(sigma[told])) if told.any() else _SIGMA_UM
        variance = np.where(told, sigma, typical) ** 2
    error = np.sqrt(spread(np.where(measured, variance, 0.0)) / enough) + _SOME_UM
    return np.where(share >= _MEASURED, change, np.nan), error


def _notes(
    base: Columns,
    known: Sequence[float],
    names: Sequence[str],
    never: NDArray[np.bool_],
    path: Trajectory,
    no_sigma: bool,
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    holes = tuple(k for k, share in enumerate(known) if share == 0)
    notes = [
        f"the boundary follows {len(known) - len(holes)} of {len(known)} scans, to "
        f"{float(np.median(path.sigma_um)):.2g} µm (median standard deviation at a column); scatter is "
        f"{path.scale:.2g} × the stated one"
    ]
    if holes:
        listed = ", ".join(names[k] for k in holes[:5]) + (" ..." if len(holes) > 5 else "")
        notes.append(f"without a surface, bridged from the scans around: {listed}")
    if never.any():
        notes.append(
            f"{100 * never.mean():.1f} % of the columns were never measured; they change as those beside them"
        )
    if no_sigma:
        notes.append(f"no standard deviations are known; {_SIGMA_UM:g} µm is taken for all heights")
    return tuple(notes), holes
